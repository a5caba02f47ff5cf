//! VCDM 2.0: what is a credential and what only looks like one.

use super::support::*;
use crate::vcdm::PLAIN_MEMBERS;
use aval_codec::json::Json;

fn with(name: &str, value: Json) -> Workshop {
    Workshop::new().payload(|payload| {
        payload.insert(name.to_owned(), value);
    })
}

fn without(name: &str) -> Workshop {
    Workshop::new().payload(|payload| {
        payload.remove(name);
    })
}

const V2: &str = "https://www.w3.org/ns/credentials/v2";

#[test]
fn the_context_must_begin_with_that_of_version_2() {
    for context in [
        strings(&["https://www.w3.org/2018/credentials/v1"]),
        strings(&["https://example.com/context", V2]),
        Json::from(V2),
        Json::Array(vec![]),
        Json::Array(vec![Json::from(V2), Json::from([("role", Json::from("https://example.com/other"))])]),
    ] {
        assert_eq!(codes(&with("@context", context).build()), ["credential.data_model"]);
    }
    assert_eq!(codes(&without("@context").build()), ["credential.data_model"]);
    assert!(decide(&with("@context", strings(&[V2, "https://example.com/more"])).build()).is_valid());
}

#[test]
fn the_type_must_hold_the_base_type_and_each_only_once() {
    for types in [
        strings(&["AvalMembershipCredential"]),
        strings(&["VerifiableCredential", "VerifiableCredential"]),
        strings(&["VerifiableCredential", ""]),
        Json::Array(vec![Json::from("VerifiableCredential"), Json::Int(1)]),
        Json::from("VerifiablePresentation"),
    ] {
        assert_eq!(codes(&with("type", types).build()), ["credential.data_model"]);
    }
    assert_eq!(codes(&without("type").build()), ["credential.data_model"]);
}

#[test]
fn the_issuer_is_a_url_or_an_object_with_one() {
    let object = Json::from([("id", Json::from(ISSUER)), ("name", Json::from("Register"))]);
    assert!(decide(&with("issuer", object).build()).is_valid());
    for issuer in
        [Json::from("register"), Json::Int(1), Json::from([("name", Json::from("Register"))]), Json::Null]
    {
        assert_eq!(codes(&with("issuer", issuer).build()), ["credential.data_model"]);
    }
    assert_eq!(codes(&without("issuer").build()), ["credential.data_model"]);
}

#[test]
fn registered_claims_may_not_contradict_the_credential() {
    assert!(decide(&with("iss", Json::from(ISSUER)).build()).is_valid());
    assert_eq!(codes(&with("iss", Json::from("did:example:other")).build()), ["credential.data_model"]);
    assert_eq!(codes(&with("sub", Json::from("did:example:other")).build()), ["credential.data_model"]);
}

#[test]
fn claims_of_older_versions_are_refused() {
    for name in ["vc", "vp"] {
        let workshop = with(name, Json::from([("type", strings(&["VerifiableCredential"]))]));
        assert_eq!(codes(&workshop.build()), ["credential.data_model"]);
    }
}

#[test]
fn dates_must_be_date_time_stamps() {
    for date in ["2026-11-22", "2026-11-22T09:30:00", "tomorrow", ""] {
        assert_eq!(codes(&with("validFrom", Json::from(date)).build()), ["credential.data_model"]);
        assert_eq!(codes(&with("validUntil", Json::from(date)).build()), ["credential.data_model"]);
    }
    assert_eq!(codes(&with("validUntil", Json::Int(NOW_S)).build()), ["credential.data_model"]);
}

#[test]
fn the_narrower_of_two_validities_counts() {
    assert_eq!(codes(&with("exp", Json::Int(NOW_S - 61)).build()), ["credential.expired"]);
    assert_eq!(codes(&with("nbf", Json::Int(NOW_S + 61)).build()), ["credential.not_yet_valid"]);
    let presentation = parse(&with("exp", Json::Int(NOW_S + 9_999_999)).build()).unwrap();
    assert_eq!(presentation.valid_until_s(), Some(NOW_S + 3600));
    assert_eq!(codes(&with("exp", Json::from("soon")).build()), ["credential.data_model"]);
}

