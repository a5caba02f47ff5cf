//! Our verifier agrees with `jmt`, and the tree is what the specification says it is.

use std::collections::BTreeMap;

use aval_codec::{Hash, sha256};
use proptest::prelude::*;

use super::tree::Tree;
use crate::{
    error::ProofError,
    state_proof::{OtherLeaf, StateProof, empty_root, leaf_hash, node_hash},
};

fn bit(hash: &Hash, index: usize) -> bool {
    (hash.as_bytes()[index / 8] >> (7 - index % 8)) & 1 == 1
}

/// The state root as section 8 of the specification defines it.
fn root_by_definition(entries: &[(Hash, Hash)], depth: usize) -> Hash {
    match entries {
        [] => empty_root(),
        [(key, value)] => leaf_hash(key, value),
        _ => {
            let (right, left): (Vec<_>, Vec<_>) = entries.iter().partition(|(key, _)| bit(key, depth));
            node_hash(&root_by_definition(&left, depth + 1), &root_by_definition(&right, depth + 1))
        }
    }
}

fn root_of(state: &BTreeMap<String, String>) -> Hash {
    let entries: Vec<_> =
        state.iter().map(|(key, value)| (sha256(key.as_bytes()), sha256(value.as_bytes()))).collect();
    root_by_definition(&entries, 0)
}

