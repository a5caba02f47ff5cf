//! What an issuer refuses, and in which words of the specification.

use super::world::*;
use crate::http::{FORM, HttpRequest, JSON};
use crate::vci::issuer::SessionState;
use crate::vci::proof::{self, ProofOfPossession};
use crate::vci::token::TokenRequest;
use crate::vci::{CredentialRequest, PRE_AUTHORIZED_CODE};
use aval_codec::b64u;
use aval_codec::json::Json;
use aval_credential::jws;
use aval_did::holder::HolderDid;
use aval_did::key::SigningKey;
use std::collections::BTreeMap;

fn token_form(world: &mut World, form: &str) -> (u16, String) {
    let url = format!("{ISSUER}/token");
    let answer = world.send(&HttpRequest::post(url, FORM, form.as_bytes().to_vec(), 1000));
    (answer.status, error_of(&answer))
}

fn token(world: &mut World, code: &str, tx_code: Option<&str>) -> (u16, String) {
    let form = TokenRequest { code: code.to_owned(), tx_code: tx_code.map(str::to_owned) }.to_form();
    token_form(world, std::str::from_utf8(&form).unwrap())
}

fn error_of(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    body.get("error").and_then(serde_json::Value::as_str).unwrap_or("").to_owned()
}

/// A world with a redeemed code, its token, and a fresh nonce.
fn redeemed() -> (World, String, String) {
    let mut world = World::new();
    redeem(&mut world, Some(TX_CODE)).unwrap();
    let token = world.tokens.keys().next().unwrap().clone();
    let nonce = "fresh-nonce".to_owned();
    world.nonces.insert(nonce.clone());
    (world, token, nonce)
}

fn request(proof: String) -> CredentialRequest {
    CredentialRequest {
        credential_configuration_id: Some(CONFIGURATION.to_owned()),
        credential_identifier: None,
        proofs: Some(BTreeMap::from([("jwt".to_owned(), Json::Array(vec![Json::String(proof)]))])),
        credential_response_encryption: None,
    }
}

fn send(world: &mut World, token: Option<&str>, body: Vec<u8>) -> (u16, String) {
    let mut request = HttpRequest::post(format!("{ISSUER}/credential"), JSON, body, 1000);
    request.bearer = token.map(str::to_owned);
    let answer = world.send(&request);
    (answer.status, error_of(&answer))
}

fn send_proof(proof: impl FnOnce(&str) -> String) -> (u16, String) {
    let (mut world, token, nonce) = redeemed();
    let body = request(proof(&nonce)).to_json();
    send(&mut world, Some(&token), body)
}

fn refused(error: &str) -> (u16, String) {
    (400, error.to_owned())
}

const GOOD: (u16, &str) = (200, "");

fn good() -> (u16, String) {
    (GOOD.0, GOOD.1.to_owned())
}

/// A proof with header and payload as texts.
fn forge(header: &str, payload: &str, signer: &SigningKey) -> String {
    let input = format!("{}.{}", b64u::encode(header), b64u::encode(payload));
    format!("{input}.{}", b64u::encode(signer.sign(input.as_bytes())))
}

fn jwk() -> String {
    String::from_utf8(holder_key().public().to_jwk().to_jcs()).unwrap()
}

#[test]
fn a_wrong_transaction_code_is_an_invalid_grant() {
    let mut world = World::new();
    world.offer(Some(TX_CODE));
    assert_eq!(token(&mut world, CODE, Some("000000")), refused("invalid_grant"));
    assert_eq!(token(&mut world, CODE, Some(TX_CODE)).0, 200);
}

#[test]
fn too_many_wrong_transaction_codes_end_the_offer() {
    let mut world = World::new();
    world.offer(Some(TX_CODE));
    for _ in 0..5 {
        assert_eq!(token(&mut world, CODE, Some("000000")), refused("invalid_grant"));
    }
    assert_eq!(world.sessions[CODE].state(), SessionState::Ended);
    assert_eq!(token(&mut world, CODE, Some(TX_CODE)), refused("invalid_grant"));
}

