//! The suites over statements, against the vectors of their specifications.

use super::support::{citizenship, vector, vector_text};
use crate::data_integrity::{self, ProofOptions, Suite};
use crate::{FormatError, SigningKey, VerificationKey};
use aval_linked_data::{Contexts, Hash};
use serde_json::{Value, json};

fn key_of(path: &str, name: &str) -> SigningKey {
    SigningKey::from_multikey(vector(path).unwrap()[name].as_str().unwrap()).unwrap()
}

fn options_of(proof: &Value, suite: Suite) -> ProofOptions {
    let text = |name: &str| proof[name].as_str().map(str::to_owned);
    let mut options =
        ProofOptions::new(suite, &text("verificationMethod").unwrap(), &text("proofPurpose").unwrap());
    options.created = text("created");
    options.id = text("id");
    options.previous_proof = match &proof["previousProof"] {
        Value::Array(several) => several.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        Value::String(one) => vec![one.clone()],
        _ => Vec::new(),
    };
    options
}

/// Folder, file of the key, its member, folder and file of the signed document, its canonical form, suite.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str, Suite);

const CASES: [Case; 7] = [
    (
        "data-integrity-eddsa",
        "keyPair.json",
        "eddsa-rdfc-2022/signedDataInt.json",
        "eddsa-rdfc-2022/canonDocDataInt.txt",
        "unsigned.json",
        Suite::EddsaRdfc2022,
    ),
    (
        "data-integrity-eddsa",
        "keyPair.json",
        "eddsa-rdfc-2022/employ/signedDataInt.json",
        "eddsa-rdfc-2022/employ/canonDocDataInt.txt",
        "employmentAuth.json",
        Suite::EddsaRdfc2022,
    ),
    (
        "data-integrity-eddsa",
        "keyPair.json",
        "Ed25519Signature2020/signedEdSig.json",
        "Ed25519Signature2020/canonDocEdSig.txt",
        "",
        Suite::Ed25519Signature2020,
    ),
    (
        "data-integrity-ecdsa",
        "p256KeyPair.json",
        "ecdsa-rdfc-2019-p256/signedECDSAP256.json",
        "ecdsa-rdfc-2019-p256/canonDocECDSAP256.txt",
        "unsigned.json",
        Suite::EcdsaRdfc2019,
    ),
    (
        "data-integrity-ecdsa",
        "p256KeyPair.json",
        "ecdsa-rdfc-2019-p256/employ/signedECDSAP256.json",
        "ecdsa-rdfc-2019-p256/employ/canonDocECDSAP256.txt",
        "employmentAuth.json",
        Suite::EcdsaRdfc2019,
    ),
    (
        "data-integrity-ecdsa",
        "p384KeyPair.json",
        "ecdsa-rdfc-2019-p384/signedECDSAP384.json",
        "ecdsa-rdfc-2019-p384/canonDocECDSAP384.txt",
        "unsigned.json",
        Suite::EcdsaRdfc2019,
    ),
    (
        "data-integrity-ecdsa",
        "p384KeyPair.json",
        "ecdsa-rdfc-2019-p384/employ/signedECDSAP384.json",
        "ecdsa-rdfc-2019-p384/employ/canonDocECDSAP384.txt",
        "employmentAuth.json",
        Suite::EcdsaRdfc2019,
    ),
];

#[test]
fn the_rdfc_suites_make_and_verify_the_vectors_of_their_specifications() {
    let contexts = citizenship();
    for (folder, pair, signed, canonical, unsigned, suite) in CASES {
        let Some(expected) = vector(&format!("{folder}/{signed}")) else { return };
        let secret = if pair == "keyPair.json" { "privateKeyMultibase" } else { "secretKeyMultibase" };
        let key = key_of(&format!("{folder}/{pair}"), secret);
        let unsigned = if unsigned.is_empty() {
            let mut whole = expected.clone();
            whole.as_object_mut().unwrap().remove("proof");
            whole
        } else {
            vector(&format!("{folder}/{unsigned}")).unwrap()
        };
        let hash = if pair.starts_with("p384") { Hash::Sha384 } else { Hash::Sha256 };
        let wanted = vector_text(&format!("{folder}/{canonical}")).unwrap();
        assert_eq!(contexts.canonicalize(&unsigned, hash).unwrap(), wanted, "{canonical}");
        let options = options_of(&expected["proof"], suite);
        let secured = data_integrity::secure_with(&contexts, &unsigned, &options, &key).unwrap();
        if folder == "data-integrity-eddsa" {
            assert_eq!(secured, expected, "{signed}");
        }
        for document in [&expected, &secured] {
            let verify = |document: &Value| {
                data_integrity::verify_proof_with(&contexts, document, &document["proof"], &key.public())
            };
            verify(document).unwrap();
            let mut changed = document.clone();
            changed["name"] = json!("Another name");
            assert_eq!(verify(&changed), Err(FormatError::Signature("proof")), "{signed}");
        }
    }
}

