//! The tree's hashes, as `specs/wire.md` gives them. They are those of `jmt` with SHA-256.

use aval_codec::{Hash, sha256};

use super::node::{Child, Leaf};

const LEAF: &[u8] = b"JMT::LeafNode";
const INNER: &[u8] = b"JMT::IntrnalNode";

/// Stands for a subtree without leaves, and is the root of an empty tree.
pub(crate) const EMPTY: Hash = Hash::new(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

pub(crate) fn leaf_hash(leaf: &Leaf) -> Hash {
    let mut bytes = [0; LEAF.len() + 64];
    let (tag, rest) = bytes.split_at_mut(LEAF.len());
    let (key, value) = rest.split_at_mut(32);
    tag.copy_from_slice(LEAF);
    key.copy_from_slice(leaf.key_hash.as_bytes());
    value.copy_from_slice(leaf.value_hash.as_bytes());
    sha256(&bytes)
}

pub(crate) fn inner_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0; INNER.len() + 64];
    let (tag, rest) = bytes.split_at_mut(INNER.len());
    let (first, second) = rest.split_at_mut(32);
    tag.copy_from_slice(INNER);
    first.copy_from_slice(left.as_bytes());
    second.copy_from_slice(right.as_bytes());
    sha256(&bytes)
}

/// Hash of the subtree over some neighbouring children of one inner node; their number is a power of two.
pub(crate) fn subtree_hash(children: &[Option<Child>]) -> Hash {
    match only_child(children) {
        Only::Nothing => EMPTY,
        Only::Child(child) => child.hash,
        Only::Several => {
            let (left, right) = children.split_at(children.len() / 2);
            inner_hash(&subtree_hash(left), &subtree_hash(right))
        }
    }
}

/// What stands for a range of children.
pub(crate) enum Only {
    /// No child at all.
    Nothing,
    /// One child that stands for the whole range: a leaf alone in it, or the single place of the range.
    Child(Child),
    /// Children that need to be hashed together.
    Several,
}

/// Finds what stands for a range of children.
pub(crate) fn only_child(children: &[Option<Child>]) -> Only {
    let mut existing = children.iter().flatten();
    match (existing.next(), existing.next()) {
        (None, _) => Only::Nothing,
        (Some(child), None) if child.is_leaf() || children.len() == 1 => Only::Child(*child),
        _ => Only::Several,
    }
}