#[test]
fn a_transaction_code_that_is_missing_or_not_wanted_is_an_invalid_request() {
    let mut world = World::new();
    world.offer(Some(TX_CODE));
    assert_eq!(token(&mut world, CODE, None), refused("invalid_request"));
    world.offer(None);
    assert_eq!(token(&mut world, CODE, Some(TX_CODE)), refused("invalid_request"));
    assert_eq!(world.sessions[CODE].state(), SessionState::Offered, "neither uses the code up");
}

#[test]
fn an_unknown_or_expired_code_is_an_invalid_grant() {
    let mut world = World::new();
    world.offer(None);
    assert_eq!(token(&mut world, "another", None), refused("invalid_grant"));
    world.now_s += 600;
    assert_eq!(token(&mut world, CODE, None), refused("invalid_grant"));
}

#[test]
fn a_code_that_is_used_twice_is_refused_and_its_first_token_ends() {
    let (mut world, first, nonce) = redeemed();
    assert_eq!(token(&mut world, CODE, Some(TX_CODE)), refused("invalid_grant"));
    assert_eq!(world.sessions[CODE].state(), SessionState::Ended);
    let proof = proof::sign(&holder_key(), ISSUER, Some(&nonce), NOW_S);
    let answer = send(&mut world, Some(&first), request(proof).to_json());
    assert_eq!(answer, (401, "invalid_token".to_owned()));
}

#[test]
fn a_used_code_does_not_take_back_what_was_issued() {
    let mut world = World::new();
    let mut authorized = redeem(&mut world, Some(TX_CODE)).unwrap();
    receive(&mut world, &mut authorized).unwrap();
    assert_eq!(token(&mut world, CODE, Some(TX_CODE)), refused("invalid_grant"));
    assert_eq!(world.sessions[CODE].state(), SessionState::Completed);
}

#[test]
fn malformed_token_requests_are_refused() {
    let mut world = World::new();
    world.offer(None);
    let grant = format!("grant_type={PRE_AUTHORIZED_CODE}");
    for (form, error) in [
        (String::new(), "invalid_request"),
        (grant.clone(), "invalid_request"),
        (format!("{grant}&pre-authorized_code="), "invalid_request"),
        (format!("{grant}&pre-authorized_code={CODE}&pre-authorized_code={CODE}"), "invalid_request"),
        (format!("{grant}&pre-authorized_code={CODE}&authorization_details=%5B%5D"), "invalid_request"),
        (format!("{grant}&pre-authorized_code={CODE}&x={}", "x".repeat(9000)), "invalid_request"),
        (format!("grant_type=authorization_code&code={CODE}"), "unsupported_grant_type"),
        (format!("pre-authorized_code={CODE}"), "invalid_request"),
    ] {
        assert_eq!(token_form(&mut world, &form), refused(error), "{form}");
    }
    assert_eq!(token_form(&mut world, &format!("{grant}&pre-authorized_code={CODE}&more=1")).0, 200);
}

#[test]
fn a_credential_request_without_a_good_token_is_refused() {
    let (mut world, _, nonce) = redeemed();
    for token in [None, Some("another"), Some(""), Some("white space")] {
        let proof = proof::sign(&holder_key(), ISSUER, Some(&nonce), NOW_S);
        assert_eq!(
            send(&mut world, token, request(proof).to_json()),
            (401, "invalid_token".to_owned()),
            "{token:?}"
        );
    }
}

#[test]
fn the_proof_that_the_wallet_makes_is_accepted() {
    assert_eq!(send_proof(|nonce| proof::sign(&holder_key(), ISSUER, Some(nonce), NOW_S)), good());
    let ed25519 = SigningKey::from_seed(&[5; 32]);
    assert_eq!(send_proof(|nonce| proof::sign(&ed25519, ISSUER, Some(nonce), NOW_S)), good());
}

