//! The authorization code (RFC 6749 section 4.1) with the rules of today: the request is pushed first (RFC
//! 9126), the code is tied to a secret of the client (RFC 7636), the server says its name in the answer (RFC
//! 9207), and the token is bound to a key where the client showed one (RFC 9449).
//!
//! ```text
//! wallet                                    issuer
//!   Client::push          -- POST par -->     Pushed::parse, Authorization::new
//!   Client::on_pushed     <- request_uri -
//!   the user's browser    -- GET -------->    Authorization::open; the issuer knows its user in its own way
//!   Client::on_redirect   <- code, iss ---    Authorization::grant or deny
//!   Client::token         -- POST token ->    Authorization::redeem
//! ```

use crate::http::{FORM, HttpRequest, HttpResponse};
use crate::oauth::{form, pkce};
use crate::url_rules::UrlPolicy;
use crate::{ErrorResponse, OpenIdError};
use aval_codec::json::{self, Json};
use aval_codec::{Hash, sha256};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use subtle::ConstantTimeEq;
use url::{Url, form_urlencoded};

/// What begins the name of a pushed request (RFC 9126 section 2.2).
pub const REQUEST_URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// How long a pushed request waits for its user.
pub const PUSHED_LIFE_S: i64 = 300;

/// How long a code is good for.
pub const CODE_LIFE_S: i64 = 60;

const TEXT_BYTES_MAX: usize = 2048;
const CONFIGURATIONS_MAX: usize = 16;
const RESPONSE_BYTES_MAX: usize = 16 * 1024;

/// A pushed authorization request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// Who asks. A public client: nothing is proven by it.
    pub client_id: String,
    /// Where the user's browser goes back to.
    pub redirect_uri: String,
    /// The hash of the client's secret.
    pub code_challenge: String,
    /// What the answer carries back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What the offer said, if it began with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_state: Option<String>,
    /// Which credentials are wanted.
    pub configuration_ids: Vec<String>,
    /// The key that the code is bound to, by its thumbprint (RFC 9449 section 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
}

impl Pushed {
    /// Reads a pushed request. `scopes` are the scopes that stand for credential configurations, `proven` is the
    /// thumbprint of a DPoP proof that came along.
    pub fn parse(
        body: &[u8],
        scopes: &BTreeMap<String, String>,
        proven: Option<&str>,
    ) -> Result<Self, ErrorResponse> {
        let mut parameters = form(body)?;
        let refuse = |reason| Err(ErrorResponse::invalid_request(reason));
        if parameters.contains_key("request_uri") || parameters.contains_key("request") {
            return refuse("a pushed request is not a reference to another");
        }
        if parameters.values().any(|value| value.len() > FIELD_BYTES_MAX) {
            return refuse("a parameter is too long");
        }
        if parameters.get("response_type").map(String::as_str) != Some("code") {
            return Err(ErrorResponse::bad_request(
                "unsupported_response_type",
                "the response type must be code",
            ));
        }
        let Some(client_id) = parameters.remove("client_id").filter(|id| is_text(id)) else {
            return refuse("client_id is missing");
        };
        let Some(redirect_uri) = parameters.remove("redirect_uri").filter(|uri| is_redirect(uri)) else {
            return refuse("redirect_uri is missing or not allowed");
        };
        if parameters.get("code_challenge_method").map(String::as_str) != Some(pkce::METHOD) {
            return refuse("code_challenge_method must be S256");
        }
        let Some(code_challenge) =
            parameters.remove("code_challenge").filter(|text| pkce::is_challenge(text))
        else {
            return refuse("code_challenge is missing or no hash");
        };
        let thumbprint = match (parameters.remove("dpop_jkt"), proven) {
            (Some(named), Some(proven)) if named != proven => {
                return Err(ErrorResponse::invalid_dpop_proof("dpop_jkt is not the key of the proof"));
            }
            (named, proven) => named.or_else(|| proven.map(str::to_owned)),
        };
        let wanted = Self::wanted(&parameters, scopes)?;
        Ok(Self {
            client_id,
            redirect_uri,
            code_challenge,
            state: parameters.remove("state"),
            issuer_state: parameters.remove("issuer_state"),
            configuration_ids: wanted,
            thumbprint,
        })
    }

