//! Supervision: holds and denials, and what the ledger keeps of them (specs/rules.md, "Supervision").
//!
//! Reason and legal basis are on the ledger for everybody to read: they name a law or a file, never a person.

use aval_codec::Hash;
use aval_did::{Did, PublicKey};
use serde::{Deserialize, Serialize};

use crate::{action::Action, reject::Reject, transaction::TransactionId};

/// Characters of a reason and of a legal basis.
pub const LINE_LENGTH_MAX: usize = 280;
/// Holds in force at a time.
pub const HOLDS_MAX: usize = 256;
/// How long a hold may last, milliseconds.
pub const HOLD_MS_MAX: u64 = 366 * 86_400_000;

/// Whom or what a measure is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A DID.
    Did(Did),
    /// A kind of action, whoever sends it.
    Action(String),
    /// A node, by its key.
    Node(PublicKey),
}

/// `supervision.hold`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SupervisionHold {
    /// A DID or a kind of action.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// By which law or rule.
    pub legal_basis: String,
    /// When it ends, milliseconds since 1970.
    pub expires: u64,
}

/// `supervision.release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisionRelease {
    /// The hold.
    pub hold: TransactionId,
}

/// `supervision.deny`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisionDeny {
    /// A DID or a node.
    pub target: Target,
    /// Why.
    pub reason: String,
}

/// `supervision.allow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisionAllow {
    /// A DID or a node that a supervisor has denied.
    pub target: Target,
}

/// Whether text is one line: 1 to 280 characters, none of them a control character.
pub fn is_line(text: &str) -> bool {
    (1..=LINE_LENGTH_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whether a kind of action may be held as a kind. Not what governs, what supervises, and what only needs a DID's own
/// control: a supervisor must not be able to lock out governors, or to keep a stolen key in.
pub fn is_holdable(kind: &str) -> bool {
    let exempt = ["governance.", "supervision."].iter().any(|family| kind.starts_with(family));
    Action::KINDS.contains(&kind) && !exempt && !matches!(kind, "did.rotate" | "did.deactivate")
}

impl Target {
    /// The DID, if it is one.
    pub const fn did(&self) -> Option<&Did> {
        match self {
            Self::Did(did) => Some(did),
            _ => None,
        }
    }

    fn validate_for_hold(&self) -> Result<(), Reject> {
        match self {
            Self::Did(_) => Ok(()),
            Self::Action(kind) if is_holdable(kind) => Ok(()),
            Self::Action(_) => Err(Reject::SupervisionInvalid("actions of this kind cannot be held".into())),
            Self::Node(_) => Err(Reject::SupervisionInvalid("a node is denied, not held".into())),
        }
    }

    pub(crate) fn validate_for_denial(&self) -> Result<(), Reject> {
        match self {
            Self::Did(_) | Self::Node(PublicKey::Ed25519(_)) => Ok(()),
            Self::Node(_) => Err(Reject::SupervisionInvalid("a node's key is an Ed25519 key".into())),
            Self::Action(_) => Err(Reject::SupervisionInvalid("an action is held, not denied".into())),
        }
    }
}

impl SupervisionHold {
    /// Checks shapes and bounds, which need no state.
    pub fn validate(&self) -> Result<(), Reject> {
        if !is_line(&self.reason) || !is_line(&self.legal_basis) {
            return Err(Reject::SupervisionInvalid(
                "reason and legal basis are lines of 1 to 280 characters".into(),
            ));
        }
        self.target.validate_for_hold()
    }
}

impl SupervisionDeny {
    /// Checks shapes and bounds, which need no state.
    pub fn validate(&self) -> Result<(), Reject> {
        if !is_line(&self.reason) {
            return Err(Reject::SupervisionInvalid("a reason is a line of 1 to 280 characters".into()));
        }
        self.target.validate_for_denial()
    }
}

impl SupervisionAllow {
    /// Checks shapes and bounds, which need no state.
    pub fn validate(&self) -> Result<(), Reject> {
        self.target.validate_for_denial()
    }
}

/// A hold in the state, under `hold/<id>`, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldRecord {
    /// The transaction that placed it.
    pub id: TransactionId,
    /// What is held.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// By which law or rule.
    pub legal_basis: String,
    /// When it ends, milliseconds since 1970.
    pub expires: u64,
    /// The supervisor who placed it.
    pub author: Did,
    /// Time of the block that has it, milliseconds since 1970.
    pub created: u64,
    /// How it ended before it expired, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Release>,
}

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The supervisor who released it; left out if governance did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Did>,
    /// The transaction that released it, or the proposal.
    pub reference: Hash,
    /// Time of the block, milliseconds since 1970.
    pub time: u64,
}

/// A hold in force, in the list under `holds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldInForce {
    /// The hold.
    pub hold: TransactionId,
    /// What is held.
    pub target: Target,
    /// When it ends, milliseconds since 1970.
    pub expires: u64,
}

/// A denial in the state, under `deny/did/<did>` or `deny/node/<key hex>`, as long as it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenialRecord {
    /// Who is shut out.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// The supervisor who did it; left out if governance did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Did>,
    /// The transaction, or the proposal.
    pub reference: Hash,
    /// Time of the block, milliseconds since 1970.
    pub time: u64,
}
