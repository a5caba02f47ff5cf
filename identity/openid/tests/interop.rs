//! Another implementation of OpenID4VCI and OpenID4VP against this one, in both directions: npm
//! `@openid4vc/openid4vci`, `@openid4vc/openid4vp` and `jose`. Needs the network on the first run, therefore
//! not part of every run: `cargo nextest run --release -p aval-openid --run-ignored only`.

use aval_credential::verify::{Expectation, KeyBindingPolicy, verify};
use aval_credential::{CredentialDraft, Limits, Presentation, issue};
use aval_did::holder::HolderDid;
use aval_did::key::{PublicKey, SigningKey};
use aval_openid::http::JSON;
use aval_openid::jwe::DecryptionKey;
use aval_openid::jwt::KeyName;
use aval_openid::oauth::Credentials;
use aval_openid::oauth::authorization::{Authorization, CodeRequest, Pushed};
use aval_openid::oauth::dpop::{self, Proof};
use aval_openid::vci::issuer::Session as IssuerSession;
use aval_openid::vci::token::nonce_response;
use aval_openid::vci::{
    AuthorizationServerMetadata, CredentialConfiguration, CredentialOffer, CredentialRequest,
    CredentialResponse, Issuer, IssuerMetadata, Notification, TokenRequest, TokenResponse,
    TransactionCodeSpec,
};
use aval_openid::vp::dcql::{Candidate, Query};
use aval_openid::vp::request::MEDIA_TYPE;
use aval_openid::vp::sd_jwt::{self, Binding};
use aval_openid::vp::{Answer, ClientId, Invitation, Node, Secrets, Session, SessionDraft};
use aval_openid::{ErrorResponse, HttpResponse, UrlPolicy};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const ISSUER: &str = "https://issuer.example";
const ISSUER_DID: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
const TX_CODE: &str = "493536";
const RESPONSE_URI: &str = "https://verifier.example/answers/1";
const REQUEST_URI: &str = "https://verifier.example/requests/1";

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// The other implementation.
struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(task: &Value) -> Self {
        let path = "../../tests/interop/openid/run";
        let mut child = Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut other = Self { child, input, output };
        other.say(task);
        other
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
        self.input.flush().unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let message: Value = serde_json::from_str(&line).unwrap();
        assert!(message.get("failed").is_none(), "{}", message["failed"].as_str().unwrap_or_default());
        message
    }

    /// Answers its requests until it is done.
    fn serve(&mut self, answer: &mut dyn FnMut(&Value) -> Reply) -> Value {
        loop {
            let mut message = self.hear();
            if let Some(request) = message.get("fetch") {
                let reply = answer(request);
                let message = json!({"status": reply.status, "headers": reply.headers, "body": reply.body});
                self.say(&message);
            } else {
                return message["done"].take();
            }
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Reply {
    status: u16,
    headers: Value,
    body: String,
}

impl Reply {
    fn of(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = String::from_utf8(body.into()).unwrap();
        Self { status, headers: json!({ "content-type": content_type }), body }
    }
}

/// An issuing service, in memory.
struct World {
    issuer: Issuer,
    session: Option<IssuerSession>,
    authorization: Option<Authorization>,
    notified: bool,
    proofs: BTreeSet<String>,
}

impl World {
    fn new() -> Self {
        let metadata = IssuerMetadata::new(ISSUER)
            .with_later(4)
            .with_configuration("diploma", CredentialConfiguration::vc_sd_jwt("Diploma", "A diploma"));
        let issuer = Issuer::new(metadata);
        Self { issuer, session: None, authorization: None, notified: false, proofs: BTreeSet::new() }
    }

    fn answer(&mut self, request: &Value) -> Reply {
        let url = request["url"].as_str().unwrap();
        let path = url.strip_prefix(ISSUER).unwrap_or_else(|| panic!("a request to {url}"));
        let body = request["body"].as_str().unwrap().as_bytes();
        let outcome = match path.split('?').next().unwrap() {
            "/offers/1" => Ok(Reply::of(200, JSON, self.offer().to_json())),
            "/.well-known/openid-credential-issuer" => {
                Ok(Reply::of(200, JSON, self.issuer.metadata.to_json()))
            }
            "/.well-known/oauth-authorization-server" => {
                let metadata = AuthorizationServerMetadata::new(ISSUER).with_authorization_code();
                Ok(Reply::of(200, JSON, metadata.to_json()))
            }
            "/nonce" => Ok(Reply::of(200, JSON, nonce_response("nonce-1"))),
            "/par" => self.push(request, body),
            "/authorize" => self.authorize(path),
            "/token" => self.token(request, body),
            "/credential" => self.credential(request, body),
            "/notification" => self.proof(request, Some("token-1")).and_then(|_| {
                let notification = Notification::parse(body)?;
                self.notified = notification.notification_id == "note-1";
                Ok(Reply::of(204, JSON, ""))
            }),
            _ => Ok(Reply::of(404, JSON, "{}")),
        };
        outcome.unwrap_or_else(|error| Reply::of(error.status, JSON, error.body()))
    }

    fn offer(&mut self) -> CredentialOffer {
        let tx_code = Some((TX_CODE, [7; 32], TransactionCodeSpec::digits(6)));
        let (offer, session) =
            self.issuer.offer(vec!["diploma".to_owned()], "code-0".to_owned(), tx_code, now_s());
        self.session = Some(session);
        offer
    }

    /// The proof that came along, used for the first time.
    fn proof(&mut self, request: &Value, token: Option<&str>) -> Result<Option<Proof>, ErrorResponse> {
        let Some(text) = request["headers"]["dpop"].as_str() else { return Ok(None) };
        let expected = dpop::Expectation {
            method: request["method"].as_str().unwrap(),
            url: request["url"].as_str().unwrap(),
            access_token: token,
            now_s: now_s(),
            age_max_s: 60,
            skew_s: 10,
        };
        let proof = Proof::verify(text, &expected)?;
        assert!(self.proofs.insert(proof.replay_key.to_string()), "a proof came twice");
        Ok(Some(proof))
    }

    fn push(&mut self, request: &Value, body: &[u8]) -> Result<Reply, ErrorResponse> {
        let proof = self.proof(request, None)?;
        let thumbprint = proof.as_ref().map(|proof| proof.thumbprint.as_str());
        let pushed = Pushed::parse(body, &self.issuer.metadata.scopes(), thumbprint)?;
        self.authorization = Some(Authorization::new(pushed, now_s()));
        Ok(Reply::of(201, JSON, Authorization::pushed_response("name-1")))
    }

    fn authorize(&mut self, path: &str) -> Result<Reply, ErrorResponse> {
        let parameters = aval_openid::oauth::form(path.split_once('?').unwrap().1.as_bytes())?;
        assert!(parameters["request_uri"].ends_with("name-1"));
        let authorization = self.authorization.as_mut().unwrap();
        authorization.open(&parameters["client_id"], now_s())?;
        let back = authorization.grant("code-1", ISSUER, now_s())?;
        Ok(Reply { status: 200, headers: json!({ "location": back }), body: String::new() })
    }

    fn token(&mut self, request: &Value, body: &[u8]) -> Result<Reply, ErrorResponse> {
        let proof = self.proof(request, None)?.ok_or(ErrorResponse::invalid_dpop_proof("it is missing"))?;
        if let Ok(code) = CodeRequest::parse(body) {
            let authorization = self.authorization.as_mut().unwrap();
            authorization.redeem(&code, Some(&proof.thumbprint), now_s())?;
            let ids = authorization.pushed().configuration_ids.clone();
            self.session = Some(IssuerSession::authorized(ids, now_s() + 300));
        } else {
            self.session.as_mut().unwrap().redeem(&TokenRequest::parse(body)?, now_s())?;
        }
        self.session.as_mut().unwrap().bind(proof.thumbprint);
        Ok(Reply::of(200, JSON, TokenResponse::dpop("token-1".to_owned(), 300).to_json()))
    }

    fn credential(&mut self, request: &Value, body: &[u8]) -> Result<Reply, ErrorResponse> {
        let credentials = Credentials::parse(request["headers"]["authorization"].as_str())?;
        let token = credentials.token().to_owned();
        let proof = self.proof(request, Some(&token))?;
        let session = self.session.as_ref().unwrap();
        let thumbprint = proof.as_ref().map(|proof| proof.thumbprint.as_str());
        Credentials::parse(request["headers"]["authorization"].as_str())?
            .check(thumbprint, session.bound())?;
        let accepted = self.issuer.accept(session, &CredentialRequest::parse(body)?, now_s())?;
        assert_eq!(accepted.nonce, "nonce-1");
        let made = accepted.holders().map(|holder| Value::from(diploma(&holder.key))).collect();
        Ok(Reply::of(200, JSON, CredentialResponse::of_all(made, Some("note-1".to_owned())).to_json()))
    }
}

fn diploma(holder: &PublicKey) -> String {
    let draft = CredentialDraft {
        issuer: ISSUER_DID.to_owned(),
        key_id: format!("{ISSUER_DID}#key-1"),
        id: None,
        contexts: Vec::new(),
        types: vec!["Diploma".to_owned()],
        subject_id: None,
        claims: BTreeMap::from([("name".to_owned(), "Ada".into()), ("grade".to_owned(), "A".into())]),
        disclosable: BTreeSet::from(["name".to_owned(), "grade".to_owned()]),
        status: Vec::new(),
        valid_from_s: now_s() - 60,
        valid_until_s: Some(now_s() + 3600),
        holder_key: Some(*holder),
        schema: None,
    };
    let mut next = 0;
    let mut salt = || {
        next += 1;
        [next; 16]
    };
    issue(&draft, &issuer_key(), &mut salt).unwrap()
}

fn issuer_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn holder_key() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).unwrap()
}

