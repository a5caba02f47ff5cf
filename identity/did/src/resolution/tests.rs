//! Results, metadata, errors and options of resolution.

use super::*;
use crate::rules::{apply_deactivate, apply_update, genesis_record};
use crate::tests::{NETWORK, TIME_MS, create, document, keys};
use crate::{Deactivate, Update};

#[test]
fn identifiers_get_the_error_of_their_fault() {
    let did = create().did;
    assert_eq!(parse_identifier(did.as_str(), NETWORK), Ok(did.clone()));
    let foreign = did.as_str().replace(":demo:", ":other:");
    for (text, error) in [
        ("did:aval:demo:x", ResolutionError::InvalidDid),
        ("did:aval:demo", ResolutionError::InvalidDid),
        ("not a did", ResolutionError::InvalidDid),
        ("did:example", ResolutionError::InvalidDid),
        ("did:example:abc", ResolutionError::MethodNotSupported),
        (foreign.as_str(), ResolutionError::MethodNotSupported),
    ] {
        assert_eq!(parse_identifier(text, NETWORK), Err(error), "{text}");
    }
}

#[test]
fn results_have_the_metadata_of_their_version() {
    let first = genesis_record(NETWORK, &create(), TIME_MS + 999).unwrap();
    let answer = ResolutionResult::of_record(&first, None, Vec::new());
    assert_eq!(answer.http_status(), 200);
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["didDocument"]["id"], first.did.as_str());
    assert_eq!(json["didResolutionMetadata"]["contentType"], "application/did");
    assert_eq!(json["didDocumentMetadata"]["created"], "2027-01-15T08:00:00Z");
    assert_eq!(json["didDocumentMetadata"]["versionId"], first.version_id.to_string());
    assert!(json["didDocumentMetadata"].get("updated").is_none());
    assert!(json["didDocumentMetadata"].get("deactivated").is_none());

    let operation = Update { did: first.did.clone(), previous: first.version_id, document: document(102) };
    let second = apply_update(&first, &operation, &keys(&[1]), TIME_MS + 61_000).unwrap();
    let next = NextVersion { version_id: second.version_id, time_ms: second.updated };
    let metadata = ResolutionResult::of_record(&first, Some(next), Vec::new()).did_document_metadata;
    assert_eq!(metadata.next_version_id, Some(second.version_id.to_string()));
    assert_eq!(metadata.next_update.as_deref(), Some("2027-01-15T08:01:01Z"));
    let metadata = ResolutionResult::of_record(&second, None, Vec::new()).did_document_metadata;
    assert_eq!(metadata.updated.as_deref(), Some("2027-01-15T08:01:01Z"));

    let end = Deactivate { did: first.did.clone(), previous: second.version_id };
    let third = apply_deactivate(&second, &end, &keys(&[1]), TIME_MS + 120_000).unwrap();
    let answer = ResolutionResult::of_record(&third, None, Vec::new());
    assert_eq!(answer.http_status(), 410);
    let json = serde_json::to_value(&answer).unwrap();
    assert!(json["didDocument"].is_null());
    assert_eq!(json["didDocumentMetadata"]["deactivated"], true);
    assert_eq!(serde_json::from_value::<ResolutionResult>(json).unwrap(), answer);
}

#[test]
fn errors_have_their_uri_and_status() {
    for (error, name, status) in [
        (ResolutionError::InvalidDid, "INVALID_DID", 400),
        (ResolutionError::InvalidDidUrl, "INVALID_DID_URL", 400),
        (ResolutionError::InvalidOptions("x"), "INVALID_OPTIONS", 400),
        (ResolutionError::NotFound, "NOT_FOUND", 404),
        (ResolutionError::RepresentationNotSupported, "REPRESENTATION_NOT_SUPPORTED", 406),
        (ResolutionError::MethodNotSupported, "METHOD_NOT_SUPPORTED", 501),
        (ResolutionError::FeatureNotSupported("x"), "FEATURE_NOT_SUPPORTED", 501),
        (ResolutionError::InvalidDidDocument, "INVALID_DID_DOCUMENT", 500),
        (ResolutionError::InternalError, "INTERNAL_ERROR", 500),
    ] {
        let result = ResolutionResult::of_error(&error);
        assert_eq!((result.http_status(), error.http_status()), (status, status));
        let json = serde_json::to_value(&result).unwrap();
        assert_eq!(
            json["didResolutionMetadata"]["error"]["type"],
            format!("https://www.w3.org/ns/did#{name}")
        );
        assert!(json["didDocument"].is_null());
        assert_eq!(json["didDocumentMetadata"], serde_json::json!({}));
    }
}

#[test]
fn versions_are_selected_by_id_and_by_time() {
    let first = genesis_record(NETWORK, &create(), TIME_MS + 500).unwrap();
    let seconds = TIME_MS / 1000;
    let next = Some(TIME_MS + 10_200);
    let time = |second: u64| VersionSelector::Time(second);
    assert!(VersionSelector::Latest.selects(&first, None));
    assert!(!VersionSelector::Latest.selects(&first, next));
    assert!(VersionSelector::Id(first.version_id).selects(&first, next));
    assert!(!time(seconds - 1).selects(&first, next));
    assert!(time(seconds).selects(&first, next));
    assert!(time(seconds + 9).selects(&first, next));
    assert!(!time(seconds + 10).selects(&first, next));
    assert!(time(seconds + 10).selects(&first, None));
}

#[test]
fn options_are_read_strictly() {
    let id = create().did.id().to_owned();
    let version = format!("1-{id}");
    assert_eq!(ResolutionOptions::parse(None, None), Ok(ResolutionOptions::default()));
    assert!(matches!(
        ResolutionOptions::parse(Some(&version), None).unwrap().version,
        VersionSelector::Id(version) if version.number == 1
    ));
    let time = ResolutionOptions::parse(None, Some("2027-01-15T08:00:00Z")).unwrap();
    assert_eq!(time.version, VersionSelector::Time(TIME_MS / 1000));
    assert_eq!(ResolutionOptions::parse(Some("7"), None), Err(ResolutionError::NotFound));
    assert!(matches!(
        ResolutionOptions::parse(Some(&version), Some("2027-01-15T08:00:00Z")),
        Err(ResolutionError::InvalidOptions(_))
    ));
    for text in [
        "2027-01-15",
        "2027-01-15T08:00:00",
        "2027-01-15T08:00:00.5Z",
        "2027-01-15T08:00:00+00:00",
        "2027-01-15 08:00:00Z",
        "2027-13-15T08:00:00Z",
        "1969-12-31T23:59:59Z",
        "now",
        "2027-01-15T08:00:00z",
        "",
    ] {
        assert!(
            matches!(ResolutionOptions::parse(None, Some(text)), Err(ResolutionError::InvalidOptions(_))),
            "{text}"
        );
    }
    assert_eq!(parse_time(&format_time_ms(TIME_MS)), Some(TIME_MS / 1000));
    assert_eq!(format_time_ms(u64::MAX), "9999-12-31T23:59:59Z");
}
