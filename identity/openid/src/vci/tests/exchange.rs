//! The way that works.

use super::world::*;
use crate::url_rules::UrlPolicy;
use crate::vci::issuer::SessionState;
use crate::vci::offer::{CredentialOffer, OfferLink};

#[test]
fn a_wallet_receives_a_credential_with_a_transaction_code() {
    let mut world = World::new();
    let offer = world.offer(Some(TX_CODE));
    let redeemable = discover(&mut world, &offer.to_uri()).unwrap();
    let offered: Vec<_> =
        redeemable.offered().map(|(id, one)| (id, one.name(), one.types().to_vec())).collect();
    let types = vec!["VerifiableCredential".to_owned(), TYPE.to_owned()];
    assert_eq!(offered, [(CONFIGURATION, Some("Membership"), types)]);
    assert_eq!(redeemable.transaction_code().unwrap().length, Some(6));
    assert_eq!(redeemable.token_endpoint(), "https://issuer.example/register/token");

    let answer = world.send(&redeemable.token_request(Some(TX_CODE)).unwrap());
    let mut authorized = redeemable.on_token(&answer.response()).unwrap();
    let received = receive(&mut world, &mut authorized).unwrap();
    assert!(received.presentation.has_type(TYPE));
    assert_eq!(received.presentation.cnf_key(), Some(&holder_key().public()));
    assert!(received.verdict.is_valid());
    assert!(received.text.ends_with('~'));
    assert_eq!(world.sessions[CODE].state(), SessionState::Completed);
}

#[test]
fn a_wallet_receives_a_credential_without_a_transaction_code() {
    let mut world = World::new();
    let mut authorized = redeem(&mut world, None).unwrap();
    receive(&mut world, &mut authorized).unwrap();
}

#[test]
fn a_mistyped_transaction_code_can_be_entered_again() {
    let mut world = World::new();
    let offer = world.offer(Some(TX_CODE));
    let redeemable = discover(&mut world, &offer.to_uri()).unwrap();
    let answer = world.send(&redeemable.token_request(Some("000000")).unwrap());
    let error = redeemable.on_token(&answer.response()).unwrap_err();
    assert_eq!(error.refusal(), Some("invalid_grant"));
    let answer = world.send(&redeemable.token_request(Some(TX_CODE)).unwrap());
    let mut authorized = redeemable.on_token(&answer.response()).unwrap();
    receive(&mut world, &mut authorized).unwrap();
}

#[test]
fn a_refused_nonce_can_be_replaced_by_a_fresh_one() {
    let mut world = World::new();
    let mut authorized = redeem(&mut world, Some(TX_CODE)).unwrap();
    let answer = world.send(&authorized.nonce_request().unwrap());
    authorized.on_nonce(&answer.response()).unwrap();
    world.nonces.clear();
    let request = authorized.credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap();
    let answer = world.send(&request);
    let error = accept(&world, &authorized, &answer).unwrap_err();
    assert_eq!(error.refusal(), Some("invalid_nonce"));
    assert!(error.is_retryable());
    receive(&mut world, &mut authorized).unwrap();
}

#[test]
fn an_offer_by_reference_is_fetched_and_read() {
    let mut world = World::new();
    let offer = world.offer(Some(TX_CODE));
    let link = CredentialOffer::uri_by_reference("https://issuer.example/register/offers/7?x=1&y=2");
    let Ok(OfferLink::Reference(request)) = OfferLink::parse(&link, UrlPolicy::HTTPS) else {
        panic!("the link is a reference")
    };
    assert_eq!(request.url, "https://issuer.example/register/offers/7?x=1&y=2");
    let body = offer.to_json();
    let answer = Answer { status: 200, body };
    assert_eq!(CredentialOffer::on_response(&answer.response(), UrlPolicy::HTTPS).unwrap(), offer);
}

#[test]
fn a_session_survives_being_stored() {
    let mut world = World::new();
    world.offer(Some(TX_CODE));
    let session = &world.sessions[CODE];
    let text = serde_json::to_string(session).unwrap();
    assert_eq!(&serde_json::from_str::<crate::vci::Session>(&text).unwrap(), session);
    assert!(!text.contains(CODE) && !text.contains(TX_CODE));
}

#[test]
fn secrets_do_not_show_when_values_are_printed() {
    let mut world = World::new();
    let offer = world.offer(Some(TX_CODE));
    let redeemable = discover(&mut world, &offer.to_uri()).unwrap();
    let request = redeemable.token_request(Some(TX_CODE)).unwrap();
    let answer = world.send(&request);
    let authorized = redeemable.on_token(&answer.response()).unwrap();
    let printed = format!("{offer:?} {redeemable:?} {request:?} {authorized:?}");
    for secret in [CODE, TX_CODE, "token-1"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}
