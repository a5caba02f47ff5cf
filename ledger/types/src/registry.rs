//! Status registries: who answers for which status lists, and with how many bits (specs/wire.md, "Registry").
//!
//! A registry has one owner and one purpose, and names the exact URIs of its lists; a URI belongs to one registry
//! of the network. The bits themselves are state of their own and live in chunks beside these records.

use std::{fmt, str::FromStr};

use aval_did::Did;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{limits, reject::Reject};

/// Characters of a registry's name.
const REGISTRY_NAME_LENGTH_MAX: usize = 32;

/// `<owner did>/registry/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryId {
    owner: Did,
    name: String,
}

/// The text is not a registry's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a registry: expected <did>/registry/<name>")]
pub struct RegistryIdError;

impl RegistryId {
    /// Puts an id together; `None` if the name is not `[a-z0-9-]{1,32}`.
    pub fn new(owner: Did, name: &str) -> Option<Self> {
        is_registry_name(name).then(|| Self { owner, name: name.to_owned() })
    }

    /// Who may change the registry.
    pub fn owner(&self) -> &Did {
        &self.owner
    }

    /// The name that the owner gave it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RegistryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/registry/{}", self.owner, self.name)
    }
}

impl FromStr for RegistryId {
    type Err = RegistryIdError;

    fn from_str(text: &str) -> Result<Self, RegistryIdError> {
        let (owner, name) = text.split_once("/registry/").ok_or(RegistryIdError)?;
        let owner = owner.parse().map_err(|_| RegistryIdError)?;
        Self::new(owner, name).ok_or(RegistryIdError)
    }
}

impl Serialize for RegistryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RegistryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether `text` is a registry's name: `[a-z0-9-]{1,32}`.
pub fn is_registry_name(text: &str) -> bool {
    (1..=REGISTRY_NAME_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether `text` can name a status list: an absolute http(s) URI of visible ASCII, at most 256 characters.
pub fn is_list_uri(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text.len() <= limits::URI_LENGTH_MAX
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte))
}

/// What the entries of a registry mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// 1 is revoked for good: entries only rise.
    Revocation,
    /// 1 is suspended for now.
    Suspension,
    /// The value is a message of the issuer's own making.
    Message,
}

/// The shape of a registry; shared by the action and the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape<'a> {
    /// What the entries mean.
    pub purpose: Purpose,
    /// Bits of an entry.
    pub bits: u8,
    /// Entries of each list.
    pub size: u32,
    /// URIs of the lists.
    pub lists: &'a [String],
}

impl Shape<'_> {
    /// Checks shapes and bounds, which need no state.
    pub fn validate(&self) -> Result<(), Reject> {
        if !matches!(self.bits, 1 | 2 | 4 | 8) {
            return Err(Reject::RegistryInvalid("bits is not 1, 2, 4 or 8".into()));
        }
        if self.purpose != Purpose::Message && self.bits != 1 {
            return Err(Reject::RegistryInvalid("revocation and suspension have 1 bit".into()));
        }
        let size_fits = self.size >= limits::REGISTRY_SIZE_STEP
            && self.size <= limits::REGISTRY_SIZE_MAX
            && self.size.is_multiple_of(limits::REGISTRY_SIZE_STEP);
        if !size_fits {
            return Err(Reject::RegistryInvalid("size is not a multiple of 1024 up to 2^24".into()));
        }
        if !(1..=limits::REGISTRY_LISTS_MAX).contains(&self.lists.len()) {
            return Err(Reject::RegistryInvalid("a registry has 1 to 4 lists".into()));
        }
        if !self.lists.iter().all(|uri| is_list_uri(uri)) {
            return Err(Reject::RegistryInvalid("a list is not an http(s) URI".into()));
        }
        let mut unique = self.lists.to_vec();
        unique.sort_unstable();
        unique.dedup();
        if unique.len() != self.lists.len() {
            return Err(Reject::RegistryInvalid("a list is named twice".into()));
        }
        Ok(())
    }
}

/// A registry in the state, under `registry/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryRecord {
    /// The registry.
    pub id: RegistryId,
    /// What the entries mean.
    pub purpose: Purpose,
    /// Bits of an entry.
    pub bits: u8,
    /// Entries of each list.
    pub size: u32,
    /// URIs of the lists.
    pub lists: Vec<String>,
    /// Time of the block that made it, milliseconds since 1970.
    pub created: u64,
}

/// Which registry answers for a URI, in the state under `list/<uri>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRecord {
    /// The registry.
    pub registry: RegistryId,
    /// Number of the list in the registry, from 0.
    pub list: u32,
}
