//! Committing a finalized block: one synced batch with everything the block leaves behind.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use aval_codec::sha256;
use aval_machine::sabotage::{self, Sabotage};
use aval_proof::Certificate;
use aval_types::{Witness, block::encode_body};

use super::{Head, Ledger, RECENT_BLOCKS, did, keys, keys::Chain};
use crate::error::StoreError;
use crate::pending::PendingBlock;
use crate::storage::{Batch, Column};

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The block was written.
    Written,
    /// The block was final here already, as after a crash between writing and acknowledging.
    Known,
}

impl Ledger {
    /// Makes a block final: state, tree, block, receipts, indexes and certificate in one synced write.
    ///
    /// Committing a known block again is fine and adds a certificate that was missing. A gap, another block at a known
    /// height and a block on another parent are errors, and nothing is written.
    pub fn commit(
        &self,
        block: &PendingBlock,
        certificate: Option<&Certificate>,
    ) -> Result<Commit, StoreError> {
        let _writer = self.writer();
        let head = self.head();
        let next = head.as_ref().map_or(0, |head| head.height() + 1);
        let height = block.height();
        if height > next {
            return Err(StoreError::Gap { height, next });
        }
        if height < next {
            let known = self.head_at(height)?.digest;
            if known != block.digest() {
                return Err(StoreError::Conflict { height, offered: block.digest(), known });
            }
            if let Some(certificate) = certificate {
                self.write_certificate(height, certificate)?;
            }
            return Ok(Commit::Known);
        }
        if let (None, Some(installation)) = (&head, self.installation()?) {
            return Err(StoreError::Installing(installation.header.height));
        }
        let parent = head.as_ref().map_or(self.inner.genesis, |head| head.digest);
        if block.parent() != parent || block.header().genesis != self.inner.genesis {
            return Err(StoreError::Conflict { height, offered: block.parent(), known: parent });
        }
        let batch = self.batch(block, certificate)?;
        // Readers of older heights look into the history from here on.
        self.inner.state_until.store(height + 1, Ordering::SeqCst);
        self.storage().write(batch, !sabotage::is(Sabotage::CommitWithoutSync))?;
        self.inner.newest.advance(block.changes(), height);
        self.advance(block);
        Ok(Commit::Written)
    }

    /// Stores the finality certificate of a known block, unless it has one.
    pub fn put_certificate(&self, height: u64, certificate: &Certificate) -> Result<(), StoreError> {
        let _writer = self.writer();
        self.head_at(height)?;
        self.write_certificate(height, certificate)
    }

    fn write_certificate(&self, height: u64, certificate: &Certificate) -> Result<(), StoreError> {
        let key = keys::chain(Chain::Certificate, height);
        let is_missing = self.storage().read(Column::Chain, &key)?.is_none();
        if is_missing && !sabotage::is(Sabotage::LoseCertificates) {
            let mut batch = Batch::default();
            batch.put(Column::Chain, key, keys::certificate(certificate));
            self.storage().write(batch, true)?;
        }
        Ok(())
    }

    fn advance(&self, block: &PendingBlock) {
        let head = Head {
            digest: block.digest(),
            header: block.header().clone(),
            root_version: block.tree().root_version(),
        };
        let mut pending = self.pending_blocks();
        {
            let mut heads = self.inner.heads.write().unwrap_or_else(PoisonError::into_inner);
            heads.recent.push_back((head.digest, head.height()));
            if heads.recent.len() as u64 > RECENT_BLOCKS {
                heads.recent.pop_front();
            }
            heads.newest = Some(Arc::new(head));
        }
        pending.retain_descendants(block.height(), &block.digest());
    }

    fn batch(&self, block: &PendingBlock, certificate: Option<&Certificate>) -> Result<Batch, StoreError> {
        let mut batch = Batch::default();
        self.write_state(block, &mut batch)?;
        block.tree().write(&mut batch)?;
        write_block(block, &mut batch)?;
        let kept = certificate.filter(|_| !sabotage::is(Sabotage::LoseCertificates));
        if let Some(certificate) = kept {
            batch.put(
                Column::Chain,
                keys::chain(Chain::Certificate, block.height()),
                keys::certificate(certificate),
            );
        }
        let mut head = keys::number(block.height());
        head.extend_from_slice(block.digest().as_bytes());
        batch.put(Column::Meta, keys::HEAD.to_vec(), head);
        Ok(batch)
    }

    /// New values, the values they replace, and what pruning may delete of both later.
    fn write_state(&self, block: &PendingBlock, batch: &mut Batch) -> Result<(), StoreError> {
        let height = block.height();
        let mut undo = keys::Undo { nodes: block.tree().stale().to_vec(), ..keys::Undo::default() };
        let keeps_versions = self.inner.config.block_heights.is_none();
        for (key, value) in block.changes() {
            // Before genesis there is nothing to go back to.
            if height > 0 {
                let key_hash = sha256(key);
                let before = self.state(key)?;
                if let (false, Some(before)) = (keeps_versions, &before) {
                    // A record may change without a new version; then its row stays in use.
                    let old = did::index_key(key, before)?;
                    let new = value.as_ref().map(|value| did::index_key(key, value)).transpose()?.flatten();
                    undo.index.extend(old.filter(|old| Some(old) != new.as_ref()));
                }
                let before = match before {
                    Some(before) => [&[1], before.as_slice()].concat(),
                    None => vec![0],
                };
                batch.put(Column::History, keys::history(&key_hash, height), before);
                if did::may_forget(key, keeps_versions) {
                    undo.history.push(key_hash);
                }
            }
            match value {
                Some(value) => batch.put(Column::State, key.clone(), value.clone()),
                None if sabotage::is(Sabotage::KeepDeleted) => {}
                None => batch.delete(Column::State, key.clone()),
            }
            did::index(key, value.as_deref(), height, batch)?;
        }
        if !undo.is_empty() {
            batch.put(Column::Chain, keys::chain(Chain::Undo, height), undo.encode());
        }
        Ok(())
    }
}

pub(super) fn write_block(block: &PendingBlock, batch: &mut Batch) -> Result<(), StoreError> {
    let height = block.height();
    let header = keys::header_row(block.header(), block.tree().root_version());
    batch.put(Column::Chain, keys::chain(Chain::Header, height), header);
    batch.put(Column::Index, keys::digest(&block.digest()), keys::number(height));
    let transactions = &block.block().transactions;
    if !transactions.is_empty() {
        let body = encode_body(&block.block().strip().transactions);
        batch.put(Column::Chain, keys::chain(Chain::Body, height), body);
    }
    for (index, transaction) in (0u32..).zip(transactions) {
        if let Witness::Full(bytes) = &transaction.witness {
            batch.put(Column::Witness, keys::witness(height, index), bytes.clone());
        }
    }
    let executed = block.executed();
    if !executed.receipt_bytes.is_empty() {
        let receipts = keys::list(&executed.receipt_bytes)?;
        batch.put(Column::Chain, keys::chain(Chain::Receipts, height), receipts);
    }
    for (index, id) in (0u32..).zip(&executed.ids) {
        let mut place = keys::number(height);
        place.extend_from_slice(&index.to_be_bytes());
        batch.put(Column::Index, keys::transaction(id), place);
    }
    Ok(())
}
