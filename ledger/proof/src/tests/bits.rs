//! No bit of a proof can be changed unnoticed.

use super::fixture::Chain;
use crate::{anchor::Checkpoint, ledger_proof::LedgerProof};

fn verify(chain: &Chain, bytes: &[u8]) -> bool {
    LedgerProof::from_json(bytes).and_then(|proof| proof.verify(&chain.anchor())).is_ok()
}

#[test]
fn every_one_bit_change_of_every_proof_is_refused() {
    let chain = Chain::new();
    let anchor = chain.anchor();
    for (name, proof) in chain.proofs() {
        let bytes = proof.to_json();
        assert!(verify(&chain, &bytes), "{name}");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let outcome = LedgerProof::from_json(&changed).and_then(|proof| proof.verify(&anchor));
            assert!(outcome.is_err(), "{name}: bit {bit}: {:?}", String::from_utf8_lossy(&changed));
        }
    }
}

#[test]
fn every_byte_left_out_or_doubled_is_refused() {
    let chain = Chain::new();
    for (name, proof) in chain.proofs() {
        let bytes = proof.to_json();
        for index in 0..bytes.len() {
            let shorter = [&bytes[..index], &bytes[index + 1..]].concat();
            assert!(!verify(&chain, &shorter), "{name}: without byte {index}");
            let longer = [&bytes[..=index], &bytes[index..]].concat();
            assert!(!verify(&chain, &longer), "{name}: byte {index} twice");
        }
    }
}

#[test]
fn every_one_bit_change_of_a_checkpoint_is_another_checkpoint() {
    let checkpoint = Checkpoint { header: Chain::new().headers[3].clone(), changes: Vec::new() };
    let bytes = checkpoint.to_json();
    assert_eq!(Checkpoint::from_json(&bytes).unwrap(), checkpoint);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(Checkpoint::from_json(&changed).ok().as_ref(), Some(&checkpoint));
    }
}
