//! Network profiles: which genesis is trusted and which node is asked.
//!
//! The genesis file is the trust anchor (design D14). It is pinned byte for byte when the profile is made; its
//! SHA-256 is what people compare. The newest verified block of each genesis is kept apart from the profiles, so that
//! two profiles of one network share it and removing a profile does not turn time back.

mod commands;
mod connection;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use aval_client::TrustedGenesis;
use aval_codec::Hash;
use serde::{Deserialize, Serialize};

use crate::error::WalletError;
use crate::home::{self, Home};

pub(crate) use commands::run;
pub use connection::Connection;

/// A stored profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name, also the name of its folder.
    pub name: String,
    /// The node to ask.
    pub node: String,
    /// The SHA-256 of the genesis file.
    pub genesis: Hash,
}

/// The profiles of a wallet.
#[derive(Debug)]
pub struct Profiles<'a> {
    home: &'a Home,
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl<'a> Profiles<'a> {
    /// The profiles in a wallet's folder.
    pub fn new(home: &'a Home) -> Self {
        Self { home }
    }

    /// Stores a new profile and its genesis. The first one becomes the default.
    pub fn add(&self, name: &str, node: &str, genesis: &TrustedGenesis) -> Result<Profile, WalletError> {
        self.check_name(name)?;
        if let Some(known) = self.find(name)?
            && known.genesis != genesis.hash()
        {
            return Err(WalletError::Failed(format!(
                "the profile {name} exists and trusts another genesis ({}); choose another --name",
                known.genesis
            )));
        }
        let profile = Profile { name: name.to_owned(), node: node.to_owned(), genesis: genesis.hash() };
        let folder = self.home.networks().join(name);
        home::make_folder(&folder)?;
        home::replace(&folder.join("genesis.json"), genesis.bytes())?;
        // Last, because a folder counts as a profile from this file on.
        let json =
            serde_json::to_vec_pretty(&profile).map_err(|error| WalletError::Failed(error.to_string()))?;
        home::replace(&folder.join("profile.json"), &json)?;
        if self.default_name()?.is_none() {
            self.make_default(name)?;
        }
        Ok(profile)
    }

    /// All profiles, by name.
    pub fn all(&self) -> Result<Vec<Profile>, WalletError> {
        let folder = self.home.networks();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(WalletError::io("read the folder", folder.display().to_string(), error));
            }
        };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        let mut profiles = Vec::new();
        for name in names.iter().filter(|name| is_name(name)) {
            profiles.extend(self.find(name)?);
        }
        Ok(profiles)
    }

    /// The profile of this name, when there is one.
    pub fn find(&self, name: &str) -> Result<Option<Profile>, WalletError> {
        self.check_name(name)?;
        let path = self.home.networks().join(name).join("profile.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(WalletError::io("read", path.display().to_string(), error)),
        };
        let profile: Profile = serde_json::from_slice(&bytes)
            .map_err(|error| WalletError::Failed(format!("{} cannot be read: {error}", path.display())))?;
        Ok(Some(profile))
    }

    /// The pinned genesis of a profile, checked against the hash noted with it.
    pub fn genesis(&self, profile: &Profile) -> Result<TrustedGenesis, WalletError> {
        let path = self.home.networks().join(&profile.name).join("genesis.json");
        let genesis = load_genesis(&path)?;
        if genesis.hash() != profile.genesis {
            return Err(WalletError::Failed(format!(
                "{} was changed: it has the hash {}, and the profile pins {}",
                path.display(),
                genesis.hash(),
                profile.genesis
            )));
        }
        Ok(genesis)
    }

    /// The name of the default profile.
    pub fn default_name(&self) -> Result<Option<String>, WalletError> {
        let path = self.home.default_network();
        match fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(WalletError::io("read", path.display().to_string(), error)),
        }
    }

    /// Makes a profile the default.
    pub fn make_default(&self, name: &str) -> Result<(), WalletError> {
        if self.find(name)?.is_none() {
            return Err(WalletError::NotFound(format!(
                "there is no profile {name}: see `aval network list`"
            )));
        }
        home::replace(&self.home.default_network(), format!("{name}\n").as_bytes())
    }

    /// The profile that the options ask for, or the default one.
    pub fn select(&self, named: Option<&str>) -> Result<Option<Profile>, WalletError> {
        let name = match named {
            Some(name) => Some(name.to_owned()),
            None => self.default_name()?,
        };
        let Some(name) = name else { return Ok(None) };
        match self.find(&name)? {
            Some(profile) => Ok(Some(profile)),
            None => {
                Err(WalletError::NotFound(format!("there is no profile {name}: see `aval network list`")))
            }
        }
    }

    fn check_name(&self, name: &str) -> Result<(), WalletError> {
        if is_name(name) {
            return Ok(());
        }
        Err(WalletError::Usage(format!("{name:?} is not a name for a profile: use a to z, 0 to 9 and -")))
    }
}

/// Reads and checks a genesis file.
pub fn load_genesis(path: &Path) -> Result<TrustedGenesis, WalletError> {
    let bytes = home::read_input(path)?;
    TrustedGenesis::parse(bytes)
        .map_err(|error| WalletError::Failed(format!("{} is not a genesis file: {error}", path.display())))
}
