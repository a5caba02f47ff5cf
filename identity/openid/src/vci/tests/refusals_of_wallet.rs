//! What a wallet refuses: issuers in other names, wrong types, credentials for someone else, doors into its own
//! network.

use super::world::*;
use crate::url_rules::UrlPolicy;
use crate::vci::holder::Discovery;
use crate::vci::metadata::{
    AuthorizationServerMetadata, CredentialConfiguration, Encryption, IssuerMetadata,
};
use crate::vci::offer::CredentialOffer;
use crate::vci::token::TokenResponse;
use crate::{HttpResponse, OpenIdError};
use aval_did::key::SigningKey;
use std::collections::BTreeMap;

fn discover_with(change: impl FnOnce(&mut IssuerMetadata)) -> Result<(), OpenIdError> {
    let mut world = World::new();
    let offer = world.offer(None);
    let mut metadata = world.issuer.metadata.clone();
    change(&mut metadata);
    let answer = Answer { status: 200, body: metadata.to_json() };
    Discovery::new(offer, UrlPolicy::LOOPBACK)?.on_response(&answer.response()).map(drop)
}

fn server_with(change: impl FnOnce(&mut AuthorizationServerMetadata)) -> Result<(), OpenIdError> {
    let mut world = World::new();
    let discovery = Discovery::new(world.offer(None), UrlPolicy::LOOPBACK)?;
    let answer = world.send(&discovery.request()?);
    let discovered = discovery.on_response(&answer.response())?;
    let mut metadata = AuthorizationServerMetadata::new(ISSUER);
    change(&mut metadata);
    let answer = Answer { status: 200, body: metadata.to_json() };
    discovered.on_response(&answer.response()).map(drop)
}

fn code<T>(outcome: Result<T, OpenIdError>) -> Option<&'static str> {
    outcome.err().map(|error| error.code())
}

#[test]
fn metadata_of_another_issuer_are_refused() {
    assert_eq!(code(discover_with(|_| ())), None);
    for name in
        ["https://other.example", "https://issuer.example/register/", "HTTPS://issuer.example/register"]
    {
        let outcome = discover_with(|metadata| metadata.credential_issuer = name.to_owned());
        assert_eq!(code(outcome), Some("openid.foreign_metadata"), "{name}");
    }
    let outcome = server_with(|metadata| metadata.issuer = "https://other.example".to_owned());
    assert_eq!(code(outcome), Some("openid.foreign_metadata"));
}

#[test]
fn endpoints_inside_the_wallets_network_are_refused() {
    for url in
        ["http://127.0.0.1/x", "https://localhost/x", "http://issuer.example/x", "https://192.168.0.1/x", "x"]
    {
        let outcome = discover_with(|metadata| metadata.credential_endpoint = url.to_owned());
        assert_eq!(code(outcome), Some("openid.url"), "{url}");
        let outcome = discover_with(|metadata| metadata.nonce_endpoint = Some(url.to_owned()));
        assert_eq!(code(outcome), Some("openid.url"), "{url}");
        let outcome = discover_with(|metadata| metadata.authorization_servers = Some(vec![url.to_owned()]));
        assert_eq!(code(outcome), Some("openid.url"), "{url}");
        let outcome = server_with(|metadata| metadata.token_endpoint = url.to_owned());
        assert_eq!(code(outcome), Some("openid.url"), "{url}");
    }
}

#[test]
fn a_configuration_that_the_issuer_does_not_describe_is_refused() {
    let outcome = discover_with(|metadata| metadata.credential_configurations_supported.clear());
    assert_eq!(code(outcome), Some("openid.unknown_configuration"));
}

