//! The ledger on disk: the finalized chain and its state, and above it the blocks that are not final yet.
//!
//! Invariants:
//! - What is on disk is always the state after a whole block: each block is one atomic, synced write, height included.
//! - Heights are contiguous from genesis; a block at a known height is either the known one or an error.
//! - One writer at a time commits, prunes or erases; readers never wait for it.
//! - State at an older height is the newest value, corrected by the oldest overwritten value above that height.

mod commit;
mod did;
mod install;
mod keys;
mod newest;
mod prove;
mod prune;
mod read;
mod snapshot;
mod trust;
mod verify;
mod witness;

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use aval_codec::Hash;
use aval_machine::Changes;
use aval_types::Header;

use crate::config::StoreConfig;
use crate::error::StoreError;
use crate::pending::{PendingBlock, PendingBlocks, View};
use crate::storage::{Batch, Column, KeyValue, MemoryStorage, RocksStorage};
use crate::tree::{PendingTree, TreeBase};

use newest::NewestValues;

pub use commit::Commit;
pub use did::DidVersion;
pub use install::{InstallStep, Installation, InstalledChange};
pub use prove::{Finality, ProvenState};
pub use prune::Pruned;
pub use read::TransactionPlace;
pub use verify::{Damage, Verification};
pub use witness::ErasedWitnesses;

/// How many finalized digests are remembered, for views on blocks that have just become final.
const RECENT_BLOCKS: u64 = 256;

/// The newest finalized block.
#[derive(Clone, Debug)]
pub struct Head {
    digest: Hash,
    header: Header,
    root_version: Option<u64>,
}

impl Head {
    /// Its digest.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its height.
    pub fn height(&self) -> u64 {
        self.header.height
    }
}

/// The finalized heads that are remembered.
#[derive(Debug, Default)]
struct Heads {
    newest: Option<Arc<Head>>,
    /// Digest and height of the newest blocks, ascending.
    recent: VecDeque<(Hash, u64)>,
}

/// A ledger: finalized blocks and their state in storage, pending blocks in memory. Clones share both.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Box<dyn KeyValue>,
    genesis: Hash,
    config: StoreConfig,
    heads: RwLock<Heads>,
    pending: Mutex<PendingBlocks>,
    /// Held by whoever writes.
    writer: Mutex<()>,
    /// Heights below this one may be in the state column; raised before a block is written.
    state_until: AtomicU64,
    newest: NewestValues,
    /// The oldest height whose whole state and proofs are kept.
    oldest: AtomicU64,
    /// The oldest height of the unbroken run of blocks. Below it there are only the headers of genesis and of set
    /// changes.
    base: AtomicU64,
    /// The oldest height for which past values that are kept for good are here.
    floor: AtomicU64,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("genesis", &self.inner.genesis).field("head", &self.head()).finish()
    }
}

impl Ledger {
    /// Opens the ledger in a folder of its own, or makes one there if the folder is empty or missing.
    ///
    /// The folder stays locked while a clone of this ledger lives. A folder that is not this network's ledger is
    /// refused and left as it is.
    pub fn open(folder: &Path, genesis: &Hash, config: StoreConfig) -> Result<Self, StoreError> {
        let storage = RocksStorage::open(folder, genesis, &config)?;
        Ledger::with_storage(Box::new(storage), genesis, config, folder)
    }

    /// Opens a ledger in memory: the twin for simulation and tests, same rules, same roots.
    pub fn open_memory(
        storage: &MemoryStorage,
        genesis: &Hash,
        config: StoreConfig,
    ) -> Result<Self, StoreError> {
        Ledger::with_storage(Box::new(storage.clone()), genesis, config, Path::new("memory"))
    }

    fn with_storage(
        storage: Box<dyn KeyValue>,
        genesis: &Hash,
        config: StoreConfig,
        path: &Path,
    ) -> Result<Self, StoreError> {
        match storage.read(Column::Meta, keys::GENESIS)? {
            Some(bytes) if bytes == genesis.as_bytes() => {}
            Some(bytes) => {
                let found =
                    Hash::from_slice(&bytes).ok_or_else(|| StoreError::corrupt("the stored genesis hash"))?;
                return Err(StoreError::GenesisMismatch {
                    path: path.to_path_buf(),
                    expected: *genesis,
                    found,
                });
            }
            None => {
                let mut batch = Batch::default();
                batch.put(Column::Meta, keys::GENESIS.to_vec(), genesis.as_bytes().to_vec());
                storage.write(batch, true)?;
            }
        }
        let ledger = Ledger {
            inner: Arc::new(Inner {
                storage,
                genesis: *genesis,
                newest: NewestValues::new(config.state_cache_bytes),
                config,
                heads: RwLock::default(),
                pending: Mutex::default(),
                writer: Mutex::default(),
                state_until: AtomicU64::new(0),
                oldest: AtomicU64::new(0),
                base: AtomicU64::new(0),
                floor: AtomicU64::new(0),
            }),
        };
        ledger.load()?;
        Ok(ledger)
    }

    /// Reads what is remembered in memory.
    fn load(&self) -> Result<(), StoreError> {
        let bounds = [
            (keys::OLDEST, &self.inner.oldest),
            (keys::BASE, &self.inner.base),
            (keys::FLOOR, &self.inner.floor),
        ];
        for (key, bound) in bounds {
            if let Some(bytes) = self.inner.storage.read(Column::Meta, key)? {
                bound.store(keys::read_number(&bytes, "the oldest kept height")?, Ordering::SeqCst);
            }
        }
        self.load_heads()
    }

