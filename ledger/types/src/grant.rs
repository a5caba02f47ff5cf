//! Grants: what a presented credential leaves on the ledger (specs/wire.md, "Grant").
//!
//! The signed action states the grant in full, validators compare it with the presentation, and executing needs the
//! action alone. A grant is keyed by the credential's status entry, so one credential makes one grant. It holds
//! enumerations and identifiers, never a claim about a person.

use aval_codec::{Hash, hash, tag};
use aval_did::Did;
use serde::{Deserialize, Serialize};

use crate::{
    limits,
    registry::{RegistryId, is_list_uri},
    reject::Reject,
    transaction::TransactionId,
};

/// A credential's place in a status list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusEntry {
    /// The registry that answers for the list.
    pub registry: RegistryId,
    /// The list's URI.
    pub list: String,
    /// The entry in the list.
    pub index: u64,
}

/// What a credential entitles its subject to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Who holds the grant.
    pub subject: Did,
    /// The credential's type.
    #[serde(rename = "type")]
    pub credential_type: String,
    /// Who issued the credential.
    pub issuer: Did,
    /// The roles it gives, sorted and unique.
    pub roles: Vec<String>,
    /// Where the issuer revokes it.
    pub status: StatusEntry,
    /// When it ends, seconds since 1970.
    pub expires: u64,
}

/// The name of a grant on the ledger: a hash over the credential's status entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(pub Hash);

impl std::fmt::Display for GrantId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl StatusEntry {
    /// The id of the grant that the credential with this status entry makes.
    pub fn grant_id(&self) -> GrantId {
        GrantId(hash(tag::GRANT, &[self.list.as_bytes(), &[0], &self.index.to_be_bytes()]))
    }
}

impl Grant {
    /// The grant's id.
    pub fn id(&self) -> GrantId {
        self.status.grant_id()
    }

    /// Whether the grant gives this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    /// Checks shapes and bounds, which need no state.
    pub fn validate(&self) -> Result<(), Reject> {
        if !is_name(&self.credential_type) {
            return Err(Reject::TransactionMalformed("the grant's type is not a name".into()));
        }
        let roles_fit = (1..=limits::ROLES_MAX).contains(&self.roles.len())
            && self.roles.iter().all(|role| is_name(role))
            && self.roles.is_sorted_by(|left, right| left < right);
        if !roles_fit {
            return Err(Reject::TransactionMalformed(
                "the grant's roles are not 1 to 8 sorted, unique names".into(),
            ));
        }
        if !is_list_uri(&self.status.list) {
            return Err(Reject::TransactionMalformed("the grant's status list is not a URI".into()));
        }
        if self.status.index >= u64::from(limits::REGISTRY_SIZE_MAX) {
            return Err(Reject::CredentialIndexOutOfRange);
        }
        Ok(())
    }
}

/// Whether `text` is a credential type or role: `[A-Za-z][A-Za-z0-9_-]{0,63}`.
pub fn is_name(text: &str) -> bool {
    text.len() <= limits::NAME_LENGTH_MAX
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A grant in the state, under `grant/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRecord {
    /// The grant as the action stated it.
    pub grant: Grant,
    /// The transaction that made it.
    pub transaction: TransactionId,
    /// Time of the block that made it, milliseconds since 1970.
    pub created: u64,
}
