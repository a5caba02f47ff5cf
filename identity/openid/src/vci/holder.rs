//! The wallet's side: one type per step, so that no step can be left out.
//!
//! ```text
//! Discovery -> Discovered -> Redeemable -> Authorized -> Received
//!  issuer's     server's      show, then     nonce, proof,
//!  metadata     metadata      token          credential
//! ```
//!
//! Between `Redeemable` and `Authorized` stands a [`Login`] where the offer has no code but sends its user to the
//! issuer.
//!
//! A step that failed can be tried again with the same value: a mistyped transaction code goes back to
//! [`Redeemable::token_request`], a refused nonce to [`Authorized::nonce_request`].

use crate::OpenIdError;
use crate::http::{FORM, HttpRequest, HttpResponse, JSON};
use crate::jwe::DecryptionKey;
use crate::oauth::dpop;
use crate::url_rules::UrlPolicy;
use crate::vci::credential::{CredentialRequest, CredentialResponse, RESPONSE_BYTES_MAX};
use crate::vci::later::{DeferredRequest, Delivery, Notification};
use crate::vci::login::{Endpoints, Login, Secrets};
use crate::vci::metadata::{AuthorizationServerMetadata, CredentialConfiguration, IssuerMetadata};
use crate::vci::offer::{AuthorizationCode, CredentialOffer, PreAuthorizedCode, TransactionCodeSpec};
use crate::vci::token::{self, TOKEN_RESPONSE_BYTES_MAX, TokenRequest, TokenResponse};
use crate::vci::{Format, encryption, proof};
use aval_codec::json::Json;
use aval_credential::verify::{Expectation, Failure, KeyBindingPolicy, Verdict, verify};
use aval_credential::{Limits, Presentation};
use aval_did::key::{PublicKey, SigningKey};
use std::collections::{BTreeMap, BTreeSet};

/// How far the issuer's clock may be ahead of the wallet's.
const CLOCK_SKEW_S: i64 = 300;

/// How the wallet gets its token.
#[derive(Debug, Clone)]
enum Grant {
    PreAuthorized(PreAuthorizedCode),
    AuthorizationCode(AuthorizationCode),
}

impl Grant {
    fn authorization_server(&self) -> Option<&str> {
        match self {
            Self::PreAuthorized(grant) => grant.authorization_server.as_deref(),
            Self::AuthorizationCode(grant) => grant.authorization_server.as_deref(),
        }
    }
}

/// An offer was read; the issuer's metadata is wanted.
#[derive(Debug, Clone)]
pub struct Discovery {
    offer: CredentialOffer,
    grant: Grant,
    policy: UrlPolicy,
}

impl Discovery {
    /// Begins with an offer. Where it has a code already, the user is spared the browser.
    pub fn new(offer: CredentialOffer, policy: UrlPolicy) -> Result<Self, OpenIdError> {
        let grant = match (offer.pre_authorized_code(), offer.authorization_code()) {
            (Some(grant), _) => Grant::PreAuthorized(grant.clone()),
            (None, Some(grant)) => Grant::AuthorizationCode(grant.clone()),
            (None, None) => {
                let reason = "the offer has neither a pre-authorized code nor an authorization code";
                return Err(OpenIdError::Unsupported(reason.to_owned()));
            }
        };
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
        let server = metadata.authorization_server(self.grant.authorization_server())?.to_owned();
        Ok(Discovered { discovery: self, metadata, server })
    }
}

