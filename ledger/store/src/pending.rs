//! Blocks that are executed and not final: held in memory, stacked by parent, forks side by side (D2).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use aval_codec::Hash;
use aval_machine::{Changes, Executed, StateError, StateRead};
use aval_types::{Block, Header, TransactionId};

use crate::error::StoreError;
use crate::ledger::{Head, Ledger};
use crate::tree::PendingTree;

/// A block with everything that committing it will write.
#[derive(Debug)]
pub struct PendingBlock {
    digest: Hash,
    block: Block,
    executed: Executed,
    ids: BTreeSet<TransactionId>,
    tree: PendingTree,
}

impl PendingBlock {
    /// Puts together a block and what executing it gave. Refuses a block whose header carries another state root.
    pub fn new(block: Block, executed: Executed, tree: PendingTree) -> Result<Self, StoreError> {
        if block.header.state_root != tree.root() {
            return Err(StoreError::RootMismatch {
                height: block.header.height,
                header: block.header.state_root,
                computed: tree.root(),
            });
        }
        let ids = executed.ids.iter().copied().collect();
        Ok(PendingBlock { digest: block.digest(), block, executed, ids, tree })
    }

    /// Digest of the header.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// Digest of the parent.
    pub fn parent(&self) -> Hash {
        self.block.header.parent
    }

    /// Height of the block.
    pub fn height(&self) -> u64 {
        self.block.header.height
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.block.header
    }

    /// The block, as it was executed.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// What executing it gave.
    pub fn executed(&self) -> &Executed {
        &self.executed
    }

    /// What it makes of the state tree.
    pub fn tree(&self) -> &PendingTree {
        &self.tree
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.executed.changes
    }
}

/// Blocks that are held at a time. While a network is cut, every view may bring another block on the same
/// parent, and none becomes final: without a bound a long cut would fill the memory. What is dropped is
/// executed again if it is wanted.
pub const PENDING_BLOCKS_MAX: usize = 128;

/// The pending blocks of a ledger, by digest.
#[derive(Debug, Default)]
pub(crate) struct PendingBlocks {
    blocks: BTreeMap<Hash, Arc<PendingBlock>>,
    /// Digests in the order in which the blocks came; of those that are still held.
    arrivals: VecDeque<Hash>,
}

impl PendingBlocks {
    pub(crate) fn get(&self, digest: &Hash) -> Option<&Arc<PendingBlock>> {
        self.blocks.get(digest)
    }

    /// Adds a block. If there are too many, the oldest go with what stands on them, but none of those that it
    /// stands on.
    pub(crate) fn insert(&mut self, block: Arc<PendingBlock>) {
        let digest = block.digest();
        if self.blocks.insert(digest, block).is_none() {
            self.arrivals.push_back(digest);
        }
        if self.blocks.len() <= PENDING_BLOCKS_MAX {
            return;
        }
        let needed: BTreeSet<Hash> = self.chain(&digest).0.iter().map(|block| block.digest()).collect();
        let oldest: Vec<Hash> = self.arrivals.iter().filter(|old| !needed.contains(*old)).copied().collect();
        for old in oldest {
            if self.blocks.len() <= PENDING_BLOCKS_MAX {
                break;
            }
            self.drop_with_descendants(old);
        }
    }

    fn drop_with_descendants(&mut self, digest: Hash) {
        let mut dropped = BTreeSet::from([digest]);
        let mut by_height: Vec<&Arc<PendingBlock>> = self.blocks.values().collect();
        by_height.sort_by_key(|block| block.height());
        for block in by_height {
            if dropped.contains(&block.parent()) {
                dropped.insert(block.digest());
            }
        }
        self.blocks.retain(|own, _| !dropped.contains(own));
        self.arrivals.retain(|own| !dropped.contains(own));
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// The pending blocks from `tip` down to the first block that is not pending, ascending; and that block's digest.
    pub(crate) fn chain(&self, tip: &Hash) -> (Vec<Arc<PendingBlock>>, Hash) {
        let mut chain = Vec::new();
        let mut cursor = *tip;
        while let Some(block) = self.blocks.get(&cursor) {
            chain.push(Arc::clone(block));
            cursor = block.parent();
        }
        chain.reverse();
        (chain, cursor)
    }

    /// Drops what can never become final once `digest` is final at `height`: everything that does not descend from it.
    pub(crate) fn retain_descendants(&mut self, height: u64, digest: &Hash) {
        let mut by_height: Vec<Arc<PendingBlock>> =
            self.blocks.values().filter(|block| block.height() > height).cloned().collect();
        by_height.sort_by_key(|block| block.height());
        let mut kept = BTreeSet::from([*digest]);
        for block in by_height {
            if kept.contains(&block.parent()) {
                kept.insert(block.digest());
            }
        }
        self.blocks.retain(|own, _| own != digest && kept.contains(own));
        let blocks = &self.blocks;
        self.arrivals.retain(|own| blocks.contains_key(own));
    }
}

/// The state after one block, pending or final: what the next block is executed on.
///
/// A view stays what it is while the ledger moves on, until the heights it stands on are pruned.
#[derive(Clone, Debug)]
pub struct View {
    ledger: Ledger,
    /// The finalized block below; `None` before genesis.
    base: Option<Arc<Head>>,
    /// Pending blocks above the base, ascending.
    pending: Vec<Arc<PendingBlock>>,
}

impl View {
    pub(crate) fn new(ledger: Ledger, base: Option<Arc<Head>>, pending: Vec<Arc<PendingBlock>>) -> Self {
        View { ledger, base, pending }
    }

    /// The header of the block whose state this is; `None` before genesis.
    pub fn header(&self) -> Option<&Header> {
        match self.pending.last() {
            Some(block) => Some(block.header()),
            None => self.base.as_deref().map(Head::header),
        }
    }

    /// The height that a block executed on this view has.
    pub fn next_height(&self) -> u64 {
        self.header().map_or(0, |header| header.height + 1)
    }

    /// The state root of this view.
    pub fn root(&self) -> Hash {
        self.header().map_or(crate::tree::EMPTY_ROOT, |header| header.state_root)
    }

    /// What changes make of this view's state tree.
    pub fn tree(&self, changes: &Changes) -> Result<PendingTree, StoreError> {
        self.ledger.apply_to_tree(self, changes)
    }

    /// The value under a state key.
    pub fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        for block in self.pending.iter().rev() {
            if let Some(value) = block.changes().get(key) {
                return Ok(value.clone());
            }
        }
        match &self.base {
            Some(base) => self.ledger.state_as_of(base.height(), key),
            None => Ok(None),
        }
    }

    pub(crate) fn base(&self) -> Option<&Head> {
        self.base.as_deref()
    }

    pub(crate) fn pending(&self) -> &[Arc<PendingBlock>] {
        &self.pending
    }
}

impl StateRead for View {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.state(key).map_err(into_state_error)
    }

    fn contains_transaction(&self, id: &TransactionId) -> Result<bool, StateError> {
        if self.pending.iter().any(|block| block.ids.contains(id)) {
            return Ok(true);
        }
        let Some(base) = &self.base else { return Ok(false) };
        let place = self.ledger.transaction(id).map_err(into_state_error)?;
        // Ids are remembered for good, which the contract allows; but a block after this view's is not in its past.
        Ok(place.is_some_and(|place| place.height <= base.height()))
    }
}

fn into_state_error(error: StoreError) -> StateError {
    StateError::Unavailable(format!("{}: {error}", error.code()))
}
