//! Pruning: forgetting how the state was, never what it is or what happened.
//!
//! Headers, bodies, receipts and DID versions stay for good. What goes is tree nodes and overwritten values that
//! only heights below the configured history need.

use std::sync::atomic::Ordering;

use super::{Ledger, keys, keys::Chain};
use crate::error::StoreError;
use crate::storage::{Batch, Column};

/// Views of blocks that are about to become final, and answers under way, stand on heights that stay.
const HISTORY_HEIGHTS_MIN: u64 = 256;

/// What one call of [`Ledger::prune`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Rows deleted.
    pub rows: usize,
    /// The oldest height that is still kept whole.
    pub oldest: u64,
    /// True if nothing is left to prune now.
    pub is_done: bool,
}

impl Ledger {
    /// Deletes what the configured history no longer needs, of at most `heights_max` heights.
    ///
    /// Short calls are meant to be made often, beside the normal work. Without a configured history nothing is pruned.
    pub fn prune(&self, heights_max: usize) -> Result<Pruned, StoreError> {
        let _writer = self.writer();
        let before = self.oldest_height();
        let nothing = Pruned { rows: 0, oldest: before, is_done: true };
        let (Some(history), Some(head)) = (self.inner.config.history_heights, self.head()) else {
            return Ok(nothing);
        };
        let target = head.height().saturating_sub(history.max(HISTORY_HEIGHTS_MIN));
        if target <= before {
            return Ok(nothing);
        }
        // A row that was overwritten at height h is needed below h only, so all up to the target may go.
        let (from, to) = (keys::chain(Chain::Undo, 0), keys::chain(Chain::Undo, target + 1));
        let undo_rows = self.storage().scan(Column::Chain, &from, &to, heights_max)?;
        let is_done = undo_rows.len() < heights_max;
        let mut batch = Batch::default();
        let mut oldest = before;
        for (key, row) in undo_rows {
            let height = keys::chain_height(&key)?;
            let undo = keys::Undo::decode(&row)?;
            for node in undo.nodes {
                batch.delete(Column::Nodes, node);
            }
            for key_hash in undo.history {
                batch.delete(Column::History, keys::history(&key_hash, height));
            }
            batch.delete(Column::Chain, key);
            oldest = height;
        }
        let oldest = if is_done { target } else { oldest.max(before) };
        let rows = batch.len();
        batch.put(Column::Meta, keys::OLDEST.to_vec(), keys::number(oldest));
        // Raised first, so that no reader takes a row that is just going for a damage. Losing the write in a crash is
        // fine: the same rows are pruned again.
        self.inner.oldest.store(oldest, Ordering::SeqCst);
        self.storage().write(batch, false)?;
        Ok(Pruned { rows, oldest, is_done })
    }
}
