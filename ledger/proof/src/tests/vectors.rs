//! The vectors under `specs/vectors/`: made here, and read back as somebody else's code would read them.

use aval_codec::{Hash, Json, json};
use aval_did::PublicKey;

use super::{
    fixture::Chain,
    support::{entries, fenced, keep, keep_example, object, pretty, text, to_hex, vectors},
    tree::Tree,
};
use crate::{
    anchor::{Checkpoint, TrustAnchor},
    certificate::{Certificate, signed_bytes},
    ledger_proof::{Claim, LedgerProof, did_state_key},
    receipt_proof::{ReceiptProof, Sibling},
    state_proof::{OtherLeaf, StateProof},
    validators::ValidatorSet,
};

fn hashes(hashes: &[Hash]) -> Json {
    hashes.iter().map(|hash| hash.to_string().into()).collect::<Vec<Json>>().into()
}

fn leaf(leaf: Option<OtherLeaf>) -> Json {
    leaf.map_or(Json::Null, |leaf| json::to_json(&leaf).unwrap())
}

fn state_entry(
    name: &str,
    root: &Hash,
    key: &str,
    value: Option<&str>,
    proof: &StateProof,
) -> Vec<(&'static str, Json)> {
    vec![
        ("name", name.into()),
        ("root", root.to_string().into()),
        ("key", key.into()),
        ("value", value.map_or(Json::Null, Json::from)),
        ("siblings", hashes(&proof.siblings)),
        ("leaf", leaf(proof.leaf)),
    ]
}

fn valid_states() -> Vec<(&'static str, Hash, String, Option<String>, StateProof)> {
    let names: Vec<String> = (0..50).map(|number| format!("did/{number}")).collect();
    let large = Tree::of(names.iter().map(|name| (name.as_str(), "a value")));
    let one = Tree::of([("did/0", "a value")]);
    let prove = |name: &'static str, tree: &Tree, key: String| {
        let (value, proof) = tree.prove(&key);
        (name, tree.root(), key, value.map(|value| String::from_utf8(value).unwrap()), proof)
    };
    let absent = |with_leaf: bool| {
        let mut keys = (50..).map(|number| format!("did/{number}"));
        keys.find(|key| large.prove(key).1.leaf.is_some() == with_leaf).unwrap()
    };
    let nothing = StateProof { siblings: Vec::new(), leaf: None };
    vec![
        ("absent from the empty tree", crate::empty_root(), "did/0".to_owned(), None, nothing),
        prove("the only key", &one, "did/0".to_owned()),
        prove("absent beside the only key", &one, "did/1".to_owned()),
        prove("one of fifty keys", &large, "did/7".to_owned()),
        prove("another of fifty keys", &large, "did/49".to_owned()),
        prove("absent, nothing in its place", &large, absent(false)),
        prove("absent, another key in its place", &large, absent(true)),
    ]
}

#[test]
fn state_proofs_are_as_the_vectors_say() {
    let states = valid_states();
    let valid = states.iter().map(|(name, root, key, value, proof)| {
        object(&state_entry(name, root, key, value.as_deref(), proof))
    });
    let (_, root, key, value, proof) = &states[3];
    let (value, root) = (value.as_deref(), *root);
    let mut wrong_sibling = proof.clone();
    wrong_sibling.siblings[0] = Hash::ZERO;
    let mut shorter = proof.clone();
    shorter.siblings.pop();
    let mut turned = proof.clone();
    turned.siblings.reverse();
    let own = OtherLeaf {
        key_hash: aval_codec::sha256(key.as_bytes()),
        value_hash: aval_codec::sha256(value.unwrap().as_bytes()),
    };
    let with_leaf = StateProof { leaf: Some(own), ..proof.clone() };
    let (_, _, absent, _, absence) = &states[6];
    let no_leaf = StateProof { leaf: None, ..absence.clone() };
    let invalid = [
        state_entry("another value", &root, key, Some("another value"), proof),
        state_entry("a present key as absent", &root, key, None, proof),
        state_entry("a present key as absent, with its own leaf", &root, key, None, &with_leaf),
        state_entry("presence with a leaf", &root, key, value, &with_leaf),
        state_entry("another key", &root, "did/8", value, proof),
        state_entry("a changed sibling", &root, key, value, &wrong_sibling),
        state_entry("a sibling too few", &root, key, value, &shorter),
        state_entry("siblings from the root down", &root, key, value, &turned),
        state_entry(
            "a true leaf that lies elsewhere, as absence of another key",
            &root,
            "did/8",
            None,
            &with_leaf,
        ),
        state_entry("an absent key as present", &root, absent, value, absence),
        state_entry("absence without the leaf it needs", &root, absent, None, &no_leaf),
        state_entry("another root", &Hash::ZERO, key, value, proof),
    ];
    let invalid = invalid.map(|mut entry| {
        entry.push(("code", "proof.state".into()));
        object(&entry)
    });
    let about = "State proofs of section 8 of wire.md; a null value claims absence.";
    let file = object(&[
        ("about", about.into()),
        ("valid", valid.collect::<Vec<_>>().into()),
        ("invalid", Vec::from(invalid).into()),
    ]);
    keep("vectors/state-proof.json", &pretty(&file));
    let example = serde_json::to_string(&hashes(&proof.siblings)).unwrap();
    keep_example(
        "state",
        &fenced(&[
            ("key", key),
            ("value", value.unwrap()),
            ("SHA-256 of the key", &own.key_hash.to_string()),
            ("leaf hash", &crate::state_proof::leaf_hash(&own.key_hash, &own.value_hash).to_string()),
            ("siblings", &example),
            ("state root", &root.to_string()),
        ]),
    );
}

