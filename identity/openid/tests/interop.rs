//! Another implementation of OpenID4VCI and OpenID4VP against this one, in both directions: npm
//! `@openid4vc/openid4vci`, `@openid4vc/openid4vp` and `jose`. Needs the network on the first run, therefore
//! not part of every run: `make interop`.

#[path = "../../../tests/interop/matrix.rs"]
mod matrix;

use aval_credential::verify::{Expectation, KeyBindingPolicy, verify};
use aval_credential::{CredentialDraft, Limits, Presentation, issue};
use aval_did::holder::HolderDid;
use aval_did::key::{PublicKey, SigningKey};
use aval_openid::http::{JSON, Method};
use aval_openid::jwe::DecryptionKey;
use aval_openid::jwt::KeyName;
use aval_openid::oauth::Credentials;
use aval_openid::oauth::authorization::{Authorization, CodeRequest, Pushed};
use aval_openid::oauth::dpop::{self, Proof};
use aval_openid::vci::issuer::Session as IssuerSession;
use aval_openid::vci::token::nonce_response;
use aval_openid::vci::{
    AuthorizationServerMetadata, Authorized, CredentialConfiguration, CredentialOffer, CredentialRequest,
    CredentialResponse, Discovery, Issuer, IssuerMetadata, Notification, OfferLink, Redeemable, TokenRequest,
    TokenResponse, TransactionCodeSpec,
};
use aval_openid::vp::dcql::{Candidate, Query};
use aval_openid::vp::request::MEDIA_TYPE;
use aval_openid::vp::sd_jwt::{self, Binding};
use aval_openid::vp::{Answer, ClientId, Invitation, Node, Secrets, Session, SessionDraft};
use aval_openid::{ErrorResponse, HttpRequest, HttpResponse, UrlPolicy};
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
        self.hear_or_failure().unwrap_or_else(|reason| panic!("{reason}"))
    }

    fn hear_or_failure(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let message: Value = serde_json::from_str(&line).unwrap();
        match message.get("failed") {
            Some(reason) => Err(reason.as_str().unwrap_or_default().to_owned()),
            None => Ok(message),
        }
    }

    /// Answers its requests until it is done.
    fn serve(&mut self, answer: &mut dyn FnMut(&Value) -> Reply) -> Value {
        self.serve_or_failure(answer).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Answers its requests until it is done or gives up.
    fn serve_or_failure(&mut self, answer: &mut dyn FnMut(&Value) -> Reply) -> Result<Value, String> {
        loop {
            let mut message = self.hear_or_failure()?;
            if let Some(request) = message.get("fetch") {
                let reply = answer(request);
                let message = json!({"status": reply.status, "headers": reply.headers, "body": reply.body});
                self.say(&message);
            } else {
                return Ok(message["done"].take());
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

const VCI: &str = "OpenID4VCI";
const VP: &str = "OpenID4VP";
const LIBRARY: &str = "@openid4vc";

/// The text with another character at its end but for the last, which may hold bits that nobody reads.
fn spoiled(text: &str) -> String {
    let (left, right) = text.split_at(text.len() - 6);
    let other = if right.starts_with('A') { "B" } else { "A" };
    format!("{left}{other}{}", &right[1..])
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

/// What their wallet says when a message on the way is another; with the error that our issuer answered.
fn tampered(
    task: &Value,
    change_request: impl Fn(&mut Value),
    change_reply: impl Fn(&str, &mut Reply),
) -> (Result<Value, String>, Option<String>) {
    let (mut world, mut error) = (World::new(), None);
    let said = Other::start(task).serve_or_failure(&mut |request| {
        let mut request = request.clone();
        change_request(&mut request);
        let mut reply = world.answer(&request);
        if reply.status >= 400 {
            let body: Value = serde_json::from_str(&reply.body).unwrap();
            error = body["error"].as_str().map(str::to_owned);
        }
        change_reply(request["url"].as_str().unwrap(), &mut reply);
        reply
    });
    assert!(!world.notified, "a credential was accepted");
    (said, error)
}

#[test]
#[ignore = "installs JavaScript libraries"]
fn their_wallet_receives_a_batch_with_a_transaction_code_and_a_bound_token() {
    let mut world = World::new();
    let offer = CredentialOffer::uri_by_reference("https://issuer.example/offers/1");
    let task = json!({"play": "issue", "offer": offer, "txCode": TX_CODE, "configuration": "diploma"});
    let done = Other::start(&task).serve(&mut |request| world.answer(request));
    check_received(&done, &world);

    // Ours refuses: another transaction code, a proof of possession and one for the token under another signature.
    let (mut wrong, nothing) = (task.clone(), |_: &mut Value| {});
    wrong["txCode"] = json!("000000");
    let unchanged = |_: &str, _: &mut Reply| {};
    let (said, error) = tampered(&wrong, nothing, unchanged);
    assert_eq!((said.is_err(), error.as_deref()), (true, Some("invalid_grant")));
    let other_proof = |request: &mut Value| {
        if request["url"].as_str().unwrap().ends_with("/credential") {
            let mut body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
            body["proofs"]["jwt"][1] = spoiled(body["proofs"]["jwt"][1].as_str().unwrap()).into();
            request["body"] = body.to_string().into();
        }
    };
    let (said, error) = tampered(&task, other_proof, unchanged);
    assert_eq!((said.is_err(), error.as_deref()), (true, Some("invalid_proof")));
    let other_dpop = |request: &mut Value| {
        if request["url"].as_str().unwrap().ends_with("/token") {
            request["headers"]["dpop"] = spoiled(request["headers"]["dpop"].as_str().unwrap()).into();
        }
    };
    let (said, error) = tampered(&task, other_dpop, unchanged);
    assert_eq!((said.is_err(), error.as_deref()), (true, Some("invalid_dpop_proof")));

    // Theirs refuses the metadata of another issuer.
    let other_issuer = |url: &str, reply: &mut Reply| {
        if url.ends_with("openid-credential-issuer") {
            reply.body = reply.body.replace(ISSUER, "https://other.example");
        }
    };
    let (said, error) = tampered(&task, nothing, other_issuer);
    assert_eq!((said.is_err(), error), (true, None), "it went on with another issuer");
    let mut matrix = matrix::Matrix::default();
    matrix.row(&format!("{VCI} pre-authorized"), LIBRARY, "aval issuer", Ok(3));
    matrix.row(&format!("{VCI} pre-authorized"), "aval issuer", LIBRARY, Ok(1));
    matrix.finish();
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

    let other_verifier = |request: &mut Value| {
        if request["url"].as_str().unwrap().ends_with("/token") {
            let body = request["body"].as_str().unwrap();
            request["body"] = body.replace("code_verifier=", "code_verifier=A").into();
        }
    };
    let (said, error) = tampered(&task, other_verifier, |_, _| {});
    assert_eq!((said.is_err(), error.as_deref()), (true, Some("invalid_grant")));
    // The answer of another issuer, which is what `iss` is against.
    let other_issuer = |_: &str, reply: &mut Reply| {
        if let Some(location) = reply.headers.get("location").and_then(Value::as_str) {
            let location = location.replace("issuer.example", "other.example");
            reply.headers = json!({"location": location});
        }
    };
    let (said, error) = tampered(&task, |_| {}, other_issuer);
    assert_eq!((said.is_err(), error), (true, None), "it went on with the answer of another issuer");
    let mut matrix = matrix::Matrix::default();
    matrix.row(&format!("{VCI} authorization code"), LIBRARY, "aval issuer", Ok(1));
    matrix.row(&format!("{VCI} authorization code"), "aval issuer", LIBRARY, Ok(1));
    matrix.finish();
}

/// Their issuer, as our wallet meets it.
struct TheirIssuer(Other);

impl TheirIssuer {
    /// It starts, with what it offers.
    fn start(format: &str) -> (Self, String) {
        let configuration = json!({
            "format": format, "scope": "Diploma", "cryptographic_binding_methods_supported": ["jwk"],
            "credential_signing_alg_values_supported": ["EdDSA"],
            "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
            "credential_definition": {"type": ["VerifiableCredential", "Diploma"]},
            "credential_metadata": {"display": [{"name": "A diploma"}]},
        });
        let mut other =
            Other::start(&json!({"play": "offer", "configuration": configuration, "txCode": TX_CODE}));
        let offer = other.hear()["offer"].as_str().unwrap().to_owned();
        (Self(other), offer)
    }

    /// Sends a request of our wallet; where the issuer wants credentials, they are made for the keys that it names.
    fn send(&mut self, request: &HttpRequest) -> (u16, Vec<u8>) {
        let mut headers: BTreeMap<&str, String> =
            request.headers.iter().map(|(name, value)| (*name, value.clone())).collect();
        if let Some(bearer) = &request.bearer {
            headers.insert("Authorization", format!("Bearer {bearer}"));
        }
        if let Some(content_type) = request.content_type {
            headers.insert("Content-Type", content_type.to_owned());
        }
        let body = String::from_utf8(request.body.clone()).unwrap();
        let method = if request.method == Method::Get { "GET" } else { "POST" };
        self.0.say(&json!({"method": method, "url": request.url, "headers": headers, "body": body}));
        let mut answer = self.0.hear();
        if let Some(holders) = answer["holders"].as_array() {
            let credentials: Vec<String> = holders
                .iter()
                .map(|jwk| {
                    let jwk =
                        aval_codec::json::parse(jwk.to_string().as_bytes(), Default::default()).unwrap();
                    diploma(&PublicKey::from_jwk(&jwk).unwrap())
                })
                .collect();
            self.0.say(&json!({ "credentials": credentials }));
            answer = self.0.hear();
        }
        (answer["status"].as_u64().unwrap().try_into().unwrap(), answer["body"].to_string().into_bytes())
    }
}

fn json_response((status, body): &(u16, Vec<u8>)) -> HttpResponse<'_> {
    HttpResponse { status: *status, content_type: Some(JSON), body }
}

/// The wallet, when it has found out all about an offer.
fn discover(issuer: &mut TheirIssuer, offer: &str) -> Redeemable {
    let OfferLink::Value(offer) = OfferLink::parse(offer, UrlPolicy::HTTPS).unwrap() else {
        panic!("the offer is in its link")
    };
    let discovery = Discovery::new(offer, UrlPolicy::HTTPS).unwrap();
    let metadata = issuer.send(&discovery.request().unwrap());
    let text = String::from_utf8(metadata.1.clone()).unwrap();
    let other = (200, text.replace(ISSUER, "https://other.example").into_bytes());
    assert!(discovery.clone().on_response(&json_response(&other)).is_err(), "metadata of another issuer");
    let discovered = discovery.on_response(&json_response(&metadata)).unwrap();
    let server = issuer.send(&discovered.request().unwrap());
    discovered.on_response(&json_response(&server)).unwrap()
}

/// The token request with a proof for its key.
fn token_request(redeemable: &Redeemable, tx_code: &str, key: &SigningKey, id: &str) -> HttpRequest {
    let mut request = redeemable.token_request(Some(tx_code)).unwrap();
    let proof = dpop::prove(key, "POST", &request.url, id, None, None, now_s()).unwrap();
    request.headers.push((dpop::HEADER, proof));
    request
}

#[test]
#[ignore = "installs JavaScript libraries"]
fn our_wallet_receives_from_their_issuer() {
    let (mut issuer, offer) = TheirIssuer::start("vc+sd-jwt");
    let redeemable = discover(&mut issuer, &offer);
    let key = SigningKey::p256_from_seed(&[3; 32]).unwrap();
    let (status, _) = issuer.send(&token_request(&redeemable, "000000", &key, "a"));
    assert_eq!(status, 400, "another transaction code");
    let mut wrong = token_request(&redeemable, TX_CODE, &key, "b");
    let (_, proof) = wrong.headers.iter_mut().find(|(name, _)| *name == dpop::HEADER).unwrap();
    *proof = spoiled(proof);
    assert_eq!(issuer.send(&wrong).0, 400, "a proof under another signature");
    let token = issuer.send(&token_request(&redeemable, TX_CODE, &key, "c"));
    let mut authorized = redeemable.on_bound_token(&json_response(&token), key.clone()).unwrap();

    let prove = |authorized: &Authorized, mut request: HttpRequest, id: &str| {
        authorized.prove(&mut request, id, None, now_s()).unwrap();
        request
    };
    let nonce = issuer.send(&authorized.nonce_request().unwrap());
    authorized.on_nonce(&json_response(&nonce)).unwrap();
    let request =
        |authorized: &Authorized| authorized.credential_request("diploma", &holder_key(), now_s()).unwrap();
    let with_old_nonce = request(&authorized);
    let nonce = issuer.send(&authorized.nonce_request().unwrap());
    authorized.on_nonce(&json_response(&nonce)).unwrap();
    assert_eq!(
        issuer.send(&prove(&authorized, with_old_nonce, "one")).0,
        400,
        "the nonce of another occasion"
    );
    let mut unbound = prove(&authorized, request(&authorized), "two");
    unbound.headers.retain(|(name, _)| *name != dpop::HEADER);
    assert_eq!(issuer.send(&unbound).0, 401, "a token without the proof of its key");

    let delivered = issuer.send(&prove(&authorized, request(&authorized), "three"));
    let take = |delivered: &(u16, Vec<u8>), holder: &PublicKey| {
        let assertion_key = |_: &str, _: &str| Ok(Some(issuer_key().public()));
        authorized.on_credential(&json_response(delivered), "diploma", holder, now_s(), assertion_key)
    };
    let received = take(&delivered, &holder_key().public()).unwrap();
    assert_eq!(received.presentation.types(), ["VerifiableCredential", "Diploma"]);
    assert!(take(&delivered, &key.public()).is_err(), "bound to another key");
    let text = String::from_utf8(delivered.1.clone()).unwrap();
    let jwt = received.text.split('~').next().unwrap();
    let forged = (200, text.replace(jwt, &spoiled(jwt)).into_bytes());
    assert!(take(&forged, &holder_key().public()).is_err(), "another signature");
    issuer.0.say(&json!({"finished": true}));
    assert_eq!(issuer.0.hear()["done"]["nonces"], 2);
    let mut matrix = matrix::Matrix::default();
    matrix.row(&format!("{VCI} pre-authorized"), LIBRARY, "aval wallet", Ok(3));
    matrix.row(&format!("{VCI} pre-authorized"), "aval wallet", LIBRARY, Ok(4));
    matrix.finish();
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
        let name = did.key_id();
        let object = session.request_object(&signer, KeyName::Id(&name), None, now_s()).unwrap().unwrap();
        let mut fooled = Other::start(&json!({"play": "present", "link": link}));
        assert_eq!(fooled.hear()["fetch"]["url"], REQUEST_URI);
        fooled
            .say(&json!({"status": 200, "headers": {"content-type": MEDIA_TYPE}, "body": spoiled(&object)}));
        assert!(fooled.hear_or_failure().is_err(), "a request under another signature");
        let mut other = Other::start(&json!({"play": "present", "link": link}));

        let request = other.hear();
        assert_eq!(request["fetch"]["url"], REQUEST_URI);
        other.say(&json!({"status": 200, "headers": {"content-type": MEDIA_TYPE}, "body": object}));
        let resolved = other.hear();
        assert_eq!(resolved["resolved"]["prefix"], "decentralized_identifier");
        assert_eq!(resolved["resolved"]["dcql_query"], query());
        let text = presented(session.nonce(), session.audience());
        other.say(&json!({"vpToken": {"diploma": [text]}}));

        let mut answered = None;
        let done = other.serve(&mut |request| {
            assert_eq!(request["url"], RESPONSE_URI);
            let body = request["body"].as_str().unwrap();
            // The end of the form is the state, or the authentication tag of what is encrypted.
            assert!(session.clone().accept(spoiled(body).as_bytes(), now_s()).is_err(), "{body}");
            answered = Some(session.accept(request["body"].as_str().unwrap().as_bytes(), now_s()).unwrap());
            Reply::of(200, JSON, session.reply())
        });
        assert_eq!(done["status"], 200);
        let Some(Answer::Presentations(all)) = answered else { panic!("presentations came") };
        let text = all["diploma"][0].as_str().unwrap();
        assert!(is_valid(text, session.nonce(), session.audience()));
        assert!(!is_valid(text, "nonce-of-another-occasion", session.audience()));
        let format = format!("{VP} {}", if encrypted { "direct_post.jwt" } else { "direct_post" });
        let mut matrix = matrix::Matrix::default();
        matrix.row(&format, "aval verifier", LIBRARY, Ok(1));
        matrix.row(&format, LIBRARY, "aval verifier", Ok(2));
        matrix.finish();
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
        let forged = spoiled(object);
        let response = HttpResponse { status: 200, content_type: Some(MEDIA_TYPE), body: forged.as_bytes() };
        let forged =
            reference.on_response(&response, "unused", now_s()).and_then(|one| one.verify_with_key(&key));
        assert!(forged.is_err(), "a request under another signature");
        let verified = unverified.verify_with_key(&key).unwrap();
        let (nonce, audience) = verified.binding();
        let text = presented(nonce, &audience);
        let request = verified
            .respond(BTreeMap::from([("diploma".to_owned(), vec![Value::from(text.clone())])]))
            .unwrap();
        let text_of_form = String::from_utf8(request.body).unwrap();
        let forged = spoiled(&text_of_form);
        other.say(&json!({"form": text_of_form, "forged": forged}));
        let done = other.serve(&mut |request| panic!("no request is due: {request}"));
        assert_eq!(done["presentations"]["diploma"], json!([text]), "{mode}");
        assert_eq!(done["nonce"], nonce);
        assert_eq!(done["refused"], true, "an answer with another state, or encrypted otherwise");
        let format = format!("{VP} {mode}");
        let mut matrix = matrix::Matrix::default();
        matrix.row(&format, LIBRARY, "aval wallet", Ok(1));
        matrix.row(&format, "aval wallet", LIBRARY, Ok(1));
        matrix.finish();
    }
}
