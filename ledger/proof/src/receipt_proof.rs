//! Proofs that a receipt is among those of a block (specs/wire.md, "Receipt proof").
//!
//! Each sibling says on which side it stands. With the sides given, a proof has no number that could be changed without
//! changing the root; the receipt's own place is in its bytes, which the quorum vouches for.

use aval_codec::{Hash, b64u, merkle};
use aval_types::{BlockReceipt, Receipt};
use serde::{Deserialize, Serialize};

use crate::error::ProofError;

/// More levels than a block has room for.
const SIBLINGS_MAX: usize = 32;

/// The other half of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sibling {
    /// It stands on the left.
    Left(Hash),
    /// It stands on the right.
    Right(Hash),
}

/// A receipt and the way from it to the receipts root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptProof {
    /// The receipt's bytes.
    pub bytes: Vec<u8>,
    /// Siblings from the receipt up to the root.
    pub siblings: Vec<Sibling>,
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wire {
    bytes: String,
    siblings: Vec<Sibling>,
}

impl ReceiptProof {
    /// The proof for the receipt at `index` of a block's encoded receipts; `None` if there is no such receipt.
    pub fn of<L: AsRef<[u8]>>(receipts: &[L], index: usize) -> Option<Self> {
        let bytes = receipts.get(index)?.as_ref().to_vec();
        let hashes = merkle::inclusion_proof(receipts, index)?;
        let siblings = sides(index, receipts.len())
            .into_iter()
            .zip(hashes)
            .map(|(is_left, hash)| if is_left { Sibling::Left(hash) } else { Sibling::Right(hash) })
            .collect();
        Some(Self { bytes, siblings })
    }

    /// Checks the way to `root` and gives the receipt of a transaction.
    pub fn verify(&self, root: &Hash) -> Result<Receipt, ProofError> {
        self.verify_bytes(root)?;
        Receipt::decode(&self.bytes).map_err(|_| ProofError::Receipt("the proven bytes are not a receipt"))
    }

    /// Checks the way to `root` and gives the receipt of a block.
    pub fn verify_block(&self, root: &Hash) -> Result<BlockReceipt, ProofError> {
        self.verify_bytes(root)?;
        BlockReceipt::decode(&self.bytes)
            .map_err(|_| ProofError::Receipt("the proven bytes are not a block's receipt"))
    }

    /// Whether the bytes are those of a block's own receipt.
    pub fn is_of_block(&self) -> bool {
        BlockReceipt::decode(&self.bytes).is_ok()
    }

    fn verify_bytes(&self, root: &Hash) -> Result<(), ProofError> {
        if self.siblings.len() > SIBLINGS_MAX {
            return Err(ProofError::Receipt("there are more siblings than levels"));
        }
        let found =
            self.siblings.iter().fold(merkle::leaf_hash(&self.bytes), |hash, sibling| match sibling {
                Sibling::Left(left) => merkle::node_hash(left, &hash),
                Sibling::Right(right) => merkle::node_hash(&hash, right),
            });
        if found != *root {
            return Err(ProofError::Receipt("the proof does not lead to the receipts root"));
        }
        Ok(())
    }

    pub(crate) fn to_wire(&self) -> Wire {
        Wire { bytes: b64u::encode(&self.bytes), siblings: self.siblings.clone() }
    }

    pub(crate) fn from_wire(wire: Wire) -> Result<Self, ProofError> {
        let bytes = b64u::decode(&wire.bytes)
            .map_err(|_| ProofError::Malformed("receipt.bytes is not base64url".to_owned()))?;
        Ok(Self { bytes, siblings: wire.siblings })
    }
}

/// For each level from the leaf up: whether the sibling stands on the left. `index` is below `count`.
fn sides(index: usize, count: usize) -> Vec<bool> {
    let mut sides = Vec::new();
    let (mut index, mut count) = (index, count);
    while count > 1 {
        // The list splits at the largest power of two below its length.
        let left = count.div_ceil(2).next_power_of_two();
        sides.push(index >= left);
        (index, count) = if index < left { (index, left) } else { (index - left, count - left) };
    }
    sides.reverse();
    sides
}
