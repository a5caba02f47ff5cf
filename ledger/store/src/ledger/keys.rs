//! Rows of the chain, witness, history, index and meta columns: every key, and the values that are not plain bytes.
//!
//! ```text
//! chain    'h' height -> header | version of the newest tree root u64 (all ones: none)
//!          'b' height -> block body with stripped witnesses; no row for an empty body
//!          'r' height -> receipts, the block's own last: u32 count, then per receipt u32 length, bytes; no row if none
//!          'c' height -> certificate: epoch u64, view u64, parent view u64, u32 count, then per signer u32 index,
//!                        signature 64
//!          'u' height -> what pruning may delete once this height is old: u32 count, then storage keys of tree nodes
//!                        with u8 lengths; u32 count, then 32-byte key hashes of history rows; u32 count, then
//!                        keys of the index with u16 lengths
//! witness  height | index u32 -> witness bytes
//! history  key hash 32 | height -> the value before that height: 0x00 none, 0x01 | bytes
//! index    't' | transaction id 32 -> height | index u32
//!          'd' | digest of a header 32 -> height
//!          'v' | DID | 0x00 | number -> height | version id; of a version that came with a snapshot: its height
//!          's' | height -> nothing: the validator set changed in this block, which is older than "base"
//! meta     "genesis" -> genesis hash; "head" -> height | digest; "oldest" -> oldest height with state;
//!          "erased" -> first height whose witnesses are not erased; "erasing" -> rows deleted, files not yet compacted;
//!          "base" -> oldest height of the unbroken run of blocks; "floor" -> oldest height with the history of DIDs;
//!          "install" -> how far a snapshot is installed (install.rs); "part/" | nibbles -> a finished part of its tree
//! ```
//! Heights and numbers are u64 big-endian, so that rows sort by height.

use aval_codec::{Hash, Reader, Writer};
use aval_proof::Certificate;
use aval_types::{Header, TransactionId, block::HEADER_BYTES};

use crate::error::StoreError;

pub(super) const GENESIS: &[u8] = b"genesis";
pub(super) const HEAD: &[u8] = b"head";
pub(super) const OLDEST: &[u8] = b"oldest";
pub(super) const ERASED: &[u8] = b"erased";
pub(super) const ERASING: &[u8] = b"erasing";
pub(super) const BASE: &[u8] = b"base";
pub(super) const FLOOR: &[u8] = b"floor";
pub(super) const INSTALL: &[u8] = b"install";
/// What the keys of the parts begin with; the next letter ends them.
pub(super) const PARTS: (&[u8], &[u8]) = (b"part/", b"part0");

/// The rows of the chain column, by the letter their keys start with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chain {
    Header = b'h' as isize,
    Body = b'b' as isize,
    Receipts = b'r' as isize,
    Certificate = b'c' as isize,
    Undo = b'u' as isize,
}

pub(super) fn chain(kind: Chain, height: u64) -> Vec<u8> {
    let mut writer = Writer::with_capacity(9);
    writer.u8(kind as u8).u64(height);
    writer.into_vec()
}

/// The height in a chain key.
pub(super) fn chain_height(key: &[u8]) -> Result<u64, StoreError> {
    let mut reader = Reader::new(key);
    let height = reader.u8().and_then(|_| reader.u64());
    height.map_err(|_| StoreError::corrupt("a key of the chain column"))
}

pub(super) fn witness(height: u64, index: u32) -> Vec<u8> {
    let mut writer = Writer::with_capacity(12);
    writer.u64(height).u32(index);
    writer.into_vec()
}

pub(super) fn history(key_hash: &Hash, height: u64) -> Vec<u8> {
    let mut writer = Writer::with_capacity(40);
    writer.put(key_hash).u64(height);
    writer.into_vec()
}

pub(super) fn transaction(id: &TransactionId) -> Vec<u8> {
    let mut writer = Writer::with_capacity(33);
    writer.u8(b't').put(id.0);
    writer.into_vec()
}

pub(super) fn digest(digest: &Hash) -> Vec<u8> {
    let mut writer = Writer::with_capacity(33);
    writer.u8(b'd').put(digest);
    writer.into_vec()
}

pub(super) fn did_version(did: &[u8], number: u64) -> Vec<u8> {
    let mut writer = Writer::with_capacity(did.len() + 10);
    writer.u8(b'v').put(did).u8(0).u64(number);
    writer.into_vec()
}

pub(super) fn set_change(height: u64) -> Vec<u8> {
    let mut writer = Writer::with_capacity(9);
    writer.u8(b's').u64(height);
    writer.into_vec()
}

pub(super) fn number(value: u64) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

pub(super) fn read_number(bytes: &[u8], what: &'static str) -> Result<u64, StoreError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::corrupt(what))
}