#[test]
fn a_proof_may_name_its_key_by_did_key_or_did_jwk() {
    let signer = holder_key();
    for did in [HolderDid::did_key(&signer.public()), HolderDid::did_jwk(&signer.public())] {
        let payload = |nonce: &str| {
            Json::from([("aud", ISSUER.into()), ("iat", Json::Int(NOW_S)), ("nonce", nonce.into())])
        };
        let proof = jws::sign(&signer, proof::TYPE, Some(&did.key_id()), &payload("n"));
        let parsed = ProofOfPossession::parse(&proof).unwrap();
        assert_eq!(parsed.holder.did.as_deref(), Some(did.as_str()));
        assert_eq!(parsed.holder.key, signer.public());
        let answer =
            send_proof(|nonce| jws::sign(&signer, proof::TYPE, Some(&did.key_id()), &payload(nonce)));
        assert_eq!(answer, good());
    }
}

#[test]
fn a_stale_or_unknown_nonce_is_an_invalid_nonce() {
    let answer = send_proof(|_| proof::sign(&holder_key(), ISSUER, Some("another"), NOW_S));
    assert_eq!(answer, refused("invalid_nonce"));
}

#[test]
fn a_proof_without_a_nonce_is_an_invalid_proof() {
    let answer = send_proof(|_| proof::sign(&holder_key(), ISSUER, None, NOW_S));
    assert_eq!(answer, refused("invalid_proof"));
}

#[test]
fn a_proof_for_another_issuer_is_an_invalid_proof() {
    for audience in ["https://other.example", "https://issuer.example/register/", "https://issuer.example"] {
        let answer = send_proof(|nonce| proof::sign(&holder_key(), audience, Some(nonce), NOW_S));
        assert_eq!(answer, refused("invalid_proof"), "{audience}");
    }
}

