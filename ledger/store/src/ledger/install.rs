//! Making a ledger from a snapshot: the state of one certified height, and the blocks below it that are needed to
//! go on.
//!
//! ```text
//! begin_install(header)      an empty ledger takes the snapshot under this header, which the caller has verified
//! install_chunk(chunk)       the state, chunk by chunk, in the order of key hashes
//! install_block(block, ..)   from the header's block downwards, until install_lacks() says that it is enough
//! finish_install(..)         one write that makes it a ledger
//! ```
//! What holds: nothing is written that was not verified against the header, by the chunk's proof or by the hash links
//! from block to block. Each call is one synced write that says how far it got, so whoever is killed goes on behind
//! its last call. Until the last write there is no head, so nothing can be executed, signed or served on it.

use std::sync::atomic::Ordering;

use aval_codec::{Hash, Reader, Writer, merkle};
use aval_machine::state_key;
use aval_proof::Certificate;
use aval_proof::snapshot::VerifiedChunk;
use aval_types::block::{self, HEADER_BYTES};
use aval_types::{Block, Header, Receipt, limits};

use super::{Ledger, RECENT_BLOCKS, did, keys, keys::Chain};
use crate::error::StoreError;
use crate::storage::{Batch, Column};
use crate::tree::{self, Subtree};

/// Rows of one write while something is cleared away.
const ROWS_MAX: usize = 10_000;
/// Milliseconds of block time before the snapshot whose blocks are needed: a transaction of one of them could come
/// again.
const REPLAY_WINDOW_MS: u64 = limits::VALIDITY_SECONDS_MAX as u64 * 1_000;

/// How far a snapshot is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The header whose state it is.
    pub header: Header,
    /// What comes next.
    pub next: InstallStep,
}

/// What an installation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallStep {
    /// The chunk that begins at this key hash.
    Chunk(Hash),
    /// The block below this height; it has this digest.
    Block {
        /// The height above it.
        below: u64,
        /// Its digest.
        digest: Hash,
    },
}

/// A change of the validator set at or below the snapshot, verified by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledChange {
    /// The block that decided it.
    pub header: Header,
    /// Its certificate.
    pub certificate: Certificate,
    /// The value of the state entry `validators` before it.
    pub before: Vec<u8>,
}

impl Installation {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(HEADER_BYTES + 41);
        writer.put(self.header.encode());
        match self.next {
            InstallStep::Chunk(from) => writer.u8(0).put(from),
            InstallStep::Block { below, digest } => writer.u8(1).u64(below).put(digest),
        };
        writer.into_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |_| StoreError::corrupt("the record of how far a snapshot is installed");
        let mut reader = Reader::new(bytes);
        let header = reader.take(HEADER_BYTES).map_err(damaged)?;
        let header =
            Header::decode(header).map_err(|error| StoreError::corrupt(format!("a header: {error}")))?;
        let next = match reader.u8().map_err(damaged)? {
            0 => InstallStep::Chunk(reader.hash().map_err(damaged)?),
            _ => InstallStep::Block {
                below: reader.u64().map_err(damaged)?,
                digest: reader.hash().map_err(damaged)?,
            },
        };
        Ok(Self { header, next })
    }

    fn put(&self, batch: &mut Batch) {
        batch.put(Column::Meta, keys::INSTALL.to_vec(), self.encode());
    }
}

fn foreign(what: impl Into<String>) -> StoreError {
    StoreError::Foreigner(what.into())
}

impl Ledger {
    /// How far a snapshot is installed; `None` if none is being.
    pub fn installation(&self) -> Result<Option<Installation>, StoreError> {
        let row = self.storage().read(Column::Meta, keys::INSTALL)?;
        row.map(|row| Installation::decode(&row)).transpose()
    }

