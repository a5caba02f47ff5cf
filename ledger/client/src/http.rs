//! The one place that speaks HTTP: blocking, bounded in time and size, never redirected.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aval_codec::Limits;
use aval_codec::json;
use aval_proof::{LedgerProof, TrustChain};
use aval_types::Reject;
use serde::de::DeserializeOwned;
use ureq::config::Config;
use ureq::http::{Response, StatusCode, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};
use url::{Host, Url};

use crate::error::{ClientError, Problem};

/// How to reach a node.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// For one request as a whole.
    pub request_timeout: Duration,
    /// Whether plain HTTP may leave this machine. Answers carry proofs, but a presentation in clear would be read.
    pub allow_http: bool,
    /// The largest answer that is read.
    pub response_bytes_max: u64,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            allow_http: false,
            response_bytes_max: 4 * 1024 * 1024,
        }
    }
}

/// A bounded connection to one origin.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    agent: Agent,
    base: Url,
    response_bytes_max: u64,
}

/// An answer before it is interpreted.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether this answers a POST: then "not found" and "too many" may be decisions of the ledger.
    to_submission: bool,
}

/// Looks names up as usual. An address needs no look-up, for which a thread would be started with every request.
#[derive(Debug)]
struct Lookup(DefaultResolver);

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        });
        match (host.parse::<IpAddr>(), port) {
            (Ok(address), Some(port)) => {
                let mut addresses = self.empty();
                addresses.push(SocketAddr::new(address, port));
                Ok(addresses)
            }
            _ => self.0.resolve(uri, config, timeout),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

impl Http {
    pub(crate) fn new(address: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let refuse = |reason| ClientError::Address { address: address.to_owned(), reason };
        let mut base = Url::parse(address).map_err(|_| refuse("it is not a URL"))?;
        if base.host().is_none() {
            return Err(refuse("it names no host"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(ClientError::Address {
                address: base.host_str().unwrap_or_default().to_owned(),
                reason: "it carries a user name or a password",
            });
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(refuse("it carries a query or a fragment"));
        }
        match base.scheme() {
            "https" => {}
            "http" if options.allow_http || is_loopback(&base) => {}
            "http" => return Err(refuse("plain HTTP to another machine would show what is sent; use https")),
            _ => return Err(refuse("only https (and http to this machine) is spoken")),
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_global(Some(options.request_timeout))
            .accept_encoding("identity")
            .user_agent(concat!("aval-client/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            // A proxy cannot reach a node of this machine.
            config = config.proxy(None);
        }
        let agent = Agent::with_parts(
            config.build(),
            DefaultConnector::default(),
            Lookup(DefaultResolver::default()),
        );
        Ok(Self { agent, base, response_bytes_max: options.response_bytes_max })
    }

    pub(crate) fn address(&self) -> &str {
        self.base.as_str()
    }

    /// The address of a resource: each segment is escaped, so that nothing in it can change the path.
    pub(crate) fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(crate) fn get(&self, url: &Url, accept: &str) -> Result<Answer, ClientError> {
        let outcome = self.agent.get(url.as_str()).header("accept", accept).call();
        self.read(outcome, false)
    }

    pub(crate) fn post(&self, url: &Url, content_type: &str, body: &[u8]) -> Result<Answer, ClientError> {
        let request = self.agent.post(url.as_str());
        let outcome =
            request.header("content-type", content_type).header("accept", "application/json").send(body);
        self.read(outcome, true)
    }

    /// Sends a request with an access token.
    pub(crate) fn ask(
        &self,
        method: &str,
        url: &Url,
        token: &str,
        body: &[u8],
    ) -> Result<Answer, ClientError> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .header("accept", "application/json")
            .header("authorization", format!("Bearer {token}"));
        let request = request.body(body.to_vec()).map_err(|error| ClientError::Request(error.to_string()))?;
        self.read(self.agent.run(request), false)
    }

    /// Opens an answer that has no end, and hands out its body unread. `silence` is the longest time without a byte.
    pub(crate) fn stream(
        &self,
        url: &Url,
        accept: &str,
        header: Option<(&str, &str)>,
        silence: Duration,
    ) -> Result<Box<dyn Read + Send + Sync>, ClientError> {
        let mut request = self.agent.get(url.as_str()).header("accept", accept);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.config().timeout_global(None).timeout_per_read(Some(silence)).build();
        let response = match request.call() {
            Ok(response) if response.status().is_success() => response,
            outcome => return Err(self.read(outcome, false)?.problem()),
        };
        Ok(Box::new(response.into_body().into_reader()))
    }

    fn read(
        &self,
        outcome: Result<Response<Body>, ureq::Error>,
        to_submission: bool,
    ) -> Result<Answer, ClientError> {
        let response = outcome.map_err(|error| self.broken(error))?;
        if response.status().is_redirection() && response.status() != StatusCode::NOT_MODIFIED {
            return Err(ClientError::Redirected { address: self.base.to_string() });
        }
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // The limit counts what is read here, whatever the transfer encoding made of it.
        let mut reader = response.into_body().into_reader().take(self.response_bytes_max + 1);
        reader.read_to_end(&mut body).map_err(|error| self.broken(ureq::Error::from(error)))?;
        if body.len() as u64 > self.response_bytes_max {
            return Err(ClientError::TooLarge { limit: self.response_bytes_max });
        }
        Ok(Answer { status, body, to_submission })
    }

    fn broken(&self, error: ureq::Error) -> ClientError {
        let address = self.base.to_string();
        match error {
            ureq::Error::Timeout(_) => ClientError::Timeout { address },
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                ClientError::Timeout { address }
            }
            ureq::Error::Io(error) => ClientError::Unreachable { address, reason: error.to_string() },
            ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => {
                ClientError::Redirected { address }
            }
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) | ureq::Error::Decompress(..) => {
                ClientError::Malformed("it is not proper HTTP".to_owned())
            }
            other => ClientError::Unreachable { address, reason: other.to_string() },
        }
    }
}

impl Answer {
    /// Bounds for everything a node sends. Numbers, depth and duplicate members are checked by the one strict reader.
    const LIMITS: Limits = Limits::bytes(4 * 1024 * 1024);

    /// The body as JSON, when the status says success; otherwise the error that the node reported.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        self.success()?.parse()
    }

    /// The answer itself, when the status says success.
    pub(crate) fn success(self) -> Result<Self, ClientError> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.problem()) }
    }

    /// The body as JSON, whatever the status.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        json::from_slice(&self.body, Self::LIMITS).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// The body as a ledger proof, when the status says success.
    pub(crate) fn proof(self) -> Result<LedgerProof, ClientError> {
        LedgerProof::from_json(&self.success()?.body).map_err(ClientError::Unproven)
    }

    /// The body as a trust chain, when the status says success.
    pub(crate) fn trust_chain(self) -> Result<TrustChain, ClientError> {
        TrustChain::from_json(&self.success()?.body).map_err(ClientError::Unproven)
    }

    /// The error that the node reported. A code of the ledger's rules is a decision, whatever its status; a newer
    /// node may have rules whose codes are not known here.
    fn problem(&self) -> ClientError {
        let mut problem: Problem = json::from_slice(&self.body, Self::LIMITS).unwrap_or_default();
        problem.http_status = self.status;
        let of_the_node = ["request.", "node.", "sender.", "ledger.", "receipt."];
        let is_rule = Reject::from_code(&problem.code).is_some()
            || ((400..500).contains(&self.status)
                && problem.code.contains('.')
                && !of_the_node.iter().any(|prefix| problem.code.starts_with(prefix)));
        match self.status {
            _ if self.to_submission && is_rule => ClientError::Refused(problem),
            404 | 410 => ClientError::NotFound(problem),
            _ => ClientError::Failed(problem),
        }
    }
}
