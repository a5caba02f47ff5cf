//! All receipt proofs of one block, with the work of one tree: for who hands out many of them.

use aval_codec::{Hash, merkle};

use crate::receipt_proof::{ReceiptProof, Sibling};

/// The hashes of a block's receipts tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptTree {
    /// From the leaves up. A node without a sibling goes up as it is, which gives the tree of RFC 6962.
    levels: Vec<Vec<Hash>>,
}

impl ReceiptTree {
    /// Hashes the encoded receipts of a block.
    pub fn of<L: AsRef<[u8]>>(receipts: &[L]) -> Self {
        let mut level: Vec<Hash> = receipts.iter().map(|bytes| merkle::leaf_hash(bytes.as_ref())).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => merkle::node_hash(left, right),
                    alone => alone.first().copied().unwrap_or(Hash::ZERO),
                })
                .collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        Self { levels }
    }

    /// The proof for the receipt at `index` of the same receipts; `None` if there is no such receipt.
    pub fn proof<L: AsRef<[u8]>>(&self, receipts: &[L], index: usize) -> Option<ReceiptProof> {
        let bytes = receipts.get(index)?.as_ref().to_vec();
        let mut siblings = Vec::new();
        let mut at = index;
        for level in &self.levels {
            if let Some(hash) = level.get(at ^ 1) {
                siblings.push(if at & 1 == 1 { Sibling::Left(*hash) } else { Sibling::Right(*hash) });
            }
            at /= 2;
        }
        Some(ReceiptProof { bytes, siblings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proof_is_the_one_that_is_made_alone() {
        for count in 0..40 {
            let receipts: Vec<Vec<u8>> = (0..count).map(|number: usize| vec![0x5a; number]).collect();
            let tree = ReceiptTree::of(&receipts);
            for index in 0..=count {
                assert_eq!(
                    tree.proof(&receipts, index),
                    ReceiptProof::of(&receipts, index),
                    "{index} of {count}"
                );
            }
        }
    }
}
