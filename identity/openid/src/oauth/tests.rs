//! Each rule with what it refuses, and both sides together.

use super::authorization::{Authorization, AuthorizationState, Client, CodeRequest, Pushed};
use super::dpop::{self, Expectation, Proof};
use super::{Credentials, pkce};
use crate::http::{HttpResponse, JSON};
use crate::jwt::{self, KeyName};
use aval_codec::json::Json;
use aval_did::key::SigningKey;
use proptest::prelude::*;
use std::collections::BTreeMap;
use url::form_urlencoded;

const NOW_S: i64 = 1_795_339_800;
const URL: &str = "https://issuer.example/token";
const ISSUER: &str = "https://issuer.example";

fn key() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).unwrap()
}

fn expected<'a>(access_token: Option<&'a str>) -> Expectation<'a> {
    Expectation { method: "POST", url: URL, access_token, now_s: NOW_S, age_max_s: 60, skew_s: 10 }
}

fn prove(token: Option<&str>, nonce: Option<&str>) -> String {
    dpop::prove(&key(), "POST", "https://issuer.example/token?a=b", "id-1", token, nonce, NOW_S).unwrap()
}

#[test]
fn the_verifier_of_rfc_7636_appendix_b_fits_its_challenge() {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    assert_eq!(pkce::challenge(verifier), challenge);
    assert!(pkce::fits(verifier, challenge));
    assert!(!pkce::fits("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", challenge));
    assert!(!pkce::fits("short", &pkce::challenge("short")), "too few letters to be a secret");
}

#[test]
fn a_proof_is_for_one_method_address_token_and_time() {
    let proof = Proof::verify(&prove(None, Some("n")), &expected(None)).unwrap();
    assert_eq!(
        (proof.thumbprint.as_str(), proof.nonce.as_deref()),
        (key().public().thumbprint().as_str(), Some("n"))
    );
    assert!(Proof::verify(&prove(Some("token"), None), &expected(Some("token"))).is_ok());
    let refused = |text: &str, expected: Expectation<'_>| {
        assert_eq!(Proof::verify(text, &expected).unwrap_err().error, "invalid_dpop_proof");
    };
    let plain = prove(None, None);
    refused(&plain, Expectation { method: "GET", ..expected(None) });
    refused(&plain, Expectation { url: "https://issuer.example/credential", ..expected(None) });
    refused(&plain, Expectation { url: "http://issuer.example/token", ..expected(None) });
    refused(&plain, Expectation { now_s: NOW_S + 71, ..expected(None) });
    refused(&plain, Expectation { now_s: NOW_S - 11, ..expected(None) });
    refused(&plain, expected(Some("token")));
    refused(&prove(Some("token"), None), expected(Some("another")));
    refused(&prove(Some("token"), None), expected(None));
    refused("", expected(None));
}

#[test]
fn the_same_proof_has_the_same_name_for_as_long_as_it_is_good() {
    let first = Proof::verify(&prove(None, None), &expected(None)).unwrap();
    let later =
        Proof::verify(&prove(None, None), &Expectation { now_s: NOW_S + 70, ..expected(None) }).unwrap();
    assert_eq!(first.replay_key, later.replay_key);
    assert!(first.keep_until_s > NOW_S + 70);
    let other = dpop::prove(&key(), "POST", URL, "id-2", None, None, NOW_S).unwrap();
    assert_ne!(Proof::verify(&other, &expected(None)).unwrap().replay_key, first.replay_key);
}

#[test]
fn a_proof_names_its_key_itself_and_has_every_claim() {
    let claims = || {
        BTreeMap::from([
            ("jti".to_owned(), Json::from("id")),
            ("htm".to_owned(), Json::from("POST")),
            ("htu".to_owned(), Json::from(URL)),
            ("iat".to_owned(), Json::Int(NOW_S)),
        ])
    };
    let verify = |typ: &str, name: KeyName<'_>, claims: BTreeMap<String, Json>| {
        Proof::verify(&jwt::sign(&key(), typ, name, claims).unwrap(), &expected(None)).is_ok()
    };
    assert!(verify(dpop::TYPE, KeyName::Own, claims()));
    assert!(!verify("JWT", KeyName::Own, claims()));
    assert!(!verify(dpop::TYPE, KeyName::Id("did:key:z6Mk#z6Mk"), claims()));
    for name in ["jti", "htm", "htu", "iat"] {
        let mut claims = claims();
        claims.remove(name);
        assert!(!verify(dpop::TYPE, KeyName::Own, claims), "{name}");
    }
    let mut odd = claims();
    odd.insert("nonce".to_owned(), Json::Int(5));
    assert!(!verify(dpop::TYPE, KeyName::Own, odd));
    // The key in the header is another than the one that signed.
    let mut header =
        BTreeMap::from([("alg".to_owned(), Json::from("ES256")), ("typ".to_owned(), dpop::TYPE.into())]);
    header.insert("jwk".to_owned(), SigningKey::p256_from_seed(&[3; 32]).unwrap().public().to_jwk());
    let forged = jwt::sign_parts(&key(), &Json::Object(header), claims()).unwrap();
    assert!(Proof::verify(&forged, &expected(None)).is_err());
}