#[test]
fn configurations_that_the_wallet_cannot_receive_are_refused() {
    let with = |change: fn(&mut CredentialConfiguration)| {
        discover_with(|metadata| {
            change(metadata.credential_configurations_supported.get_mut(CONFIGURATION).unwrap());
        })
    };
    let unsupported = Some("openid.unsupported");
    assert_eq!(code(with(|one| one.format = "mso_mdoc".to_owned())), unsupported);
    assert_eq!(code(with(|one| one.proof_types_supported = None)), unsupported);
    assert_eq!(code(with(|one| one.proof_types_supported = Some(BTreeMap::new()))), unsupported);
    assert_eq!(code(with(|one| one.credential_definition = None)), Some("openid.malformed"));
    let attested = with(|one| {
        let proof = one.proof_types_supported.as_mut().unwrap().get_mut("jwt").unwrap();
        proof.key_attestations_required = Some(aval_codec::json::Json::Object(BTreeMap::new()));
    });
    assert_eq!(code(attested), unsupported);
    let encrypted = discover_with(|metadata| {
        metadata.credential_response_encryption = Some(Encryption {
            jwks: None,
            alg_values_supported: None,
            enc_values_supported: None,
            encryption_required: true,
        });
    });
    assert_eq!(code(encrypted), unsupported);
}

#[test]
fn authorization_servers_that_the_wallet_cannot_use_are_refused() {
    let unsupported = Some("openid.unsupported");
    let only_code =
        server_with(|one| one.grant_types_supported = Some(vec!["authorization_code".to_owned()]));
    assert_eq!(code(only_code), unsupported);
    assert_eq!(code(server_with(|one| one.anonymous_access_supported = Some(false))), unsupported);
    assert_eq!(code(server_with(|one| one.anonymous_access_supported = None)), None);
    assert_eq!(code(server_with(|one| one.grant_types_supported = None)), None);
    let two = |metadata: &mut IssuerMetadata| {
        metadata.authorization_servers =
            Some(vec!["https://a.example".to_owned(), "https://b.example".to_owned()]);
    };
    assert_eq!(code(discover_with(two)), unsupported);
}

#[test]
fn the_offer_chooses_among_authorization_servers_but_not_outside_of_them() {
    let mut metadata = World::new().issuer.metadata;
    assert_eq!(metadata.authorization_server(None).unwrap(), ISSUER);
    assert!(metadata.authorization_server(Some("https://a.example")).is_err());
    metadata.authorization_servers =
        Some(vec!["https://a.example".to_owned(), "https://b.example".to_owned()]);
    assert_eq!(metadata.authorization_server(Some("https://b.example")).unwrap(), "https://b.example");
    assert!(metadata.authorization_server(Some("https://c.example")).is_err());
}

#[test]
fn an_offer_without_a_pre_authorized_code_is_not_supported() {
    let mut offer = World::new().offer(None);
    offer.grants = None;
    assert_eq!(code(Discovery::new(offer, UrlPolicy::HTTPS)), Some("openid.unsupported"));
}

#[test]
fn a_transaction_code_that_cannot_be_right_costs_no_attempt() {
    let mut world = World::new();
    let offer = world.offer(Some(TX_CODE));
    let redeemable = discover(&mut world, &offer.to_uri()).unwrap();
    for entered in [None, Some(""), Some("12345"), Some("1234567"), Some("12345a"), Some("١٢٣٤٥٦")] {
        assert_eq!(code(redeemable.token_request(entered)), Some("openid.transaction_code"), "{entered:?}");
    }
    let offer = world.offer(None);
    let redeemable = discover(&mut world, &offer.to_uri()).unwrap();
    assert_eq!(code(redeemable.token_request(Some("123456"))), Some("openid.transaction_code"));
}

