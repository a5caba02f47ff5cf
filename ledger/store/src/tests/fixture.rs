//! Disks of both kinds, and blocks made by hand.

use std::path::Path;

use aval_codec::{Hash, hash, merkle, sha256, tag};
use aval_machine::{Changes, Executed};
use aval_proof::Certificate;
use aval_types::{Block, BlockTransaction, Header, Outcome, Receipt, TransactionId, Witness, block};
use tempfile::TempDir;

use crate::{Commit, Ledger, MemoryStorage, PendingBlock, StoreConfig, StoreError};

/// Milliseconds between two blocks.
pub(crate) const INTERVAL_MS: u64 = 1_000;
/// Time of the genesis block.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// Something that a ledger can be opened on again and again.
pub(crate) enum Disk {
    Memory(MemoryStorage),
    Rocks(TempDir),
}

impl Disk {
    pub(crate) fn memory() -> Self {
        Disk::Memory(MemoryStorage::new())
    }

    pub(crate) fn rocks() -> Self {
        Disk::Rocks(TempDir::new().unwrap())
    }

    /// An empty disk of the same kind.
    pub(crate) fn empty(&self) -> Disk {
        match self {
            Disk::Memory(_) => Disk::memory(),
            Disk::Rocks(_) => Disk::rocks(),
        }
    }

    pub(crate) fn open(&self) -> Ledger {
        self.open_with(&genesis(), StoreConfig::default()).unwrap()
    }

    pub(crate) fn open_with(&self, genesis: &Hash, config: StoreConfig) -> Result<Ledger, StoreError> {
        match self {
            Disk::Memory(storage) => Ledger::open_memory(storage, genesis, config),
            Disk::Rocks(folder) => Ledger::open(folder.path(), genesis, config),
        }
    }

    /// What is on the disk at this moment, as a power cut would leave it: nothing is flushed or closed first.
    pub(crate) fn snapshot(&self) -> Disk {
        match self {
            Disk::Memory(storage) => Disk::Memory(storage.copied()),
            Disk::Rocks(folder) => {
                let copy = TempDir::new().unwrap();
                copy_folder(folder.path(), copy.path());
                Disk::Rocks(copy)
            }
        }
    }
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn genesis() -> Hash {
    sha256(b"a genesis file")
}

pub(crate) fn put(pairs: &[(&str, &str)]) -> Changes {
    pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))).collect()
}

pub(crate) fn time_ms(height: u64) -> u64 {
    START_MS + height * INTERVAL_MS
}

/// A transaction of arbitrary bytes; the store never reads them.
pub(crate) fn transaction(name: &str) -> BlockTransaction {
    BlockTransaction { envelope: name.as_bytes().to_vec(), witness: Witness::None }
}

pub(crate) fn witnessed(name: &str, witness: &[u8]) -> BlockTransaction {
    BlockTransaction { envelope: name.as_bytes().to_vec(), witness: Witness::Full(witness.to_vec()) }
}

pub(crate) fn id(name: &str) -> TransactionId {
    TransactionId(hash(tag::TRANSACTION, &[name.as_bytes()]))
}

/// Executes a block on `parent` without adding it to the ledger.
pub(crate) fn execute(
    ledger: &Ledger,
    parent: &Hash,
    changes: Changes,
    transactions: Vec<BlockTransaction>,
) -> PendingBlock {
    let view = ledger.view(parent).unwrap();
    let tree = view.tree(&changes).unwrap();
    let height = view.next_height();
    let ids: Vec<TransactionId> = transactions
        .iter()
        .map(|transaction| TransactionId(hash(tag::TRANSACTION, &[&transaction.envelope])))
        .collect();
    let receipts: Vec<Receipt> = (0u32..)
        .zip(&ids)
        .map(|(index, id)| Receipt {
            transaction: *id,
            index,
            height,
            time_ms: time_ms(height),
            outcome: Outcome::Applied(Vec::new()),
        })
        .collect();
    let receipt_bytes: Vec<Vec<u8>> = receipts.iter().map(Receipt::encode).collect();
    let receipts_root = merkle::root(&receipt_bytes);
    let header = Header {
        genesis: ledger.genesis(),
        height,
        time_ms: time_ms(height),
        epoch: 0,
        view: height,
        parent_view: height.saturating_sub(1),
        leader: [0; 32],
        parent: *parent,
        transactions_root: block::transactions_root(&transactions),
        witnesses_root: block::witnesses_root(&transactions),
        receipts_root,
        state_root: tree.root(),
        validators_hash: Hash::ZERO,
        next_validators_hash: Hash::ZERO,
        last_set_change: 0,
    };
    let executed = Executed { changes, receipts, block_receipt: None, receipt_bytes, receipts_root, ids };
    PendingBlock::new(Block { header, transactions }, executed, tree).unwrap()
}

/// The digest that the next block names as its parent.
pub(crate) fn tip(ledger: &Ledger) -> Hash {
    ledger.head().map_or(ledger.genesis(), |head| head.digest())
}

pub(crate) fn certificate(height: u64) -> Certificate {
    Certificate {
        epoch: 0,
        view: height,
        parent_view: height.saturating_sub(1),
        signers: vec![0, 2, 3],
        signatures: vec![[height as u8; 64]; 3],
    }
}

/// Executes and commits a block with a certificate.
pub(crate) fn extend(ledger: &Ledger, changes: Changes, transactions: Vec<BlockTransaction>) -> u64 {
    let block = execute(ledger, &tip(ledger), changes, transactions);
    assert_eq!(ledger.commit(&block, Some(&certificate(block.height()))).unwrap(), Commit::Written);
    block.height()
}

/// Checks the proof of a key at a height against the header's root, and gives the value.
pub(crate) fn proven(ledger: &Ledger, key: &str, height: u64) -> Option<Vec<u8>> {
    let answer = ledger.prove(key.as_bytes(), height).unwrap();
    let root = ledger.header(height).unwrap().state_root;
    answer.proof.verify(&root, key.as_bytes(), answer.value.as_deref()).unwrap();
    answer.value
}
