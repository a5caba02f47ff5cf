//! What a verifier does not take.

use super::world::*;
use crate::ErrorResponse;
use crate::jwe::{DecryptionKey, EncryptionKey};
use crate::url_rules::UrlPolicy;
use crate::vp::client_id::ClientId;
use crate::vp::sd_jwt::{self, Binding};
use crate::vp::tree::Node;
use crate::vp::verifier::{Secrets, Session, SessionDraft, SessionState, wallet_nonce};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use url::form_urlencoded;

fn plain() -> World {
    World::new(Kind::Did, &SessionDraft { encrypted: false, ..draft() })
}

fn form(parameters: &[(&str, &str)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes()
}

fn refused(world: &mut World, form: &[u8]) -> ErrorResponse {
    let before = world.session.state();
    let error = world.session.accept(form, NOW_S).expect_err("it is refused");
    assert_eq!(world.session.state(), before, "a refused answer uses nothing up");
    error
}

#[test]
fn an_answer_counts_once() {
    for encrypted in [true, false] {
        let mut world = World::new(Kind::Did, &SessionDraft { encrypted, ..draft() });
        let verified = world.open().unwrap();
        let request = verified.respond(present(&verified)).unwrap();
        world.answer(&request).unwrap();
        let error = refused(&mut world, &request.body);
        assert_eq!(error.description, "the request was answered already");
        let again = world.session.request_object(&world.signer, crate::jwt::KeyName::Own, None, NOW_S);
        assert!(again.is_err(), "nor is the request given out again");
    }
}

#[test]
fn an_answer_that_comes_too_late_is_refused() {
    let mut world = plain();
    let verified = world.open().unwrap();
    let request = verified.respond(present(&verified)).unwrap();
    assert!(world.session.accept(&request.body, NOW_S + 300).is_err());
    assert!(world.session.accept(&request.body, NOW_S + 299).is_ok());
}

#[test]
fn the_state_must_be_that_of_the_session() {
    let mut world = plain();
    let verified = world.open().unwrap();
    let vp_token = json!(present(&verified)).to_string();
    for state in [None, Some(""), Some("another"), Some(&STATE[1..])] {
        let mut parameters = vec![("vp_token", vp_token.as_str())];
        parameters.extend(state.map(|state| ("state", state)));
        refused(&mut world, &form(&parameters));
    }
    refused(&mut world, &form(&[("vp_token", &vp_token), ("state", STATE), ("state", STATE)]));
    assert!(world.session.accept(&form(&[("vp_token", &vp_token), ("state", STATE)]), NOW_S).is_ok());
}

#[test]
fn an_answer_must_have_the_shape_of_the_question() {
    let mut world = plain();
    for vp_token in [
        json!({}),
        json!([]),
        json!("text"),
        json!({"diploma": []}),
        json!({"diploma": "text"}),
        json!({"diploma": [5]}),
        json!({"diploma": ["a", "b"]}),
        json!({"other": ["a"]}),
        json!({"diploma": ["a"], "other": ["a"]}),
    ] {
        refused(&mut world, &form(&[("vp_token", &vp_token.to_string()), ("state", STATE)]));
    }
    let twice = r#"{"diploma":["a"],"diploma":["b"]}"#;
    refused(&mut world, &form(&[("vp_token", twice), ("state", STATE)]));
    refused(&mut world, &form(&[("state", STATE)]));
    let good = r#"{"diploma":["a"]}"#;
    refused(&mut world, &form(&[("vp_token", good), ("error", "access_denied"), ("state", STATE)]));
    refused(&mut world, b"");
    refused(&mut world, &vec![b'a'; 2_000_000]);
}

#[test]
fn an_answer_that_must_be_encrypted_is_not_taken_in_plain_text_nor_the_other_way_round() {
    let mut world = World::new(Kind::Did, &draft());
    let verified = world.open().unwrap();
    let vp_token = json!(present(&verified)).to_string();
    refused(&mut world, &form(&[("vp_token", &vp_token), ("state", STATE)]));
    let encrypted = verified.respond(present(&verified)).unwrap();
    refused(&mut plain(), &encrypted.body);

    let other = DecryptionKey::from_seed(&[6; 32]).unwrap();
    let other = EncryptionKey::from_jwk(&other.public_jwk()).unwrap();
    let content = json!({"vp_token": present(&verified), "state": STATE}).to_string();
    let response = other.encrypt("A128GCM", content.as_bytes(), None).unwrap();
    refused(&mut world, &form(&[("response", &response)]));
    let own = DecryptionKey::from_seed(&[5; 32]).unwrap();
    let own = EncryptionKey::from_jwk(&own.public_jwk()).unwrap();
    let without_state = own.encrypt("A128GCM", json!({"vp_token": {}}).to_string().as_bytes(), None).unwrap();
    refused(&mut world, &form(&[("response", &without_state)]));
    // The state counts inside of the encrypted message, where nobody could put it from outside.
    refused(&mut world, &form(&[("response", &without_state), ("state", STATE)]));
    let no_json = own.encrypt("A128GCM", b"text", None).unwrap();
    refused(&mut world, &form(&[("response", &no_json)]));
    assert!(world.session.accept(&encrypted.body, NOW_S).is_ok());
}

/// A presentation of the wallet's credential with something about it changed.
fn presented(disclose: &[&str], nonce: &str, audience: &str) -> BTreeMap<String, Vec<Value>> {
    let issued = credential();
    let claims = Node::of_sd_jwt(&issued).unwrap();
    let paths: Vec<_> = disclose
        .iter()
        .flat_map(|name| {
            let path = crate::vp::dcql::ClaimsPath::names(["credentialSubject", name]);
            path.select(&claims).unwrap().into_iter().map(|(place, _)| place).collect::<Vec<_>>()
        })
        .collect();
    let binding = Binding { nonce, audience, issued_at_s: NOW_S, transaction_data: &[] };
    let needed: BTreeSet<usize> = claims.disclosures(&paths);
    let text = sd_jwt::present(&issued, &needed, &holder_key(), &binding).unwrap();
    BTreeMap::from([("diploma".to_owned(), vec![Value::from(text)])])
}

#[test]
fn a_presentation_for_another_occasion_is_refused() {
    let world = plain();
    let audience = world.session.audience().to_owned();
    assert_eq!(world.judge(&presented(&["name"], NONCE, &audience)), Ok(()));
    assert!(world.judge(&presented(&["name"], "another", &audience)).is_err());
    assert!(world.judge(&presented(&["name"], NONCE, VERIFIER_DID)).is_err(), "the audience has its prefix");
    assert!(world.judge(&presented(&["name"], NONCE, "x509_san_dns:thief.example")).is_err());
}

#[test]
fn a_presentation_that_shows_less_than_was_asked_for_is_refused() {
    let world = plain();
    let audience = world.session.audience().to_owned();
    assert!(world.judge(&presented(&[], NONCE, &audience)).is_err());
    assert!(world.judge(&presented(&["grade"], NONCE, &audience)).is_err());
    assert_eq!(world.judge(&presented(&["name", "grade"], NONCE, &audience)), Ok(()));
}

#[test]
fn a_draft_that_no_wallet_would_answer_makes_no_session() {
    let make = |draft: &SessionDraft, client: ClientId, uri: &str, nonce: &str| {
        let secrets = Secrets {
            nonce: nonce.to_owned(),
            state: STATE.to_owned(),
            response_code: RESPONSE_CODE.to_owned(),
            decryption: DecryptionKey::generate(),
        };
        Session::new(draft, client, uri, &secrets, UrlPolicy::HTTPS, NOW_S).map(drop)
    };
    let did = || ClientId::Did(VERIFIER_DID.to_owned());
    assert!(make(&draft(), did(), RESPONSE_URI, NONCE).is_ok());
    assert!(make(&draft(), did(), "http://verifier.example", NONCE).is_err());
    assert!(make(&draft(), did(), RESPONSE_URI, "with space").is_err());
    let other = ClientId::X509SanDns("other.example".to_owned());
    assert!(make(&draft(), other, RESPONSE_URI, NONCE).is_err());
    let redirect = SessionDraft { redirect_uri: Some("javascript:alert(1)".to_owned()), ..draft() };
    assert!(make(&redirect, did(), RESPONSE_URI, NONCE).is_err());
}

#[test]
fn an_unsigned_session_has_no_request_object_that_a_wallet_takes() {
    let mut world = World::new(Kind::Address, &draft());
    assert_eq!(world.session.state(), SessionState::Waiting);
    let object = world.sign(None);
    let policy = UrlPolicy::HTTPS;
    assert!(crate::vp::Request::of_object(&object, policy, NOW_S, 0).is_err());
}

#[test]
fn a_wallets_nonce_is_short_and_comes_once() {
    assert_eq!(wallet_nonce(b"wallet_nonce=a&wallet_metadata=%7B%7D"), Ok(Some("a".to_owned())));
    assert_eq!(wallet_nonce(b""), Ok(None));
    assert!(wallet_nonce(b"wallet_nonce=a&wallet_nonce=a").is_err());
    let mut world = World::new(Kind::Did, &draft());
    let name = crate::jwt::KeyName::Own;
    assert!(world.session.request_object(&world.signer, name, Some(&"a".repeat(600)), NOW_S).is_err());
    assert!(world.session.request_object(&world.signer, name, Some(""), NOW_S).is_err());
}
