//! The set of validators that certifies blocks (specs/wire.md, "Validator set").

use crate::{Genesis, block::validators_hash};
use aval_codec::Hash;

/// Validators in the order of signer indices: ascending by key bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorSet {
    keys: Vec<[u8; 32]>,
}

impl ValidatorSet {
    /// Takes Ed25519 keys in any order.
    pub fn new(mut keys: Vec<[u8; 32]>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self { keys }
    }

    /// The set that a genesis file names.
    pub fn of_genesis(genesis: &Genesis) -> Self {
        Self::new(genesis.validator_keys())
    }

    /// The keys, ascending.
    pub fn keys(&self) -> &[[u8; 32]] {
        &self.keys
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// How many signatures certify a block: n - floor((n - 1) / 3).
    pub fn quorum(&self) -> usize {
        let count = self.keys.len();
        count - count.saturating_sub(1) / 3
    }

    /// What headers commit to.
    pub fn hash(&self) -> Hash {
        validators_hash(&self.keys)
    }
}
