//! The way by the issuer's page, from the wallet: what is sent, and what is not taken.

use super::world::*;
use crate::OpenIdError;
use crate::http::{HttpResponse, JSON};
use crate::oauth::dpop::{self, Expectation, Proof};
use crate::url_rules::UrlPolicy;
use crate::vci::metadata::{AuthorizationServerMetadata, IssuerMetadata};
use crate::vci::{CredentialConfiguration, CredentialOffer, Discovery, Login, Proving, Redeemable, Secrets};
use aval_did::key::SigningKey;

const BACK: &str = "http://127.0.0.1:49152/";

fn key() -> SigningKey {
    SigningKey::p256_from_seed(&[3; 32]).unwrap()
}

fn offer() -> CredentialOffer {
    CredentialOffer::with_authorization(ISSUER, vec![CONFIGURATION.to_owned()], "offer-1".to_owned())
}

fn answer(body: &[u8]) -> HttpResponse<'_> {
    HttpResponse { status: 200, content_type: Some(JSON), body }
}

fn discovered(
    offer: CredentialOffer,
    server: &AuthorizationServerMetadata,
) -> Result<Redeemable, OpenIdError> {
    let metadata = IssuerMetadata::new(ISSUER)
        .with_configuration(CONFIGURATION, CredentialConfiguration::vc_sd_jwt(TYPE, "Membership"));
    let discovered =
        Discovery::new(offer, UrlPolicy::HTTPS)?.on_response(&answer(&metadata.to_json())).unwrap();
    discovered.on_response(&answer(&server.to_json()))
}

fn login(server: &AuthorizationServerMetadata) -> Login {
    let secrets = Secrets { code_verifier: "v".repeat(43), state: "state-1".to_owned(), key: key() };
    discovered(offer(), server).unwrap().login(CONFIGURATION, ("wallet", BACK), secrets).unwrap()
}

fn server() -> AuthorizationServerMetadata {
    AuthorizationServerMetadata::new(ISSUER).with_authorization_code()
}

const PROVING: Proving<'_> = Proving { id: "one", nonce: Some("nonce-1"), now_s: NOW_S };

#[test]
fn requests_of_a_login_carry_the_offers_state_and_a_proof_of_the_key_for_the_token() {
    let login = login(&server());
    let request = login.push_request(&PROVING).unwrap();
    let form = String::from_utf8(request.body.clone()).unwrap();
    assert!(form.contains("issuer_state=offer-1") && form.contains("code_challenge_method=S256"), "{form}");
    assert!(!form.contains(&"v".repeat(43)), "the verifier stays with the wallet until the code is redeemed");
    let code = login.on_redirect(&format!("{BACK}?code=c&state=state-1&iss={ISSUER}")).unwrap();
    for request in [request, login.token_request(&code, &PROVING).unwrap()] {
        let (_, proof) = request.headers.iter().find(|(name, _)| *name == dpop::HEADER).unwrap();
        let expected = Expectation {
            method: "POST",
            url: &request.url,
            access_token: None,
            now_s: NOW_S,
            age_max_s: 60,
            skew_s: 0,
        };
        let proof = Proof::verify(proof, &expected).unwrap();
        assert_eq!(
            (proof.thumbprint, proof.nonce.as_deref()),
            (key().public().thumbprint(), Some("nonce-1"))
        );
    }
}

#[test]
fn an_answer_to_another_login_or_of_another_server_is_not_taken() {
    let login = login(&server());
    for answer in [
        format!("{BACK}?code=c&state=state-2&iss={ISSUER}"),
        format!("{BACK}?code=c&iss={ISSUER}"),
        format!("{BACK}?code=c&state=state-1&iss=https://elsewhere.example"),
        format!("{BACK}?code=c&state=state-1"),
    ] {
        assert!(matches!(login.on_redirect(&answer), Err(OpenIdError::Untrusted(_))), "{answer}");
    }
    let denied = format!("{BACK}?error=access_denied&state=state-1&iss={ISSUER}");
    assert_eq!(login.on_redirect(&denied).unwrap_err().refusal(), Some("access_denied"));
}

#[test]
fn a_server_without_proofs_gets_none_and_one_without_pushed_requests_is_not_used() {
    let mut plain = server();
    plain.dpop_signing_alg_values_supported = None;
    let login = login(&plain);
    assert!(login.key().is_none() && login.push_request(&PROVING).unwrap().headers.is_empty());
    let mut unpushed = server();
    unpushed.pushed_authorization_request_endpoint = None;
    let mut nameless = server();
    nameless.authorization_response_iss_parameter_supported = None;
    for server in [unpushed, nameless, AuthorizationServerMetadata::new(ISSUER)] {
        assert!(matches!(discovered(offer(), &server), Err(OpenIdError::Unsupported(_))));
    }
}

#[test]
fn a_code_is_taken_before_a_login_and_neither_stands_for_the_other() {
    let code = CredentialOffer::pre_authorized(ISSUER, vec![CONFIGURATION.to_owned()], CODE.to_owned(), None);
    let mut both = code.clone();
    both.grants.as_mut().unwrap().authorization_code = offer().grants.unwrap().authorization_code;
    assert!(!discovered(both, &server()).unwrap().wants_login());
    let secrets = || Secrets { code_verifier: "v".repeat(43), state: "state-1".to_owned(), key: key() };
    let refused = discovered(code, &server()).unwrap().login(CONFIGURATION, ("wallet", BACK), secrets());
    assert!(matches!(refused, Err(OpenIdError::Unsupported(_))));
    let by_login = discovered(offer(), &server()).unwrap();
    assert!(by_login.wants_login());
    assert!(matches!(by_login.token_request(None), Err(OpenIdError::Unsupported(_))));
    let neither = CredentialOffer { grants: None, ..offer() };
    assert!(matches!(Discovery::new(neither, UrlPolicy::HTTPS), Err(OpenIdError::Unsupported(_))));
}
