use std::collections::BTreeMap;

use proptest::prelude::*;

use super::hashing::{inner_hash, leaf_hash};
use super::node::{Leaf, StoredNode, decode, encode, encode_leaf, leaf_key, nibbles, to_jmt};
use super::*;
use crate::storage::MemoryStorage;

/// A chain of trees in memory.
#[derive(Default)]
struct Trees {
    storage: MemoryStorage,
    height: u64,
    root: Option<Hash>,
    root_version: Option<u64>,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Trees {
    fn apply(&mut self, changes: &Changes) -> PendingTree {
        let base = TreeBase {
            storage: &self.storage,
            pending: &[],
            root: self.root.unwrap_or(EMPTY_ROOT),
            root_version: self.root_version,
            height: self.height,
        };
        let tree = base.apply(changes).unwrap();
        let mut batch = Batch::default();
        tree.write(&mut batch).unwrap();
        self.storage.write(batch, true).unwrap();
        self.height += 1;
        self.root = Some(tree.root());
        self.root_version = tree.root_version();
        for (key, value) in changes {
            match value {
                Some(value) => self.state.insert(key.clone(), value.clone()),
                None => self.state.remove(key),
            };
        }
        tree
    }

    fn prune(&self, tree: &PendingTree) {
        let mut batch = Batch::default();
        for node in tree.stale() {
            assert!(
                self.storage.read(Column::Nodes, node).unwrap().is_some(),
                "only nodes that exist become stale"
            );
            batch.delete(Column::Nodes, node.clone());
        }
        self.storage.write(batch, true).unwrap();
    }
}

/// The root by its definition: a subtree without leaves, a single leaf, or two halves.
fn root_of(leaves: &[Leaf], depth: usize) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => leaf_hash(leaf),
        _ => {
            let (left, right) =
                leaves.iter().copied().partition::<Vec<Leaf>, _>(|leaf| !bit(&leaf.key_hash, depth));
            inner_hash(&root_of(&left, depth + 1), &root_of(&right, depth + 1))
        }
    }
}

fn bit(hash: &Hash, depth: usize) -> bool {
    hash.as_bytes()[depth / 8] >> (7 - depth % 8) & 1 == 1
}

fn leaves(state: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<Leaf> {
    state.iter().map(|(key, value)| Leaf { key_hash: sha256(key), value_hash: sha256(value) }).collect()
}

/// The root that a walk leads to.
fn folded(path: &proof::Path, key_hash: &Hash) -> Hash {
    let mut hash = path.leaf.as_ref().map_or(EMPTY_ROOT, leaf_hash);
    for (depth, sibling) in (0..path.siblings.len()).rev().zip(&path.siblings) {
        hash = if bit(key_hash, depth) { inner_hash(sibling, &hash) } else { inner_hash(&hash, sibling) };
    }
    hash
}

fn put(pairs: &[(&str, &str)]) -> Changes {
    pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))).collect()
}

fn key(number: u8) -> Vec<u8> {
    format!("key/{number}").into_bytes()
}

fn changes() -> impl Strategy<Value = Vec<Changes>> {
    let change = (0u8..60, prop_oneof![3 => any::<u8>().prop_map(Some), 1 => Just(None)]);
    let block = proptest::collection::vec(change, 0..25).prop_map(|changes| {
        changes.into_iter().map(|(name, value)| (key(name), value.map(|value| vec![value; 3]))).collect()
    });
    proptest::collection::vec(block, 1..12)
}

#[test]
fn an_empty_tree_has_the_placeholder_as_root_and_proves_absence() {
    let mut trees = Trees::default();
    let tree = trees.apply(&Changes::new());
    assert_eq!((tree.root(), tree.root_version()), (EMPTY_ROOT, None));
    let path = prove(&trees.storage, None, &sha256(b"a")).unwrap().unwrap();
    assert_eq!((path.leaf, path.siblings.len()), (None, 0));
}

#[test]
fn a_tree_that_starts_empty_can_be_filled_later() {
    let mut trees = Trees::default();
    trees.apply(&Changes::new());
    trees.apply(&Changes::new());
    let tree = trees.apply(&put(&[("a", "1")]));
    assert_eq!(tree.root(), root_of(&leaves(&trees.state), 0));
    assert_eq!(tree.root_version(), Some(2));
}

#[test]
fn a_block_that_changes_nothing_writes_no_node() {
    let mut trees = Trees::default();
    let first = trees.apply(&put(&[("a", "1"), ("b", "2")]));
    for nothing in [Changes::new(), put(&[("a", "1")]), Changes::from([(b"absent".to_vec(), None)])] {
        let tree = trees.apply(&nothing);
        assert!(tree.nodes.is_empty() && tree.stale.is_empty());
        assert_eq!((tree.root(), tree.root_version()), (first.root(), Some(0)));
    }
    // The next change finds the root although it lies several heights back, and gives it up.
    let tree = trees.apply(&put(&[("a", "2")]));
    assert_eq!(tree.root(), root_of(&leaves(&trees.state), 0));
    assert!(tree.stale().contains(&node::storage_key(0, &[])));
}

#[test]
fn deleting_every_key_leads_back_to_the_empty_root() {
    let mut trees = Trees::default();
    trees.apply(&put(&[("a", "1"), ("b", "2"), ("c", "3")]));
    let gone = [b"a", b"b", b"c"].map(|key| (key.to_vec(), None));
    assert_eq!(trees.apply(&Changes::from(gone)).root(), EMPTY_ROOT);
    let tree = trees.apply(&put(&[("b", "2")]));
    assert_eq!(tree.root(), root_of(&leaves(&trees.state), 0));
}

