//! Whose key it is, for what, and when.

use super::super::world::*;
use super::Case;
use crate::data_integrity::{self};
use crate::verifier::{Input, Kind};
use serde_json::{Value, json};

fn case(name: &'static str, wrong: &'static str, document: Value, code: &'static str) -> Case {
    Case::new(name, wrong, Kind::Credential, Input::Json(document), code)
}

fn good() -> Value {
    di(&credential(), ISSUER)
}

fn changed(at_s: Option<i64>, document: Value) -> impl FnOnce(&mut Facts) {
    move |facts| drop(facts.dids.insert((ISSUER.into(), at_s), document))
}

fn without(relationship: &str) -> Value {
    with(document(ISSUER), &format!("/{relationship}"), json!([]))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = whose();
    cases.extend(when());
    cases.extend(undecided());
    cases
}

fn whose() -> Vec<Case> {
    let mut wrong_purpose = proof_options(ISSUER);
    wrong_purpose.proof_purpose = "authentication".into();
    let mut foreign = document(ISSUER);
    foreign["verificationMethod"][0]["controller"] = json!(STRANGER);
    let mut elsewhere = document(STRANGER);
    elsewhere["verificationMethod"][0]["id"] = json!(method(ISSUER));
    let mut two = document(ISSUER);
    two["verificationMethod"].as_array_mut().unwrap().push(json!({
        "id": format!("{ISSUER}#key-2"), "type": "Multikey", "controller": ISSUER,
        "publicKeyMultibase": key(ROOT).public().to_multikey(),
    }));
    two["assertionMethod"] = json!([method(ISSUER), format!("{ISSUER}#key-2")]);
    let unnamed = Input::Text(token("vc+jwt", &json!({}), &credential(), ISSUER));
    vec![
        case(
            "issuer-does-not-control-the-key",
            "the proof is good, by a key of somebody else's document",
            di(&credential(), STRANGER),
            "issuer.key",
        ),
        Case::new(
            "jwt-by-the-key-of-another-did",
            "the kid of the token leads to somebody else's document",
            Kind::Credential,
            Input::Text(jwt(&credential(), STRANGER)),
            "issuer.key",
        ),
        case(
            "purpose-not-listed",
            "the issuer's document lists the key for authentication only",
            good(),
            "document.purpose",
        )
        .facts(changed(None, without("assertionMethod"))),
        case(
            "proof-purpose-of-a-presentation",
            "the proof of a credential says that it is for authentication",
            data_integrity::secure(&credential(), &wrong_purpose, &key(ISSUER)).unwrap(),
            "proof.purpose",
        ),
        case(
            "key-controlled-by-somebody-else",
            "the issuer's document holds a method that says another controller",
            good(),
            "document.malformed",
        )
        .facts(changed(None, foreign)),
        case(
            "document-of-another-identifier",
            "what was resolved is the document of somebody else, with a method named like the issuer's",
            good(),
            "document.malformed",
        )
        .facts(changed(None, elsewhere)),
        Case::new(
            "unnamed-key-of-several",
            "the token names no key, and the issuer has two",
            Kind::Credential,
            unnamed,
            "document.method",
        )
        .facts(changed(None, two)),
    ]
}

fn when() -> Vec<Case> {
    let mut expired = proof_options(ISSUER);
    expired.created = Some("2019-12-01T00:00:00Z".into());
    expired.expires = Some("2020-01-01T00:00:00Z".into());
    let mut future = proof_options(ISSUER);
    future.created = Some(date(NOW_S + 3600));
    let mut revoked = document(ISSUER);
    revoked["verificationMethod"][0]["revoked"] = json!(date(NOW_S - 60));
    let mut method_expired = document(ISSUER);
    method_expired["verificationMethod"][0]["expires"] = json!(date(NOW_S - 60));
    let mut other_key = document(ISSUER);
    other_key["verificationMethod"][0]["publicKeyMultibase"] = json!(key(ROOT).public().to_multikey());
    let sign = |options| data_integrity::secure(&credential(), &options, &key(ISSUER)).unwrap();
    let past = Some(SIGNED_S);
    vec![
        case("proof-expired", "the proof expired in 2020", sign(expired), "proof.expired"),
        case("proof-from-the-future", "the proof is made in an hour", sign(future), "proof.not_yet"),
        case("did-deactivated", "the issuer's DID is deactivated", good(), "did.deactivated")
            .facts(changed(None, json!("deactivated"))),
        case("did-does-not-exist", "there is no such DID as the issuer's", good(), "did.not_found")
            .facts(changed(None, Value::Null)),
        case(
            "key-removed-from-assertion-method",
            "the key could be used when it signed, and the issuer has taken it out since",
            good(),
            "document.purpose",
        )
        .facts(changed(None, without("assertionMethod"))),
        case(
            "key-removed-from-the-document",
            "the method is no longer in the issuer's document: the key of a past operator after a rotation",
            good(),
            "document.method",
        )
        .facts(changed(None, with(without("assertionMethod"), "/verificationMethod", json!([])))),
        case(
            "key-listed-only-later",
            "the issuer's document of the time of signing did not list the key: backdated",
            good(),
            "key.at_signing",
        )
        .facts(changed(past, without("assertionMethod"))),
        case(
            "another-key-at-the-time-of-signing",
            "the method of that name had another key at the time of signing",
            good(),
            "key.at_signing",
        )
        .facts(changed(past, other_key)),
        case(
            "did-younger-than-the-signature",
            "the issuer's DID did not exist at the time of signing",
            good(),
            "key.at_signing",
        )
        .facts(changed(past, Value::Null)),
        case(
            "did-deactivated-at-the-time-of-signing",
            "the issuer's DID was deactivated when the credential says that it was signed",
            good(),
            "key.at_signing",
        )
        .facts(changed(past, json!("deactivated"))),
        case("key-revoked", "the method says that it was revoked", good(), "document.method_expired")
            .facts(changed(None, revoked)),
        case("key-expired", "the method says that it has expired", good(), "document.method_expired")
            .facts(changed(None, method_expired)),
    ]
}

fn undecided() -> Vec<Case> {
    let mut unknown = document(ISSUER);
    unknown["verificationMethod"][0] = json!({
        "id": method(ISSUER), "type": "JsonWebKey", "controller": ISSUER,
        "publicKeyJwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    });
    vec![
        case("did-unavailable", "nobody resolves the issuer's DID at the moment", good(), "did.unavailable")
            .undecided()
            .facts(|facts| drop(facts.dids.remove(&(ISSUER.into(), None)))),
        case(
            "history-unavailable",
            "the issuer's document of the time of signing cannot be had at the moment",
            good(),
            "did.unavailable",
        )
        .undecided()
        .facts(|facts| drop(facts.dids.remove(&(ISSUER.into(), Some(SIGNED_S))))),
        case("key-of-an-unknown-type", "the method holds an RSA key", good(), "key.unsupported")
            .undecided()
            .facts(changed(None, unknown)),
    ]
}
