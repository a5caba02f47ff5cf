//! Who may do what: a set of Cedar policies in the state, changed by governance (specs/rules.md, "Policy").
//!
//! The rules say what is true (signatures, control, live grants, scopes); the policies say who may act on it.
//! This module turns a transaction into the question that policies answer, and their answer into a verdict:
//!
//! - a policy that fails to evaluate denies ([`Reject::PolicyError`]), although Cedar itself would leave it out;
//! - what no policy permits is refused, with the code that tells most: that a grant is revoked, say, before
//!   [`Reject::PolicyDenied`].
//!
//! An answer depends on nothing but the policy's text and the question, so equal questions are answered once ([`set`]).

mod input;
mod lock;
mod set;
#[cfg(test)]
mod tests;

use aval_codec::Hash;
use aval_did::DidRecord;
use aval_types::{Action, Reject};
use serde::Serialize;

use crate::authorize::{Case, Stop};
use crate::grant;
use crate::state::StateRead;
use crate::trust;

pub use input::Input;
pub use lock::self_lock;
pub use set::{Decision, Policy, PolicyInvalid};

/// The policy of a network whose genesis file has none.
pub const DEFAULT_POLICY: &str = include_str!("../../../../specs/policy/default.cedar");
/// What policies can ask about.
pub const POLICY_SCHEMA: &str = include_str!("../../../../specs/policy/schema.cedarschema");

/// The role that lets a DID write in its own name.
pub const ROLE_MEMBER: &str = "member";

/// The role that lets a DID vouch for others.
pub const ROLE_ENDORSER: &str = "endorser";

/// The role that lets a DID supervise everything; with a hyphen and a family of actions after it, that family.
pub const ROLE_SUPERVISOR: &str = "supervisor";

/// Why a transaction is allowed or denied, without any value that somebody sent or holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What the policies say; the rules of the ledger may refuse all the same.
    pub allowed: bool,
    /// SHA-256 of the policy's text.
    pub policy: Hash,
    /// Height of the block that put the policy in force.
    pub since: u64,
    /// The policies that decided: those that permit, or those that forbid; if none does either, those that could have
    /// permitted.
    pub policies: Vec<String>,
    /// What these policies ask about.
    pub attributes: Vec<String>,
    /// Why the ledger refuses the transaction, whether by policy or by another rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

impl<S: StateRead + ?Sized> Case<'_, S> {
    /// Asks the policies whether `subject` may do this, and notes which grant pays for it.
    pub(crate) fn expect_permit(&self, subject: &DidRecord) -> Result<(), Stop> {
        let policy = &self.constitution.policy;
        let input = self.policy_input(subject)?;
        match policy.decide(&input).verdict() {
            Ok(()) => self.pay(subject),
            Err(Reject::PolicyDenied) => Err(self.why_denied(subject)?.into()),
            Err(other) => Err(other.into()),
        }
    }

    /// The code that tells most about a denial.
    fn why_denied(&self, subject: &DidRecord) -> Result<Reject, Stop> {
        let role = |role: &str| grant::expect_role(self.view, subject, role, self.time_ms());
        let reason = match self.checked.action() {
            Action::DidCreate(action) => match &action.grant {
                Some(grant) if !grant.has_role(ROLE_MEMBER) => Err(Reject::GrantRole.into()),
                Some(_) => Ok(()),
                None => self.expect_endorsing_role(),
            },
            Action::DidUpdate(_) if self.payload().endorser().is_some() => self.expect_endorsing_role(),
            Action::DidUpdate(_) => role(ROLE_MEMBER),
            Action::RegistryCreate(_) | Action::RegistryUpdate(_) => {
                trust::expect_any_issuer(self.view, &subject.did, self.time_ms()).map(|_| ())
            }
            Action::AccreditationGrant(_) | Action::SchemaPublish(_) | Action::SchemaDeprecate(_) => {
                trust::expect_accreditor(self.view, &subject.did, self.time_ms()).map(|_| ())
            }
            Action::AnchorCreate(_) | Action::ServiceRegister(_) => role(ROLE_MEMBER),
            Action::GovernancePropose(_) | Action::GovernanceVote(_) => {
                match self.constitution.is_governor(&subject.did) {
                    true => Ok(()),
                    false => Err(Reject::GovernanceGovernor.into()),
                }
            }
            Action::SupervisionHold(_)
            | Action::SupervisionRelease(_)
            | Action::SupervisionDeny(_)
            | Action::SupervisionAllow(_) => role(ROLE_SUPERVISOR),
            Action::NodeRegister(action) => role(action.kind.role()),
            Action::DidRotate(_)
            | Action::DidDeactivate(_)
            | Action::CredentialPresent(_)
            | Action::NodeUpdate(_)
            | Action::NodeLeave(_)
            | Action::NodeEvidence(_)
            | Action::AccreditationRevoke(_)
            | Action::ServiceRemove(_) => Ok(()),
        };
        match reason {
            Ok(()) => Ok(Reject::PolicyDenied),
            Err(Stop::Reject(reject)) => Ok(reject),
            Err(failure) => Err(failure),
        }
    }

    fn expect_endorsing_role(&self) -> Result<(), Stop> {
        let Some(endorser) = self.payload().endorser() else { return Ok(()) };
        let record = self.expect_active(endorser.did())?;
        match grant::expect_role(self.view, &record, ROLE_ENDORSER, self.time_ms()) {
            Err(Stop::Reject(_)) => Err(Reject::EndorserGrant.into()),
            other => other,
        }
    }

    /// What the policies say of this transaction, for people. `code` is what the ledger says.
    pub(crate) fn explain(&self, code: Option<&'static str>) -> Result<Option<Explanation>, Stop> {
        let Some(actor) = self.actor()? else { return Ok(None) };
        let policy = &self.constitution.policy;
        let input = self.policy_input(&actor)?;
        let decision = policy.decide(&input);
        let policies = match decision.policies.is_empty() {
            true => policy.could_permit(input.action),
            false => decision.policies.clone(),
        };
        Ok(Some(Explanation {
            allowed: decision.verdict().is_ok(),
            policy: policy.hash(),
            since: self.constitution.policy_since,
            attributes: policy.attributes(&policies),
            policies,
            code,
        }))
    }
}