proptest! {
    #[test]
    fn every_root_is_the_one_of_the_definition(blocks in changes()) {
        let mut trees = Trees::default();
        for changes in &blocks {
            let tree = trees.apply(changes);
            prop_assert_eq!(tree.root(), root_of(&leaves(&trees.state), 0));
        }
    }

    #[test]
    fn every_key_is_proven_present_or_absent_in_every_version(blocks in changes()) {
        let mut trees = Trees::default();
        let mut versions = Vec::new();
        for changes in &blocks {
            let tree = trees.apply(changes);
            versions.push((tree.root(), tree.root_version(), trees.state.clone()));
        }
        for (root, root_version, state) in versions {
            for name in 0..62 {
                let key_hash = sha256(&key(name));
                let path = prove(&trees.storage, root_version, &key_hash).unwrap().unwrap();
                prop_assert_eq!(folded(&path, &key_hash), root);
                let value = path.leaf.filter(|leaf| leaf.key_hash == key_hash).map(|leaf| leaf.value_hash);
                prop_assert_eq!(value, state.get(&key(name)).map(|value| sha256(value)));
            }
        }
    }

    #[test]
    fn pruning_leaves_exactly_the_newest_tree(blocks in changes()) {
        let mut trees = Trees::default();
        for changes in &blocks {
            let tree = trees.apply(changes);
            trees.prune(&tree);
        }
        for name in 0..62 {
            let key_hash = sha256(&key(name));
            let path = prove(&trees.storage, trees.root_version, &key_hash).unwrap().unwrap();
            prop_assert_eq!(folded(&path, &key_hash), trees.root.unwrap());
        }
        // Nothing but the newest tree is left: as many nodes as a tree that is built in one go.
        let mut fresh = Trees::default();
        let all: Changes = trees.state.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        let nodes = fresh.apply(&all).nodes.len();
        let left = trees.storage.scan(Column::Nodes, &[], &[0xff; 42], usize::MAX).unwrap().len();
        prop_assert!(left == nodes || trees.state.is_empty() && left <= 1, "{} nodes are left of {}", left, nodes);
    }

    #[test]
    fn nodes_survive_the_disk(blocks in changes()) {
        let mut trees = Trees::default();
        for changes in &blocks {
            let tree = trees.apply(changes);
            for (key, node) in &tree.nodes {
                let bytes = encode(node, tree.key_of(node)).unwrap();
                let stored = decode(&bytes, nibbles(key).len()).unwrap();
                prop_assert_eq!(&to_jmt(&stored).unwrap(), node);
            }
        }
    }

    #[test]
    fn no_bytes_make_the_node_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..700),
        depth in 0usize..65,
    ) {
        let framed = [&[2, 0xff, 0xff, 0xf0, 0x0f], bytes.as_slice()].concat();
        for bytes in [bytes, framed] {
            if let Ok(node) = decode(&bytes, depth) {
                let node = to_jmt(&node).unwrap();
                // A node that is accepted has one spelling.
                prop_assert_eq!(encode(&node, leaf_key(&bytes)).unwrap(), bytes);
            }
        }
    }
}

#[test]
fn a_damaged_node_is_an_error_and_not_a_panic() {
    let mut trees = Trees::default();
    let pairs: Changes = (0..60).map(|name| (key(name), Some(vec![name]))).collect();
    trees.apply(&pairs);
    let rows = trees.storage.scan(Column::Nodes, &[], &[0xff; 42], usize::MAX).unwrap();
    for (row_key, row) in &rows {
        for damage in
            [Vec::new(), row.get(..row.len() - 1).unwrap().to_vec(), [row.as_slice(), &[0]].concat()]
        {
            let mut batch = Batch::default();
            batch.put(Column::Nodes, row_key.clone(), damage);
            trees.storage.write(batch, true).unwrap();
            let base = TreeBase {
                storage: &trees.storage,
                pending: &[],
                root: trees.root.unwrap(),
                root_version: trees.root_version,
                height: 1,
            };
            let changed: Changes = (0..60).map(|name| (key(name), Some(vec![name, 1]))).collect();
            assert_eq!(base.apply(&changed).unwrap_err().code(), "store.corrupt");
            let failures =
                (0..60).filter(|name| prove(&trees.storage, Some(0), &sha256(&key(*name))).is_err());
            assert!(failures.count() > 0);
        }
        let mut batch = Batch::default();
        batch.put(Column::Nodes, row_key.clone(), row.clone());
        trees.storage.write(batch, true).unwrap();
    }
}

#[test]
fn a_leaf_in_the_wrong_place_is_damage() {
    let mut trees = Trees::default();
    trees.apply(&put(&[("a", "1"), ("b", "2")]));
    let rows = trees.storage.scan(Column::Nodes, &[], &[0xff; 42], usize::MAX).unwrap();
    let foreign = rows.iter().find(|(key, row)| row[0] == 1 && key.len() > 9).unwrap();
    let StoredNode::Leaf(leaf) = decode(&foreign.1, 1).unwrap() else { panic!("a leaf") };
    let nibble = leaf.key_hash.as_bytes()[0] >> 4;
    let other = (0..=255u8).map(key).find(|key| sha256(key).as_bytes()[0] >> 4 != nibble).unwrap();
    let mut batch = Batch::default();
    let row = encode_leaf(&other, &leaf.value_hash);
    batch.put(Column::Nodes, foreign.0.clone(), row);
    trees.storage.write(batch, true).unwrap();
    let results = [b"a", b"b"].map(|key| prove(&trees.storage, Some(0), &sha256(key)).is_err());
    assert!(results.contains(&true));
}
