//! Grants: from a presented credential to a grant (D6), and whether a grant is live at a block's time.
//!
//! A grant is live while a chain of live accreditations leads from its issuer to a root for its type and role, its
//! status entry is clear, and it has not expired. This is asked at every use, so revocation bites in the very block
//! that carries it.

use aval_did::record::GRANTS_MAX;
use aval_did::{Did, DidRecord, Relationship};
use aval_types::{Event, Grant, GrantId, GrantRecord, Purpose, RegistryRecord, Reject};

use crate::action::schema;
use crate::authorize::{Case, Stop};
use crate::check::{Evidence, Presented};
use crate::effect::Effect;
use crate::registry;
use crate::sabotage::{self, Sabotage};
use crate::state::{StateError, StateRead};
use crate::trust;
use crate::view::View;

/// Turns a presented credential into a grant of `subject`, whose record is updated; the caller writes it.
pub(crate) fn make<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    grant: &Grant,
    subject: &mut DidRecord,
    effect: &mut Effect,
) -> Result<(), Stop> {
    let evidence = case.evidence().ok_or(Reject::PresentationMissing)?;
    let chain =
        trust::expect_issuer(case.view, &grant.issuer, &grant.credential_type, &grant.roles, case.time_ms())?;
    if let Evidence::Presented(presented) = evidence {
        expect_genuine(case, grant, presented, subject)?;
    }
    if grant.expires.saturating_mul(1000) <= case.time_ms() {
        return Err(Reject::CredentialExpired.into());
    }
    expect_clear(case.view, grant, evidence)?;
    if let Evidence::Presented(presented) = evidence {
        schema::expect_fitting(case.view, &grant.credential_type, &chain, &presented.presentation)?;
    }
    let id = grant.id();
    if case.view.grant(&id)?.is_some() {
        return Err(Reject::GrantExists.into());
    }
    make_room(case, subject)?;
    subject.grants.push(id.0);
    effect.put_grant(
        &id,
        &GrantRecord { grant: grant.clone(), transaction: case.checked.id(), created: case.time_ms() },
    )?;
    effect.event(Event::GrantCreated {
        grant: id,
        subject: grant.subject.clone(),
        issuer: grant.issuer.clone(),
        credential_type: grant.credential_type.clone(),
    });
    Ok(())
}

/// Asks for a live grant of `record` that gives `role`. If there is none, the answer tells of the grant that comes
/// closest.
pub(crate) fn expect_role<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    record: &DidRecord,
    role: &str,
    time_ms: u64,
) -> Result<(), Stop> {
    let mut reason = Reject::GrantRequired;
    for id in &record.grants {
        let id = GrantId(*id);
        let held = view.grant(&id)?.ok_or_else(|| dangling(&id))?.grant;
        let failing = match held.has_role(role) {
            true => why_dead(view, &held, role, time_ms)?,
            false => Some(Reject::GrantRole),
        };
        match failing {
            None => return Ok(()),
            Some(other) if telling(&other) > telling(&reason) => reason = other,
            Some(_) => {}
        }
    }
    Err(reason.into())
}

/// A grant that gives something at a block's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveGrant {
    /// Its id.
    pub(crate) id: GrantId,
    /// The credential's type.
    pub(crate) credential_type: String,
    /// Who issued the credential.
    pub(crate) issuer: Did,
    /// The roles that it gives now.
    pub(crate) roles: Vec<String>,
}

/// The grants of `record` that give a role now, in the order of the record.
pub(crate) fn live<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    record: &DidRecord,
    time_ms: u64,
) -> Result<Vec<LiveGrant>, Stop> {
    let mut live = Vec::with_capacity(record.grants.len());
    for id in &record.grants {
        let id = GrantId(*id);
        let held = view.grant(&id)?.ok_or_else(|| dangling(&id))?.grant;
        let mut roles = Vec::with_capacity(held.roles.len());
        for role in &held.roles {
            if why_dead(view, &held, role, time_ms)?.is_none() {
                roles.push(role.clone());
            }
        }
        if !roles.is_empty() {
            live.push(LiveGrant { id, credential_type: held.credential_type, issuer: held.issuer, roles });
        }
    }
    Ok(live)
}

/// Why a grant does not give `role` at this time; `None` if it does.
fn why_dead<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    grant: &Grant,
    role: &str,
    time_ms: u64,
) -> Result<Option<Reject>, Stop> {
    match entry(view, grant)? {
        // A grant's registry cannot vanish or change hands; if it did, nobody could revoke the grant.
        None => return Ok(Some(Reject::GrantIssuerUnaccredited)),
        Some((_, 0)) => {}
        Some(_) if sabotage::is(Sabotage::SkipRevocation) => {}
        Some((Purpose::Suspension, _)) => return Ok(Some(Reject::GrantSuspended)),
        Some(_) => return Ok(Some(Reject::GrantRevoked)),
    }
    let is_backed = trust::backs(view, &grant.issuer, &grant.credential_type, role, time_ms)?;
    if !is_backed && !sabotage::is(Sabotage::SkipAccreditation) {
        return Ok(Some(Reject::GrantIssuerUnaccredited));
    }
    if grant.expires.saturating_mul(1000) <= time_ms {
        return Ok(Some(Reject::GrantExpired));
    }
    Ok(None)
}

