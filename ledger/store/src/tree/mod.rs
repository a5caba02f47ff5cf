//! The state tree: a Jellyfish Merkle Tree over the state, one version per block that changes something (D3).
//!
//! `jmt` computes updates; this module feeds it nodes of the store and of blocks that are not final yet, and walks
//! the tree for proofs itself, because `jmt` reads every neighbour of the path for one.
//!
//! A block that changes no value writes no node: the newest root at or below a height is that height's root. Each
//! block's row in the chain column names the version of its root, so finding it is one read.

mod hashing;
mod node;
mod proof;
mod subtree;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aval_codec::{Hash, sha256};
use aval_machine::Changes;
use jmt::storage::{LeafNode, NibblePath, Node, NodeKey, TreeReader};
use jmt::{KeyHash, OwnedValue, Sha256Jmt};

use crate::error::StoreError;
use crate::pending::PendingBlock;
use crate::storage::{Batch, Column, KeyValue};

pub(crate) use proof::{is_below, prove};
pub(crate) use subtree::{NewLeaf, Subtree, assemble, build, write_root};
pub(crate) use walk::{Verdict, check_version, leaves_from, siblings};

/// The root of a tree without a key.
pub const EMPTY_ROOT: Hash = hashing::EMPTY;

/// What a block makes of its parent's tree.
#[derive(Clone, Debug)]
pub struct PendingTree {
    root: Hash,
    root_version: Option<u64>,
    nodes: BTreeMap<NodeKey, Node>,
    /// The keys of the leaves among the nodes, by their hashes.
    keys: BTreeMap<[u8; 32], Vec<u8>>,
    /// Storage keys of the nodes that this block replaces.
    stale: Vec<Vec<u8>>,
}

impl PendingTree {
    /// The state root after the block.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The version under which the newest root node lies; `None` while the tree is empty and was never written.
    pub(crate) fn root_version(&self) -> Option<u64> {
        self.root_version
    }

    pub(crate) fn stale(&self) -> &[Vec<u8>] {
        &self.stale
    }

    /// The key of a leaf; empty for other nodes.
    fn key_of(&self, node: &Node) -> &[u8] {
        match node {
            Node::Leaf(leaf) => self.keys.get(&leaf.key_hash().0).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    pub(crate) fn write(&self, batch: &mut Batch) -> Result<(), StoreError> {
        for (key, node) in &self.nodes {
            batch.put(
                Column::Nodes,
                node::storage_key(key.version(), &node::nibbles(key)),
                node::encode(node, self.key_of(node))?,
            );
        }
        Ok(())
    }
}

/// The tree that a block is laid upon: nodes of pending blocks over those of the store.
pub(crate) struct TreeBase<'a> {
    pub(crate) storage: &'a dyn KeyValue,
    /// Pending blocks by ascending height.
    pub(crate) pending: &'a [Arc<PendingBlock>],
    pub(crate) root: Hash,
    pub(crate) root_version: Option<u64>,
    /// Height of the block to be applied, one above the base's.
    pub(crate) height: u64,
}

impl TreeBase<'_> {
    /// Applies a block's changes to this tree.
    pub(crate) fn apply(&self, changes: &Changes) -> Result<PendingTree, StoreError> {
        let unchanged = PendingTree {
            root: self.root,
            root_version: self.root_version,
            nodes: BTreeMap::new(),
            keys: BTreeMap::new(),
            stale: Vec::new(),
        };
        if changes.is_empty() {
            return Ok(unchanged);
        }
        let reader = Reader { base: self, moved: Mutex::default() };
        let tree = Sha256Jmt::new(&reader);
        let hashes: Vec<[u8; 32]> = changes.keys().map(|key| sha256(key).to_bytes()).collect();
        let hashed = hashes.iter().zip(changes.values()).map(|(hash, value)| (KeyHash(*hash), value.clone()));
        // Inserting in bulk hashes each shared node once; only the one-by-one way can delete. Both give the same tree.
        let update = if changes.values().all(Option::is_some) {
            let values = hashed.filter_map(|(key, value)| value.map(|value| (key, value))).collect();
            tree.batch_put_value_sets(vec![values], None, self.height)
        } else {
            tree.put_value_sets([hashed.collect::<Vec<_>>()], self.height)
        };
        let (roots, update) = update.map_err(into_store_error)?;
        let root =
            roots.last().map(|root| Hash::new(root.0)).ok_or_else(|| StoreError::corrupt("a tree update"))?;
        if root == self.root {
            // Values written as they were: the old nodes stay in use.
            return Ok(unchanged);
        }
        let mut stale: Vec<Vec<u8>> = update
            .stale_node_index_batch
            .iter()
            .filter(|index| !index.node_key.nibble_path().is_empty())
            .map(|index| node::storage_key(index.node_key.version(), &node::nibbles(&index.node_key)))
            .collect();
        // `jmt` thinks of the old root as one of the height below; it lies where it was last written.
        stale.extend(self.root_version.map(|version| node::storage_key(version, &[])));
        let nodes = update.node_batch.nodes().clone();
        // A leaf is new because its value is, or because a neighbour came or went: then it was read on the way.
        let mut keys = reader.moved.into_inner().unwrap_or_else(PoisonError::into_inner);
        keys.extend(hashes.into_iter().zip(changes.keys().cloned()));
        Ok(PendingTree { root, root_version: Some(self.height), nodes, keys, stale })
    }

