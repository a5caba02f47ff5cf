//! Batches, credentials that come later, encryption, and what wallets say of what they got.

use super::formats::template;
use super::world::{World, holder_key};
use crate::clock::now_s;
use aval_did::key::SigningKey;
use aval_machine::testkit::MEMBERSHIP;
use aval_openid::jwe::DecryptionKey;
use aval_openid::vci::{Authorized, Delivery, Notification, NotificationEvent};
use serde_json::{Value, json};

fn delivered(delivery: Delivery) -> (Vec<Value>, String) {
    match delivery {
        Delivery::Credentials { credentials, notification_id } => (credentials, notification_id.unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_gives_each_key_a_credential_with_entries_of_its_own() {
    let world = World::start().await;
    let mut authorized = world.authorize().await;
    world.fetch_nonce(&mut authorized).await;
    let keys: Vec<SigningKey> = (1..=3).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
    let signers: Vec<&SigningKey> = keys.iter().collect();
    let asked = authorized.credentials_request(MEMBERSHIP, &signers, now_s()).unwrap();
    let answer = world.send(&asked).await;
    let (credentials, name) = delivered(authorized.on_delivery(&answer.response(), 3).unwrap());
    assert_eq!(credentials.len(), 3);
    let rows = world.office("GET", "/issuances", "").await.json();
    let rows = rows.as_array().unwrap();
    let mut indices: Vec<_> = rows.iter().map(|row| row["status"][0]["index"].as_i64().unwrap()).collect();
    indices.sort_unstable();
    indices.dedup();
    assert_eq!((rows.len(), indices.len()), (3, 3));
    assert_eq!(rows.iter().filter(|row| row.get("batchOf").is_some()).count(), 2);
    world.send(&asked).await.assert_refused(401, "invalid_token");

    let said = Notification {
        notification_id: name,
        event: NotificationEvent::CredentialAccepted,
        event_description: Some("Example Ltd is happy".to_owned()),
    };
    for _ in 0..2 {
        assert_eq!(world.send(&authorized.notification(&said).unwrap()).await.status, 204);
    }
    let rows = world.office("GET", "/issuances", "").await;
    assert_eq!(rows.text().matches("credential_accepted").count(), 3);
    assert!(!world.office("GET", "/audit", "").await.text().contains("happy"));
    let other = Notification { notification_id: "another".to_owned(), ..said };
    let answer = world.send(&authorized.notification(&other).unwrap()).await;
    answer.assert_refused(400, "invalid_notification_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_keys_than_are_taken_at_once_and_the_same_key_twice_are_refused() {
    let world = World::start().await;
    let mut authorized = world.authorize().await;
    world.fetch_nonce(&mut authorized).await;
    let keys: Vec<SigningKey> = (1..=9).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
    let signers: Vec<&SigningKey> = keys.iter().collect();
    assert!(authorized.credentials_request(MEMBERSHIP, &signers, now_s()).is_err(), "a wallet knows it");
    let twice = authorized.credentials_request(MEMBERSHIP, &[&keys[0], &keys[0]], now_s()).unwrap();
    world.send(&twice).await.assert_refused(400, "invalid_proof");
    assert_eq!(world.office("GET", "/issuances", "").await.json(), json!([]));
}

/// A wallet whose credential waits for approval; what it asks with.
async fn deferred(world: &World) -> (Authorized, String) {
    let order = json!({"template": "slow", "subject": {"role": ["member"]}}).to_string();
    let offer = world.office("POST", "/offers", &order).await.json();
    let redeemable = world.discover(offer["offerUri"].as_str().unwrap()).await;
    let answer = world.send(&redeemable.token_request(offer["txCode"].as_str()).unwrap()).await;
    let mut authorized = redeemable.on_token(&answer.response()).unwrap();
    world.fetch_nonce(&mut authorized).await;
    let asked = authorized.credential_request("slow", &holder_key(), now_s()).unwrap();
    let answer = world.send(&asked).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    match authorized.on_delivery(&answer.response(), 1).unwrap() {
        Delivery::Deferred { transaction_id, interval_s } => {
            assert!(interval_s > 0);
            (authorized, transaction_id)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_has_to_be_approved_comes_once_when_it_is() {
    let world = World::start().await;
    template(&world, "slow", json!({"options": {"approval": true}})).await;
    let (authorized, name) = deferred(&world).await;
    let asked = authorized.deferred_request(&name).unwrap();
    assert_eq!(world.send(&asked).await.status, 202, "nobody has decided");
    let waiting = world.office("GET", "/deferrals", "").await.json();
    let id = waiting[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(world.office("POST", &format!("/deferrals/{id}/approve"), "").await.status, 204);
    let again = world.office("POST", &format!("/deferrals/{id}/refuse"), "").await;
    again.assert_problem(404, "request.not_found");
    // Another offer's token opens nothing here.
    let (other, _) = deferred(&world).await;
    let stolen = world.send(&other.deferred_request(&name).unwrap()).await;
    stolen.assert_refused(400, "invalid_transaction_id");
    let answer = world.send(&asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (credentials, _) = delivered(authorized.on_delivery(&answer.response(), 1).unwrap());
    assert_eq!(credentials.len(), 1);
    world.send(&asked).await.assert_refused(400, "invalid_transaction_id");
    assert_eq!(world.office("GET", "/issuances", "").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_refused_never_comes() {
    let world = World::start().await;
    template(&world, "slow", json!({"options": {"approval": true}})).await;
    let (authorized, name) = deferred(&world).await;
    let waiting = world.office("GET", "/deferrals", "").await.json();
    let id = waiting[0]["id"].as_str().unwrap();
    assert_eq!(world.office("POST", &format!("/deferrals/{id}/refuse"), "").await.status, 204);
    let answer = world.send(&authorized.deferred_request(&name).unwrap()).await;
    answer.assert_refused(400, "credential_request_denied");
    assert_eq!(world.office("GET", "/deferrals", "").await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn request_and_response_are_encrypted_where_the_wallet_wants_it() {
    let world = World::start().await;
    let mut authorized = world.authorize().await.encrypted(DecryptionKey::generate());
    world.fetch_nonce(&mut authorized).await;
    let asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    assert_eq!(asked.content_type, Some("application/jwt"));
    assert_eq!(asked.body.split(|byte| *byte == b'.').count(), 5);
    let mut broken = asked.clone();
    let last = broken.body.len() - 1;
    broken.body[last] = if broken.body[last] == b'A' { b'B' } else { b'A' };
    world.send(&broken).await.assert_refused(400, "invalid_encryption_parameters");
    let answer = world.send(&asked).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/jwt"));
    assert!(!answer.text().contains('~'));
    world.accept(&authorized, &answer).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_not_encrypted_to_a_key_that_came_in_plain_text() {
    let world = World::start().await;
    let mut authorized = world.authorize().await;
    world.fetch_nonce(&mut authorized).await;
    let mut asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    let mut body: Value = serde_json::from_slice(&asked.body).unwrap();
    let jwk = serde_json::to_value(DecryptionKey::generate().public_jwk()).unwrap();
    body["credential_response_encryption"] = json!({"jwk": jwk, "enc": "A128GCM"});
    asked.body = body.to_string().into_bytes();
    world.send(&asked).await.assert_refused(400, "invalid_encryption_parameters");
}