    /// The credentials that are asked for, by scope or by authorization details (OpenID4VCI 1.0 section 5.1).
    fn wanted(
        parameters: &BTreeMap<String, String>,
        scopes: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, ErrorResponse> {
        let mut wanted = BTreeSet::new();
        for scope in parameters.get("scope").map(String::as_str).unwrap_or_default().split(' ') {
            // A scope that is not known is ignored (RFC 6749 section 3.3).
            wanted.extend(scopes.get(scope).cloned());
        }
        if let Some(details) = parameters.get("authorization_details") {
            let refuse =
                || ErrorResponse::bad_request("invalid_authorization_details", "they cannot be granted");
            let limits = json::Limits { bytes_max: FIELD_BYTES_MAX, depth_max: 12 };
            let details = json::parse(details.as_bytes(), limits).map_err(|_| refuse())?;
            for detail in details.as_array().ok_or_else(refuse)? {
                let text = |name: &str| detail.get(name).and_then(Json::as_str);
                let id = text("credential_configuration_id").ok_or_else(refuse)?;
                let known = scopes.values().any(|known| known == id);
                if text("type") != Some("openid_credential") || !known {
                    return Err(refuse());
                }
                wanted.insert(id.to_owned());
            }
        }
        if wanted.is_empty() || wanted.len() > CONFIGURATIONS_MAX {
            return Err(ErrorResponse::bad_request(
                "invalid_scope",
                "no credential of this issuer is asked for",
            ));
        }
        Ok(wanted.into_iter().collect())
    }
}

const FIELD_BYTES_MAX: usize = 8 * 1024;

/// Whether a text is short and has no odd characters.
fn is_text(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= TEXT_BYTES_MAX
        && !text.chars().any(|letter| letter.is_control() || letter == ' ')
}

/// Whether a browser may be sent there: an `https` address, `http` on this machine (RFC 8252 section 7.3), or
/// the scheme of a program, which has a dot in it (section 7.1) or is one that wallets are known by.
fn is_redirect(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let allowed = match url.scheme() {
        "https" | "http" => UrlPolicy::LOOPBACK.check("redirect address", text).is_ok(),
        scheme => {
            scheme.contains('.')
                || scheme.starts_with("openid")
                || scheme.starts_with("haip")
                || scheme == "eudi-wallet"
        }
    };
    is_text(text) && url.fragment().is_none() && allowed
}

/// Where an authorization stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationState {
    /// The request was pushed; its user has not come.
    Pushed,
    /// The user has been sent back with a code.
    Granted,
    /// The code was redeemed.
    Redeemed,
    /// It was denied, or ended because its code was used twice.
    Ended,
}

/// An authorization on its way. Kept as JSON by the service, which replaces it by compare-and-swap.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    state: AuthorizationState,
    pushed: Pushed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code_hash: Option<Hash>,
    expires_s: i64,
}

