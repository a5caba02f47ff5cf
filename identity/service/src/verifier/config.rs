//! Where a verifier keeps its things, and what it was told at `init`.
//!
//! A home folder (mode 0700) holds `config.json`, `genesis.json` (the trust anchor), `token` (whoever has it may do
//! everything), `checkpoint.json` (how far the ledger was seen), `keys.sealed` or `keys.json` if wallets are asked,
//! and, unless the records are in PostgreSQL, `verifier.sqlite`. `config.json` is written last: a folder with one is
//! complete.

use super::identity::WalletsConfig;
use crate::certificates::certificates;
use crate::fault::Fault;
use crate::home;
use crate::hosts::{self, HostConfig};
use crate::keys::file::Source;
use crate::storage::is_postgres_url;
use aval_formats::verifier::AccreditationPolicy;
use aval_openid::x509::Anchors;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is missing when a home folder has no configuration.
const INIT_FIRST: &str = "run `aval-identityd verifier init` first, or give the right --home";
/// Most authorities that are trusted.
const ROOTS_MAX: usize = 256;
/// Longest name of a verifier.
const DOMAIN_LENGTH_MAX: usize = 256;

/// What `config.json` says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where relying parties reach the service.
    pub listen: SocketAddr,
    /// A ledger node. Its answers are verified against the genesis file.
    pub node: String,
    /// Whether anybody may have credentials and presentations verified, without a token. Sessions always want one.
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
    /// The connection string of a PostgreSQL database. Without one the records are in a SQLite file of the home folder;
    /// several instances need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The authorities whose certificates issuers of SD-JWT VC may have in place of a DID, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_roots: Option<String>,
    /// How wallets are asked; without it they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallets: Option<WalletsConfig>,
}

/// Shows no connection string: it may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Config").field("listen", &self.listen).finish_non_exhaustive()
    }
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
        if self.database.as_deref().is_some_and(|url| !is_postgres_url(url)) {
            return Err("database must begin with postgres://".to_owned());
        }
        self.roots()?;
        if let Some(wallets) = &self.wallets {
            if wallets.listen == self.listen && wallets.listen.port() != 0 {
                return Err("listen and wallets.listen must differ".to_owned());
            }
            wallets.validate()?;
        }
        hosts::validate(&self.allowed_hosts)
    }

    /// The authorities whose certificates issuers may have; the error says what is wrong with them.
    pub fn roots(&self) -> Result<Option<Anchors>, String> {
        let Some(pem) = &self.trusted_roots else { return Ok(None) };
        let wrong = |reason: String| format!("trustedRoots: {reason}");
        let anchors = Anchors::new(certificates(pem, ROOTS_MAX).map_err(wrong)?);
        anchors.map(Some).map_err(|error| wrong(error.to_string()))
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

    /// The database.
    pub fn records(&self) -> PathBuf {
        self.0.join("verifier.sqlite")
    }

    /// The key that signs requests for wallets.
    pub fn keys(&self, wallets: &WalletsConfig) -> Source {
        wallets.keys.source(&self.0)
    }

    /// The token of those who may do everything.
    pub fn token(&self) -> PathBuf {
        self.0.join("token")
    }

    /// Makes the folder unless it is there, and makes sure that `init` would overwrite nothing in it.
    pub fn prepare(&self) -> Result<(), Fault> {
        let keys = ["keys.sealed", "keys.json"].map(|name| self.0.join(name));
        for path in [self.config(), self.genesis(), self.token(), self.records()].iter().chain(&keys) {
            if path.exists() {
                return Err(Fault::of_file(path, &std::io::ErrorKind::AlreadyExists.into(), INIT_FIRST));
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
