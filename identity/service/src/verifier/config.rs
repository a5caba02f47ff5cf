//! Where a verifier keeps its things, and what it was told at `init`.
//!
//! A home folder (mode 0700) holds `config.json`, `genesis.json` (the trust anchor), `token` (whoever has it may
//! ask), and `checkpoint.json` (how far the ledger was seen). `config.json` is written last: a folder with one is
//! complete.

use crate::fault::Fault;
use crate::home;
use crate::hosts::{self, HostConfig};
use aval_formats::verifier::AccreditationPolicy;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is missing when a home folder has no configuration.
const INIT_FIRST: &str = "run `aval-identityd verifier init` first, or give the right --home";
/// Longest name of a verifier.
const DOMAIN_LENGTH_MAX: usize = 256;

/// What `config.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where the service is reached.
    pub listen: SocketAddr,
    /// A ledger node. Its answers are verified against the genesis file.
    pub node: String,
    /// Whether anybody may ask, without the token.
    #[serde(default)]
    pub open: bool,
    /// The verifier's own name, which presentations must be for unless a request says another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Whose issuers must be accredited on the ledger.
    #[serde(default)]
    pub accreditation: Accredited,
    /// Keys (URLs of verification methods) of issuers whose own document does not name them, by issuer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub issuer_keys: BTreeMap<String, Vec<String>>,
    /// Hosts that are asked wherever their addresses are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_hosts: Vec<HostConfig>,
}

/// Whose issuers must be accredited on the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Accredited {
    /// Nobody's
    Nobody,
    /// Those with a DID of the ledger
    #[default]
    OfLedger,
    /// Everybody's
    Everybody,
}

impl Accredited {
    /// The verifier's word for it.
    pub fn policy(self) -> AccreditationPolicy {
        match self {
            Self::Nobody => AccreditationPolicy::Ignored,
            Self::OfLedger => AccreditationPolicy::OfLedger,
            Self::Everybody => AccreditationPolicy::Required,
        }
    }
}

impl Config {
    /// Reads the configuration of a home folder.
    pub fn read(home: &Home) -> Result<Self, Fault> {
        home::read_config(&home.config(), INIT_FIRST, Self::validate)
    }

    /// Whether the service can work with these values; if not, which one and why.
    pub fn validate(&self) -> Result<(), String> {
        if self.domain.as_ref().is_some_and(|name| name.is_empty() || name.len() > DOMAIN_LENGTH_MAX) {
            return Err(format!("domain must have 1 to {DOMAIN_LENGTH_MAX} bytes"));
        }
        hosts::validate(&self.allowed_hosts)
    }
}

/// The files of a home folder.
#[derive(Debug, Clone)]
pub struct Home(pub PathBuf);

impl Home {
    /// What the verifier was told.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// The network's genesis file.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.json")
    }

    /// How far the ledger was seen.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.json")
    }

    /// The token of those who may ask.
    pub fn token(&self) -> PathBuf {
        self.0.join("token")
    }

    /// Makes the folder unless it is there, and makes sure that `init` would overwrite nothing in it.
    pub fn prepare(&self) -> Result<(), Fault> {
        for path in [self.config(), self.genesis(), self.token()] {
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
    pub fn read_token(&self) -> Result<String, Fault> {
        home::read_token(&self.token(), INIT_FIRST)
    }
}