    /// Begins to install the snapshot under a header that the caller has verified, or goes on with it. What is left of
    /// another one is cleared away.
    pub fn begin_install(&self, header: &Header) -> Result<Installation, StoreError> {
        let _writer = self.writer();
        if self.head().is_some() {
            return Err(StoreError::NotEmpty);
        }
        if header.genesis != self.inner.genesis {
            return Err(foreign("it is of another network"));
        }
        if let Some(installation) = self.installation()?.filter(|known| known.header == *header) {
            return Ok(installation);
        }
        self.clear()?;
        let installation = Installation { header: header.clone(), next: InstallStep::Chunk(Hash::ZERO) };
        let mut batch = Batch::default();
        installation.put(&mut batch);
        self.storage().write(batch, true)?;
        Ok(installation)
    }

    /// Takes the next chunk of the state. Says what comes next.
    pub fn install_chunk(&self, chunk: &VerifiedChunk) -> Result<InstallStep, StoreError> {
        let _writer = self.writer();
        let mut installation = self.require_installation()?;
        let header = &installation.header;
        if chunk.root() != header.state_root || installation.next != InstallStep::Chunk(chunk.from()) {
            return Err(foreign("another chunk is waited for"));
        }
        let version = header.height;
        let mut batch = Batch::default();
        for entry in chunk.entries() {
            batch.put(Column::State, entry.key.clone(), entry.value.clone());
            did::index(&entry.key, Some(&entry.value), version, &mut batch)?;
        }
        for (path, part) in parts(chunk, version, &mut batch) {
            batch.put(Column::Meta, [keys::PARTS.0, &path].concat(), part.encode());
        }
        installation.next = match chunk.next() {
            Some(from) => InstallStep::Chunk(from),
            None => InstallStep::Block { below: version + 1, digest: header.digest() },
        };
        if chunk.next().is_none() {
            // The last parts have to be there before they are put together.
            self.storage().write(std::mem::take(&mut batch), true)?;
            self.assemble(header, &mut batch)?;
        }
        installation.put(&mut batch);
        self.storage().write(batch, true)?;
        Ok(installation.next)
    }

