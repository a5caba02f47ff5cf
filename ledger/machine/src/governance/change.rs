//! Each kind of change: whether it is possible on a state, and what it does there.
//!
//! The same function answers when a change is proposed and when it is executed, so nothing comes to a vote
//! that could not be executed as the ledger stands.

use aval_types::genesis::Governors;
use aval_types::governance::{Change, DenyAdd, PolicyChange, PolicyRecord, RootAdd, Upgrade};
use aval_types::parameters::ParametersChange;
use aval_types::supervision::{DenialRecord, Release};
use aval_types::{Event, Reject};

use super::Moment;
use crate::action::supervision::{denial_key, end_hold, put_denial};
use crate::authorize::Stop;
use crate::constitution::Constitution;
use crate::effect::Effect;
use crate::membership;
use crate::policy::{self, Policy};
use crate::state::StateRead;
use crate::state_key;
use crate::trust::{self, RootTerms};
use crate::view::View;

/// What a change does on a state, or why it is not possible there.
pub(crate) fn change<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    constitution: &Constitution,
    change: &Change,
    moment: &Moment,
) -> Result<Effect, Stop> {
    match change {
        Change::Parameters(change) => parameters(constitution, change),
        Change::Policy(change) => policy(view, constitution, change, moment),
        Change::Governors(governors) => self::governors(view, constitution, governors),
        Change::DenyAdd(change) => deny(view, change, moment),
        Change::DenyRemove(change) => {
            let record = view.denial(&change.target)?.ok_or(Reject::SupervisionNotFound)?;
            let mut effect = Effect::default();
            effect.remove(denial_key(&change.target)?);
            effect.event(Event::SupervisionAllowed { target: record.target, by: None });
            Ok(effect)
        }
        Change::RootAdd(change) => {
            let RootAdd { did, types, depth, expires } = change;
            let terms = RootTerms { did, types, depth: *depth, expires: *expires };
            let mut effect = Effect::default();
            trust::add_root(view, terms, &moment.block, &mut effect)?;
            Ok(effect)
        }
        Change::RootRemove(change) => {
            let mut effect = Effect::default();
            trust::remove_root(view, &change.did, &moment.block, &mut effect)?;
            Ok(effect)
        }
        Change::NodeExpel(change) => membership::expel(view, &change.key, moment.block.time_ms),
        Change::HoldLift(change) => {
            let record = view.hold(&change.hold)?.ok_or(Reject::SupervisionNotFound)?;
            let release = Release { by: None, reference: moment.reference.0, time: moment.block.time_ms };
            end_hold(record, release, &constitution.holds)
        }
        Change::Upgrade(upgrade) => self::upgrade(view, constitution, *upgrade, moment),
    }
}

fn parameters(constitution: &Constitution, change: &ParametersChange) -> Result<Effect, Stop> {
    let invalid = |reason: String| Reject::GovernanceInvalid(reason.into());
    let after = change.apply(&constitution.parameters).map_err(invalid)?;
    let mut effect = Effect::default();
    effect.put(state_key::PARAMETERS.to_owned(), &after)?;
    Ok(effect)
}

fn policy<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    constitution: &Constitution,
    change: &PolicyChange,
    moment: &Moment,
) -> Result<Effect, Stop> {
    let parsed =
        Policy::parse(&change.text).map_err(|error| Reject::GovernanceInvalid(error.to_string().into()))?;
    policy::self_lock(&parsed).map_err(|reason| Reject::GovernanceSelfLock(reason.into()))?;
    let hash = parsed.hash();
    if hash == constitution.policy.hash() {
        return Err(Reject::GovernanceInvalid("this policy is in force already".into()).into());
    }
    let mut effect = Effect::default();
    effect.put(state_key::POLICY.to_owned(), &PolicyRecord { hash, height: moment.block.height })?;
    let key = state_key::policy_text(&hash);
    if view.bytes(&key)?.is_none() {
        effect.put_bytes(key, change.text.clone().into_bytes());
    }
    effect.event(Event::PolicyChanged { hash });
    Ok(effect)
}

/// Those who are to govern must be there and be able to, or nobody could.
fn governors<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    constitution: &Constitution,
    governors: &Governors,
) -> Result<Effect, Stop> {
    if *governors == constitution.governors {
        return Err(Reject::GovernanceInvalid("they govern already".into()).into());
    }
    for member in &governors.members {
        match view.did(member)? {
            Some(record) if !record.deactivated => {}
            _ => {
                let reason = "a governor's DID is not on the ledger or deactivated";
                return Err(Reject::GovernanceSelfLock(reason.into()).into());
            }
        }
    }
    let mut effect = Effect::default();
    effect.put(state_key::GOVERNORS.to_owned(), governors)?;
    Ok(effect)
}

fn deny<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    change: &DenyAdd,
    moment: &Moment,
) -> Result<Effect, Stop> {
    // A supervisor's denial becomes one of governance, which no supervisor can take back.
    if view.denial(&change.target)?.is_some_and(|record| record.by.is_none()) {
        return Err(Reject::SupervisionExists.into());
    }
    put_denial(DenialRecord {
        target: change.target.clone(),
        reason: change.reason.clone(),
        by: None,
        reference: moment.reference.0,
        time: moment.block.time_ms,
    })
}

fn upgrade<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    constitution: &Constitution,
    upgrade: Upgrade,
    moment: &Moment,
) -> Result<Effect, Stop> {
    let invalid = |reason: &'static str| Err(Reject::GovernanceInvalid(reason.into()).into());
    if constitution.parameters.version.checked_add(1) != Some(upgrade.version) {
        return invalid("an upgrade leads to the next version");
    }
    if upgrade.height <= moment.block.height {
        return invalid("the upgrade's height is not after the proposal's");
    }
    if view.upgrade()?.is_some() {
        return invalid("an upgrade is scheduled already");
    }
    let mut effect = Effect::default();
    effect.put(state_key::UPGRADE.to_owned(), &upgrade)?;
    effect.event(Event::UpgradeScheduled { version: upgrade.version, height: upgrade.height });
    Ok(effect)
}
