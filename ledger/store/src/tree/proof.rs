//! Walking the tree for a proof.

use aval_codec::Hash;

use super::hashing::{Only, only_child, subtree_hash};
use super::node::{self, Leaf, StoredNode};
use crate::error::StoreError;
use crate::storage::{Column, KeyValue};

/// The way from the root towards a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The leaf at its end: the key's own, or the one in whose place the key would be; `None` if the place is empty.
    pub(crate) leaf: Option<Leaf>,
    /// Hashes beside the way, from the leaf up.
    pub(crate) siblings: Vec<Hash>,
}

/// Walks the tree whose root lies under `root_version`. `None` means that a node is gone, as after pruning.
pub(crate) fn prove(
    storage: &dyn KeyValue,
    root_version: Option<u64>,
    key_hash: &Hash,
) -> Result<Option<Path>, StoreError> {
    let Some(mut version) = root_version else {
        return Ok(Some(Path { leaf: None, siblings: Vec::new() }));
    };
    let mut path: Vec<u8> = Vec::with_capacity(16);
    let mut siblings = Vec::with_capacity(64);
    loop {
        let Some(bytes) = storage.read(Column::Nodes, &node::storage_key(version, &path))? else {
            return Ok(None);
        };
        let children = match node::decode(&bytes, path.len())? {
            StoredNode::Empty => return Ok(Some(finish(None, siblings))),
            StoredNode::Leaf(leaf) if is_below(&leaf.key_hash, &path) => {
                return Ok(Some(finish(Some(leaf), siblings)));
            }
            StoredNode::Leaf(_) => return Err(StoreError::corrupt("a tree node is in the wrong place")),
            StoredNode::Inner(children) => children,
        };
        // Four binary levels: at each, the half that the key is not in is a sibling. At the last level one place
        // is left, so the loop ends with nothing there or with one child: the key's own, or a leaf that is alone
        // near its place.
        let nibble = nibble_at(key_hash, path.len());
        let (mut range, mut start) = (children.as_slice(), 0u8);
        for level in (0..4).rev() {
            let half = range.len() / 2;
            let (left, right) = range.split_at(half);
            let is_right = nibble >> level & 1 == 1;
            let (ours, other) = if is_right { (right, left) } else { (left, right) };
            siblings.push(subtree_hash(other));
            start += if is_right { half as u8 } else { 0 };
            range = ours;
            match only_child(range) {
                Only::Nothing => return Ok(Some(finish(None, siblings))),
                Only::Child(_) => break,
                Only::Several => {}
            }
        }
        let next = (start..).zip(range).find_map(|(position, child)| child.map(|child| (position, child)));
        let Some((position, child)) = next else {
            return Err(StoreError::corrupt("a tree node has no child where one was"));
        };
        path.push(position);
        version = child.version;
    }
}

fn finish(leaf: Option<Leaf>, mut siblings: Vec<Hash>) -> Path {
    siblings.reverse();
    Path { leaf, siblings }
}

/// True if the key lies in the subtree at `path`.
pub(crate) fn is_below(key_hash: &Hash, path: &[u8]) -> bool {
    path.iter().enumerate().all(|(depth, nibble)| nibble_at(key_hash, depth) == *nibble)
}

pub(super) fn nibble_at(key_hash: &Hash, depth: usize) -> u8 {
    let byte = key_hash.as_bytes().get(depth / 2).copied().unwrap_or(0);
    if depth.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}
