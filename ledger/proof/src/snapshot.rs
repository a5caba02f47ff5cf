//! A part of the whole state, with what is needed to verify it against a certified state root (specs/wire.md,
//! "Snapshot").
//!
//! The state is cut along its tree: a chunk holds *all* entries whose key hashes begin with the same bits. Its
//! entries give the hash of that subtree, and the siblings on the way up lead to the state root. So each chunk is
//! verified by itself, as it arrives: a changed value, a key left out, one added, or an entry of another height
//! gives another hash. Chunks are asked for one after the other, each from where the one before ended, so that
//! nothing between them can be left out either.

use aval_codec::{BinaryError, Hash, Reader, Writer, sha256};

use crate::error::ProofError;
use crate::state_proof::{DEPTH_MAX, bit, empty_root, leaf_hash, node_hash};

/// Bytes that a node puts into a chunk before it ends it.
pub const CHUNK_BYTES_TARGET: usize = 1024 * 1024;
/// Bytes of a chunk that are read at most: the genesis file may hold a single value of some megabytes.
pub const CHUNK_BYTES_MAX: usize = 8 * 1024 * 1024;

const FORM: u8 = 1;

/// An entry of the state.
pub type Entry = (Vec<u8>, Vec<u8>);

/// All entries below one place of the state tree. What is read is not believed before [`SnapshotChunk::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// The height after whose block the state was like this.
    pub height: u64,
    /// The lowest key hash of the place: zero behind the first `siblings.len()` bits.
    pub from: Hash,
    /// Hashes beside the way from the place up to the root.
    pub siblings: Vec<Hash>,
    /// Keys and values, ascending by the hashes of the keys.
    pub entries: Vec<Entry>,
}

/// An entry whose chunk was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry {
    /// SHA-256 of the key.
    pub key_hash: Hash,
    /// SHA-256 of the value.
    pub value_hash: Hash,
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// A chunk that is part of the state with a certain root: only [`SnapshotChunk::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedChunk {
    root: Hash,
    from: Hash,
    depth: usize,
    entries: Vec<VerifiedEntry>,
}

impl VerifiedChunk {
    /// The state root that it belongs to.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The lowest key hash of its place.
    pub fn from(&self) -> Hash {
        self.from
    }

    /// How many bits the key hashes of its place have in common.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Its entries, ascending by key hash.
    pub fn entries(&self) -> &[VerifiedEntry] {
        &self.entries
    }

    /// The lowest key hash behind its place; `None` at the end of the state.
    pub fn next(&self) -> Option<Hash> {
        end_of(&self.from, self.depth)
    }
}

/// The lowest hash above those that begin with the first `depth` bits of `from`; `None` if there is none.
pub fn end_of(from: &Hash, depth: usize) -> Option<Hash> {
    let mut bytes = from.to_bytes();
    let mut position = depth.checked_sub(1)?;
    loop {
        let byte = bytes.get_mut(position / 8)?;
        let mask = 0x80u8 >> (position % 8);
        *byte ^= mask;
        if *byte & mask != 0 {
            return Some(Hash::new(bytes));
        }
        // It was one: carry.
        position = position.checked_sub(1)?;
    }
}

/// The fewest bits that a place beginning at `from` can have in common.
pub fn depth_of(from: &Hash) -> usize {
    (0..DEPTH_MAX).rev().find(|index| bit(from, *index)).map_or(0, |last| last.saturating_add(1))
}

impl SnapshotChunk {
    /// The bytes of `specs/wire.md`.
    pub fn encode(&self) -> Result<Vec<u8>, BinaryError> {
        let mut writer = Writer::new();
        writer.u8(FORM).u64(self.height).put(self.from);
        writer.u16(u16::try_from(self.siblings.len()).unwrap_or(u16::MAX));
        for sibling in &self.siblings {
            writer.put(sibling);
        }
        writer.u32(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        for (key, value) in &self.entries {
            writer.bytes_u16(key)?;
            writer.bytes_u32(value)?;
        }
        Ok(writer.into_vec())
    }

    /// Reads a chunk. It is well formed then, and nothing more.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let malformed = |error: BinaryError| ProofError::Malformed(error.to_string());
        let wrong = |reason: &str| ProofError::Malformed(reason.to_owned());
        if bytes.len() > CHUNK_BYTES_MAX {
            return Err(wrong("the chunk is too long"));
        }
        let mut reader = Reader::new(bytes);
        if reader.u8().map_err(malformed)? != FORM {
            return Err(wrong("the chunk has an unknown form"));
        }
        let height = reader.u64().map_err(malformed)?;
        let from = reader.hash().map_err(malformed)?;
        let depth = usize::from(reader.u16().map_err(malformed)?);
        if depth > DEPTH_MAX {
            return Err(wrong("there are more siblings than levels"));
        }
        let mut siblings = Vec::new();
        for _ in 0..depth {
            siblings.push(reader.hash().map_err(malformed)?);
        }
        let count = reader.u32().map_err(malformed)?;
        // Grown as it is read: the count alone must not make a reader allocate.
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = reader.bytes_u16(usize::from(u16::MAX)).map_err(malformed)?.to_vec();
            let value = reader.bytes_u32(CHUNK_BYTES_MAX).map_err(malformed)?.to_vec();
            entries.push((key, value));
        }
        reader.finish().map_err(malformed)?;
        Ok(Self { height, from, siblings, entries })
    }

    /// Checks that these are all entries of their place in the state with this root.
    pub fn verify(self, root: &Hash) -> Result<VerifiedChunk, ProofError> {
        let Self { from, siblings, entries, .. } = self;
        let depth = siblings.len();
        if depth > DEPTH_MAX || depth_of(&from) > depth {
            return Err(ProofError::State("the chunk has no place in the tree"));
        }
        let entries: Vec<VerifiedEntry> = entries
            .into_iter()
            .map(|(key, value)| VerifiedEntry {
                key_hash: sha256(&key),
                value_hash: sha256(&value),
                key,
                value,
            })
            .collect();
        if !entries.is_sorted_by(|left, right| left.key_hash < right.key_hash) {
            return Err(ProofError::State("the chunk's entries are not in the order of their hashes"));
        }
        let end = end_of(&from, depth);
        let is_inside =
            |entry: &VerifiedEntry| entry.key_hash >= from && end.is_none_or(|end| entry.key_hash < end);
        if !entries.iter().all(is_inside) {
            return Err(ProofError::State("an entry lies outside of the chunk's place"));
        }
        let start = subtree(&entries, depth);
        let levels = (0..depth).rev();
        let found = siblings.iter().zip(levels).fold(start, |hash, (sibling, level)| {
            if bit(&from, level) { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
        });
        if found != *root {
            return Err(ProofError::State("the chunk does not lead to the state root"));
        }
        Ok(VerifiedChunk { root: *root, from, depth, entries })
    }
}

/// The hash of the subtree with these leaves, which have `depth` bits in common.
fn subtree(entries: &[VerifiedEntry], depth: usize) -> Hash {
    match entries {
        [] => empty_root(),
        [entry] => leaf_hash(&entry.key_hash, &entry.value_hash),
        several => {
            let half = several.partition_point(|entry| !bit(&entry.key_hash, depth));
            let (left, right) = several.split_at(half);
            let below = depth.saturating_add(1);
            node_hash(&subtree(left, below), &subtree(right, below))
        }
    }
}
