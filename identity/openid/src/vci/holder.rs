//! The wallet's side: one type per step, so that no step can be left out.
//!
//! ```text
//! Discovery -> Discovered -> Redeemable -> Authorized -> Received
//!  issuer's     server's      show, then     nonce, proof,
//!  metadata     metadata      token          credential
//! ```
//!
//! A step that failed can be tried again with the same value: a mistyped transaction code goes back to
//! [`Redeemable::token_request`], a refused nonce to [`Authorized::nonce_request`].

use crate::OpenIdError;
use crate::http::{FORM, HttpRequest, HttpResponse, JSON};
use crate::url_rules::UrlPolicy;
use crate::vci::credential::{CredentialRequest, CredentialResponse, RESPONSE_BYTES_MAX};
use crate::vci::metadata::{AuthorizationServerMetadata, CredentialConfiguration, IssuerMetadata};
use crate::vci::offer::{CredentialOffer, PreAuthorizedCode, TransactionCodeSpec};
use crate::vci::token::{self, TOKEN_RESPONSE_BYTES_MAX, TokenRequest, TokenResponse};
use crate::vci::{FORMAT, proof};
use aval_codec::json::Json;
use aval_credential::verify::{Expectation, Failure, KeyBindingPolicy, Verdict, verify};
use aval_credential::{Limits, Presentation};
use aval_did::key::{PublicKey, SigningKey};
use std::collections::{BTreeMap, BTreeSet};

/// How far the issuer's clock may be ahead of the wallet's.
const CLOCK_SKEW_S: i64 = 300;

/// An offer was read; the issuer's metadata is wanted.
#[derive(Debug, Clone)]
pub struct Discovery {
    offer: CredentialOffer,
    grant: PreAuthorizedCode,
    policy: UrlPolicy,
}

impl Discovery {
    /// Begins with an offer.
    pub fn new(offer: CredentialOffer, policy: UrlPolicy) -> Result<Self, OpenIdError> {
        let grant = offer
            .pre_authorized_code()
            .cloned()
            .ok_or_else(|| OpenIdError::Unsupported("the offer has no pre-authorized code".to_owned()))?;
        Ok(Self { offer, grant, policy })
    }

    /// The offer.
    pub fn offer(&self) -> &CredentialOffer {
        &self.offer
    }

    /// Asks for the issuer's metadata.
    pub fn request(&self) -> Result<HttpRequest, OpenIdError> {
        IssuerMetadata::request(&self.offer.credential_issuer, self.policy)
    }

    /// Takes the issuer's metadata: it must be of the issuer that the offer names, and describe what the offer
    /// offers.
    pub fn on_response(self, response: &HttpResponse<'_>) -> Result<Discovered, OpenIdError> {
        let metadata = IssuerMetadata::on_response(response, &self.offer.credential_issuer, self.policy)?;
        for id in &self.offer.credential_configuration_ids {
            let configuration = metadata
                .credential_configurations_supported
                .get(id)
                .ok_or_else(|| OpenIdError::UnknownConfiguration(id.clone()))?;
            check_configuration(configuration)?;
        }
        let server = metadata.authorization_server(self.grant.authorization_server.as_deref())?.to_owned();
        Ok(Discovered { discovery: self, metadata, server })
    }
}

/// What this wallet can receive: our format, with a proof of a kind that it can make.
fn check_configuration(configuration: &CredentialConfiguration) -> Result<(), OpenIdError> {
    if configuration.format != FORMAT {
        return Err(OpenIdError::Unsupported(format!("the format `{}`", configuration.format)));
    }
    if configuration.types().is_empty() {
        return Err(OpenIdError::malformed("metadata", "a credential has no types"));
    }
    match configuration.jwt_proof() {
        Some(proof) if proof.key_attestations_required.is_some() => {
            Err(OpenIdError::Unsupported("the issuer wants the wallet's key attested".to_owned()))
        }
        Some(_) => Ok(()),
        None => {
            Err(OpenIdError::Unsupported("the issuer wants no proof of possession of type jwt".to_owned()))
        }
    }
}

