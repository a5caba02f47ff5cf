//! Asking hosts that somebody else has named: a DID in a credential, an offer on a wall, a link in metadata.
//!
//! What always holds: only `https`; a name is looked up once, none of its addresses may be outside of the
//! public Internet, and the connection goes to an address that was checked, so that a second look-up cannot
//! lead elsewhere; nothing is redirected; time, size and the number of requests under way are bounded. A
//! deployment may allow hosts by name, each with its own certificate authority; these alone may be in its own
//! network.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aval_codec::address::is_public;
use thiserror::Error;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use url::Url;

/// Longest URL that is asked for, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Looks names up, and refuses those of which any address is not public: whoever chose the name may have it lead
/// anywhere. ureq connects to the addresses that come out of here and looks nothing up again.
#[derive(Debug, Default)]
pub struct PublicOnly<R = DefaultResolver>(R);

impl<R: Resolver> PublicOnly<R> {
    /// Guards another way to look names up.
    pub fn new(inner: R) -> Self {
        Self(inner)
    }
}

impl<R: Resolver> Resolver for PublicOnly<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.0.resolve(uri, config, timeout)?;
        // With a proxy it is the proxy that is looked up here, which the user has chosen.
        if config.proxy().is_some() || addresses.iter().all(|address| is_public(address.ip())) {
            return Ok(addresses);
        }
        let reason = "its name leads to this machine or into a private network";
        Err(ureq::Error::Io(io::Error::new(io::ErrorKind::PermissionDenied, reason)))
    }
}

/// A host that a deployment trusts by name, wherever its address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    /// Its name or address, and `:` with the port if that is not 443: `status.example`, `127.0.0.1:8443`.
    pub host: String,
    /// The authorities that may certify it, as PEM; the public ones without it.
    pub roots: Option<String>,
}

/// Bounds of a [`WebClient`], and the hosts that its deployment allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOptions {
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// For one request as a whole, from the look-up to the last byte.
    pub request_timeout: Duration,
    /// How many requests may be under way.
    pub requests_max: usize,
    /// Hosts that are trusted by name.
    pub allowed: Vec<AllowedHost>,
}

impl Default for WebOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(8),
            requests_max: 64,
            allowed: Vec::new(),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WebError {
    /// The URL is none that is asked for.
    #[error("the URL is not asked for: {0}")]
    Url(&'static str),
    /// The name leads out of the public Internet.
    #[error("{0} leads to this machine or into a private network")]
    Private(String),
    /// The host sends the client elsewhere, which the client never follows.
    #[error("{0} redirects, which is not followed")]
    Redirected(String),
    /// The answer is larger than allowed.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit that it broke, in bytes.
        limit: u64,
    },
    /// No connection, or it broke.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// No answer in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// Too many requests are under way.
    #[error("too many requests to other hosts are under way")]
    Busy,
    /// The certificate of an authority cannot be read.
    #[error("the certificates for {0} cannot be read; give them as PEM")]
    Roots(String),
}