#[test]
fn a_bound_token_is_good_only_with_a_proof_of_its_key() {
    let dpop = Credentials::parse(Some("DPoP token")).unwrap();
    let bearer = Credentials::parse(Some("bearer token")).unwrap();
    assert_eq!(dpop.token(), "token");
    assert!(dpop.check(Some("k"), Some("k")).is_ok());
    assert!(bearer.check(None, None).is_ok());
    for (credentials, proof, bound) in [
        (&dpop, None, Some("k")),
        (&dpop, Some("other"), Some("k")),
        (&dpop, Some("k"), None),
        (&bearer, None, Some("k")),
        (&bearer, Some("k"), Some("k")),
    ] {
        assert!(credentials.check(proof, bound).is_err(), "{proof:?} {bound:?}");
    }
    for header in [None, Some(""), Some("token"), Some("Basic token"), Some("DPoP "), Some("DPoP to\u{7}ken")]
    {
        assert!(Credentials::parse(header).is_err(), "{header:?}");
    }
}

fn scopes() -> BTreeMap<String, String> {
    BTreeMap::from([("DiplomaCredential".to_owned(), "diploma".to_owned())])
}

fn client() -> Client {
    Client {
        client_id: "wallet".to_owned(),
        redirect_uri: "https://wallet.example/back".to_owned(),
        code_verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(),
        state: "state-1".to_owned(),
        issuer: ISSUER.to_owned(),
    }
}

fn pushed(thumbprint: Option<&str>) -> Authorization {
    let request = client().push("https://issuer.example/par", &["diploma".to_owned()], Some("offer-7"));
    Authorization::new(Pushed::parse(&request.body, &scopes(), thumbprint).unwrap(), NOW_S)
}

/// An authorization that the user agreed to, and what the wallet got of it.
fn granted(thumbprint: Option<&str>) -> (Authorization, CodeRequest) {
    let mut authorization = pushed(thumbprint);
    let back = authorization.grant("code-1", ISSUER, NOW_S).unwrap();
    let request = client().on_redirect(&back).unwrap();
    (authorization, request)
}

#[test]
fn a_wallet_gets_a_code_and_redeems_it_once() {
    let response = Authorization::pushed_response("name-1");
    let response = HttpResponse { status: 201, content_type: Some(JSON), body: &response };
    let browser = client().on_pushed(&response, "https://issuer.example/authorize").unwrap();
    assert_eq!(
        browser,
        "https://issuer.example/authorize?client_id=wallet&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Aname-1"
    );
    let (mut authorization, request) = granted(None);
    assert_eq!(authorization.pushed().issuer_state.as_deref(), Some("offer-7"));
    assert_eq!(authorization.pushed().configuration_ids, ["diploma"]);
    let sent = CodeRequest::parse(&client().token(URL, &request).body).unwrap();
    assert_eq!(sent, request);
    assert_eq!(authorization.redeem(&sent, None, NOW_S), Ok(()));
    assert_eq!(authorization.redeem(&sent, None, NOW_S).unwrap_err().error, "invalid_grant");
    assert_eq!(authorization.state(), AuthorizationState::Ended, "a second use shows a theft");
}

#[test]
fn a_code_is_worth_nothing_without_what_belongs_to_it() {
    let change: [fn(&mut CodeRequest); 5] = [
        |request| request.code = "another".to_owned(),
        |request| request.code_verifier = "a".repeat(43),
        |request| request.client_id = Some("thief".to_owned()),
        |request| request.redirect_uri = Some("https://thief.example".to_owned()),
        |request| request.redirect_uri = None,
    ];
    for change in change {
        let (mut authorization, mut request) = granted(None);
        change(&mut request);
        assert!(authorization.redeem(&request, None, NOW_S).is_err());
    }
    let (mut authorization, request) = granted(None);
    assert!(authorization.redeem(&request, None, NOW_S + 60).is_err(), "too late");
    for wrong in [None, Some("another")] {
        let (mut authorization, request) = granted(Some("key"));
        assert!(authorization.redeem(&request, wrong, NOW_S).is_err(), "the code is bound to a key");
    }
    let (mut authorization, request) = granted(Some("key"));
    assert_eq!(authorization.redeem(&request, Some("key"), NOW_S), Ok(()));
    let mut unused = pushed(None);
    assert!(unused.redeem(&request, None, NOW_S).is_err(), "no user has agreed");
}