#[test]
fn the_state_vectors_verify_as_they_say() {
    let file = vectors("vectors/state-proof.json");
    let verify = |entry: &Json| {
        let siblings = json::from_json(entry.get("siblings").unwrap().clone()).unwrap();
        let leaf = json::from_json(entry.get("leaf").unwrap().clone()).unwrap();
        let value = entry.get("value").unwrap().as_str().map(str::as_bytes);
        let root = text(entry, "root").parse().unwrap();
        StateProof { siblings, leaf }.verify(&root, text(entry, "key").as_bytes(), value)
    };
    for entry in entries(&file, "valid") {
        assert_eq!(verify(entry), Ok(()), "{}", text(entry, "name"));
    }
    for entry in entries(&file, "invalid") {
        assert_eq!(verify(entry).unwrap_err().code(), text(entry, "code"), "{}", text(entry, "name"));
    }
}

#[test]
fn certificates_are_as_the_vectors_say() {
    let chain = Chain::new();
    let header = &chain.headers[1];
    let (genesis, digest) = (chain.network.genesis(), header.digest());
    let certificate = |signers: &[u32]| chain.certificate(header, signers);
    let changed = |change: &dyn Fn(&mut Certificate)| {
        let mut certificate = certificate(&[0, 1, 2, 3]);
        change(&mut certificate);
        certificate
    };
    let entry = |name: &str, certificate: &Certificate| {
        vec![("name", name.into()), ("certificate", json::to_json(certificate).unwrap())]
    };
    let valid =
        [entry("three of four", &certificate(&[0, 1, 3])), entry("all four", &certificate(&[0, 1, 2, 3]))];
    let invalid = [
        entry("two of four", &certificate(&[0, 1])),
        entry("nobody", &certificate(&[])),
        entry("one counted twice", &changed(&|certificate| certificate.signers = vec![0, 0, 1, 2])),
        entry(
            "not ascending",
            &changed(&|certificate| {
                certificate.signers.swap(0, 1);
                certificate.signatures.swap(0, 1);
            }),
        ),
        entry("signatures exchanged", &changed(&|certificate| certificate.signatures.swap(0, 1))),
        entry("a signer outside of the set", &changed(&|certificate| certificate.signers[3] = 4)),
        entry(
            "a signature missing",
            &changed(&|certificate| {
                certificate.signatures.pop();
            }),
        ),
        entry(
            "one bad signature beside a quorum",
            &changed(&|certificate| certificate.signatures[3][10] ^= 1),
        ),
        entry("another view", &changed(&|certificate| certificate.view += 1)),
        entry("another parent view", &changed(&|certificate| certificate.parent_view += 1)),
        entry("another epoch", &changed(&|certificate| certificate.epoch += 1)),
        entry("of another block", &chain.certificate(&chain.headers[2], &[0, 1, 2])),
    ];
    let invalid = invalid.map(|mut entry| {
        entry.push(("code", "proof.certificate".into()));
        object(&entry)
    });
    let message = signed_bytes(&genesis, header.epoch, header.view, header.parent_view, &digest);
    let keys = chain.validators.keys().iter().map(|key| PublicKey::Ed25519(*key).to_multikey());
    let keys: Vec<Json> = keys.map(Json::from).collect();
    let about = "Certificates of section 9 of wire.md over one digest. The validators are in the order of their indices.";
    let file = object(&[
        ("about", about.into()),
        ("genesis", genesis.to_string().into()),
        ("digest", digest.to_string().into()),
        ("validators", keys.into()),
        ("validatorsHash", chain.validators.hash().to_string().into()),
        ("signed", to_hex(&message).into()),
        ("valid", valid.map(|entry| object(&entry)).to_vec().into()),
        ("invalid", Vec::from(invalid).into()),
    ]);
    keep("vectors/certificate.json", &pretty(&file));
    keep_example(
        "certificate",
        &fenced(&[
            ("genesis hash", &genesis.to_string()),
            ("digest of the header", &digest.to_string()),
            (
                "epoch, view, parent view",
                &format!("{}, {}, {}", header.epoch, header.view, header.parent_view),
            ),
            ("what each signs", &to_hex(&message)),
            ("Ed25519 key of index 0", &to_hex(&chain.validators.keys()[0])),
            ("its signature", &to_hex(&certificate(&[0, 1, 3]).signatures[0])),
        ]),
    );
}

