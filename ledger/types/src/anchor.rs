//! Anchors: proof that data which stays elsewhere existed at a time (specs/trust.md, section 6).

use std::fmt;

use aval_codec::{Hash, hash, sha256, tag};
use aval_did::Did;
use serde::{Deserialize, Serialize};

/// A salted commitment: `hash("aval/anchor/1", salt || SHA-256(data))`. It tells nothing about the data to who does not
/// have the salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commitment(pub Hash);

impl Commitment {
    /// The commitment to data with a salt of 32 fresh random bytes.
    pub fn of(salt: &[u8; 32], data: &[u8]) -> Self {
        Self::of_digest(salt, &sha256(data))
    }

    /// The same for data of which only the SHA-256 is at hand.
    pub fn of_digest(salt: &[u8; 32], digest: &Hash) -> Self {
        Self(hash(tag::ANCHOR, &[salt, digest.as_bytes()]))
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An anchor in the state, under `anchor/<commitment>`. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorRecord {
    /// Who made it.
    pub owner: Did,
    /// What kind of data.
    pub kind: String,
    /// Height of the block that made it.
    pub height: u64,
    /// Time of that block, milliseconds since 1970: the data existed by then.
    pub time: u64,
}
