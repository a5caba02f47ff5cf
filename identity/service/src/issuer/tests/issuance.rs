//! A wallet gets a credential.

use super::world::{World, holder_key};
use crate::clock::now_s;
use crate::issuer::decisions::Order;
use crate::storage::Search;
use aval_codec::Json;
use aval_machine::testkit::MEMBERSHIP;

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_receives_the_credential_that_it_was_offered() {
    let world = World::start().await;
    let (received, id) = world.issued().await;
    let presentation = &received.presentation;
    assert_eq!(presentation.types(), ["VerifiableCredential", MEMBERSHIP]);
    assert_eq!(presentation.roles(), ["member"]);
    assert_eq!(presentation.cnf_key(), Some(&holder_key().public()));
    let row = world.issuer.records().issuance(&id).await.unwrap().unwrap();
    let status = presentation.status();
    assert_eq!(status.len(), 1, "the ledger takes one");
    assert_eq!(status[0].list, world.endpoint("/status/membership"));
    assert_eq!(i64::try_from(status[0].index).unwrap(), row.entry("revocation").unwrap().list_index);
    assert_eq!(row.holder, holder_key().public().thumbprint());
    assert_eq!(presentation.valid_until_s(), Some(row.expires_s));
    assert!(presentation.valid_from_s() < Some(now_s()), "a verifier's clock may be a little behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_role_can_be_kept_back() {
    let world = World::start().await;
    let (received, _) = world.issued().await;
    let jwt = received.text.split('~').next().unwrap();
    let payload = aval_codec::b64u::decode(jwt.split('.').nth(1).unwrap()).unwrap();
    let payload = String::from_utf8(payload).unwrap();
    assert!(payload.contains(r#""role":["member"]"#) && !payload.contains("Example Ltd"), "{payload}");
    let claims = received.presentation.claims();
    let Some(Json::Object(subject)) = claims.get("credentialSubject") else { panic!("there is a subject") };
    assert_eq!(subject.get("legalName").and_then(Json::as_str), Some("Example Ltd"));
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_an_offer_are_kept_once() {
    let world = World::start().await;
    let mut authorized = world.authorize().await;
    world.receive(&mut authorized).await.unwrap();
    let rows = world.issuer.records().issuances(&Search::default(), 10).await.unwrap();
    assert!(rows[0].subject.contains("Example Ltd"));
    let file = std::fs::read(world.folder.path().join("issuer.sqlite-wal")).unwrap();
    assert!(!file.is_empty());
    let (folder, _) = world.stop().await;
    let file = std::fs::read(folder.path().join("issuer.sqlite")).unwrap();
    let count = file.windows(11).filter(|window| *window == b"Example Ltd").count();
    assert_eq!(count, 1, "the claims are still in the offer");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_requests_with_one_token_exactly_one_gets_a_credential() {
    let world = World::start().await;
    for _ in 0..5 {
        let mut first = world.authorize().await;
        let mut second = first.clone();
        world.fetch_nonce(&mut first).await;
        world.fetch_nonce(&mut second).await;
        let requests = [&first, &second]
            .map(|authorized| authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap());
        let answers = tokio::join!(world.send(&requests[0]), world.send(&requests[1]));
        let mut statuses = [answers.0.status, answers.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
    }
    assert_eq!(world.issuer.records().issuances(&Search::default(), 100).await.unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_redemptions_of_one_code_at_most_one_gets_a_token() {
    let world = World::start().await;
    for _ in 0..5 {
        let (link, tx_code) = world.offer().await;
        let redeemable = world.discover(&link).await;
        let request = redeemable.token_request(Some(&tx_code)).unwrap();
        let answers = tokio::join!(world.send(&request), world.send(&request));
        let mut statuses = [answers.0.status, answers.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_outlives_a_restart_of_the_service() {
    let world = World::start().await;
    let (link, tx_code) = world.offer().await;
    let world = world.restart().await;
    let redeemable = world.discover(&link).await;
    let answer = world.send(&redeemable.token_request(Some(&tx_code)).unwrap()).await;
    let mut authorized = redeemable.on_token(&answer.response()).unwrap();
    let world = world.restart().await;
    world.receive(&mut authorized).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_output_shows_no_secret_and_no_claim() {
    let world = World::start().await;
    let subject = [("role", Json::Array(vec!["member".into()])), ("legalName", "Example Ltd".into())];
    let subject = subject.map(|(name, value)| (name.to_owned(), value)).into();
    let offer = world.issuer.offer(Order { subject, ..Order::default() }, "test").await.unwrap();
    let shown = format!("{offer:?}");
    assert!(!shown.contains(offer.tx_code.as_ref().unwrap()) && !shown.contains("pre-authorized"), "{shown}");
    world.issued().await;
    let rows = world.issuer.records().issuances(&Search::default(), 10).await.unwrap();
    assert!(!format!("{rows:?}").contains("Example"));
}
