//! The HTTP binding: representations, errors, options, and what DID URLs name.

use aval_resolver::binding::{Question, respond};
use serde_json::{Value, json};

use crate::host::File;
use crate::world::{DEREFERENCING, RESULT, World, body, error, refused};

#[test]
fn the_accept_header_chooses_the_representation() {
    let world = World::new();
    let did = world.issuer();
    for accept in ["application/did", "application/did+ld+json", "application/did+json"] {
        let answer = world.get_as(&did, accept);
        assert_eq!((answer.status, answer.media_type), (200, Some(accept)));
        assert_eq!(body(&answer)["id"], did);
    }
    for accept in [RESULT, "*/*", "application/*", "text/html, */*;q=0.1"] {
        assert_eq!(world.get_as(&did, accept).media_type, Some(RESULT), "{accept}");
    }
    assert_eq!(world.get_as(&did, "application/json").media_type, Some("application/json"));
    let profile = "application/ld+json;profile=\"https://w3id.org/did-resolution\"";
    assert_eq!(world.get_as(&did, profile).media_type, Some(profile));
    assert_eq!(world.get_as(&did, DEREFERENCING).media_type, Some(DEREFERENCING));
    for accept in ["text/html", "application/x-unsupported", "application/ld+json", "application/did;q=0", ""]
    {
        assert_eq!(
            error(&world.get_as(&did, accept)),
            refused(406, "REPRESENTATION_NOT_SUPPORTED"),
            "{accept}"
        );
    }
}

#[test]
fn every_error_has_its_status_and_type_whatever_is_accepted() {
    let world = World::new();
    let did = world.issuer();
    for (identifier, expected) in [
        ("not-a-did".to_owned(), refused(400, "INVALID_DID")),
        ("did:example".to_owned(), refused(400, "INVALID_DID")),
        ("%ff%fe".to_owned(), refused(400, "INVALID_DID")),
        (String::new(), refused(400, "INVALID_DID")),
        (format!("{did}%23%20"), refused(400, "INVALID_DID_URL")),
        ("did:unsupported:123456789abcdefghi".to_owned(), refused(501, "METHOD_NOT_SUPPORTED")),
        (format!("{did}/whois"), refused(404, "NOT_FOUND")),
        ("did:web:issuer.example/whois".to_owned(), refused(404, "NOT_FOUND")),
        (format!("{did}?versionTime=2026"), refused(400, "INVALID_OPTIONS")),
        (format!("{did}?versionId="), refused(400, "INVALID_OPTIONS")),
        (format!("{did}?versionId=a&versionTime=2000-01-01T00:00:00Z"), refused(400, "INVALID_OPTIONS")),
        (format!("{did}?noCache=true&noCache=true"), refused(400, "INVALID_OPTIONS")),
        (format!("{did}?noCache=maybe"), refused(400, "INVALID_OPTIONS")),
        (format!("{did}?noCache=%zz"), refused(400, "INVALID_OPTIONS")),
        (format!("{did}?relativeRef=/a"), refused(400, "INVALID_OPTIONS")),
        (format!("{did}?verificationRelationship=authentication"), refused(400, "INVALID_OPTIONS")),
        (format!("{did}/accreditation?service=hub"), refused(400, "INVALID_OPTIONS")),
        (format!("{did}?initialState=x"), refused(501, "FEATURE_NOT_SUPPORTED")),
    ] {
        for accept in [RESULT, "application/did"] {
            let answer = world.get_as(&identifier, accept);
            assert_eq!(answer.media_type, Some(RESULT), "{identifier}");
            assert_eq!(error(&answer), expected, "{identifier}");
            assert_eq!(answer.error, Some(expected.1.clone()));
        }
        let answer = world.get_as(&identifier, DEREFERENCING);
        assert_eq!((answer.status, answer.media_type), (expected.0, Some(DEREFERENCING)), "{identifier}");
        let problem = &body(&answer)["dereferencingMetadata"]["error"];
        assert_eq!(problem["type"], format!("https://www.w3.org/ns/did#{}", expected.1));
    }
}

#[test]
fn options_may_come_in_the_body_of_a_post() {
    let world = World::new();
    let path = format!("/1.0/identifiers/{}", world.issuer());
    let post = |body: &str| {
        let body = Some(body.as_bytes());
        respond(&world.resolver, &Question { path: &path, body, ..Question::default() })
    };
    assert_eq!(post("").status, 200);
    assert_eq!(post("{\"noCache\": true, \"versionTime\": \"2099-01-01T00:00:00Z\"}").status, 200);
    assert_eq!(error(&post("{\"versionId\": \"1-Qm\"}")), refused(404, "NOT_FOUND"));
    for wrong in
        ["[]", "{", "{\"versionId\": 7}", "{\"noCache\": true, \"noCache\": true}", "{\"noCache\": null}"]
    {
        assert_eq!(error(&post(wrong)), refused(400, "INVALID_OPTIONS"), "{wrong}");
    }
    let long = format!("{{\"versionId\": \"{}\"}}", "1".repeat(10_000));
    assert_eq!(error(&post(&long)), refused(400, "INVALID_OPTIONS"));
}

