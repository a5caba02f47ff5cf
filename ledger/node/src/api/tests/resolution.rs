//! DID Resolution 1.0 by its HTTP(S) binding.

use aval_machine::testkit::Party;
use aval_types::Action;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::lab::{Answer, Lab};

const RESULT: &str = "application/did-resolution";
const DEREFERENCING: &str = "application/did-url-dereferencing";

fn path(identifier: &str) -> String {
    format!("/1.0/identifiers/{identifier}")
}

/// The error of a result that has no document.
fn error(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.media_type(), RESULT);
    let result = answer.json();
    assert_eq!(result["didDocument"], Value::Null);
    assert_eq!(result["didDocumentMetadata"], json!({}));
    let problem = &result["didResolutionMetadata"]["error"];
    assert!(!problem["title"].as_str().unwrap().is_empty());
    (answer.status.as_u16(), problem["type"].as_str().unwrap().to_owned())
}

fn w3c(status: u16, name: &str) -> (u16, String) {
    (status, format!("https://www.w3.org/ns/did#{name}"))
}

/// A member with three versions, of which the last is the current one.
async fn member_of_three_versions(lab: &mut Lab) -> (Party, [String; 3]) {
    let (mut member, _) = lab.member(1).await;
    let first = member.version.to_string();
    let update = member.update(&lab.kit, lab.kit.document(&member, 2));
    lab.finalize(&update).await;
    let second = member.version.to_string();
    let rotate = member.rotate(&lab.kit);
    lab.finalize(&rotate).await;
    let third = member.version.to_string();
    (member, [first, second, third])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_did_resolves_to_document_metadata_and_a_proof_of_the_record() {
    let mut lab = Lab::ready(1).await;
    let (member, versions) = member_of_three_versions(&mut lab).await;
    let answer = lab.get(&path(member.did.as_str())).await;
    assert_eq!((answer.status, answer.media_type()), (StatusCode::OK, RESULT));
    let result = answer.json();
    assert_eq!(result["didDocument"]["id"], member.did.as_str());
    assert_eq!(result["didResolutionMetadata"], json!({"contentType": "application/did"}));
    let metadata = &result["didDocumentMetadata"];
    assert_eq!(metadata["versionId"], versions[2]);
    assert!(metadata["created"].as_str().unwrap().ends_with('Z'));
    assert!(metadata["updated"].as_str().unwrap() > metadata["created"].as_str().unwrap());
    assert!(metadata.get("deactivated").is_none() && metadata.get("nextVersionId").is_none());
    let record = lab.verify(&result["proof"]).did_record(&member.did).unwrap().unwrap();
    assert_eq!(json!(record.did_document()), result["didDocument"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accept_header_chooses_the_representation() {
    let lab = Lab::ready(2).await;
    let path = path(lab.kit.issuer.did.as_str());
    for accept in ["application/did", "application/did+ld+json", "application/did+json"] {
        let answer = lab.get_as(&path, accept).await;
        assert_eq!((answer.status, answer.media_type()), (StatusCode::OK, accept));
        assert_eq!(answer.json()["id"], lab.kit.issuer.did.as_str());
        assert_eq!(answer.headers[header::VARY], "accept");
    }
    for accept in [RESULT, "*/*", "application/*", "text/html, */*;q=0.1"] {
        let answer = lab.get_as(&path, accept).await;
        assert_eq!((answer.status, answer.media_type()), (StatusCode::OK, RESULT), "{accept}");
        assert!(answer.json().get("proof").is_some());
    }
    assert_eq!(lab.get_as(&path, "application/json").await.media_type(), "application/json");
    let profile = "application/ld+json;profile=\"https://w3id.org/did-resolution\"";
    assert_eq!(lab.get_as(&path, profile).await.media_type(), profile);
    for accept in ["text/html", "application/x-unsupported", "application/ld+json", "application/did;q=0", ""]
    {
        let answer = lab.get_as(&path, accept).await;
        assert_eq!(error(&answer), w3c(406, "REPRESENTATION_NOT_SUPPORTED"), "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_has_its_status_and_type() {
    let lab = Lab::ready(3).await;
    let known = lab.kit.issuer.did.to_string();
    let unknown = lab.kit.company(9).did.to_string();
    for (identifier, expected) in [
        ("not-a-did".to_owned(), w3c(400, "INVALID_DID")),
        ("did:example".to_owned(), w3c(400, "INVALID_DID")),
        ("did:aval:test:short".to_owned(), w3c(400, "INVALID_DID")),
        ("%ff%fe".to_owned(), w3c(400, "INVALID_DID")),
        ("%F0%9F%94%A5".to_owned(), w3c(400, "INVALID_DID")),
        (format!("{known}%23%20"), w3c(400, "INVALID_DID_URL")),
        (format!("{known}/whois"), w3c(404, "NOT_FOUND")),
        ("did:unsupported:123456789abcdefghi".to_owned(), w3c(501, "METHOD_NOT_SUPPORTED")),
        (known.replace("test", "other"), w3c(501, "METHOD_NOT_SUPPORTED")),
        (unknown.clone(), w3c(404, "NOT_FOUND")),
        (format!("{known}?versionId=1-Qm"), w3c(404, "NOT_FOUND")),
        (format!("{known}?versionTime=2026"), w3c(400, "INVALID_OPTIONS")),
        (format!("{known}?versionTime=2000-01-01T00:00:00Z"), w3c(404, "NOT_FOUND")),
        (format!("{known}?versionId=a&versionTime=2000-01-01T00:00:00Z"), w3c(400, "INVALID_OPTIONS")),
        (format!("{known}?noCache=true&noCache=true"), w3c(400, "INVALID_OPTIONS")),
        (format!("{known}?initialState=x"), w3c(501, "FEATURE_NOT_SUPPORTED")),
    ] {
        let answer = lab.get(&path(&identifier)).await;
        assert_eq!(error(&answer), expected, "{identifier}");
        // Asking for the document alone changes nothing: an error is a result.
        let answer = lab.get_as(&path(&identifier), "application/did").await;
        assert_eq!(error(&answer), expected, "{identifier}");
    }
    for options in ["noCache=true", "expandRelativeUrls=true", "expandRelativeUrls=false&noCache=false"] {
        assert_eq!(lab.get(&path(&format!("{known}?{options}"))).await.status, StatusCode::OK, "{options}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn absence_is_proven_as_well() {
    let lab = Lab::ready(4).await;
    let nobody = lab.kit.company(9).did;
    for identifier in [nobody.to_string(), format!("{nobody}?versionId={}", lab.kit.company(9).version)] {
        let answer = lab.get(&path(&identifier)).await;
        assert_eq!(error(&answer), w3c(404, "NOT_FOUND"));
        assert_eq!(lab.verify(&answer.json()["proof"]).did_record(&nobody).unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn past_versions_resolve_by_id_and_by_time_with_a_proof_of_that_time() {
    let mut lab = Lab::ready(5).await;
    let created_s = lab.kit.now_s + 1;
    let (member, versions) = member_of_three_versions(&mut lab).await;
    let did = member.did.as_str();
    for (index, version) in versions.iter().enumerate() {
        let time = crate::clock::rfc3339((created_s + index as u64) * 1000);
        for query in [format!("versionId={version}"), format!("versionTime={time}")] {
            let answer = lab.get(&path(&format!("{}?{query}", did.replace(':', "%3A")))).await;
            assert_eq!(answer.status, StatusCode::OK, "{query}");
            let result = answer.json();
            assert_eq!(result["didDocumentMetadata"]["versionId"], *version, "{query}");
            let next = versions.get(index + 1).map_or(Value::Null, |next| json!(next));
            assert_eq!(result["didDocumentMetadata"]["nextVersionId"], next, "{query}");
            let record = lab.verify(&result["proof"]).did_record(&member.did).unwrap().unwrap();
            assert_eq!(record.version_id.to_string(), *version, "{query}");
            assert_eq!(json!(record.did_document()), result["didDocument"]);
        }
    }
    let before = crate::clock::rfc3339((created_s - 1) * 1000);
    let answer = lab.get(&path(&format!("{did}?versionTime={before}"))).await;
    assert_eq!(error(&answer), w3c(404, "NOT_FOUND"));
    assert_eq!(lab.verify(&answer.json()["proof"]).did_record(&member.did).unwrap(), None);
    let future = lab.get(&path(&format!("{did}?versionTime=2099-01-01T00:00:00Z"))).await.json();
    assert_eq!(future["didDocumentMetadata"]["versionId"], versions[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_did_is_gone_with_its_metadata_and_its_past_stays() {
    let mut lab = Lab::ready(6).await;
    let (mut member, _) = lab.member(1).await;
    let first = member.version.to_string();
    let deactivate = member.deactivate(&lab.kit);
    lab.finalize(&deactivate).await;
    for accept in [RESULT, "application/did", "*/*"] {
        let answer = lab.get_as(&path(member.did.as_str()), accept).await;
        assert_eq!((answer.status, answer.media_type()), (StatusCode::GONE, RESULT), "{accept}");
        let result = answer.json();
        assert_eq!(result["didDocument"], Value::Null);
        assert_eq!(result["didDocumentMetadata"]["deactivated"], true);
        assert_eq!(result["didDocumentMetadata"]["versionId"], member.version.to_string());
        assert!(result["didResolutionMetadata"].get("error").is_none());
    }
    let result = lab.get(&path(member.did.as_str())).await.json();
    assert!(lab.verify(&result["proof"]).did_record(&member.did).unwrap().unwrap().deactivated);
    let past = lab.get(&path(&format!("{}?versionId={first}", member.did))).await;
    assert_eq!(past.status, StatusCode::OK);
    assert_eq!(past.json()["didDocumentMetadata"]["nextVersionId"], member.version.to_string());
    let method = lab.get_as(&path(&format!("{}%23key-1", member.did)), DEREFERENCING).await;
    assert_eq!((method.status, &method.json()["contentStream"]), (StatusCode::GONE, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_did_url_dereferences_to_a_method_or_service_of_the_document() {
    let lab = Lab::ready(7).await;
    let did = lab.kit.issuer.did.to_string();
    let method = format!("{did}#key-1");
    let answer = lab.get_as(&path(&format!("{did}%23key-1")), DEREFERENCING).await;
    assert_eq!((answer.status, answer.media_type()), (StatusCode::OK, DEREFERENCING));
    let result = answer.json();
    assert_eq!(result["contentStream"]["id"], method);
    assert_eq!(result["contentStream"]["type"], "Multikey");
    assert_eq!(result["dereferencingMetadata"]["contentType"], "application/did");
    assert!(result["contentMetadata"]["versionId"].is_string());
    lab.verify(&result["proof"]);
    for accept in ["application/json", "application/did"] {
        let alone = lab.get_as(&path(&format!("{did}%23key-1")), accept).await;
        assert_eq!((alone.media_type(), &alone.json()["id"]), (accept, &json!(method)));
    }
    let service = lab.get_as(&path(&format!("{did}%23hub")), "application/json").await.json();
    assert_eq!(service["type"], "LinkedDomains");
    let missing = lab.get(&path(&format!("{did}%23nothing"))).await;
    assert_eq!(error(&missing), w3c(404, "NOT_FOUND"));
    let whole = lab.get_as(&path(&did), DEREFERENCING).await.json();
    assert_eq!(whole["contentStream"]["id"], did);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_relationship_must_be_the_methods_own() {
    let lab = Lab::ready(8).await;
    let url = path(&format!("{}%23key-1", lab.kit.issuer.did));
    let good = lab.get_as(&format!("{url}?verificationRelationship=assertionMethod"), DEREFERENCING).await;
    assert_eq!(good.status, StatusCode::OK);
    for relationship in ["keyAgreement", "nonsense"] {
        let bad = lab.get_as(&format!("{url}?verificationRelationship={relationship}"), DEREFERENCING).await;
        assert_eq!(bad.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            bad.json()["dereferencingMetadata"]["error"]["type"],
            "https://w3id.org/security#INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD"
        );
    }
    let service = path(&format!("{}%23hub?verificationRelationship=authentication", lab.kit.issuer.did));
    let bad = lab.get_as(&service, DEREFERENCING).await.json();
    let kind = bad["dereferencingMetadata"]["error"]["type"].as_str().unwrap();
    assert!(kind.ends_with("INVALID_VERIFICATION_METHOD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selected_service_redirects_to_its_endpoint_and_nowhere_above() {
    let mut lab = Lab::ready(9).await;
    let (mut member, _) = lab.member(1).await;
    let mut document = lab.kit.document(&member, 2);
    document.service[0].service_endpoint = "https://hub.example/a/b/".to_owned();
    let update = member.update(&lab.kit, document);
    assert!(matches!(update.transaction.action(), Action::DidUpdate(_)));
    lab.finalize(&update).await;
    let base = path(member.did.as_str());
    let locate = async |query: &str| {
        let answer = lab.get_as(&format!("{base}?{query}"), "text/uri-list").await;
        (
            answer.status,
            answer.headers.get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned()),
            answer,
        )
    };
    for (query, location) in [
        ("service=hub", "https://hub.example/a/b/"),
        ("service=%23hub&relativeRef=c%3Fd=1", "https://hub.example/a/b/c?d=1"),
        ("serviceType=LinkedDomains&relativeRef=c/./d", "https://hub.example/a/b/c/d"),
    ] {
        let (status, found, answer) = locate(query).await;
        assert_eq!((status, found.as_deref()), (StatusCode::SEE_OTHER, Some(location)), "{query}");
        assert!(answer.body.is_empty());
    }
    for query in [
        "service=hub&relativeRef=../x",
        "service=hub&relativeRef=/x",
        "service=hub&relativeRef=%252e%252e/x",
        "service=hub&relativeRef=..%5Cx",
        "service=hub&relativeRef=https://evil.example/a/b/",
        "service=hub&relativeRef=//evil.example/a/b/",
    ] {
        let (status, found, _) = locate(query).await;
        assert_eq!((status, found), (StatusCode::BAD_REQUEST, None), "{query}");
    }
    let (status, _, _) = locate("service=other").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let selected = lab.get_as(&format!("{base}?service=other"), "application/did").await.json();
    assert!(selected.get("service").is_none());
    let redirect = lab.get_as(&format!("{base}?service=hub&relativeRef=c"), DEREFERENCING).await;
    assert_eq!(redirect.status, StatusCode::SEE_OTHER);
}

/// As a client has to write a DID URL that goes with options of its own.
fn encoded(did_url: &str) -> String {
    [(":", "%3A"), ("/", "%2F"), ("?", "%3F"), ("#", "%23"), ("&", "%26"), ("=", "%3D")]
        .iter()
        .fold(did_url.to_owned(), |text, (plain, code)| text.replace(plain, code))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_did_url_is_dereferenced_in_the_version_that_it_or_an_option_names() {
    let mut lab = Lab::ready(10).await;
    let (mut member, _) = lab.member(1).await;
    let (did, first) = (member.did.to_string(), member.version.to_string());
    let before = lab.get_as(&path(&format!("{did}%23hub")), "application/json").await.json();
    let mut document = lab.kit.document(&member, 2);
    document.service[0].service_endpoint = "https://moved.example/".to_owned();
    let mut mail = document.service[0].clone();
    mail.id = "#mail".to_owned();
    document.service.push(mail);
    let update = member.update(&lab.kit, document);
    lab.finalize(&update).await;

    for url in [
        format!("{}?versionId={first}", encoded(&format!("{did}#hub"))),
        encoded(&format!("{did}?versionId={first}#hub")),
    ] {
        let answer = lab.get_as(&path(&url), DEREFERENCING).await;
        assert_eq!((answer.status, answer.media_type()), (StatusCode::OK, DEREFERENCING), "{url}");
        assert_eq!(answer.json()["contentStream"], before, "{url}");
        assert_eq!(answer.json()["contentMetadata"]["versionId"], first, "{url}");
    }
    let later = format!("{}?versionId={first}", encoded(&format!("{did}#mail")));
    let missing = lab.get_as(&path(&later), DEREFERENCING).await;
    assert_eq!((missing.status, &missing.json()["contentMetadata"]), (StatusCode::NOT_FOUND, &json!({})));

    let (old, _) = before["serviceEndpoint"].as_str().unwrap().rsplit_once('/').unwrap();
    for (query, location) in [
        ("service=hub&relativeRef=b".to_owned(), "https://moved.example/b".to_owned()),
        (format!("service=hub&versionId={first}&relativeRef=b"), format!("{old}/b")),
    ] {
        let answer = lab.get_as(&path(&encoded(&format!("{did}?{query}"))), DEREFERENCING).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{query}");
        assert_eq!(answer.headers[header::LOCATION], location, "{query}");
        assert!(answer.body.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_and_a_missing_identifier_are_read_alike_in_both_spellings() {
    let lab = Lab::ready(11).await;
    let did = lab.kit.issuer.did.to_string();
    for identifier in [did.clone(), encoded(&did)] {
        let answer = lab.get(&path(&format!("{identifier}?noCache=true&expandRelativeUrls=true"))).await;
        assert_eq!((answer.status, answer.media_type()), (StatusCode::OK, RESULT), "{identifier}");
        assert_eq!(answer.json()["didDocument"]["id"], did);
    }
    assert_eq!(error(&lab.get(&path("%20")).await), w3c(400, "INVALID_DID"));
    assert_eq!(lab.get(&path("")).await.status, StatusCode::NOT_FOUND);
}
