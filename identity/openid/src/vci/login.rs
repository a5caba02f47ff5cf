//! The wallet's way to a token where the user has to go to the issuer with a browser: from [`Redeemable::login`] to
//! the token, whose answer [`Redeemable::on_bound_token`] or [`Redeemable::on_token`] takes.

use crate::OpenIdError;
use crate::http::{HttpRequest, HttpResponse};
use crate::oauth::authorization::{Client, CodeRequest};
use crate::oauth::dpop;
use crate::vci::holder::Redeemable;
use aval_did::key::SigningKey;

/// Where users and requests go.
#[derive(Clone)]
pub(super) struct Endpoints {
    pub(super) push: String,
    pub(super) authorize: String,
    pub(super) issuer_state: Option<String>,
    pub(super) dpop_algorithms: Vec<String>,
}

/// Hides the issuer's state.
impl std::fmt::Debug for Endpoints {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Endpoints").field("push", &self.push).finish_non_exhaustive()
    }
}

/// What the wallet draws for one login. Verifier and state are fresh and random.
#[derive(Clone)]
pub struct Secrets {
    /// 43 to 128 unreserved characters (RFC 7636 section 4.1).
    pub code_verifier: String,
    /// What the answer must carry back.
    pub state: String,
    /// The key that the token is to be bound to (RFC 9449).
    pub key: SigningKey,
}

/// Shows nothing of them.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// A login on its way.
#[derive(Debug, Clone)]
pub struct Login {
    client: Client,
    endpoints: Endpoints,
    token_endpoint: String,
    configuration_id: String,
    key: Option<SigningKey>,
}

/// What goes into the proof that is sent along.
#[derive(Debug, Clone, Copy)]
pub struct Proving<'a> {
    /// Fresh and random for every request.
    pub id: &'a str,
    /// The server's newest `DPoP-Nonce`.
    pub nonce: Option<&'a str>,
    /// The time, in unix seconds.
    pub now_s: i64,
}

impl Login {
    pub(super) fn new(
        redeemable: &Redeemable,
        endpoints: Endpoints,
        server: &str,
        configuration_id: &str,
        (client_id, redirect_uri): (&str, &str),
        secrets: Secrets,
    ) -> Self {
        let client = Client {
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            code_verifier: secrets.code_verifier,
            state: secrets.state,
            issuer: server.to_owned(),
        };
        let algorithm = secrets.key.algorithm().name();
        // A server that knows nothing of proofs would give out a token for anybody, and that is all it can.
        let is_known = endpoints.dpop_algorithms.iter().any(|known| known == algorithm);
        Self {
            client,
            token_endpoint: redeemable.token_endpoint().to_owned(),
            endpoints,
            configuration_id: configuration_id.to_owned(),
            key: is_known.then_some(secrets.key),
        }
    }

    /// The key that the token will be bound to; none where the server cannot.
    pub fn key(&self) -> Option<&SigningKey> {
        self.key.as_ref()
    }

    /// Pushes the request (RFC 9126).
    pub fn push_request(&self, proving: &Proving<'_>) -> Result<HttpRequest, OpenIdError> {
        let wanted = std::slice::from_ref(&self.configuration_id);
        let request = self.client.push(&self.endpoints.push, wanted, self.endpoints.issuer_state.as_deref());
        self.proven(request, proving)
    }

    /// Takes the answer: where the user's browser goes.
    pub fn on_pushed(&self, response: &HttpResponse<'_>) -> Result<String, OpenIdError> {
        self.client.on_pushed(response, &self.endpoints.authorize)
    }

    /// Takes what the browser came back with.
    pub fn on_redirect(&self, url: &str) -> Result<CodeRequest, OpenIdError> {
        self.client.on_redirect(url)
    }

    /// Asks for a token.
    pub fn token_request(
        &self,
        code: &CodeRequest,
        proving: &Proving<'_>,
    ) -> Result<HttpRequest, OpenIdError> {
        self.proven(self.client.token(&self.token_endpoint, code), proving)
    }

    fn proven(&self, mut request: HttpRequest, proving: &Proving<'_>) -> Result<HttpRequest, OpenIdError> {
        let Some(key) = &self.key else { return Ok(request) };
        let proof = dpop::prove(key, "POST", &request.url, proving.id, None, proving.nonce, proving.now_s)
            .map_err(|error| OpenIdError::Undecided(error.to_string()))?;
        request.headers.push((dpop::HEADER, proof));
        Ok(request)
    }
}