/// What this wallet can receive: a format that is known here, with a proof of a kind that it can make.
pub(super) fn check_configuration(configuration: &CredentialConfiguration) -> Result<(), OpenIdError> {
    let Some(format) = Format::from_name(&configuration.format) else {
        return Err(OpenIdError::Unsupported(format!("the format `{}`", configuration.format)));
    };
    if format == Format::DcSdJwt && configuration.vct.as_ref().is_none_or(String::is_empty) {
        return Err(OpenIdError::malformed("metadata", "a credential has no `vct`"));
    }
    if format != Format::DcSdJwt && configuration.types().is_empty() {
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
        let (token_endpoint, endpoints) = match &self.discovery.grant {
            Grant::PreAuthorized(_) => {
                let server = AuthorizationServerMetadata::on_response(response, &self.server, policy)?;
                (server.token_endpoint, None)
            }
            Grant::AuthorizationCode(grant) => {
                let (server, push, authorize) =
                    AuthorizationServerMetadata::on_response_for_code(response, &self.server, policy)?;
                let dpop_algorithms = server.dpop_signing_alg_values_supported.unwrap_or_default();
                let issuer_state = grant.issuer_state.clone();
                (server.token_endpoint, Some(Endpoints { push, authorize, issuer_state, dpop_algorithms }))
            }
        };
        Ok(Redeemable { discovered: self, token_endpoint, endpoints })
    }
}

/// Everything is known that a user must see before agreeing; the code can be redeemed.
#[derive(Debug, Clone)]
pub struct Redeemable {
    discovered: Discovered,
    token_endpoint: String,
    /// Where the user goes with a browser; none where the offer has a code.
    endpoints: Option<Endpoints>,
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
        match &self.discovered.discovery.grant {
            Grant::PreAuthorized(grant) => grant.tx_code.as_ref(),
            Grant::AuthorizationCode(_) => None,
        }
    }

    /// Whether the user has to go to the issuer with a browser: then the token comes by way of [`Self::login`].
    pub fn wants_login(&self) -> bool {
        self.endpoints.is_some()
    }

    /// Begins a login for one of the credentials offered. `client` is the wallet's identifier and the address that the
    /// browser comes back to.
    pub fn login(
        &self,
        configuration_id: &str,
        client: (&str, &str),
        secrets: Secrets,
    ) -> Result<Login, OpenIdError> {
        let endpoints = self
            .endpoints
            .clone()
            .ok_or_else(|| OpenIdError::Unsupported("the offer has a code, and wants no login".to_owned()))?;
        Ok(Login::new(self, endpoints, &self.discovered.server, configuration_id, client, secrets))
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
        let Grant::PreAuthorized(grant) = &self.discovered.discovery.grant else {
            return Err(OpenIdError::Unsupported("the offer has no code: its user has to log in".to_owned()));
        };
        let code = grant.code.clone();
        let form = TokenRequest { code, tx_code: tx_code.map(str::to_owned) }.to_form();
        Ok(HttpRequest::post(self.token_endpoint.clone(), FORM, form, TOKEN_RESPONSE_BYTES_MAX))
    }

    /// Takes the token.
    pub fn on_token(&self, response: &HttpResponse<'_>) -> Result<Authorized, OpenIdError> {
        let token = TokenResponse::parse(response.json("token", TOKEN_RESPONSE_BYTES_MAX)?)?;
        Ok(Authorized::new(self.discovered.metadata.clone(), token))
    }

    /// Takes a token for whose request a DPoP proof of this key was sent; the token must be bound to it.
    pub fn on_bound_token(
        &self,
        response: &HttpResponse<'_>,
        key: SigningKey,
    ) -> Result<Authorized, OpenIdError> {
        let token = TokenResponse::parse_any(response.json("token", TOKEN_RESPONSE_BYTES_MAX)?)?;
        Authorized::bound(self.discovered.metadata.clone(), token, key)
    }
}

/// The wallet has a token.
#[derive(Debug, Clone)]
pub struct Authorized {
    metadata: IssuerMetadata,
    token: TokenResponse,
    nonce: Option<String>,
    key: Option<SigningKey>,
    response_key: Option<DecryptionKey>,
}

impl Authorized {
    /// With a token that whoever has it may use.
    pub fn new(metadata: IssuerMetadata, token: TokenResponse) -> Self {
        Self { metadata, token, nonce: None, key: None, response_key: None }
    }

