//! A node that is asked for what is missing here. Whatever it sends is verified; here it is only bounded in time
//! and size.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use url::Url;

use crate::fault::Fault;
use crate::probe;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Attempts to get an answer before giving up.
const ATTEMPTS: u32 = 5;

/// Why a source is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It does not have what was asked for; the status that it answered with.
    #[error("it answers {0}")]
    Refuses(u16),
    /// It does not answer, or not within the bounds.
    #[error("it does not answer in time, or more than was asked for")]
    Silent,
    /// What it sent is wrong.
    #[error("it lies: {reason} ({code})")]
    Lies {
        /// The stable code of what is wrong.
        code: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl SourceError {
    /// It sent what is wrong.
    pub fn lies(code: &'static str, reason: &dyn std::fmt::Display) -> Self {
        Self::Lies { code, reason: reason.to_string() }
    }
}

/// A node that is asked.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) url: String,
    address: SocketAddr,
}

impl Source {
    /// The node at a URL such as `http://node.example:8001`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |reason: &dyn std::fmt::Display| {
            Fault::usage(format!("--join {text} cannot be asked ({reason}): give http://HOST:PORT of a node"))
        };
        let url = Url::parse(text).map_err(|error| wrong(&error))?;
        if url.scheme() != "http" || !matches!(url.path(), "" | "/") {
            return Err(wrong(
                &"it is not a plain http URL without a path; what comes is verified, not trusted",
            ));
        }
        let host = url.host_str().ok_or_else(|| wrong(&"there is no host"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut addresses = (host, port).to_socket_addrs().map_err(|error| wrong(&error))?;
        let address = addresses.next().ok_or_else(|| wrong(&"the host has no address"))?;
        Ok(Self { url: text.to_owned(), address })
    }

    /// The body of a 200 answer.
    pub(super) fn get(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, SourceError> {
        for attempt in 0..ATTEMPTS {
            match probe::get_bounded(self.address, path, PATIENCE, bytes_max) {
                Some((200, body)) => return Ok(body),
                Some((status, _)) if status < 500 && status != 429 => {
                    return Err(SourceError::Refuses(status));
                }
                _ => std::thread::sleep(Duration::from_millis(200 << attempt)),
            }
        }
        Err(SourceError::Silent)
    }

    /// The height of its newest block, as it says.
    pub(super) fn height(&self) -> Result<u64, SourceError> {
        let body = self.get("/v1/status", 4 << 20)?;
        let status: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let height = status.get("height").and_then(serde_json::Value::as_u64);
        height.ok_or_else(|| SourceError::lies("source.status", &"it does not say how far it is"))
    }
}

/// Nodes that are asked one after the other. One that lies is not asked again.
#[derive(Clone, Debug)]
pub struct Sources {
    left: Vec<Source>,
    dropped: Vec<String>,
}

impl Sources {
    /// These nodes, in this order.
    pub fn new(sources: Vec<Source>) -> Self {
        Self { left: sources, dropped: Vec::new() }
    }

    /// The nodes at these URLs.
    pub fn parse<'a>(urls: impl IntoIterator<Item = &'a String>) -> Result<Self, Fault> {
        Ok(Self::new(urls.into_iter().map(|url| Source::parse(url)).collect::<Result<_, _>>()?))
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Those that are left.
    pub(super) fn left(&self) -> &[Source] {
        &self.left
    }

    /// The one that is asked now.
    pub(super) fn current(&self) -> Result<Source, Fault> {
        self.left.first().cloned().ok_or_else(|| {
            Fault::try_later(format!(
                "no node that was named by --join is left: {}. Start again with another one; what was fetched is kept",
                self.dropped.join("; ")
            ))
        })
    }

    /// Asks another one from now on, and this one never again.
    pub(super) fn drop_source(&mut self, source: &Source, error: &SourceError) {
        tracing::warn!(source = %source.url, %error, "another node is asked");
        self.dropped.push(format!("{}: {error}", source.url));
        self.left.retain(|left| left.url != source.url);
    }

    /// Why each was dropped.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }
}