#[test]
fn answers_that_are_no_answers_are_refused() {
    let mut world = World::new();
    let offer = world.offer(None);
    let redeemable = discover(&mut world, &offer.to_uri()).unwrap();
    let large = vec![b'x'; 100_000];
    for (status, content_type, body, expected) in [
        (200, Some("text/html"), b"{}".as_slice(), "openid.malformed"),
        (200, None, b"{}", "openid.malformed"),
        (200, Some("application/json"), b"{}", "openid.malformed"),
        (200, Some("application/json"), b"", "openid.malformed"),
        (200, Some("application/json"), &large, "openid.oversized"),
        (302, Some("application/json"), b"{}", "openid.status"),
        (500, Some("application/json"), br#"{"error":"x"}"#, "openid.status"),
        (404, Some("text/html"), b"not here", "openid.status"),
        (400, Some("application/json"), br#"{"error":"invalid_grant"}"#, "openid.refused"),
    ] {
        let response = HttpResponse { status, content_type, body };
        assert_eq!(code(redeemable.on_token(&response)), Some(expected), "{status} {content_type:?}");
    }
    let foreign = HttpResponse {
        status: 400,
        content_type: None,
        body: "{\"error\":\"a\\u001b[2Jb\",\"error_description\":\"c\\nd\"}".as_bytes(),
    };
    let error = redeemable.on_token(&foreign).unwrap_err().to_string();
    assert!(!error.chars().any(char::is_control), "an issuer cannot move the cursor: {error:?}");
}

#[test]
fn tokens_of_another_kind_are_refused() {
    for body in [
        r#"{"access_token":"x","token_type":"DPoP"}"#,
        r#"{"access_token":"","token_type":"Bearer"}"#,
        r#"{"access_token":"a b","token_type":"Bearer"}"#,
        r#"{"access_token":"a\r\nb","token_type":"Bearer"}"#,
        r#"{"token_type":"Bearer"}"#,
    ] {
        assert!(TokenResponse::parse(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn credential_identifiers_are_used_when_the_issuer_gives_them() {
    let mut world = World::new();
    let offer = world.offer(None);
    let redeemable = discover(&mut world, &offer.to_uri()).unwrap();
    let body = format!(
        r#"{{"access_token":"x","token_type":"bearer","authorization_details":[{{"type":"openid_credential",
        "credential_configuration_id":"{CONFIGURATION}","credential_identifiers":["one","two"]}}]}}"#
    );
    let answer = Answer { status: 200, body: body.into_bytes() };
    let mut authorized = redeemable.on_token(&answer.response()).unwrap();
    let answer = Answer { status: 201, body: br#"{"c_nonce":"n"}"#.to_vec() };
    authorized.on_nonce(&answer.response()).unwrap();
    let request = authorized.credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap();
    let text = String::from_utf8(request.body).unwrap();
    assert!(
        text.contains(r#""credential_identifier":"one""#) && !text.contains("configuration_id"),
        "{text}"
    );
}

#[test]
fn a_proof_is_not_made_without_the_nonce_that_the_issuer_wants() {
    let mut world = World::new();
    let authorized = redeem(&mut world, None).unwrap();
    assert!(authorized.credential_request(CONFIGURATION, &holder_key(), NOW_S).is_err());
}

#[test]
fn a_proof_is_not_made_with_an_algorithm_that_the_issuer_does_not_take() {
    let mut world = World::new();
    let configuration =
        world.issuer.metadata.credential_configurations_supported.get_mut(CONFIGURATION).unwrap();
    let proof = configuration.proof_types_supported.as_mut().unwrap().get_mut("jwt").unwrap();
    proof.proof_signing_alg_values_supported = vec!["ES384".into(), aval_codec::json::Json::Int(-7)];
    let mut authorized = redeem(&mut world, None).unwrap();
    assert_eq!(code(receive(&mut world, &mut authorized)), Some("openid.unsupported"));
}

fn receive_from(tamper: fn(&mut aval_credential::CredentialDraft)) -> Option<&'static str> {
    let mut world = World::new();
    world.tamper = tamper;
    let mut authorized = redeem(&mut world, None).unwrap();
    code(receive(&mut world, &mut authorized))
}

#[test]
fn a_credential_for_another_key_is_refused() {
    let outcome = receive_from(|draft| draft.holder_key = Some(SigningKey::from_seed(&[8; 32]).public()));
    assert_eq!(outcome, Some("openid.wrong_credential"));
    assert_eq!(receive_from(|draft| draft.holder_key = None), Some("openid.wrong_credential"));
}

#[test]
fn a_credential_of_another_type_is_refused() {
    let outcome = receive_from(|draft| draft.types = vec!["OtherCredential".to_owned()]);
    assert_eq!(outcome, Some("openid.wrong_credential"));
    let outcome = receive_from(|draft| draft.types.push("OneMore".to_owned()));
    assert_eq!(outcome, Some("openid.wrong_credential"));
}

#[test]
fn a_credential_that_has_expired_is_refused() {
    let outcome = receive_from(|draft| {
        draft.valid_from_s = NOW_S - 1000;
        draft.valid_until_s = Some(NOW_S - 500);
    });
    assert_eq!(outcome, Some("openid.invalid_credential"));
}

#[test]
fn a_credential_of_an_issuer_that_does_not_list_the_key_is_refused() {
    let outcome = receive_from(|draft| draft.key_id = format!("{ISSUER_DID}#key-2"));
    assert_eq!(outcome, Some("openid.invalid_credential"));
}

#[test]
fn a_credential_whose_issuer_cannot_be_resolved_is_neither_good_nor_bad() {
    let mut world = World::new();
    let mut authorized = redeem(&mut world, None).unwrap();
    let answer = world.send(&authorized.nonce_request().unwrap());
    authorized.on_nonce(&answer.response()).unwrap();
    let answer = world.send(&authorized.credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap());
    let key = holder_key().public();
    let outcome = authorized.on_credential(&answer.response(), CONFIGURATION, &key, NOW_S, |_, _| {
        Err("no connection".to_owned())
    });
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "openid.undecided");
    assert!(error.is_retryable());
}

#[test]
fn a_credential_that_was_changed_on_the_way_is_refused() {
    let mut world = World::new();
    let mut authorized = redeem(&mut world, None).unwrap();
    let answer = world.send(&authorized.nonce_request().unwrap());
    authorized.on_nonce(&answer.response()).unwrap();
    let mut answer = world.send(&authorized.credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap());
    let text = answer.text();
    let signature = text.find('~').unwrap() - 10;
    let letter = if text.as_bytes()[signature] == b'A' { b'B' } else { b'A' };
    answer.body[signature] = letter;
    assert_eq!(code(accept(&world, &authorized, &answer)), Some("openid.invalid_credential"));
}

#[test]
fn responses_without_exactly_one_credential_now_are_refused() {
    let mut world = World::new();
    let authorized = redeem(&mut world, None).unwrap();
    for (body, expected) in [
        (r#"{"transaction_id":"x","interval":5}"#, "openid.deferred"),
        (r#"{"credentials":[]}"#, "openid.wrong_credential"),
        (r#"{"credentials":[{"credential":{}}]}"#, "openid.wrong_credential"),
        (r#"{"credentials":[{"credential":"a~"},{"credential":"a~"}]}"#, "openid.wrong_credential"),
        (r#"{"credentials":[{"credential":"a~"}],"transaction_id":"x"}"#, "openid.malformed"),
        (r#"{"credentials":[{"credential":"a~"}]}"#, "openid.invalid_credential"),
        ("{}", "openid.malformed"),
    ] {
        let answer = Answer { status: 200, body: body.as_bytes().to_vec() };
        assert_eq!(code(accept(&world, &authorized, &answer)), Some(expected), "{body}");
    }
}

#[test]
fn an_offer_of_an_issuer_on_this_machine_works_only_when_allowed() {
    let offer =
        CredentialOffer::pre_authorized("http://127.0.0.1:8080", vec!["a".to_owned()], "x".to_owned(), None);
    assert!(CredentialOffer::parse(&offer.to_json(), UrlPolicy::HTTPS).is_err());
    assert!(CredentialOffer::parse(&offer.to_json(), UrlPolicy::LOOPBACK).is_ok());
    let url = IssuerMetadata::url("http://127.0.0.1:8080", UrlPolicy::LOOPBACK).unwrap();
    assert_eq!(url, "http://127.0.0.1:8080/.well-known/openid-credential-issuer");
}
