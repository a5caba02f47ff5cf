//! Bundles: what they prove, and every link of the chain that can be broken.

use aval_codec::Hash;
use aval_did::Did;
use aval_types::{Header, NetworkId};

use super::fixture::Chain;
use crate::{
    anchor::{Checkpoint, TrustAnchor},
    error::ProofError,
    ledger_proof::{Claim, LedgerProof, Proven, did_state_key},
};

fn code(proof: &LedgerProof, anchor: &TrustAnchor) -> &'static str {
    proof.verify(anchor).map_or_else(|error| error.code(), |_| "valid")
}

#[test]
fn proofs_of_every_kind_read_back_and_hold() {
    let chain = Chain::new();
    for (name, proof) in chain.proofs() {
        let read = LedgerProof::from_json(&proof.to_json()).expect(name);
        assert_eq!(read, proof, "{name}");
        let verified = read.verify(&chain.anchor()).expect(name);
        assert_eq!(verified.height(), proof.header.height);
        assert_eq!(verified.time_ms(), proof.header.time_ms);
        assert_eq!(*verified.certified(), proof.path.last().unwrap_or(&proof.header).clone());
    }
}

#[test]
fn a_did_record_or_its_absence_comes_out() {
    let chain = Chain::new();
    let did = chain.record.did.clone();
    let verified = chain.prove(chain.state(&did_state_key(&did)), 2, 2).verify(&chain.anchor()).unwrap();
    assert_eq!(verified.did_record(&did).unwrap().as_ref(), Some(&chain.record));
    let stranger = Did::new("demo", &Hash::new([1; 32])).unwrap();
    assert_eq!(verified.did_record(&stranger).unwrap_err().code(), "proof.subject");
    assert!(verified.receipt().is_err());

    let verified = chain.prove(chain.state(&did_state_key(&stranger)), 2, 2).verify(&chain.anchor()).unwrap();
    assert_eq!(verified.did_record(&stranger), Ok(None));
    assert!(verified.did_record(&did).is_err());
}

#[test]
fn a_receipt_comes_out_and_belongs_to_its_block() {
    let chain = Chain::new();
    let proof = chain.prove(chain.receipt(4), 2, 2);
    let verified = proof.verify(&chain.anchor()).unwrap();
    assert_eq!(verified.receipt().unwrap(), &chain.receipts[4]);
    assert!(matches!(verified.proven(), Proven::Receipt(_)));
    assert_eq!(code(&chain.prove(chain.receipt(4), 3, 3), &chain.anchor()), "proof.receipt");
}

#[test]
fn each_broken_link_is_refused_with_its_code() {
    let chain = Chain::new();
    let anchor = chain.anchor();
    let key = did_state_key(&chain.record.did);
    let refused = |expected: &str, change: &dyn Fn(&mut LedgerProof)| {
        let mut proof = chain.prove(chain.state(&key), 2, 4);
        change(&mut proof);
        assert_eq!(code(&proof, &anchor), expected);
    };
    refused("proof.path", &|proof| drop(proof.path.remove(0)));
    refused("proof.path", &|proof| proof.path.swap(0, 1));
    refused("proof.path", &|proof| proof.header.state_root = Hash::ZERO);
    refused("proof.path", &|proof| proof.path.insert(0, proof.header.clone()));
    refused("proof.certificate", &|proof| drop(proof.path.pop()));
    refused("proof.certificate", &|proof| proof.path[1].state_root = Hash::ZERO);
    refused("proof.certificate", &|proof| proof.certificate.view -= 1);
    refused("proof.certificate", &|proof| proof.certificate.epoch += 1);
    refused("proof.validator_set", &|proof| proof.path[1].validators_hash = Hash::ZERO);
    refused("proof.network", &|proof| proof.network = NetworkId::new("demo", Hash::ZERO).unwrap());
    refused("proof.network", &|proof| {
        proof.network = NetworkId::new("other", proof.network.genesis()).unwrap();
    });
    refused("proof.state", &|proof| {
        if let Claim::State { value, .. } = &mut proof.claim {
            *value = None;
        }
    });
    refused("proof.state", &|proof| {
        if let Claim::State { key, .. } = &mut proof.claim {
            key.push('x');
        }
    });
}

#[test]
fn headers_must_rise_even_under_a_certificate() {
    // Validators that certify a block which breaks the rules of headers do not make a good proof of it.
    let mut chain = Chain::new();
    let anchor = chain.anchor();
    let parent = chain.headers[4].clone();
    let child = |change: &dyn Fn(&mut Header)| {
        let mut header =
            Header { height: 5, time_ms: parent.time_ms + 1, parent: parent.digest(), ..parent.clone() };
        change(&mut header);
        header
    };
    for (header, expected) in [
        (child(&|_| ()), "valid"),
        (child(&|header| header.height = 6), "proof.path"),
        (child(&|header| header.height = 4), "proof.path"),
        (child(&|header| header.time_ms = parent.time_ms), "proof.path"),
        (child(&|header| header.genesis = Hash::ZERO), "proof.network"),
    ] {
        chain.headers.push(header);
        assert_eq!(code(&chain.prove(Claim::Header, 4, 5), &anchor), expected);
        chain.headers.pop();
    }
}

