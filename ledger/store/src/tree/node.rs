//! Tree nodes as they lie on disk, and their translation from and to those of `jmt`.
//!
//! ```text
//! key     version u64 BE | number of nibbles u8 | nibbles, two a byte, the last half byte zero
//! empty   0x00
//! leaf    0x01 | value hash 32 | first 8 bytes of the key hash | key
//! inner   0x02 | which children exist u16 BE | which of them are leaves u16 BE |
//!         per child, ascending: hash 32 | version varint | if it is not a leaf: number of leaves below it, varint
//! ```
//! A leaf names its key, so that a walk over the tree of any kept height gives the state of that height.
//! `jmt` takes nodes for sound and panics on others, so decoding refuses every node that it could not have written.

use aval_codec::{Hash, Reader, Writer, binary::varint, sha256};
use jmt::storage::{Node, NodeKey};

use crate::error::StoreError;

/// More leaves than any tree will have; bounds sums that `jmt` makes.
const LEAVES_MAX: u64 = 1 << 48;

/// A decoded node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredNode {
    /// The root of an empty tree.
    Empty,
    /// One key and its value.
    Leaf(Leaf),
    /// Sixteen places for the next nibble.
    Inner(Box<[Option<Child>; 16]>),
}

/// What a leaf commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) key_hash: Hash,
    pub(crate) value_hash: Hash,
}

/// A child of an inner node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) hash: Hash,
    pub(crate) version: u64,
    /// Leaves at and below it; `None` if it is a leaf itself.
    pub(crate) leaves: Option<u64>,
}

impl Child {
    pub(crate) fn is_leaf(&self) -> bool {
        self.leaves.is_none()
    }
}

/// The storage key of the node at `path` (one nibble a byte) in `version`.
pub(crate) fn storage_key(version: u64, path: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(9 + path.len().div_ceil(2));
    // A path has at most 64 nibbles.
    writer.u64(version).u8(path.len() as u8);
    for pair in path.chunks(2) {
        writer.u8(match pair {
            [high, low] => high << 4 | low,
            [high] => high << 4,
            _ => 0,
        });
    }
    writer.into_vec()
}

/// The nibbles of a node's path, one a byte.
pub(crate) fn nibbles(key: &NodeKey) -> Vec<u8> {
    let path = key.nibble_path();
    (0..path.num_nibbles()).map(|position| u8::from(path.get_nibble(position))).collect()
}

/// Bytes of a leaf before its key.
const LEAF_HEAD: usize = 1 + 32 + CHECK;
/// Bytes of the key hash that a leaf keeps, so that a damaged key is noticed.
const CHECK: usize = 8;

/// The key in the bytes of a leaf; empty for other nodes.
pub(crate) fn leaf_key(bytes: &[u8]) -> &[u8] {
    match bytes.split_first() {
        Some((1, _)) => bytes.get(LEAF_HEAD..).unwrap_or_default(),
        _ => &[],
    }
}

/// The bytes of a leaf.
pub(crate) fn encode_leaf(key: &[u8], value_hash: &Hash) -> Vec<u8> {
    let mut writer = Writer::with_capacity(LEAF_HEAD + key.len());
    writer.u8(1).put(value_hash).put(sha256(key).as_bytes().first_chunk::<CHECK>().unwrap_or(&[0; CHECK]));
    writer.put(key);
    writer.into_vec()
}

/// The bytes of an inner node.
pub(crate) fn encode_inner(children: &[Option<Child>; 16]) -> Vec<u8> {
    let (mut exist, mut leaves) = (0u16, 0u16);
    let mut body = Writer::new();
    for (position, child) in children.iter().enumerate() {
        let Some(child) = child else { continue };
        exist |= 1 << position;
        body.put(child.hash).put(varint(child.version));
        match child.leaves {
            Some(count) => {
                body.put(varint(count));
            }
            None => leaves |= 1 << position,
        }
    }
    let mut writer = Writer::with_capacity(5 + body.len());
    writer.u8(2).u16(exist).u16(leaves).put(body.as_slice());
    writer.into_vec()
}