#[test]
fn the_certificate_vectors_verify_as_they_say() {
    let file = vectors("vectors/certificate.json");
    let keys = entries(&file, "validators").iter().map(|key| match key.as_str().unwrap().parse().unwrap() {
        PublicKey::Ed25519(bytes) => bytes,
        PublicKey::P256(_) => panic!("not an Ed25519 key"),
    });
    let keys: Vec<[u8; 32]> = keys.collect();
    assert!(keys.is_sorted());
    let validators = ValidatorSet::new(keys);
    assert_eq!(validators.hash().to_string(), text(&file, "validatorsHash"));
    let genesis = text(&file, "genesis").parse().unwrap();
    let digest = text(&file, "digest").parse().unwrap();
    let verify = |entry: &Json| {
        let certificate: Certificate = json::from_json(entry.get("certificate").unwrap().clone()).unwrap();
        certificate.verify(&genesis, &digest, &validators)
    };
    for entry in entries(&file, "valid") {
        assert_eq!(verify(entry), Ok(()), "{}", text(entry, "name"));
    }
    for entry in entries(&file, "invalid") {
        assert_eq!(verify(entry).unwrap_err().code(), text(entry, "code"), "{}", text(entry, "name"));
    }
}

#[test]
fn the_receipt_vectors_verify_as_they_say() {
    let file = vectors("vectors/receipt.json");
    let verify = |entry: &Json| {
        let siblings: Vec<Sibling> = json::from_json(entry.get("siblings").unwrap().clone()).unwrap();
        let bytes = text(entry, "bytes").as_bytes().to_vec();
        ReceiptProof { bytes, siblings }.verify(&text(entry, "root").parse().unwrap())
    };
    let leaves: Vec<&str> = entries(&file, "receipts").iter().map(|entry| text(entry, "bytes")).collect();
    for (index, entry) in entries(&file, "proofs").iter().enumerate() {
        assert_eq!(verify(entry).unwrap().index as usize, index);
        let ours = ReceiptProof::of(&leaves, index).unwrap();
        assert_eq!(Some(&json::to_json(&ours.siblings).unwrap()), entry.get("siblings"));
    }
    for entry in entries(&file, "invalidProofs") {
        assert_eq!(verify(entry).unwrap_err().code(), text(entry, "code"), "{}", text(entry, "name"));
    }
}

fn as_text(proof: &LedgerProof) -> String {
    String::from_utf8(proof.to_json()).unwrap()
}