    fn load_heads(&self) -> Result<(), StoreError> {
        let Some(bytes) = self.inner.storage.read(Column::Meta, keys::HEAD)? else { return Ok(()) };
        let damaged = || StoreError::corrupt("the newest block's row");
        let (height, digest) = bytes.split_at_checked(8).ok_or_else(damaged)?;
        let height = keys::read_number(height, "the newest height")?;
        let digest = Hash::from_slice(digest).ok_or_else(damaged)?;
        let mut heads = Heads::default();
        for recent in height.saturating_sub(RECENT_BLOCKS - 1).max(self.base())..=height {
            let head = self
                .stored_head(recent)?
                .ok_or_else(|| StoreError::corrupt(format!("block {recent} is missing")))?;
            heads.recent.push_back((head.digest, recent));
            heads.newest = Some(Arc::new(head));
        }
        if heads.newest.as_ref().is_none_or(|head| head.digest != digest) {
            return Err(damaged());
        }
        self.inner.state_until.store(height + 1, Ordering::SeqCst);
        self.inner.newest.clear(height + 1);
        *self.inner.heads.write().unwrap_or_else(PoisonError::into_inner) = heads;
        Ok(())
    }

    /// Hash of the network's genesis file.
    pub fn genesis(&self) -> Hash {
        self.inner.genesis
    }

    /// The newest finalized block; `None` before the genesis block is committed.
    pub fn head(&self) -> Option<Arc<Head>> {
        self.inner.heads.read().unwrap_or_else(PoisonError::into_inner).newest.clone()
    }

    /// The newest finalized block, or the error that there is none.
    pub fn require_head(&self) -> Result<Arc<Head>, StoreError> {
        self.head().ok_or(StoreError::Empty)
    }

    /// The state after the block `parent`: pending, or one of the newest finalized ones, or the genesis hash as
    /// long as the ledger is empty. The next block is executed on it.
    pub fn view(&self, parent: &Hash) -> Result<View, StoreError> {
        // The lock is held until the base is known, so that a commit does not fall between chain and base.
        let pending = self.pending_blocks();
        let (chain, below) = pending.chain(parent);
        let base = self.finalized(&below)?;
        Ok(View::new(self.clone(), base, chain))
    }

    /// The state after the finalized block at `height`.
    pub fn view_at(&self, height: u64) -> Result<View, StoreError> {
        Ok(View::new(self.clone(), Some(self.head_at(height)?), Vec::new()))
    }

    /// Adds an executed block above a known one.
    pub fn insert_pending(&self, block: PendingBlock) -> Result<Arc<PendingBlock>, StoreError> {
        let mut pending = self.pending_blocks();
        if pending.get(&block.parent()).is_none() {
            self.finalized(&block.parent())?;
        }
        let block = Arc::new(block);
        pending.insert(Arc::clone(&block));
        Ok(block)
    }

    /// The pending block with this digest.
    pub fn pending(&self, digest: &Hash) -> Option<Arc<PendingBlock>> {
        self.pending_blocks().get(digest).cloned()
    }

    /// How many blocks are pending.
    pub fn pending_count(&self) -> usize {
        self.pending_blocks().len()
    }

    /// Writes a copy of the ledger into a new folder while others read and write. It is the ledger as it was after one
    /// block, can be opened as one, and holds no witness at all.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        // No block is committed between the columns of the copy.
        let _writer = self.writer();
        self.storage().copy_to(folder)
    }

    /// Brings the files into the form that RocksDB brings them into over time: nothing deleted is left in them.
    pub fn compact(&self) -> Result<(), StoreError> {
        for column in Column::ALL {
            self.storage().erase_deleted(column, &[0xff; 300])?;
        }
        Ok(())
    }

    /// Bytes that the ledger takes in its storage.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        self.inner.storage.size_bytes()
    }

    /// The finalized block with this digest, if it is among the newest; nothing for the genesis hash of an empty
    /// ledger.
    fn finalized(&self, digest: &Hash) -> Result<Option<Arc<Head>>, StoreError> {
        let height = {
            let heads = self.inner.heads.read().unwrap_or_else(PoisonError::into_inner);
            match &heads.newest {
                Some(head) if head.digest == *digest => return Ok(Some(Arc::clone(head))),
                None if *digest == self.inner.genesis => return Ok(None),
                _ => {
                    heads.recent.iter().rev().find(|(recent, _)| recent == digest).map(|(_, height)| *height)
                }
            }
        };
        self.head_at(height.ok_or(StoreError::UnknownBlock(*digest))?).map(Some)
    }

    pub(crate) fn apply_to_tree(&self, view: &View, changes: &Changes) -> Result<PendingTree, StoreError> {
        let newest = view.pending().last();
        let root_version = match newest {
            Some(block) => block.tree().root_version(),
            None => view.base().and_then(|head| head.root_version),
        };
        let base = TreeBase {
            storage: self.storage(),
            pending: view.pending(),
            root: view.root(),
            root_version,
            height: view.next_height(),
        };
        base.apply(changes)
    }

    fn storage(&self) -> &dyn KeyValue {
        self.inner.storage.as_ref()
    }

    fn pending_blocks(&self) -> MutexGuard<'_, PendingBlocks> {
        self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, ()> {
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
