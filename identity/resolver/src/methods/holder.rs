//! `did:key` and `did:jwk`: documents that follow from the identifier alone.
//!
//! Keys are Ed25519, P-256 and P-384, each checked to be one; a JWK with a private part is refused. There is one
//! version, which is that of any time and has no id. A `did:key` has its key as Multikey, a `did:jwk` as JWK; the key
//! stands in every relationship that a signature key can have.

use aval_codec::b64u;
use aval_did::document::DID_CONTEXT;
use aval_did::resolution::ResolutionError;
use aval_formats::json::{self, Limits};
use aval_formats::{FormatError, VerificationKey};
use serde_json::{Value, json};

use crate::ResolveError;
use crate::resolved::{Resolved, Version};

/// Largest JWK that is read, in bytes.
const JWK_BYTES_MAX: usize = 1024;

/// Resolves a `did:key` by its method-specific id.
pub(crate) fn resolve_key(did: &str, id: &str, version: &Version) -> Result<Resolved, ResolveError> {
    let key = VerificationKey::from_multikey(id).map_err(invalid)?;
    let method = format!("{did}#{id}");
    let key = json!({
        "id": method, "type": "Multikey", "controller": did, "publicKeyMultibase": key.to_multikey(),
    });
    document(did, &method, key, version)
}

/// Resolves a `did:jwk` by its method-specific id.
pub(crate) fn resolve_jwk(did: &str, id: &str, version: &Version) -> Result<Resolved, ResolveError> {
    let bytes = b64u::decode(id).map_err(|_| refuse("it is not base64url"))?;
    let jwk = json::parse(&bytes, "JWK", Limits { bytes_max: JWK_BYTES_MAX, depth_max: 3 });
    let jwk = jwk.map_err(invalid)?;
    VerificationKey::from_jwk(&jwk).map_err(invalid)?;
    let method = format!("{did}#0");
    let key = json!({"id": method, "type": "JsonWebKey", "controller": did, "publicKeyJwk": jwk});
    document(did, &method, key, version)
}

fn document(did: &str, method: &str, key: Value, version: &Version) -> Result<Resolved, ResolveError> {
    if let Version::Id(_) = version {
        let detail = "a DID that is its own key has no versions with an id";
        return Err(ResolveError::because(ResolutionError::NotFound, detail));
    }
    Ok(Resolved::of_document(json!({
        "@context": [DID_CONTEXT],
        "id": did,
        "verificationMethod": [key],
        "authentication": [method],
        "assertionMethod": [method],
        "capabilityInvocation": [method],
        "capabilityDelegation": [method],
    })))
}

fn refuse(reason: &str) -> ResolveError {
    ResolveError::because(ResolutionError::InvalidDid, format!("the DID holds no key: {reason}"))
}

fn invalid(error: FormatError) -> ResolveError {
    match error {
        FormatError::KeyUnsupported => ResolveError::because(
            ResolutionError::FeatureNotSupported("keys of this type"),
            "the key is of a type that is not supported here: Ed25519, P-256 and P-384 are",
        ),
        other => refuse(&other.to_string()),
    }
}
