//! What a resolution request asks for.

use super::{ResolutionError, parse_time};
use crate::syntax::{self, VersionId};
use crate::{Did, DidRecord};

/// Which version of a DID is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum VersionSelector {
    /// The newest.
    #[default]
    Latest,
    /// The one with this id.
    Id(VersionId),
    /// The newest at this time, in whole seconds since 1970.
    Time(u64),
}

/// The options of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ResolutionOptions {
    /// The version.
    pub version: VersionSelector,
}

impl ResolutionOptions {
    /// Reads `versionId` and `versionTime`, which exclude each other.
    pub fn parse(version_id: Option<&str>, version_time: Option<&str>) -> Result<Self, ResolutionError> {
        let version = match (version_id, version_time) {
            (None, None) => VersionSelector::Latest,
            (Some(text), None) => match text.parse() {
                Ok(id) => VersionSelector::Id(id),
                // A version id is opaque to its user, so one that is none of ours is a version that does not exist.
                Err(_) => return Err(ResolutionError::NotFound),
            },
            (None, Some(text)) => VersionSelector::Time(
                parse_time(text)
                    .ok_or(ResolutionError::InvalidOptions("versionTime is not YYYY-MM-DDThh:mm:ssZ"))?,
            ),
            (Some(_), Some(_)) => {
                return Err(ResolutionError::InvalidOptions("versionId and versionTime exclude each other"));
            }
        };
        Ok(ResolutionOptions { version })
    }
}

impl VersionSelector {
    /// True if `record`, whose successor came at `next_ms`, is the version that is asked for. A version counts from the
    /// second that its `updated` shows.
    pub fn selects(&self, record: &DidRecord, next_ms: Option<u64>) -> bool {
        match self {
            VersionSelector::Latest => next_ms.is_none(),
            VersionSelector::Id(id) => record.version_id == *id,
            VersionSelector::Time(time) => {
                record.updated / 1000 <= *time && next_ms.is_none_or(|next_ms| next_ms / 1000 > *time)
            }
        }
    }
}

/// Reads the identifier of a request to a resolver for `network`. DIDs of another method, and `did:aval` DIDs of
/// another network, are `METHOD_NOT_SUPPORTED`; `did:aval` text that is not of this method's syntax is `INVALID_DID`.
pub fn parse_identifier(text: &str, network: &str) -> Result<Did, ResolutionError> {
    if !syntax::is_did(text) {
        return Err(ResolutionError::InvalidDid);
    }
    if !text.starts_with(syntax::PREFIX) {
        return Err(ResolutionError::MethodNotSupported);
    }
    let did: Did = text.parse().map_err(|_| ResolutionError::InvalidDid)?;
    if did.network() == network { Ok(did) } else { Err(ResolutionError::MethodNotSupported) }
}