/// A name, a proof, and the code.
fn invalid_proofs(chain: &Chain) -> Vec<(&'static str, String, &'static str)> {
    let state = chain.state(&did_state_key(&chain.record.did));
    let good = chain.prove(state, 2, 4);
    let changed = |change: &dyn Fn(&mut LedgerProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        as_text(&proof)
    };
    let text = as_text(&good);
    let foreign = aval_types::NetworkId::new("test", chain.network.genesis()).unwrap();
    let old_receipt = chain.prove(chain.receipt(1), 3, 3);
    let old_block_receipt = chain.prove(chain.receipt(5), 3, 3);
    let wrong_set = changed(&|proof| {
        proof.path[1].validators_hash = Hash::ZERO;
        proof.certificate = chain.certificate(&proof.path[1], &[0, 1, 2]);
    });
    vec![
        ("not JSON", text[1..].to_owned(), "proof.malformed"),
        ("a member too many", text.replacen('{', r#"{"note":"hello","#, 1), "proof.malformed"),
        ("a member twice", text.replacen('{', r#"{"path":[],"#, 1), "proof.malformed"),
        ("a member missing", text.replace(r#","leaf":null"#, ""), "proof.malformed"),
        (
            "a hash in capitals",
            text.replacen(r#""siblings":["#, &format!(r#""siblings":["{}","#, "AB".repeat(32)), 1),
            "proof.malformed",
        ),
        ("a header cut short", text.replacen(r#""path":[""#, r#""path":["AQAA",""#, 1), "proof.malformed"),
        ("another network", changed(&|proof| proof.network = foreign.clone()), "proof.network"),
        ("a header left out of the path", changed(&|proof| drop(proof.path.remove(0))), "proof.path"),
        ("another header under the same path", changed(&|proof| proof.header.time_ms += 1), "proof.path"),
        ("another validator set", wrong_set, "proof.validator_set"),
        ("the certificate of another block", changed(&|proof| drop(proof.path.pop())), "proof.certificate"),
        (
            "too few signatures",
            changed(&|proof| proof.certificate = chain.certificate(&chain.headers[4], &[1, 2])),
            "proof.certificate",
        ),
        (
            "another value",
            changed(&|proof| {
                if let Claim::State { value: Some(value), .. } = &mut proof.claim {
                    value[10] ^= 1;
                }
            }),
            "proof.state",
        ),
        (
            "a present DID as absent",
            changed(&|proof| {
                if let Claim::State { value, .. } = &mut proof.claim {
                    *value = None;
                }
            }),
            "proof.state",
        ),
        ("a receipt under another block", as_text(&old_receipt), "proof.receipt"),
        ("what another block did on its own", as_text(&old_block_receipt), "proof.receipt"),
    ]
}

#[test]
fn ledger_proofs_are_as_the_vectors_say() {
    let chain = Chain::new();
    let proofs = chain.proofs();
    let valid = proofs.iter().map(|(name, proof)| {
        object(&[
            ("name", (*name).into()),
            ("proof", as_text(proof).into()),
            ("height", Json::Int(proof.header.height.try_into().unwrap())),
        ])
    });
    let invalid = invalid_proofs(&chain).into_iter().map(|(name, proof, code)| {
        object(&[("name", name.into()), ("proof", proof.into()), ("code", code.into())])
    });
    let checkpoint = Checkpoint { header: chain.headers[3].clone(), changes: Vec::new() };
    let mut second = chain.headers[3].clone();
    second.state_root = Hash::ZERO;
    let mut forked = chain.prove(Claim::Header, 3, 3);
    forked.certificate = chain.certificate(&second, &[0, 1, 2]);
    forked.header = second;
    let held = [
        ("older than the checkpoint", as_text(&chain.prove(Claim::Header, 2, 4)), "proof.behind"),
        ("contradicts the checkpoint", as_text(&forked), "proof.fork"),
    ];
    let held = held.map(|(name, proof, code)| {
        object(&[("name", name.into()), ("proof", proof.into()), ("code", code.into())])
    });
    let about = "Ledger proofs of section 10 of wire.md, to be checked against genesis.json beside this file. Those that cannot \
                 be read have the code proof.malformed. The last list is invalid for who holds the checkpoint.";
    let file = object(&[
        ("about", about.into()),
        ("valid", valid.collect::<Vec<_>>().into()),
        ("invalid", invalid.collect::<Vec<_>>().into()),
        ("checkpoint", String::from_utf8(checkpoint.to_json()).unwrap().into()),
        ("invalidWithCheckpoint", Vec::from(held).into()),
    ]);
    keep("vectors/ledger-proof.json", &pretty(&file));
    keep_example("ledger-proof", &fenced(&[(proofs[4].0, &as_text(&proofs[4].1))]));
}

#[test]
fn the_ledger_proof_vectors_verify_as_they_say() {
    let file = vectors("vectors/ledger-proof.json");
    let genesis = std::fs::read(super::support::specs("vectors/genesis.json")).unwrap();
    let anchor = TrustAnchor::from_genesis(&genesis).unwrap();
    let verify = |entry: &Json, anchor: &TrustAnchor| {
        LedgerProof::from_json(text(entry, "proof").as_bytes()).and_then(|proof| proof.verify(anchor))
    };
    for entry in entries(&file, "valid") {
        let verified =
            verify(entry, &anchor).unwrap_or_else(|error| panic!("{}: {error}", text(entry, "name")));
        assert_eq!(entry.get("height").and_then(Json::as_u64), Some(verified.height()));
    }
    for entry in entries(&file, "invalid") {
        assert_eq!(
            verify(entry, &anchor).unwrap_err().code(),
            text(entry, "code"),
            "{}",
            text(entry, "name")
        );
    }
    let checkpoint = Checkpoint::from_json(text(&file, "checkpoint").as_bytes()).unwrap();
    let anchor = anchor.with_checkpoint(checkpoint).unwrap();
    for entry in entries(&file, "invalidWithCheckpoint") {
        assert_eq!(
            verify(entry, &anchor).unwrap_err().code(),
            text(entry, "code"),
            "{}",
            text(entry, "name")
        );
    }
}
