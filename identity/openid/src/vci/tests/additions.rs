//! Batches, encryption, deferral, notification, bound tokens and signed metadata: both sides, and what each refuses.

use super::world::*;
use crate::http::{HttpRequest, HttpResponse, JSON};
use crate::jwe::DecryptionKey;
use crate::jwt::KeyName;
use crate::oauth::Credentials;
use crate::oauth::dpop::{Expectation, Proof};
use crate::url_rules::UrlPolicy;
use crate::vci::encryption::{self, MEDIA_TYPE, open_request};
use crate::vci::holder::Authorized;
use crate::vci::issuer::{Accepted, Issuer, Session};
use crate::vci::later::{DeferredRequest, Delivery, Notification, NotificationEvent};
use crate::vci::metadata::AuthorizationServerMetadata;
use crate::vci::signed_metadata::{self, SignedMetadata};
use crate::vci::token::TokenResponse;
use crate::vci::{
    CredentialConfiguration, CredentialRequest, CredentialResponse, Encryption, Format, IssuerMetadata,
};
use crate::x509::Anchors;
use crate::x509::tests::certified;
use crate::{ErrorResponse, OpenIdError};
use aval_did::key::SigningKey;
use proptest::prelude::*;
use serde_json::{Value, json};

fn keys(count: u8) -> Vec<SigningKey> {
    (1..=count).map(|seed| SigningKey::p256_from_seed(&[seed; 32]).unwrap()).collect()
}

fn issuer_encryption() -> DecryptionKey {
    DecryptionKey::from_seed(&[40; 32]).unwrap()
}

fn response_key() -> DecryptionKey {
    DecryptionKey::from_seed(&[41; 32]).unwrap()
}

fn metadata() -> IssuerMetadata {
    IssuerMetadata::new(ISSUER).with_later(3).with_configuration(
        CONFIGURATION,
        CredentialConfiguration::of(Format::DcSdJwt, "urn:member", "Membership"),
    )
}

fn encrypting(required: bool) -> IssuerMetadata {
    let mut metadata = metadata();
    metadata.credential_request_encryption = Some(Encryption::of_requests(&issuer_encryption(), required));
    metadata.credential_response_encryption = Some(Encryption::of_responses(required));
    metadata
}

fn authorized(metadata: &IssuerMetadata) -> Authorized {
    let mut authorized = Authorized::new(metadata.clone(), TokenResponse::bearer("token-1".to_owned(), 300));
    let nonce = crate::vci::token::nonce_response("nonce-1");
    authorized.on_nonce(&HttpResponse { status: 200, content_type: Some(JSON), body: &nonce }).unwrap();
    authorized
}

fn session() -> Session {
    Session::authorized(vec![CONFIGURATION.to_owned()], NOW_S + 300)
}

/// The credential endpoint up to issuing.
fn accept(metadata: &IssuerMetadata, request: &HttpRequest) -> Result<Accepted, ErrorResponse> {
    let key = issuer_encryption();
    let required = metadata.credential_request_encryption.as_ref().is_some_and(|one| one.encryption_required);
    let key = metadata.credential_request_encryption.is_some().then_some(&key);
    let opened = open_request(request.content_type.unwrap_or_default(), &request.body, key, required)?;
    let issuer = Issuer::new(metadata.clone());
    issuer.accept_opened(&session(), &CredentialRequest::parse(&opened.body)?, opened.encrypted, NOW_S)
}

fn delivered(authorized: &Authorized, body: &[u8], wanted: usize) -> Result<Delivery, OpenIdError> {
    authorized.on_delivery(&HttpResponse { status: 200, content_type: Some(JSON), body }, wanted)
}

#[test]
fn a_batch_brings_one_credential_for_each_key() {
    let (metadata, keys) = (metadata(), keys(3));
    let authorized = authorized(&metadata);
    let signers: Vec<&SigningKey> = keys.iter().collect();
    let request = authorized.credentials_request(CONFIGURATION, &signers, NOW_S).unwrap();
    let accepted = accept(&metadata, &request).unwrap();
    let proven: Vec<_> = accepted.holders().map(|holder| holder.key).collect();
    assert_eq!(proven, keys.iter().map(SigningKey::public).collect::<Vec<_>>());
    assert_eq!(accepted.nonce, "nonce-1");

    let credentials = vec![json!("one"), json!({"type": "two", "score": 1.5}), json!("three")];
    let response = CredentialResponse::of_all(credentials.clone(), Some("note-1".to_owned()));
    let expected = Delivery::Credentials { credentials, notification_id: Some("note-1".to_owned()) };
    assert_eq!(delivered(&authorized, &response.to_json(), 3).unwrap(), expected);
    assert!(delivered(&authorized, &response.to_json(), 2).is_err(), "more than were asked for");
}

