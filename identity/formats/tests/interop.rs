//! Other people's software reads what this crate secures, and the other way round. Needs the network on the first run,
//! therefore not part of every run: `make interop`, which also prints the matrix.

use aval_formats::data_integrity::{self, ProofOptions, Suite};
use aval_formats::json::Limits;
use aval_formats::{Contexts, KeyType, SigningKey, VerificationKey, jose};
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a script, and gives back what it printed.
fn ask(script: &str, input: &Value) -> Value {
    let path = format!("../../tests/interop/{script}");
    let mut child = Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed; its reason stands above");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn credential() -> Value {
    json!({
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            {"alumniOf": "https://schema.org/alumniOf", "degree": "https://schema.org/educationalCredentialAwarded"},
        ],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential"],
        "validFrom": "2026-01-01T00:00:00Z",
        "credentialSubject": {
            "id": "did:example:one", "alumniOf": "Universiteti i Tiranës", "degree": ["Master", "Doctor \u{1F393}"],
        },
    })
}

/// One way to secure: its name, the cryptosuite and the type of key.
const SUITES: [(&str, Suite, KeyType); 5] = [
    ("eddsa-rdfc-2022", Suite::EddsaRdfc2022, KeyType::Ed25519),
    ("eddsa-jcs-2022", Suite::EddsaJcs2022, KeyType::Ed25519),
    ("ecdsa-rdfc-2019 P-256", Suite::EcdsaRdfc2019, KeyType::P256),
    ("ecdsa-rdfc-2019 P-384", Suite::EcdsaRdfc2019, KeyType::P384),
    ("ecdsa-sd-2023", Suite::EcdsaSd2023, KeyType::P256),
];

/// A credential of ours, as its holder shows it.
fn secured(suite: Suite, kind: KeyType) -> Value {
    let key = SigningKey::generate(kind);
    let multikey = key.public().to_multikey();
    let mut credential = credential();
    credential["issuer"] = json!(format!("did:key:{multikey}"));
    let method = format!("did:key:{multikey}#{multikey}");
    let mut options = ProofOptions::new(suite, &method, "assertionMethod");
    options.created = Some("2026-01-01T00:00:00Z".to_owned());
    if suite != Suite::EcdsaSd2023 {
        return data_integrity::secure(&credential, &options, &key).unwrap();
    }
    options.mandatory_pointers = vec!["/issuer".to_owned()];
    let base = data_integrity::secure(&credential, &options, &key).unwrap();
    data_integrity::derive(Contexts::shipped(), &base, &["/credentialSubject/alumniOf"]).unwrap()
}

fn forged(secured: &Value) -> Value {
    let mut forged = secured.clone();
    forged["credentialSubject"]["alumniOf"] = json!("Another University");
    forged
}

/// The key of a credential by `did:key`, and that the proof names it.
fn key_of(secured: &Value) -> VerificationKey {
    let multikey = secured["issuer"].as_str().unwrap().strip_prefix("did:key:").unwrap();
    assert_eq!(secured["proof"]["verificationMethod"], format!("did:key:{multikey}#{multikey}"));
    VerificationKey::from_multikey(multikey).unwrap()
}

fn row(format: &str, maker: &str, reader: &str) {
    println!("{format:24} {maker:>24} -> {reader:24} accepted, forged one refused");
}

#[test]
#[ignore = "installs npm packages"]
fn data_integrity_and_jwt_credentials_go_both_ways_with_libraries_in_javascript() {
    let (mut good, mut bad) = (Map::new(), Map::new());
    for (name, suite, kind) in SUITES {
        let secured = secured(suite, kind);
        bad.insert(name.to_owned(), forged(&secured));
        good.insert(name.to_owned(), secured);
    }
    let key = SigningKey::generate(KeyType::P256);
    let mut issued = credential();
    issued["issuer"] = json!("did:example:issuer");
    let token = jose::sign_credential(&issued, "did:example:issuer#key", &key).unwrap();
    let other = SigningKey::generate(KeyType::P256);
    let by_other = jose::sign_credential(&issued, "did:example:issuer#key", &other).unwrap();
    let (head, rest) = token.split_once('.').unwrap();
    let payload_of_other = by_other.split('.').nth(1).unwrap();
    assert_eq!(rest.split('.').next().unwrap(), payload_of_other, "only the signature differs");
    issued["credentialSubject"]["alumniOf"] = json!("Another University");
    let forged_payload = jose::sign_credential(&issued, "did:example:issuer#key", &other).unwrap();
    let forged_payload = forged_payload.split('.').nth(1).unwrap();
    let signature = rest.rsplit('.').next().unwrap();
    bad.insert("vc+jwt".to_owned(), format!("{head}.{forged_payload}.{signature}").into());
    bad.insert("vc+jwt by another".to_owned(), by_other.into());
    good.insert("vc+jwt".to_owned(), token.into());
    let input =
        json!({"credential": credential(), "good": good, "bad": bad, "jwtKey": key.public().to_jwk()});
    let answer = ask("digitalbazaar/run", &input);

    for name in good.keys() {
        assert_eq!(answer["accepted"][name], true, "{name}");
    }
    for name in bad.keys() {
        assert_eq!(answer["refused"][name], true, "{name}");
    }
    for (name, ..) in SUITES {
        let made = &answer["made"][name];
        let key = key_of(made);
        data_integrity::verify_proof(made, &made["proof"], &key)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let forged = forged(made);
        assert!(data_integrity::verify_proof(&forged, &forged["proof"], &key).is_err(), "{name}");
        row(name, "aval", "@digitalbazaar/vc");
        row(name, "@digitalbazaar/vc", "aval");
    }
    let made = answer["made"]["vc+jwt"].as_str().unwrap();
    let jwt = jose::read_credential(made, Limits::default()).unwrap();
    jwt.verify(&VerificationKey::from_jwk(&answer["jwtKey"]).unwrap()).unwrap();
    assert!(jwt.verify(&key.public()).is_err());
    row("vc+jwt", "aval", "jose");
    row("vc+jwt", "jose", "aval");
}

