//! The authorization code: pushed request, login, code, bound token.

use super::world::{World, holder_key};
use crate::clock::now_s;
use crate::tests::{Answer, request};
use aval_did::key::SigningKey;
use aval_machine::testkit::MEMBERSHIP;
use aval_openid::HttpRequest;
use aval_openid::oauth::authorization::{Client, CodeRequest};
use aval_openid::oauth::dpop;
use aval_openid::vci::{Authorized, Delivery, IssuerMetadata, OfferLink, TokenResponse};
use serde_json::{Value, json};
use url::form_urlencoded;

const BACK: &str = "https://wallet.example/back";

/// A wallet on its way, whose key for tokens is `key`.
struct Wallet<'a> {
    world: &'a World,
    client: Client,
    key: SigningKey,
    issuer_state: Option<String>,
}

impl<'a> Wallet<'a> {
    fn new(world: &'a World, issuer_state: Option<String>) -> Self {
        let client = Client {
            client_id: "wallet".to_owned(),
            redirect_uri: BACK.to_owned(),
            code_verifier: "v".repeat(43),
            state: "state-of-the-wallet".to_owned(),
            issuer: world.issuer.config().public_url.clone(),
        };
        Self { world, client, key: SigningKey::from_seed(&[9; 32]), issuer_state }
    }

    /// Adds a proof of the wallet's key for this request.
    fn prove(&self, mut asked: HttpRequest, id: &str) -> HttpRequest {
        let proof = dpop::prove(&self.key, "POST", &asked.url, id, None, None, now_s()).unwrap();
        asked.headers.push((dpop::HEADER, proof));
        asked
    }

    fn push_request(&self) -> HttpRequest {
        let wanted = [MEMBERSHIP.to_owned()];
        self.client.push(&self.world.endpoint("/par"), &wanted, self.issuer_state.as_deref())
    }

    /// Pushes the request; gives the address that the user goes to.
    async fn push(&self) -> String {
        let answer = self.world.send(&self.push_request()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.client.on_pushed(&answer.response(), &self.world.endpoint("/authorize")).unwrap()
    }

    /// What the user does on the page.
    async fn decide(&self, page: &str, login: &str, decision: &str) -> Answer {
        let query = page.split_once('?').unwrap().1;
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form_urlencoded::parse(query.as_bytes()));
        body.append_pair("login_code", login).append_pair("decision", decision);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        request("POST", self.world.endpoint("/authorize"), &headers, body.finish().as_bytes()).await
    }

    /// All the way to the code.
    async fn code(&self, login: &str) -> CodeRequest {
        let page = self.push().await;
        let answer = self.decide(&page, login, "agree").await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        self.client.on_redirect(answer.header("location")).unwrap()
    }

    async fn redeem(&self, code: &CodeRequest, id: &str) -> Answer {
        let asked = self.client.token(&self.world.endpoint("/token"), code);
        self.world.send(&self.prove(asked, id)).await
    }

    async fn authorized(&self, answer: &Answer) -> Authorized {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let token = TokenResponse::parse_any(&answer.body).unwrap();
        let metadata = request("GET", self.world.metadata_url(), &[], b"").await;
        let metadata: IssuerMetadata = serde_json::from_slice(&metadata.body).unwrap();
        let mut authorized = Authorized::bound(metadata, token, self.key.clone()).unwrap();
        self.world.fetch_nonce(&mut authorized).await;
        authorized
    }
}

