//! OpenID4VCI: what an issuer reads from wallets and what a wallet reads from issuers, links of strangers included.

use std::collections::BTreeMap;

use aval_codec::json::{self, Json, Limits};
use aval_credential::jws;
use aval_openid::vci::proof::TYPE as PROOF_TYPE;
use aval_openid::vci::token::{bearer_token, parse_nonce};
use aval_openid::vci::{
    AuthorizationServerMetadata, CredentialOffer, CredentialRequest, CredentialResponse, Discovery,
    IssuerMetadata, OfferLink, ProofOfPossession, TokenRequest, TokenResponse,
};
use aval_openid::{HttpResponse, UrlPolicy};

use crate::seeds;

/// What strangers' links are held to.
const POLICY: UrlPolicy = UrlPolicy::HTTPS;
/// Whose metadata the wallet has asked for.
pub(crate) const ISSUER: &str = "https://issuer.example/register";

/// A credential offer, as a link or behind one.
pub(crate) fn offer(bytes: &[u8]) -> bool {
    let mut is_read = false;
    if let Ok(offer) = CredentialOffer::parse(bytes, POLICY) {
        is_read = true;
        let again = CredentialOffer::parse(&offer.to_json(), POLICY);
        assert!(again.is_ok_and(|again| again == offer), "an offer that was written is not read as it was");
        let link = OfferLink::parse(&offer.to_uri(), POLICY);
        let fits = offer.to_uri().len() <= aval_openid::vci::offer::OFFER_BYTES_MAX;
        assert!(!fits || link == Ok(OfferLink::Value(offer.clone())), "the link is another offer");
        if let Ok(discovery) = Discovery::new(offer, POLICY) {
            let request = discovery.request().expect("an issuer that was checked can be asked");
            assert!(request.url.starts_with("https://"), "a link leads off https");
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Ok(OfferLink::Reference(request)) = OfferLink::parse(text, POLICY) {
        is_read = true;
        assert!(request.url.starts_with("https://"), "a link leads off https");
    }
    is_read
}

/// Metadata of an issuer and of an authorization server.
pub(crate) fn metadata(bytes: &[u8]) -> bool {
    let response = HttpResponse { status: 200, content_type: Some("application/json"), body: bytes };
    let mut is_read = false;
    if let Ok(metadata) = IssuerMetadata::on_response(&response, ISSUER, POLICY) {
        is_read = true;
        assert_eq!(metadata.credential_issuer, ISSUER, "an issuer speaks for another");
        let body = metadata.to_json();
        let response = HttpResponse { body: &body, ..response };
        assert_eq!(IssuerMetadata::on_response(&response, ISSUER, POLICY).as_ref(), Ok(&metadata));
        let _ = metadata.authorization_server(None);
    }
    if let Ok(metadata) = AuthorizationServerMetadata::on_response(&response, ISSUER, POLICY) {
        is_read = true;
        let body = metadata.to_json();
        let response = HttpResponse { body: &body, ..response };
        assert_eq!(AuthorizationServerMetadata::on_response(&response, ISSUER, POLICY), Ok(metadata));
    }
    let _ = CredentialOffer::on_response(&response, POLICY);
    let refused = HttpResponse { status: 400, ..response };
    assert!(CredentialOffer::on_response(&refused, POLICY).is_err(), "an error passes as an offer");
    is_read
}

/// A token request, and what answers it.
pub(crate) fn token(bytes: &[u8]) -> bool {
    let mut is_read = parse_nonce(bytes).is_ok();
    if let Ok(request) = TokenRequest::parse(bytes) {
        is_read = true;
        let again = TokenRequest::parse(&request.to_form());
        assert!(again.is_ok_and(|again| again == request), "a form that was written is not read as it was");
    }
    if let Ok(response) = TokenResponse::parse(bytes) {
        is_read = true;
        let again = TokenResponse::parse(&response.to_json());
        assert!(again.is_ok_and(|again| again == response), "a token is not read as it was written");
    }
    if let Ok(header) = std::str::from_utf8(bytes)
        && let Ok(token) = bearer_token(Some(header))
    {
        assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "a token with odd characters");
    }
    is_read
}

/// A credential request, and what answers it.
pub(crate) fn request(bytes: &[u8]) -> bool {
    let mut is_read = false;
    if let Ok(request) = CredentialRequest::parse(bytes) {
        is_read = true;
        assert_eq!(CredentialRequest::parse(&request.to_json()).as_ref(), Ok(&request));
        if let Ok(proof) = request.jwt_proof() {
            let _ = ProofOfPossession::parse(proof);
        }
    }
    if let Ok(credential) = CredentialResponse::parse_one(bytes) {
        let again = CredentialResponse::parse_one(&CredentialResponse::of(credential.clone()).to_json());
        is_read = true;
        assert_eq!(again, Ok(credential));
    }
    is_read
}

/// A proof of possession as it arrives; or, as JSON, claims that a holder signed.
pub(crate) fn proof(bytes: &[u8]) -> bool {
    if let Ok(claims @ Json::Object(_)) = json::parse(bytes, Limits::default()) {
        let header = BTreeMap::from([("jwk".to_owned(), seeds::key().public().to_jwk())]);
        let text = jws::sign_with_header(&seeds::key(), PROOF_TYPE, header, &claims);
        if let Ok(proof) = ProofOfPossession::parse(&text) {
            assert_eq!(proof.holder.key, seeds::key().public());
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(proof) = ProofOfPossession::parse(text) else { return false };
    assert_eq!(ProofOfPossession::parse(text).as_ref(), Ok(&proof));
    assert!(proof.issued_at_s >= 0 && !proof.is_fresh(i64::MAX, 60, 0));
    let head = text.rsplit_once('.').map_or("", |(head, _)| head);
    assert!(ProofOfPossession::parse(&format!("{head}.")).is_err(), "a proof without a signature");
    true
}