#[test]
fn a_batch_is_bounded_of_different_keys_and_with_one_nonce() {
    let (metadata, keys) = (metadata(), keys(4));
    let authorized = authorized(&metadata);
    let signers: Vec<&SigningKey> = keys.iter().collect();
    assert!(
        authorized.credentials_request(CONFIGURATION, &signers, NOW_S).is_err(),
        "more than the issuer takes"
    );
    assert!(authorized.credentials_request(CONFIGURATION, &[], NOW_S).is_err());
    let same = authorized.credentials_request(CONFIGURATION, &[&keys[0], &keys[0]], NOW_S).unwrap();
    assert_eq!(accept(&metadata, &same).unwrap_err().error, "invalid_proof");
    let proof = |nonce: &str, seed: usize| crate::vci::proof::sign(&keys[seed], ISSUER, Some(nonce), NOW_S);
    let with = |proofs: Value| {
        let body =
            json!({"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": proofs}}).to_string();
        let mut request = same.clone();
        request.body = body.into_bytes();
        accept(&metadata, &request).map(|accepted| accepted.holders().count()).map_err(|error| error.error)
    };
    assert_eq!(with(json!([proof("a", 0), proof("a", 1)])), Ok(2));
    assert_eq!(with(json!([proof("a", 0), proof("b", 1)])), Err("invalid_proof"));
    assert_eq!(
        with(json!([proof("a", 0), proof("a", 1), proof("a", 2), proof("a", 3)])),
        Err("invalid_proof")
    );
    assert_eq!(with(json!([])), Err("invalid_proof"));
    assert_eq!(with(json!([proof("a", 0), 5])), Err("invalid_proof"));
    assert_eq!(with(json!([proof("a", 0), "e30.e30.AAAA"])), Err("invalid_proof"));
}

#[test]
fn requests_and_responses_travel_encrypted() {
    for required in [true, false] {
        let metadata = encrypting(required);
        let authorized = authorized(&metadata).encrypted(response_key());
        let request = authorized.credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap();
        assert_eq!(request.content_type, Some(MEDIA_TYPE));
        let accepted = accept(&metadata, &request).unwrap();
        let response = CredentialResponse::of("secret".to_owned()).to_json();
        let sealed = accepted.encryption.unwrap().seal(&response).unwrap();
        assert!(!sealed.contains("secret"));
        let answer = HttpResponse { status: 200, content_type: Some(MEDIA_TYPE), body: sealed.as_bytes() };
        let Delivery::Credentials { credentials, .. } = authorized.on_delivery(&answer, 1).unwrap() else {
            panic!("it is there")
        };
        assert_eq!(credentials, ["secret"]);
        assert!(delivered(&authorized, &response, 1).is_err(), "an answer in plain text is not taken");
    }
}

#[test]
fn an_issuer_that_wants_encryption_gets_it_or_refuses() {
    let wanting = encrypting(true);
    let silent = authorized(&wanting);
    let error = silent.credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap_err();
    assert_eq!(error.code(), "openid.unsupported");
    let plain = authorized(&metadata()).credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap();
    let code =
        |metadata: &IssuerMetadata, request: &HttpRequest| accept(metadata, request).unwrap_err().error;
    assert_eq!(code(&wanting, &plain), "invalid_encryption_parameters");
    let sealed = authorized(&wanting).encrypted(response_key());
    let sealed = sealed.credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap();
    assert_eq!(code(&metadata(), &sealed), "invalid_encryption_parameters", "no key to decrypt with");
    let mut damaged = sealed;
    damaged.body.truncate(100);
    assert_eq!(code(&wanting, &damaged), "invalid_encryption_parameters");
    let key = response_key();
    let read = |member: Value, encrypted| {
        let member =
            aval_codec::json::parse(member.to_string().as_bytes(), aval_codec::Limits::default()).unwrap();
        encryption::ResponseEncryption::read(Some(&member), encrypted, false).is_ok()
    };
    let jwk: Value = serde_json::from_slice(&key.public_jwk().to_jcs()).unwrap();
    assert!(read(json!({"jwk": jwk, "enc": "A256GCM"}), true));
    assert!(!read(json!({"jwk": jwk, "enc": "A256GCM"}), false), "the request itself was not encrypted");
    assert!(!read(json!({"jwk": jwk, "enc": "A192GCM"}), true));
    assert!(!read(json!({"jwk": {}, "enc": "A256GCM"}), true));
    assert!(!read(json!({"jwk": jwk, "enc": "A256GCM", "zip": "DEF"}), true));
}

