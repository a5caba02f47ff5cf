//! Which signers and which presentation an action wants (specs/wire.md, "Signers").
//!
//! These rules need no state: who breaks them is refused before a signature is looked at.

use aval_did::Did;

use super::{Payload, Role, Signer};
use crate::{action::Action, limits, reject::Reject};

/// Control keys of a DID, and so controllers of a transaction.
const CONTROLLERS_MAX: usize = 16;

pub(super) fn check(payload: &Payload) -> Result<(), Reject> {
    payload.action.validate()?;
    check_order(&payload.signers)?;
    check_networks(payload)?;
    match &payload.action {
        Action::DidCreate(action) => {
            expect_controllers_of(payload, &action.operation.did)?;
            check_endorser(payload, &action.operation.did)?;
            match (&action.grant, payload.endorser()) {
                (None, None) => Err(Reject::GrantRequired),
                (Some(_), Some(_)) => Err(signers("did.create takes an endorser or a grant, not both")),
                (None, Some(_)) => expect_no_presentation(payload),
                (Some(grant), None) => {
                    expect_presentation(payload)?;
                    expect_subject(&grant.subject, &action.operation.did)
                }
            }
        }
        Action::DidUpdate(action) => {
            expect_controllers_of(payload, &action.did)?;
            check_endorser(payload, &action.did)?;
            expect_no_presentation(payload)
        }
        Action::DidRotate(action) => {
            expect_no_endorser(payload)?;
            expect_controllers_of(payload, &action.did)?;
            expect_no_presentation(payload)
        }
        Action::DidDeactivate(action) => {
            expect_no_endorser(payload)?;
            expect_controllers_of(payload, &action.did)?;
            expect_no_presentation(payload)
        }
        Action::CredentialPresent(action) => {
            expect_no_endorser(payload)?;
            let sender = expect_sender_alone(payload)?;
            expect_presentation(payload)?;
            expect_subject(&action.grant.subject, sender)
        }
        Action::NodeRegister(_)
        | Action::NodeUpdate(_)
        | Action::NodeLeave(_)
        | Action::NodeEvidence(_)
        | Action::RegistryCreate(_)
        | Action::AccreditationGrant(_)
        | Action::AccreditationRevoke(_)
        | Action::SchemaPublish(_)
        | Action::SchemaDeprecate(_)
        | Action::AnchorCreate(_)
        | Action::ServiceRegister(_)
        | Action::ServiceRemove(_)
        | Action::GovernancePropose(_)
        | Action::GovernanceVote(_)
        | Action::SupervisionHold(_)
        | Action::SupervisionRelease(_)
        | Action::SupervisionDeny(_)
        | Action::SupervisionAllow(_) => {
            expect_no_endorser(payload)?;
            expect_sender_alone(payload)?;
            expect_no_presentation(payload)
        }
        Action::RegistryUpdate(action) => {
            expect_no_endorser(payload)?;
            let sender = expect_sender_alone(payload)?;
            expect_no_presentation(payload)?;
            if action.registry.owner() == sender { Ok(()) } else { Err(Reject::RegistryOwner) }
        }
    }
}

fn signers(detail: &'static str) -> Reject {
    Reject::TransactionSigners(detail.into())
}

/// At most one sender, then controllers, then at most one endorser; nobody twice.
fn check_order(list: &[Signer]) -> Result<(), Reject> {
    if list.is_empty() || list.len() > limits::SIGNERS_MAX {
        return Err(signers("a transaction has 1 to 18 signers"));
    }
    if !list.is_sorted_by_key(|signer| signer.role) {
        return Err(signers("the order is sender, controllers, endorser"));
    }
    let count = |role| list.iter().filter(|signer| signer.role == role).count();
    if count(Role::Sender) > 1 || count(Role::Endorser) > 1 || count(Role::Controller) > CONTROLLERS_MAX {
        return Err(signers("there is one sender, one endorser and 16 controllers at most"));
    }
    let twice =
        list.iter().enumerate().any(|(index, signer)| list.iter().take(index).any(|other| other == signer));
    if twice { Err(signers("somebody signs twice")) } else { Ok(()) }
}

/// Every DID that the payload names is of its network.
fn check_networks(payload: &Payload) -> Result<(), Reject> {
    let signing = payload.signers.iter().map(|signer| signer.kid.did());
    let foreign = |did: &Did| did.network() != payload.network.label();
    if signing.chain(payload.action.dids()).any(foreign) { Err(Reject::DidNetwork) } else { Ok(()) }
}

fn expect_controllers_of(payload: &Payload, did: &Did) -> Result<(), Reject> {
    if payload.sender().is_some() {
        return Err(signers("an action on a DID has controllers and no sender"));
    }
    if payload.controllers().next().is_none() {
        return Err(signers("an action on a DID needs a controller"));
    }
    if payload.controllers().any(|kid| kid.did() != did) {
        return Err(signers("a controller signs in the name of the DID that the action is about"));
    }
    Ok(())
}

fn expect_sender_alone(payload: &Payload) -> Result<&Did, Reject> {
    if payload.controllers().next().is_some() {
        return Err(signers("the action takes no controllers"));
    }
    payload.sender().map(|kid| kid.did()).ok_or(signers("the action needs a sender"))
}

fn expect_no_endorser(payload: &Payload) -> Result<(), Reject> {
    if payload.endorser().is_some() { Err(Reject::EndorserScope) } else { Ok(()) }
}

fn check_endorser(payload: &Payload, did: &Did) -> Result<(), Reject> {
    if payload.endorser().is_some_and(|kid| kid.did() == did) { Err(Reject::EndorserSelf) } else { Ok(()) }
}

fn expect_presentation(payload: &Payload) -> Result<(), Reject> {
    if payload.presentation.is_none() { Err(Reject::PresentationMissing) } else { Ok(()) }
}

fn expect_no_presentation(payload: &Payload) -> Result<(), Reject> {
    if payload.presentation.is_some() { Err(Reject::PresentationUnexpected) } else { Ok(()) }
}

fn expect_subject(subject: &Did, did: &Did) -> Result<(), Reject> {
    if subject == did {
        Ok(())
    } else {
        Err(Reject::PresentationMismatch("the grant's subject is not the DID of the transaction".into()))
    }
}
