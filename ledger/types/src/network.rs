//! The name of a network in a transaction: `aval:<label>:<genesis hash>` (specs/wire.md, "Network").
//!
//! It holds the genesis hash, so a transaction or presentation made for one network means nothing in another, even
//! where two networks share a label.

use std::{fmt, str::FromStr};

use aval_codec::Hash;
use aval_did::syntax::is_network_label;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A network: the label of its DIDs and the hash of its genesis file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId {
    label: String,
    genesis: Hash,
}

/// The text is not a network's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network: expected aval:<label>:<64 lowercase hex digits>")]
pub struct NetworkIdError;

impl NetworkId {
    /// Puts a network's name together; `None` if the label is not `[a-z][a-z0-9-]{0,31}`.
    pub fn new(label: &str, genesis: Hash) -> Option<Self> {
        is_network_label(label).then(|| Self { label: label.to_owned(), genesis })
    }

    /// The label: the network part of its DIDs.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The hash of the genesis file.
    pub fn genesis(&self) -> Hash {
        self.genesis
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "aval:{}:{}", self.label, self.genesis)
    }
}

impl FromStr for NetworkId {
    type Err = NetworkIdError;

    fn from_str(text: &str) -> Result<Self, NetworkIdError> {
        let (label, genesis) =
            text.strip_prefix("aval:").and_then(|rest| rest.split_once(':')).ok_or(NetworkIdError)?;
        let genesis = genesis.parse().map_err(|_| NetworkIdError)?;
        Self::new(label, genesis).ok_or(NetworkIdError)
    }
}

impl Serialize for NetworkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NetworkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