/// A host with a document of three services, and its DID, encoded.
fn with_services(world: &World) -> (String, String) {
    let did = format!("did:web:{}", world.host.encoded());
    let key = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    let method =
        |id: &str| json!({"id": id, "type": "Multikey", "controller": did, "publicKeyMultibase": key});
    let document = json!({
        "@context": ["https://www.w3.org/ns/did/v1.1"],
        "id": did,
        "verificationMethod": [method("#key-1"), method("#key-2")],
        "authentication": [format!("{did}#key-1"), method("#key-3")],
        "assertionMethod": ["#key-2"],
        "service": [
            {"id": "#hub", "type": "LinkedDomains", "serviceEndpoint": "https://hub.example/a/"},
            {"id": format!("{did}#mail"), "type": ["Inbox", "DIDCommMessaging"],
             "serviceEndpoint": [{"uri": "x"}, "https://mail.example/in"]},
            {"id": "#map", "type": "Map", "serviceEndpoint": {"uri": "https://map.example/"}},
            {"id": "#ftp", "type": "Files", "serviceEndpoint": "ftp://files.example/"},
        ],
    });
    world.host.put("/.well-known/did.json", File::new(document.to_string()));
    (did.clone(), did.replace('%', "%25"))
}

#[test]
fn a_fragment_names_a_method_or_service_in_a_relationship_if_one_is_asked_for() {
    let world = World::new();
    let (did, encoded) = with_services(&world);
    let get = |rest: &str| world.get_as(&format!("{encoded}%23{rest}"), DEREFERENCING);
    for (fragment, id) in
        [("key-1", "#key-1"), ("key-3", "#key-3"), ("hub", "#hub"), ("mail", &format!("{did}#mail"))]
    {
        let answer = get(fragment);
        assert_eq!(answer.status, 200, "{fragment}");
        let result = body(&answer);
        assert_eq!(result["contentStream"]["id"], *id);
        assert_eq!(result["contentStream"]["@context"][0], "https://www.w3.org/ns/did/v1.1");
        assert_eq!(result["dereferencingMetadata"]["contentType"], "application/did");
    }
    for fragment in ["key-1", "key-3"] {
        assert_eq!(
            get(&format!("{fragment}?verificationRelationship=authentication")).status,
            200,
            "{fragment}"
        );
    }
    for (rest, status, name) in [
        ("nothing", 404, "NOT_FOUND"),
        ("nothing?verificationRelationship=authentication", 500, "INVALID_VERIFICATION_METHOD"),
        ("hub?verificationRelationship=authentication", 500, "INVALID_VERIFICATION_METHOD"),
        (
            "key-2?verificationRelationship=authentication",
            500,
            "INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD",
        ),
        ("key-1?verificationRelationship=@context", 500, "INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD"),
    ] {
        let answer = get(rest);
        let problem = &body(&answer)["dereferencingMetadata"]["error"]["type"];
        let found = problem.as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        assert_eq!((answer.status, found.as_str()), (status, name), "{rest}");
    }
}

#[test]
fn services_are_selected_by_id_and_type() {
    let world = World::new();
    let (did, encoded) = with_services(&world);
    let selected = |query: &str| -> Vec<Value> {
        let answer = world.get_as(&format!("{encoded}?{query}"), "application/did");
        assert_eq!(answer.status, 200, "{query}");
        let ids = body(&answer)["service"]
            .as_array()
            .unwrap()
            .iter()
            .map(|service| service["id"].clone())
            .collect();
        assert_eq!(body(&answer)["verificationMethod"].as_array().unwrap().len(), 2);
        ids
    };
    let whole = format!("service={encoded}%23hub");
    for query in ["service=hub", "service=%23hub", whole.as_str(), "serviceType=LinkedDomains"] {
        assert_eq!(selected(query), [json!("#hub")], "{query}");
    }
    assert_eq!(selected("serviceType=Inbox"), [json!(format!("{did}#mail"))]);
    assert!(selected("service=hub&serviceType=Inbox").is_empty());
    assert!(selected("service=nothing").is_empty());
}

#[test]
fn the_url_of_a_service_is_a_redirection_that_stays_below_its_endpoint() {
    let world = World::new();
    let (_, encoded) = with_services(&world);
    let get = |rest: &str| world.get_as(&format!("{encoded}{rest}"), "text/uri-list");
    for (rest, location) in [
        ("?service=hub", "https://hub.example/a/"),
        ("?service=hub&relativeRef=b%3Fc=d", "https://hub.example/a/b?c=d"),
        ("?service=hub&relativeRef=x/../y", "https://hub.example/a/y"),
        ("?service=mail", "https://mail.example/in"),
        ("%23part?service=hub", "https://hub.example/a/#part"),
    ] {
        let answer = get(rest);
        assert_eq!((answer.status, answer.location.as_deref()), (303, Some(location)), "{rest}");
        assert!(answer.body.is_empty() && answer.media_type.is_none());
    }
    for (rest, status, name) in [
        ("?service=hub&relativeRef=/etc", 400, "INVALID_DID_URL"),
        ("?service=hub&relativeRef=../b", 400, "INVALID_DID_URL"),
        ("?service=hub&relativeRef=//evil.example/", 400, "INVALID_DID_URL"),
        ("?service=hub&relativeRef=https://evil.example/a/", 400, "INVALID_DID_URL"),
        ("?service=hub&relativeRef=b%255Cc", 400, "INVALID_DID_URL"),
        ("?service=hub&relativeRef=%252e%252e/", 400, "INVALID_DID_URL"),
        ("%23part?service=hub&relativeRef=b%23c", 400, "INVALID_DID_URL"),
        ("?service=nothing", 404, "NOT_FOUND"),
        ("?service=map", 501, "FEATURE_NOT_SUPPORTED"),
        ("?service=ftp", 501, "FEATURE_NOT_SUPPORTED"),
        ("", 406, "REPRESENTATION_NOT_SUPPORTED"),
    ] {
        assert_eq!(error(&get(rest)), refused(status, name), "{rest}");
    }
    // A reference asks for the URL, unless the document is asked for by name.
    let rest = format!("{encoded}?service=hub&relativeRef=b");
    assert_eq!(world.get_as(&rest, DEREFERENCING).status, 303);
    assert_eq!(world.get_as(&rest, "application/did").status, 200);
}
