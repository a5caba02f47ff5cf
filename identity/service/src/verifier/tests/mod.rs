//! The verifier over HTTP, with keys that need no ledger, and a ledger that does not answer.

mod identity;
mod sessions;

use crate::storage::Records;
use crate::verifier::config::{Accredited, Config};
use crate::verifier::public::{self, Public};
use crate::verifier::service;
use aval_did::SigningKey;
use aval_formats::data_integrity::{ProofOptions, Suite, secure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

const TOKEN: &str = "a-token-of-more-than-thirty-two-characters";

/// A running verifier. It ends with its runtime.
struct World {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl World {
    fn start(token: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            // Nobody answers there.
            node: "http://127.0.0.1:1".to_owned(),
            open: token.is_none(),
            domain: None,
            accreditation: Accredited::OfLedger,
            issuer_keys: Default::default(),
            allowed_hosts: Vec::new(),
            database: None,
            trusted_roots: None,
            wallets: None,
        };
        let genesis = aval_machine::testkit::Kit::new(7).genesis_bytes().to_vec();
        let sources = service::sources(&config, genesis, &folder.path().join("checkpoint.json")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let records = runtime.block_on(Records::open(&folder.path().join("verifier.sqlite"))).unwrap();
        let token = token.unwrap_or_default();
        let router = public::router(Public::new(Arc::new(sources), records, &config, token, None));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(config.listen)).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, _runtime: runtime, _folder: folder }
    }

    fn post(&self, path: &str, token: &str, media_type: &str, body: &str) -> (u16, Value) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let request = agent.post(format!("http://{}{path}", self.address));
        let request = request.header("content-type", media_type);
        let request = request.header("authorization", format!("Bearer {token}"));
        let mut answer = request.send(body).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn verify(&self, what: &str, body: &Value) -> (u16, Value) {
        self.post(&format!("/{what}/verify"), TOKEN, "application/json", &body.to_string())
    }
}

fn key() -> (SigningKey, String, String) {
    let key = SigningKey::generate();
    let multikey = key.public().to_multikey();
    (key, format!("did:key:{multikey}"), format!("did:key:{multikey}#{multikey}"))
}

fn credential(issuer: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": issuer,
        "validFrom": "2026-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:maria", "name": "Maria"},
    })
}

fn proof(method: &str, purpose: &str, challenge: Option<&str>) -> ProofOptions {
    ProofOptions {
        created: Some("2026-02-01T00:00:00Z".to_owned()),
        challenge: challenge.map(str::to_owned),
        ..ProofOptions::new(Suite::EddsaJcs2022, method, purpose)
    }
}

#[test]
fn a_credential_is_verified_and_one_that_was_changed_is_not() {
    let world = World::start(Some(TOKEN));
    let (key, did, method) = key();
    let signed = secure(&credential(&did), &proof(&method, "assertionMethod", None), &key).unwrap();
    let (status, answer) = world.verify("credentials", &json!({"verifiableCredential": signed}));
    assert_eq!((status, &answer["verified"]), (200, &json!(true)), "{answer:#}");
    assert!(answer["checks"].as_array().is_some_and(|checks| checks.len() > 5), "{answer:#}");

    let mut changed = signed.clone();
    changed["credentialSubject"]["name"] = json!("Mario");
    let (status, answer) = world.verify("credentials", &json!({"verifiableCredential": changed}));
    assert_eq!((status, &answer["verified"]), (400, &json!(false)), "{answer:#}");
}

#[test]
fn what_could_not_be_looked_up_is_no_verdict() {
    let world = World::start(Some(TOKEN));
    let (key, ..) = key();
    let did = "did:aval:testnet:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    let options = proof(&format!("{did}#key-1"), "assertionMethod", None);
    let signed = secure(&credential(did), &options, &key).unwrap();
    let (status, answer) = world.verify("credentials", &json!({"verifiableCredential": signed}));
    assert_eq!((status, &answer["verified"]), (422, &json!(false)), "{answer:#}");
}

#[test]
fn a_presentation_must_be_for_the_challenge_that_was_given() {
    let world = World::start(Some(TOKEN));
    let (key, did, method) = key();
    let inner = secure(&credential(&did), &proof(&method, "assertionMethod", None), &key).unwrap();
    let presentation = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": did,
        "verifiableCredential": [inner],
    });
    let signed = secure(&presentation, &proof(&method, "authentication", Some("seven")), &key).unwrap();
    let ask = |challenge: &str| json!({"verifiablePresentation": signed.clone(), "options": {"challenge": challenge}});
    let (status, answer) = world.verify("presentations", &ask("seven"));
    assert_eq!((status, &answer["verified"]), (200, &json!(true)), "{answer:#}");
    let (status, answer) = world.verify("presentations", &ask("eight"));
    assert_eq!((status, &answer["verified"]), (200, &json!(false)), "{answer:#}");
}

#[test]
fn whoever_has_no_token_learns_nothing_unless_the_verifier_is_open() {
    let world = World::start(Some(TOKEN));
    for token in ["", "another-token-of-more-than-thirty-two-characters"] {
        let (status, answer) = world.post("/credentials/verify", token, "application/json", "{}");
        assert_eq!(status, 401, "{answer}");
    }
    let open = World::start(None);
    let (status, answer) = open.post("/credentials/verify", "", "application/json", "{}");
    assert_eq!(status, 400, "{answer}");
}

#[test]
fn what_is_no_request_is_refused() {
    let world = World::start(Some(TOKEN));
    let post = |media_type, body: &str| world.post("/credentials/verify", TOKEN, media_type, body);
    assert_eq!(post("text/plain", "{}").0, 415);
    assert_eq!(post("application/json", "{").0, 400);
    assert_eq!(post("application/json", "[]").0, 400);
    assert_eq!(post("application/json", r#"{"verifiableCredential":7}"#).0, 400);
    // Deeper than anything is read.
    assert_eq!(post("application/json", &"[".repeat(10_000)).0, 413);
    assert_eq!(post("application/json", &" ".repeat(1024 * 1024 + 1)).0, 413);
}

#[test]
fn the_description_of_the_interface_is_up_to_date() {
    let copy = "../../specs/openapi/aval-identityd-verifier.json";
    let text = public::openapi_json();
    if std::env::var_os("AVAL_GENERATE").is_some() {
        std::fs::write(copy, &text).unwrap();
    }
    let kept = std::fs::read_to_string(copy).unwrap_or_default();
    assert!(kept == text, "{copy} is not up to date: run this test with AVAL_GENERATE=1");
}
