//! Schemas of credential types on the ledger: immutable, named by their content (specs/trust.md, section 5).

use std::{fmt, str::FromStr};

use aval_codec::{Hash, Json, sha256};
use aval_did::Did;
use serde::{Deserialize, Serialize};

/// What `credentialSchema.id` begins with when it names a schema of the ledger.
const URN: &str = "urn:aval:schema:";

/// The `type` of a `credentialSchema` that names a schema of the ledger (VC JSON Schema).
pub const CREDENTIAL_SCHEMA_TYPE: &str = "JsonSchema";

/// The name of a schema: SHA-256 over its RFC 8785 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaHash(pub Hash);

/// The text is not the name of a schema in a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a schema of the ledger: expected urn:aval:schema:<64 lowercase hex digits>")]
pub struct SchemaUrnError;

impl SchemaHash {
    /// The name of this content.
    pub fn of(schema: &Json) -> Self {
        Self(sha256(&schema.to_jcs()))
    }

    /// How a credential names it: `urn:aval:schema:<hash>`.
    pub fn urn(&self) -> String {
        format!("{URN}{}", self.0)
    }

    /// Reads [`Self::urn`].
    pub fn from_urn(text: &str) -> Result<Self, SchemaUrnError> {
        text.strip_prefix(URN).and_then(|hash| Hash::from_str(hash).ok()).map(Self).ok_or(SchemaUrnError)
    }
}

impl fmt::Display for SchemaHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A schema in the state, under `schema/<hash>`. Only `deprecated` ever changes, and only once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaRecord {
    /// The credential type that it is for.
    #[serde(rename = "type")]
    pub credential_type: String,
    /// Who published it.
    pub publisher: Did,
    /// Height of the block that published it.
    pub height: u64,
    /// Height of the block that deprecated it.
    pub deprecated: Option<u64>,
    /// The schema.
    pub schema: Json,
}

/// The schemas in force of one publisher for one type, under `schemas/<type>/<publisher>`: oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemasInForce {
    /// Their names.
    pub schemas: Vec<SchemaHash>,
}
