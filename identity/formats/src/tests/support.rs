//! What several tests use: the specifications' vectors, keys, a credential.

use aval_linked_data::Contexts;
use serde_json::{Value, json};
use std::path::PathBuf;

/// 2026-11-22, in unix seconds.
pub(super) const NOW_S: i64 = 1_795_340_000;

/// A vector of the specifications; `None`, and a line that says so, where they are absent.
pub(crate) fn vector_text(path: &str) -> Option<String> {
    let default = "../../../shared/vectors";
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

/// Contexts that know those terms of the citizenship vocabulary which the vectors use.
pub(super) fn citizenship() -> Contexts {
    let schema = |name: &str| format!("https://schema.org/{name}");
    let own = |name: &str| format!("https://w3id.org/citizenship#{name}");
    let id = |iri: String| json!({"@id": iri, "@type": "@id"});
    let date = |iri: String| json!({"@id": iri, "@type": "http://www.w3.org/2001/XMLSchema#dateTime"});
    let card = || {
        json!({
            "@protected": true, "id": "@id", "type": "@type", "identifier": schema("identifier"),
            "lprCategory": own("lprCategory"), "lprNumber": own("lprNumber")
        })
    };
    let resident = |holds: &str| {
        let mut terms = json!({
            "@protected": true, "id": "@id", "type": "@type",
            "commuterClassification": own("commuterClassification"), "residentSince": date(own("residentSince"))
        });
        terms[holds] = id(own(holds));
        terms
    };
    let document = json!({"@context": {
        "@protected": true,
        "image": id(schema("image")),
        "PermanentResidentCardCredential": own("PermanentResidentCardCredential"),
        "EmploymentAuthorizationDocumentCredential": own("EmploymentAuthorizationDocumentCredential"),
        "Person": {"@id": schema("Person"), "@context": {
            "@protected": true, "id": "@id", "type": "@type",
            "additionalName": schema("additionalName"), "birthCountry": own("birthCountry"),
            "birthDate": date(schema("birthDate")), "familyName": schema("familyName"),
            "gender": schema("gender"), "givenName": schema("givenName"), "image": id(schema("image"))
        }},
        "PermanentResident": {"@id": own("PermanentResident"), "@context": resident("permanentResidentCard")},
        "EmployablePerson": {
            "@id": own("EmployablePerson"), "@context": resident("employmentAuthorizationDocument")
        },
        "PermanentResidentCard": {"@id": own("PermanentResidentCard"), "@context": card()},
        "EmploymentAuthorizationDocument": {"@id": own("EmploymentAuthorizationDocument"), "@context": card()}
    }});
    Contexts::with([("https://w3id.org/citizenship/v4rc1".to_owned(), document)]).unwrap()
}
