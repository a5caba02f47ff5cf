//! Sessions of the program itself: its tokens, its judge, its two sides. The issuer's DID is its key; the ledger does
//! not answer.

use crate::storage::{Entry, OperatorRow, Records, Role};
use crate::verifier::config::{Accredited, Config, Home};
use crate::verifier::identity::{ClientIdKind, WalletsConfig};
use crate::verifier::public::{self, Public};
use crate::verifier::service;
use aval_credential::{CredentialDraft, issue};
use aval_did::SigningKey;
use aval_did::holder::HolderDid;
use aval_machine::testkit::Kit;
use aval_openid::vp::dcql::Candidate;
use aval_openid::vp::sd_jwt::{self, Binding};
use aval_openid::vp::{Invitation, Node, TransactionData, Verified, Wanted};
use aval_openid::{HttpRequest, HttpResponse, UrlPolicy};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

const TOKEN: &str = "a-token-of-more-than-thirty-two-characters";

fn holder() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).unwrap()
}

fn issuer() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

/// A running verifier with both its sides. It ends with its runtime.
struct World {
    url: String,
    records: Records,
    runtime: tokio::runtime::Runtime,
    kit: Kit,
    _folder: tempfile::TempDir,
}

struct Reply {
    status: u16,
    content_type: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn response(&self) -> HttpResponse<'_> {
        HttpResponse { status: self.status, content_type: Some(&self.content_type), body: &self.body }
    }
}