#[test]
fn a_pushed_request_is_for_its_client_and_its_time_and_is_used_once() {
    let mut authorization = pushed(None);
    assert!(authorization.open("wallet", NOW_S).is_ok());
    assert!(authorization.open("thief", NOW_S).is_err());
    assert!(authorization.open("wallet", NOW_S + 300).is_err());
    let back = authorization.deny(ISSUER, NOW_S).unwrap();
    assert_eq!(client().on_redirect(&back).unwrap_err().refusal(), Some("access_denied"));
    assert!(authorization.open("wallet", NOW_S).is_err());
    assert!(authorization.grant("code", ISSUER, NOW_S).is_err());
}

#[test]
fn an_answer_of_another_server_or_to_another_request_is_refused() {
    let back = pushed(None).grant("code-1", ISSUER, NOW_S).unwrap();
    assert!(client().on_redirect(&back).is_ok());
    let code = |back: &str| client().on_redirect(back).unwrap_err().code();
    assert_eq!(code(&back.replace("state-1", "state-2")), "openid.untrusted");
    assert_eq!(code(&back.replace("issuer.example", "thief.example")), "openid.untrusted");
    assert_eq!(code(back.split("&iss").next().unwrap()), "openid.untrusted");
    assert_eq!(code(&back.replace("code=", "cod=")), "openid.malformed");
    assert_eq!(code(&format!("{back}&iss=x")), "openid.malformed");
    assert_eq!(code("https://wallet.example/back"), "openid.malformed");
}

#[test]
fn pushed_requests_that_break_a_rule_are_refused() {
    let good = client().push("https://issuer.example/par", &["diploma".to_owned()], None);
    let with = |name: &str, value: Option<&str>| {
        let mut parameters: Vec<(String, String)> = form_urlencoded::parse(&good.body).into_owned().collect();
        parameters.retain(|(one, _)| one != name);
        parameters.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        Pushed::parse(body.as_bytes(), &scopes(), None).map_err(|error| error.error)
    };
    assert!(with("nothing", None).is_ok());
    for uri in
        ["https://wallet.example/", "http://127.0.0.1:9000/", "com.example.wallet:/back", "openid4vci://back"]
    {
        assert!(with("redirect_uri", Some(uri)).is_ok(), "{uri}");
    }
    let long = "a".repeat(10_000);
    for (name, value, error) in [
        ("response_type", None, "unsupported_response_type"),
        ("response_type", Some("token"), "unsupported_response_type"),
        ("client_id", None, "invalid_request"),
        ("redirect_uri", None, "invalid_request"),
        ("redirect_uri", Some("javascript:alert(1)"), "invalid_request"),
        ("redirect_uri", Some("data:text/html,x"), "invalid_request"),
        ("redirect_uri", Some("http://wallet.example/"), "invalid_request"),
        ("redirect_uri", Some("https://wallet.example/#a"), "invalid_request"),
        ("redirect_uri", Some("/back"), "invalid_request"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("request_uri", Some("urn:x"), "invalid_request"),
        ("state", Some(long.as_str()), "invalid_request"),
        ("authorization_details", None, "invalid_scope"),
        ("authorization_details", Some("[]"), "invalid_scope"),
        ("authorization_details", Some("{"), "invalid_authorization_details"),
        ("authorization_details", Some(r#"[{"type":"other"}]"#), "invalid_authorization_details"),
        (
            "authorization_details",
            Some(r#"[{"type":"openid_credential","credential_configuration_id":"other"}]"#),
            "invalid_authorization_details",
        ),
    ] {
        assert_eq!(with(name, value), Err(error), "{name}: {value:?}");
    }
    let scope = with("scope", Some("openid DiplomaCredential")).unwrap();
    assert_eq!(scope.configuration_ids, ["diploma"]);
    let body = [&good.body[..], b"&state=b"].concat();
    assert!(Pushed::parse(&body, &scopes(), None).is_err(), "a parameter occurs twice");
    let body = [&good.body[..], b"&dpop_jkt=one"].concat();
    assert!(Pushed::parse(&body, &scopes(), Some("one")).is_ok());
    assert_eq!(Pushed::parse(&body, &scopes(), Some("two")).unwrap_err().error, "invalid_dpop_proof");
}

#[test]
fn an_authorization_survives_being_stored() {
    let (authorization, _) = granted(Some("key"));
    let text = serde_json::to_string(&authorization).unwrap();
    assert!(serde_json::from_str::<Authorization>(&text).unwrap() == authorization);
    assert!(!text.contains("code-1"));
}

proptest! {
    #[test]
    fn no_input_panics(text in "\\PC{0,120}", form in "[a-z_=&%0-9A-F]{0,200}") {
        let _ = Pushed::parse(form.as_bytes(), &scopes(), None);
        let _ = CodeRequest::parse(form.as_bytes());
        let _ = Proof::verify(&text, &expected(None));
        let _ = Credentials::parse(Some(&text));
        let _ = client().on_redirect(&text);
        let _ = client().on_redirect(&format!("https://wallet.example/?{form}"));
    }
}
