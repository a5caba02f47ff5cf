//! The small key-value abstraction under the ledger: ordered columns, point reads, short scans, atomic batches.
//!
//! Everything above is written once and runs on both back ends: RocksDB for nodes, memory for simulation and
//! tests. A back end promises that a [`Batch`] becomes visible whole or not at all and, if `durable`, survives a
//! crash once `write` returns.

mod folder;
mod memory;
mod rocks;

use std::path::Path;

use crate::error::StoreError;

pub use memory::MemoryStorage;
pub(crate) use rocks::RocksStorage;

/// A column: keys of one kind that are sorted, cached and compacted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Counters and markers.
    Meta,
    /// State key -> newest value.
    State,
    /// Key hash and height -> the value that was overwritten at that height.
    History,
    /// Version and path -> tree node.
    Nodes,
    /// Height -> header, body, receipts, certificate, undo list.
    Chain,
    /// Height and index -> witness bytes, and nothing else, so that they can be erased for good.
    Witness,
    /// Transaction id -> place; DID version -> height.
    Index,
}

impl Column {
    /// All columns, in the order of [`Column::position`].
    pub(crate) const ALL: [Column; 7] = [
        Column::Meta,
        Column::State,
        Column::History,
        Column::Nodes,
        Column::Chain,
        Column::Witness,
        Column::Index,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Column::Meta => "default",
            Column::State => "state",
            Column::History => "history",
            Column::Nodes => "nodes",
            Column::Chain => "chain",
            Column::Witness => "witness",
            Column::Index => "index",
        }
    }
}

/// Key and value of one row.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// Writes that happen together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    operations: Vec<Operation>,
}

/// One write: the value, or nothing to delete the row.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) column: Column,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Batch {
    pub(crate) fn put(&mut self, column: Column, key: Vec<u8>, value: Vec<u8>) {
        self.operations.push(Operation { column, key, value: Some(value) });
    }

    pub(crate) fn delete(&mut self, column: Column, key: Vec<u8>) {
        self.operations.push(Operation { column, key, value: None });
    }

    pub(crate) fn len(&self) -> usize {
        self.operations.len()
    }

    pub(crate) fn into_operations(self) -> Vec<Operation> {
        self.operations
    }
}

/// An ordered key-value store with columns.
pub(crate) trait KeyValue: Send + Sync + 'static {
    /// The value of a row.
    fn read(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first `limit` rows with `from <= key < to`, ascending.
    fn scan(&self, column: Column, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Applies a batch; a `durable` one is on disk when this returns.
    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError>;

    /// Makes deleted rows of a column below `to` disappear from every file, logs included.
    fn erase_deleted(&self, column: Column, to: &[u8]) -> Result<(), StoreError>;

    /// The files that hold rows of a column below `to`.
    fn files_below(&self, column: Column, to: &[u8]) -> Result<Vec<String>, StoreError>;

    /// Writes a copy of everything into a new folder, while others read and write, without the rows of the witness
    /// column. The copy is what was there at one moment.
    fn copy_to(&self, folder: &Path) -> Result<(), StoreError>;

    /// Bytes on disk, by the back end's own account.
    fn size_bytes(&self) -> Result<u64, StoreError>;
}
