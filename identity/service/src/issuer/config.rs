//! Where an issuer keeps its things, and what it was told at `init`.
//!
//! A home folder (mode 0700) holds `config.json`, `keys.sealed` or `keys.json`, `genesis.json` (the trust anchor),
//! `admin-token`, `checkpoint.json` (how far the ledger was seen) and, unless the
//! records are in PostgreSQL, `issuer.sqlite`. `config.json` is written last: a folder with
//! one is complete.

use crate::fault::Fault;
use crate::home;
use crate::keys::file::{Asked, Sealing, Source};
use crate::keys::module::ModuleConfig;
use crate::storage::{Slot, is_postgres_url};
use aval_openid::UrlPolicy;
use aval_types::grant::is_name;
use aval_types::registry::{Purpose, Shape, is_registry_name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What is missing when a home folder has no configuration.
const INIT_FIRST: &str = "run `aval-identityd issuer init` first, or give the right --home";
/// The key file of a home folder, as plain text and under a passphrase.
const PLAIN_KEYS: &str = "keys.json";
const SEALED_KEYS: &str = "keys.sealed";
/// The longest validity of a credential; renewal is what shows that a membership goes on.
const VALIDITY_DAYS_MAX: u32 = 3_650;
/// The longest life of an offer.
const OFFER_MINUTES_MAX: u32 = 7 * 24 * 60;

/// What `config.json` says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The status registries on the ledger, one for each purpose.
    pub registries: Vec<RegistryConfig>,
    /// The credential that is offered when no template is named.
    pub credential: CredentialConfig,
    /// The connection string of a PostgreSQL database. Without one the records are in a SQLite file of the home folder;
    /// several instances need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// How the private keys are kept.
    #[serde(default)]
    pub keys: KeysConfig,
    /// Files with the certificates of keys (PEM, the key's own first), by the key's name without its `#`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, PathBuf>,
}

/// Shows no connection string: it may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Config").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

/// How the private keys are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeysConfig {
    /// Whether the keys are sealed, in `keys.sealed`. Otherwise they are in `keys.json`, as plain text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// The file with the passphrase; without one it is asked for. Implies that they are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// The PKCS#11 module, if private keys are in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleConfig>,
}

impl KeysConfig {
    /// Where the private keys of a home folder are.
    pub fn source(&self, folder: &Path) -> Source {
        let sealing = match &self.passphrase_file {
            Some(file) => Sealing::File(file.clone()),
            None if self.sealed => Sealing::Asked(Asked::default()),
            None => Sealing::Plain,
        };
        let path = folder.join(if matches!(sealing, Sealing::Plain) { PLAIN_KEYS } else { SEALED_KEYS });
        Source { path, sealing, module: self.module.clone() }
    }
}

/// A status registry that the issuer owns on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryConfig {
    /// The last part of the registry's identifier.
    pub name: String,
    /// `revocation`, `suspension`, `refresh` or `message`.
    pub purpose: String,
    /// Entries in its one status list.
    pub size: u32,
}

impl RegistryConfig {
    /// What the ledger calls the purpose: it knows no other values than its own, and `refresh` is a message to it.
    pub fn ledger_purpose(&self) -> Option<Purpose> {
        match self.purpose.as_str() {
            "revocation" => Some(Purpose::Revocation),
            "suspension" => Some(Purpose::Suspension),
            "refresh" | "message" => Some(Purpose::Message),
            _ => None,
        }
    }
}

