//! Nodes as members: what is registered about them and what the ledger keeps (specs/wire.md, "Nodes").
//!
//! A node is its network key. An operator's DID answers for it; the key proves with a signature of its own that it
//! wants to stand there, so nobody can register another's key.

use std::net::SocketAddr;

use aval_codec::{Hash, b64u, tag};
use aval_did::{Algorithm, Did, PublicKey, syntax::is_network_label};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{limits, network::NetworkId, reject::Reject};

/// What sector and region are called where nothing was said.
pub const UNSPECIFIED: &str = "unspecified";

/// What a node is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// Makes blocks when it is selected; until then it waits and follows.
    Validator,
    /// Follows and serves reads.
    Observer,
}

impl NodeKind {
    /// The role that the operator's grant has to give.
    pub const fn role(self) -> &'static str {
        match self {
            Self::Validator => "operator",
            Self::Observer => "observer",
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Observer => "observer",
        }
    }
}

/// The proof of possession: the node key's signature over network, operator and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Possession(pub [u8; 64]);

impl Possession {
    /// The bytes that the node key signs. They begin with an ASCII letter in lower case, votes never do.
    pub fn signed_bytes(network: &NetworkId, operator: &Did, key: &[u8; 32]) -> Vec<u8> {
        let (network, operator) = (network.to_string(), operator.to_string());
        [tag::NODE.as_bytes(), &[0], network.as_bytes(), &[0], operator.as_bytes(), &[0], key].concat()
    }

    /// Whether the node key stands behind this operator in this network.
    pub fn holds(&self, network: &NetworkId, operator: &Did, key: &PublicKey) -> bool {
        let PublicKey::Ed25519(bytes) = key else { return false };
        let message = Self::signed_bytes(network, operator, bytes);
        key.verify(Algorithm::EdDsa, &message, &self.0).is_ok()
    }
}

impl Serialize for Possession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&b64u::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Possession {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        b64u::decode_array(String::deserialize(deserializer)?).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A node in the state, under `node/<key hex>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeRecord {
    /// The Ed25519 network key.
    pub key: PublicKey,
    /// What it is there for.
    pub kind: NodeKind,
    /// What people call it.
    pub name: String,
    /// Who answers for it.
    pub operator: Did,
    /// Where it listens for other nodes.
    pub addresses: Vec<SocketAddr>,
    /// The sector of its operator, for diversity.
    pub sector: String,
    /// The region that it stands in, for diversity.
    pub region: String,
    /// Height of the block that registered it; 0 for those of genesis.
    pub registered: u64,
    /// It is a validator of genesis that stands on the genesis file. Ends for good once its operator has a live grant
    /// as operator: from then on it stands on its credential alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub founding: bool,
    /// Its operator asked to take it out of the set; it leaves at the end of an epoch.
    #[serde(default, skip_serializing_if = "is_false")]
    pub leaving: bool,
    /// Why it may not validate for a time, or any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspension>,
}

/// A suspension from validating.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Since when, milliseconds since 1970.
    pub since: u64,
    /// When it ends, milliseconds since 1970; never if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Why.
    pub cause: SuspensionCause,
}

/// Why a node is suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum SuspensionCause {
    /// It was seen in fewer of an epoch's windows than the service level asks for.
    ServiceLevel(Service),
    /// It signed two votes that contradict each other: the proof is under `evidence/<id>`.
    Equivocation(Hash),
    /// The governors have voted it out.
    Expelled,
}

/// How often a validator was seen in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// The epoch.
    pub epoch: u64,
    /// In how many windows it was seen.
    pub present: u64,
    /// Of how many.
    pub windows: u64,
}

impl Service {
    /// Whether the service level is kept. An epoch without a full window says nothing.
    pub const fn reaches(&self, percent: u32) -> bool {
        self.present.saturating_mul(100) >= self.windows.saturating_mul(percent as u64)
    }
}

impl Suspension {
    /// Whether it is in force.
    pub fn is_on(&self, time_ms: u64) -> bool {
        self.until.is_none_or(|until| time_ms < until)
    }
}

/// A validator in force; the state has them under `validators`, ascending by the bytes of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorEntry {
    /// Its key.
    pub key: PublicKey,
    /// The first epoch that it is in the set for, without a break.
    pub since: u64,
    /// Height of the block after which nothing held it in the set any more: it leaves when the rules let it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<u64>,
}

/// Who was seen in the present epoch; in the state under `participation`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participation {
    /// The epoch.
    pub epoch: u64,
    /// Full windows so far.
    pub windows: u64,
    /// In how many of them each validator was seen, in the order of the set.
    pub present: Vec<u64>,
}

/// A fault proof in the state, under `evidence/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRecord {
    /// The validator's key.
    pub key: PublicKey,
    /// One vote.
    pub first: crate::vote::Vote,
    /// The other one.
    pub second: crate::vote::Vote,
    /// Who showed it.
    pub submitter: Did,
    /// Height of the block that has it.
    pub height: u64,
    /// The time of that block, milliseconds since 1970.
    pub time: u64,
}

/// The bytes of a network key, `None` if it is not an Ed25519 key.
pub const fn key_bytes(key: &PublicKey) -> Option<[u8; 32]> {
    match key {
        PublicKey::Ed25519(bytes) => Some(*bytes),
        PublicKey::P256(_) => None,
    }
}

/// Checks what an operator says about a node.
pub fn validate_addresses(kind: Option<NodeKind>, addresses: &[SocketAddr]) -> Result<(), Reject> {
    let least = if kind == Some(NodeKind::Validator) { 1 } else { 0 };
    if !(least..=limits::NODE_ADDRESSES_MAX).contains(&addresses.len()) {
        return Err(Reject::NodeInvalid("a validator has 1 to 4 addresses, an observer up to 4".into()));
    }
    let unusable = |address: &SocketAddr| address.port() == 0 || address.ip().is_unspecified();
    let twice =
        |index: usize| addresses.iter().skip(index + 1).any(|other| Some(other) == addresses.get(index));
    if addresses.iter().any(unusable) || (0..addresses.len()).any(twice) {
        return Err(Reject::NodeInvalid("an address is unusable or named twice".into()));
    }
    Ok(())
}

/// Checks a node's name, sector or region.
pub(crate) fn validate_label(text: &str, what: &'static str) -> Result<(), Reject> {
    if is_network_label(text) { Ok(()) } else { Err(Reject::NodeInvalid(what.into())) }
}

fn is_false(value: &bool) -> bool {
    !*value
}
