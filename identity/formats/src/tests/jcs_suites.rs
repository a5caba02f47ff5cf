use super::support::{credential, vector, vector_text};
use crate::data_integrity::{self, ProofOptions, Suite};
use crate::{FormatError, KeyType, SigningKey, VerificationKey, jcs, json};
use serde_json::{Value, json};

fn key_of(pair: &str, secret: &str) -> Option<SigningKey> {
    Some(SigningKey::from_multikey(vector(pair)?[secret].as_str().unwrap()).unwrap())
}

fn options_of(config: &Value, suite: Suite) -> ProofOptions {
    let mut options = ProofOptions::new(
        suite,
        config["verificationMethod"].as_str().unwrap(),
        config["proofPurpose"].as_str().unwrap(),
    );
    options.created = config["created"].as_str().map(str::to_owned);
    options
}

#[test]
fn the_jcs_suites_make_and_verify_the_vectors_of_their_specifications() {
    let cases = [
        (
            "eddsa",
            "keyPair.json",
            "privateKeyMultibase",
            "eddsa-jcs-2022/signedJCS.json",
            Suite::EddsaJcs2022,
        ),
        (
            "ecdsa",
            "p256KeyPair.json",
            "secretKeyMultibase",
            "ecdsa-jcs-2019-p256/signedJCSECDSAP256.json",
            Suite::EcdsaJcs2019,
        ),
        (
            "ecdsa",
            "p384KeyPair.json",
            "secretKeyMultibase",
            "ecdsa-jcs-2019-p384/signedJCSECDSAP384.json",
            Suite::EcdsaJcs2019,
        ),
    ];
    for (folder, pair, secret, signed, suite) in cases {
        let folder = format!("data-integrity-{folder}");
        let Some(key) = key_of(&format!("{folder}/{pair}"), secret) else { return };
        let expected = vector(&format!("{folder}/{signed}")).unwrap();
        let unsigned = vector(&format!("{folder}/unsigned.json")).unwrap();
        let secured =
            data_integrity::secure(&unsigned, &options_of(&expected["proof"], suite), &key).unwrap();
        if suite == Suite::EddsaJcs2022 {
            assert_eq!(secured, expected);
        }
        // ECDSA vectors were made with other nonces: they verify, and so does ours.
        for document in [&expected, &secured] {
            data_integrity::verify_proof(document, &document["proof"], &key.public()).unwrap();
            let mut changed = document.clone();
            changed["name"] = json!("Another name");
            let verdict = data_integrity::verify_proof(&changed, &document["proof"], &key.public());
            assert_eq!(verdict, Err(FormatError::Signature("proof")));
        }
    }
}

#[test]
fn canonical_json_is_what_the_vectors_of_rfc_8785_say() {
    for name in ["arrays", "french", "structures", "unicode", "values", "weird"] {
        let Some(input) = vector_text(&format!("jcs/input/{name}.json")) else { return };
        let hex = vector_text(&format!("jcs/outhex/{name}.txt")).unwrap();
        let value = json::parse(input.as_bytes(), "vector", json::Limits::default());
        // One of them has a number beyond what every reader holds exactly.
        let value = match value {
            Err(FormatError::Number(_)) => serde_json::from_str(&input).unwrap(),
            other => other.unwrap(),
        };
        let wanted: Vec<u8> =
            hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(jcs::canonicalize(&value).unwrap(), wanted, "{name}");
    }
}

#[test]
fn a_proof_is_refused_for_another_key_another_type_of_key_or_another_context() {
    let key = SigningKey::generate(KeyType::Ed25519);
    let method = format!("did:key:{0}#{0}", key.public());
    let options = ProofOptions::new(Suite::EddsaJcs2022, &method, "assertionMethod");
    let secured = data_integrity::secure(&credential(), &options, &key).unwrap();
    let verify = |document: &Value, key: &VerificationKey| {
        data_integrity::verify_proof(document, &document["proof"], key).map_err(|error| error.code())
    };
    assert_eq!(verify(&secured, &key.public()), Ok(()));
    assert_eq!(verify(&secured, &SigningKey::generate(KeyType::Ed25519).public()), Err("signature"));
    assert_eq!(verify(&secured, &SigningKey::generate(KeyType::P256).public()), Err("jose.algorithm"));
    let mut injected = secured.clone();
    injected["@context"] =
        json!(["https://www.w3.org/ns/credentials/v2", {"alumniOf": "https://evil.example/"}]);
    assert_eq!(verify(&injected, &key.public()), Err("proof.context"));
    let mut purpose = secured.clone();
    purpose["proof"]["proofPurpose"] = json!("authentication");
    assert_eq!(verify(&purpose, &key.public()), Err("signature"));
    let foreign = secured["proof"].clone();
    assert_eq!(
        data_integrity::verify_proof(&credential(), &foreign, &key.public()).unwrap_err().code(),
        "proof.malformed"
    );
}
