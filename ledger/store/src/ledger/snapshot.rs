//! Handing the state of a height out in chunks that are verified one by one ([`aval_proof::snapshot`]).
//!
//! Nothing is copied for it: the tree of a kept height is walked in the order of key hashes, its leaves name their
//! keys, and the values are those of that height. So any kept height can be handed out, at any time, by many at once.

use aval_codec::{Hash, sha256};
use aval_proof::snapshot::{CHUNK_BYTES_TARGET, SnapshotChunk, depth_of, end_of};

use super::Ledger;
use crate::error::StoreError;
use crate::tree::{self, Verdict};

impl Ledger {
    /// The chunk of the state after the block at `height` that begins at the key hash `from`: as large as it may get.
    /// `None` if no chunk begins there, which those who go from chunk to chunk never see.
    pub fn snapshot_chunk(&self, height: u64, from: &Hash) -> Result<Option<SnapshotChunk>, StoreError> {
        self.snapshot_chunk_of(height, from, CHUNK_BYTES_TARGET)
    }

    /// The same, ended after so many bytes.
    pub(crate) fn snapshot_chunk_of(
        &self,
        height: u64,
        from: &Hash,
        bytes_target: usize,
    ) -> Result<Option<SnapshotChunk>, StoreError> {
        let head = self.head_at(height)?;
        self.require_kept(height)?;
        let root_version = head.root_version;
        let gone = || match self.require_kept(height) {
            // Pruning may have come in between.
            Err(error) => error,
            Ok(()) => StoreError::corrupt(format!("a tree node of height {height} is missing")),
        };
        let mut depth = depth_of(from);
        let mut end = end_of(from, depth);
        let (mut bytes, mut leaves, mut entries) = (0usize, Vec::new(), Vec::new());
        let walked = tree::leaves_from(self.storage(), root_version, from, &mut |leaf, key| {
            if end.is_some_and(|end| leaf.key_hash >= end) {
                return Ok(Verdict::Enough);
            }
            let value = self.state_as_of(height, &key)?;
            let Some(value) = value.filter(|value| sha256(value) == leaf.value_hash) else {
                self.require_kept(height)?;
                let key = String::from_utf8_lossy(&key);
                return Err(StoreError::corrupt(format!(
                    "state and tree disagree at height {height} about {key}"
                )));
            };
            bytes += key.len() + value.len() + 6;
            leaves.push(leaf.key_hash);
            entries.push((key, value));
            // One entry is always taken, however long it is.
            Ok(if bytes > bytes_target && leaves.len() > 1 { Verdict::Enough } else { Verdict::On })
        })?;
        walked.ok_or_else(gone)?;
        // Too long: a smaller place, which ends at or before the last leaf that was seen.
        if let (true, Some(last)) = (bytes > bytes_target && leaves.len() > 1, leaves.last()) {
            while end.is_none_or(|end| end > *last) {
                depth += 1;
                end = end_of(from, depth);
            }
            let inside = leaves.partition_point(|leaf| end.is_none_or(|end| *leaf < end));
            entries.truncate(inside);
        }
        let siblings = tree::siblings(self.storage(), root_version, from, depth)?.ok_or_else(gone)?;
        Ok(siblings.map(|siblings| SnapshotChunk { height, from: *from, siblings, entries }))
    }
}
