//! Building a tree from its leaves, part by part: how a state that came as a snapshot gets its nodes.
//!
//! The nodes are those that `jmt` would have made, all under one version. A part is finished when it is known which
//! hash it has; a leaf that is alone in its part is not written with it, because its place depends on its neighbours.

use aval_codec::{Hash, Reader, Writer};

use super::hashing::{leaf_hash, subtree_hash};
use super::node::{self, Child, Leaf};
use crate::error::StoreError;
use crate::storage::{Batch, Column};

/// A leaf that is to be placed: key hash, key, value hash.
pub(crate) type NewLeaf<'a> = (Hash, &'a [u8], Hash);

/// What stands at one place of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subtree {
    /// Nothing.
    Empty,
    /// One leaf, which is not written yet.
    Leaf {
        /// Its key.
        key: Vec<u8>,
        /// What it commits to.
        leaf: Leaf,
    },
    /// An inner node, which is written.
    Inner {
        /// Its hash.
        hash: Hash,
        /// Leaves below it.
        leaves: u64,
    },
}

impl Subtree {
    /// The form in which a part waits for its neighbours.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Subtree::Empty => Vec::new(),
            Subtree::Leaf { key, leaf } => node::encode_leaf(key, &leaf.value_hash),
            Subtree::Inner { hash, leaves } => {
                let mut writer = Writer::with_capacity(41);
                writer.u8(2).put(hash).u64(*leaves);
                writer.into_vec()
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::corrupt("a part of a snapshot is unreadable");
        match bytes.split_first() {
            None => Ok(Subtree::Empty),
            Some((2, rest)) => {
                let mut reader = Reader::new(rest);
                let parts = reader.hash().and_then(|hash| Ok((hash, reader.u64()?)));
                let (hash, leaves) = parts.map_err(|_| damaged())?;
                Ok(Subtree::Inner { hash, leaves })
            }
            Some(_) => match node::decode(bytes, 1)? {
                node::StoredNode::Leaf(leaf) => {
                    Ok(Subtree::Leaf { key: node::leaf_key(bytes).to_vec(), leaf })
                }
                _ => Err(damaged()),
            },
        }
    }

    fn child(&self, version: u64) -> Option<Child> {
        match self {
            Subtree::Empty => None,
            Subtree::Leaf { leaf, .. } => Some(Child { hash: leaf_hash(leaf), version, leaves: None }),
            Subtree::Inner { hash, leaves } => Some(Child { hash: *hash, version, leaves: Some(*leaves) }),
        }
    }
}

/// Builds what stands at `path` from all its leaves, ascending, and writes the nodes below it and, if it is an inner
/// node, its own.
pub(crate) fn build(path: &mut Vec<u8>, leaves: &[NewLeaf<'_>], version: u64, batch: &mut Batch) -> Subtree {
    match leaves {
        [] => Subtree::Empty,
        [(key_hash, key, value_hash)] => {
            Subtree::Leaf { key: key.to_vec(), leaf: Leaf { key_hash: *key_hash, value_hash: *value_hash } }
        }
        several => {
            let depth = path.len();
            let mut rest = several;
            let children = std::array::from_fn(|nibble| {
                let own = rest.partition_point(|(hash, _, _)| nibble_of(hash, depth) <= nibble);
                let (own, after) = rest.split_at(own);
                rest = after;
                path.push(nibble as u8);
                let child = build(path, own, version, batch);
                path.pop();
                child
            });
            combine(path, children, version, batch)
        }
    }
}

/// Puts finished parts together to what stands at `path`. The parts are ascending by their paths, and none lies below
/// another.
pub(crate) fn assemble(
    path: &mut Vec<u8>,
    parts: &[(Vec<u8>, Subtree)],
    version: u64,
    batch: &mut Batch,
) -> Result<Subtree, StoreError> {
    let depth = path.len();
    match parts {
        [] => return Ok(Subtree::Empty),
        [(own, part)] if own.len() == depth => return Ok(part.clone()),
        _ => {}
    }
    let mut rest = parts;
    let mut children: [Subtree; 16] = std::array::from_fn(|_| Subtree::Empty);
    for (nibble, child) in (0u8..).zip(&mut children) {
        let own = rest.partition_point(|(path, _)| path.get(depth).is_some_and(|next| *next <= nibble));
        let (own, after) = rest.split_at(own);
        rest = after;
        path.push(nibble);
        *child = assemble(path, own, version, batch)?;
        path.pop();
    }
    if !rest.is_empty() {
        return Err(StoreError::corrupt("the parts of a snapshot do not fit together"));
    }
    Ok(combine(path, children, version, batch))
}

/// Writes the root, and gives its hash.
pub(crate) fn write_root(root: &Subtree, version: u64, batch: &mut Batch) -> Hash {
    match root {
        Subtree::Empty => {
            batch.put(Column::Nodes, node::storage_key(version, &[]), vec![0]);
            super::EMPTY_ROOT
        }
        Subtree::Leaf { key, leaf } => {
            let row = node::encode_leaf(key, &leaf.value_hash);
            batch.put(Column::Nodes, node::storage_key(version, &[]), row);
            leaf_hash(leaf)
        }
        Subtree::Inner { hash, .. } => *hash,
    }
}

fn combine(path: &mut Vec<u8>, children: [Subtree; 16], version: u64, batch: &mut Batch) -> Subtree {
    let mut existing = children.iter().filter(|child| !matches!(child, Subtree::Empty));
    match (existing.next(), existing.next()) {
        (None, _) => return Subtree::Empty,
        // A leaf without neighbours stands for everything above it as well.
        (Some(leaf @ Subtree::Leaf { .. }), None) => return leaf.clone(),
        _ => {}
    }
    let mut leaves = 0u64;
    for (nibble, child) in (0u8..).zip(&children) {
        match child {
            Subtree::Empty => {}
            Subtree::Leaf { key, leaf } => {
                path.push(nibble);
                let row = node::encode_leaf(key, &leaf.value_hash);
                batch.put(Column::Nodes, node::storage_key(version, path), row);
                path.pop();
                leaves += 1;
            }
            Subtree::Inner { leaves: below, .. } => leaves = leaves.saturating_add(*below),
        }
    }
    let children: [Option<Child>; 16] = std::array::from_fn(|nibble| {
        // The array has sixteen places.
        children.get(nibble).and_then(|child| child.child(version))
    });
    batch.put(Column::Nodes, node::storage_key(version, path), node::encode_inner(&children));
    Subtree::Inner { hash: subtree_hash(&children), leaves }
}

fn nibble_of(hash: &Hash, depth: usize) -> usize {
    let byte = hash.as_bytes().get(depth / 2).copied().unwrap_or(0);
    usize::from(if depth.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}