/// Shows neither state nor challenge.
impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authorization").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Authorization {
    /// Begins with a pushed request.
    pub fn new(pushed: Pushed, now_s: i64) -> Self {
        let expires_s = now_s.saturating_add(PUSHED_LIFE_S);
        Self { state: AuthorizationState::Pushed, pushed, code_hash: None, expires_s }
    }

    /// The answer to a pushed request; `name` is fresh and random. To be sent with status 201 and
    /// `Cache-Control: no-store`.
    pub fn pushed_response(name: &str) -> Vec<u8> {
        Json::from([
            ("request_uri", Json::String(format!("{REQUEST_URI_PREFIX}{name}"))),
            ("expires_in", Json::Int(PUSHED_LIFE_S)),
        ])
        .to_jcs()
    }

    /// Where it stands.
    pub fn state(&self) -> AuthorizationState {
        self.state
    }

    /// What was asked.
    pub fn pushed(&self) -> &Pushed {
        &self.pushed
    }

    /// Until when the next step is waited for, in unix seconds.
    pub fn expires_s(&self) -> i64 {
        self.expires_s
    }

    /// Checks the request that brought the user here; only then may anything be sent to the redirect address.
    pub fn open(&self, client_id: &str, now_s: i64) -> Result<(), ErrorResponse> {
        if self.state != AuthorizationState::Pushed || now_s >= self.expires_s {
            return Err(ErrorResponse::invalid_request("the request is unknown, used or expired"));
        }
        if self.pushed.client_id != client_id {
            return Err(ErrorResponse::invalid_request("the request is of another client"));
        }
        Ok(())
    }

    /// The user agreed: where to send the browser, with a code that is fresh and random (128 bits at least).
    pub fn grant(&mut self, code: &str, issuer: &str, now_s: i64) -> Result<String, ErrorResponse> {
        self.open(&self.pushed.client_id.clone(), now_s)?;
        self.state = AuthorizationState::Granted;
        self.code_hash = Some(sha256(code.as_bytes()));
        self.expires_s = now_s.saturating_add(CODE_LIFE_S);
        Ok(self.back(&[("code", code)], issuer))
    }

    /// The user did not: where to send the browser.
    pub fn deny(&mut self, issuer: &str, now_s: i64) -> Result<String, ErrorResponse> {
        self.open(&self.pushed.client_id.clone(), now_s)?;
        self.state = AuthorizationState::Ended;
        Ok(self.back(&[("error", "access_denied")], issuer))
    }

    fn back(&self, parameters: &[(&str, &str)], issuer: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        if let Some(state) = &self.pushed.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", issuer);
        let separator = if self.pushed.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{separator}{}", self.pushed.redirect_uri, query.finish())
    }

    /// Redeems the code. The authorization changes also when the answer is a refusal, and must be stored
    /// either way before the answer is sent: a second use of a code ends it, since one of the two who used it
    /// has stolen it.
    pub fn redeem(
        &mut self,
        request: &CodeRequest,
        thumbprint: Option<&str>,
        now_s: i64,
    ) -> Result<(), ErrorResponse> {
        match self.state {
            AuthorizationState::Granted if now_s < self.expires_s => {}
            AuthorizationState::Redeemed => {
                self.state = AuthorizationState::Ended;
                return Err(ErrorResponse::invalid_code());
            }
            _ => return Err(ErrorResponse::invalid_code()),
        }
        let hash = sha256(request.code.as_bytes());
        let known =
            self.code_hash.as_ref().is_some_and(|known| bool::from(known.as_bytes().ct_eq(hash.as_bytes())));
        let fits = known
            && request.client_id.as_ref().is_none_or(|id| *id == self.pushed.client_id)
            && request.redirect_uri.as_ref() == Some(&self.pushed.redirect_uri)
            && pkce::fits(&request.code_verifier, &self.pushed.code_challenge);
        let bound = self.pushed.thumbprint.is_none() || self.pushed.thumbprint.as_deref() == thumbprint;
        if !fits || !bound {
            // Whoever has the code and not what belongs to it has not got it in the right way.
            self.state = AuthorizationState::Ended;
            return Err(ErrorResponse::invalid_code());
        }
        self.state = AuthorizationState::Redeemed;
        Ok(())
    }
}

/// A request to redeem an authorization code.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeRequest {
    /// The code.
    pub code: String,
    /// The client's secret.
    pub code_verifier: String,
    /// As in the pushed request.
    pub redirect_uri: Option<String>,
    /// As in the pushed request.
    pub client_id: Option<String>,
}

impl CodeRequest {
    /// The grant type.
    pub const GRANT_TYPE: &str = "authorization_code";

    /// Reads the form.
    pub fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        let mut parameters = form(body)?;
        if parameters.get("grant_type").map(String::as_str) != Some(Self::GRANT_TYPE) {
            return Err(ErrorResponse::unsupported_grant_type());
        }
        let code = parameters.remove("code").filter(|code| is_text(code));
        let verifier = parameters.remove("code_verifier").filter(|text| pkce::is_verifier(text));
        match (code, verifier) {
            (Some(code), Some(code_verifier)) => Ok(Self {
                code,
                code_verifier,
                redirect_uri: parameters.remove("redirect_uri"),
                client_id: parameters.remove("client_id"),
            }),
            _ => Err(ErrorResponse::invalid_request("code or code_verifier is missing or has a wrong form")),
        }
    }

    /// The form.
    pub fn to_form(&self) -> Vec<u8> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", Self::GRANT_TYPE)
            .append_pair("code", &self.code)
            .append_pair("code_verifier", &self.code_verifier);
        for (name, value) in [("redirect_uri", &self.redirect_uri), ("client_id", &self.client_id)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        form.finish().into_bytes()
    }
}