    /// Puts the parts of the tree together; the root must be the header's.
    fn assemble(&self, header: &Header, batch: &mut Batch) -> Result<(), StoreError> {
        let rows = self.storage().scan(Column::Meta, keys::PARTS.0, keys::PARTS.1, usize::MAX)?;
        let mut finished = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let path = key.get(keys::PARTS.0.len()..).unwrap_or_default().to_vec();
            finished.push((path, Subtree::decode(&row)?));
            batch.delete(Column::Meta, key);
        }
        let root = tree::assemble(&mut Vec::new(), &finished, header.height, batch)?;
        if tree::write_root(&root, header.height, batch) != header.state_root {
            return Err(StoreError::corrupt("the chunks of a snapshot do not give its state root"));
        }
        Ok(())
    }

    /// Takes the next block downwards, with its receipts and its certificate, if it has one that the caller has
    /// verified.
    pub fn install_block(
        &self,
        block: &Block,
        receipts: &[Vec<u8>],
        certificate: Option<&Certificate>,
    ) -> Result<InstallStep, StoreError> {
        let _writer = self.writer();
        let mut installation = self.require_installation()?;
        let InstallStep::Block { below, digest } = installation.next else {
            return Err(foreign("the state is not whole yet"));
        };
        let header = &block.header;
        let height = header.height;
        if height + 1 != below || block.digest() != digest {
            return Err(foreign(format!("the block of height {} is waited for", below.saturating_sub(1))));
        }
        if block::transactions_root(&block.transactions) != header.transactions_root
            || block::witnesses_root(&block.transactions) != header.witnesses_root
        {
            return Err(foreign(format!("the body of block {height} is not the one of its header")));
        }
        if height > 0 && merkle::root(receipts) != header.receipts_root {
            return Err(foreign(format!("the receipts of block {height} are not those of its header")));
        }
        let mut batch = Batch::default();
        let is_newest = height == installation.header.height;
        let row = keys::header_row(header, is_newest.then_some(height));
        batch.put(Column::Chain, keys::chain(Chain::Header, height), row);
        batch.put(Column::Index, keys::digest(&digest), keys::number(height));
        if !block.transactions.is_empty() {
            let body = block::encode_body(&block.strip().transactions);
            batch.put(Column::Chain, keys::chain(Chain::Body, height), body);
        }
        if !receipts.is_empty() {
            batch.put(Column::Chain, keys::chain(Chain::Receipts, height), keys::list(receipts)?);
        }
        for (index, bytes) in (0u32..).zip(receipts).take(block.transactions.len()) {
            let receipt = Receipt::decode(bytes)
                .map_err(|_| foreign(format!("a receipt of block {height} is unreadable")))?;
            let place = [height.to_be_bytes().as_slice(), &index.to_be_bytes()].concat();
            batch.put(Column::Index, keys::transaction(&receipt.transaction), place);
        }
        if let Some(certificate) = certificate {
            let row = keys::certificate(certificate);
            batch.put(Column::Chain, keys::chain(Chain::Certificate, height), row);
        }
        installation.next = InstallStep::Block { below: height, digest: header.parent };
        installation.put(&mut batch);
        self.storage().write(batch, true)?;
        Ok(installation.next)
    }

    /// The height of the block that is missing still; `None` if everything that a node needs to go on is there: the
    /// blocks whose transactions could come again, and those that views and leaders are looked up in.
    pub fn install_lacks(&self) -> Result<Option<u64>, StoreError> {
        let installation = self.require_installation()?;
        let InstallStep::Block { below, .. } = installation.next else {
            return Ok(Some(installation.header.height));
        };
        let height = installation.header.height;
        let Some(missing) = below.checked_sub(1) else { return Ok(None) };
        if height + 1 - below < RECENT_BLOCKS {
            return Ok(Some(missing));
        }
        let lowest = self.stored_head(below)?.ok_or_else(|| StoreError::corrupt("a block is missing"))?;
        let is_enough = lowest.header.time_ms.saturating_add(REPLAY_WINDOW_MS) < installation.header.time_ms;
        Ok((!is_enough).then_some(missing))
    }

    /// Makes the installed snapshot a ledger. `genesis` is the header of block 0, `changes` are all changes of the
    /// validator set up to the snapshot, ascending; the caller has verified both.
    pub fn finish_install(&self, genesis: &Header, changes: &[InstalledChange]) -> Result<(), StoreError> {
        let _writer = self.writer();
        let Installation { header, next } = self.require_installation()?;
        if let Some(missing) = self.install_lacks()? {
            return Err(foreign(format!("block {missing} is missing still")));
        }
        let InstallStep::Block { below: base, .. } = next else {
            return Err(foreign("the state is not whole yet"));
        };
        let mut batch = Batch::default();
        if base > 0 {
            batch.put(Column::Chain, keys::chain(Chain::Header, 0), keys::header_row(genesis, None));
        }
        let entry = aval_codec::sha256(state_key::VALIDATORS.as_bytes());
        for change in changes {
            let height = change.header.height;
            if height < base {
                let row = keys::header_row(&change.header, None);
                batch.put(Column::Chain, keys::chain(Chain::Header, height), row);
                let digest = keys::digest(&change.header.digest());
                batch.put(Column::Index, digest, keys::number(height));
                batch.put(Column::Index, keys::set_change(height), Vec::new());
            }
            let certificate = keys::certificate(&change.certificate);
            batch.put(Column::Chain, keys::chain(Chain::Certificate, height), certificate);
            let before = [&[1], change.before.as_slice()].concat();
            batch.put(Column::History, keys::history(&entry, height), before);
        }
        let height = header.height;
        for (key, value) in [
            (keys::OLDEST, height),
            (keys::FLOOR, height),
            (keys::BASE, base),
            // The blocks came without witnesses.
            (keys::ERASED, height + 1),
        ] {
            batch.put(Column::Meta, key.to_vec(), keys::number(value));
        }
        let head = [height.to_be_bytes().as_slice(), header.digest().as_bytes()].concat();
        batch.put(Column::Meta, keys::HEAD.to_vec(), head);
        batch.delete(Column::Meta, keys::INSTALL.to_vec());
        self.storage().write(batch, true)?;
        self.inner.state_until.store(height + 1, Ordering::SeqCst);
        self.load()
    }

    /// Makes an empty ledger the one that `from` was at a height: state, and all blocks up to it that `from` has. Past
    /// versions of DIDs are not taken over. The caller verifies the result.
    pub fn install_from(&self, from: &Ledger, height: u64) -> Result<(), StoreError> {
        let header = from.header(height)?;
        let mut next = self.begin_install(&header)?.next;
        while let InstallStep::Chunk(at) = next {
            let chunk = from.snapshot_chunk(height, &at)?;
            let chunk =
                chunk.ok_or_else(|| StoreError::corrupt("the state has no chunk where one begins"))?;
            let chunk = chunk.verify(&header.state_root);
            next = self.install_chunk(&chunk.map_err(|error| StoreError::corrupt(error.to_string()))?)?;
        }
        while let InstallStep::Block { below, .. } = next {
            let Some(height) = below.checked_sub(1).filter(|height| *height >= from.base()) else { break };
            let (block, receipts) = (from.stripped_block(height)?, from.receipts(height)?);
            next = self.install_block(&block, &receipts, from.certificate(height)?.as_ref())?;
        }
        let mut changes = Vec::new();
        for change in from.set_changes(0)?.into_iter().filter(|change| *change <= height) {
            let certificate = from.certificate(change)?;
            let value = from.state_at(state_key::VALIDATORS.as_bytes(), change.saturating_sub(1))?;
            let (Some(certificate), Some(before)) = (certificate, value) else {
                return Err(StoreError::corrupt(format!("the change of validators in block {change}")));
            };
            changes.push(InstalledChange { header: from.header(change)?, certificate, before });
        }
        self.finish_install(&from.header(0)?, &changes)
    }

    fn require_installation(&self) -> Result<Installation, StoreError> {
        self.installation()?.ok_or_else(|| foreign("no snapshot is being installed"))
    }

    /// Removes everything but the name of the network.
    fn clear(&self) -> Result<(), StoreError> {
        for column in Column::ALL {
            let mut from = Vec::new();
            loop {
                let rows = self.storage().scan(column, &from, &[0xff; 300], ROWS_MAX)?;
                let Some((last, _)) = rows.last() else { break };
                from = [last.as_slice(), &[0]].concat();
                let mut batch = Batch::default();
                for (key, _) in rows {
                    if !(column == Column::Meta && key == keys::GENESIS) {
                        batch.delete(column, key);
                    }
                }
                self.storage().write(batch, true)?;
            }
        }
        Ok(())
    }
}

