use std::collections::BTreeMap;

use aval_codec::Hash;
use aval_machine::Changes;
use aval_proof::StateProof;
use proptest::prelude::*;

use super::fixture::*;
use crate::Ledger;

fn blocks() -> impl Strategy<Value = Vec<Changes>> {
    let key = prop_oneof![(0u8..40).prop_map(|number| format!("key/{number}")), (0u8..6).prop_map(did_key)];
    let value = prop_oneof![4 => "[a-z]{0,40}".prop_map(Some), 1 => Just(None)];
    let block = proptest::collection::btree_map(key, value, 0..12).prop_map(|changes| {
        let with_record = |(key, value): (String, Option<String>)| {
            // What lies under a DID's key is a record.
            let value = match key.starts_with("did/") {
                true => value.map(|text| format!(r#"{{"versionId":"{}-{text}"}}"#, text.len() + 1)),
                false => value,
            };
            (key.into_bytes(), value.map(String::into_bytes))
        };
        changes.into_iter().map(with_record).collect()
    });
    proptest::collection::vec(block, 1..15)
}

fn did_key(number: u8) -> String {
    format!("did/did:aval:demo:{number}")
}

fn keys() -> Vec<String> {
    (0..42).map(|number| format!("key/{number}")).chain((0..7).map(did_key)).collect()
}

/// Every single-bit change of a proof, and the same proof for another value or key.
fn forgeries_verify(proof: &StateProof, root: &Hash, key: &[u8], value: Option<&[u8]>, bit: usize) -> bool {
    let flip = |hash: &Hash| {
        let mut bytes = hash.to_bytes();
        bytes[bit / 8 % 32] ^= 1 << (bit % 8);
        Hash::new(bytes)
    };
    let mut forgeries = Vec::new();
    for position in 0..proof.siblings.len() {
        let mut forged = proof.clone();
        forged.siblings[position] = flip(&forged.siblings[position]);
        forgeries.push(forged);
        let mut shorter = proof.clone();
        shorter.siblings.remove(position);
        forgeries.push(shorter);
    }
    let mut longer = proof.clone();
    longer.siblings.push(crate::EMPTY_ROOT);
    forgeries.push(longer);
    if let Some(leaf) = proof.leaf {
        for leaf in [
            aval_proof::OtherLeaf { key_hash: flip(&leaf.key_hash), ..leaf },
            aval_proof::OtherLeaf { value_hash: flip(&leaf.value_hash), ..leaf },
        ] {
            forgeries.push(StateProof { leaf: Some(leaf), ..proof.clone() });
        }
    }
    let other_value: Option<Vec<u8>> = match value {
        Some(value) => Some([value, b"x"].concat()),
        None => Some(b"x".to_vec()),
    };
    let opposite = if value.is_some() { None } else { Some(&b""[..]) };
    forgeries.iter().any(|forged| forged.verify(root, key, value).is_ok())
        || proof.verify(&flip(root), key, value).is_ok()
        || proof.verify(root, key, other_value.as_deref()).is_ok()
        || proof.verify(root, key, opposite).is_ok()
}

fn check_all(
    ledger: &Ledger,
    states: &[BTreeMap<Vec<u8>, Vec<u8>>],
    bit: usize,
) -> Result<(), TestCaseError> {
    for (height, state) in (0..).zip(states) {
        let root = ledger.header(height).unwrap().state_root;
        for key in keys() {
            let answer = ledger.prove(key.as_bytes(), height).unwrap();
            prop_assert_eq!(answer.value.as_ref(), state.get(key.as_bytes()));
            let value = answer.value.as_deref();
            prop_assert!(answer.proof.verify(&root, key.as_bytes(), value).is_ok());
            prop_assert!(!forgeries_verify(&answer.proof, &root, key.as_bytes(), value, bit));
        }
    }
    Ok(())
}

proptest! {
    // Each case makes a database.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn rocks_and_memory_agree_and_every_proof_holds_and_no_forgery(
        blocks in blocks(),
        bit in 0usize..256,
        reopen_at in 0usize..15,
    ) {
        let (rocks, memory) = (Disk::rocks(), Disk::memory());
        let (mut on_rocks, on_memory) = (rocks.open(), memory.open());
        let mut state = BTreeMap::new();
        let mut states = Vec::new();
        for (number, changes) in blocks.into_iter().enumerate() {
            for (key, value) in &changes {
                match value {
                    Some(value) => state.insert(key.clone(), value.clone()),
                    None => state.remove(key),
                };
            }
            states.push(state.clone());
            extend(&on_rocks, changes.clone(), Vec::new());
            extend(&on_memory, changes, Vec::new());
            prop_assert_eq!(tip(&on_rocks), tip(&on_memory));
            if number == reopen_at {
                drop(on_rocks);
                on_rocks = rocks.open();
            }
        }
        check_all(&on_rocks, &states, bit)?;
        check_all(&on_memory, &states, bit)?;
    }
}