fn query() -> Value {
    json!({"credentials": [{
        "id": "diploma",
        "format": "vc+sd-jwt",
        "meta": {"type_values": [["Diploma"]]},
        "claims": [{"path": ["credentialSubject", "name"]}],
    }]})
}

/// Our wallet's presentation for an occasion.
fn presented(nonce: &str, audience: &str) -> String {
    let issued = diploma(&holder_key().public());
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
    let selected = Query::from_value(query()).unwrap().credentials()[0].select(&candidate).unwrap();
    let binding = Binding { nonce, audience, issued_at_s: now_s(), transaction_data: &[] };
    sd_jwt::present(&issued, &claims.disclosures(&selected), &holder_key(), &binding).unwrap()
}

fn is_valid(text: &str, nonce: &str, audience: &str) -> bool {
    let presentation = Presentation::parse(text.as_bytes(), &Limits::EDGE).unwrap();
    let key_binding = KeyBindingPolicy::Required { nonce, audience, age_max_s: 300 };
    let expectation = Expectation { now_s: now_s(), clock_skew_s: 60, key_binding };
    verify(&presentation, &expectation, |_, _| Ok(Some(issuer_key().public()))).unwrap().is_valid()
}

fn check_received(done: &Value, world: &World) {
    let credentials = done["credentials"].as_array().unwrap();
    assert_eq!(credentials.len(), 2);
    for one in credentials {
        let text = one.as_str().unwrap();
        let presentation = Presentation::parse(text.as_bytes(), &Limits::EDGE).unwrap();
        presentation.verify_issuer_signature(&issuer_key().public()).unwrap();
    }
    assert!(world.notified);
}

