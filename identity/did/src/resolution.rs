//! DID Resolution 1.0: options, results, metadata and errors, with their HTTP statuses. Specification §8.
//!
//! This module reads requests and writes answers; finding the record of a version is the resolver's work.

mod accept;
mod options;
#[cfg(test)]
mod tests;
mod time;

use aval_codec::Json;
use serde::{Deserialize, Serialize};

use crate::{DidDocument, DidRecord, VersionId};

pub use accept::Accept;
pub use options::{ResolutionOptions, VersionSelector, parse_identifier};
pub use time::{format_time_ms, parse_time};

/// Media type of a complete resolution result.
pub const RESULT_MEDIA_TYPE: &str = "application/did-resolution";

/// Media type of a DID document alone.
pub const DOCUMENT_MEDIA_TYPE: &str = "application/did";

/// A complete resolution result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolutionResult {
    /// The document; null when there is an error and when the DID is deactivated.
    pub did_document: Option<DidDocument>,
    /// About this resolution.
    pub did_resolution_metadata: ResolutionMetadata,
    /// About the document.
    pub did_document_metadata: DocumentMetadata,
}

/// About one resolution.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolutionMetadata {
    /// Media type of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Why there is no document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ResolutionProblem>,
}

/// An error as RFC 9457 writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolutionProblem {
    /// URI of the kind of error.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// The kind in words.
    pub title: String,
    /// This one in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// About a document.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentMetadata {
    /// Time of the first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Time of this version; left out for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// True for a deactivated DID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivated: Option<bool>,
    /// Time of the version after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update: Option<String>,
    /// This version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The version after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_version_id: Option<String>,
    /// What makes the answer verifiable offline: a set with one ledger proof of the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof: Vec<Json>,
}

/// The version that followed the one that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextVersion {
    /// Its id.
    pub version_id: VersionId,
    /// Block time at which it came, in milliseconds since 1970.
    pub time_ms: u64,
}

/// Errors of resolution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolutionError {
    /// Not a DID, or not a well-formed `did:aval`.
    #[error("the DID is not valid")]
    InvalidDid,
    /// Not a DID URL.
    #[error("the DID URL is not valid")]
    InvalidDidUrl,
    /// Options that are malformed or exclude each other.
    #[error("the options are not valid: {0}")]
    InvalidOptions(&'static str),
    /// No such DID, or no such version of it.
    #[error("the DID or this version of it does not exist")]
    NotFound,
    /// None of the accepted media types can be produced.
    #[error("no accepted representation can be produced")]
    RepresentationNotSupported,
    /// Another method or another network than this resolver's.
    #[error("this DID method or network is not resolved here")]
    MethodNotSupported,
    /// Something of DID Resolution that this resolver does not do.
    #[error("this feature is not supported: {0}")]
    FeatureNotSupported(&'static str),
    /// The document that was found is broken.
    #[error("the DID document is not valid")]
    InvalidDidDocument,
    /// Anything else that went wrong inside.
    #[error("the resolver failed")]
    InternalError,
}

impl ResolutionError {
    /// The name of the error in DID Resolution's vocabulary.
    pub fn name(&self) -> &'static str {
        match self {
            ResolutionError::InvalidDid => "INVALID_DID",
            ResolutionError::InvalidDidUrl => "INVALID_DID_URL",
            ResolutionError::InvalidOptions(_) => "INVALID_OPTIONS",
            ResolutionError::NotFound => "NOT_FOUND",
            ResolutionError::RepresentationNotSupported => "REPRESENTATION_NOT_SUPPORTED",
            ResolutionError::MethodNotSupported => "METHOD_NOT_SUPPORTED",
            ResolutionError::FeatureNotSupported(_) => "FEATURE_NOT_SUPPORTED",
            ResolutionError::InvalidDidDocument => "INVALID_DID_DOCUMENT",
            ResolutionError::InternalError => "INTERNAL_ERROR",
        }
    }

    /// The URI of the error.
    pub fn type_uri(&self) -> String {
        format!("https://www.w3.org/ns/did#{}", self.name())
    }

    /// The HTTP status of the error.
    pub fn http_status(&self) -> u16 {
        match self {
            ResolutionError::InvalidDid
            | ResolutionError::InvalidDidUrl
            | ResolutionError::InvalidOptions(_) => 400,
            ResolutionError::NotFound => 404,
            ResolutionError::RepresentationNotSupported => 406,
            ResolutionError::MethodNotSupported | ResolutionError::FeatureNotSupported(_) => 501,
            ResolutionError::InvalidDidDocument | ResolutionError::InternalError => 500,
        }
    }

    /// The error as metadata hold it.
    pub fn problem(&self) -> ResolutionProblem {
        let title = self.name().to_lowercase().replace('_', " ");
        ResolutionProblem { problem_type: self.type_uri(), title, detail: Some(self.to_string()) }
    }
}

impl ResolutionResult {
    /// The answer for a record, which is that of the version asked for. A deactivated DID has metadata and no document.
    pub fn of_record(record: &DidRecord, next: Option<NextVersion>, proof: Vec<Json>) -> Self {
        let first = record.version_id.number == 1;
        ResolutionResult {
            did_document: (!record.deactivated).then(|| record.did_document()),
            did_resolution_metadata: ResolutionMetadata {
                content_type: (!record.deactivated).then(|| DOCUMENT_MEDIA_TYPE.to_owned()),
                error: None,
            },
            did_document_metadata: DocumentMetadata {
                created: Some(format_time_ms(record.created)),
                updated: (!first).then(|| format_time_ms(record.updated)),
                deactivated: record.deactivated.then_some(true),
                next_update: next.map(|next| format_time_ms(next.time_ms)),
                version_id: Some(record.version_id.to_string()),
                next_version_id: next.map(|next| next.version_id.to_string()),
                proof,
            },
        }
    }

    /// The answer for a document that needs no ledger (`did:key`, `did:jwk`).
    pub fn of_document(document: DidDocument) -> Self {
        ResolutionResult {
            did_document: Some(document),
            did_resolution_metadata: ResolutionMetadata {
                content_type: Some(DOCUMENT_MEDIA_TYPE.to_owned()),
                error: None,
            },
            did_document_metadata: DocumentMetadata::default(),
        }
    }

    /// The answer for an error.
    pub fn of_error(error: &ResolutionError) -> Self {
        ResolutionResult {
            did_document: None,
            did_resolution_metadata: ResolutionMetadata { content_type: None, error: Some(error.problem()) },
            did_document_metadata: DocumentMetadata::default(),
        }
    }

    /// True if the DID is deactivated.
    pub fn is_deactivated(&self) -> bool {
        self.did_document_metadata.deactivated == Some(true)
    }

    /// The HTTP status: 200, 410 for a deactivated DID. Errors have their own, see [`ResolutionError::http_status`].
    pub fn http_status(&self) -> u16 {
        match (&self.did_resolution_metadata.error, self.is_deactivated()) {
            (None, false) => 200,
            (None, true) => 410,
            (Some(problem), _) => status_of(&problem.problem_type),
        }
    }
}

fn status_of(type_uri: &str) -> u16 {
    match type_uri.rsplit('#').next().unwrap_or_default() {
        "INVALID_DID" | "INVALID_DID_URL" | "INVALID_OPTIONS" => 400,
        "NOT_FOUND" => 404,
        "REPRESENTATION_NOT_SUPPORTED" => 406,
        "METHOD_NOT_SUPPORTED" | "FEATURE_NOT_SUPPORTED" => 501,
        _ => 500,
    }
}
