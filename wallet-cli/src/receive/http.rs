//! HTTP for OpenID4VCI and OpenID4VP: sends what `aval-openid` asks for, to URLs that it has checked. No redirects,
//! bounded answers, and no name that leads to this machine or into its network.

use std::io::Read;
use std::time::Duration;

use aval_client::web::PublicOnly;
use aval_codec::b64u;
use aval_openid::oauth::dpop;
use aval_openid::vci::Proving;
use aval_openid::{HttpRequest, HttpResponse, Method, OpenIdError};
use serde_json::Value;
use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;

use super::offer::issuer;
use crate::app::{now_s, random};
use crate::error::WalletError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What a server says that wants a nonce (RFC 9449 section 12.2).
const USE_NONCE: &str = "use_dpop_nonce";

/// A connection to issuers and verifiers.
#[derive(Debug)]
pub(crate) struct Http {
    agent: Agent,
    direct: Agent,
}

/// An answer.
pub(crate) struct Answer {
    status: u16,
    content_type: Option<String>,
    dpop_nonce: Option<String>,
    challenge: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn response(&self) -> HttpResponse<'_> {
        HttpResponse { status: self.status, content_type: self.content_type.as_deref(), body: &self.body }
    }

    /// The nonce that the server wants in the proof of the same request: a token endpoint says so in the body (RFC 9449
    /// section 8), one that takes tokens in a header (section 9).
    fn wanted_nonce(&self) -> Option<&str> {
        let named = |body: Value| body.get("error").and_then(Value::as_str) == Some(USE_NONCE);
        let is_wanted = match self.status {
            400 => serde_json::from_slice(&self.body).is_ok_and(named),
            401 => self.challenge.as_ref().is_some_and(|challenge| challenge.contains(USE_NONCE)),
            _ => false,
        };
        self.dpop_nonce.as_deref().filter(|_| is_wanted)
    }
}

impl Http {
    pub(crate) fn new() -> Self {
        let config = || {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_connect(Some(CONNECT_TIMEOUT))
                .timeout_global(Some(REQUEST_TIMEOUT))
                .accept_encoding("identity")
                .user_agent(concat!("aval-wallet/", env!("CARGO_PKG_VERSION")))
        };
        let direct = config().proxy(None).build().new_agent();
        let resolver: PublicOnly = PublicOnly::default();
        Self { agent: Agent::with_parts(config().build(), DefaultConnector::default(), resolver), direct }
    }

    /// Sends a request with a proof, and once more where the server wants its nonce in it (RFC 9449 section 8).
    pub(super) fn send_proven(
        &self,
        mut request: impl FnMut(&Proving<'_>) -> Result<HttpRequest, OpenIdError>,
    ) -> Result<Answer, WalletError> {
        let mut send = |nonce: Option<&str>| {
            let id = b64u::encode(random::<16>()?);
            self.send(&request(&Proving { id: &id, nonce, now_s: now_s() }).map_err(issuer)?)
        };
        let answer = send(None)?;
        match answer.wanted_nonce() {
            Some(nonce) => send(Some(nonce)),
            None => Ok(answer),
        }
    }

    pub(crate) fn send(&self, request: &HttpRequest) -> Result<Answer, WalletError> {
        let place = place(&request.url);
        let failed = |reason: String| WalletError::Issuer {
            code: "issuer.unreachable".to_owned(),
            message: format!("{place} cannot be reached: {reason}"),
            retryable: true,
        };
        // A proxy cannot reach this machine.
        let agent = if is_loopback(&request.url) { &self.direct } else { &self.agent };
        let bearer = request.bearer.as_ref().map(|token| format!("Bearer {token}"));
        let is_accept = |name: &str| name.eq_ignore_ascii_case("accept");
        let named = request.headers.iter().find(|(name, _)| is_accept(name));
        let accept = named.map_or("application/json", |(_, value)| value.as_str());
        let further = || request.headers.iter().filter(|(name, _)| !is_accept(name));
        let outcome = match request.method {
            Method::Get => {
                let mut get = agent.get(&request.url).header("accept", accept);
                for (name, value) in further() {
                    get = get.header(*name, value);
                }
                if let Some(bearer) = &bearer {
                    get = get.header("authorization", bearer);
                }
                get.call()
            }
            Method::Post => {
                let mut post = agent.post(&request.url).header("accept", accept);
                for (name, value) in further() {
                    post = post.header(*name, value);
                }
                if let Some(bearer) = &bearer {
                    post = post.header("authorization", bearer);
                }
                if let Some(content_type) = request.content_type {
                    post = post.header("content-type", content_type);
                }
                post.send(&request.body[..])
            }
        };
        let response = outcome.map_err(|error| failed(error.to_string()))?;
        if response.status().is_redirection() {
            return Err(WalletError::Issuer {
                code: "issuer.redirected".to_owned(),
                message: format!("{place} redirects, and a wallet does not follow"),
                retryable: false,
            });
        }
        let status = response.status().as_u16();
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let content_type = header("content-type");
        let (dpop_nonce, challenge) = (header(dpop::NONCE_HEADER), header("www-authenticate"));
        let mut body = Vec::new();
        // One byte more than allowed, so that `aval-openid` sees that there was more.
        let limit = request.response_bytes_max as u64 + 1;
        let mut reader = response.into_body().into_reader().take(limit);
        reader.read_to_end(&mut body).map_err(|error| failed(error.to_string()))?;
        Ok(Answer { status, content_type, dpop_nonce, challenge, body })
    }
}

/// Whom a URL belongs to, for messages: never its path or query, which may hold a code.
fn place(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| "the issuer".to_owned(), |url| url.origin().ascii_serialization())
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
