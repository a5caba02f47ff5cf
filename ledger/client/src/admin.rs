//! Requests that show an access token: reading as an auditor, administering as an operator.

use std::io::Read;
use std::time::Duration;

use aval_codec::Json;
use aval_types::access::AccessRequest;
use serde::Deserialize;

use crate::error::ClientError;
use crate::http::{ClientOptions, Http};
use crate::node::NodeClient;

/// The longest silence of an export.
const EXPORT_SILENCE: Duration = Duration::from_secs(60);

/// What a node says of itself to who wants to sign a token for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AdminIdentity {
    /// The network.
    pub network: String,
    /// The node's network key, a multikey.
    pub key: String,
    /// Who operates it, by its word.
    #[serde(default)]
    pub operator: Option<String>,
}

/// A connection to a node's interface for its operator.
#[derive(Debug, Clone)]
pub struct AdminClient {
    http: Http,
}

impl AdminClient {
    /// Prepares a connection; nothing is sent yet.
    pub fn new(address: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { http: Http::new(address, options)? })
    }

    /// Which node this is.
    pub fn identity(&self) -> Result<AdminIdentity, ClientError> {
        self.http.get(&self.http.url(&["v1", "node"], &[]), "application/json")?.json()
    }

    /// Sends a request under `/v1/` with a token that `sign` makes for it. An answer without a body is null.
    pub fn ask(
        &self,
        method: &str,
        resource: &str,
        query: Option<(&str, &str)>,
        body: &[u8],
        sign: impl FnOnce(&AccessRequest) -> String,
    ) -> Result<Json, ClientError> {
        let (url, path) = place(&self.http, resource, query.as_slice());
        let token = sign(&AccessRequest::new(method, &path, body));
        let answer = self.http.ask(method, &url, &token, body)?.success()?;
        if answer.body.is_empty() { Ok(Json::Null) } else { answer.parse() }
    }
}

impl NodeClient {
    /// Opens the export of a range as an auditor; the body is a segment of a bundle, unread.
    pub fn export(
        &self,
        from: u64,
        to: u64,
        sign: impl FnOnce(&AccessRequest) -> String,
    ) -> Result<Box<dyn Read + Send + Sync>, ClientError> {
        let (from, to) = (from.to_string(), to.to_string());
        let (url, path) = place(self.http(), "audit", &[("from", &from), ("to", &to)]);
        let token = sign(&AccessRequest::new("GET", &path, b""));
        let authorization = format!("Bearer {token}");
        let header = Some(("authorization", authorization.as_str()));
        self.http().stream(&url, "application/jsonl", header, EXPORT_SILENCE)
    }
}

/// The address of a resource, and its path as the node sees it, whatever proxy stands before it.
fn place(http: &Http, resource: &str, query: &[(&str, &str)]) -> (url::Url, String) {
    let url = http.url(&["v1", resource], query);
    let path = match url.query() {
        Some(query) => format!("/v1/{resource}?{query}"),
        None => format!("/v1/{resource}"),
    };
    (url, path)
}
