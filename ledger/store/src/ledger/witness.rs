//! Erasing witnesses: presentations hold personal data, so after the retention their bytes leave the disk (D7).
//!
//! Blocks stay decodable: their bodies are stored stripped, with each witness's hash. Deleting a row only hides
//! it, so the rows of old heights are deleted, every log that still holds them is flushed away, and their column
//! is compacted.

use super::{Ledger, keys};
use crate::error::StoreError;
use crate::storage::{Batch, Column};

/// More witnesses than a block can hold.
const WITNESSES_PER_BLOCK_MAX: usize = 1 << 20;

/// What one call of [`Ledger::erase_witnesses`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasedWitnesses {
    /// Witnesses erased.
    pub witnesses: usize,
    /// Witnesses of heights below this one are gone.
    pub below_height: u64,
    /// True if no older witness is left.
    pub is_done: bool,
}

impl Ledger {
    /// Erases the witnesses of blocks before `before_time_ms`, of at most `heights_max` heights.
    ///
    /// When it returns, the bytes are in no file of the ledger any more. An interrupted call is finished by the
    /// next one.
    pub fn erase_witnesses(
        &self,
        before_time_ms: u64,
        heights_max: usize,
    ) -> Result<ErasedWitnesses, StoreError> {
        let _writer = self.writer();
        let first = match self.storage().read(Column::Meta, keys::ERASED)? {
            Some(bytes) => keys::read_number(&bytes, "the height up to which witnesses are erased")?,
            None => 0,
        };
        let newest = self.require_head()?.height();
        let mut batch = Batch::default();
        let (mut next, mut is_done) = (first, false);
        while next - first < heights_max as u64 {
            if next > newest || self.header(next)?.time_ms >= before_time_ms {
                is_done = true;
                break;
            }
            let (from, to) = (keys::witness(next, 0), keys::witness(next + 1, 0));
            for (key, _) in self.storage().scan(Column::Witness, &from, &to, WITNESSES_PER_BLOCK_MAX)? {
                batch.delete(Column::Witness, key);
            }
            next += 1;
        }
        let witnesses = batch.len();
        if next > first {
            batch.put(Column::Meta, keys::ERASED.to_vec(), keys::number(next));
            if witnesses > 0 {
                batch.put(Column::Meta, keys::ERASING.to_vec(), Vec::new());
            }
            self.storage().write(batch, true)?;
        }
        // The marker outlives a crash between deleting and compacting.
        if self.storage().read(Column::Meta, keys::ERASING)?.is_some() {
            self.storage().erase_deleted(Column::Witness, &keys::witness(next, 0))?;
            let mut batch = Batch::default();
            batch.delete(Column::Meta, keys::ERASING.to_vec());
            self.storage().write(batch, true)?;
        }
        Ok(ErasedWitnesses { witnesses, below_height: next, is_done })
    }
}
