//! What several tests use: the specifications' vectors, keys, a credential.

use serde_json::{Value, json};
use std::path::PathBuf;

/// A vector of the specifications; `None`, and a line that says so, where they are absent.
pub(crate) fn vector_text(path: &str) -> Option<String> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    let folder = std::env::var("AVAL_VECTORS").map_or_else(|_| PathBuf::from(default), PathBuf::from);
    match std::fs::read_to_string(folder.join(path)) {
        Ok(text) => Some(text),
        Err(_) => {
            eprintln!("SKIPPED: the vector {path} is absent");
            None
        }
    }
}

pub(crate) fn vector(path: &str) -> Option<Value> {
    vector_text(path).map(|text| serde_json::from_str(&text).unwrap())
}

pub(crate) fn credential() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", "AlumniCredential"],
        "issuer": "did:example:university",
        "validFrom": "2023-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"}
    })
}
