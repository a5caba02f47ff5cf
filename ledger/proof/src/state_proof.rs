//! Proofs that a key has a value in the state tree, or is absent from it (specs/wire.md, "State proof").
//!
//! The tree is a Jellyfish Merkle Tree with SHA-256, bit for bit that of the crate `jmt` 0.12; this verifier is our
//! own, so that a wallet needs no tree, and the tests compare it with that crate. Keys and values enter by their
//! SHA-256. A subtree without keys hashes to a constant, one with a single key to that key's leaf at whatever
//! depth, any other to its two halves.
//!
//! A proof holds the siblings from the bottom to the root. It starts from
//! - the leaf of the key and value themselves, to prove that the key has the value (`leaf` is left out: it is known);
//! - the empty subtree, to prove absence (`leaf` is left out);
//! - the leaf of another key whose path is the same that far down, to prove absence (`leaf` is given).

use aval_codec::{Hash, sha256};
use serde::{Deserialize, Serialize};

use crate::error::ProofError;

/// The hash of a subtree without keys.
const EMPTY: [u8; 32] = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";
const LEAF_TAG: &[u8] = b"JMT::LeafNode";
const NODE_TAG: &[u8] = b"JMT::IntrnalNode";

/// Levels of the tree: bits of a key's hash.
pub const DEPTH_MAX: usize = 256;

/// The leaf of another key, where absence is proved by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtherLeaf {
    /// SHA-256 of that key.
    pub key_hash: Hash,
    /// SHA-256 of its value.
    pub value_hash: Hash,
}

/// A proof of presence or absence of one key. Which of the two it proves is said by what it is verified against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateProof {
    /// Siblings on the way from the bottom to the root.
    pub siblings: Vec<Hash>,
    /// The leaf found in the key's place, if that of another key proves absence.
    pub leaf: Option<OtherLeaf>,
}

/// The hash of an empty state tree.
pub fn empty_root() -> Hash {
    Hash::new(EMPTY)
}

pub(crate) fn leaf_hash(key_hash: &Hash, value_hash: &Hash) -> Hash {
    sha256(&[LEAF_TAG, key_hash.as_bytes(), value_hash.as_bytes()].concat())
}

pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[NODE_TAG, left.as_bytes(), right.as_bytes()].concat())
}

/// Bit `index` of a hash, 0 being the highest of the first byte.
pub(crate) fn bit(hash: &Hash, index: usize) -> bool {
    hash.as_bytes().get(index / 8).is_some_and(|byte| (byte >> (7 - index % 8)) & 1 == 1)
}

fn common_bits(left: &Hash, right: &Hash) -> usize {
    (0..DEPTH_MAX).take_while(|index| bit(left, *index) == bit(right, *index)).count()
}

impl StateProof {
    /// Checks that under `root` the key has this value, or with `None` that it is absent.
    pub fn verify(&self, root: &Hash, key: &[u8], value: Option<&[u8]>) -> Result<(), ProofError> {
        if self.siblings.len() > DEPTH_MAX {
            return Err(ProofError::State("there are more siblings than levels"));
        }
        let key_hash = sha256(key);
        let start = match (value, &self.leaf) {
            (Some(value), None) => leaf_hash(&key_hash, &sha256(value)),
            (Some(_), Some(_)) => return Err(ProofError::State("a proof of presence names another leaf")),
            (None, None) => empty_root(),
            (None, Some(leaf)) => {
                if leaf.key_hash == key_hash {
                    return Err(ProofError::State("a proof of absence names the key's own leaf"));
                }
                if common_bits(&leaf.key_hash, &key_hash) < self.siblings.len() {
                    return Err(ProofError::State("the other leaf does not lie in the key's place"));
                }
                leaf_hash(&leaf.key_hash, &leaf.value_hash)
            }
        };
        // The sibling nearest to the root is the last and belongs to the first bit.
        let levels = (0..self.siblings.len()).rev();
        let found = self.siblings.iter().zip(levels).fold(start, |hash, (sibling, level)| {
            if bit(&key_hash, level) { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
        });
        if found == *root {
            Ok(())
        } else {
            Err(ProofError::State("the proof does not lead to the state root"))
        }
    }
}
