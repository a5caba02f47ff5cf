//! The state tree, written down a second time from its description: an independent check of the verifier.

use std::collections::BTreeMap;

use aval_codec::{Hash, sha256};
use aval_proof::{OtherLeaf, StateProof, empty_root};

pub type State = BTreeMap<String, Vec<u8>>;

type Leaf = (Hash, Hash);

fn leaf_hash((key, value): &Leaf) -> Hash {
    sha256(&[b"JMT::LeafNode".as_slice(), key.as_bytes(), value.as_bytes()].concat())
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[b"JMT::IntrnalNode".as_slice(), left.as_bytes(), right.as_bytes()].concat())
}

fn bit(hash: &Hash, index: usize) -> bool {
    hash.as_bytes()[index / 8] >> (7 - index % 8) & 1 == 1
}

fn leaves(state: &State) -> Vec<Leaf> {
    state.iter().map(|(key, value)| (sha256(key.as_bytes()), sha256(value))).collect()
}

fn hash_of(leaves: &[Leaf], depth: usize) -> Hash {
    match leaves {
        [] => empty_root(),
        [only] => leaf_hash(only),
        many => {
            let (right, left): (Vec<Leaf>, Vec<Leaf>) = many.iter().partition(|(key, _)| bit(key, depth));
            node_hash(&hash_of(&left, depth + 1), &hash_of(&right, depth + 1))
        }
    }
}

pub fn root(state: &State) -> Hash {
    hash_of(&leaves(state), 0)
}

/// The proof of a key's value, or of its absence.
pub fn prove(state: &State, key: &str) -> StateProof {
    let wanted = sha256(key.as_bytes());
    let mut here = leaves(state);
    let mut siblings = Vec::new();
    while here.len() > 1 {
        let depth = siblings.len();
        let (right, left): (Vec<Leaf>, Vec<Leaf>) = here.iter().partition(|(key, _)| bit(key, depth));
        let (mine, other) = if bit(&wanted, depth) { (right, left) } else { (left, right) };
        siblings.push(hash_of(&other, depth + 1));
        here = mine;
    }
    siblings.reverse();
    let other = here.first().filter(|(key, _)| *key != wanted);
    StateProof {
        siblings,
        leaf: other.map(|(key_hash, value_hash)| OtherLeaf { key_hash: *key_hash, value_hash: *value_hash }),
    }
}
