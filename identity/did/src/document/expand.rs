//! The W3C DID document that content expands to.

use serde::{Deserialize, Serialize};

use super::{Document, Relationship, Service, VerificationMethod};
use crate::key::Jwk;

/// The context of DID 1.1, which defines every member that a document of this method has.
pub const DID_CONTEXT: &str = "https://www.w3.org/ns/did/v1.1";

/// A DID document with absolute ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DidDocument {
    /// Contexts.
    #[serde(rename = "@context")]
    pub context: Vec<String>,
    /// The DID.
    pub id: String,
    /// Other identifiers of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_known_as: Vec<String>,
    /// The keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verification_method: Vec<ExpandedMethod>,
    /// Ids of methods that may act as the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authentication: Vec<String>,
    /// Ids of methods that may make claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertion_method: Vec<String>,
    /// Ids of methods for encryption to the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_agreement: Vec<String>,
    /// Ids of methods that may invoke capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capability_invocation: Vec<String>,
    /// Ids of methods that may delegate capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capability_delegation: Vec<String>,
    /// Ways to reach the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service: Vec<Service>,
}

/// A key of a DID document with absolute id and controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpandedMethod {
    /// `<did>#<fragment>`
    pub id: String,
    /// `Multikey` or `JsonWebKey`.
    #[serde(rename = "type")]
    pub method_type: String,
    /// The DID.
    pub controller: String,
    /// The key of a Multikey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_multibase: Option<String>,
    /// The key of a JsonWebKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_jwk: Option<Jwk>,
}

impl Document {
    /// The DID document of `did` with this content. Every relative id becomes `did` followed by it.
    pub fn expand(&self, did: &str) -> DidDocument {
        let absolute = |id: &String| format!("{did}{id}");
        let references = |relationship| self.relationship(relationship).iter().map(absolute).collect();
        let method = |method: &VerificationMethod| {
            let (method_type, public_key_multibase, public_key_jwk) = match method {
                VerificationMethod::Multikey { public_key_multibase, .. } => {
                    ("Multikey", Some(public_key_multibase.clone()), None)
                }
                VerificationMethod::JsonWebKey { public_key_jwk, .. } => {
                    ("JsonWebKey", None, Some(public_key_jwk.clone()))
                }
            };
            ExpandedMethod {
                id: format!("{did}{}", method.id()),
                method_type: method_type.to_owned(),
                controller: did.to_owned(),
                public_key_multibase,
                public_key_jwk,
            }
        };
        DidDocument {
            context: vec![DID_CONTEXT.to_owned()],
            id: did.to_owned(),
            also_known_as: self.also_known_as.clone(),
            verification_method: self.verification_method.iter().map(method).collect(),
            authentication: references(Relationship::Authentication),
            assertion_method: references(Relationship::AssertionMethod),
            key_agreement: references(Relationship::KeyAgreement),
            capability_invocation: references(Relationship::CapabilityInvocation),
            capability_delegation: references(Relationship::CapabilityDelegation),
            service: self
                .service
                .iter()
                .map(|item| Service { id: absolute(&item.id), ..item.clone() })
                .collect(),
        }
    }
}
