//! A state tree made by `jmt`, in memory, and its proofs in our encoding.

use std::collections::BTreeMap;

use aval_codec::{Hash, Reader, sha256};
use jmt::{
    KeyHash, OwnedValue, RootHash, Sha256Jmt, Version,
    storage::{LeafNode, Node, NodeKey, TreeReader},
};

use crate::state_proof::{OtherLeaf, StateProof, empty_root, leaf_hash, node_hash};

#[derive(Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<NodeKey, Node>,
    values: BTreeMap<(KeyHash, Version), Option<OwnedValue>>,
    versions: u64,
}

impl TreeReader for Tree {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.get(key).cloned())
    }

    fn get_value_option(&self, version: Version, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.values.range((key, 0)..=(key, version)).next_back().and_then(|(_, value)| value.clone()))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        Ok(None)
    }
}

impl Tree {
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut tree = Self::default();
        tree.change(entries.into_iter().map(|(key, value)| (key.as_bytes(), Some(value.as_bytes()))));
        tree
    }

    /// Makes the next version.
    pub(crate) fn change<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Hash {
        let changes: Vec<_> = changes
            .into_iter()
            .map(|(key, value)| (KeyHash(sha256(key).to_bytes()), value.map(<[u8]>::to_vec)))
            .collect();
        let (root, update) = Sha256Jmt::new(self).put_value_set(changes, self.versions).unwrap();
        self.nodes.extend(update.node_batch.nodes().clone());
        for ((version, key), value) in update.node_batch.values() {
            self.values.insert((*key, *version), value.clone());
        }
        self.versions += 1;
        Hash::new(root.0)
    }

    pub(crate) fn root(&self) -> Hash {
        Hash::new(Sha256Jmt::new(self).get_root_hash(self.versions - 1).unwrap().0)
    }

    /// The value and the proof that `jmt` makes, which `jmt` itself accepts.
    pub(crate) fn prove(&self, key: &str) -> (Option<Vec<u8>>, StateProof) {
        let key_hash = sha256(key.as_bytes());
        let jmt_key = KeyHash(key_hash.to_bytes());
        let (value, proof) = Sha256Jmt::new(self).get_with_proof(jmt_key, self.versions - 1).unwrap();
        proof.verify(RootHash(self.root().to_bytes()), jmt_key, value.as_ref()).unwrap();
        (value, convert(&borsh::to_vec(&proof).unwrap(), &key_hash))
    }
}

/// Our encoding of a `jmt` proof: option of leaf (u8, key hash, value hash), u32 LE number of siblings, each u8
/// kind (0 empty, 1 inner node: two hashes, 2 leaf: key hash, value hash). A leaf that is the key's own is left
/// out.
fn convert(borsh: &[u8], key_hash: &Hash) -> StateProof {
    let mut reader = Reader::new(borsh);
    let pair = |reader: &mut Reader<'_>| (reader.hash().unwrap(), reader.hash().unwrap());
    let leaf = match reader.u8().unwrap() {
        0 => None,
        _ => Some(pair(&mut reader)),
    };
    let count = u32::from_le_bytes(reader.array().unwrap());
    let siblings = (0..count)
        .map(|_| match reader.u8().unwrap() {
            0 => empty_root(),
            1 => {
                let (left, right) = pair(&mut reader);
                node_hash(&left, &right)
            }
            _ => {
                let (key_hash, value_hash) = pair(&mut reader);
                leaf_hash(&key_hash, &value_hash)
            }
        })
        .collect();
    reader.finish().unwrap();
    let other = leaf.filter(|(other, _)| other != key_hash);
    StateProof { siblings, leaf: other.map(|(key_hash, value_hash)| OtherLeaf { key_hash, value_hash }) }
}