/// How much a failing grant tells its holder: what somebody did on purpose before what merely happened.
const fn telling(reject: &Reject) -> u8 {
    match reject {
        Reject::GrantRevoked => 5,
        Reject::GrantSuspended => 4,
        Reject::GrantIssuerUnaccredited => 3,
        Reject::GrantExpired => 2,
        Reject::GrantRole => 1,
        _ => 0,
    }
}

/// The presentation is the issuer's, is in force, and its holder is the subject.
fn expect_genuine<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    grant: &Grant,
    presented: &Presented,
    subject: &DidRecord,
) -> Result<(), Stop> {
    let presentation = &presented.presentation;
    let issuer = case.view.did(&grant.issuer)?.ok_or(Reject::CredentialIssuerUnaccredited)?;
    if issuer.deactivated {
        return Err(Reject::CredentialIssuerUnaccredited.into());
    }
    let key = issuer
        .verification_key(presentation.issuer_kid(), Relationship::AssertionMethod)
        .map_err(|_| Reject::PresentationSignature)?;
    if !presented.is_signed_by(&key) {
        return Err(Reject::PresentationSignature.into());
    }
    // The key binding was verified by the cnf key without looking at the state; here the key finds its DID.
    let holder = presentation.cnf_key().ok_or(Reject::PresentationHolderKey)?;
    if !subject.document.contains_key(holder, Relationship::Authentication) {
        return Err(Reject::PresentationHolderKey.into());
    }
    let begins = presentation.valid_from_s().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
    if case.time_ms() < begins.saturating_mul(1000) {
        return Err(Reject::PresentationNotYetValid.into());
    }
    Ok(())
}

/// The status entry lies in a registry of the issuer that can take the credential back, and is clear (D13).
fn expect_clear<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    grant: &Grant,
    evidence: &Evidence,
) -> Result<(), Stop> {
    let listed = view.list(&grant.status.list)?.ok_or(Reject::CredentialRegistryUnknown)?;
    if listed.registry != grant.status.registry || grant.status.registry.owner() != &grant.issuer {
        return Err(Reject::CredentialRegistryMismatch.into());
    }
    let record = view.registry(&listed.registry)?.ok_or(Reject::CredentialRegistryUnknown)?;
    let takes_back = matches!(record.purpose, Purpose::Revocation | Purpose::Suspension);
    if !takes_back || !is_purpose_of(&record, evidence) {
        return Err(Reject::CredentialRegistryMismatch.into());
    }
    let value = registry::value(view, &record, listed.list, grant.status.index)?;
    match (value.ok_or(Reject::CredentialIndexOutOfRange)?, record.purpose) {
        (0, _) => Ok(()),
        (_, Purpose::Suspension) => Err(Reject::CredentialSuspended.into()),
        _ => Err(Reject::CredentialRevoked.into()),
    }
}

/// A credential that speaks of revocation must not rest on a suspension registry, nor the other way round.
fn is_purpose_of(record: &RegistryRecord, evidence: &Evidence) -> bool {
    let name = match record.purpose {
        Purpose::Revocation => "revocation",
        Purpose::Suspension => "suspension",
        Purpose::Message => "message",
    };
    match evidence {
        Evidence::Presented(presented) => {
            presented.presentation.status().iter().all(|entry| entry.purpose.name() == name)
        }
        Evidence::Erased => true,
    }
}

/// Purpose and value of a grant's status entry; `None` if its registry does not answer for it.
fn entry<S: StateRead + ?Sized>(view: &View<'_, S>, grant: &Grant) -> Result<Option<(Purpose, u8)>, Stop> {
    let Some(record) = view.registry(&grant.status.registry)? else { return Ok(None) };
    let Some(list) = record.lists.iter().position(|uri| *uri == grant.status.list) else { return Ok(None) };
    let Ok(list) = u32::try_from(list) else { return Ok(None) };
    Ok(registry::value(view, &record, list, grant.status.index)?.map(|value| (record.purpose, value)))
}

/// Drops grants that can never be live again if the DID has no room left for another.
fn make_room<S: StateRead + ?Sized>(case: &Case<'_, S>, subject: &mut DidRecord) -> Result<(), Stop> {
    if subject.grants.len() < GRANTS_MAX {
        return Ok(());
    }
    let mut kept = Vec::with_capacity(GRANTS_MAX);
    for id in &subject.grants {
        let id = GrantId(*id);
        let held = case.view.grant(&id)?.ok_or_else(|| dangling(&id))?.grant;
        let expired = held.expires.saturating_mul(1000) <= case.time_ms();
        let revoked = matches!(entry(case.view, &held)?, Some((Purpose::Revocation, value)) if value != 0);
        if !expired && !revoked {
            kept.push(id.0);
        }
    }
    if kept.len() >= GRANTS_MAX {
        return Err(Reject::GrantFull.into());
    }
    subject.grants = kept;
    Ok(())
}

fn dangling(id: &GrantId) -> StateError {
    StateError::damaged(&crate::state_key::grant(id), "a DID holds a grant that does not exist")
}
