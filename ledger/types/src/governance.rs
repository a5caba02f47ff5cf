//! Governance: what governors may propose, and what the ledger keeps of it (specs/rules.md, "Governance").
//!
//! A proposal names one change and the height at which it is executed if enough governors approve. Its id is
//! that of the transaction that made it.

use aval_codec::{Json, JsonError, json};
use aval_did::{Did, PublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    accreditation::AccreditedType,
    genesis::Governors,
    parameters::ParametersChange,
    reject::Reject,
    supervision::{Target, is_line},
    transaction::TransactionId,
};

/// Governors at most.
pub const GOVERNORS_MAX: usize = 64;
/// Characters of a proposal's title.
pub const TITLE_LENGTH_MAX: usize = 120;
/// Proposals of one governor that have no outcome yet.
pub const OPEN_PER_GOVERNOR_MAX: usize = 8;
/// Proposals that are executed at one height.
pub const AGENDA_MAX: usize = 16;
/// How far ahead a proposal may be executed, blocks.
pub const AHEAD_BLOCKS_MAX: u64 = 10_000_000;
/// Bytes of a policy's text.
pub const POLICY_BYTES_MAX: usize = 64 * 1024;

/// `governance.propose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GovernancePropose {
    /// What is to change.
    pub change: Change,
    /// The height at which it is executed.
    pub execute_at: u64,
    /// One line for people.
    pub title: String,
}

/// `governance.vote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GovernanceVote {
    /// The proposal.
    pub proposal: TransactionId,
    /// For or against.
    pub approve: bool,
}

/// What governance may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Change {
    /// Parameters of the network.
    #[serde(rename = "parameters")]
    Parameters(ParametersChange),
    /// Who may do what.
    #[serde(rename = "policy")]
    Policy(PolicyChange),
    /// Who governs.
    #[serde(rename = "governors")]
    Governors(Governors),
    /// A root of accreditation is made, or gets other terms.
    #[serde(rename = "root.add")]
    RootAdd(RootAdd),
    /// A root of accreditation ends, and with it what stands on it.
    #[serde(rename = "root.remove")]
    RootRemove(RootRemove),
    /// A DID or a node is shut out.
    #[serde(rename = "deny.add")]
    DenyAdd(DenyAdd),
    /// It is let in again.
    #[serde(rename = "deny.remove")]
    DenyRemove(DenyRemove),
    /// A node may not validate any more, for good.
    #[serde(rename = "node.expel")]
    NodeExpel(NodeExpel),
    /// A hold of a supervisor ends.
    #[serde(rename = "hold.lift")]
    HoldLift(HoldLift),
    /// From a height on, another version of the protocol is in force.
    #[serde(rename = "upgrade")]
    Upgrade(Upgrade),
}

/// A new policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// Its whole text.
    pub text: String,
}

/// A root to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootAdd {
    /// Its DID.
    pub did: Did,
    /// Which credential types.
    pub types: Vec<AccreditedType>,
    /// How many links may stand below it.
    pub depth: u8,
    /// When it ends, milliseconds since 1970.
    pub expires: u64,
}

/// A root to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootRemove {
    /// Its DID.
    pub did: Did,
}

/// Somebody to shut out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyAdd {
    /// Whom.
    pub target: Target,
    /// Why.
    pub reason: String,
}

/// Somebody to let in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyRemove {
    /// Whom.
    pub target: Target,
}

/// A node to expel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeExpel {
    /// Its key.
    pub key: PublicKey,
    /// Why.
    pub reason: String,
}

/// A hold to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldLift {
    /// The hold.
    pub hold: TransactionId,
}

/// Another version of the protocol; also the value of `upgrade` in the state until its height is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The version.
    pub version: u32,
    /// The first block under it.
    pub height: u64,
}

impl Change {
    /// Reads a change from strictly read JSON.
    pub fn from_json(value: Json) -> Result<Self, JsonError> {
        let (kind, members) = value.split_tag("type")?;
        match kind.as_str() {
            "parameters" => json::from_json(members).map(Self::Parameters),
            "policy" => json::from_json(members).map(Self::Policy),
            "governors" => json::from_json(members).map(Self::Governors),
            "root.add" => json::from_json(members).map(Self::RootAdd),
            "root.remove" => json::from_json(members).map(Self::RootRemove),
            "deny.add" => json::from_json(members).map(Self::DenyAdd),
            "deny.remove" => json::from_json(members).map(Self::DenyRemove),
            "node.expel" => json::from_json(members).map(Self::NodeExpel),
            "hold.lift" => json::from_json(members).map(Self::HoldLift),
            "upgrade" => json::from_json(members).map(Self::Upgrade),
            _ => Err(JsonError::Shape("there is no change of this type".to_owned())),
        }
    }

