//! Walking over the tree of one version: its leaves in the order of their key hashes, the hashes beside a place, and
//! a check of every node.

use aval_codec::Hash;

use super::hashing::{Only, leaf_hash, only_child, subtree_hash};
use super::node::{self, Child, Leaf, StoredNode};
use super::proof::{is_below, nibble_at};
use crate::error::StoreError;
use crate::storage::{Column, KeyValue};

/// What a walk does after a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Goes on.
    On,
    /// Ends.
    Enough,
}

/// A node and the key in it, if it is a leaf.
fn read(
    storage: &dyn KeyValue,
    version: u64,
    path: &[u8],
) -> Result<Option<(StoredNode, Vec<u8>)>, StoreError> {
    let Some(bytes) = storage.read(Column::Nodes, &node::storage_key(version, path))? else {
        return Ok(None);
    };
    let stored = node::decode(&bytes, path.len())?;
    if let StoredNode::Leaf(leaf) = &stored
        && !is_below(&leaf.key_hash, path)
    {
        return Err(StoreError::corrupt("a tree node is in the wrong place"));
    }
    Ok(Some((stored, node::leaf_key(&bytes).to_vec())))
}

/// Visits the leaves from a key hash on, ascending, until `visit` has enough. `None` if a node is gone, as after
/// pruning.
pub(crate) fn leaves_from(
    storage: &dyn KeyValue,
    root_version: Option<u64>,
    from: &Hash,
    visit: &mut dyn FnMut(Leaf, Vec<u8>) -> Result<Verdict, StoreError>,
) -> Result<Option<Verdict>, StoreError> {
    let Some(version) = root_version else { return Ok(Some(Verdict::On)) };
    below(storage, version, &mut Vec::with_capacity(64), from, visit)
}

fn below(
    storage: &dyn KeyValue,
    version: u64,
    path: &mut Vec<u8>,
    from: &Hash,
    visit: &mut dyn FnMut(Leaf, Vec<u8>) -> Result<Verdict, StoreError>,
) -> Result<Option<Verdict>, StoreError> {
    let Some((stored, key)) = read(storage, version, path)? else { return Ok(None) };
    match stored {
        StoredNode::Empty => Ok(Some(Verdict::On)),
        StoredNode::Leaf(leaf) if leaf.key_hash < *from => Ok(Some(Verdict::On)),
        StoredNode::Leaf(leaf) => visit(leaf, key).map(Some),
        StoredNode::Inner(children) => {
            // On the way of `from`, the children before it are left out.
            let first = if is_below(from, path) { nibble_at(from, path.len()) } else { 0 };
            for (nibble, child) in (0u8..).zip(children.iter()) {
                let Some(child) = child.as_ref().filter(|_| nibble >= first) else { continue };
                path.push(nibble);
                let walked = below(storage, child.version, path, from, visit)?;
                path.pop();
                if walked != Some(Verdict::On) {
                    return Ok(walked);
                }
            }
            Ok(Some(Verdict::On))
        }
    }
}

/// The hashes beside the way from the root to the place of all keys that begin with the first `depth` bits of `from`,
/// from the bottom up. `Ok(None)` if the tree has no such place: it ends above. The outer `None` is a node that is
/// gone.
pub(crate) fn siblings(
    storage: &dyn KeyValue,
    root_version: Option<u64>,
    from: &Hash,
    depth: usize,
) -> Result<Option<Option<Vec<Hash>>>, StoreError> {
    let mut siblings = Vec::with_capacity(depth);
    let Some(mut version) = root_version else {
        return Ok(Some((depth == 0).then_some(siblings)));
    };
    let mut path: Vec<u8> = Vec::new();
    while siblings.len() < depth {
        let Some((stored, _)) = read(storage, version, &path)? else { return Ok(None) };
        let StoredNode::Inner(children) = stored else { return Ok(Some(None)) };
        let nibble = nibble_at(from, path.len());
        let (mut range, mut start) = (children.as_slice(), 0u8);
        for level in (0..4).rev() {
            let half = range.len() / 2;
            let (left, right) = range.split_at(half);
            let is_right = nibble >> level & 1 == 1;
            let (ours, other) = if is_right { (right, left) } else { (left, right) };
            siblings.push(subtree_hash(other));
            start += if is_right { half as u8 } else { 0 };
            range = ours;
            if siblings.len() == depth {
                siblings.reverse();
                return Ok(Some(Some(siblings)));
            }
            match only_child(range) {
                Only::Nothing => return Ok(Some(None)),
                Only::Child(child) if child.is_leaf() => return Ok(Some(None)),
                Only::Child(_) | Only::Several => {}
            }
        }
        let Some(child) = range.first().copied().flatten() else { return Ok(Some(None)) };
        path.push(start);
        version = child.version;
    }
    Ok(Some(Some(siblings)))
}

/// Checks the nodes that were written under one version against what the nodes above say of them, and gives the hash of
/// the root. `leaf` sees every leaf among them. Nodes of older versions are believed: they were checked with theirs.
pub(crate) fn check_version(
    storage: &dyn KeyValue,
    version: u64,
    of: Option<u64>,
    leaf: &mut dyn FnMut(Leaf, Vec<u8>) -> Result<(), StoreError>,
) -> Result<Hash, StoreError> {
    let mut count = 0u64;
    check(storage, version, &mut Vec::with_capacity(64), of, leaf, &mut count)
}

fn check(
    storage: &dyn KeyValue,
    version: u64,
    path: &mut Vec<u8>,
    only: Option<u64>,
    visit: &mut dyn FnMut(Leaf, Vec<u8>) -> Result<(), StoreError>,
    count: &mut u64,
) -> Result<Hash, StoreError> {
    let place = |path: &[u8]| path.iter().map(|nibble| format!("{nibble:x}")).collect::<String>();
    let Some((stored, key)) = read(storage, version, path)? else {
        return Err(StoreError::corrupt(format!(
            "the tree node {} of version {version} is missing",
            place(path)
        )));
    };
    match stored {
        StoredNode::Empty => Ok(super::EMPTY_ROOT),
        StoredNode::Leaf(leaf) => {
            *count += 1;
            visit(leaf, key)?;
            Ok(leaf_hash(&leaf))
        }
        StoredNode::Inner(children) => {
            for (nibble, child) in (0u8..).zip(children.iter()) {
                let Some(child) = child else { continue };
                if only.is_some_and(|only| child.version < only) {
                    continue;
                }
                path.push(nibble);
                let before = *count;
                let found = check(storage, child.version, path, only, visit, count)?;
                let expected = Child { hash: found, ..*child };
                let is_whole = only.is_none();
                let leaves_fit = child.leaves.is_none_or(|leaves| leaves == *count - before) || !is_whole;
                if expected != *child || !leaves_fit {
                    return Err(StoreError::corrupt(format!(
                        "the tree node {} of version {} is not the one that its parent names",
                        place(path),
                        child.version
                    )));
                }
                path.pop();
            }
            Ok(subtree_hash(children.as_slice()))
        }
    }
}
