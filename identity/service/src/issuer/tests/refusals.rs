//! What the public side refuses, and in which words.

use super::world::{World, holder_key};
use crate::clock::now_s;
use crate::tests::{Answer, request};
use aval_machine::testkit::MEMBERSHIP;
use aval_openid::vci::proof;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");

async fn redeem(world: &World, link: &str, tx_code: &str) -> Answer {
    let redeemable = world.discover(link).await;
    world.send(&redeemable.token_request(Some(tx_code)).unwrap()).await
}

fn another(tx_code: &str) -> &'static str {
    if tx_code == "000000" { "000001" } else { "000000" }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_transaction_codes_end_an_offer() {
    let world = World::start().await;
    let (link, tx_code) = world.offer().await;
    for _ in 0..5 {
        redeem(&world, &link, another(&tx_code)).await.assert_refused(400, "invalid_grant");
    }
    redeem(&world, &link, &tx_code).await.assert_refused(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_transaction_code_can_be_corrected() {
    let world = World::start().await;
    let (link, tx_code) = world.offer().await;
    for _ in 0..4 {
        redeem(&world, &link, another(&tx_code)).await.assert_refused(400, "invalid_grant");
    }
    assert_eq!(redeem(&world, &link, &tx_code).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_used_twice_ends_its_token_too() {
    let world = World::start().await;
    let (link, tx_code) = world.offer().await;
    let redeemable = world.discover(&link).await;
    let answer = world.send(&redeemable.token_request(Some(&tx_code)).unwrap()).await;
    let mut authorized = redeemable.on_token(&answer.response()).unwrap();
    redeem(&world, &link, &tx_code).await.assert_refused(400, "invalid_grant");
    world.fetch_nonce(&mut authorized).await;
    let asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    let answer = world.send(&asked).await;
    answer.assert_refused(401, "invalid_token");
    assert_eq!(answer.header("www-authenticate"), r#"Bearer error="invalid_token""#);
    assert!(
        world.issuer.records().issuances(&crate::storage::Search::default(), 10).await.unwrap().is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_code_and_a_malformed_form_are_refused() {
    let world = World::start().await;
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code";
    for (form, error) in [
        (format!("{grant}&pre-authorized_code=unknown&tx_code=000000"), "invalid_grant"),
        (grant.to_owned(), "invalid_request"),
        (format!("{grant}&{grant}&pre-authorized_code=unknown"), "invalid_request"),
        ("grant_type=authorization_code&code=x".to_owned(), "invalid_request"),
        ("grant_type=refresh_token&refresh_token=x".to_owned(), "unsupported_grant_type"),
        (String::new(), "invalid_request"),
    ] {
        let answer = request("POST", world.endpoint("/token"), &[FORM], form.as_bytes()).await;
        answer.assert_refused(400, error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_token_is_refused_before_the_request_is_read() {
    let world = World::start().await;
    for authorization in ["Bearer unknown", "Bearer ", "Basic dTpw", "Bearer a b"] {
        let headers = [("authorization", authorization), JSON];
        let answer = request("POST", world.endpoint("/credential"), &headers, b"{").await;
        answer.assert_refused(401, "invalid_token");
    }
    request("POST", world.endpoint("/credential"), &[JSON], b"{}").await.assert_refused(401, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_good_for_one_credential() {
    let world = World::start().await;
    let mut first = world.authorize().await;
    world.fetch_nonce(&mut first).await;
    let asked = first.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    assert_eq!(world.send(&asked).await.status, 200);
    // The same proof, with the token of another offer.
    let mut replay = asked.clone();
    let mut second = world.authorize().await;
    world.fetch_nonce(&mut second).await;
    replay.bearer = second.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap().bearer;
    world.send(&replay).await.assert_refused(400, "invalid_nonce");
    // And that offer is still good.
    world.receive(&mut second).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_one_credential() {
    let world = World::start().await;
    let mut authorized = world.authorize().await;
    world.receive(&mut authorized).await.unwrap();
    world.fetch_nonce(&mut authorized).await;
    let asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    world.send(&asked).await.assert_refused(401, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_must_be_for_this_issuer_with_a_nonce_of_this_issuer_and_of_now() {
    let world = World::start().await;
    let mut authorized = world.authorize().await;
    world.fetch_nonce(&mut authorized).await;
    let asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    let here = format!("http://{}/register", world.public);
    let key = holder_key();
    for (proof, error) in [
        (proof::sign(&key, "https://other.example", Some("nonce"), now_s()), "invalid_proof"),
        (proof::sign(&key, &here, None, now_s()), "invalid_proof"),
        (proof::sign(&key, &here, Some("nonce"), now_s() - 86_400), "invalid_proof"),
        (proof::sign(&key, &here, Some("nonce"), now_s() + 86_400), "invalid_proof"),
        (proof::sign(&key, &here, Some("made up"), now_s()), "invalid_nonce"),
        ("no.proof.atall".to_owned(), "invalid_proof"),
    ] {
        let mut forged = asked.clone();
        forged.body = serde_json::to_vec(&serde_json::json!({
            "credential_configuration_id": MEMBERSHIP, "proofs": {"jwt": [proof]},
        }))
        .unwrap();
        world.send(&forged).await.assert_refused(400, error);
    }
    let mut other = asked.clone();
    other.body = br#"{"credential_configuration_id":"Other","proofs":{}}"#.to_vec();
    world.send(&other).await.assert_refused(400, "unknown_credential_configuration");
    assert_eq!(world.send(&asked).await.status, 200, "none of these has spent anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_or_of_another_type_are_refused() {
    let world = World::start().await;
    let large = vec![b'a'; 100 * 1024];
    request("POST", world.endpoint("/token"), &[FORM], &large).await.assert_refused(413, "invalid_request");
    request("POST", world.endpoint("/token"), &[JSON], b"{}").await.assert_refused(400, "invalid_request");
    request("POST", world.endpoint("/token"), &[], b"").await.assert_refused(400, "invalid_request");
    let mut authorized = world.authorize().await;
    world.fetch_nonce(&mut authorized).await;
    let mut asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    let good = asked.clone();
    asked.body = large;
    world.send(&asked).await.assert_refused(413, "invalid_credential_request");
    asked = good.clone();
    asked.content_type = Some("text/plain");
    world.send(&asked).await.assert_refused(400, "invalid_credential_request");
    for body in ["", "[", "null", r#"{"credential_configuration_id":1}"#, &"[".repeat(10_000)] {
        asked = good.clone();
        asked.body = body.as_bytes().to_vec();
        world.send(&asked).await.assert_refused(400, "invalid_credential_request");
    }
    assert_eq!(world.send(&good).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_addresses_are_refused_in_the_same_words() {
    let world = World::start().await;
    for path in ["/token", "/nonce", "/credential"] {
        let answer = request("GET", world.endpoint(path), &[], b"").await;
        answer.assert_refused(405, "invalid_request");
        assert_eq!(answer.header("allow"), "POST");
    }
    let well_known = format!("http://{}/.well-known/openid-credential-issuer/register", world.public);
    request("POST", well_known, &[JSON], b"{}").await.assert_refused(405, "invalid_request");
    request("GET", world.endpoint("/nowhere"), &[], b"").await.assert_refused(404, "invalid_request");
    request("GET", world.endpoint("/issuances"), &[], b"").await.assert_refused(404, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_their_reason() {
    let world = World::start().await;
    let (link, tx_code) = world.offer().await;
    redeem(&world, &link, another(&tx_code)).await;
    redeem(&world, &link, &tx_code).await;
    world.issued().await;
    let text = world.office("GET", "/metrics", "").await.text();
    for line in [
        r#"aval_issuer_refused_total{endpoint="token",error="invalid_grant"} 1"#,
        "aval_issuer_offers_total 2",
        "aval_issuer_redemptions_total 2",
        "aval_issuer_issued_total 1",
        r#"aval_issuer_requests_total{side="public",route="/register/credential",status="200"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
