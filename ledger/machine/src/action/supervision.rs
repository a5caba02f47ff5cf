//! `supervision.hold`, `supervision.release`, `supervision.deny`, `supervision.allow`.

use aval_did::DidRecord;
use aval_types::supervision::{
    DenialRecord, HOLD_MS_MAX, HOLDS_MAX, HoldInForce, HoldRecord, Release, SupervisionAllow,
    SupervisionDeny, SupervisionHold, SupervisionRelease, Target,
};
use aval_types::{Event, Reject};

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::policy::ROLE_SUPERVISOR;
use crate::state::{StateError, StateRead};
use crate::state_key;

/// Decides `supervision.hold`.
pub(crate) fn hold<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &SupervisionHold,
) -> Result<Effect, Stop> {
    let author = expect_supervisor(case, &action.target)?;
    let time_ms = case.time_ms();
    if action.expires <= time_ms || action.expires > time_ms.saturating_add(HOLD_MS_MAX) {
        return Err(Reject::SupervisionExpiry.into());
    }
    let id = case.checked.id();
    let in_force = HoldInForce { hold: id, target: action.target.clone(), expires: action.expires };
    let mut holds = in_force_at(&case.constitution.holds, time_ms);
    if holds.len() >= HOLDS_MAX {
        return Err(Reject::SupervisionFull.into());
    }
    holds.push(in_force);
    let record = HoldRecord {
        id,
        target: action.target.clone(),
        reason: action.reason.clone(),
        legal_basis: action.legal_basis.clone(),
        expires: action.expires,
        author: author.did.clone(),
        created: time_ms,
        released: None,
    };
    let mut effect = Effect::default();
    effect.put(state_key::hold(&id), &record)?;
    effect.put(state_key::HOLDS.to_owned(), &holds)?;
    effect.event(Event::SupervisionHeld {
        hold: id,
        target: record.target,
        author: author.did,
        expires: record.expires,
    });
    Ok(effect)
}

/// Decides `supervision.release`: any supervisor whose role covers what is held.
pub(crate) fn release<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &SupervisionRelease,
) -> Result<Effect, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    let record = case.view.hold(&action.hold)?.ok_or(Reject::SupervisionNotFound)?;
    expect_scope(case, &sender, &record.target)?;
    let release = Release { by: Some(sender.did), reference: case.checked.id().0, time: case.time_ms() };
    end_hold(record, release, &case.constitution.holds)
}

/// Ends a hold that is in force; shared with governance.
pub(crate) fn end_hold(
    mut record: HoldRecord,
    release: Release,
    holds: &[HoldInForce],
) -> Result<Effect, Stop> {
    if record.released.is_some() || record.expires <= release.time {
        return Err(Reject::SupervisionReleased.into());
    }
    let mut holds = in_force_at(holds, release.time);
    holds.retain(|hold| hold.hold != record.id);
    let mut effect = Effect::default();
    effect.event(Event::SupervisionReleased {
        hold: record.id,
        target: record.target.clone(),
        by: release.by.clone(),
    });
    record.released = Some(release);
    effect.put(state_key::hold(&record.id), &record)?;
    match holds.is_empty() {
        true => effect.remove(state_key::HOLDS.to_owned()),
        false => effect.put(state_key::HOLDS.to_owned(), &holds)?,
    }
    Ok(effect)
}

/// Decides `supervision.deny`.
pub(crate) fn deny<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &SupervisionDeny,
) -> Result<Effect, Stop> {
    let sender = expect_supervisor(case, &action.target)?;
    if case.view.denial(&action.target)?.is_some() {
        return Err(Reject::SupervisionExists.into());
    }
    put_denial(DenialRecord {
        target: action.target.clone(),
        reason: action.reason.clone(),
        by: Some(sender.did),
        reference: case.checked.id().0,
        time: case.time_ms(),
    })
}

/// Writes a denial; shared with governance.
pub(crate) fn put_denial(record: DenialRecord) -> Result<Effect, Stop> {
    let mut effect = Effect::default();
    effect.put(denial_key(&record.target)?, &record)?;
    effect.event(Event::SupervisionDenied { target: record.target, by: record.by });
    Ok(effect)
}

/// Decides `supervision.allow`: what a supervisor has denied, not what governance has.
pub(crate) fn allow<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &SupervisionAllow,
) -> Result<Effect, Stop> {
    let sender = expect_supervisor(case, &action.target)?;
    let record = case.view.denial(&action.target)?.ok_or(Reject::SupervisionNotFound)?;
    if record.by.is_none() {
        return Err(Reject::SupervisionGoverned.into());
    }
    let mut effect = Effect::default();
    effect.remove(denial_key(&action.target)?);
    effect.event(Event::SupervisionAllowed { target: record.target, by: Some(sender.did) });
    Ok(effect)
}

pub(crate) fn denial_key(target: &Target) -> Result<String, StateError> {
    // Targets that cannot be denied do not pass the shape of the action.
    state_key::denial(target).ok_or_else(|| StateError::damaged("deny", "the target cannot be denied"))
}

fn expect_supervisor<S: StateRead + ?Sized>(case: &Case<'_, S>, target: &Target) -> Result<DidRecord, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    expect_scope(case, &sender, target)?;
    Ok(sender)
}

/// The role `supervisor` covers everything; `supervisor-did` DIDs and the actions `did.…`, `supervisor-node` nodes and
/// the actions `node.…`, and so on.
fn expect_scope<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    sender: &DidRecord,
    target: &Target,
) -> Result<(), Stop> {
    let family = match target {
        Target::Did(_) => "did",
        Target::Node(_) => "node",
        Target::Action(kind) => kind.split_once('.').map_or(kind.as_str(), |(family, _)| family),
    };
    let scoped = format!("{ROLE_SUPERVISOR}-{family}");
    let live = case.live_grants(sender)?;
    let covers = |role: &String| role == ROLE_SUPERVISOR || *role == scoped;
    match live.iter().any(|grant| grant.roles.iter().any(covers)) {
        true => Ok(()),
        false => Err(Reject::SupervisionScope.into()),
    }
}

fn in_force_at(holds: &[HoldInForce], time_ms: u64) -> Vec<HoldInForce> {
    holds.iter().filter(|hold| time_ms < hold.expires).cloned().collect()
}