/// The bytes of a node; `key` is that of a leaf.
pub(crate) fn encode(node: &Node, key: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut writer = Writer::new();
    match node {
        Node::Null => {
            writer.u8(0);
        }
        Node::Leaf(leaf) => {
            // `jmt` hides a leaf's value hash; its Borsh form is the two hashes.
            let bytes =
                borsh::to_vec(leaf).map_err(|error| StoreError::corrupt(format!("a leaf: {error}")))?;
            let value_hash = bytes.get(32..).and_then(Hash::from_slice);
            return match value_hash {
                Some(value_hash) if bytes.starts_with(sha256(key).as_bytes()) => {
                    Ok(encode_leaf(key, &value_hash))
                }
                _ => Err(StoreError::corrupt("a leaf of the tree does not fit its key")),
            };
        }
        Node::Internal(inner) => {
            let (exist, leaves) = inner.generate_bitmaps();
            writer.u8(2).u16(exist).u16(leaves);
            for (_, child) in inner.children_sorted() {
                writer.put(child.hash).put(varint(child.version));
                if !child.is_leaf() {
                    writer.put(varint(child.leaf_count() as u64));
                }
            }
        }
    }
    Ok(writer.into_vec())
}

/// Reads a node at a depth of `depth` nibbles.
pub(crate) fn decode(bytes: &[u8], depth: usize) -> Result<StoredNode, StoreError> {
    read(bytes, depth).ok_or_else(|| StoreError::corrupt("a tree node is unreadable"))
}

fn read(bytes: &[u8], depth: usize) -> Option<StoredNode> {
    let mut reader = Reader::new(bytes);
    let node = match reader.u8().ok()? {
        0 if depth == 0 => StoredNode::Empty,
        1 => {
            let value_hash = reader.hash().ok()?;
            let check = reader.array::<CHECK>().ok()?;
            let key_hash = sha256(reader.take(reader.remaining()).ok()?);
            if !key_hash.as_bytes().starts_with(&check) {
                return None;
            }
            StoredNode::Leaf(Leaf { key_hash, value_hash })
        }
        2 if depth < 64 => StoredNode::Inner(read_children(&mut reader)?),
        _ => return None,
    };
    reader.is_empty().then_some(node)
}

fn read_children(reader: &mut Reader<'_>) -> Option<Box<[Option<Child>; 16]>> {
    let exist = reader.u16().ok()?;
    let leaves = reader.u16().ok()?;
    // A node without children, or with a single leaf, would have been replaced by what is below it.
    let is_single_leaf = exist.count_ones() == 1 && leaves == exist;
    if exist == 0 || leaves & !exist != 0 || is_single_leaf {
        return None;
    }
    let mut children = Box::new([None; 16]);
    for (position, place) in children.iter_mut().enumerate() {
        let bit = 1u16 << position;
        if exist & bit != 0 {
            let hash = reader.hash().ok()?;
            let version = read_varint(reader)?;
            let leaves = if leaves & bit == 0 { Some(read_varint(reader)?) } else { None };
            if leaves.is_some_and(|count| count == 0 || count > LEAVES_MAX) {
                return None;
            }
            *place = Some(Child { hash, version, leaves });
        }
    }
    Some(children)
}

fn read_varint(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = reader.u8().ok()?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            // The last byte of more than one is not zero, so that each number has one spelling.
            return (byte != 0 || shift == 0).then_some(value);
        }
    }
    None
}

/// The same node as `jmt` knows it.
///
/// `jmt` offers no way to build an inner node but Borsh, so its Borsh form is written here and read by it. A test holds
/// this against nodes that `jmt` made itself.
pub(crate) fn to_jmt(node: &StoredNode) -> Result<Node, StoreError> {
    let mut bytes = Vec::with_capacity(1024);
    match node {
        StoredNode::Empty => return Ok(Node::Null),
        StoredNode::Leaf(leaf) => {
            bytes.push(2);
            bytes.extend_from_slice(leaf.key_hash.as_bytes());
            bytes.extend_from_slice(leaf.value_hash.as_bytes());
        }
        StoredNode::Inner(children) => {
            bytes.push(1);
            let mut count = 0u64;
            let mut leaves = 0u64;
            for place in children.iter() {
                let Some(child) = place else {
                    bytes.push(0);
                    continue;
                };
                bytes.push(1);
                bytes.extend_from_slice(child.hash.as_bytes());
                bytes.extend_from_slice(&child.version.to_le_bytes());
                match child.leaves {
                    None => bytes.push(0),
                    Some(number) => {
                        bytes.push(1);
                        bytes.extend_from_slice(&number.to_le_bytes());
                    }
                }
                count += 1;
                leaves += child.leaves.unwrap_or(1);
            }
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(&leaves.to_le_bytes());
        }
    }
    borsh::from_slice(&bytes).map_err(|error| StoreError::corrupt(format!("a tree node: {error}")))
}
