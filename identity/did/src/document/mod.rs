//! Documents: the relative content that operations carry, and the W3C DID document that it expands to. Specification
//! §4.
//!
//! Content names neither the DID nor a controller, because at inception the DID is a hash of the content. It has one
//! spelling: members that would be empty are left out (an empty array is refused), so the JSON that was signed is, by
//! RFC 8785, the JSON that is hashed.

mod expand;
mod lookup;
mod validate;

use serde::{Deserialize, Deserializer, Serialize};

use crate::key::Jwk;

pub use expand::{DID_CONTEXT, DidDocument, ExpandedMethod};

/// Most verification methods.
pub const METHODS_MAX: usize = 16;
/// Most services.
pub const SERVICES_MAX: usize = 16;
/// Most other identifiers.
pub const ALSO_KNOWN_AS_MAX: usize = 16;
/// Longest string, in bytes.
pub const STRING_LENGTH_MAX: usize = 512;
/// Longest fragment of a method or service id.
pub const FRAGMENT_LENGTH_MAX: usize = 64;
/// Largest content, as RFC 8785 bytes.
pub const DOCUMENT_BYTES_MAX: usize = 8 * 1024;

/// The content of a DID document, relative to its DID.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// The keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "methods")]
    pub verification_method: Vec<VerificationMethod>,
    /// Methods that may act as the subject: sign transactions, bind credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub authentication: Vec<String>,
    /// Methods that may make claims: sign credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub assertion_method: Vec<String>,
    /// Methods for encryption to the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub key_agreement: Vec<String>,
    /// Methods that may invoke capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub capability_invocation: Vec<String>,
    /// Methods that may delegate capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub capability_delegation: Vec<String>,
    /// Ways to reach the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "services")]
    pub service: Vec<Service>,
    /// Other identifiers of the subject, as URIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub also_known_as: Vec<String>,
}

/// One key of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum VerificationMethod {
    /// A key as multikey text.
    Multikey {
        /// `#` and a fragment.
        id: String,
        /// `z6Mk…`, `zDn…`, or `z6LS…` for key agreement.
        #[serde(rename = "publicKeyMultibase")]
        public_key_multibase: String,
    },
    /// A key as JWK.
    JsonWebKey {
        /// `#` and a fragment.
        id: String,
        /// The key.
        #[serde(rename = "publicKeyJwk", deserialize_with = "aval_codec::json::strictly")]
        public_key_jwk: Jwk,
    },
}

/// A way to reach the subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Service {
    /// `#` and a fragment.
    pub id: String,
    /// What kind of service.
    #[serde(rename = "type")]
    pub service_type: String,
    /// A URI.
    pub service_endpoint: String,
}

/// What a method of a document may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relationship {
    /// `authentication`
    Authentication,
    /// `assertionMethod`
    AssertionMethod,
    /// `keyAgreement`
    KeyAgreement,
    /// `capabilityInvocation`
    CapabilityInvocation,
    /// `capabilityDelegation`
    CapabilityDelegation,
}

impl Relationship {
    /// All of them, in the order of the document's members.
    pub const ALL: [Relationship; 5] = [
        Relationship::Authentication,
        Relationship::AssertionMethod,
        Relationship::KeyAgreement,
        Relationship::CapabilityInvocation,
        Relationship::CapabilityDelegation,
    ];

    /// The member's name.
    pub const fn name(self) -> &'static str {
        match self {
            Relationship::Authentication => "authentication",
            Relationship::AssertionMethod => "assertionMethod",
            Relationship::KeyAgreement => "keyAgreement",
            Relationship::CapabilityInvocation => "capabilityInvocation",
            Relationship::CapabilityDelegation => "capabilityDelegation",
        }
    }
}

fn not_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = Vec::deserialize(deserializer)?;
    if items.is_empty() {
        return Err(serde::de::Error::custom("an empty array is left out"));
    }
    Ok(items)
}

fn methods<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<VerificationMethod>, D::Error> {
    strict_items(deserializer)
}

fn services<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Service>, D::Error> {
    strict_items(deserializer)
}

/// Reads each item from an object; serde alone would also take an array of its fields.
fn strict_items<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items: Vec<aval_codec::Json> = not_empty(deserializer)?;
    let read = |item: aval_codec::Json| match item {
        aval_codec::Json::Object(_) => aval_codec::json::from_json(item),
        _ => Err(aval_codec::JsonError::Shape("expected an object".into())),
    };
    items.into_iter().map(read).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}
