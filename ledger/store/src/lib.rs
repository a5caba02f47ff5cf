//! The ledger's storage: finalized blocks, their state with a Jellyfish Merkle Tree, receipts, certificates and
//! witnesses; and above them, in memory, the blocks that are not final yet.
//!
//! The only crate that links RocksDB. All logic is written once over a small key-value abstraction, with a twin
//! in memory for simulation and tests. How a node uses it:
//!
//! ```text
//! Ledger::open(folder, genesis, config)       once; refuses a folder that is not this network's ledger
//! ledger.view(&parent)                        the state after a block, pending or final: execute on it
//! view.tree(&changes)                         the state root to put into, or compare with, the header
//! ledger.insert_pending(PendingBlock::new(block, executed, tree)?)
//! ledger.commit(&block, certificate)          the block is final: one synced write; other forks are dropped
//! ledger.state_proof(..), .receipt_proof(..)  answers with proofs
//! ledger.prune(..), .erase_witnesses(..)      short calls, made often beside the normal work
//! ```
//!
//! No value read from disk makes it panic: damage is [`StoreError::Corrupt`]. Results never depend on a setting.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod config;
mod error;
mod ledger;
mod pending;
mod storage;
#[cfg(test)]
mod tests;
mod tree;

pub use config::StoreConfig;
pub use error::StoreError;
pub use ledger::{
    Commit, Damage, DidVersion, ErasedWitnesses, Finality, Head, InstallStep, Installation, InstalledChange,
    Ledger, ProvenState, Pruned, TransactionPlace, Verification,
};
pub use pending::{PENDING_BLOCKS_MAX, PendingBlock, View};
pub use storage::MemoryStorage;
pub use tree::{EMPTY_ROOT, PendingTree};