/// The credential that the issuer is accredited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub fn read(home: &Home) -> Result<Self, Fault> {
        home::read_config(&home.config(), INIT_FIRST, Self::validate)
    }

    /// Whether the service can work with these values; if not, which one and why.
    pub fn validate(&self) -> Result<(), String> {
        let url = UrlPolicy::LOOPBACK
            .check_issuer("publicUrl", &self.public_url)
            .map_err(|error| format!("wallets would not follow publicUrl: {error}"))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if self.public_url.ends_with('/') || !url.path().bytes().all(plain) {
            return Err(
                "publicUrl must be without a slash at the end and without special characters".to_owned()
            );
        }
        if self.listen == self.admin_listen && self.listen.port() != 0 {
            return Err("listen and adminListen must differ".to_owned());
        }
        self.validate_registries()?;
        if self.database.as_deref().is_some_and(|url| !is_postgres_url(url)) {
            return Err("database must begin with postgres://".to_owned());
        }
        if !is_name(&self.credential.credential_type) {
            return Err("credential.credentialType is not a name of a credential type".to_owned());
        }
        if !(1..=VALIDITY_DAYS_MAX).contains(&self.credential.validity_days) {
            return Err(format!("credential.validityDays must be 1 to {VALIDITY_DAYS_MAX}"));
        }
        if !(1..=OFFER_MINUTES_MAX).contains(&self.credential.offer_minutes) {
            return Err(format!("credential.offerMinutes must be 1 to {OFFER_MINUTES_MAX}"));
        }
        Ok(())
    }

    /// Writes the configuration into a home folder that has none yet.
    pub fn write_new(&self, home: &Home) -> Result<(), Fault> {
        home::write_config(&home.config(), self)
    }

    fn validate_registries(&self) -> Result<(), String> {
        for (at, registry) in self.registries.iter().enumerate() {
            if !is_registry_name(&registry.name) {
                return Err("a registry's name must be 1 to 32 of a-z, 0-9 and -".to_owned());
            }
            let others = self.registries.get(..at).unwrap_or_default();
            if others.iter().any(|other| other.name == registry.name || other.purpose == registry.purpose) {
                return Err("registries: each has a name and a purpose of its own".to_owned());
            }
            let lists = [self.list_uri(&registry.name)];
            let purpose = registry.ledger_purpose().ok_or_else(|| {
                "a registry's purpose is revocation, suspension, refresh or message".to_owned()
            })?;
            Shape { purpose, bits: 1, size: registry.size, lists: &lists }
                .validate()
                .map_err(|reject| format!("registry {}: {reject}", registry.name))?;
        }
        if self.registry("revocation").is_none() {
            return Err("registries: one must have the purpose revocation".to_owned());
        }
        Ok(())
    }

    /// The registry for a purpose.
    pub fn registry(&self, purpose: &str) -> Option<&RegistryConfig> {
        self.registries.iter().find(|registry| registry.purpose == purpose)
    }

    /// The URI of a registry's status list: what credentials name and the ledger's registry lists.
    pub fn list_uri(&self, registry: &str) -> String {
        format!("{}/status/{registry}", self.public_url)
    }

    /// The URI of a list as an instance signs it.
    pub fn list_uri_of(&self, instance: &str, list: &str) -> String {
        let registry = list.rsplit('/').next().unwrap_or_default();
        format!("{}/instances/{instance}/status/{registry}", self.public_url)
    }

    /// The URI of the issuer's own list with the same bits.
    pub fn list_behind(&self, list: &str) -> String {
        let below = format!("{}/instances/", self.public_url);
        match list.strip_prefix(&below).and_then(|rest| rest.split_once("/status/")) {
            Some((_, registry)) => self.list_uri(registry),
            None => list.to_owned(),
        }
    }

    /// The status lists of credentials that are presented to the ledger, which takes one entry: that for revocation.
    pub fn ledger_slots(&self) -> Vec<Slot> {
        self.slots().into_iter().filter(|slot| slot.purpose == "revocation").collect()
    }

    /// The status lists in which any other credential has an entry.
    pub fn slots(&self) -> Vec<Slot> {
        let slot = |registry: &RegistryConfig| Slot {
            purpose: registry.purpose.clone(),
            list: self.list_uri(&registry.name),
            size: registry.size,
        };
        self.registries.iter().map(slot).collect()
    }

    /// Where the private keys are.
    pub fn key_source(&self, home: &Home) -> Source {
        self.keys.source(&home.0)
    }

    /// Where instances are, protected as the keys are: by the passphrase that `keys` has asked for.
    pub fn instance_source(&self, home: &Home, keys: &Source) -> Source {
        let is_plain = matches!(keys.sealing, Sealing::Plain);
        Source { path: home.instances(is_plain), sealing: keys.sealing.clone(), module: None }
    }

    /// The path of the public URL: empty, or with a slash in front and none behind.
    pub fn public_path(&self) -> String {
        url::Url::parse(&self.public_url)
            .map(|url| url.path().trim_end_matches('/').to_owned())
            .unwrap_or_default()
    }
}

/// The files of a home folder.
#[derive(Debug, Clone)]
pub struct Home(pub PathBuf);

impl Home {
    /// What the issuer was told.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// The issuer's DID and private keys, as plain text.
    pub fn keys(&self) -> PathBuf {
        self.0.join(PLAIN_KEYS)
    }

    /// The issuer's DID and private keys, under a passphrase.
    pub fn sealed_keys(&self) -> PathBuf {
        self.0.join(SEALED_KEYS)
    }

    /// Further issuers of the VC-API, kept as the keys are.
    pub fn instances(&self, is_plain: bool) -> PathBuf {
        self.0.join(if is_plain { "instances.json" } else { "instances.sealed" })
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
        self.0.join("issuer.sqlite")
    }

    /// The token of the back office.
    pub fn admin_token(&self) -> PathBuf {
        self.0.join("admin-token")
    }

    /// Makes the folder unless it is there, and makes sure that `init` would overwrite nothing in it.
    pub fn prepare(&self) -> Result<(), Fault> {
        let mine = [
            self.config(),
            self.keys(),
            self.sealed_keys(),
            self.genesis(),
            self.admin_token(),
            self.records(),
        ];
        for path in mine {
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

    /// Reads the token of the back office; one that is short or readable by others guards nothing.
    pub fn read_admin_token(&self) -> Result<String, Fault> {
        home::read_token(&self.admin_token(), INIT_FIRST)
    }
}