impl World {
    fn start(open: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let bind = || runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let (listener, wallets) = (bind(), bind());
        let kit = Kit::new(7);
        let key = &kit.issuer;
        let seed = aval_codec::b64u::encode(key.authentication.to_seed().as_slice());
        let keys = json!({
            "did": key.did.to_string(), "documentKeys": {"#key-1": {"algorithm": "EdDSA", "seed": seed}},
        });
        let path = folder.path().join("keys.json");
        std::fs::write(&path, keys.to_string()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = Config {
            issuer_keys: Default::default(),
            listen: listener.local_addr().unwrap(),
            // Nobody answers there.
            node: "http://127.0.0.1:1".to_owned(),
            open,
            domain: None,
            accreditation: Accredited::OfLedger,
            allowed_hosts: Vec::new(),
            database: None,
            trusted_roots: None,
            wallets: Some(WalletsConfig {
                listen: wallets.local_addr().unwrap(),
                public_url: format!("http://{}/asks", wallets.local_addr().unwrap()),
                client_id: ClientIdKind::Did,
                certificates: None,
                keys: crate::issuer::config::KeysConfig::default(),
            }),
        };
        config.validate().unwrap();
        let identity = config.wallets.as_ref().unwrap().open(&Home(folder.path().to_owned())).unwrap();
        let checkpoint = folder.path().join("checkpoint.json");
        let sources = service::sources(&config, kit.genesis_bytes().to_vec(), &checkpoint).unwrap();
        let records = runtime.block_on(Records::open(&folder.path().join("verifier.sqlite"))).unwrap();
        let side = Public::new(Arc::new(sources), records.clone(), &config, TOKEN, Some(identity));
        let (router, for_wallets) = (public::router(side.clone()), public::wallet_router(&side).unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        runtime.spawn(async move { axum::serve(wallets, for_wallets).await });
        Self { url: format!("http://{}", config.listen), records, runtime, kit, _folder: folder }
    }

    fn operator(&self, name: &str, role: Role) -> String {
        let token = format!("the-token-of-{name}-which-is-long-enough");
        let row = OperatorRow { id: name.to_owned(), name: name.to_owned(), role, created_s: 0 };
        let entry = Entry::of("test", "operator.created", name, 0);
        assert!(self.runtime.block_on(self.records.add_operator(&row, &token, &entry)).unwrap());
        token
    }

    fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.allow_non_standard_methods(true).build().new_agent();
        let mut answer = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
        Reply {
            status: answer.status().as_u16(),
            content_type: content_type.unwrap_or_default().to_owned(),
            body: answer.body_mut().read_to_vec().unwrap(),
        }
    }

    fn office(&self, method: &str, path: &str, token: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(method, &format!("{}{path}", self.url), &headers, body.as_bytes())
    }

    fn wallet(&self, request: &HttpRequest) -> Reply {
        let media_type = request.content_type.unwrap_or("text/plain");
        self.send("POST", &request.url, &[("content-type", media_type)], &request.body)
    }

    fn ask(&self, question: &Value) -> Value {
        let reply = self.office("POST", "/v1/presentations", TOKEN, &question.to_string());
        assert_eq!(reply.status, 201, "{}", reply.json());
        reply.json()
    }

    /// The wallet up to the point where the user decides. It knows the key of the verifier.
    fn open(&self, asked: &Value) -> Verified {
        let link = Invitation::parse(asked["link"].as_str().unwrap(), UrlPolicy::LOOPBACK).unwrap();
        let Invitation::Reference(reference) = link else { panic!("the request is fetched") };
        let reply = self.wallet(&reference.request("a-nonce-of-the-wallet"));
        let now_s = crate::clock::now_s();
        let unverified = reference.on_response(&reply.response(), "a-nonce-of-the-wallet", now_s).unwrap();
        let Wanted::Did { did, key_id } = unverified.wanted().unwrap() else { panic!("a DID") };
        assert_eq!((did.to_owned(), key_id.to_owned()), {
            let did = self.kit.issuer.did.to_string();
            (did.clone(), format!("{did}#key-1"))
        });
        unverified.verify_with_key(&self.kit.issuer.authentication.public()).unwrap()
    }

    /// Answers with a credential of this issuer, and says what came of it.
    fn answer(&self, asked: &Value, issuer: &str, key_id: &str) -> Value {
        let verified = self.open(asked);
        let now_s = crate::clock::now_s();
        let issued = credential(issuer, key_id);
        let claims = Node::of_sd_jwt(&issued).unwrap();
        let types = ["Diploma".to_owned()];
        let candidate = Candidate {
            format: "vc+sd-jwt",
            vct: None,
            types: &types,
            claims: &claims,
            authorities: &[],
            holder_bound: true,
        };
        let selected = verified.request().query.credentials()[0].select(&candidate).unwrap();
        let (nonce, audience) = verified.binding();
        let agreed: Vec<&TransactionData> = verified.request().transaction_data.iter().collect();
        let binding = Binding { nonce, audience: &audience, issued_at_s: now_s, transaction_data: &agreed };
        let text = sd_jwt::present(&issued, &claims.disclosures(&selected), &holder(), &binding).unwrap();
        let token = BTreeMap::from([("diploma".to_owned(), vec![Value::from(text)])]);
        assert_eq!(self.wallet(&verified.respond(token).unwrap()).status, 200);
        let id = asked["id"].as_str().unwrap();
        self.office("GET", &format!("/v1/presentations/{id}?waitS=5"), TOKEN, "").json()
    }
}

fn credential(issuer_did: &str, key_id: &str) -> String {
    let now_s = crate::clock::now_s();
    let draft = CredentialDraft {
        issuer: issuer_did.to_owned(),
        key_id: key_id.to_owned(),
        id: None,
        contexts: Vec::new(),
        types: vec!["Diploma".to_owned()],
        subject_id: None,
        claims: BTreeMap::from([("name".to_owned(), "Ada".into()), ("grade".to_owned(), "A".into())]),
        disclosable: BTreeSet::from(["name".to_owned(), "grade".to_owned()]),
        status: Vec::new(),
        valid_from_s: now_s - 30,
        valid_until_s: Some(now_s + 3600),
        holder_key: Some(holder().public()),
        schema: None,
    };
    let mut next = 0;
    let mut salt = || {
        next += 1;
        [next; 16]
    };
    issue(&draft, &issuer(), &mut salt).unwrap()
}

fn question() -> Value {
    json!({"query": {"credentials": [{
        "id": "diploma",
        "format": "vc+sd-jwt",
        "meta": {"type_values": [["Diploma"]]},
        "claims": [{"path": ["credentialSubject", "name"]}],
    }]}})
}

fn by_key() -> (String, String) {
    let did = HolderDid::did_key(&issuer().public());
    (did.as_str().to_owned(), did.key_id())
}

#[test]
fn what_a_wallet_shows_is_judged_by_the_strict_verifier_and_its_transaction_is_agreed_to() {
    let world = World::start(false);
    let (did, key_id) = by_key();
    let outcome = world.answer(&world.ask(&question()), &did, &key_id);
    assert_eq!(outcome["conclusion"]["outcome"], "verified", "{outcome:#}");
    let credential = &outcome["conclusion"]["result"]["credentials"][0];
    assert_eq!(credential["claims"]["credentialSubject"], json!({"name": "Ada"}));
    assert!(credential["report"]["checks"].as_array().is_some_and(|checks| checks.len() > 5), "{outcome:#}");

    let mut question = question();
    question["transactionData"] =
        json!([{"type": "payment", "credential_ids": ["diploma"], "amount": "10 EUR"}]);
    let outcome = world.answer(&world.ask(&question), &did, &key_id);
    assert_eq!(outcome["conclusion"]["outcome"], "verified", "{outcome:#}");
}

#[test]
fn no_and_could_not_be_checked_are_different_outcomes_and_neither_shows_a_claim() {
    let world = World::start(false);
    // It names an issuer whose key did not sign it.
    let other = HolderDid::did_key(&holder().public());
    let rejected = world.answer(&world.ask(&question()), other.as_str(), &other.key_id());
    assert_eq!(rejected["conclusion"]["outcome"], "rejected", "{rejected:#}");
    let unknown = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    let undecided = world.answer(&world.ask(&question()), unknown, &format!("{unknown}#key-1"));
    assert_eq!(undecided["conclusion"]["outcome"], "undecided", "{undecided:#}");
    for outcome in [rejected, undecided] {
        assert!(!outcome.to_string().contains("Ada"), "{outcome:#}");
    }
}

#[test]
fn relying_parties_need_a_token_of_a_role_and_wallets_none() {
    for open in [false, true] {
        let world = World::start(open);
        let verifier = world.operator("shop", Role::Verifier);
        let viewer = world.operator("auditor", Role::Viewer);
        let body = question().to_string();
        let asked = world.ask(&question());
        let path = format!("/v1/presentations/{}", asked["id"].as_str().unwrap());
        let events = format!("{path}/events");
        let requests = [
            ("POST", "/v1/presentations", body.as_str()),
            ("GET", path.as_str(), ""),
            ("GET", events.as_str(), ""),
            ("DELETE", path.as_str(), ""),
        ];
        for (method, path, body) in requests {
            assert_eq!(world.office(method, path, "", body).status, 401, "{method} {path}");
            assert_eq!(world.office(method, path, "a-token-of-nobody-at-all", body).status, 401);
            assert_eq!(world.office(method, path, &viewer, body).status, 403, "{method} {path}");
        }
        assert_eq!(world.office("POST", "/v1/presentations", &verifier, &body).status, 201);
        assert_eq!(world.office("GET", &path, &verifier, "").status, 200);
        assert_eq!(world.office("GET", "/metrics", &verifier, "").status, 200);
        assert_eq!(world.office("GET", "/metrics", "", "").status, 401);
        let verify = world.office("POST", "/credentials/verify", "", "{}").status;
        assert_eq!(verify, if open { 400 } else { 401 });
        // The side of wallets has nothing else, and needs no token.
        world.open(&asked);
        let link = asked["link"].as_str().unwrap();
        let wallets = url::form_urlencoded::parse(link.split_once('?').unwrap().1.as_bytes())
            .find_map(|(name, value)| (name == "request_uri").then(|| value.into_owned()))
            .unwrap();
        let wallets = wallets.split("/asks/").next().unwrap().to_owned();
        for path in ["/v1/presentations", "/credentials/verify", "/metrics", "/docs/"] {
            let reply = world.send("GET", &format!("{wallets}{path}"), &[], b"");
            assert_eq!(
                (reply.status, reply.json()["error"].as_str()),
                (404, Some("invalid_request")),
                "{path}"
            );
        }
        let denied =
            world.runtime.block_on(world.records.audit("POST /v1/presentations", i64::MAX, 10)).unwrap();
        assert!(denied.iter().any(|line| line.operator == "auditor" && line.event == "access.denied"));
    }
}

#[test]
fn a_question_can_be_followed_and_removed_and_says_no_claim_on_the_way() {
    let world = World::start(false);
    let (did, key_id) = by_key();
    let asked = world.ask(&question());
    let path = format!("/v1/presentations/{}", asked["id"].as_str().unwrap());
    world.answer(&asked, &did, &key_id);
    let events = world.office("GET", &format!("{path}/events"), TOKEN, "");
    assert_eq!((events.status, events.content_type.as_str()), (200, "text/event-stream"));
    let text = String::from_utf8(events.body).unwrap();
    assert!(text.contains("event: state") && text.contains(r#""state":"concluded""#), "{text}");
    assert!(!text.contains("Ada"), "{text}");
    assert_eq!(world.office("DELETE", &path, TOKEN, "").status, 204);
    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/events"))]
    {
        assert_eq!(world.office(method, &path, TOKEN, "").status, 404);
    }
}

#[test]
fn a_question_expires_and_what_is_no_question_is_refused() {
    let world = World::start(false);
    let mut short = question();
    short["lifeS"] = 1.into();
    let asked = world.ask(&short);
    let verified = world.open(&asked);
    let path = format!("/v1/presentations/{}?waitS=5", asked["id"].as_str().unwrap());
    assert_eq!(world.office("GET", &path, TOKEN, "").json()["state"], "expired");
    let late = world.wallet(&verified.refuse("access_denied").unwrap());
    assert_eq!((late.status, late.json()["error"].as_str()), (400, Some("invalid_request")));
    let twice = r#"{"query":{"credentials":[]},"query":{"credentials":[]}}"#;
    let large = json!({"query": {"credentials": []}, "clientName": "x".repeat(2 * 1024 * 1024)}).to_string();
    for body in ["", "[]", twice] {
        assert_eq!(world.office("POST", "/v1/presentations", TOKEN, body).status, 422);
    }
    // Asks first whether to send it: who does not ask may be cut off while it still sends.
    let bearer = format!("Bearer {TOKEN}");
    let json = ("content-type", "application/json");
    let headers = [("authorization", bearer.as_str()), json, ("expect", "100-continue")];
    let url = format!("{}/v1/presentations", world.url);
    assert_eq!(world.send("POST", &url, &headers, large.as_bytes()).status, 413);
    for (name, value) in [("lifeS", json!(100_000)), ("clientName", json!("x".repeat(300))), ("x", json!(1))]
    {
        let mut wrong: Map<String, Value> = question().as_object().unwrap().clone();
        wrong.insert(name.to_owned(), value);
        let body = Value::Object(wrong).to_string();
        assert_eq!(world.office("POST", "/v1/presentations", TOKEN, &body).status, 422, "{name}");
    }
}
