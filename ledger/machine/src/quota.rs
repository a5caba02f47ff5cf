//! How much a grant may be used: a sliding window over two counters, in integers (specs/rules.md, "Quotas").
//!
//! Time is cut into windows of `quota.windowMs`. A grant counts its uses in the present window and remembers
//! those of the one before; what of the latter still lies in the sliding window is taken in proportion. The
//! counters are in the record of the DID that holds the grant, which most of what is charged writes anyway.

use aval_did::DidRecord;
use aval_did::record::GrantUse;
use aval_types::parameters::QuotaParameters;
use aval_types::{Action, Reject};

use crate::authorize::{Case, Stop};
use crate::grant::LiveGrant;
use crate::policy::{ROLE_ENDORSER, ROLE_MEMBER, ROLE_SUPERVISOR};
use crate::sabotage::{self, Sabotage};
use crate::state::StateRead;

/// A use that was decided on and is written with everything else.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    /// The record of the DID that holds the grant, as it was read.
    pub(crate) payer: DidRecord,
    /// Its counters after this use.
    pub(crate) used: Vec<GrantUse>,
}

/// The role whose grant pays for an action; `None` for what has bounds of its own: joining and presenting use
/// up a credential, control operations an allowance, proposals a place; and taking a credential back must
/// always be possible.
const fn charged_role(action: &Action, endorsed: bool) -> Option<&'static str> {
    match action {
        Action::DidCreate(_) | Action::DidUpdate(_) if endorsed => Some(ROLE_ENDORSER),
        Action::DidUpdate(_) | Action::AnchorCreate(_) | Action::ServiceRegister(_) => Some(ROLE_MEMBER),
        Action::SupervisionHold(_)
        | Action::SupervisionRelease(_)
        | Action::SupervisionDeny(_)
        | Action::SupervisionAllow(_) => Some(ROLE_SUPERVISOR),
        Action::NodeRegister(action) => Some(action.kind.role()),
        Action::DidCreate(_)
        | Action::DidRotate(_)
        | Action::DidDeactivate(_)
        | Action::CredentialPresent(_)
        | Action::RegistryCreate(_)
        | Action::RegistryUpdate(_)
        | Action::GovernancePropose(_)
        | Action::GovernanceVote(_)
        | Action::NodeUpdate(_)
        | Action::NodeLeave(_)
        | Action::NodeEvidence(_)
        | Action::AccreditationGrant(_)
        | Action::AccreditationRevoke(_)
        | Action::SchemaPublish(_)
        | Action::SchemaDeprecate(_)
        | Action::ServiceRemove(_) => None,
    }
}

impl<S: StateRead + ?Sized> Case<'_, S> {
    /// Charges the action to a grant: one that gives the role it rests on, or, if a policy permits it without
    /// that role, any live one. Refused if none of them has room.
    pub(crate) fn pay(&self, subject: &DidRecord) -> Result<(), Stop> {
        let endorser = self.endorser_record()?;
        let Some(role) = charged_role(self.checked.action(), endorser.is_some()) else { return Ok(()) };
        let payer = endorser.unwrap_or_else(|| subject.clone());
        let live = self.live_grants(&payer)?;
        let gives = |grant: &&LiveGrant| grant.roles.iter().any(|own| is_role(own, role));
        let mut of_role = live.iter().filter(gives).peekable();
        let room = match of_role.peek() {
            Some(_) => self.first_with_room(&payer, of_role),
            None if live.is_empty() => return Ok(()),
            None => self.first_with_room(&payer, live.iter()),
        };
        let used = room.ok_or(Reject::QuotaExceeded)?;
        self.payment.replace(Some(Payment { payer, used }));
        Ok(())
    }

    fn first_with_room<'live>(
        &self,
        payer: &DidRecord,
        mut grants: impl Iterator<Item = &'live LiveGrant>,
    ) -> Option<Vec<GrantUse>> {
        let quota = &self.constitution.parameters.quota;
        grants.find_map(|live| {
            let before = payer.used.iter().find(|used| used.grant == live.id.0).copied();
            let limit = quota.limit(&live.credential_type);
            let after = spend(before.unwrap_or(GrantUse::new(live.id.0)), quota, limit, self.time_ms())?;
            // Counters of grants that the DID no longer holds, or did not use of late, say nothing any more.
            let window = self.time_ms() / quota.window_ms;
            let is_kept = |used: &&GrantUse| {
                used.grant != live.id.0
                    && used.window.saturating_add(1) >= window
                    && payer.grants.contains(&used.grant)
            };
            Some(payer.used.iter().filter(is_kept).copied().chain([after]).collect())
        })
    }
}

/// A scoped role (`supervisor-did`) is the role as well.
fn is_role(own: &str, role: &str) -> bool {
    own == role || own.strip_prefix(role).is_some_and(|rest| rest.starts_with('-'))
}

/// One more use, or nothing if the sliding window is full.
fn spend(counter: GrantUse, quota: &QuotaParameters, limit: u32, time_ms: u64) -> Option<GrantUse> {
    let window = time_ms / quota.window_ms;
    let (used, before) = match window.checked_sub(counter.window) {
        Some(0) => (counter.used, counter.before),
        Some(1) => (0, counter.used),
        _ => (0, 0),
    };
    // Of the window before, as much counts as still lies within one length of now.
    let rest_ms = u128::from(quota.window_ms - time_ms % quota.window_ms);
    let window_ms = u128::from(quota.window_ms);
    let sum = u128::from(before) * rest_ms + (u128::from(used) + 1) * window_ms;
    let is_full = sum > u128::from(limit) * window_ms && !sabotage::is(Sabotage::SkipQuota);
    (!is_full).then(|| GrantUse { grant: counter.grant, window, used: used.saturating_add(1), before })
}

#[cfg(test)]
mod tests {
    use aval_codec::Hash;

    use super::*;

    fn quota() -> QuotaParameters {
        QuotaParameters { window_ms: 1_000, ..QuotaParameters::default() }
    }

    fn uses(times: &[u64], limit: u32) -> Vec<bool> {
        let mut counter = GrantUse::new(Hash::new([1; 32]));
        let mut one = |time_ms: &u64| match spend(counter, &quota(), limit, *time_ms) {
            Some(after) => {
                counter = after;
                true
            }
            None => false,
        };
        times.iter().map(&mut one).collect()
    }

    #[test]
    fn a_window_takes_as_many_uses_as_the_limit_says() {
        assert_eq!(uses(&[5_000, 5_001, 5_002, 5_999], 3), [true, true, true, false]);
    }

    #[test]
    fn the_window_slides_so_that_no_boundary_doubles_the_limit() {
        // Four at the end of one window leave room in the next only as they fall out of the last second.
        let times = [5_999, 5_999, 5_999, 5_999, 6_000, 6_250, 6_251, 6_500, 6_999, 7_000];
        assert_eq!(uses(&times, 4), [true, true, true, true, false, true, false, true, true, true]);
    }

    #[test]
    fn an_old_window_is_forgotten() {
        assert_eq!(uses(&[5_000, 5_000, 7_000, 7_000, 7_000], 2), [true, true, true, true, false]);
    }
}
