//! Where a resolver keeps its things, and what it was told at `init`.
//!
//! A home folder (mode 0700) holds `config.json`, `genesis.json` (the trust anchor), `admin-token` (for the
//! registrar and the metrics), `keys.json` if the registrar endorses, and `checkpoint.json` (how far the
//! ledger was seen). `config.json` is written last: a folder with one is complete.

use crate::fault::Fault;
use crate::home;
use crate::hosts::{self, HostConfig};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is missing when a home folder has no configuration.
const INIT_FIRST: &str = "run `aval-identityd resolver init` first, or give the right --home";

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

impl Config {
    /// Reads the configuration of a home folder.
    pub fn read(home: &Home) -> Result<Self, Fault> {
        home::read_config(&home.config(), INIT_FIRST, Self::validate)
    }

    /// Whether the service can work with these values; if not, which one and why.
    pub fn validate(&self) -> Result<(), String> {
        hosts::validate(&self.allowed_hosts)
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