/// The issuer is known; its authorization server is not yet.
#[derive(Debug, Clone)]
pub struct Discovered {
    discovery: Discovery,
    metadata: IssuerMetadata,
    server: String,
}

impl Discovered {
    /// Asks for the authorization server's metadata.
    pub fn request(&self) -> Result<HttpRequest, OpenIdError> {
        AuthorizationServerMetadata::request(&self.server, self.discovery.policy)
    }

    /// Takes the authorization server's metadata.
    pub fn on_response(self, response: &HttpResponse<'_>) -> Result<Redeemable, OpenIdError> {
        let policy = self.discovery.policy;
        let server = AuthorizationServerMetadata::on_response(response, &self.server, policy)?;
        Ok(Redeemable { discovered: self, token_endpoint: server.token_endpoint })
    }
}

/// Everything is known that a user must see before agreeing; the code can be redeemed.
#[derive(Debug, Clone)]
pub struct Redeemable {
    discovered: Discovered,
    token_endpoint: String,
}

impl Redeemable {
    /// The issuer's metadata.
    pub fn metadata(&self) -> &IssuerMetadata {
        &self.discovered.metadata
    }

    /// What is offered, in the order of the offer.
    pub fn offered(&self) -> impl Iterator<Item = (&str, &CredentialConfiguration)> {
        let configurations = &self.discovered.metadata.credential_configurations_supported;
        self.discovered
            .discovery
            .offer
            .credential_configuration_ids
            .iter()
            .filter_map(|id| configurations.get(id).map(|configuration| (id.as_str(), configuration)))
    }

    /// What the user must enter, if anything.
    pub fn transaction_code(&self) -> Option<&TransactionCodeSpec> {
        self.discovered.discovery.grant.tx_code.as_ref()
    }

    /// Where the code, and with it what the user entered, will be sent.
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// Asks for a token. A transaction code that cannot be right is refused before it costs an attempt.
    pub fn token_request(&self, tx_code: Option<&str>) -> Result<HttpRequest, OpenIdError> {
        let refuse = |reason: &str| Err(OpenIdError::TransactionCode(reason.to_owned()));
        match (self.transaction_code(), tx_code) {
            (Some(_), None) => return refuse("the offer wants a transaction code"),
            (None, Some(_)) => return refuse("the offer wants no transaction code"),
            (Some(spec), Some(code)) if !spec.fits(code) => {
                return refuse("the transaction code does not have the form that the offer describes");
            }
            _ => {}
        }
        let code = self.discovered.discovery.grant.code.clone();
        let form = TokenRequest { code, tx_code: tx_code.map(str::to_owned) }.to_form();
        Ok(HttpRequest::post(self.token_endpoint.clone(), FORM, form, TOKEN_RESPONSE_BYTES_MAX))
    }

    /// Takes the token.
    pub fn on_token(&self, response: &HttpResponse<'_>) -> Result<Authorized, OpenIdError> {
        let token = TokenResponse::parse(response.json("token", TOKEN_RESPONSE_BYTES_MAX)?)?;
        Ok(Authorized { metadata: self.discovered.metadata.clone(), token, nonce: None })
    }
}

/// The wallet has a token.
#[derive(Debug, Clone)]
pub struct Authorized {
    metadata: IssuerMetadata,
    token: TokenResponse,
    nonce: Option<String>,
}

impl Authorized {
    /// Asks for a nonce, if the issuer wants one in proofs.
    pub fn nonce_request(&self) -> Option<HttpRequest> {
        let endpoint = self.metadata.nonce_endpoint.clone()?;
        let mut request = HttpRequest::post(endpoint, JSON, Vec::new(), TOKEN_RESPONSE_BYTES_MAX);
        request.content_type = None;
        Some(request)
    }