#[test]
#[ignore = "installs JavaScript libraries"]
fn their_wallet_receives_a_batch_with_a_transaction_code_and_a_bound_token() {
    let mut world = World::new();
    let offer = CredentialOffer::uri_by_reference("https://issuer.example/offers/1");
    let task = json!({"play": "issue", "offer": offer, "txCode": TX_CODE, "configuration": "diploma"});
    let done = Other::start(&task).serve(&mut |request| world.answer(request));
    check_received(&done, &world);
}

#[test]
#[ignore = "installs JavaScript libraries"]
fn their_wallet_receives_by_authorization_code() {
    let mut world = World::new();
    let offer = CredentialOffer::with_authorization(ISSUER, vec!["diploma".to_owned()], "state-1".to_owned())
        .to_uri();
    let task = json!({"play": "authorize", "offer": offer, "scope": "Diploma", "configuration": "diploma"});
    let done = Other::start(&task).serve(&mut |request| world.answer(request));
    check_received(&done, &world);
    assert_eq!(world.authorization.unwrap().pushed().issuer_state.as_deref(), Some("state-1"));
}

#[test]
#[ignore = "installs JavaScript libraries"]
fn their_wallet_presents_to_our_verifier() {
    for encrypted in [false, true] {
        let signer = SigningKey::p256_from_seed(&[9; 32]).unwrap();
        let did = HolderDid::did_jwk(&signer.public());
        let draft = SessionDraft {
            query: Query::from_value(query()).unwrap(),
            transaction_data: Vec::new(),
            encrypted,
            redirect_uri: None,
            client_metadata: BTreeMap::new(),
            life_s: 300,
        };
        let secrets = Secrets {
            nonce: "nonce-of-sixteen-bytes-at-least".to_owned(),
            state: "state-of-sixteen-bytes-at-least".to_owned(),
            response_code: "code".to_owned(),
            decryption: DecryptionKey::generate(),
        };
        let client_id = ClientId::Did(did.as_str().to_owned());
        let mut session =
            Session::new(&draft, client_id, RESPONSE_URI, &secrets, UrlPolicy::HTTPS, now_s()).unwrap();
        let link = session.link("openid4vp://", REQUEST_URI, false);
        let mut other = Other::start(&json!({"play": "present", "link": link}));

        let request = other.hear();
        assert_eq!(request["fetch"]["url"], REQUEST_URI);
        let name = did.key_id();
        let object = session.request_object(&signer, KeyName::Id(&name), None, now_s()).unwrap().unwrap();
        other.say(&json!({"status": 200, "headers": {"content-type": MEDIA_TYPE}, "body": object}));
        let resolved = other.hear();
        assert_eq!(resolved["resolved"]["prefix"], "decentralized_identifier");
        assert_eq!(resolved["resolved"]["dcql_query"], query());
        let text = presented(session.nonce(), session.audience());
        other.say(&json!({"vpToken": {"diploma": [text]}}));

        let mut answered = None;
        let done = other.serve(&mut |request| {
            assert_eq!(request["url"], RESPONSE_URI);
            answered = Some(session.accept(request["body"].as_str().unwrap().as_bytes(), now_s()).unwrap());
            Reply::of(200, JSON, session.reply())
        });
        assert_eq!(done["status"], 200);
        let Some(Answer::Presentations(all)) = answered else { panic!("presentations came") };
        let text = all["diploma"][0].as_str().unwrap();
        assert!(is_valid(text, session.nonce(), session.audience()));
    }
}