#[test]
fn a_proof_signed_by_another_key_is_an_invalid_proof() {
    let other = SigningKey::p256_from_seed(&[8; 32]).unwrap();
    let header = format!(r#"{{"alg":"ES256","jwk":{},"typ":"openid4vci-proof+jwt"}}"#, jwk());
    let payload = |nonce: &str| format!(r#"{{"aud":"{ISSUER}","iat":{NOW_S},"nonce":"{nonce}"}}"#);
    assert_eq!(send_proof(|nonce| forge(&header, &payload(nonce), &other)), refused("invalid_proof"));
    assert_eq!(send_proof(|nonce| forge(&header, &payload(nonce), &holder_key())), good());
}

#[test]
fn an_old_or_future_proof_is_an_invalid_proof() {
    for (offset_s, outcome) in
        [(-360, good()), (-361, refused("invalid_proof")), (60, good()), (61, refused("invalid_proof"))]
    {
        let answer = send_proof(|nonce| proof::sign(&holder_key(), ISSUER, Some(nonce), NOW_S + offset_s));
        assert_eq!(answer, outcome, "{offset_s}");
    }
}

#[test]
fn proofs_with_a_bad_header_are_invalid() {
    let jwk = jwk();
    let private = jwk.replacen('{', r#"{"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE","#, 1);
    let did = HolderDid::did_key(&holder_key().public()).key_id();
    for header in [
        format!(r#"{{"alg":"none","jwk":{jwk},"typ":"openid4vci-proof+jwt"}}"#),
        format!(r#"{{"alg":"HS256","jwk":{jwk},"typ":"openid4vci-proof+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","jwk":{jwk},"typ":"openid4vci-proof+jwt"}}"#),
        format!(r#"{{"alg":"ES256","jwk":{private},"typ":"openid4vci-proof+jwt"}}"#),
        r#"{"alg":"ES256","jwk":{"kty":"oct","k":"AAAA"},"typ":"openid4vci-proof+jwt"}"#.to_owned(),
        format!(r#"{{"alg":"ES256","jwk":{jwk},"typ":"JWT"}}"#),
        format!(r#"{{"alg":"ES256","jwk":{jwk}}}"#),
        format!(r#"{{"alg":"ES256","jwk":{jwk},"kid":"{did}","typ":"openid4vci-proof+jwt"}}"#),
        format!(r#"{{"alg":"ES256","jwk":{jwk},"x5c":["AAAA"],"typ":"openid4vci-proof+jwt"}}"#),
        format!(r#"{{"alg":"ES256","jwk":{jwk},"crit":["x"],"typ":"openid4vci-proof+jwt"}}"#),
        r#"{"alg":"ES256","typ":"openid4vci-proof+jwt"}"#.to_owned(),
        r#"{"alg":"ES256","kid":"did:web:issuer.example#key-1","typ":"openid4vci-proof+jwt"}"#.to_owned(),
        format!(r#"{{"alg":"ES256","kid":"{did}x","typ":"openid4vci-proof+jwt"}}"#),
        format!(
            r#"{{"alg":"ES256","kid":"{}","typ":"openid4vci-proof+jwt"}}"#,
            did.split('#').next().unwrap()
        ),
    ] {
        let answer = send_proof(|nonce| {
            forge(&header, &format!(r#"{{"aud":"{ISSUER}","iat":{NOW_S},"nonce":"{nonce}"}}"#), &holder_key())
        });
        assert_eq!(answer, refused("invalid_proof"), "{header}");
    }
}

#[test]
fn proofs_with_a_bad_payload_are_invalid() {
    let header = format!(r#"{{"alg":"ES256","jwk":{},"typ":"openid4vci-proof+jwt"}}"#, jwk());
    for payload in [
        format!(r#"{{"aud":["{ISSUER}"],"iat":{NOW_S},"nonce":"fresh-nonce"}}"#),
        format!(r#"{{"iat":{NOW_S},"nonce":"fresh-nonce"}}"#),
        format!(r#"{{"aud":"{ISSUER}","nonce":"fresh-nonce"}}"#),
        format!(r#"{{"aud":"{ISSUER}","iat":"{NOW_S}","nonce":"fresh-nonce"}}"#),
        format!(r#"{{"aud":"{ISSUER}","iat":{NOW_S},"nonce":7}}"#),
        format!(r#"{{"aud":"{ISSUER}","iat":{NOW_S},"iss":"client","nonce":"fresh-nonce"}}"#),
        format!(r#"{{"aud":"{ISSUER}","aud":"{ISSUER}","iat":{NOW_S},"nonce":"fresh-nonce"}}"#),
    ] {
        let answer = send_proof(|_| forge(&header, &payload, &holder_key()));
        assert_eq!(answer, refused("invalid_proof"), "{payload}");
    }
}

#[test]
fn a_request_without_exactly_one_proof_is_an_invalid_proof() {
    let (world, token, nonce) = redeemed();
    let mut world = world;
    let proof = Json::String(proof::sign(&holder_key(), ISSUER, Some(&nonce), NOW_S));
    for proofs in [
        None,
        Some(vec![]),
        Some(vec![("jwt", Json::Array(vec![]))]),
        Some(vec![("jwt", proof.clone())]),
        Some(vec![("jwt", Json::Array(vec![proof.clone(), proof.clone()]))]),
        Some(vec![("jwt", Json::Array(vec![Json::Null]))]),
        Some(vec![("attestation", Json::Array(vec![proof.clone()]))]),
        Some(vec![("jwt", Json::Array(vec![proof.clone()])), ("di_vp", Json::Array(vec![]))]),
    ] {
        let mut request = request(String::new());
        request.proofs =
            proofs.map(|all| all.into_iter().map(|(name, one)| (name.to_owned(), one)).collect());
        assert_eq!(send(&mut world, Some(&token), request.to_json()), refused("invalid_proof"));
    }
}

#[test]
fn a_configuration_that_is_unknown_or_was_not_offered_is_refused() {
    let (mut world, token, nonce) = redeemed();
    for (id, identifier, error) in [
        (Some("nothing"), None, "unknown_credential_configuration"),
        (Some("other"), None, "unknown_credential_configuration"),
        (None, Some("identifier"), "unknown_credential_identifier"),
        (Some(CONFIGURATION), Some("identifier"), "invalid_credential_request"),
        (None, None, "invalid_credential_request"),
    ] {
        let mut request = request(proof::sign(&holder_key(), ISSUER, Some(&nonce), NOW_S));
        request.credential_configuration_id = id.map(str::to_owned);
        request.credential_identifier = identifier.map(str::to_owned);
        assert_eq!(send(&mut world, Some(&token), request.to_json()), refused(error));
    }
}

#[test]
fn malformed_credential_requests_are_refused() {
    let (mut world, token, _) = redeemed();
    for body in ["", "{", "[]", r#"{"proofs":1}"#, r#"{"proofs":{},"proofs":{}}"#] {
        assert_eq!(
            send(&mut world, Some(&token), body.as_bytes().to_vec()),
            refused("invalid_credential_request"),
            "{body}"
        );
    }
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(70_000)).into_bytes();
    assert_eq!(send(&mut world, Some(&token), large), refused("invalid_credential_request"));
}

#[test]
fn an_encrypted_response_is_not_given_in_the_clear() {
    let (mut world, token, nonce) = redeemed();
    let mut request = request(proof::sign(&holder_key(), ISSUER, Some(&nonce), NOW_S));
    request.credential_response_encryption = Some(Json::from([("enc", "A256GCM".into())]));
    assert_eq!(send(&mut world, Some(&token), request.to_json()), refused("invalid_encryption_parameters"));
}

#[test]
fn a_credential_is_issued_once() {
    let (mut world, token, nonce) = redeemed();
    let proof = proof::sign(&holder_key(), ISSUER, Some(&nonce), NOW_S);
    assert_eq!(send(&mut world, Some(&token), request(proof.clone()).to_json()), good());
    assert_eq!(
        send(&mut world, Some(&token), request(proof).to_json()),
        (401, "invalid_token".to_owned()),
        "the same proof again"
    );
}

#[test]
fn a_nonce_is_good_for_one_credential() {
    let (mut world, token, nonce) = redeemed();
    let second = "second-code".to_owned();
    let ids = vec![CONFIGURATION.to_owned()];
    let (_, session) = world.issuer.offer(ids, second.clone(), None, NOW_S);
    world.sessions.insert(second.clone(), session);
    assert_eq!(super::refusals_of_issuer::token(&mut world, &second, None).0, 200);
    let second_token = world.tokens.iter().find(|(_, code)| **code == second).unwrap().0.clone();
    let proof = || request(proof::sign(&holder_key(), ISSUER, Some(&nonce), NOW_S)).to_json();
    assert_eq!(send(&mut world, Some(&token), proof()), good());
    assert_eq!(send(&mut world, Some(&second_token), proof()), refused("invalid_nonce"));
}

#[test]
fn refusals_are_json_that_the_specification_allows() {
    let error = crate::ErrorResponse::invalid_token();
    assert_eq!(error.www_authenticate().as_deref(), Some(r#"Bearer error="invalid_token""#));
    let all = [
        crate::ErrorResponse::invalid_grant(),
        crate::ErrorResponse::invalid_nonce(),
        crate::ErrorResponse::unsupported_grant_type(),
        crate::ErrorResponse::invalid_encryption_parameters(),
        crate::ErrorResponse::unknown_credential_configuration(),
        crate::ErrorResponse::unknown_credential_identifier(),
        error,
    ];
    for error in all {
        let body: serde_json::Value = serde_json::from_slice(&error.body()).unwrap();
        assert_eq!(body["error"], error.error);
        let allowed = |letter: char| matches!(letter, ' '..='~') && letter != '"' && letter != '\\';
        assert!(body["error_description"].as_str().unwrap().chars().all(allowed));
    }
}
