//! Receipts: what became of a transaction in a block, and what the block did on its own (specs/wire.md, "Receipt").
//!
//! A receipt's bytes are compact JSON with a fixed order of fields. They are leaves of the block's receipts root,
//! so every node has to write the same bytes: [`Receipt::encode`] is the only way to make them, and decoding
//! refuses bytes that encoding would not give. An event names identifiers, never a claim.

use aval_codec::{Hash, Limits, hash, json, merkle, tag};
use serde::{Deserialize, Serialize};

use crate::{event::Event, reject::Reject, transaction::TransactionId};

/// Bytes of an encoded receipt: a bound for those who decode one from outside.
pub const RECEIPT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an encoded block receipt: the boundary of an epoch may tell of each validator.
pub const BLOCK_RECEIPT_BYTES_MAX: usize = 256 * 1024;

/// What became of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub transaction: TransactionId,
    /// Its place in the block.
    pub index: u32,
    /// The block's height.
    pub height: u64,
    /// The block's time, milliseconds since 1970.
    pub time_ms: u64,
    /// What happened.
    pub outcome: Outcome,
}

/// Whether a transaction took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did, and this is what changed.
    Applied(Vec<Event>),
    /// It was overtaken by an earlier transaction of its block; nothing changed.
    Rejected(Reject),
}

/// Why bytes are not a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the bytes of a receipt")]
pub struct ReceiptError;

/// The JSON of a receipt; the order of the fields is the order of the bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    transaction: TransactionId,
    index: u32,
    height: u64,
    time: u64,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Event>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Reject>,
}

impl Receipt {
    /// The bytes that are leaves of the receipts root.
    pub fn encode(&self) -> Vec<u8> {
        let (outcome, events, code) = match &self.outcome {
            Outcome::Applied(events) => ("applied", Some(events.clone()), None),
            Outcome::Rejected(reject) => ("rejected", None, Some(reject.clone())),
        };
        let wire = Wire {
            transaction: self.transaction,
            index: self.index,
            height: self.height,
            time: self.time_ms,
            outcome: outcome.to_owned(),
            events,
            code,
        };
        // Numbers and strings alone: serde_json has no way to fail on them.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads a receipt; refuses bytes that [`Self::encode`] would not give.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let wire: Wire =
            json::from_slice(bytes, Limits::bytes(RECEIPT_BYTES_MAX)).map_err(|_| ReceiptError)?;
        let outcome = match (wire.outcome.as_str(), wire.events, wire.code) {
            ("applied", Some(events), None) => Outcome::Applied(events),
            ("rejected", None, Some(reject)) => Outcome::Rejected(reject),
            _ => return Err(ReceiptError),
        };
        let receipt = Self {
            transaction: wire.transaction,
            index: wire.index,
            height: wire.height,
            time_ms: wire.time,
            outcome,
        };
        if receipt.encode() == bytes { Ok(receipt) } else { Err(ReceiptError) }
    }

    /// A name for the receipt's bytes.
    pub fn hash(&self) -> Hash {
        hash(tag::RECEIPT, &[&self.encode()])
    }

    /// Whether the transaction took effect.
    pub fn is_applied(&self) -> bool {
        matches!(self.outcome, Outcome::Applied(_))
    }
}

/// What a block did that no transaction of it asked for: governance that is due, the end of an epoch.
///
/// A block that did nothing on its own has none; otherwise it is the last leaf of the receipts root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockReceipt {
    /// The block's height.
    pub height: u64,
    /// The block's time, milliseconds since 1970.
    pub time_ms: u64,
    /// What happened, in order; at least one.
    pub events: Vec<Event>,
}

/// The JSON of a block receipt.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockWire {
    height: u64,
    time: u64,
    events: Vec<Event>,
}

impl BlockReceipt {
    /// The bytes of the leaf.
    pub fn encode(&self) -> Vec<u8> {
        let wire = BlockWire { height: self.height, time: self.time_ms, events: self.events.clone() };
        // Numbers and strings alone: serde_json has no way to fail on them.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads a block receipt; refuses bytes that [`Self::encode`] would not give, and one without events.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let wire: BlockWire =
            json::from_slice(bytes, Limits::bytes(BLOCK_RECEIPT_BYTES_MAX)).map_err(|_| ReceiptError)?;
        let receipt = Self { height: wire.height, time_ms: wire.time, events: wire.events };
        if receipt.events.is_empty() || receipt.encode() != bytes { Err(ReceiptError) } else { Ok(receipt) }
    }
}

/// Root over the receipts of a block, in the order of its transactions, and over its own receipt if it has one.
pub fn receipts_root(receipts: &[Receipt]) -> Hash {
    let leaves: Vec<Vec<u8>> = receipts.iter().map(Receipt::encode).collect();
    merkle::root(&leaves)
}