#[test]
fn proof_sets_and_chains_are_those_of_the_specification_and_break_when_a_link_is_missing() {
    const FOLDER: &str = "data-integrity-eddsa/proof-set-chain";
    let Some(pairs) = vector(&format!("{FOLDER}/multiKeyPairs.json")) else { return };
    let keys: Vec<SigningKey> = (1..=4)
        .map(|number| {
            let text = &pairs[format!("keyPair{number}")]["privateKeyMultibase"];
            SigningKey::from_multikey(text.as_str().unwrap()).unwrap()
        })
        .collect();
    let key_for = |proof: &Value| -> VerificationKey {
        let method = proof["verificationMethod"].as_str().unwrap();
        VerificationKey::from_multikey(method.split_once('#').unwrap().1).unwrap()
    };
    let verify_all = |document: &Value| -> Result<(), FormatError> {
        data_integrity::proofs(document)?
            .iter()
            .try_for_each(|proof| data_integrity::verify_proof(document, proof.value, &key_for(proof.value)))
    };
    for name in ["signedProofSet1", "signedProofSet2", "signedProofChain1", "signedProofChain2"] {
        let expected = vector(&format!("{FOLDER}/{name}.json")).unwrap();
        verify_all(&expected).unwrap();
        // Made step by step they are the same.
        let mut document = vector(&format!("{FOLDER}/unsigned.json")).unwrap();
        let proofs = match &expected["proof"] {
            Value::Array(proofs) => proofs.clone(),
            one => vec![one.clone()],
        };
        for proof in &proofs {
            let key = keys.iter().find(|key| key.public() == key_for(proof)).unwrap();
            let options = options_of(proof, Suite::EddsaRdfc2022);
            document = data_integrity::secure(&document, &options, key).unwrap();
        }
        let made = match &document["proof"] {
            Value::Array(proofs) => proofs.clone(),
            one => vec![one.clone()],
        };
        assert_eq!(made, proofs, "{name}");
    }
    let mut chain = vector(&format!("{FOLDER}/signedProofChain2.json")).unwrap();
    let mut without_first = chain.clone();
    without_first["proof"].as_array_mut().unwrap().remove(0);
    assert_eq!(verify_all(&without_first), Err(FormatError::PreviousProof));
    chain["proof"][0]["created"] = json!("2023-02-24T23:36:39Z");
    assert_eq!(verify_all(&chain), Err(FormatError::Signature("proof")));
}

#[test]
fn a_term_that_no_context_defines_is_never_left_out_of_what_is_signed() {
    let key = SigningKey::generate(crate::KeyType::Ed25519);
    let method = format!("did:key:{0}#{0}", key.public());
    let options = ProofOptions::new(Suite::EddsaRdfc2022, &method, "assertionMethod");
    let mut credential = super::support::credential();
    credential["@context"] = json!(["https://www.w3.org/ns/credentials/v2"]);
    credential["type"] = json!(["VerifiableCredential"]);
    let refused = data_integrity::secure(&credential, &options, &key).unwrap_err();
    assert_eq!(refused.code(), "linked_data.unknown_term");
    credential["@context"] = json!(["https://www.w3.org/ns/credentials/v2", "https://evil.example/context"]);
    let refused = data_integrity::secure(&credential, &options, &key).unwrap_err();
    assert_eq!(refused.code(), "linked_data.unknown_context");
    assert!(refused.is_undecided());
    credential["@context"] =
        json!(["https://www.w3.org/ns/credentials/v2", {"name": "https://evil.example/#name"}]);
    let refused = data_integrity::secure(&credential, &options, &key).unwrap_err();
    assert_eq!(refused.code(), "linked_data.protected");
    assert!(!Contexts::shipped().knows("https://evil.example/context"));
}