/// Shows neither code nor verifier.
impl fmt::Debug for CodeRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CodeRequest").finish_non_exhaustive()
    }
}

/// The wallet's part. Verifier and state are fresh and random; the verifier has 43 letters at least.
#[derive(Clone)]
pub struct Client {
    /// Its identifier.
    pub client_id: String,
    /// Where the browser comes back to.
    pub redirect_uri: String,
    /// The secret behind the challenge.
    pub code_verifier: String,
    /// What the answer must carry back.
    pub state: String,
    /// The authorization server's identifier, which its answer must name.
    pub issuer: String,
}

/// Shows no secret.
impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Client {
    /// Pushes a request for credentials. A DPoP proof is added by the caller to the headers.
    pub fn push(
        &self,
        endpoint: &str,
        configuration_ids: &[String],
        issuer_state: Option<&str>,
    ) -> HttpRequest {
        let details: Vec<Json> = configuration_ids
            .iter()
            .map(|id| {
                let id = Json::from(id.as_str());
                Json::from([("type", "openid_credential".into()), ("credential_configuration_id", id)])
            })
            .collect();
        let details = String::from_utf8_lossy(&Json::Array(details).to_jcs()).into_owned();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("code_challenge", &pkce::challenge(&self.code_verifier))
            .append_pair("code_challenge_method", pkce::METHOD)
            .append_pair("state", &self.state)
            .append_pair("authorization_details", &details);
        if let Some(issuer_state) = issuer_state {
            form.append_pair("issuer_state", issuer_state);
        }
        HttpRequest::post(endpoint.to_owned(), FORM, form.finish().into_bytes(), RESPONSE_BYTES_MAX)
    }

    /// Takes the answer: where the user's browser goes.
    pub fn on_pushed(&self, response: &HttpResponse<'_>, endpoint: &str) -> Result<String, OpenIdError> {
        let body = response.json("pushed request", RESPONSE_BYTES_MAX)?;
        let limits = json::Limits { bytes_max: RESPONSE_BYTES_MAX, depth_max: 8 };
        let body =
            json::parse(body, limits).map_err(|error| OpenIdError::malformed("pushed request", error))?;
        let request_uri = body.get("request_uri").and_then(Json::as_str).filter(|uri| is_text(uri));
        let request_uri =
            request_uri.ok_or_else(|| OpenIdError::malformed("pushed request", "it has no request_uri"))?;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("request_uri", request_uri)
            .finish();
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{separator}{query}"))
    }

    /// Takes what the browser came back with: for this client, of this request, from this server.
    pub fn on_redirect(&self, url: &str) -> Result<CodeRequest, OpenIdError> {
        let malformed = |reason: &str| OpenIdError::malformed("authorization answer", reason);
        let query = url.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
        let query = query.ok_or_else(|| malformed("it has no parameters"))?;
        let mut parameters = form(query.as_bytes()).map_err(|error| malformed(error.description))?;
        if parameters.get("state") != Some(&self.state) {
            return Err(OpenIdError::Untrusted("the answer is to another request".to_owned()));
        }
        if parameters.get("iss") != Some(&self.issuer) {
            return Err(OpenIdError::Untrusted("the answer is of another server than was asked".to_owned()));
        }
        if let Some(error) = parameters.remove("error") {
            let error: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
            return Err(OpenIdError::Refused { error, description: None });
        }
        let code = parameters.remove("code").filter(|code| is_text(code));
        Ok(CodeRequest {
            code: code.ok_or_else(|| malformed("it has no code"))?,
            code_verifier: self.code_verifier.clone(),
            redirect_uri: Some(self.redirect_uri.clone()),
            client_id: Some(self.client_id.clone()),
        })
    }

    /// Asks for a token.
    pub fn token(&self, endpoint: &str, request: &CodeRequest) -> HttpRequest {
        HttpRequest::post(endpoint.to_owned(), FORM, request.to_form(), RESPONSE_BYTES_MAX)
    }
}