pub(super) fn header_row(header: &Header, root_version: Option<u64>) -> Vec<u8> {
    let mut writer = Writer::with_capacity(HEADER_BYTES + 8);
    writer.put(header.encode()).u64(root_version.unwrap_or(u64::MAX));
    writer.into_vec()
}

/// The header and the version of the newest tree root.
pub(super) fn read_header_row(bytes: &[u8]) -> Result<(Header, Option<u64>), StoreError> {
    let mut reader = Reader::new(bytes);
    let parts = reader.take(HEADER_BYTES).and_then(|header| Ok((header, reader.u64()?)));
    let (header, root_version) = parts.map_err(|_| StoreError::corrupt("a block header is cut off"))?;
    let header =
        Header::decode(header).map_err(|error| StoreError::corrupt(format!("a block header: {error}")))?;
    Ok((header, (root_version != u64::MAX).then_some(root_version)))
}

pub(super) fn certificate(certificate: &Certificate) -> Vec<u8> {
    let mut writer = Writer::with_capacity(28 + certificate.signers.len() * 68);
    writer.u64(certificate.epoch).u64(certificate.view).u64(certificate.parent_view);
    let count = certificate.signers.len().min(certificate.signatures.len());
    writer.u32(count as u32);
    for (signer, signature) in certificate.signers.iter().zip(&certificate.signatures) {
        writer.u32(*signer).put(signature);
    }
    writer.into_vec()
}

pub(super) fn read_certificate(bytes: &[u8]) -> Result<Certificate, StoreError> {
    let damaged = |_| StoreError::corrupt("a certificate is unreadable");
    let mut reader = Reader::new(bytes);
    let mut certificate = Certificate {
        epoch: reader.u64().map_err(damaged)?,
        view: reader.u64().map_err(damaged)?,
        parent_view: reader.u64().map_err(damaged)?,
        signers: Vec::new(),
        signatures: Vec::new(),
    };
    for _ in 0..reader.u32().map_err(damaged)? {
        certificate.signers.push(reader.u32().map_err(damaged)?);
        certificate.signatures.push(reader.array().map_err(damaged)?);
    }
    reader.finish().map_err(damaged)?;
    Ok(certificate)
}

pub(super) fn list<B: AsRef<[u8]>>(items: &[B]) -> Result<Vec<u8>, StoreError> {
    let mut writer = Writer::new();
    writer.u32(items.len() as u32);
    for item in items {
        writer
            .bytes_u32(item.as_ref())
            .map_err(|_| StoreError::corrupt("a receipt is too long to be stored"))?;
    }
    Ok(writer.into_vec())
}

pub(super) fn read_list(bytes: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    let damaged = |_| StoreError::corrupt("a block's receipts are unreadable");
    let mut reader = Reader::new(bytes);
    let count = reader.u32().map_err(damaged)?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(reader.bytes_u32(bytes.len()).map_err(damaged)?.to_vec());
    }
    reader.finish().map_err(damaged)?;
    Ok(items)
}

/// What pruning deletes once a height is old.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// Storage keys of tree nodes that this height replaced.
    pub(super) nodes: Vec<Vec<u8>>,
    /// Key hashes whose history row at this height may go.
    pub(super) history: Vec<Hash>,
    /// Keys of the index that may go.
    pub(super) index: Vec<Vec<u8>>,
}

impl Undo {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.history.is_empty() && self.index.is_empty()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(8 + self.nodes.len() * 16 + self.history.len() * 32);
        writer.u32(self.nodes.len() as u32);
        for node in &self.nodes {
            // A node's storage key has at most 41 bytes.
            writer.u8(node.len() as u8).put(node);
        }
        writer.u32(self.history.len() as u32);
        for key_hash in &self.history {
            writer.put(key_hash);
        }
        writer.u32(self.index.len() as u32);
        for key in &self.index {
            // A DID has at most some hundred bytes.
            writer.u16(key.len() as u16).put(key);
        }
        writer.into_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |_| StoreError::corrupt("an undo list is unreadable");
        let mut reader = Reader::new(bytes);
        let mut undo = Undo::default();
        for _ in 0..reader.u32().map_err(damaged)? {
            let length = reader.u8().map_err(damaged)?;
            undo.nodes.push(reader.take(usize::from(length)).map_err(damaged)?.to_vec());
        }
        for _ in 0..reader.u32().map_err(damaged)? {
            undo.history.push(reader.hash().map_err(damaged)?);
        }
        for _ in 0..reader.u32().map_err(damaged)? {
            undo.index.push(reader.bytes_u16(bytes.len()).map_err(damaged)?.to_vec());
        }
        reader.finish().map_err(damaged)?;
        Ok(undo)
    }
}
