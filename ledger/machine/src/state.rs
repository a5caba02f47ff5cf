//! What the rules need of a state: two questions. And what they give back: a set of changes.
//!
//! The rules never write. Each block's changes are laid over the state that it was executed on ([`Overlay`]), so that
//! blocks which are not final yet stack up in memory, and only what is final reaches a disk (D2). A refused
//! transaction cannot leave anything behind, because nothing is written before everything about it is decided.

use std::collections::{BTreeMap, BTreeSet};

use aval_types::TransactionId;

/// The state could not be read or holds bytes that the rules never wrote. This is a fault of this node, not of a
/// sender: nothing was decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The storage below failed.
    #[error("state could not be read: {0}")]
    Unavailable(String),
    /// A value is not what the rules write under such a key.
    #[error("state holds a damaged value under `{key}`: {reason}")]
    Damaged {
        /// The state key.
        key: String,
        /// What is wrong with the value.
        reason: String,
    },
}

impl StateError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "state.unavailable",
            Self::Damaged { .. } => "state.damaged",
        }
    }

    /// A value under `key` that cannot be what the rules wrote.
    pub fn damaged(key: &str, reason: impl ToString) -> Self {
        Self::Damaged { key: key.to_owned(), reason: reason.to_string() }
    }
}

/// A state at one block boundary. Shared by the threads that authorize a block, hence `Sync`.
pub trait StateRead: Sync {
    /// The value under a state key (see [`crate::state_key`]), `None` if there is none.
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Whether a block of the last ten minutes (by block time) holds a transaction with this id (D4).
    ///
    /// An implementation may remember ids for longer: a longer memory never refuses a transaction that a shorter one
    /// accepts, because a validity window lasts ten minutes at most.
    fn contains_transaction(&self, id: &TransactionId) -> Result<bool, StateError>;
}

impl<S: StateRead + ?Sized + Send> StateRead for std::sync::Arc<S> {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        (**self).read(key)
    }

    fn contains_transaction(&self, id: &TransactionId) -> Result<bool, StateError> {
        (**self).contains_transaction(id)
    }
}

impl<S: StateRead + ?Sized> StateRead for &S {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        (**self).read(key)
    }

    fn contains_transaction(&self, id: &TransactionId) -> Result<bool, StateError> {
        (**self).contains_transaction(id)
    }
}

/// State keys and their new values; `None` removes the key. Ordered, so that equal changes are equal bytes everywhere.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A state with changes laid over it that are not part of it yet.
#[derive(Debug)]
pub struct Overlay<'state, S: ?Sized> {
    below: &'state S,
    changes: Changes,
    ids: BTreeSet<TransactionId>,
}

impl<'state, S: StateRead + ?Sized> Overlay<'state, S> {
    /// Nothing laid over `below` yet.
    pub fn new(below: &'state S) -> Self {
        Self { below, changes: Changes::new(), ids: BTreeSet::new() }
    }

    /// What a block that is executed but not final made of `below`.
    pub fn with_block(
        below: &'state S,
        changes: Changes,
        ids: impl IntoIterator<Item = TransactionId>,
    ) -> Self {
        Self { below, changes, ids: ids.into_iter().collect() }
    }

    /// Lays further changes over it; a later change of a key replaces an earlier one.
    pub fn apply(&mut self, changes: Changes) {
        self.changes.extend(changes);
    }

    /// Whether this layer changes one of the keys.
    pub fn touches<'key>(&self, keys: impl IntoIterator<Item = &'key Vec<u8>>) -> bool {
        !self.changes.is_empty() && keys.into_iter().any(|key| self.changes.contains_key(key))
    }

    /// The changes of this layer alone.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The changes of this layer alone, by value.
    pub fn into_changes(self) -> Changes {
        self.changes
    }
}

impl<S: StateRead + ?Sized> StateRead for Overlay<'_, S> {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.below.read(key),
        }
    }

    fn contains_transaction(&self, id: &TransactionId) -> Result<bool, StateError> {
        if self.ids.contains(id) { Ok(true) } else { self.below.contains_transaction(id) }
    }
}