#[test]
fn what_is_not_ready_is_asked_for_again() {
    let metadata = metadata();
    let authorized = authorized(&metadata);
    let promise = CredentialResponse::deferred("later-1".to_owned(), 30).to_json();
    let Delivery::Deferred { transaction_id, interval_s } = delivered(&authorized, &promise, 1).unwrap()
    else {
        panic!("it comes later")
    };
    assert_eq!((transaction_id.as_str(), interval_s), ("later-1", 30));
    let request = authorized.deferred_request(&transaction_id).unwrap();
    assert_eq!(request.url, format!("{ISSUER}/deferred_credential"));
    assert_eq!(DeferredRequest::parse(&request.body).unwrap().transaction_id, "later-1");
    for body in ["{}", "[]", "", r#"{"transaction_id":5}"#, r#"{"transaction_id":""}"#] {
        assert!(DeferredRequest::parse(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn responses_that_are_neither_credentials_nor_a_promise_are_refused() {
    let authorized = authorized(&metadata());
    for body in [
        json!({}),
        json!({"credentials": []}),
        json!({"credentials": [{"credential": 5}]}),
        json!({"credentials": [{}]}),
        json!({"credentials": ["text"]}),
        json!({"credentials": [{"credential": "a"}], "transaction_id": "b"}),
        json!({"transaction_id": "b"}),
        json!({"transaction_id": "b", "interval": 0}),
        json!({"transaction_id": "b", "interval": 1e12}),
        json!({"transaction_id": "", "interval": 5}),
        json!({"transaction_id": 5, "interval": 5}),
        json!({"credentials": [{"credential": "a"}], "notification_id": 5}),
    ] {
        assert!(delivered(&authorized, body.to_string().as_bytes(), 1).is_err(), "{body}");
    }
    let twice = br#"{"credentials":[{"credential":"a"}],"credentials":[{"credential":"b"}]}"#;
    assert!(delivered(&authorized, twice, 1).is_err());
}

#[test]
fn the_issuer_hears_what_became_of_credentials() {
    let notification = Notification {
        notification_id: "note-1".to_owned(),
        event: NotificationEvent::CredentialAccepted,
        event_description: None,
    };
    let request = authorized(&metadata()).notification(&notification).unwrap();
    assert_eq!(request.url, format!("{ISSUER}/notification"));
    assert_eq!(Notification::parse(&request.body), Ok(notification.clone()));
    assert!(authorized(&IssuerMetadata::new(ISSUER)).notification(&notification).is_none());
    let code = |body: Value| Notification::parse(body.to_string().as_bytes()).unwrap_err().error;
    assert_eq!(code(json!({"event": "credential_accepted"})), "invalid_notification_request");
    assert_eq!(code(json!({"notification_id": "a", "event": "stolen"})), "invalid_notification_request");
    assert_eq!(
        code(json!({"notification_id": "", "event": "credential_deleted"})),
        "invalid_notification_id"
    );
}

#[test]
fn a_bound_token_is_used_with_a_proof_for_each_request() {
    let metadata = metadata();
    let key = SigningKey::p256_from_seed(&[50; 32]).unwrap();
    let token = TokenResponse::dpop("token-1".to_owned(), 300);
    let mut bound = Authorized::bound(metadata.clone(), token, key.clone()).unwrap();
    let bearer = TokenResponse::bearer("token-1".to_owned(), 300);
    assert!(
        Authorized::bound(metadata.clone(), bearer, key.clone()).is_err(),
        "the server ignored the proof"
    );
    let nonce = crate::vci::token::nonce_response("nonce-1");
    bound.on_nonce(&HttpResponse { status: 200, content_type: Some(JSON), body: &nonce }).unwrap();

    let mut request = bound.credential_request(CONFIGURATION, &holder_key(), NOW_S).unwrap();
    bound.prove(&mut request, "id-1", Some("server-nonce"), NOW_S).unwrap();
    assert_eq!(request.bearer, None);
    let header =
        |name: &str| request.headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.as_str());
    let credentials = Credentials::parse(header("Authorization")).unwrap();
    let expected = Expectation {
        method: "POST",
        url: &metadata.credential_endpoint,
        access_token: Some(credentials.token()),
        now_s: NOW_S,
        age_max_s: 60,
        skew_s: 5,
    };
    let proof = Proof::verify(header("DPoP").unwrap(), &expected).unwrap();
    assert_eq!(proof.nonce.as_deref(), Some("server-nonce"));
    let mut session = session();
    assert!(credentials.check(Some(&proof.thumbprint), session.bound()).is_err(), "the token is not bound");
    session.bind(key.public().thumbprint());
    assert!(credentials.check(Some(&proof.thumbprint), session.bound()).is_ok());
    assert!(Credentials::Bearer("token-1").check(None, session.bound()).is_err(), "a stolen token");
}

#[test]
fn metadata_signed_by_a_did_or_a_certificate_is_verified() {
    let issuer = "https://issuer.example/register";
    let metadata = IssuerMetadata::new(issuer)
        .with_configuration("member", CredentialConfiguration::vc_sd_jwt("Member", "Membership"));
    let read = |text: &str, now_s| {
        let response =
            HttpResponse { status: 200, content_type: Some("application/jwt"), body: text.as_bytes() };
        SignedMetadata::on_response(&response, issuer, UrlPolicy::HTTPS, now_s)
    };
    let name = KeyName::Id("did:key:z#z");
    let text = signed_metadata::sign(&metadata, &issuer_key(), name, NOW_S, 3600).unwrap();
    let signed = read(&text, NOW_S).unwrap();
    assert_eq!(signed.key_id(), Some("did:key:z#z"));
    assert_eq!(signed.clone().verify_with_key(&issuer_key().public()).unwrap(), metadata);
    assert!(signed.clone().verify_with_key(&SigningKey::from_seed(&[9; 32]).public()).is_err());
    assert!(read(&text, NOW_S + 3600 + 301).is_err(), "expired");
    assert!(read(&text, NOW_S - 301).is_err(), "from the future");
    let plain = HttpResponse { status: 200, content_type: Some(JSON), body: text.as_bytes() };
    assert!(SignedMetadata::on_response(&plain, issuer, UrlPolicy::HTTPS, NOW_S).is_err());
    let other = IssuerMetadata::new("https://other.example");
    let foreign = signed_metadata::sign(&other, &issuer_key(), name, NOW_S, 3600).unwrap();
    assert_eq!(read(&foreign, NOW_S).unwrap_err().code(), "openid.foreign_metadata");

    let (anchors, chain, key) = certified(&["issuer.example"]);
    let text = signed_metadata::sign(&metadata, &key, KeyName::Certificates(&chain), NOW_S, 3600).unwrap();
    let signed = read(&text, NOW_S).unwrap();
    assert_eq!(signed.clone().verify_with_certificates(&anchors, NOW_S).unwrap(), metadata);
    assert!(signed.verify_with_certificates(&Anchors::default(), NOW_S).is_err());
    let (anchors, chain, key) = certified(&["other.example"]);
    let text = signed_metadata::sign(&metadata, &key, KeyName::Certificates(&chain), NOW_S, 3600).unwrap();
    assert!(
        read(&text, NOW_S).unwrap().verify_with_certificates(&anchors, NOW_S).is_err(),
        "for another host"
    );
}

#[test]
fn every_format_is_described_and_understood() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
        let configuration = CredentialConfiguration::of(format, "Thing", "A thing");
        assert!(crate::vci::holder::check_configuration(&configuration).is_ok(), "{format:?}");
        assert_eq!(configuration.vct.is_some(), format == Format::DcSdJwt);
        let mut bare = configuration;
        (bare.vct, bare.credential_definition) = (None, None);
        assert!(crate::vci::holder::check_configuration(&bare).is_err(), "{format:?}");
    }
    let mut unknown = CredentialConfiguration::vc_sd_jwt("Thing", "A thing");
    unknown.format = "mso_mdoc".to_owned();
    assert!(crate::vci::holder::check_configuration(&unknown).is_err());
}

#[test]
fn a_server_for_codes_pushes_hashes_and_names_itself() {
    let read = |metadata: &AuthorizationServerMetadata| {
        let body = metadata.to_json();
        let response = HttpResponse { status: 200, content_type: Some(JSON), body: &body };
        AuthorizationServerMetadata::on_response_for_code(&response, ISSUER, UrlPolicy::HTTPS).map(drop)
    };
    let good = AuthorizationServerMetadata::new(ISSUER).with_authorization_code();
    assert!(read(&good).is_ok());
    assert!(read(&AuthorizationServerMetadata::new(ISSUER)).is_err());
    let mut plain = good.clone();
    plain.code_challenge_methods_supported = Some(vec!["plain".to_owned()]);
    assert!(read(&plain).is_err());
    let mut silent = good.clone();
    silent.authorization_response_iss_parameter_supported = None;
    assert!(read(&silent).is_err());
    let mut inward = good;
    inward.authorization_endpoint = Some("https://10.0.0.1/authorize".to_owned());
    assert_eq!(read(&inward).unwrap_err().code(), "openid.url");
}

proptest! {
    #[test]
    fn no_body_panics(text in "\\PC{0,120}") {
        let body = text.as_bytes();
        let _ = DeferredRequest::parse(body);
        let _ = Notification::parse(body);
        let _ = Delivery::parse(body, 1);
        let _ = open_request(MEDIA_TYPE, body, Some(&issuer_encryption()), true);
        let response = HttpResponse { status: 200, content_type: Some("application/jwt"), body };
        let _ = SignedMetadata::on_response(&response, ISSUER, UrlPolicy::HTTPS, NOW_S);
    }
}
