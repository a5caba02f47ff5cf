//! Pruning: forgetting how the state was, and, where blocks are not kept either, what happened; never what is.
//!
//! With a configured history, tree nodes and overwritten values that only heights below it need go. With a configured
//! number of blocks, past versions of DIDs go as well, and older blocks with their receipts and indexes, as far as
//! nothing needs them: neither the replay window, nor a node that restarts, nor erasing their witnesses. Headers and
//! certificates of changes of the validator set stay always: they are the trust chain.

use std::sync::atomic::Ordering;

use aval_codec::Hash;
use aval_types::{Receipt, limits};

use super::{Ledger, RECENT_BLOCKS, keys, keys::Chain};
use crate::error::StoreError;
use crate::storage::{Batch, Column};

/// Views of blocks that are about to become final, and answers under way, stand on heights that stay.
const HISTORY_HEIGHTS_MIN: u64 = 256;

/// Milliseconds of block time whose blocks stay: a transaction of one of them could come again.
const REPLAY_WINDOW_MS: u64 = limits::VALIDITY_SECONDS_MAX as u64 * 1_000;

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
        self.prune_below(u64::MAX, heights_max)
    }

    /// The same, but the state of the height `kept` and above stays whole: somebody may be fetching it.
    pub fn prune_below(&self, kept: u64, heights_max: usize) -> Result<Pruned, StoreError> {
        let _writer = self.writer();
        let state = self.prune_state(kept, heights_max)?;
        let blocks = self.prune_blocks(heights_max)?;
        Ok(Pruned {
            rows: state.rows + blocks.rows,
            oldest: state.oldest,
            is_done: state.is_done && blocks.is_done,
        })
    }

    fn prune_state(&self, kept: u64, heights_max: usize) -> Result<Pruned, StoreError> {
        let before = self.oldest_height();
        let nothing = Pruned { rows: 0, oldest: before, is_done: true };
        let (Some(history), Some(head)) = (self.inner.config.history_heights, self.head()) else {
            return Ok(nothing);
        };
        let target = head.height().saturating_sub(history.max(HISTORY_HEIGHTS_MIN)).min(kept);
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
            for key in undo.index {
                batch.delete(Column::Index, key);
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
        if self.inner.config.block_heights.is_some() {
            // Past versions of DIDs went as well.
            batch.put(Column::Meta, keys::FLOOR.to_vec(), keys::number(oldest));
            self.inner.floor.fetch_max(oldest, Ordering::SeqCst);
        }
        self.storage().write(batch, false)?;
        Ok(Pruned { rows, oldest, is_done })
    }

    /// Deletes blocks that are not kept any more, of at most `heights_max` heights.
    fn prune_blocks(&self, heights_max: usize) -> Result<Pruned, StoreError> {
        let base = self.base();
        let nothing = Pruned { rows: 0, oldest: base, is_done: true };
        let (Some(kept), Some(head)) = (self.inner.config.block_heights, self.head()) else {
            return Ok(nothing);
        };
        let before = head.header().time_ms.saturating_sub(REPLAY_WINDOW_MS);
        let erased = match self.storage().read(Column::Meta, keys::ERASED)? {
            Some(bytes) => keys::read_number(&bytes, "the height up to which witnesses are erased")?,
            None => 0,
        };
        let target = head.height().saturating_sub(kept.max(RECENT_BLOCKS)).min(erased);
        let end = target.min(base.saturating_add(heights_max as u64));
        let mut batch = Batch::default();
        let mut next = base;
        while next < end {
            let stored = self.stored_head(next)?;
            let stored = stored.ok_or_else(|| StoreError::corrupt(format!("block {next} is missing")))?;
            if stored.header.time_ms >= before {
                break;
            }
            self.forget_block(next, &stored.digest, stored.header.last_set_change == next, &mut batch)?;
            next += 1;
        }
        if next == base {
            return Ok(nothing);
        }
        let rows = batch.len();
        batch.put(Column::Meta, keys::BASE.to_vec(), keys::number(next));
        // As with the state: readers are told before the rows go.
        self.inner.base.store(next, Ordering::SeqCst);
        self.storage().write(batch, false)?;
        Ok(Pruned { rows, oldest: next, is_done: next < end || next == target })
    }

    fn forget_block(
        &self,
        height: u64,
        digest: &Hash,
        is_change: bool,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        if let Some(row) = self.storage().read(Column::Chain, &keys::chain(Chain::Receipts, height))? {
            for bytes in keys::read_list(&row)? {
                // The last receipt may be the block's own.
                if let Ok(receipt) = Receipt::decode(&bytes) {
                    batch.delete(Column::Index, keys::transaction(&receipt.transaction));
                }
            }
        }
        for kind in [Chain::Body, Chain::Receipts] {
            batch.delete(Column::Chain, keys::chain(kind, height));
        }
        if is_change && height > 0 {
            batch.put(Column::Index, keys::set_change(height), Vec::new());
        } else if height > 0 {
            batch.delete(Column::Chain, keys::chain(Chain::Header, height));
            batch.delete(Column::Chain, keys::chain(Chain::Certificate, height));
            batch.delete(Column::Index, keys::digest(digest));
        }
        Ok(())
    }
}
