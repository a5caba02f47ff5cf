//! `specs/vectors/did.json`: what an implementation in another language must agree with.
//!
//! `AVAL_WRITE_VECTORS=1 cargo test -p aval-did the_vector_file` writes the file anew. Without it, the file must be
//! the one that this code would write, so that a change of format cannot pass unseen, and every vector is replayed
//! from the file alone.

mod generate;
mod refusals;

use std::path::PathBuf;

use aval_codec::{Hash, Json, Limits, hash, json};

use crate::rules;
use crate::{Did, DidRecord, Operation, PublicKey, control_key_hash};

fn path() -> PathBuf {
    PathBuf::from("../../specs/vectors/did.json")
}

fn jcs_text(json: &Json) -> String {
    String::from_utf8(json.to_jcs()).unwrap()
}

/// The tag and the bytes that the operation's version is hashed over, put together from its JSON alone.
fn hashed(operation: &Json) -> (&'static str, Json) {
    let member = |name: &str| operation.get(name).unwrap().clone();
    if member("type").as_str() == Some("did.create") {
        let did: Did = member("did").as_str().unwrap().parse().unwrap();
        let members = [
            ("network", did.network().into()),
            ("control", member("control")),
            ("document", member("document")),
        ];
        ("aval/did-inception/1", Json::from(members))
    } else {
        let members =
            [("did", member("did")), ("previous", member("previous")), ("operation", operation.clone())];
        ("aval/did-version/1", Json::from(members))
    }
}

fn file() -> Json {
    let bytes = std::fs::read(path()).expect("specs/vectors/did.json is part of the project");
    json::parse(&bytes, Limits::bytes(1 << 20)).unwrap()
}

fn items<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json.get(name).and_then(Json::as_array).unwrap()
}

fn string<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap()
}

/// Applies one vector; a JSON shape that is refused gets the code that the ledger answers with.
fn apply(vector: &Json, network: &str, record: Option<&DidRecord>) -> Result<DidRecord, &'static str> {
    let operation = Operation::from_json(vector.get("operation").unwrap().clone())
        .map_err(|_| "transaction.malformed")?;
    let signers: Vec<PublicKey> =
        items(vector, "signers").iter().map(|key| key.as_str().unwrap().parse().unwrap()).collect();
    let time_ms = vector.get("time").and_then(Json::as_u64).unwrap();
    rules::apply(record, network, &operation, &signers, time_ms).map_err(|error| error.code())
}

#[test]
fn the_vector_file_is_what_this_code_writes() {
    let mut expected = serde_json::to_string_pretty(&generate::generate()).unwrap();
    expected.push('\n');
    if std::env::var_os("AVAL_WRITE_VECTORS").is_some() {
        std::fs::write(path(), &expected).unwrap();
    }
    assert!(std::fs::read_to_string(path()).unwrap() == expected, "specs/vectors/did.json differs");
}

#[test]
fn key_and_identifier_vectors_hold() {
    let file = file();
    let keys = file.get("keys").unwrap();
    for vector in items(keys, "public") {
        let key: PublicKey = string(vector, "multikey").parse().unwrap();
        assert_eq!(PublicKey::from_jwk(vector.get("jwk").unwrap()), Ok(key));
        assert_eq!(key.thumbprint(), string(vector, "thumbprint"));
        assert_eq!(control_key_hash(&key).to_hex(), string(vector, "controlKeyHash"));
        let secret = string(vector, "secret").parse::<Hash>().unwrap().to_bytes();
        assert_eq!(crate::SigningKey::from_secret(key.algorithm(), &secret).unwrap().public(), key);
    }
    for text in items(keys, "refused") {
        assert!(PublicKey::from_multikey(text.as_str().unwrap()).is_err(), "{text:?}");
    }
    let identifiers = file.get("identifiers").unwrap();
    for vector in items(identifiers, "valid") {
        let did: Did = string(vector, "did").parse().unwrap();
        assert_eq!(did.network(), string(vector, "network"));
        assert_eq!(did.inception().to_hex(), string(vector, "inceptionHash"));
    }
    for text in items(identifiers, "invalid") {
        assert!(text.as_str().unwrap().parse::<Did>().is_err(), "{text:?}");
    }
}

#[test]
fn chain_vectors_replay() {
    for chain in items(&file(), "chains") {
        let mut record = None;
        for step in items(chain, "steps") {
            let next = apply(step, string(chain, "network"), record.as_ref()).unwrap();
            let (tag, preimage) = hashed(step.get("operation").unwrap());
            assert_eq!((tag, jcs_text(&preimage).as_str()), (string(step, "tag"), string(step, "hashed")));
            assert_eq!(hash(tag, &[&preimage.to_jcs()]).to_hex(), string(step, "hash"));
            assert_eq!(next.version_id.hash.to_hex(), string(step, "hash"));
            assert_eq!(next.version_id.to_string(), string(step, "versionId"));
            assert_eq!(String::from_utf8(next.to_bytes()).unwrap(), string(step, "record"));
            assert_eq!(DidRecord::from_bytes(string(step, "record").as_bytes()).unwrap(), next);
            match step.get("didDocument").unwrap() {
                Json::Null => assert!(next.deactivated),
                document => assert_eq!(json::to_json(&next.did_document()).unwrap(), *document),
            }
            record = Some(next);
        }
    }
}

#[test]
fn refusal_vectors_are_refused_with_their_code() {
    let file = file();
    let mut codes = std::collections::BTreeSet::new();
    for vector in items(&file, "refusals") {
        let record = vector.get("record").and_then(Json::as_str);
        let record = record.map(|bytes| DidRecord::from_bytes(bytes.as_bytes()).unwrap());
        let code = apply(vector, string(vector, "network"), record.as_ref()).unwrap_err();
        assert_eq!(code, string(vector, "code"), "{}", string(vector, "name"));
        codes.insert(code);
    }
    // Every code that an operation can be refused with has a vector.
    let expected = [
        "did.allowance",
        "did.control",
        "did.deactivated",
        "did.document",
        "did.exists",
        "did.invalid",
        "did.network",
        "did.not_found",
        "did.stale_version",
        "transaction.malformed",
    ];
    assert!(codes.into_iter().eq(expected));
}

/// The worked example of the specification shows values of the first chain, broken into lines.
#[test]
fn the_worked_example_of_the_specification_is_the_first_chain() {
    let specification = "../../specs/did-method.md";
    let without_space = |text: &str| text.split_whitespace().collect::<String>();
    let specification = without_space(&std::fs::read_to_string(specification).unwrap());
    let file = file();
    let chain = items(items(&file, "chains").first().unwrap(), "steps").to_vec();
    let (create, rotate) = (chain.first().unwrap(), chain.get(2).unwrap());
    for name in ["hashed", "hash", "versionId", "record"] {
        assert!(specification.contains(&without_space(string(create, name))), "{name} of the creation");
    }
    for name in ["hashed", "hash", "versionId"] {
        assert!(specification.contains(&without_space(string(rotate, name))), "{name} of the rotation");
    }
    let keys = items(file.get("keys").unwrap(), "public").to_vec();
    for (index, key) in keys.iter().enumerate().take(2) {
        assert!(specification.contains(string(key, "multikey")), "key {index}");
    }
    assert!(specification.contains(string(keys.get(1).unwrap(), "controlKeyHash")));
}
