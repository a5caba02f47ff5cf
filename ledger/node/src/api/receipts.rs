//! The leaves of a block's receipts, as the interface reads them.

use aval_store::StoreError;
use aval_types::{BlockReceipt, Event, Outcome, Receipt, TransactionId};

/// A leaf of a block's receipts root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaf {
    /// What became of a transaction.
    Transaction(Receipt),
    /// What the block did on its own.
    Block(BlockReceipt),
}

/// Reads a leaf that this node's own ledger keeps.
pub(super) fn decode(height: u64, bytes: &[u8]) -> Result<Leaf, StoreError> {
    Receipt::decode(bytes)
        .map(Leaf::Transaction)
        .or_else(|_| BlockReceipt::decode(bytes).map(Leaf::Block))
        .map_err(|_| StoreError::Corrupt { what: format!("a receipt of block {height} is unreadable") })
}

impl Leaf {
    /// What changed.
    pub(super) fn events(&self) -> &[Event] {
        match self {
            Self::Transaction(Receipt { outcome: Outcome::Applied(events), .. }) => events,
            Self::Transaction(_) => &[],
            Self::Block(receipt) => &receipt.events,
        }
    }

    /// The block's time, milliseconds since 1970.
    pub(super) fn time_ms(&self) -> u64 {
        match self {
            Self::Transaction(receipt) => receipt.time_ms,
            Self::Block(receipt) => receipt.time_ms,
        }
    }

    /// The transaction, if it is a transaction's receipt.
    pub(super) fn transaction(&self) -> Option<&TransactionId> {
        match self {
            Self::Transaction(receipt) => Some(&receipt.transaction),
            Self::Block(_) => None,
        }
    }

    /// Where it is, inside of its proof.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Transaction(receipt) => format!("/v1/transactions/{}/receipt", receipt.transaction),
            Self::Block(receipt) => format!("/v1/blocks/{}/receipt", receipt.height),
        }
    }
}