fn changes() -> impl Strategy<Value = Vec<Vec<(String, Option<String>)>>> {
    // Few different keys, so that versions replace and delete what earlier ones wrote.
    let key = (0..40u8).prop_map(|number| format!("did/{number}"));
    let change = (key, proptest::option::weighted(0.8, "[a-z]{0,8}"));
    proptest::collection::vec(proptest::collection::vec(change, 1..20), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn presence_and_absence_are_proved_as_jmt_proves_them(versions in changes()) {
        let (mut tree, mut state) = (Tree::default(), BTreeMap::new());
        for version in versions {
            // Within a version the last change of a key counts; the tree must not see the others.
            let version: BTreeMap<_, _> = version.into_iter().collect();
            let bytes = version.iter().map(|(key, value)| (key.as_bytes(), value.as_deref().map(str::as_bytes)));
            let root = tree.change(bytes);
            for (key, value) in version {
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
            prop_assert_eq!(root, root_of(&state));
        }
        let root = tree.root();
        for number in 0..60u8 {
            let key = format!("did/{number}");
            let (value, proof) = tree.prove(&key);
            prop_assert_eq!(value.as_deref(), state.get(&key).map(|value| value.as_bytes()));
            prop_assert_eq!(proof.verify(&root, key.as_bytes(), value.as_deref()), Ok(()));
            // The same proof shows neither another value, nor the opposite, nor anything of another key.
            prop_assert!(proof.verify(&root, key.as_bytes(), Some(b"another value")).is_err());
            if value.is_some() {
                prop_assert!(proof.verify(&root, key.as_bytes(), None).is_err());
                prop_assert!(proof.verify(&root, b"did/another", value.as_deref()).is_err());
            }
            prop_assert!(proof.verify(&Hash::ZERO, key.as_bytes(), value.as_deref()).is_err());
        }
    }

    #[test]
    fn no_changed_bit_of_a_proof_is_accepted(count in 0..30usize, pick in any::<prop::sample::Index>()) {
        let names: Vec<String> = (0..count).map(|number| format!("key/{number}")).collect();
        let tree = Tree::of(names.iter().map(|name| (name.as_str(), "value")));
        // Half of the picks are absent.
        let key = format!("key/{}", pick.index(2 * count + 2));
        let (value, proof) = tree.prove(&key);
        let root = tree.root();
        prop_assert!(proof.verify(&root, key.as_bytes(), value.as_deref()).is_ok());
        for change in every_change(&proof) {
            prop_assert!(change.verify(&root, key.as_bytes(), value.as_deref()).is_err());
        }
        for bit in 0..value.as_ref().map_or(0, |value| value.len() * 8) {
            let mut other = value.clone().unwrap();
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(proof.verify(&root, key.as_bytes(), Some(&other)).is_err());
        }
    }
}

fn flip(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = hash.to_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Hash::new(bytes)
}

/// The proof with each of its bits changed, a sibling more and one less, and the leaf left out or put in.
fn every_change(proof: &StateProof) -> Vec<StateProof> {
    let mut changes = Vec::new();
    for index in 0..proof.siblings.len() {
        for bit in 0..256 {
            let mut other = proof.clone();
            other.siblings[index] = flip(&other.siblings[index], bit);
            changes.push(other);
        }
        let mut other = proof.clone();
        other.siblings.remove(index);
        changes.push(other);
    }
    for sibling in [empty_root(), Hash::ZERO] {
        let mut other = proof.clone();
        other.siblings.push(sibling);
        changes.push(other);
        let mut other = proof.clone();
        other.siblings.insert(0, sibling);
        changes.push(other);
    }
    if let Some(leaf) = proof.leaf {
        for bit in 0..256 {
            let key_hash = flip(&leaf.key_hash, bit);
            changes.push(StateProof { leaf: Some(OtherLeaf { key_hash, ..leaf }), ..proof.clone() });
            let value_hash = flip(&leaf.value_hash, bit);
            changes.push(StateProof { leaf: Some(OtherLeaf { value_hash, ..leaf }), ..proof.clone() });
        }
        changes.push(StateProof { leaf: None, ..proof.clone() });
    } else {
        let leaf = OtherLeaf { key_hash: Hash::ZERO, value_hash: Hash::ZERO };
        changes.push(StateProof { leaf: Some(leaf), ..proof.clone() });
    }
    changes
}

#[test]
fn the_empty_tree_and_the_tree_of_one_key() {
    let nothing = StateProof { siblings: Vec::new(), leaf: None };
    assert_eq!(nothing.verify(&empty_root(), b"anything", None), Ok(()));
    assert!(nothing.verify(&empty_root(), b"anything", Some(b"")).is_err());
    let root = Tree::of([("one", "1")]).root();
    assert_eq!(root, leaf_hash(&sha256(b"one"), &sha256(b"1")));
    assert_eq!(nothing.verify(&root, b"one", Some(b"1")), Ok(()));
    assert!(nothing.verify(&root, b"two", None).is_err());
    let leaf = OtherLeaf { key_hash: sha256(b"one"), value_hash: sha256(b"1") };
    let other = StateProof { siblings: Vec::new(), leaf: Some(leaf) };
    assert_eq!(other.verify(&root, b"two", None), Ok(()));
    assert!(matches!(other.verify(&root, b"one", None), Err(ProofError::State(_))));
}

#[test]
fn a_leaf_elsewhere_does_not_prove_absence() {
    // A true leaf with its true way to the root, offered for a key whose own place is another one.
    let names: Vec<String> = (0..64).map(|number| format!("key/{number}")).collect();
    let tree = Tree::of(names.iter().map(|name| (name.as_str(), "value")));
    let root = tree.root();
    let mut tried = 0;
    for present in &names {
        let (_, proof) = tree.prove(present);
        let leaf = OtherLeaf { key_hash: sha256(present.as_bytes()), value_hash: sha256(b"value") };
        let forged = StateProof { leaf: Some(leaf), ..proof };
        for absent in &names {
            tried += 1;
            assert!(forged.verify(&root, absent.as_bytes(), None).is_err(), "{present} {absent}");
        }
    }
    assert_eq!(tried, 64 * 64);
}

#[test]
fn a_proof_deeper_than_the_tree_is_refused() {
    let deep = StateProof { siblings: vec![empty_root(); 257], leaf: None };
    assert!(deep.verify(&empty_root(), b"key", None).is_err());
}
