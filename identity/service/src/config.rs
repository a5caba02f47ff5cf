//! Where an issuer keeps its things, and what it was told at `init`.
//!
//! A home folder holds `config.json`, `keys.json` (mode 0600), `genesis.json` (the trust anchor), `issuer.sqlite` and `admin-token` (mode 0600).

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What `config.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where wallets reach the service.
    pub listen: SocketAddr,
    /// Where the back office reaches it: apart from the public side, loopback by default.
    pub admin_listen: SocketAddr,
    /// The credential issuer identifier: the URL that wallets use, without a trailing slash.
    pub public_url: String,
    /// A ledger node. Its answers are verified against the genesis file.
    pub node: String,
    /// The status registry on the ledger.
    pub registry: RegistryConfig,
    /// The credential this issuer offers.
    pub credential: CredentialConfig,
}

/// The status registry that the issuer owns on the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryConfig {
    /// The last part of the registry's identifier.
    pub name: String,
    /// Entries in its one status list.
    pub size: u64,
}

/// The credential that the issuer is accredited for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialConfig {
    /// The credential type beside `VerifiableCredential`.
    pub credential_type: String,
    /// The name that a wallet shows.
    pub display_name: String,
    /// How long a credential is valid.
    pub validity_days: u32,
    /// How long an offer can be redeemed.
    pub offer_minutes: u32,
}

impl Config {
    /// Reads the configuration of a home folder.
    pub fn read(home: &Path) -> Result<Self> {
        let path = home.join("config.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read; run `aval-identityd issuer init` first", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a valid configuration", path.display()))
    }

    /// Writes the configuration into a home folder that has none yet.
    pub fn write_new(&self, home: &Path) -> Result<()> {
        let path = home.join("config.json");
        if path.exists() {
            bail!("{} exists already; choose another --home or remove it", path.display());
        }
        fs::write(&path, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("writing {}", path.display()))
    }

    /// The URI of the status list: what credentials name and the ledger's registry lists.
    pub fn list_uri(&self) -> String {
        format!("{}/status/{}", self.public_url, self.registry.name)
    }
}

/// The files of a home folder.
#[derive(Debug, Clone)]
pub struct Home(pub PathBuf);

impl Home {
    /// The issuer's DID and private keys.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys.json")
    }

    /// The network's genesis file.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.json")
    }

    /// The database.
    pub fn records(&self) -> PathBuf {
        self.0.join("issuer.sqlite")
    }

    /// The token of the back office.
    pub fn admin_token(&self) -> PathBuf {
        self.0.join("admin-token")
    }
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(|| format!("writing {}", path.display()))
}
