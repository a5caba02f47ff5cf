//! A state in memory: for tests and simulation.

use std::collections::BTreeMap;

use aval_types::{Genesis, GenesisError, TransactionId};

use crate::block::Executed;
use crate::genesis::genesis_changes;
use crate::state::{Changes, StateError, StateRead};

/// How long ids are remembered: as long as a validity window can be.
const MEMORY_MS: u64 = aval_types::limits::VALIDITY_SECONDS_MAX.unsigned_abs() * 1000;

/// The whole state as a map, and the ids of the last ten minutes of block time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    ids: BTreeMap<TransactionId, u64>,
}

impl MemoryState {
    /// Nothing at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first state of a network.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let mut state = Self::new();
        state.apply(genesis_changes(genesis)?);
        Ok(state)
    }

    /// Makes a block that was executed on this state part of it.
    pub fn commit(&mut self, executed: &Executed, time_ms: u64) {
        self.apply(executed.changes.clone());
        self.ids.retain(|_, included_ms| included_ms.saturating_add(MEMORY_MS) > time_ms);
        self.ids.extend(executed.ids.iter().map(|id| (*id, time_ms)));
    }

    /// Applies changes alone.
    pub fn apply(&mut self, changes: Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
        }
    }

    /// All keys and values in order.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

impl StateRead for MemoryState {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.values.get(key).cloned())
    }

    fn contains_transaction(&self, id: &TransactionId) -> Result<bool, StateError> {
        Ok(self.ids.contains_key(id))
    }
}