    /// The `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Parameters(_) => "parameters",
            Self::Policy(_) => "policy",
            Self::Governors(_) => "governors",
            Self::RootAdd(_) => "root.add",
            Self::RootRemove(_) => "root.remove",
            Self::DenyAdd(_) => "deny.add",
            Self::DenyRemove(_) => "deny.remove",
            Self::NodeExpel(_) => "node.expel",
            Self::HoldLift(_) => "hold.lift",
            Self::Upgrade(_) => "upgrade",
        }
    }

    /// The DIDs that the change names.
    pub fn dids(&self) -> Vec<&Did> {
        match self {
            Self::Governors(governors) => governors.members.iter().collect(),
            Self::RootAdd(change) => vec![&change.did],
            Self::RootRemove(change) => vec![&change.did],
            Self::DenyAdd(change) => change.target.did().into_iter().collect(),
            Self::DenyRemove(change) => change.target.did().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Checks shapes and bounds, which need no state.
    pub fn validate(&self) -> Result<(), Reject> {
        let invalid = |detail: &'static str| Err(Reject::GovernanceInvalid(detail.into()));
        match self {
            Self::Policy(change) if change.text.len() > POLICY_BYTES_MAX => {
                invalid("a policy has 64 KiB at most")
            }
            Self::Governors(governors) => validate_governors(governors),
            Self::DenyAdd(DenyAdd { reason, .. }) | Self::NodeExpel(NodeExpel { reason, .. })
                if !is_line(reason) =>
            {
                invalid("a reason is one line of 1 to 280 characters")
            }
            Self::DenyAdd(change) => change.target.validate_for_denial(),
            Self::DenyRemove(change) => change.target.validate_for_denial(),
            Self::Upgrade(upgrade) if upgrade.version == 0 => invalid("versions begin with 1"),
            _ => Ok(()),
        }
    }
}

fn validate_governors(governors: &Governors) -> Result<(), Reject> {
    let members = &governors.members;
    if !(1..=GOVERNORS_MAX).contains(&members.len()) {
        return Err(Reject::GovernanceInvalid("there are 1 to 64 governors".into()));
    }
    if members.iter().enumerate().any(|(index, one)| members.iter().take(index).any(|other| other == one)) {
        return Err(Reject::GovernanceInvalid("a governor is listed twice".into()));
    }
    let threshold = usize::try_from(governors.threshold).unwrap_or(usize::MAX);
    if !(1..=members.len()).contains(&threshold) {
        return Err(Reject::GovernanceInvalid(
            "the threshold is not between 1 and the number of governors".into(),
        ));
    }
    Ok(())
}

impl GovernancePropose {
    /// Reads the members of the action.
    pub(crate) fn from_json(members: Json) -> Result<Self, JsonError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Rest {
            execute_at: u64,
            title: String,
        }
        let mut members = members.into_object().unwrap_or_default();
        let change = members.remove("change").ok_or(JsonError::Shape("missing member change".to_owned()))?;
        let rest: Rest = json::from_json(Json::Object(members))?;
        Ok(Self { change: Change::from_json(change)?, execute_at: rest.execute_at, title: rest.title })
    }

    /// Checks shapes and bounds, which need no state.
    pub fn validate(&self) -> Result<(), Reject> {
        if !is_line(&self.title) || self.title.chars().count() > TITLE_LENGTH_MAX {
            return Err(Reject::GovernanceInvalid("a title is one line of 1 to 120 characters".into()));
        }
        self.change.validate()
    }
}

/// A proposal in the state, under `proposal/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProposalRecord {
    /// The transaction that made it.
    pub id: TransactionId,
    /// The governor who made it.
    pub proposer: Did,
    /// One line for people.
    pub title: String,
    /// What is to change.
    pub change: Change,
    /// The height at which it is executed.
    pub execute_at: u64,
    /// Time of the block that made it, milliseconds since 1970.
    pub created: u64,
    /// When voting ends, milliseconds since 1970, if the height does not come first.
    pub closes: u64,
    /// The votes, in their order.
    pub votes: Vec<Vote>,
    /// What became of it; nothing yet if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ProposalOutcome>,
}

/// A governor's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Who voted.
    pub governor: Did,
    /// For or against.
    pub approve: bool,
    /// Time of the block that has it, milliseconds since 1970.
    pub time: u64,
}

/// What became of a proposal at its height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalOutcome {
    /// How it ended.
    pub result: ProposalResult,
    /// Approvals of those who were governors at that height.
    pub approvals: u32,
    /// Approvals that it took.
    pub threshold: u32,
    /// Why an approved change could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Reject>,
}

/// How a proposal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProposalResult {
    /// The change was made.
    Executed,
    /// Too few governors approved.
    Rejected,
    /// Approved, but no longer possible; nothing changed.
    Failed,
}

/// A proposal without an outcome, in the list under `proposals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenProposal {
    /// The proposal.
    pub id: TransactionId,
    /// Who made it.
    pub proposer: Did,
    /// The height at which it is executed.
    pub execute_at: u64,
}

/// Which policy is in force, under `policy`; its text is under `policy/<hash>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRecord {
    /// SHA-256 of the text.
    pub hash: aval_codec::Hash,
    /// Height of the block that put it in force.
    pub height: u64,
}
