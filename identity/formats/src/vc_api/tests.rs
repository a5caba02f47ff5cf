use super::*;
use crate::verifier::Evidence;
use crate::verifier::tests::world::*;

fn limits() -> Limits {
    Limits::default()
}

fn body(value: Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn verify(value: Value) -> Reply {
    let request = match VerifyRequest::credential(&body(value), limits()) {
        Ok(request) => request,
        Err(error) => return error.reply(),
    };
    let facts = Facts::new();
    request.reply(&request.start(Expectation::at(NOW_S)).run(|want| facts.supply(want)))
}

fn verify_presentation(value: Value) -> Reply {
    let request = match VerifyRequest::presentation(&body(value), limits()) {
        Ok(request) => request,
        Err(error) => return error.reply(),
    };
    let facts = Facts::new();
    request.reply(&request.start(Expectation::at(NOW_S)).run(|want| facts.supply(want)))
}

fn good() -> Value {
    di(&credential(), ISSUER)
}

#[test]
fn a_good_credential_gets_200_and_a_bad_one_400_with_the_reason() {
    let reply = verify(json!({"verifiableCredential": good(), "options": {"checks": ["proof"]}}));
    assert_eq!((reply.status, &reply.body["verified"]), (200, &json!(true)));
    assert_eq!(reply.body["errors"], json!([]));
    assert!(reply.body.get("credential").is_none() && reply.body.get("results").is_none());
    let forged = with(good(), "/credentialSubject/degree", json!("Master of Arts"));
    let reply = verify(json!({"verifiableCredential": forged}));
    assert_eq!((reply.status, &reply.body["verified"]), (400, &json!(false)));
    assert_eq!(
        reply.body["problemDetails"][0]["type"],
        "https://www.w3.org/TR/vc-data-model#CRYPTOGRAPHIC_SECURITY_ERROR"
    );
    assert!(reply.body["checks"].as_array().unwrap().len() > 4);
}

/// What the public suite for verifiers changes in a credential that was verified before.
#[test]
fn whatever_the_public_suite_breaks_in_a_credential_gets_400() {
    let wrong = || [json!("string"), json!({}), json!(10), json!(true)];
    let mut broken = Vec::new();
    for name in ["@context", "type", "issuer", "credentialSubject", "proof"] {
        broken.push(with(good(), &format!("/{name}"), Value::Null));
        let mut null = good();
        null[name] = Value::Null;
        broken.push(null);
    }
    for name in ["type", "created", "verificationMethod", "proofValue", "proofPurpose"] {
        broken.push(with(good(), &format!("/proof/{name}"), Value::Null));
    }
    for value in wrong() {
        for name in ["@context", "type"] {
            broken.push(with(good(), &format!("/{name}"), value.clone()));
            broken.push(with(good(), &format!("/{name}"), json!([value])));
        }
    }
    for value in [json!([]), json!(10), json!(true)] {
        broken.push(with(good(), "/issuer", value.clone()));
        broken.push(with(good(), "/credentialSubject", value.clone()));
        broken.push(with(good(), "/proof", value.clone()));
        broken.push(with(good(), "/type", json!([value.clone()])));
        broken.push(with(good(), "/@context", json!([value])));
    }
    for name in ["/credentialSubject", "/proof"] {
        broken.push(with(good(), name, json!("string")));
    }
    for credential in broken {
        let reply = verify(json!({"verifiableCredential": credential, "options": {"checks": ["proof"]}}));
        assert_eq!((reply.status, &reply.body["verified"]), (400, &json!(false)), "{credential}");
    }
}

#[test]
fn what_cannot_be_reached_gets_422_and_is_not_called_invalid() {
    let request =
        VerifyRequest::credential(&body(json!({"verifiableCredential": good()})), limits()).unwrap();
    let answer =
        request.start(Expectation::at(NOW_S)).run(|_| Evidence::Unavailable("the network is down".into()));
    let reply = request.reply(&answer);
    assert_eq!((reply.status, &reply.body["outcome"]), (422, &json!("undecided")));
}

#[test]
fn a_request_that_is_not_understood_is_refused() {
    let unknown = "https://www.w3.org/TR/vcalm#UNKNOWN_OPTION_PROVIDED";
    for (request, kind) in [
        (json!({"verifiableCredential": good(), "options": {"skipEverything": true}}), unknown),
        (json!({"verifiableCredential": good(), "options": {"checks": ["nothing"]}}), unknown),
        (json!({"verifiableCredential": good(), "verifiablePresentation": {}}), unknown),
        (json!({"verifiableCredential": good(), "options": {"returnPresentation": true}}), unknown),
        (
            json!({"verifiableCredential": good(), "options": {"challenge": 7}}),
            "urn:aval:error:request.member",
        ),
        (
            json!({"verifiableCredential": good(), "options": {"returnResults": "yes"}}),
            "urn:aval:error:request.member",
        ),
        (json!({"verifiableCredential": good(), "options": []}), "urn:aval:error:request.member"),
        (json!({"verifiableCredential": 7}), "urn:aval:error:request.member"),
        (json!({}), "urn:aval:error:request.member"),
    ] {
        let reply = verify(request.clone());
        assert_eq!((reply.status, reply.body["type"].as_str().unwrap()), (400, kind), "{request}");
        assert_eq!(reply.body["verified"], json!(false));
    }
    let reply = VerifyRequest::credential(b"{\"a\":1,\"a\":2}", limits()).unwrap_err();
    assert_eq!((reply.reply().status, reply.code()), (400, "format.duplicate_key"));
    let small = Limits { bytes_max: 10, ..limits() };
    assert_eq!(VerifyRequest::credential(b"{\"a\":1,\"b\":2}", small).unwrap_err().reply().status, 413);
}

#[test]
fn a_presentation_gets_200_once_it_was_verified_whatever_came_out() {
    let document = vp_di(&presentation(&[good()]), &vp_options(HOLDER), HOLDER);
    let options =
        json!({"challenge": NONCE, "domain": VERIFIER, "returnPresentation": true, "returnResults": true});
    let reply = verify_presentation(json!({"verifiablePresentation": document, "options": options}));
    assert_eq!((reply.status, &reply.body["verified"]), (200, &json!(true)));
    assert_eq!(reply.body["verifiablePresentation"], document);
    let results = &reply.body["results"];
    assert_eq!(
        results["presentation"]["challenge"][0],
        json!({"check": "challenge", "verified": true, "input": NONCE})
    );
    assert_eq!(results["credentials"].as_array().unwrap().len(), 1);
    assert_eq!(results["credentials"][0]["results"]["credentialStatus"][0]["verified"], json!(true));
    let replayed = json!({"challenge": "another", "domain": VERIFIER});
    let reply = verify_presentation(json!({"verifiablePresentation": document, "options": replayed}));
    assert_eq!((reply.status, &reply.body["verified"]), (200, &json!(false)));
    assert_eq!(reply.body["errors"][0]["code"], "proof.challenge");
    let shapeless = with(document, "/type", Value::Null);
    let reply = verify_presentation(json!({"verifiablePresentation": shapeless}));
    assert_eq!((reply.status, &reply.body["verified"]), (400, &json!(false)));
}

#[test]
fn a_presentation_that_nobody_signed_is_only_as_good_as_what_is_in_it() {
    let reply = verify_presentation(json!({"presentation": presentation(&[good()])}));
    assert_eq!((reply.status, &reply.body["verified"]), (200, &json!(true)));
    assert_eq!(reply.body["warnings"][0]["code"], "presentation.unsigned");
    let forged = with(good(), "/credentialSubject/degree", json!("Master of Arts"));
    let reply = verify_presentation(json!({"presentation": presentation(&[forged])}));
    assert_eq!(reply.body["verified"], json!(false));
    let reply = verify_presentation(json!({"verifiablePresentation": presentation(&[good()])}));
    assert_eq!(
        (&reply.body["verified"], &reply.body["errors"][0]["code"]),
        (&json!(false), &json!("proof.missing"))
    );
}

fn issue(value: Value) -> Result<IssueRequest, RequestError> {
    IssueRequest::read(&body(value), NOW_S, limits())
}

#[test]
fn a_request_to_issue_is_read_by_the_rules_of_its_version() {
    let request =
        issue(json!({"credential": credential(), "options": {"mandatoryPointers": ["/issuer"]}})).unwrap();
    assert_eq!((request.version, request.issuer()), (Version::V2, Some(ISSUER)));
    assert_eq!(request.credential_id.as_deref(), credential()["id"].as_str());
    assert_eq!(request.mandatory_pointers, ["/issuer"]);
    let old = json!({
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": ["VerifiableCredential"],
        "issuer": ISSUER,
        "expirationDate": date(NOW_S + 86_400),
        "credentialSubject": {"id": HOLDER},
    });
    let request = issue(json!({"credential": old, "options": {"credentialId": "urn:uuid:1"}})).unwrap();
    assert_eq!((request.version, &request.credential["issuanceDate"]), (Version::V1, &json!(date(NOW_S))));
    assert_eq!(request.credential_id.as_deref(), Some("urn:uuid:1"));
    let reply = issued(good());
    assert_eq!((reply.status, &reply.body["verifiableCredential"]["issuer"]), (201, &json!(ISSUER)));
}

/// What the public suite for issuers sends, and a status entry that could never be looked up.
#[test]
fn a_request_to_issue_what_is_no_credential_is_refused() {
    let mut wrong = vec![json!({"verifiableCredential": credential()}), json!({"credential": 7}), json!([])];
    let change = |pointer: &str, value: Value| json!({"credential": with(credential(), pointer, value)});
    for name in ["@context", "type", "issuer", "credentialSubject"] {
        wrong.push(change(&format!("/{name}"), Value::Null));
        for value in [json!(4), json!(true), json!([]), json!(false)] {
            wrong.push(change(&format!("/{name}"), value));
        }
    }
    wrong.push(change("/credentialSubject", json!("did:example:1234")));
    wrong.push(change("/@context", json!({"foo": true})));
    let entry = json!({"type": "BitstringStatusListEntry", "statusListIndex": true, "statusListCredential": "https://a.example"});
    wrong.push(change("/statusEntry", entry.clone()));
    wrong.push(change("/credentialStatus", entry));
    wrong.push(json!({"credential": credential(), "options": {"unknown": 1}}));
    wrong.push(json!({"credential": credential(), "options": {"mandatoryPointers": ["issuer"]}}));
    for request in wrong {
        let refused = issue(request.clone()).unwrap_err();
        assert_eq!(refused.reply().status, 400, "{request}");
    }
}

#[test]
fn a_request_to_change_a_status_is_read() {
    let read = |value: Value| StatusRequest::read(&body(value), limits());
    let entry =
        json!({"type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "7"});
    let request =
        read(json!({"credentialId": "urn:uuid:1", "credentialStatus": entry, "status": true})).unwrap();
    assert_eq!((request.purpose.as_str(), request.index, request.status), ("revocation", Some(7), true));
    assert!(read(json!({"credentialStatus": entry})).is_err());
    assert!(read(json!({"credentialId": "urn:uuid:1"})).is_err());
    let other = with(entry.clone(), "/type", json!("StatusList2021Entry"));
    assert!(read(json!({"credentialId": "urn:uuid:1", "credentialStatus": other})).is_err());
    assert!(read(json!({"credentialId": "urn:uuid:1", "credentialStatus": entry, "force": true})).is_err());
}
