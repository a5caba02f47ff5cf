//! Where a resolver keeps its things, and what it was told at `init`.
//!
//! A home folder (mode 0700) holds `config.json`, `genesis.json` (the trust anchor), `admin-token` (for the
//! registrar and the metrics), `keys.json` if the registrar endorses, and `checkpoint.json` (how far the
//! ledger was seen). `config.json` is written last: a folder with one is complete.

use crate::fault::Fault;
use crate::home;
use aval_client::web::{AllowedHost, WebClient, WebOptions};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is missing when a home folder has no configuration.
const INIT_FIRST: &str = "run `aval-identityd resolver init` first, or give the right --home";
/// Most hosts that a deployment allows.
const HOSTS_MAX: usize = 64;

/// What `config.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where the service is reached.
    pub listen: SocketAddr,
    /// A ledger node. Its answers are verified against the genesis file.
    pub node: String,
    /// Whether DIDs are registered here as well.
    #[serde(default)]
    pub registrar: bool,
    /// Hosts that are asked wherever their addresses are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_hosts: Vec<HostConfig>,
}

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

impl Config {
    /// Reads the configuration of a home folder.
    pub fn read(home: &Home) -> Result<Self, Fault> {
        home::read_config(&home.config(), INIT_FIRST, Self::validate)
    }

    /// Whether the service can work with these values; if not, which one and why.
    pub fn validate(&self) -> Result<(), String> {
        if self.allowed_hosts.len() > HOSTS_MAX {
            return Err(format!("allowedHosts are more than {HOSTS_MAX}"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if let Some(wrong) =
            self.allowed_hosts.iter().find(|host| host.host.is_empty() || !host.host.bytes().all(plain))
        {
            return Err(format!("allowedHosts: {:?} is no host", wrong.host));
        }
        self.web_client().map(drop)
    }

    /// The guarded client for the hosts that DIDs name.
    pub fn web_client(&self) -> Result<WebClient, String> {
        let allowed = self.allowed_hosts.iter().cloned();
        let allowed = allowed.map(|host| AllowedHost { host: host.host, roots: host.roots }).collect();
        WebClient::new(&WebOptions { allowed, ..WebOptions::default() })
            .map_err(|error| format!("allowedHosts: {error}"))
    }
}

/// The files of a home folder.
#[derive(Debug, Clone)]
pub struct Home(pub PathBuf);

impl Home {
    /// What the resolver was told.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// The DID and private key of the registrar's endorser.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys.json")
    }

    /// The network's genesis file.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.json")
    }

    /// How far the ledger was seen.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.json")
    }

    /// The token of the registrar and the metrics.
    pub fn admin_token(&self) -> PathBuf {
        self.0.join("admin-token")
    }

    /// Makes the folder unless it is there, and makes sure that `init` would overwrite nothing in it.
    pub fn prepare(&self) -> Result<(), Fault> {
        for path in [self.config(), self.keys(), self.genesis(), self.admin_token()] {
            if path.exists() {
                return Err(Fault::of_file(&path, &std::io::ErrorKind::AlreadyExists.into(), INIT_FIRST));
            }
        }
        home::make_folder(&self.0)
    }

    /// Reads the genesis file.
    pub fn read_genesis(&self) -> Result<Vec<u8>, Fault> {
        home::read(&self.genesis(), INIT_FIRST)
    }

    /// Reads the token.
    pub fn read_admin_token(&self) -> Result<String, Fault> {
        home::read_token(&self.admin_token(), INIT_FIRST)
    }
}
