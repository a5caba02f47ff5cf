//! What a bundle shows, and what no bundle can.

use std::collections::BTreeMap;

use aval_codec::Hash;
use aval_types::{Event, Header, NetworkId};
use serde::Serialize;

/// What even a bundle that holds does not show; a report says so.
pub const UNSHOWN: [&str; 5] = [
    "that the state roots follow from the blocks: a quorum of validators vouches for outcome and state, and \
     whoever wants to see it executes the blocks, as a node does that syncs from genesis",
    "what presentations said: they are replaced by their hashes, and validators erase them when their retention \
     is over",
    "that the last block is the newest: a bundle ends where it was asked to end",
    "that the keys of a validator set were not used again after it retired: compare the last digest with \
     another source",
    "that the genesis hash is the right one: compare it on another way",
];

/// What a bundle that holds says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// The network.
    pub network: NetworkId,
    /// The genesis hash that everything was checked against.
    pub genesis: Hash,
    /// The first height.
    pub from: u64,
    /// The last height.
    pub to: u64,
    /// The first block's time, milliseconds since 1970.
    pub from_time: u64,
    /// The last block's time.
    pub to_time: u64,
    /// Digest of the last block.
    pub digest: Hash,
    /// State root after the last block.
    pub state_root: Hash,
    /// Blocks.
    pub blocks: u64,
    /// Transactions, all with signatures that verify.
    pub transactions: u64,
    /// Transactions that took effect.
    pub applied: u64,
    /// Transactions that were overtaken in their block.
    pub rejected: u64,
    /// Transactions with a presentation beside them, of which the hash is there.
    pub presentations: u64,
    /// Certificates, each by a quorum of the validators in force.
    pub certificates: u64,
    /// Changes of the validator set that were followed.
    pub set_changes: u64,
    /// Events by type.
    pub events: BTreeMap<String, u64>,
}

impl AuditReport {
    pub(super) fn new(network: NetworkId, first: u64) -> Self {
        Self {
            genesis: network.genesis(),
            network,
            from: first,
            to: first,
            from_time: 0,
            to_time: 0,
            digest: Hash::ZERO,
            state_root: Hash::ZERO,
            blocks: 0,
            transactions: 0,
            applied: 0,
            rejected: 0,
            presentations: 0,
            certificates: 0,
            set_changes: 0,
            events: BTreeMap::new(),
        }
    }

    pub(super) fn add_events(&mut self, events: &[Event]) {
        for event in events {
            let written = serde_json::to_value(event).unwrap_or_default();
            let kind = written.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
            *self.events.entry(kind.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn add_block(&mut self, header: &Header) {
        if self.blocks == 0 {
            self.from_time = header.time_ms;
        }
        self.blocks += 1;
        self.to = header.height;
        self.to_time = header.time_ms;
        self.digest = header.digest();
        self.state_root = header.state_root;
    }
}