/// Documents whose contexts are in them: scoped and protected contexts, lists, sets, languages, values of other types,
/// blank nodes that only their surroundings tell apart.
fn linked_data() -> Vec<Value> {
    let context = json!({
        "@version": 1.1, "@protected": true, "id": "@id", "type": "@type", "@vocab": "https://example.org/vocab#",
        "knows": {"@id": "https://example.org/knows", "@type": "@id"},
        "born": {"@id": "https://example.org/born", "@type": "http://www.w3.org/2001/XMLSchema#date"},
        "steps": {"@id": "https://example.org/steps", "@container": "@list"},
        "names": {"@id": "https://example.org/names", "@container": "@language"},
        "Person": {"@id": "https://example.org/Person", "@context": {"age": "https://example.org/age"}},
        "evidence": {"@id": "https://example.org/evidence", "@container": "@graph"},
    });
    let with = |mut document: Value| {
        document["@context"] = context.clone();
        document
    };
    let ring: Vec<Value> =
        (0..4).map(|n| json!({"id": format!("_:n{n}"), "knows": format!("_:n{}", (n + 1) % 4)})).collect();
    vec![
        with(
            json!({"id": "urn:a", "type": "Person", "age": 42, "born": "1984-02-29", "name": "Ëndri \"E\" \\ \n"}),
        ),
        with(
            json!({"id": "urn:b", "steps": ["one", 2, true, {"type": "Person", "age": 1}], "names": {"sq": "emri", "en": "name"}}),
        ),
        with(json!({"knows": [{"name": "one"}, {"name": "two", "knows": {"name": "one"}}], "name": "root"})),
        with(json!({"id": "urn:ring", "part": ring})),
        with(json!({"id": "urn:graph", "evidence": {"type": "Person", "knows": "urn:somebody"}})),
        with(
            json!({"id": "urn:numbers", "a": 0.5, "b": 1e21, "c": -7, "d": 1e-7, "e": {"@value": "x", "@type": "urn:t"}}),
        ),
    ]
}

#[test]
#[ignore = "installs a Python package"]
fn canonical_forms_are_those_of_a_library_in_python() {
    let documents = linked_data();
    let theirs = ask("pyld/run", &Value::Array(documents.clone()));
    for (document, theirs) in documents.iter().zip(theirs.as_array().unwrap()) {
        let ours = Contexts::shipped().canonicalize(document, aval_linked_data::Hash::Sha256).unwrap();
        assert_eq!(ours.as_str(), theirs.as_str().unwrap(), "{document:#}");
    }
    println!(
        "{:24} {:>24} == {:24} {} documents alike",
        "canonical statements",
        "aval",
        "PyLD",
        documents.len()
    );
}

/// A VCDM 1.1 credential of ours with `Ed25519Signature2020`, by `did:key`.
fn old_credential() -> Value {
    json!({
        "@context": [
            "https://www.w3.org/2018/credentials/v1",
            "https://www.w3.org/2018/credentials/examples/v1",
            "https://w3id.org/security/suites/ed25519-2020/v1",
        ],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", "UniversityDegreeCredential"],
        "issuanceDate": "2026-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:one", "degree": {"type": "BachelorDegree", "name": "Bachelor"}},
    })
}

#[test]
#[ignore = "builds an old ssi, which takes minutes"]
fn credentials_of_vcdm_1_1_go_both_ways_with_didkit() {
    let key = SigningKey::generate(KeyType::Ed25519);
    let multikey = key.public().to_multikey();
    let mut issued = old_credential();
    issued["issuer"] = json!(format!("did:key:{multikey}"));
    let method = format!("did:key:{multikey}#{multikey}");
    let mut options = ProofOptions::new(Suite::Ed25519Signature2020, &method, "assertionMethod");
    options.created = Some("2026-01-01T00:00:00Z".to_owned());
    let secured = data_integrity::secure(&issued, &options, &key).unwrap();
    let mut forged = secured.clone();
    forged["credentialSubject"]["degree"]["name"] = json!("Doctor");
    let name = "Ed25519Signature2020";
    let input = json!({"credential": old_credential(), "good": {name: secured}, "bad": {name: forged}});
    let answer = ask("didkit/run", &input);
    assert_eq!(answer["accepted"][name], true);
    assert_eq!(answer["refused"][name], true);
    row(name, "aval", "didkit");

    let made = &answer["made"][name];
    data_integrity::verify_proof(made, &made["proof"], &key_of(made)).unwrap();
    let mut forged = made.clone();
    forged["credentialSubject"]["degree"]["name"] = json!("Doctor");
    assert!(data_integrity::verify_proof(&forged, &forged["proof"], &key_of(made)).is_err());
    row(name, "didkit", "aval");

    let token = answer["made"]["JWT VC 1.1"].as_str().unwrap();
    let read = jose::read_credential_1_1(token, Limits::default()).unwrap();
    let issuer = read.document["issuer"].as_str().unwrap().strip_prefix("did:key:").unwrap().to_owned();
    read.jwt.verify(&VerificationKey::from_multikey(&issuer).unwrap()).unwrap();
    assert!(read.jwt.verify(&key.public()).is_err());
    row("JWT VC 1.1", "didkit", "aval");
}