/// An offer for a user with a browser: issuer state and login code.
async fn offer(world: &World) -> (String, String) {
    let order = json!({"subject": {"role": ["member"]}, "grant": "authorizationCode"}).to_string();
    let answer = world.office("POST", "/offers", &order).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let offer = answer.json();
    assert!(offer.get("txCode").is_none());
    let link = offer["offerUri"].as_str().unwrap();
    let OfferLink::Value(inside) = OfferLink::parse(link, aval_openid::UrlPolicy::LOOPBACK).unwrap() else {
        panic!("the offer is in the link")
    };
    let state = inside.authorization_code().unwrap().issuer_state.clone().unwrap();
    (state, offer["loginCode"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_logs_in_gets_the_credential_with_a_bound_token() {
    let world = World::start().await;
    let (state, login) = offer(&world).await;
    let wallet = Wallet::new(&world, Some(state));
    let page = wallet.push().await;
    let shown = request("GET", page.clone(), &[], b"").await;
    assert_eq!((shown.status, shown.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(shown.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(shown.text().contains("wallet.example") && shown.text().contains("Membership"));
    let answer = wallet.decide(&page, &format!(" {} ", login.to_lowercase()), "agree").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(answer.header("location").starts_with(BACK));
    let code = wallet.client.on_redirect(answer.header("location")).unwrap();
    let answer = wallet.redeem(&code, "one").await;
    assert_eq!(answer.json()["token_type"], "DPoP");
    let authorized = wallet.authorized(&answer).await;
    let mut asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    // Without a proof, as a bearer's token, it opens nothing.
    world.send(&asked).await.assert_refused(401, "invalid_token");
    authorized.prove(&mut asked, "two", None, now_s()).unwrap();
    let answer = world.send(&asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let delivery = authorized.on_delivery(&answer.response(), 1).unwrap();
    assert!(matches!(delivery, Delivery::Credentials { .. }));
    assert_eq!(world.office("GET", "/issuances", "").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_began_by_itself_gets_what_its_user_has_a_login_code_for() {
    let world = World::start().await;
    let (_, login) = offer(&world).await;
    let wallet = Wallet::new(&world, None);
    let code = wallet.code(&login).await;
    wallet.authorized(&wallet.redeem(&code, "one").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_code_is_of_one_offer_and_opens_it_once() {
    let world = World::start().await;
    let (state, login) = offer(&world).await;
    let (_, other) = offer(&world).await;
    let wallet = Wallet::new(&world, Some(state.clone()));
    let page = wallet.push().await;
    assert_eq!(wallet.decide(&page, &other, "agree").await.status, 403, "it is another offer's");
    assert_eq!(wallet.decide(&page, "ABCD-EFGH-JKLM", "agree").await.status, 403);
    assert_eq!(wallet.decide(&page, &login, "agree").await.status, 303);
    assert_eq!(wallet.decide(&page, &login, "agree").await.status, 400, "the request is used");
    let page = wallet.push().await;
    assert_eq!(wallet.decide(&page, &login, "agree").await.status, 403, "the login code is used");
    // What the offer holds redeems nothing as a pre-authorized code.
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:pre-authorized_code&pre-authorized_code={state}"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = request("POST", world.endpoint("/token"), &headers, form.as_bytes()).await;
    answer.assert_refused(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_login_codes_and_denying_end_a_request() {
    let world = World::start().await;
    let (state, login) = offer(&world).await;
    let wallet = Wallet::new(&world, Some(state));
    let page = wallet.push().await;
    for _ in 0..4 {
        assert_eq!(wallet.decide(&page, "ABCD-EFGH-JKLM", "agree").await.status, 403);
    }
    let ended = wallet.decide(&page, "ABCD-EFGH-JKLM", "agree").await;
    assert_eq!(ended.status, 303);
    let refused = wallet.client.on_redirect(ended.header("location")).unwrap_err();
    assert_eq!(refused.refusal(), Some("access_denied"));
    assert_eq!(wallet.decide(&page, &login, "agree").await.status, 400);
    let page = wallet.push().await;
    let denied = wallet.decide(&page, &login, "deny").await;
    assert!(denied.header("location").contains("error=access_denied"));
    // The user may still change their mind in another request.
    let page = wallet.push().await;
    assert_eq!(wallet.decide(&page, &login, "agree").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_not_pushed_or_has_expired_is_refused() {
    let world = World::start().await;
    let wallet = Wallet::new(&world, None);
    let pushed = wallet.push_request();
    let query = String::from_utf8(pushed.body.clone()).unwrap();
    let direct = request("GET", format!("{}?{query}", world.endpoint("/authorize")), &[], b"").await;
    assert_eq!(direct.status, 400);
    assert!(direct.text().contains("invalid_request") && direct.header("location").is_empty());
    let page = wallet.push().await;
    let other = page.replace("client_id=wallet", "client_id=thief");
    assert_eq!(request("GET", other, &[], b"").await.status, 400);
    let unknown = format!("{}x", page);
    assert_eq!(request("GET", unknown, &[], b"").await.status, 400);
    world.issuer.records().forget_expired(now_s() + 301).await.unwrap();
    assert_eq!(request("GET", page, &[], b"").await.status, 400, "it has expired");
    for (from, to) in
        [("S256", "plain"), ("response_type=code", "response_type=token"), ("https%3A", "http%3A")]
    {
        let asked = HttpRequest { body: query.replace(from, to).into_bytes(), ..pushed.clone() };
        assert_eq!(world.send(&asked).await.status, 400, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_without_its_secret_or_without_a_proof_is_worth_nothing() {
    let world = World::start().await;
    let (_, login) = offer(&world).await;
    let wallet = Wallet::new(&world, None);
    let code = wallet.code(&login).await;
    let unproven = wallet.client.token(&world.endpoint("/token"), &code);
    world.send(&unproven).await.assert_refused(400, "invalid_dpop_proof");
    // Proofs for another address, of long ago, of the future.
    let here = world.endpoint("/token");
    for (url, at_s) in
        [(world.endpoint("/par"), now_s()), (here.clone(), now_s() - 400), (here, now_s() + 300)]
    {
        let proof = dpop::prove(&wallet.key, "POST", &url, "zero", None, None, at_s).unwrap();
        let mut asked = unproven.clone();
        asked.headers.push((dpop::HEADER, proof));
        world.send(&asked).await.assert_refused(400, "invalid_dpop_proof");
    }
    let wrong = CodeRequest { code_verifier: "w".repeat(43), ..code.clone() };
    wallet.redeem(&wrong, "one").await.assert_refused(400, "invalid_grant");
    wallet.redeem(&code, "two").await.assert_refused(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_used_twice_ends_the_token_that_it_gave() {
    let world = World::start().await;
    let (_, login) = offer(&world).await;
    let wallet = Wallet::new(&world, None);
    let code = wallet.code(&login).await;
    let authorized = wallet.authorized(&wallet.redeem(&code, "one").await).await;
    wallet.redeem(&code, "two").await.assert_refused(400, "invalid_grant");
    let mut asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    authorized.prove(&mut asked, "three", None, now_s()).unwrap();
    world.send(&asked).await.assert_refused(401, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_for_one_use_one_address_one_token_and_one_key() {
    let world = World::start().await;
    let (_, login) = offer(&world).await;
    let wallet = Wallet::new(&world, None);
    let code = wallet.code(&login).await;
    let answer = wallet.redeem(&code, "one").await;
    let authorized = wallet.authorized(&answer).await;
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    let here = asked.url.clone();
    let with = |key: &SigningKey, method: &str, url: &str, id: &str, token_in_it: &str| {
        let proof = dpop::prove(key, method, url, id, Some(token_in_it), None, now_s()).unwrap();
        let mut asked = asked.clone();
        asked.bearer = None;
        asked.headers = vec![("Authorization", format!("DPoP {token}")), (dpop::HEADER, proof)];
        asked
    };
    for wrong in [
        with(&wallet.key, "GET", &here, "a", &token),
        with(&wallet.key, "POST", &world.endpoint("/token"), "b", &token),
        with(&wallet.key, "POST", &here, "c", "another-token"),
    ] {
        let answer = world.send(&wrong).await;
        answer.assert_refused(401, "invalid_dpop_proof");
        assert!(answer.header("www-authenticate").starts_with("DPoP "));
    }
    let stolen = with(&holder_key(), "POST", &here, "d", &token);
    world.send(&stolen).await.assert_refused(401, "invalid_token");
    let mut broken = with(&wallet.key, "POST", &here, "e", &token);
    broken.body = b"{}".to_vec();
    assert_eq!(world.send(&broken).await.status, 400, "the proof was good");
    let again = HttpRequest { body: asked.body.clone(), ..broken };
    world.send(&again).await.assert_refused(401, "invalid_dpop_proof");
    let good = with(&wallet.key, "POST", &here, "f", &token);
    assert_eq!(world.send(&good).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pre_authorized_code_gives_a_bound_token_to_who_shows_a_key() {
    let world = World::start().await;
    let (link, tx_code) = world.offer().await;
    let redeemable = world.discover(&link).await;
    let wallet = Wallet::new(&world, None);
    let asked = wallet.prove(redeemable.token_request(Some(&tx_code)).unwrap(), "one");
    let answer = world.send(&asked).await;
    assert_eq!(answer.json()["token_type"], Value::from("DPoP"));
    let mut authorized = redeemable.on_bound_token(&answer.response(), wallet.key.clone()).unwrap();
    world.fetch_nonce(&mut authorized).await;
    let mut asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    world.send(&asked).await.assert_refused(401, "invalid_token");
    authorized.prove(&mut asked, "two", None, now_s()).unwrap();
    world.accept(&authorized, &world.send(&asked).await).unwrap();
}
