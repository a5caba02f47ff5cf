//! The record that the ledger keeps of a DID: the value of one state entry. Specification §7.
//!
//! Its bytes are the compact JSON of [`DidRecord`] with members in the order of the fields. They are hashed into the
//! state tree, so the order and the names are part of the protocol.

use aval_codec::{Hash, JsonError, Limits, json};
use serde::{Deserialize, Serialize};

use crate::{Control, Did, DidDocument, DidError, DidUrl, Document, PublicKey, Relationship, VersionId};

/// Most grants that a DID can hold at a time.
pub const GRANTS_MAX: usize = 16;

/// Largest record that is read.
pub const RECORD_BYTES_MAX: usize = 32 * 1024;

/// A DID on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DidRecord {
    /// The DID.
    pub did: Did,
    /// The current version.
    pub version_id: VersionId,
    /// Who may change it.
    pub control: Control,
    /// The current content; empty after deactivation.
    pub document: Document,
    /// True for good after deactivation.
    pub deactivated: bool,
    /// The place of a pending recovery by guardians. Always null in this version of the protocol.
    pub recovery: Option<Recovery>,
    /// Block time of the first version, in milliseconds since 1970.
    pub created: u64,
    /// Block time of the current version, in milliseconds since 1970.
    pub updated: u64,
    /// Ids of the grants that this DID holds.
    pub grants: Vec<Hash>,
    /// Use of the allowance for operations that need no grant.
    pub allowance: Allowance,
    /// Use of the grants, as far as they were used of late.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<GrantUse>,
}

/// How often a grant was used: the counters of a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantUse {
    /// The grant.
    pub grant: Hash,
    /// Number of the window that was counted last: block time divided by the window's length.
    pub window: u64,
    /// Uses in this window.
    pub used: u32,
    /// Uses in the window before.
    pub before: u32,
}

impl GrantUse {
    /// A grant that was never used.
    pub const fn new(grant: Hash) -> Self {
        Self { grant, window: 0, used: 0, before: 0 }
    }
}

/// A pending recovery. It has no values yet: a record always holds null here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recovery {}

/// How many rotations and deactivations a DID has made in the current window of 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// Block time at which the window began, in milliseconds since 1970.
    pub since: u64,
    /// Operations in this window.
    pub used: u32,
}

impl DidRecord {
    /// The bytes of the state entry.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in a record can fail to serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the bytes of a state entry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JsonError> {
        json::from_slice(bytes, Limits::bytes(RECORD_BYTES_MAX))
    }

    /// `did.deactivated` if the DID has been deactivated.
    pub fn require_active(&self) -> Result<(), DidError> {
        if self.deactivated { Err(DidError::Deactivated) } else { Ok(()) }
    }

    /// The key of a method id (`<did>#<fragment>`, `#<fragment>` or `<fragment>`) within a relationship.
    pub fn verification_key(
        &self,
        method_id: &str,
        relationship: Relationship,
    ) -> Result<PublicKey, DidError> {
        self.require_active()?;
        let fragment = match method_id.strip_prefix(self.did.as_str()) {
            Some(rest) => rest.strip_prefix('#').ok_or(DidError::KeyNotInDocument)?,
            None if method_id.starts_with("did:") => return Err(DidError::KeyNotInDocument),
            None => method_id,
        };
        self.document.verification_key(fragment, relationship).ok_or(DidError::KeyNotInDocument)
    }

    /// Checks that `key` is in a relationship of the current document.
    pub fn require_key(&self, key: &PublicKey, relationship: Relationship) -> Result<(), DidError> {
        self.require_active()?;
        if self.document.contains_key(key, relationship) { Ok(()) } else { Err(DidError::KeyNotInDocument) }
    }

    /// The W3C DID document.
    pub fn did_document(&self) -> DidDocument {
        self.document.expand(self.did.as_str())
    }
}

/// Splits a key id `<did>#<fragment>` of this method.
pub fn split_key_id(key_id: &str) -> Result<(Did, String), DidError> {
    let url: DidUrl = key_id.parse()?;
    match &url {
        DidUrl { path: None, query: None, fragment: Some(fragment), .. } if !fragment.is_empty() => {
            Ok((url.aval()?, fragment.clone()))
        }
        _ => Err(DidError::Invalid("a key id is <did>#<fragment>")),
    }
}