    /// With a token that is bound to a key. A server that gives out another kind of token has not understood the proof,
    /// and the wallet does not use it.
    pub fn bound(
        metadata: IssuerMetadata,
        token: TokenResponse,
        key: SigningKey,
    ) -> Result<Self, OpenIdError> {
        if !token.is_dpop() {
            return Err(OpenIdError::malformed("token", "it is not bound to the key that was shown"));
        }
        Ok(Self { key: Some(key), ..Self::new(metadata, token) })
    }

    /// Asks for encrypted responses, where the issuer can. The key is fresh, of 32 random bytes.
    pub fn encrypted(mut self, key: DecryptionKey) -> Self {
        let responses = self.metadata.credential_response_encryption.as_ref();
        let possible = responses.is_some_and(|one| one.content_encryption().is_some())
            && self.metadata.credential_request_encryption.is_some();
        self.response_key = possible.then_some(key);
        self
    }

    /// The issuer's metadata.
    pub fn metadata(&self) -> &IssuerMetadata {
        &self.metadata
    }

    /// Adds the DPoP proof to a request with a bound token. `id` is fresh and random for every request; `nonce` is the
    /// server's newest `DPoP-Nonce`.
    pub fn prove(
        &self,
        request: &mut HttpRequest,
        id: &str,
        nonce: Option<&str>,
        now_s: i64,
    ) -> Result<(), OpenIdError> {
        let Some(key) = &self.key else { return Ok(()) };
        let token = &self.token.access_token;
        let proof = dpop::prove(key, "POST", &request.url, id, Some(token), nonce, now_s)
            .map_err(|error| OpenIdError::Undecided(error.to_string()))?;
        request.bearer = None;
        request.headers.retain(|(name, _)| !matches!(*name, "Authorization" | dpop::HEADER));
        request.headers.push(("Authorization", format!("DPoP {token}")));
        request.headers.push((dpop::HEADER, proof));
        Ok(())
    }

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
        self.credentials_request(configuration_id, &[signer], now_s)
    }

    /// Asks for several credentials with the same claims, each bound to a key of its own, so that verifiers cannot tell
    /// by the key that they met the same holder.
    pub fn credentials_request(
        &self,
        configuration_id: &str,
        signers: &[&SigningKey],
        now_s: i64,
    ) -> Result<HttpRequest, OpenIdError> {
        let configuration = self.configuration(configuration_id)?;
        if signers.is_empty() || signers.len() > self.metadata.batch_size() {
            return Err(OpenIdError::Unsupported(format!(
                "the issuer takes up to {} proofs at once",
                self.metadata.batch_size()
            )));
        }
        if self.metadata.nonce_endpoint.is_some() && self.nonce.is_none() {
            return Err(OpenIdError::malformed("nonce", "the issuer wants one and none was fetched"));
        }
        let mut proofs = Vec::new();
        for signer in signers {
            let algorithm = signer.algorithm().name();
            if !configuration.jwt_proof().is_some_and(|proof| proof.accepts(algorithm)) {
                return Err(OpenIdError::Unsupported(format!(
                    "the issuer takes no proof signed with {algorithm}"
                )));
            }
            let proof = proof::sign(signer, &self.metadata.credential_issuer, self.nonce.as_deref(), now_s);
            proofs.push(Json::String(proof));
        }
        let identifier = self.token.credential_identifier(configuration_id).map(str::to_owned);
        let request = CredentialRequest {
            credential_configuration_id: identifier.is_none().then(|| configuration_id.to_owned()),
            credential_identifier: identifier,
            proofs: Some(BTreeMap::from([("jwt".to_owned(), Json::Array(proofs))])),
            credential_response_encryption: self.response_encryption(),
        };
        self.post(self.metadata.credential_endpoint.clone(), request.to_json())
    }

    /// Asks again for what the issuer had not ready.
    pub fn deferred_request(&self, transaction_id: &str) -> Result<HttpRequest, OpenIdError> {
        let endpoint = self.metadata.deferred_credential_endpoint.clone();
        let endpoint =
            endpoint.ok_or_else(|| OpenIdError::malformed("metadata", "there is no deferred endpoint"))?;
        let transaction_id = transaction_id.to_owned();
        let request =
            DeferredRequest { transaction_id, credential_response_encryption: self.response_encryption() };
        self.post(endpoint, request.to_json())
    }

    /// Tells the issuer what became of the credentials, if it wants to know.
    pub fn notification(&self, notification: &Notification) -> Option<HttpRequest> {
        let endpoint = self.metadata.notification_endpoint.clone()?;
        let mut request = HttpRequest::post(endpoint, JSON, notification.to_json(), RESPONSE_BYTES_MAX);
        request.bearer = Some(self.token.access_token.clone());
        Some(request)
    }

    fn response_encryption(&self) -> Option<Json> {
        let key = self.response_key.as_ref()?;
        let name = self.metadata.credential_response_encryption.as_ref()?.content_encryption()?;
        Some(encryption::ResponseEncryption::ask(key, name))
    }

    fn post(&self, endpoint: String, body: Vec<u8>) -> Result<HttpRequest, OpenIdError> {
        let mut request = HttpRequest::post(endpoint, JSON, body, RESPONSE_BYTES_MAX);
        let responses = self.metadata.credential_response_encryption.as_ref();
        if responses.is_some_and(|one| one.encryption_required) && self.response_key.is_none() {
            return Err(OpenIdError::Unsupported("the issuer wants responses encrypted".to_owned()));
        }
        match &self.metadata.credential_request_encryption {
            Some(requests) if requests.encryption_required || self.response_key.is_some() => {
                encryption::seal_request(&mut request, requests)?;
            }
            _ => {}
        }
        request.bearer = Some(self.token.access_token.clone());
        Ok(request)
    }

    /// Takes what came for this many keys, of any format, decrypted where it was to be encrypted. Nothing about the
    /// credentials is verified.
    pub fn on_delivery(&self, response: &HttpResponse<'_>, wanted: usize) -> Result<Delivery, OpenIdError> {
        Delivery::parse(&encryption::open_response(response, self.response_key.as_ref())?, wanted)
    }

    /// Takes the credential: signed by its issuer, valid now, of the types that were promised, bound to the
    /// wallet's key, and an SD-JWT without key binding. For `vc+sd-jwt` and `dc+sd-jwt`; for other formats see
    /// [`Self::on_delivery`]. `assertion_key` is as in [`aval_credential::verify()`].
    pub fn on_credential(
        &self,
        response: &HttpResponse<'_>,
        configuration_id: &str,
        holder: &PublicKey,
        now_s: i64,
        assertion_key: impl FnOnce(&str, &str) -> Result<Option<PublicKey>, String>,
    ) -> Result<Received, OpenIdError> {
        let configuration = self.configuration(configuration_id)?;
        let format = Format::from_name(&configuration.format);
        if !matches!(format, Some(Format::VcSdJwt | Format::DcSdJwt)) {
            return Err(OpenIdError::Unsupported(format!(
                "checking the format `{}` here",
                configuration.format
            )));
        }
        let body = encryption::open_response(response, self.response_key.as_ref())?;
        let text = CredentialResponse::parse_one(&body)?;
        let presentation = Presentation::parse(text.as_bytes(), &Limits::EDGE)?;
        let expectation =
            Expectation { now_s, clock_skew_s: CLOCK_SKEW_S, key_binding: KeyBindingPolicy::Forbidden };
        let verdict = verify(&presentation, &expectation, assertion_key)
            .map_err(|Failure::Resolution(reason)| OpenIdError::Undecided(reason))?;
        verdict.clone().into_result()?;
        if presentation.sd_jwt().media_type() != Some(configuration.format.as_str()) {
            return Err(OpenIdError::WrongCredential("it is of another format than the issuer promised"));
        }
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