impl WebError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "web.url",
            Self::Private(_) => "web.private",
            Self::Redirected(_) => "web.redirected",
            Self::TooLarge { .. } => "web.too_large",
            Self::Unreachable { .. } => "web.unreachable",
            Self::Timeout(_) => "web.timeout",
            Self::Busy => "web.busy",
            Self::Roots(_) => "web.roots",
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout(_) | Self::Busy)
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebAnswer {
    /// The HTTP status; never a redirection.
    pub status: u16,
    /// `Content-Type`, without parameters, in lower case.
    pub media_type: Option<String>,
    /// `ETag`, as it was sent.
    pub etag: Option<String>,
    /// `max-age` of `Cache-Control`, in seconds; 0 for `no-store` and `no-cache`.
    pub max_age_s: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// A guarded client for hosts that somebody else has named. It blocks. Clones share their bounds.
#[derive(Debug, Clone)]
pub struct WebClient {
    public: Agent,
    allowed: Vec<(String, Agent)>,
    under_way: Arc<AtomicUsize>,
    requests_max: usize,
}

impl WebClient {
    /// Prepares a client; nothing is sent yet.
    pub fn new(options: &WebOptions) -> Result<Self, WebError> {
        Self::with_lookup(options, DefaultResolver::default())
    }

    /// As [`WebClient::new`], with another way to look up the names of hosts that are not allowed by name. What comes
    /// out of it is checked all the same.
    pub fn with_lookup(options: &WebOptions, lookup: impl Resolver) -> Result<Self, WebError> {
        let config = |tls: Option<TlsConfig>| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .https_only(true)
                .max_redirects(0)
                .max_redirects_will_error(false)
                // A proxy would look names up by itself, and nobody would check what it finds.
                .proxy(None)
                .timeout_connect(Some(options.connect_timeout))
                .timeout_global(Some(options.request_timeout))
                .accept_encoding("identity")
                .user_agent(concat!("aval/", env!("CARGO_PKG_VERSION")));
            match tls {
                Some(tls) => config.tls_config(tls).build(),
                None => config.build(),
            }
        };
        let allowed = options.allowed.iter().map(|allowed| {
            let tls = allowed.roots.as_deref().map(|pem| tls_with(&allowed.host, pem)).transpose()?;
            let resolver = DefaultResolver::default();
            let agent = Agent::with_parts(config(tls), DefaultConnector::default(), resolver);
            Ok((allowed.host.to_ascii_lowercase(), agent))
        });
        Ok(Self {
            allowed: allowed.collect::<Result<_, WebError>>()?,
            public: Agent::with_parts(config(None), DefaultConnector::default(), PublicOnly::new(lookup)),
            under_way: Arc::default(),
            requests_max: options.requests_max,
        })
    }

    /// Whether this deployment allows a host by name. The port is left out if it is 443.
    pub fn is_allowed(&self, host: &str) -> bool {
        self.allowed.iter().any(|(allowed, _)| allowed.eq_ignore_ascii_case(host))
    }

    /// Asks for a resource and reads at most `bytes_max` bytes of it.
    pub fn get(&self, url: &Url, accept: &str, bytes_max: u64) -> Result<WebAnswer, WebError> {
        let host = check(url)?;
        let agent = self.allowed.iter().find(|(allowed, _)| *allowed == host).map(|(_, agent)| agent);
        let agent = agent.unwrap_or(&self.public);
        let _place = Place::take(&self.under_way, self.requests_max).ok_or(WebError::Busy)?;
        let broken = |error: ureq::Error| explain(error, &host);
        let response = agent.get(url.as_str()).header("accept", accept).call().map_err(broken)?;
        if response.status().is_redirection() && response.status().as_u16() != 304 {
            return Err(WebError::Redirected(host));
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let media_type = header("content-type").and_then(|value| value.split(';').next());
        let media_type = media_type.map(|essence| essence.trim().to_ascii_lowercase());
        let (etag, max_age_s) =
            (header("etag").map(str::to_owned), header("cache-control").and_then(max_age));
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // The limit counts what is read here, whatever the transfer encoding made of it.
        let mut reader = response.into_body().into_reader().take(bytes_max.saturating_add(1));
        reader.read_to_end(&mut body).map_err(|error| broken(ureq::Error::from(error)))?;
        if body.len() as u64 > bytes_max {
            return Err(WebError::TooLarge { host, limit: bytes_max });
        }
        Ok(WebAnswer { status, media_type, etag, max_age_s, body })
    }
}

/// One of the requests that may be under way.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(under_way: &'a AtomicUsize, most: usize) -> Option<Self> {
        let taken = under_way.fetch_add(1, Ordering::Relaxed);
        let place = Self(under_way);
        (taken < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The host of a URL that may be asked for, with its port if that is not 443.
fn check(url: &Url) -> Result<String, WebError> {
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(WebError::Url("it is too long"));
    }
    if url.scheme() != "https" {
        return Err(WebError::Url("it is not https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WebError::Url("it carries a user name or a password"));
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(WebError::Url("it names no host"))?;
    let host = host.to_ascii_lowercase();
    Ok(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

fn tls_with(host: &str, pem: &str) -> Result<TlsConfig, WebError> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(WebError::Roots(host.to_owned())),
        }
    }
    if certificates.is_empty() {
        return Err(WebError::Roots(host.to_owned()));
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::from(certificates)).build())
}

fn explain(error: ureq::Error, host: &str) -> WebError {
    let host = host.to_owned();
    match error {
        ureq::Error::Timeout(_) => WebError::Timeout(host),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => WebError::Timeout(host),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => WebError::Private(host),
        ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => WebError::Redirected(host),
        other => WebError::Unreachable { host, reason: other.to_string() },
    }
}

fn max_age(value: &str) -> Option<u64> {
    let mut age = None;
    for directive in value.split(',').map(|directive| directive.trim().to_ascii_lowercase()) {
        match directive.split_once('=') {
            None if directive == "no-store" || directive == "no-cache" => return Some(0),
            Some(("max-age", seconds)) => age = seconds.trim_matches('"').parse().ok(),
            _ => {}
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, TcpListener};
    use std::sync::atomic::AtomicUsize;

    /// A name service that somebody else controls: each answer is the next of a list.
    #[derive(Debug)]
    struct Lying {
        answers: Vec<Vec<SocketAddr>>,
        asked: Arc<AtomicUsize>,
    }

    impl Resolver for Lying {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let mut addresses = self.empty();
            let answer = self.answers.get(number).or(self.answers.last());
            answer.into_iter().flatten().for_each(|address| addresses.push(*address));
            Ok(addresses)
        }
    }

    fn client(answers: Vec<Vec<SocketAddr>>) -> (WebClient, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let options = WebOptions {
            connect_timeout: Duration::from_millis(200),
            request_timeout: Duration::from_millis(400),
            ..WebOptions::default()
        };
        (WebClient::with_lookup(&options, Lying { answers, asked: asked.clone() }).unwrap(), asked)
    }

    fn get(client: &WebClient, url: &str) -> WebError {
        client.get(&Url::parse(url).unwrap(), "*/*", 100).unwrap_err()
    }

    #[test]
    fn a_name_with_any_address_in_a_private_network_is_not_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let here = listener.local_addr().unwrap();
        let public: SocketAddr = "93.184.215.14:443".parse().unwrap();
        let translated = format!("[64:ff9b::7f00:1]:{}", here.port()).parse().unwrap();
        let mapped = format!("[::ffff:127.0.0.1]:{}", here.port()).parse().unwrap();
        for lie in [vec![here], vec![public, here], vec![translated], vec![mapped]] {
            let error = get(&client(vec![lie]).0, "https://issuer.example/");
            assert_eq!(error, WebError::Private("issuer.example".to_owned()));
        }
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_name_is_looked_up_once_so_that_a_second_answer_leads_nowhere() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let here = listener.local_addr().unwrap();
        // The first address is public by the table and answers nobody; the second is what a rebinding host would say.
        let public: SocketAddr = "1.0.0.0:9".parse().unwrap();
        let (client, asked) = client(vec![vec![public], vec![here]]);
        let error = get(&client, "https://issuer.example/");
        assert!(matches!(error, WebError::Timeout(_) | WebError::Unreachable { .. }), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn addresses_in_the_url_itself_are_checked_as_well() {
        let client = WebClient::new(&WebOptions::default()).unwrap();
        for url in [
            "https://127.0.0.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/",
        ] {
            let error = get(&client, url);
            assert!(matches!(error, WebError::Private(_)), "{url}: {error}");
            assert!(!error.is_retryable());
        }
    }

    #[test]
    fn only_https_without_credentials_is_asked() {
        let (client, asked) = client(vec![vec!["93.184.215.14:443".parse().unwrap()]]);
        let long = format!("https://issuer.example/{}", "a".repeat(URL_BYTES_MAX));
        for url in ["http://issuer.example/", "file:///etc/passwd", "https://user@issuer.example/", &long] {
            assert_eq!(get(&client, url).code(), "web.url", "{url}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn no_more_requests_are_under_way_than_allowed() {
        let count = AtomicUsize::new(0);
        let first = Place::take(&count, 1).unwrap();
        assert!(Place::take(&count, 1).is_none());
        drop(first);
        assert!(Place::take(&count, 1).is_some());
    }

    #[test]
    fn what_is_no_certificate_is_no_authority() {
        let allowed = |roots: &str| WebOptions {
            allowed: vec![AllowedHost { host: "a.example".to_owned(), roots: Some(roots.to_owned()) }],
            ..WebOptions::default()
        };
        for roots in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert_eq!(WebClient::new(&allowed(roots)).unwrap_err().code(), "web.roots", "{roots}");
        }
    }

    #[test]
    fn the_age_of_an_answer_is_read_from_its_header() {
        assert_eq!(max_age("public, max-age=60"), Some(60));
        assert_eq!(max_age("no-store, max-age=60"), Some(0));
        assert_eq!(max_age("private"), None);
        assert_eq!(max_age("max-age=soon"), None);
    }
}
