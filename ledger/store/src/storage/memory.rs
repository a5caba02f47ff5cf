//! The memory back end: the twin of RocksDB for the simulator and for tests.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Batch, Column, KeyValue, Operation, Row};
use crate::error::StoreError;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A disk made of memory. Clones share the content, so that a simulated node can crash and open its ledger again.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    columns: Arc<RwLock<[Rows; Column::ALL.len()]>>,
    /// What the writes since the last synced one have replaced, newest last: a power failure may take them back.
    unsynced: Arc<Mutex<Vec<Operation>>>,
}

impl MemoryStorage {
    /// An empty disk.
    pub fn new() -> Self {
        MemoryStorage::default()
    }

    /// What a power failure does at worst: takes back everything after the last synced write.
    pub fn lose_power(&self) {
        let mut columns = self.columns.write().unwrap_or_else(PoisonError::into_inner);
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Operation { column, key, value }) = unsynced.pop() {
            let rows = rows_mut(&mut columns, column);
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }

    /// A disk of its own with the same content.
    #[cfg(test)]
    pub(crate) fn copied(&self) -> Self {
        let columns = self.columns.read().unwrap_or_else(PoisonError::into_inner).clone();
        MemoryStorage { columns: Arc::new(RwLock::new(columns)), unsynced: Arc::default() }
    }
}

fn rows(columns: &[Rows; Column::ALL.len()], column: Column) -> &Rows {
    let [meta, state, history, nodes, chain, witness, index] = columns;
    match column {
        Column::Meta => meta,
        Column::State => state,
        Column::History => history,
        Column::Nodes => nodes,
        Column::Chain => chain,
        Column::Witness => witness,
        Column::Index => index,
    }
}

fn rows_mut(columns: &mut [Rows; Column::ALL.len()], column: Column) -> &mut Rows {
    let [meta, state, history, nodes, chain, witness, index] = columns;
    match column {
        Column::Meta => meta,
        Column::State => state,
        Column::History => history,
        Column::Nodes => nodes,
        Column::Chain => chain,
        Column::Witness => witness,
        Column::Index => index,
    }
}

impl KeyValue for MemoryStorage {
    fn read(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let columns = self.columns.read().unwrap_or_else(PoisonError::into_inner);
        Ok(rows(&columns, column).get(key).cloned())
    }

    fn scan(&self, column: Column, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let columns = self.columns.read().unwrap_or_else(PoisonError::into_inner);
        let range = rows(&columns, column).range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        Ok(range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        let mut columns = self.columns.write().unwrap_or_else(PoisonError::into_inner);
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        for Operation { column, key, value } in batch.into_operations() {
            let rows = rows_mut(&mut columns, column);
            let before = match value {
                Some(value) => rows.insert(key.clone(), value),
                None => rows.remove(&key),
            };
            if !durable {
                unsynced.push(Operation { column, key, value: before });
            }
        }
        // A synced write takes those before it along.
        if durable {
            unsynced.clear();
        }
        Ok(())
    }

    fn erase_deleted(&self, _column: Column, _to: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn files_below(&self, _column: Column, _to: &[u8]) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn copy_to(&self, _folder: &Path) -> Result<(), StoreError> {
        Err(StoreError::Database {
            action: "copy itself",
            message: "a ledger in memory has no files".to_owned(),
        })
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        let columns = self.columns.read().unwrap_or_else(PoisonError::into_inner);
        let sizes = columns.iter().flatten().map(|(key, value)| (key.len() + value.len()) as u64);
        Ok(sizes.sum())
    }
}
