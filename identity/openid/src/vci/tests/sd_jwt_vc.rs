//! An SD-JWT VC (`dc+sd-jwt`) in the wallet: what is checked of it, and what makes it refused.

use super::world::*;
use crate::http::JSON;
use crate::vci::Format;
use crate::vci::credential::CredentialResponse;
use crate::vci::holder::Authorized;
use crate::vci::metadata::{CredentialConfiguration, IssuerMetadata};
use crate::vci::token::TokenResponse;
use crate::{HttpResponse, OpenIdError};
use aval_codec::json::Json;
use aval_credential::jws;
use aval_did::key::SigningKey;
use std::collections::BTreeMap;

const VCT: &str = "UniversityDegree";

fn authorized() -> Authorized {
    let configuration = CredentialConfiguration::of(Format::DcSdJwt, VCT, "Diploma");
    let metadata = IssuerMetadata::new(ISSUER).with_configuration(CONFIGURATION, configuration);
    Authorized::new(metadata, TokenResponse::bearer("token-1".to_owned(), 300))
}

/// Receives what an issuer made of these claims, under this `typ`.
fn receive_as(typ: &str, change: impl FnOnce(&mut BTreeMap<String, Json>)) -> Result<String, OpenIdError> {
    let confirmation = Json::Object(BTreeMap::from([("jwk".to_owned(), holder_key().public().to_jwk())]));
    let mut claims = BTreeMap::from([
        ("iss".to_owned(), ISSUER_DID.into()),
        ("vct".to_owned(), VCT.into()),
        ("exp".to_owned(), Json::Int(NOW_S + 1000)),
        ("cnf".to_owned(), confirmation),
        ("degree".to_owned(), "Master of Science".into()),
    ]);
    change(&mut claims);
    let key_id = format!("{ISSUER_DID}#key-1");
    let text = jws::sign(&issuer_key(), typ, Some(&key_id), &Json::Object(claims));
    let body = CredentialResponse::of(format!("{text}~")).to_json();
    let response = HttpResponse { status: 200, content_type: Some(JSON), body: &body };
    let key = holder_key().public();
    let received = authorized().on_credential(&response, CONFIGURATION, &key, NOW_S, assertion_key)?;
    Ok(received.presentation.types().join(","))
}

fn code(change: impl FnOnce(&mut BTreeMap<String, Json>)) -> Option<&'static str> {
    receive_as("dc+sd-jwt", change).err().map(|error| error.code())
}

#[test]
fn an_sd_jwt_vc_for_the_wallets_key_is_taken() {
    assert_eq!(receive_as("dc+sd-jwt", |_| ()).unwrap(), VCT);
}

#[test]
fn an_sd_jwt_vc_that_is_not_what_was_promised_is_refused() {
    let wrong = Some("openid.wrong_credential");
    assert_eq!(code(|claims| drop(claims.insert("vct".to_owned(), "OtherDegree".into()))), wrong);
    assert_eq!(code(|claims| drop(claims.remove("cnf"))), wrong);
    let other = SigningKey::from_seed(&[8; 32]).public().to_jwk();
    let confirmation = Json::Object(BTreeMap::from([("jwk".to_owned(), other)]));
    assert_eq!(code(|claims| drop(claims.insert("cnf".to_owned(), confirmation))), wrong);
    let invalid = Some("openid.invalid_credential");
    assert_eq!(code(|claims| drop(claims.insert("exp".to_owned(), Json::Int(NOW_S - 1000)))), invalid);
    let issuer = "did:aval:demo:QmSomebodyElse";
    assert!(code(|claims| drop(claims.insert("iss".to_owned(), issuer.into()))).is_some());
}

#[test]
fn a_credential_in_another_format_than_was_promised_is_refused() {
    let outcome = receive_as("vc+sd-jwt", |claims| {
        *claims = BTreeMap::from([
            ("@context".to_owned(), Json::Array(vec!["https://www.w3.org/ns/credentials/v2".into()])),
            ("type".to_owned(), Json::Array(vec!["VerifiableCredential".into(), VCT.into()])),
            ("issuer".to_owned(), ISSUER_DID.into()),
            ("credentialSubject".to_owned(), Json::Object(BTreeMap::new())),
            ("cnf".to_owned(), claims["cnf"].clone()),
        ]);
    });
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("another format"), "{error}");
}
