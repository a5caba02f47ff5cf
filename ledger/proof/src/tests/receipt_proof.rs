//! Receipts are proved one by one, and only where they are.

use aval_codec::{Hash, merkle};
use aval_types::Receipt;

use super::fixture::Chain;
use crate::receipt_proof::{ReceiptProof, Sibling};

#[test]
fn every_receipt_of_a_block_of_any_size_is_proved() {
    let receipts = Chain::new().receipts;
    for count in 1..=40usize {
        let leaves: Vec<Vec<u8>> = (0..count)
            .map(|index| Receipt { index: u32::try_from(index).unwrap(), ..receipts[0].clone() }.encode())
            .collect();
        let root = merkle::root(&leaves);
        for index in 0..count {
            let proof = ReceiptProof::of(&leaves, index).unwrap();
            let receipt = proof.verify(&root).unwrap();
            assert_eq!(receipt.index as usize, index);
            let other = ReceiptProof { bytes: leaves[(index + 1) % count].clone(), ..proof.clone() };
            assert!(count == 1 || other.verify(&root).is_err());
        }
        assert_eq!(ReceiptProof::of(&leaves, count), None);
    }
}

#[test]
fn changed_proofs_are_refused() {
    let chain = Chain::new();
    let leaves = chain.leaves();
    let root = merkle::root(&leaves);
    let good = ReceiptProof::of(&leaves, 2).unwrap();
    for index in 0..good.siblings.len() {
        let mut other = good.clone();
        other.siblings[index] = match other.siblings[index] {
            Sibling::Left(hash) => Sibling::Right(hash),
            Sibling::Right(hash) => Sibling::Left(hash),
        };
        assert!(other.verify(&root).is_err());
        let mut other = good.clone();
        other.siblings.remove(index);
        assert!(other.verify(&root).is_err());
    }
    let mut other = good.clone();
    other.siblings.push(Sibling::Left(Hash::ZERO));
    assert!(other.verify(&root).is_err());
    other.siblings = vec![Sibling::Left(Hash::ZERO); 33];
    assert!(other.verify(&root).is_err());
    // Bytes that lead to the root and are no receipt are still no receipt.
    let strange = ReceiptProof { bytes: b"{}".to_vec(), siblings: Vec::new() };
    assert!(strange.verify(&merkle::leaf_hash(b"{}")).is_err());
}
