//! What happened: the changes that a transaction made, and those that a block made on its own.
//!
//! An event names identifiers, never a claim and never a reason that somebody wrote. Its members are written in the order
//! of their declaration; the bytes are part of receipts.

use aval_did::{Did, VersionId};
use serde::{Deserialize, Serialize};

use crate::{grant::GrantId, registry::RegistryId};

/// A change that a transaction or a block made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Event {
    /// A DID came into being.
    #[serde(rename = "did.created", rename_all = "camelCase")]
    DidCreated {
        /// The DID.
        did: Did,
        /// Its first version.
        version_id: VersionId,
    },
    /// A DID's document was replaced.
    #[serde(rename = "did.updated", rename_all = "camelCase")]
    DidUpdated {
        /// The DID.
        did: Did,
        /// Its new version.
        version_id: VersionId,
    },
    /// A DID's control keys were rotated.
    #[serde(rename = "did.rotated", rename_all = "camelCase")]
    DidRotated {
        /// The DID.
        did: Did,
        /// Its new version.
        version_id: VersionId,
    },
    /// A DID was deactivated.
    #[serde(rename = "did.deactivated", rename_all = "camelCase")]
    DidDeactivated {
        /// The DID.
        did: Did,
        /// Its last version.
        version_id: VersionId,
    },
    /// A credential made a grant.
    #[serde(rename = "grant.created", rename_all = "camelCase")]
    GrantCreated {
        /// The grant.
        grant: GrantId,
        /// Who holds it.
        subject: Did,
        /// Who issued the credential.
        issuer: Did,
        /// The credential's type.
        credential_type: String,
    },
    /// A status registry came into being.
    #[serde(rename = "registry.created")]
    RegistryCreated {
        /// The registry.
        registry: RegistryId,
    },
    /// Status entries changed.
    #[serde(rename = "registry.updated")]
    RegistryUpdated {
        /// The registry.
        registry: RegistryId,
        /// How many entries.
        changed: u32,
    },
}