/// The finished parts of the tree that a chunk gives, by their paths. A chunk may begin and end between two
/// nibbles, so it is up to eight parts.
fn parts(chunk: &VerifiedChunk, version: u64, batch: &mut Batch) -> Vec<(Vec<u8>, Subtree)> {
    let leaves: Vec<tree::NewLeaf<'_>> = chunk
        .entries()
        .iter()
        .map(|entry| (entry.key_hash, entry.key.as_slice(), entry.value_hash))
        .collect();
    let nibbles = chunk.depth().div_ceil(4);
    let mut first: Vec<u8> =
        chunk.from().as_bytes().iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).take(nibbles).collect();
    let places = 1u8 << (nibbles * 4 - chunk.depth());
    let Some(lowest) = first.pop() else {
        return vec![(Vec::new(), tree::build(&mut Vec::new(), &leaves, version, batch))];
    };
    let mut rest = leaves.as_slice();
    let mut parts = Vec::new();
    for nibble in lowest..lowest + places {
        let mut path = [first.as_slice(), &[nibble]].concat();
        let own = rest.partition_point(|(hash, _, _)| tree::is_below(hash, &path));
        let (own, after) = rest.split_at(own);
        rest = after;
        let part = tree::build(&mut path, own, version, batch);
        if part != Subtree::Empty {
            parts.push((path, part));
        }
    }
    parts
}