#[test]
#[ignore = "installs JavaScript libraries"]
fn our_wallet_presents_to_their_verifier() {
    for mode in ["direct_post", "direct_post.jwt"] {
        let mut other = Other::start(&json!({"play": "ask", "query": query(), "responseMode": mode}));
        let asked = other.hear();
        let link = asked["asked"]["link"].as_str().unwrap();
        let Invitation::Reference(reference) = Invitation::parse(link, UrlPolicy::HTTPS).unwrap() else {
            panic!("the request is fetched")
        };
        let object = asked["asked"]["object"].as_str().unwrap();
        let response = HttpResponse { status: 200, content_type: Some(MEDIA_TYPE), body: object.as_bytes() };
        let unverified = reference.on_response(&response, "unused", now_s()).unwrap();
        let aval_openid::vp::Wanted::Did { key_id, .. } = unverified.wanted().unwrap() else {
            panic!("a DID")
        };
        let key = HolderDid::key_of(key_id).unwrap();
        let verified = unverified.verify_with_key(&key).unwrap();
        let (nonce, audience) = verified.binding();
        let text = presented(nonce, &audience);
        let request = verified
            .respond(BTreeMap::from([("diploma".to_owned(), vec![Value::from(text.clone())])]))
            .unwrap();
        other.say(&json!({"form": String::from_utf8(request.body).unwrap()}));
        let done = other.serve(&mut |request| panic!("no request is due: {request}"));
        assert_eq!(done["presentations"]["diploma"], json!([text]), "{mode}");
        assert_eq!(done["nonce"], nonce);
    }
}
