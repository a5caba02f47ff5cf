//! `did.create`, `did.update`, `did.rotate`, `did.deactivate` (specs/did-method.md, "Operations").
//!
//! What an operation does to a DID, and which control keys it needs, is decided by `aval-did`, the same for everybody
//! who replays a DID's history. What the ledger adds is here: who may write at all, and the grants.

use aval_did::{Deactivate, DidError, DidRecord, Rotate, Update, rules};
use aval_types::action::DidCreate;
use aval_types::{Event, Reject};

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::grant;
use crate::state::StateRead;
use crate::trust;

/// Decides `did.create`: the DID and its first grant come into being together, or an endorser vouches for the DID
/// alone.
pub(crate) fn create<S: StateRead + ?Sized>(case: &Case<'_, S>, action: &DidCreate) -> Result<Effect, Stop> {
    let operation = &action.operation;
    let existing = case.view.did(&operation.did)?;
    let network = case.context.network.label();
    let mut record =
        rules::apply_create(existing.as_ref(), network, operation, &case.control_keys(), case.time_ms())
            .map_err(refuse)?;
    let mut effect = Effect::default();
    effect.event(Event::DidCreated { did: record.did.clone(), version_id: record.version_id });
    case.expect_permit(&record)?;
    if let Some(grant) = &action.grant {
        grant::make(case, grant, &mut record, &mut effect)?;
    }
    effect.put_did(&record)?;
    Ok(effect)
}

/// Decides `did.update`.
pub(crate) fn update<S: StateRead + ?Sized>(case: &Case<'_, S>, operation: &Update) -> Result<Effect, Stop> {
    let record = case.expect_active(&operation.did)?;
    let (keys, time_ms) = (case.control_keys(), case.time_ms());
    let updated = match case.checked.examined() {
        Some(examined) => rules::apply_examined_update(&record, operation, examined, &keys, time_ms),
        None => rules::apply_update(&record, operation, &keys, time_ms),
    }
    .map_err(refuse)?;
    case.expect_permit(&record)?;
    let version_id = updated.version_id;
    finish(&updated, Event::DidUpdated { did: record.did, version_id })
}

/// Decides `did.rotate`: control alone is enough, so that a DID without a grant can still take a stolen key out.
pub(crate) fn rotate<S: StateRead + ?Sized>(case: &Case<'_, S>, operation: &Rotate) -> Result<Effect, Stop> {
    let record = case.expect_active(&operation.did)?;
    let rotated =
        rules::apply_rotate(&record, operation, &case.control_keys(), case.time_ms()).map_err(refuse)?;
    case.expect_permit(&record)?;
    let version_id = rotated.version_id;
    finish(&rotated, Event::DidRotated { did: record.did, version_id })
}

/// Decides `did.deactivate`. Who deactivates its DID gives up its accreditation: what stands on it stands on keys
/// that nobody answers for any more.
pub(crate) fn deactivate<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    operation: &Deactivate,
) -> Result<Effect, Stop> {
    let record = case.expect_active(&operation.did)?;
    let ended =
        rules::apply_deactivate(&record, operation, &case.control_keys(), case.time_ms()).map_err(refuse)?;
    case.expect_permit(&record)?;
    expect_government_without(case, &record)?;
    let version_id = ended.version_id;
    let mut effect = finish(&ended, Event::DidDeactivated { did: record.did, version_id })?;
    if let Some(accreditation) = case.view.accreditation(&ended.did)?
        && accreditation.revoked.is_none()
    {
        trust::revoke(accreditation, Some(&ended.did), case.context.height, &mut effect)?;
    }
    Ok(effect)
}

/// A governor may go, as long as those left can still decide; its keys can be rotated in any case.
fn expect_government_without<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    leaving: &DidRecord,
) -> Result<(), Stop> {
    if !case.constitution.is_governor(&leaving.did) {
        return Ok(());
    }
    let governors = &case.constitution.governors;
    let mut able = 0u32;
    for member in governors.members.iter().filter(|member| **member != leaving.did) {
        if case.view.did(member)?.is_some_and(|record| !record.deactivated) {
            able += 1;
        }
    }
    if able < governors.threshold {
        return Err(Reject::GovernanceSelfLock("too few governors would be left".into()).into());
    }
    Ok(())
}

fn finish(record: &DidRecord, event: Event) -> Result<Effect, Stop> {
    let mut effect = Effect::default();
    effect.put_did(record)?;
    effect.event(event);
    Ok(effect)
}

/// Translates a refusal of the DID method into the ledger's vocabulary.
fn refuse(error: DidError) -> Reject {
    match error {
        DidError::Exists => Reject::DidExists,
        DidError::NotFound => Reject::DidNotFound,
        DidError::Invalid(detail) => Reject::DidInvalid(detail.into()),
        DidError::Network => Reject::DidNetwork,
        DidError::StaleVersion => Reject::DidStaleVersion,
        DidError::KeyNotInDocument => Reject::DidKeyNotInDocument,
        DidError::Control(detail) => Reject::DidControl(detail.into()),
        DidError::Deactivated => Reject::DidDeactivated,
        DidError::Allowance => Reject::DidAllowance,
        DidError::Document(detail) => Reject::DidDocument(detail.into()),
    }
}
