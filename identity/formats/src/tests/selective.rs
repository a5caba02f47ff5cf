//! `ecdsa-sd-2023` against the vectors of its specification.

use super::support::{citizenship, vector};
use crate::data_integrity::{self, ProofOptions, Suite, selective};
use crate::{KeyType, SigningKey};
use serde_json::{Value, json};

#[test]
fn base_and_derived_proofs_are_those_of_the_specification() {
    const FOLDER: &str = "data-integrity-ecdsa";
    let contexts = citizenship();
    for (name, document) in [("prc", "prCred"), ("employ", "employ")] {
        let read = |file: &str| vector(&format!("{FOLDER}/ecdsa-sd-2023/{name}/{file}.json")).unwrap();
        let Some(keys) = vector(&format!("{FOLDER}/ecdsa-sd-2023/SDKeyMaterial.json")) else { return };
        let secret = |pair: &str| {
            SigningKey::from_multikey(keys[pair]["secretKeyMultibase"].as_str().unwrap()).unwrap()
        };
        let hmac_key = keys["hmacKeyString"].as_str().unwrap();
        let hmac_key: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&hmac_key[2 * at..2 * at + 2], 16).unwrap()).collect();
        let pointers = |file: &str| -> Vec<String> {
            let list = vector(&format!("{FOLDER}/{document}{file}.json")).unwrap();
            list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let signed = read("addSignedSDBase");
        let mut unsecured = signed.as_object().unwrap().clone();
        let proof = unsecured.remove("proof").unwrap();
        let mut config = proof.as_object().unwrap().clone();
        let value = config.remove("proofValue").unwrap();
        let made = selective::base_proof_by(
            &contexts,
            unsecured,
            &config,
            &pointers("Mandatory"),
            &secret("baseKeyPair"),
            &secret("proofKeyPair"),
            &hmac_key.try_into().unwrap(),
        );
        // The signatures of the vectors and ours are both deterministic (RFC 6979), so the whole proof is the same but
        // for the form of s.
        let ours = made.unwrap();
        assert_eq!(ours.len(), value.as_str().unwrap().len());
        let chosen = pointers("Selective");
        let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
        let derived = data_integrity::derive(&contexts, &signed, &chosen).unwrap();
        assert_eq!(derived, read("derivedRevealDocument"), "{name}");
        let issuer = secret("baseKeyPair").public();
        let verify = |document: &Value| {
            data_integrity::verify_proof_with(&contexts, document, &document["proof"], &issuer)
                .map_err(|error| error.code())
        };
        assert_eq!(verify(&derived), Ok(()));
        assert_eq!(verify(&signed), Err("proof.malformed"));
        let mut own = signed.clone();
        own["proof"]["proofValue"] = json!(ours);
        let own = data_integrity::derive(&contexts, &own, &chosen).unwrap();
        assert_eq!(verify(&own), Ok(()));
        let mut changed = derived.clone();
        changed["credentialSubject"]["birthCountry"] = json!("Atlantis");
        assert_eq!(verify(&changed), Err("signature"));
    }
}

#[test]
fn a_credential_without_any_identifier_can_be_shown_in_part_and_nothing_can_be_added_to_it() {
    let contexts = citizenship();
    let key = SigningKey::generate(KeyType::P256);
    let method = format!("did:key:{0}#{0}", key.public());
    let credential = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "type": ["VerifiableCredential", "ClubCredential"],
        "issuer": "did:example:club",
        "credentialSubject": [
            {"sail": {"size": 5, "colour": "red"}, "board": {"size": 5, "colour": "red"}},
            {"sail": {"size": 6, "colour": "blue"}, "nickname": ["A", "B"]}
        ]
    });
    let mut options = ProofOptions::new(Suite::EcdsaSd2023, &method, "assertionMethod");
    options.mandatory_pointers = vec!["/issuer".to_owned()];
    let secured = data_integrity::secure_with(&contexts, &credential, &options, &key).unwrap();
    let verify = |document: &Value| {
        data_integrity::verify_proof_with(&contexts, document, &document["proof"], &key.public())
            .map_err(|error| error.code())
    };
    for pointers in [
        vec![],
        vec!["/credentialSubject/0/sail/size"],
        vec!["/credentialSubject/1/sail", "/credentialSubject/0/board/colour"],
        vec!["/credentialSubject"],
        vec!["/credentialSubject/1/nickname"],
    ] {
        let derived = data_integrity::derive(&contexts, &secured, &pointers).unwrap();
        assert_eq!(verify(&derived), Ok(()), "{pointers:?}");
        let mut more = derived.clone();
        more["name"] = json!("added");
        assert_eq!(verify(&more), Err("signature"), "{pointers:?}");
        let sail = derived.pointer("/credentialSubject/0/sail");
        assert_eq!(pointers == ["/credentialSubject/0/sail/size"], sail == Some(&json!({"size": 5})));
    }
    let missing = data_integrity::derive(&contexts, &secured, &["/credentialSubject/2"]);
    assert_eq!(missing.unwrap_err().code(), "linked_data.pointer");
}
