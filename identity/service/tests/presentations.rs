//! A relying party asks, a wallet answers, and the relying party learns what came of it, over the records and HTTP.

use aval_credential::verify::{Expectation, KeyBindingPolicy, verify};
use aval_credential::{CredentialDraft, Limits, Presentation, issue};
use aval_did::holder::HolderDid;
use aval_did::key::SigningKey;
use aval_identity::storage::Records;
use aval_identity::verifier::presentations::{
    Case, Identity, Judge, Judgement, Presentations, relying_party_router, wallet_router,
};
use aval_openid::vp::dcql::Candidate;
use aval_openid::vp::sd_jwt::{self, Binding};
use aval_openid::vp::{Invitation, Node, Reference, Verified};
use aval_openid::{HttpRequest, HttpResponse, UrlPolicy};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const ISSUER: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
const FORM: &str = "application/x-www-form-urlencoded";

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn issuer_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn holder_key() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).unwrap()
}

/// Verifies the ledger's form of credentials; knows one issuer, or cannot find out.
struct OneIssuer {
    reachable: bool,
}

impl Judge for OneIssuer {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        let text = case.presentation.as_str().unwrap_or_default();
        let mut judgement = Judgement {
            verified: Some(false),
            report: Value::Null,
            claims: Value::Null,
            vct: None,
            types: Vec::new(),
            holder_bound: true,
            authorities: Vec::new(),
        };
        let Ok(presentation) = Presentation::parse(text.as_bytes(), &Limits::EDGE) else { return judgement };
        let key_binding =
            KeyBindingPolicy::Required { nonce: case.nonce, audience: case.audience, age_max_s: 300 };
        let expectation = Expectation { now_s: case.now_s, clock_skew_s: 60, key_binding };
        let key = |did: &str, _: &str| match self.reachable {
            true => Ok((did == ISSUER).then(|| issuer_key().public())),
            false => Err("the ledger cannot be reached".to_owned()),
        };
        judgement.verified = verify(&presentation, &expectation, key).ok().map(|verdict| verdict.is_valid());
        judgement.types = presentation.types().to_vec();
        judgement.claims = Node::of_sd_jwt(text).unwrap().to_value();
        judgement
    }
}

struct World {
    url: String,
    _folder: tempfile::TempDir,
}

struct Reply {
    status: u16,
    content_type: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn response(&self) -> HttpResponse<'_> {
        HttpResponse { status: self.status, content_type: Some(&self.content_type), body: &self.body }
    }
}

