//! Reading the finalized chain and its state, now and in the past, with proofs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aval_codec::{Hash, Reader, sha256};
use aval_machine::state_key;
use aval_proof::Certificate;
use aval_types::{Block, Header, Mode, TransactionId, Witness, block};

use super::{Head, Ledger, did, keys, keys::Chain};
use crate::error::StoreError;
use crate::storage::Column;

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPlace {
    /// Height of its block.
    pub height: u64,
    /// Its position in the block.
    pub index: u32,
}

impl Ledger {
    /// The newest finalized value under a state key.
    pub fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.inner.newest.get(key, u64::MAX) {
            Ok(value) => Ok(value),
            Err(_) => self.storage().read(Column::State, key),
        }
    }

    /// The newest finalized entries whose keys begin with `prefix` and come after `after`, in the order of their keys.
    pub fn state_after(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        // The least key behind one is that key and a zero byte; the least behind a prefix has a higher last byte.
        let from = after.map_or_else(|| prefix.to_vec(), |after| [after, &[0]].concat());
        let mut to = prefix.to_vec();
        match to.last_mut() {
            Some(last) if *last < u8::MAX => *last += 1,
            _ => return Ok(Vec::new()),
        }
        self.storage().scan(Column::State, &from, &to, limit)
    }

    /// The value under a state key after the block at `height`.
    pub fn state_at(&self, key: &[u8], height: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.require_height(height)?;
        self.state_as_of(height, key)
    }

    /// The same, for a height that is known to be final.
    pub(crate) fn state_as_of(&self, height: u64, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let is_kept = height >= self.oldest_height();
        let settled = match self.inner.newest.get(key, height) {
            Ok(value) if is_kept => return Ok(value),
            Ok(_) => None,
            Err(settled) => Some(settled),
        };
        let learn = |newest: &Option<Vec<u8>>| {
            let writing = || self.inner.state_until.load(Ordering::SeqCst);
            if let Some(settled) = settled {
                self.inner.newest.learn(key, newest.as_deref(), height, settled, writing);
            }
        };
        // In this order: whatever is written between the two reads is found by the second.
        let newest = self.storage().read(Column::State, key)?;
        if self.inner.state_until.load(Ordering::SeqCst) <= height + 1 {
            learn(&newest);
            return Ok(newest);
        }
        let key_hash = sha256(key);
        let (from, to) = (keys::history(&key_hash, height + 1), keys::history(&key_hash, u64::MAX));
        let overwritten = self.storage().scan(Column::History, &from, &to, 1)?;
        if !did::keeps_history(key) {
            self.require_kept(height)?;
        } else if height < self.floor() && key != state_key::VALIDATORS.as_bytes() {
            return Err(StoreError::Pruned { height, oldest: self.floor() });
        }
        match overwritten.first().map(|(_, value)| value.split_first()) {
            None => {
                learn(&newest);
                Ok(newest)
            }
            Some(Some((0, []))) => Ok(None),
            Some(Some((1, value))) => Ok(Some(value.to_vec())),
            Some(_) => Err(StoreError::corrupt("a past value is unreadable")),
        }
    }

    /// The finalized header at a height.
    pub fn header(&self, height: u64) -> Result<Header, StoreError> {
        self.head_at(height).map(|head| head.header.clone())
    }

    /// The height of the finalized block with this digest; `None` if there is none.
    pub fn height_of(&self, digest: &Hash) -> Result<Option<u64>, StoreError> {
        let row = self.storage().read(Column::Index, &keys::digest(digest))?;
        row.map(|row| keys::read_number(&row, "the height of a digest")).transpose()
    }

    /// The finalized block at a height, with the witnesses that are not erased yet.
    pub fn block(&self, height: u64) -> Result<Block, StoreError> {
        let mut block = self.stripped_block(height)?;
        for (index, transaction) in (0u32..).zip(&mut block.transactions) {
            if let Witness::Stripped(hash) = transaction.witness
                && let Some(bytes) = self.storage().read(Column::Witness, &keys::witness(height, index))?
            {
                let witness = Witness::Full(bytes);
                if witness.hash() != hash {
                    return Err(StoreError::corrupt(format!(
                        "a witness of block {height} is not the one of its header"
                    )));
                }
                transaction.witness = witness;
            }
        }
        Ok(block)
    }

    /// The finalized block at a height, each witness replaced by its hash.
    pub fn stripped_block(&self, height: u64) -> Result<Block, StoreError> {
        let header = self.header(height)?;
        self.require_block(height)?;
        let transactions = match self.storage().read(Column::Chain, &keys::chain(Chain::Body, height))? {
            Some(body) => block::decode_body(&body, Mode::Any)
                .map_err(|error| StoreError::corrupt(format!("the body of block {height}: {error}")))?,
            None => Vec::new(),
        };
        if block::transactions_root(&transactions) != header.transactions_root
            || block::witnesses_root(&transactions) != header.witnesses_root
        {
            return Err(StoreError::corrupt(format!(
                "the body of block {height} is not the one of its header"
            )));
        }
        Ok(Block { header, transactions })
    }

    /// The certificate over the block at a height, if this ledger has one.
    pub fn certificate(&self, height: u64) -> Result<Option<Certificate>, StoreError> {
        self.require_height(height)?;
        let bytes = self.storage().read(Column::Chain, &keys::chain(Chain::Certificate, height))?;
        bytes.map(|bytes| keys::read_certificate(&bytes)).transpose()
    }

    /// Where a transaction was included; `None` if it was not.
    pub fn transaction(&self, id: &TransactionId) -> Result<Option<TransactionPlace>, StoreError> {
        let Some(row) = self.storage().read(Column::Index, &keys::transaction(id))? else { return Ok(None) };
        let mut reader = Reader::new(&row);
        let place = reader.u64().and_then(|height| Ok(TransactionPlace { height, index: reader.u32()? }));
        place.map(Some).map_err(|_| StoreError::corrupt("a transaction's place is unreadable"))
    }

    /// The encoded receipts of a block, in the order of its transactions; last its own, if it has one.
    pub fn receipts(&self, height: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.require_height(height)?;
        self.require_block(height)?;
        match self.storage().read(Column::Chain, &keys::chain(Chain::Receipts, height))? {
            Some(row) => keys::read_list(&row),
            None => Ok(Vec::new()),
        }
    }

    /// The newest height whose block time is at or before `time_ms`; `None` if genesis is later.
    pub fn height_at(&self, time_ms: u64) -> Result<Option<u64>, StoreError> {
        // Block times rise with the height, so the highest one that is not later is found by halving.
        let base = self.base();
        let (mut low, mut high) = (base, self.require_head()?.height() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.header(middle)?.time_ms <= time_ms {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == base && base > 0 {
            return Err(StoreError::Pruned { height: base - 1, oldest: base });
        }
        Ok(low.checked_sub(1))
    }

    /// The oldest height from which on there are all blocks.
    pub fn base(&self) -> u64 {
        self.inner.base.load(Ordering::SeqCst)
    }

    /// The oldest height for which the past of DIDs is known.
    pub(super) fn floor(&self) -> u64 {
        self.inner.floor.load(Ordering::SeqCst)
    }

    /// The oldest height whose whole state is kept and provable.
    pub fn oldest_height(&self) -> u64 {
        self.inner.oldest.load(Ordering::SeqCst)
    }

    pub(super) fn head_at(&self, height: u64) -> Result<Arc<Head>, StoreError> {
        let newest = self.require_height(height)?;
        if newest.height() == height {
            return Ok(newest);
        }
        if let Some(head) = self.stored_head(height)? {
            return Ok(Arc::new(head));
        }
        let oldest = self.base();
        Err(if height < oldest {
            StoreError::Pruned { height, oldest }
        } else {
            StoreError::corrupt(format!("block {height} is missing"))
        })
    }

    /// Refuses heights whose header may be here, but not their block. Genesis has no body.
    fn require_block(&self, height: u64) -> Result<(), StoreError> {
        let oldest = self.base();
        if height < oldest && height > 0 { Err(StoreError::Pruned { height, oldest }) } else { Ok(()) }
    }

    pub(super) fn stored_head(&self, height: u64) -> Result<Option<Head>, StoreError> {
        let Some(row) = self.storage().read(Column::Chain, &keys::chain(Chain::Header, height))? else {
            return Ok(None);
        };
        let (header, root_version) = keys::read_header_row(&row)?;
        Ok(Some(Head { digest: header.digest(), header, root_version }))
    }

    pub(super) fn require_height(&self, height: u64) -> Result<Arc<Head>, StoreError> {
        let head = self.require_head()?;
        if height > head.height() {
            return Err(StoreError::NotYet { height, latest: head.height() });
        }
        Ok(head)
    }

    pub(super) fn require_kept(&self, height: u64) -> Result<(), StoreError> {
        let oldest = self.oldest_height();
        if height < oldest { Err(StoreError::Pruned { height, oldest }) } else { Ok(()) }
    }
}
