//! `accreditation.grant` and `accreditation.revoke` (specs/trust.md, section 3).

use aval_did::Did;
use aval_types::accreditation::{Chain, LINKS_MAX, excess};
use aval_types::action::{AccreditationGrant, AccreditationRevoke};
use aval_types::{AccreditationKind, AccreditationRecord, Event, Reject};

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::state::StateRead;
use crate::trust;

/// Decides `accreditation.grant`: the sender is live itself and gives no more than every link above it has.
pub(crate) fn grant<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &AccreditationGrant,
) -> Result<Effect, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    let chain = trust::expect_accreditor(case.view, &sender.did, case.time_ms())?;
    if action.subject == sender.did {
        return Err(Reject::AccreditationSelf.into());
    }
    case.expect_active(&action.subject)?;
    expect_within(&chain, action, case.time_ms())?;
    let existing = case.view.accreditation(&action.subject)?;
    expect_free(case, &sender.did, action, existing.as_ref())?;
    let version = action.previous.checked_add(1).ok_or(Reject::AccreditationStale)?;
    let mut effect = Effect::default();
    effect.put_accreditation(&AccreditationRecord {
        subject: action.subject.clone(),
        kind: action.kind,
        parent: Some(sender.did.clone()),
        types: action.types.clone(),
        depth: action.depth,
        expires: action.expires,
        credential: Some(action.credential),
        version,
        height: case.context.height,
        revoked: None,
        revoked_by: None,
    })?;
    effect.event(Event::AccreditationGranted {
        subject: action.subject.clone(),
        kind: action.kind,
        parent: Some(sender.did),
        version,
    });
    Ok(effect)
}

/// Decides `accreditation.revoke`: by the parent or a live one above it, or by the subject, who gives it up.
pub(crate) fn revoke<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &AccreditationRevoke,
) -> Result<Effect, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    let record = case.view.accreditation(&action.subject)?.ok_or(Reject::AccreditationNotFound)?;
    if record.kind == AccreditationKind::Root {
        return Err(Reject::AccreditationRoot.into());
    }
    if sender.did != record.subject {
        if !trust::is_above(case.view, &sender.did, &record.subject)? {
            return Err(Reject::AccreditationNotAbove.into());
        }
        trust::expect_accreditor(case.view, &sender.did, case.time_ms())?;
    }
    let mut effect = Effect::default();
    trust::revoke(record, Some(&sender.did), case.context.height, &mut effect)?;
    Ok(effect)
}

/// No more than the sender and every link above it has.
fn expect_within(chain: &Chain, action: &AccreditationGrant, time_ms: u64) -> Result<(), Reject> {
    if let Some(reject) = excess(chain.links(), &action.types) {
        return Err(reject);
    }
    let own_depth = chain.links().first().map_or(0, |own| own.depth);
    if action.depth >= own_depth || chain.links().len() >= LINKS_MAX {
        return Err(Reject::AccreditationDepth);
    }
    if action.expires <= time_ms || action.expires > chain.expires() {
        return Err(Reject::AccreditationExpiry);
    }
    Ok(())
}

/// The subject's place is free for the sender: it has no record, or one that the sender may replace.
fn expect_free<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    sender: &Did,
    action: &AccreditationGrant,
    existing: Option<&AccreditationRecord>,
) -> Result<(), Stop> {
    let Some(record) = existing else {
        return if action.previous == 0 { Ok(()) } else { Err(Reject::AccreditationStale.into()) };
    };
    if record.kind == AccreditationKind::Root {
        return Err(Reject::AccreditationRoot.into());
    }
    if action.previous != record.version {
        return Err(Reject::AccreditationStale.into());
    }
    if record.revoked.is_some() {
        // What somebody above took back, nobody below it gives again. What was given up is anybody's to give.
        return match &record.revoked_by {
            Some(by) if *by == record.subject || by == sender => Ok(()),
            Some(by) if trust::is_above(case.view, sender, by)? => Ok(()),
            _ => Err(Reject::AccreditationNotAbove.into()),
        };
    }
    let is_own = record.parent.as_ref() == Some(sender);
    if !is_own && trust::is_live(case.view, record, case.time_ms())? {
        return Err(Reject::AccreditationExists.into());
    }
    Ok(())
}