#[test]
fn a_checkpoint_is_never_left_behind() {
    let chain = Chain::new();
    let mut anchor = chain.anchor();
    assert_eq!(anchor.checkpoint(), None);
    let key = did_state_key(&chain.record.did);
    let old = chain.prove(chain.state(&key), 1, 1);
    let new = chain.prove(chain.state(&key), 2, 3);
    let receipt = chain.prove(chain.receipt(0), 2, 2);
    assert_eq!(anchor.advance(&old.verify(&anchor).unwrap()), Ok(true));
    assert_eq!(anchor.advance(&new.verify(&anchor).unwrap()), Ok(true));
    // The checkpoint is the certified header, not the one that the claim stands on.
    assert_eq!(anchor.checkpoint().unwrap().header.height, 3);
    for stale in [&old, &new] {
        assert_eq!(code(stale, &anchor), "proof.behind");
        let past = stale.verify_past(&anchor).unwrap();
        assert_eq!(anchor.advance(&past), Ok(false));
    }
    assert_eq!(code(&receipt, &anchor), "valid");
    assert_eq!(anchor.checkpoint().unwrap().header.height, 3);

    let kept = Checkpoint::from_json(&anchor.checkpoint().unwrap().to_json()).unwrap();
    let again = chain.anchor().with_checkpoint(kept).unwrap();
    assert_eq!(again, anchor);
    let older = Checkpoint { header: chain.headers[2].clone(), changes: Vec::new() };
    assert_eq!(again.with_checkpoint(older), Err(ProofError::Behind));
}

#[test]
fn a_second_history_is_noticed() {
    let mut chain = Chain::new();
    let mut anchor = chain.anchor();
    let first = chain.prove(Claim::Header, 3, 3).verify(&anchor).unwrap();
    anchor.advance(&first).unwrap();
    // The same validators certify another block of the same height.
    chain.headers[3].state_root = Hash::ZERO;
    let second = chain.prove(Claim::Header, 3, 3);
    assert_eq!(code(&second, &anchor), "proof.fork");
    let unaware = second.verify(&chain.anchor()).unwrap();
    assert_eq!(anchor.advance(&unaware), Err(ProofError::Fork));
    chain.headers[4].parent = chain.headers[3].digest();
    assert_eq!(code(&chain.prove(Claim::Header, 3, 4), &anchor), "proof.fork");
}

#[test]
fn a_checkpoint_of_another_network_or_set_is_refused() {
    let chain = Chain::new();
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = chain.headers[2].clone();
        change(&mut header);
        chain.anchor().with_checkpoint(Checkpoint { header, changes: Vec::new() }).map(drop)
    };
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(with(&|header| header.genesis = Hash::ZERO), Err(ProofError::Network));
    assert_eq!(with(&|header| header.validators_hash = Hash::ZERO), Err(ProofError::ValidatorSet));
    let error = TrustAnchor::from_genesis(b"{}").unwrap_err();
    assert_eq!((error.code(), error.is_invalid()), ("proof.anchor", false));
}

#[test]
fn text_that_is_no_proof_is_malformed_and_not_invalid() {
    let chain = Chain::new();
    let text = String::from_utf8(chain.prove(chain.state(&chain.absent(true)), 2, 2).to_json()).unwrap();
    let receipt = String::from_utf8(chain.prove(chain.receipt(1), 2, 2).to_json()).unwrap();
    let receipt_member = receipt.split_once(r#","receipt""#).unwrap().1;
    for bad in [
        String::new(),
        "{}".to_owned(),
        "null".to_owned(),
        text.replace(r#""path":[],"#, ""),
        text.replace(r#""value":null,"#, ""),
        text.replace(r#","leaf":{"#, r#","leaf":{"x":1,"#),
        text.replace(r#""path":[]"#, r#""path":null"#),
        text.replacen("{", r#"{"extra":1,"#, 1),
        text.replace(r#""header":""#, r#""header":"A"#),
        text.replace(r#"AA","path""#, r#"AB","path""#),
        text.replacen("}}}", r#"}},"receipt":null}"#, 1),
        format!(r#"{},"receipt"{receipt_member}"#, text.strip_suffix('}').unwrap()),
        receipt.replace(r#""left""#, r#""both""#).replace(r#""right""#, r#""both""#),
        format!("{text}{text}"),
    ] {
        assert!(bad != text && bad != receipt);
        let error = LedgerProof::from_json(bad.as_bytes())
            .and_then(|proof| proof.verify(&chain.anchor()))
            .unwrap_err();
        assert!(!error.is_invalid(), "{error}: {bad}");
        assert_eq!(error.code(), "proof.malformed");
    }
}
