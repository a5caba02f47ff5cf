//! Hosts that a deployment trusts by name, and the guarded client for all others.

use crate::fault::Fault;
use aval_client::web::{AllowedHost, WebClient, WebOptions};
use serde::{Deserialize, Serialize};
use std::fs;

/// Most hosts that a deployment allows.
const HOSTS_MAX: usize = 64;

/// A host that is trusted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostConfig {
    /// Its name or address, with `:` and the port if that is not 443.
    pub host: String,
    /// The authorities that may certify it, as PEM; the public ones without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<String>,
}

impl HostConfig {
    /// Reads `HOST[:PORT]` or `HOST[:PORT]=FILE`, as a command line has it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let Some((host, file)) = text.split_once('=') else {
            return Ok(Self { host: text.to_owned(), roots: None });
        };
        let roots = fs::read_to_string(file).map_err(|error| {
            Fault::of_file(
                file.as_ref(),
                &error,
                "give a file with the certificates of the host's authorities",
            )
        })?;
        Ok(Self { host: host.to_owned(), roots: Some(roots) })
    }
}

/// Whether these can be allowed; if not, which one and why.
pub fn validate(hosts: &[HostConfig]) -> Result<(), String> {
    if hosts.len() > HOSTS_MAX {
        return Err(format!("allowedHosts are more than {HOSTS_MAX}"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if let Some(wrong) = hosts.iter().find(|host| host.host.is_empty() || !host.host.bytes().all(plain)) {
        return Err(format!("allowedHosts: {:?} is no host", wrong.host));
    }
    client(hosts).map(drop)
}

/// The guarded client for hosts that somebody else names.
pub fn client(hosts: &[HostConfig]) -> Result<WebClient, String> {
    let allowed = hosts.iter().cloned();
    let allowed = allowed.map(|host| AllowedHost { host: host.host, roots: host.roots }).collect();
    WebClient::new(&WebOptions { allowed, ..WebOptions::default() })
        .map_err(|error| format!("allowedHosts: {error}"))
}
