//! The `kid` of a transaction: `<did>#<multikey>`, so that a signature can be checked without looking anything up.
//!
//! Whether the DID really has the key is another question, answered from the state by `authorize`.

use std::{fmt, str::FromStr};

use aval_did::{Did, PublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A DID and one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId {
    did: Did,
    key: PublicKey,
    /// The key's one text, kept because it is compared with every header and base58 is slow.
    multikey: String,
}

/// The text is not a key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kid: expected <did>#<multikey>")]
pub struct KeyIdError;

impl KeyId {
    /// Puts a DID and a key together.
    pub fn new(did: Did, key: PublicKey) -> Self {
        Self { did, key, multikey: key.to_multikey() }
    }

    /// The DID.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The key.
    pub fn key(&self) -> PublicKey {
        self.key
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.did, self.multikey)
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let (did, multikey) = text.split_once('#').ok_or(KeyIdError)?;
        let did = did.parse().map_err(|_| KeyIdError)?;
        let key = PublicKey::from_multikey(multikey).map_err(|_| KeyIdError)?;
        Ok(Self { did, key, multikey: multikey.to_owned() })
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