    /// A node, and the key if it is a leaf.
    fn node(&self, key: &NodeKey) -> Result<Option<(Node, Vec<u8>)>, StoreError> {
        let is_root = key.nibble_path().is_empty();
        let version = match (is_root, self.root_version) {
            (false, _) => key.version(),
            // `jmt` also asks for a root of the block itself, and for one before height 0: there is none.
            (true, _) if key.version().checked_add(1) != Some(self.height) => return Ok(None),
            (true, None) => return Ok(Some((Node::Null, Vec::new()))),
            (true, Some(version)) => version,
        };
        let block = self.pending.iter().find(|block| block.height() == version);
        if let Some(block) = block {
            let tree = block.tree();
            let node = if is_root {
                tree.nodes.get(&NodeKey::new(version, std::iter::empty().collect::<NibblePath>()))
            } else {
                tree.nodes.get(key)
            };
            return Ok(node.map(|node| (node.clone(), tree.key_of(node).to_vec())));
        }
        let path = node::nibbles(key);
        let Some(bytes) = self.storage.read(Column::Nodes, &node::storage_key(version, &path))? else {
            return Ok(None);
        };
        let stored = node::decode(&bytes, path.len())?;
        if let node::StoredNode::Leaf(leaf) = &stored
            && !proof::is_below(&leaf.key_hash, &path)
        {
            return Err(StoreError::corrupt("a tree node is in the wrong place"));
        }
        Ok(Some((node::to_jmt(&stored)?, node::leaf_key(&bytes).to_vec())))
    }
}

/// What `jmt` reads through. It knows leaves by the hash of their key alone, so the keys of those that it reads, and
/// may put elsewhere, are noted.
struct Reader<'a> {
    base: &'a TreeBase<'a>,
    moved: Mutex<BTreeMap<[u8; 32], Vec<u8>>>,
}

impl TreeReader for Reader<'_> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        let Some((node, leaf_key)) = self.base.node(key).map_err(anyhow::Error::new)? else {
            return Ok(None);
        };
        if let Node::Leaf(leaf) = &node {
            let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            moved.insert(leaf.key_hash().0, leaf_key);
        }
        Ok(Some(node))
    }

    fn get_value_option(&self, _version: u64, _key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        anyhow::bail!("values are not read through the tree")
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("trees are not restored through the tree")
    }
}

fn into_store_error(error: anyhow::Error) -> StoreError {
    match error.downcast::<StoreError>() {
        Ok(error) => error,
        Err(error) => StoreError::corrupt(format!("the state tree: {error:#}")),
    }
}
