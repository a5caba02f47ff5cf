//! The question that policies answer: who, what, on what, under which circumstances.
//!
//! Only what the policies of the action ask about is filled in: reading grants that no policy looks at would cost every
//! transaction something and change no answer.

use std::collections::BTreeSet;

use aval_did::{Did, DidRecord, PublicKey, rules};
use aval_types::node::key_bytes;
use aval_types::supervision::Target;
use aval_types::{Action, Reject};

use super::set::Asked;
use crate::authorize::{Case, Stop};
use crate::grant::{self, LiveGrant};
use crate::state::StateRead;
use crate::state_key;
use crate::trust;

/// A question. Two equal ones have the same answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// The action's type.
    pub action: &'static str,
    /// The DID that acts; empty if no policy asks who it is.
    pub principal: String,
    /// The state key of what it acts on; empty if no policy asks.
    pub resource: String,
    /// The block's time in seconds; 0 if no policy asks.
    pub time_s: u64,
    /// Roles of its live grants.
    pub roles: BTreeSet<String>,
    /// Types of its live grants.
    pub types: BTreeSet<String>,
    /// Issuers of its live grants.
    pub issuers: BTreeSet<String>,
    /// Whether it governs.
    pub governor: bool,
    /// `none`, `root`, `body` or `issuer`.
    pub accreditation: &'static str,
    /// Whether what it acts on is its own.
    pub own: bool,
    /// Whether a credential is presented.
    pub presentation: bool,
    /// Roles of the grant that it makes.
    pub presented_roles: BTreeSet<String>,
    /// Whether another DID vouches.
    pub endorsed: bool,
    /// Roles of that DID's live grants.
    pub endorser_roles: BTreeSet<String>,
}

impl<S: StateRead + ?Sized> Case<'_, S> {
    /// The question about this transaction, sent by `subject`.
    pub(crate) fn policy_input(&self, subject: &DidRecord) -> Result<Input, Stop> {
        let action = self.checked.action();
        let asked = self.constitution.policy.asked(action.kind());
        let (resource, own) = resource(action, &subject.did);
        let mut input = Input {
            action: action.kind(),
            governor: self.constitution.is_governor(&subject.did),
            accreditation: "none",
            own,
            presentation: self.payload().presentation.is_some(),
            endorsed: self.payload().endorser().is_some(),
            ..Input::default()
        };
        if asked.has(Asked::PRINCIPAL) {
            input.principal = subject.did.to_string();
        }
        if asked.has(Asked::RESOURCE) {
            input.resource = resource;
        }
        if asked.has(Asked::TIME) {
            input.time_s = self.time_ms() / 1000;
        }
        if asked.has(Asked::GRANTS) {
            for live in self.live_grants(subject)?.iter() {
                input.roles.extend(live.roles.iter().cloned());
                input.types.insert(live.credential_type.clone());
                input.issuers.insert(live.issuer.to_string());
            }
        }
        if asked.has(Asked::ACCREDITATION) {
            input.accreditation = self.accreditation(&subject.did)?;
        }
        if let Some(grant) = action.grant() {
            input.presented_roles = grant.roles.iter().cloned().collect();
        }
        if asked.has(Asked::ENDORSER)
            && let Some(endorser) = self.endorser_record()?
        {
            input.endorser_roles =
                self.live_grants(&endorser)?.into_iter().flat_map(|live| live.roles).collect();
        }
        Ok(input)
    }

    /// What the DID is accredited as, if its chain holds.
    fn accreditation(&self, did: &Did) -> Result<&'static str, Stop> {
        Ok(match self.view.accreditation(did)? {
            Some(record) if trust::is_live(self.view, &record, self.time_ms())? => record.kind.name(),
            _ => "none",
        })
    }

    /// The grants of a DID that give something now. Asked for by the policies and again by the quota, and read once.
    pub(crate) fn live_grants(&self, record: &DidRecord) -> Result<Vec<LiveGrant>, Stop> {
        if let Some((_, known)) = self.live.borrow().iter().find(|(did, _)| *did == record.did) {
            return Ok(known.clone());
        }
        let live = grant::live(self.view, record, self.time_ms())?;
        self.live.borrow_mut().push((record.did.clone(), live.clone()));
        Ok(live)
    }

    /// The DID that acts: the sender, or the one whose control keys sign. One that is being created is taken as it will
    /// be. `None` if it is not on the ledger.
    pub(crate) fn actor(&self) -> Result<Option<DidRecord>, Stop> {
        if let Action::DidCreate(action) = self.checked.action() {
            let network = self.context.network.label();
            return Ok(rules::genesis_record(network, &action.operation, self.time_ms()).ok());
        }
        let signer = self.payload().sender().or_else(|| self.payload().controllers().next());
        let did = signer.ok_or(Reject::TransactionSigners("nobody signs".into()))?.did();
        Ok(self.view.did(did)?)
    }
}

/// The state key of what an action is about, and whether it belongs to who acts.
fn resource(action: &Action, actor: &Did) -> (String, bool) {
    let of_did = |did: &Did| (state_key::did(did), did == actor);
    match action {
        Action::DidCreate(action) => of_did(&action.operation.did),
        Action::DidUpdate(action) => of_did(&action.did),
        Action::DidRotate(action) => of_did(&action.did),
        Action::DidDeactivate(action) => of_did(&action.did),
        Action::CredentialPresent(action) => of_did(&action.grant.subject),
        Action::RegistryCreate(action) => (format!("registry/{actor}/registry/{}", action.registry), true),
        Action::RegistryUpdate(action) => {
            (state_key::registry(&action.registry), action.registry.owner() == actor)
        }
        Action::GovernancePropose(_) => (state_key::PROPOSALS.to_owned(), false),
        Action::GovernanceVote(action) => (state_key::proposal(&action.proposal), false),
        Action::SupervisionHold(action) => of_target(&action.target, actor),
        Action::SupervisionRelease(action) => (state_key::hold(&action.hold), false),
        Action::SupervisionDeny(action) => of_target(&action.target, actor),
        Action::SupervisionAllow(action) => of_target(&action.target, actor),
        // That the sender operates the node is asked before the policies are.
        Action::NodeRegister(action) => (of_node(&action.key), true),
        Action::NodeUpdate(action) => (of_node(&action.key), true),
        Action::NodeLeave(action) => (of_node(&action.key), true),
        Action::NodeEvidence(action) => (of_node(&action.key), false),
        Action::AccreditationGrant(action) => (state_key::accreditation(&action.subject), false),
        Action::AccreditationRevoke(action) => {
            (state_key::accreditation(&action.subject), action.subject == *actor)
        }
        // It has its name from its content, which is not worth hashing for this.
        Action::SchemaPublish(action) => (format!("schema/{}", action.credential_type), true),
        Action::SchemaDeprecate(action) => (state_key::schema(&action.schema), false),
        Action::AnchorCreate(action) => (state_key::anchor(&action.commitment), true),
        Action::ServiceRegister(action) => (state_key::service(actor, &action.name), true),
        Action::ServiceRemove(action) => (state_key::service(actor, &action.name), true),
    }
}

fn of_node(key: &PublicKey) -> String {
    key_bytes(key).map(|key| state_key::node(&key)).unwrap_or_default()
}

fn of_target(target: &Target, actor: &Did) -> (String, bool) {
    match target {
        Target::Did(did) => (state_key::did(did), did == actor),
        Target::Action(kind) => (format!("action/{kind}"), false),
        Target::Node(key) => (of_node(key), false),
    }
}