impl World {
    async fn start(reachable: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let signer = SigningKey::p256_from_seed(&[9; 32]).unwrap();
        let did = HolderDid::did_jwk(&signer.public());
        let presentations = Arc::new(Presentations {
            public_url: url.clone(),
            identity: Identity::Did { did: did.as_str().to_owned(), key_id: did.key_id() },
            signer: Arc::new(signer),
            records: Records::open(&folder.path().join("verifier.sqlite")).await.unwrap(),
            judge: Arc::new(OneIssuer { reachable }),
            policy: UrlPolicy::LOOPBACK,
        });
        let router = wallet_router(presentations.clone(), "").merge(relying_party_router(presentations));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, _folder: folder }
    }

    async fn send(&self, method: &str, url: &str, content_type: Option<&str>, body: Vec<u8>) -> Reply {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(body).unwrap();
        let ask = move || {
            let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
            let mut answer =
                config.allow_non_standard_methods(true).build().new_agent().run(request).unwrap();
            let content_type =
                answer.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
            Reply {
                status: answer.status().as_u16(),
                content_type: content_type.unwrap_or_default(),
                body: answer.body_mut().read_to_vec().unwrap(),
            }
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    async fn post(&self, request: &HttpRequest) -> Reply {
        self.send("POST", &request.url, request.content_type, request.body.clone()).await
    }

    async fn ask(&self, more: Value) -> Value {
        let mut question = json!({"query": {"credentials": [{
            "id": "diploma",
            "format": "vc+sd-jwt",
            "meta": {"type_values": [["Diploma"]]},
            "claims": [{"path": ["credentialSubject", "name"]}],
        }]}});
        question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let url = format!("{}/v1/presentations", self.url);
        let reply =
            self.send("POST", &url, Some("application/json"), question.to_string().into_bytes()).await;
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    async fn outcome(&self, id: &str, query: &str) -> Reply {
        self.send("GET", &format!("{}/v1/presentations/{id}{query}", self.url), None, Vec::new()).await
    }

    /// The wallet up to the point where the user decides.
    async fn open(&self, asked: &Value) -> Verified {
        let reference = reference(asked);
        let reply = self.post(&reference.request("wallet-nonce")).await;
        let unverified = reference.on_response(&reply.response(), "wallet-nonce", now_s()).unwrap();
        let aval_openid::vp::Wanted::Did { key_id, .. } = unverified.wanted().unwrap() else {
            panic!("a DID")
        };
        let key = HolderDid::key_of(key_id).unwrap();
        unverified.verify_with_key(&key).unwrap()
    }
}

fn reference(asked: &Value) -> Reference {
    match Invitation::parse(asked["link"].as_str().unwrap(), UrlPolicy::LOOPBACK).unwrap() {
        Invitation::Reference(reference) => reference,
        Invitation::Value(_) => panic!("the request is fetched"),
    }
}

fn credential() -> String {
    let draft = CredentialDraft {
        issuer: ISSUER.to_owned(),
        key_id: format!("{ISSUER}#key-1"),
        id: None,
        contexts: Vec::new(),
        types: vec!["Diploma".to_owned()],
        subject_id: None,
        claims: BTreeMap::from([("name".to_owned(), "Ada".into()), ("grade".to_owned(), "A".into())]),
        disclosable: BTreeSet::from(["name".to_owned(), "grade".to_owned()]),
        status: Vec::new(),
        valid_from_s: now_s() - 60,
        valid_until_s: Some(now_s() + 3600),
        holder_key: Some(holder_key().public()),
        schema: None,
    };
    let mut next = 0;
    let mut salt = || {
        next += 1;
        [next; 16]
    };
    issue(&draft, &issuer_key(), &mut salt).unwrap()
}

/// The wallet's answer, bound to this nonce.
fn answer(verified: &Verified, nonce: &str) -> HttpRequest {
    let issued = credential();
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
    let (_, audience) = verified.binding();
    let binding = Binding { nonce, audience: &audience, issued_at_s: now_s(), transaction_data: &[] };
    let text = sd_jwt::present(&issued, &claims.disclosures(&selected), &holder_key(), &binding).unwrap();
    verified.respond(BTreeMap::from([("diploma".to_owned(), vec![Value::from(text)])])).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relying_party_learns_what_a_wallet_showed() {
    let world = World::start(true).await;
    let asked = world.ask(json!({})).await;
    let id = asked["id"].as_str().unwrap();
    assert_eq!(world.outcome(id, "").await.json()["state"], "waiting");
    let verified = world.open(&asked).await;
    assert_eq!(world.outcome(id, "").await.json()["state"], "fetched");
    let request = answer(&verified, verified.binding().0);
    let reply = world.post(&request).await;
    assert_eq!(reply.status, 200);
    let outcome = world.outcome(id, "?waitS=5").await.json();
    assert_eq!(outcome["conclusion"]["outcome"], "verified", "{outcome}");
    let subject = &outcome["conclusion"]["result"]["credentials"][0]["claims"]["credentialSubject"];
    assert_eq!(*subject, json!({"name": "Ada"}));
    assert_eq!(world.post(&request).await.status, 400, "a second answer is refused");
    assert_eq!(world.outcome(id, "").await.json(), outcome, "and changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_and_could_not_be_checked_are_different_outcomes() {
    let world = World::start(true).await;
    let asked = world.ask(json!({"encrypted": false})).await;
    let verified = world.open(&asked).await;
    world.post(&answer(&verified, "a-nonce-of-another-session")).await;
    let outcome = world.outcome(asked["id"].as_str().unwrap(), "").await.json();
    assert_eq!(outcome["conclusion"]["outcome"], "rejected");
    assert!(!outcome.to_string().contains("Ada"), "nothing is shown of what was not verified");

    let world = World::start(false).await;
    let asked = world.ask(json!({})).await;
    let verified = world.open(&asked).await;
    world.post(&answer(&verified, verified.binding().0)).await;
    let outcome = world.outcome(asked["id"].as_str().unwrap(), "").await.json();
    assert_eq!(outcome["conclusion"]["outcome"], "undecided");
    assert!(!outcome.to_string().contains("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_was_sent_on_gets_the_outcome() {
    let world = World::start(true).await;
    let asked = world.ask(json!({"redirectUri": "https://shop.example/done"})).await;
    let id = asked["id"].as_str().unwrap();
    let verified = world.open(&asked).await;
    let reply = world.post(&answer(&verified, verified.binding().0)).await;
    let there = verified.on_response(&reply.response()).unwrap().redirect_uri.unwrap();
    let code = there.split_once("response_code=").unwrap().1;
    assert_eq!(world.outcome(id, "").await.status, 403);
    assert_eq!(world.outcome(id, "?responseCode=another").await.status, 403);
    assert_eq!(world.outcome(id, &format!("?responseCode={code}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_answers_at_the_same_moment_one_counts() {
    let world = World::start(true).await;
    let asked = world.ask(json!({})).await;
    let verified = world.open(&asked).await;
    let request = answer(&verified, verified.binding().0);
    let (one, other) = tokio::join!(world.post(&request), world.post(&request));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(matches!(statuses[1], 400 | 409), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_question_or_an_answer_is_refused() {
    let world = World::start(true).await;
    let url = format!("{}/v1/presentations", world.url);
    for question in ["", "{}", r#"{"query":{}}"#, r#"{"query":{"credentials":[]},"lifeS":5}"#, "[1]"] {
        let reply = world.send("POST", &url, Some("application/json"), question.as_bytes().to_vec()).await;
        assert_eq!(reply.status, 422, "{question}");
        assert_eq!(reply.content_type, "application/problem+json");
    }
    assert_eq!(world.outcome("nobody", "").await.status, 404);
    let nobody = format!("{}/presentations/nobody", world.url);
    assert_eq!(world.send("GET", &format!("{nobody}/request"), None, Vec::new()).await.status, 404);
    assert_eq!(world.send("POST", &format!("{nobody}/answer"), Some(FORM), Vec::new()).await.status, 404);
    let asked = world.ask(json!({})).await;
    let there = format!("{}/presentations/{}/answer", world.url, asked["id"].as_str().unwrap());
    for (content_type, body) in [(None, "a=b"), (Some("application/json"), "{}"), (Some(FORM), "state=x")] {
        let reply = world.send("POST", &there, content_type, body.as_bytes().to_vec()).await;
        assert_eq!((reply.status, reply.content_type.as_str()), (400, "application/json"), "{body}");
    }
}