    /// Takes the nonce.
    pub fn on_nonce(&mut self, response: &HttpResponse<'_>) -> Result<(), OpenIdError> {
        self.nonce = Some(token::parse_nonce(response.json("nonce", TOKEN_RESPONSE_BYTES_MAX)?)?);
        Ok(())
    }

    /// Asks for a credential bound to a key. The proof is made for this issuer and with the nonce that came last.
    pub fn credential_request(
        &self,
        configuration_id: &str,
        signer: &SigningKey,
        now_s: i64,
    ) -> Result<HttpRequest, OpenIdError> {
        let configuration = self.configuration(configuration_id)?;
        let algorithm = signer.algorithm().name();
        if !configuration.jwt_proof().is_some_and(|proof| proof.accepts(algorithm)) {
            return Err(OpenIdError::Unsupported(format!(
                "the issuer takes no proof signed with {algorithm}"
            )));
        }
        if self.metadata.nonce_endpoint.is_some() && self.nonce.is_none() {
            return Err(OpenIdError::malformed("nonce", "the issuer wants one and none was fetched"));
        }
        let proof = proof::sign(signer, &self.metadata.credential_issuer, self.nonce.as_deref(), now_s);
        let proofs = BTreeMap::from([("jwt".to_owned(), Json::Array(vec![Json::String(proof)]))]);
        let identifier = self.token.credential_identifier(configuration_id).map(str::to_owned);
        let request = CredentialRequest {
            credential_configuration_id: identifier.is_none().then(|| configuration_id.to_owned()),
            credential_identifier: identifier,
            proofs: Some(proofs),
            credential_response_encryption: None,
        };
        let endpoint = self.metadata.credential_endpoint.clone();
        let mut request = HttpRequest::post(endpoint, JSON, request.to_json(), RESPONSE_BYTES_MAX);
        request.bearer = Some(self.token.access_token.clone());
        Ok(request)
    }

    /// Takes the credential: signed by its issuer, valid now, of the types that were promised, bound to the
    /// wallet's key, and an SD-JWT without key binding. `assertion_key` is as in [`aval_credential::verify()`].
    pub fn on_credential(
        &self,
        response: &HttpResponse<'_>,
        configuration_id: &str,
        holder: &PublicKey,
        now_s: i64,
        assertion_key: impl FnOnce(&str, &str) -> Result<Option<PublicKey>, String>,
    ) -> Result<Received, OpenIdError> {
        let configuration = self.configuration(configuration_id)?;
        let text = CredentialResponse::parse_one(response.json("credential response", RESPONSE_BYTES_MAX)?)?;
        let presentation = Presentation::parse(text.as_bytes(), &Limits::EDGE)?;
        let expectation =
            Expectation { now_s, clock_skew_s: CLOCK_SKEW_S, key_binding: KeyBindingPolicy::Forbidden };
        let verdict = verify(&presentation, &expectation, assertion_key)
            .map_err(|Failure::Resolution(reason)| OpenIdError::Undecided(reason))?;
        verdict.clone().into_result()?;
        let promised: BTreeSet<&String> = configuration.types().iter().collect();
        if promised != presentation.types().iter().collect() {
            return Err(OpenIdError::WrongCredential("it is of another type than the issuer promised"));
        }
        if presentation.cnf_key() != Some(holder) {
            return Err(OpenIdError::WrongCredential("it is not bound to this wallet's key"));
        }
        Ok(Received { text, presentation, verdict })
    }

    fn configuration(&self, id: &str) -> Result<&CredentialConfiguration, OpenIdError> {
        self.metadata
            .credential_configurations_supported
            .get(id)
            .ok_or_else(|| OpenIdError::UnknownConfiguration(id.to_owned()))
    }
}

/// A credential that passed all checks. Whether its issuer is someone to trust, and whether it has been revoked,
/// the ledger says.
#[derive(Debug, Clone)]
pub struct Received {
    /// The SD-JWT with all disclosures, as it is to be kept.
    pub text: String,
    /// The same, read.
    pub presentation: Presentation,
    /// The checks that were made.
    pub verdict: Verdict,
}
