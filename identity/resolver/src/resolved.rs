//! What a DID resolves to, and what may be asked along with it.

use std::time::Duration;

use aval_did::resolution::{ResolutionError, parse_time};
use serde_json::{Map, Value};

use crate::ResolveError;

/// Longest version id that is read.
const VERSION_ID_LENGTH_MAX: usize = 128;

/// The document of a DID with all that is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The DID document; none if the DID is deactivated.
    pub document: Option<Value>,
    /// `didDocumentMetadata` of DID Resolution 1.0, section 4.3.
    pub metadata: Map<String, Value>,
    /// A ledger proof of the record that document and metadata come from, for methods that have one.
    pub proof: Option<Value>,
    /// How long the answer may be repeated without asking again.
    pub keep: Duration,
}

impl Resolved {
    /// A document that follows from the DID alone.
    pub(crate) fn of_document(document: Value) -> Self {
        Self { document: Some(document), metadata: Map::new(), proof: None, keep: Duration::ZERO }
    }

    /// Whether the DID is deactivated.
    pub fn is_deactivated(&self) -> bool {
        self.metadata.get("deactivated") == Some(&Value::Bool(true))
    }
}

/// Which version of a DID is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Version {
    /// The newest.
    #[default]
    Latest,
    /// The one with this id, which only its method understands.
    Id(String),
    /// The one in force at this time, in whole seconds since 1970.
    Time(u64),
}

/// Options of a resolution (DID Resolution 1.0, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The version.
    pub version: Version,
    /// Ask again, whatever is remembered.
    pub no_cache: bool,
    /// Make relative DID URLs of the document absolute.
    pub expand_relative_urls: bool,
}

impl Options {
    /// Reads options as they stand in a query. `versionId` and `versionTime` exclude each other.
    pub fn parse(
        version_id: Option<&str>,
        version_time: Option<&str>,
        no_cache: Option<&str>,
        expand_relative_urls: Option<&str>,
    ) -> Result<Self, ResolveError> {
        let invalid = |reason| ResolveError::refused(ResolutionError::InvalidOptions(reason));
        let flag = |text: Option<&str>| match text {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid("expandRelativeUrls and noCache are true or false")),
        };
        let version = match (version_id, version_time) {
            (None, None) => Version::Latest,
            (Some(id), None) if id.is_empty() || id.len() > VERSION_ID_LENGTH_MAX => {
                return Err(invalid("versionId is empty or too long"));
            }
            (Some(id), None) => Version::Id(id.to_owned()),
            (None, Some(time)) => Version::Time(
                parse_time(time).ok_or_else(|| invalid("versionTime is not YYYY-MM-DDThh:mm:ssZ"))?,
            ),
            (Some(_), Some(_)) => return Err(invalid("versionId and versionTime exclude each other")),
        };
        Ok(Self { version, no_cache: flag(no_cache)?, expand_relative_urls: flag(expand_relative_urls)? })
    }
}