#[test]
fn a_credential_that_ends_before_it_begins_is_refused() {
    let workshop = with("validUntil", Json::from("2020-01-01T00:00:00Z"));
    assert_eq!(codes(&workshop.build()), ["credential.data_model"]);
}

#[test]
fn there_is_exactly_one_subject() {
    let subject = Json::from([("role", strings(&["member"]))]);
    let mut workshop = with("credentialSubject", Json::Array(vec![subject.clone()]));
    workshop.disclosures.clear();
    assert!(decide(&workshop.build()).is_valid());
    for subjects in
        [Json::Array(vec![subject.clone(), subject]), Json::Array(vec![]), Json::from("did:example:1")]
    {
        let mut workshop = with("credentialSubject", subjects);
        workshop.disclosures.clear();
        assert_eq!(codes(&workshop.build()), ["credential.data_model"]);
    }
    let mut workshop = without("credentialSubject");
    workshop.disclosures.clear();
    assert_eq!(codes(&workshop.build()), ["credential.data_model"]);
}

#[test]
fn roles_are_a_list_of_names_without_repetition_and_come_sorted() {
    for role in
        [Json::Int(1), strings(&["member", "member"]), Json::Array(vec![]), Json::Array(vec![Json::Null])]
    {
        let workshop = Workshop::new().subject(|subject| {
            subject.insert("role".to_owned(), role);
        });
        assert_eq!(codes(&workshop.build()), ["credential.data_model"]);
    }
    let workshop = Workshop::new().subject(|subject| {
        subject.insert("role".to_owned(), strings(&["member", "endorser"]));
    });
    assert_eq!(parse(&workshop.build()).unwrap().roles(), ["endorser", "member"]);
}

#[test]
fn a_role_may_not_be_concealed() {
    let (encoded, digest) = disclosure(r#"["salt","role",["governor"]]"#);
    let mut workshop = Workshop::new().subject(|subject| {
        subject.remove("role");
        subject.insert("_sd".to_owned(), Json::Array(vec![digest]));
    });
    workshop.disclosures = vec![encoded];
    assert_eq!(codes(&workshop.build()), ["credential.concealed"]);

    let (encoded, digest) = disclosure(r#"["salt","governor"]"#);
    let mut workshop = Workshop::new().subject(|subject| {
        subject.remove("_sd");
        subject.insert(
            "role".to_owned(),
            Json::Array(vec![Json::from("member"), Json::from([("...", digest)])]),
        );
    });
    workshop.disclosures = vec![encoded];
    assert_eq!(codes(&workshop.build()), ["credential.concealed"]);
}

#[test]
fn what_decides_validity_may_not_be_concealed() {
    for name in PLAIN_MEMBERS {
        let mut payload = object(&Workshop::new().payload);
        let value = payload.remove(name).unwrap_or(Json::Int(1));
        let (encoded, digest) = disclosure(&format!(r#"["salt","{name}",{}]"#, text_of(&value)));
        let mut workshop = Workshop::new().payload(|payload| {
            payload.remove(name);
            payload.insert("_sd".to_owned(), Json::Array(vec![digest]));
        });
        workshop.disclosures = vec![encoded];
        assert_eq!(codes(&workshop.build()), ["credential.concealed"], "{name}");
    }
}

#[test]
fn a_status_may_not_be_concealed_inside() {
    let (encoded, digest) = disclosure(r#"["salt","statusListIndex","7"]"#);
    let mut workshop = Workshop::new().payload(|payload| {
        let Some(Json::Object(status)) = payload.get_mut("credentialStatus") else {
            panic!("there is a status")
        };
        status.remove("statusListIndex");
        status.insert("_sd".to_owned(), Json::Array(vec![digest]));
    });
    workshop.disclosures = vec![encoded];
    assert_eq!(codes(&workshop.build()), ["credential.concealed"]);
}

#[test]
fn a_status_of_an_unknown_kind_is_refused() {
    let status = Json::from([("id", Json::from("https://example.com/1")), ("type", Json::from("Other"))]);
    assert_eq!(codes(&with("credentialStatus", status).build()), ["credential.data_model"]);
}
