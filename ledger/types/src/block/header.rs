//! The header of a block: 337 bytes of fixed layout that commit to everything (specs/wire.md, "Header").
//!
//! A certificate signs the header's digest, so it certifies order (parent), content (transactions, witnesses) and
//! outcome (receipts, state) together, and a light client needs nothing but headers.

use aval_codec::{BinaryError, Hash, Reader, Writer, tag};

use super::BlockError;

/// Bytes of an encoded header.
pub const HEADER_BYTES: usize = 337;
/// The version of the layout.
pub const HEADER_VERSION: u8 = 1;

/// The header of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Hash of the network's genesis file.
    pub genesis: Hash,
    /// Distance from the genesis block, which has height 0.
    pub height: u64,
    /// The block's time, milliseconds since 1970: above its parent's.
    pub time_ms: u64,
    /// The consensus epoch that made the block.
    pub epoch: u64,
    /// The consensus view that made the block.
    pub view: u64,
    /// The view of the parent block.
    pub parent_view: u64,
    /// The Ed25519 key of the validator that proposed the block; zero in the genesis block.
    pub leader: [u8; 32],
    /// Digest of the parent's header; the genesis hash in the genesis block.
    pub parent: Hash,
    /// Merkle root over the canonical envelopes.
    pub transactions_root: Hash,
    /// Merkle root over the witness hashes, one per transaction.
    pub witnesses_root: Hash,
    /// Merkle root over the receipts.
    pub receipts_root: Hash,
    /// Root of the state tree after this block.
    pub state_root: Hash,
    /// Hash of the validator set that certifies this block.
    pub validators_hash: Hash,
    /// Hash of the validator set that certifies the next block.
    pub next_validators_hash: Hash,
    /// Height of the newest block at or below this one whose next set differs from its own; 0 if there is none.
    pub last_set_change: u64,
}

impl Header {
    /// The bytes that are hashed, stored and sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(HEADER_BYTES);
        writer.u8(HEADER_VERSION).put(self.genesis);
        writer.u64(self.height).u64(self.time_ms).u64(self.epoch).u64(self.view).u64(self.parent_view);
        writer.put(self.leader).put(self.parent);
        writer
            .put(self.transactions_root)
            .put(self.witnesses_root)
            .put(self.receipts_root)
            .put(self.state_root);
        writer.put(self.validators_hash).put(self.next_validators_hash).u64(self.last_set_change);
        writer.into_vec()
    }

    /// Reads a header; refuses any other length or version.
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        let mut reader = Reader::new(bytes);
        let header = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(header)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        if reader.u8()? != HEADER_VERSION {
            return Err(BlockError::Malformed("the header has another version"));
        }
        Ok(Self::read_fields(reader)?)
    }

    fn read_fields(reader: &mut Reader<'_>) -> Result<Self, BinaryError> {
        // Fields of a struct expression are evaluated in the order they are written, which is the order of the layout.
        Ok(Self {
            genesis: reader.hash()?,
            height: reader.u64()?,
            time_ms: reader.u64()?,
            epoch: reader.u64()?,
            view: reader.u64()?,
            parent_view: reader.u64()?,
            leader: reader.array()?,
            parent: reader.hash()?,
            transactions_root: reader.hash()?,
            witnesses_root: reader.hash()?,
            receipts_root: reader.hash()?,
            state_root: reader.hash()?,
            validators_hash: reader.hash()?,
            next_validators_hash: reader.hash()?,
            last_set_change: reader.u64()?,
        })
    }

    /// What a certificate signs and the next block names as its parent.
    pub fn digest(&self) -> Hash {
        aval_codec::hash(tag::HEADER, &[&self.encode()])
    }
}

/// Hash of a validator set: the number of validators and their Ed25519 keys in ascending order.
pub fn validators_hash(keys: &[[u8; 32]]) -> Hash {
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let count = (sorted.len() as u32).to_be_bytes();
    aval_codec::hash(tag::VALIDATORS, &[&count, sorted.as_flattened()])
}
