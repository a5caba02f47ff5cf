//! `did:key` and `did:jwk`: DIDs that are their own key, for holders that are on no ledger. Specification §11.
//!
//! Only signature keys of this crate's two types are read. Both methods expand from the identifier alone.

use aval_codec::{Json, Limits, b64u, json};

use crate::document::{DID_CONTEXT, DidDocument, ExpandedMethod};
use crate::{DidError, DidUrl, PublicKey};

/// Longest `did:jwk` identifier that is read.
const JWK_TEXT_LENGTH_MAX: usize = 1024;

/// A DID that carries its only key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderDid {
    did: String,
    method: Method,
    key: PublicKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Key,
    Jwk,
}

impl HolderDid {
    /// The `did:key` of a key.
    pub fn did_key(key: &PublicKey) -> Self {
        HolderDid { did: format!("did:key:{}", key.to_multikey()), method: Method::Key, key: *key }
    }

    /// The `did:jwk` of a key, made from the JWK's RFC 8785 bytes.
    pub fn did_jwk(key: &PublicKey) -> Self {
        let did = format!("did:jwk:{}", b64u::encode(key.to_jwk().to_jcs()));
        HolderDid { did, method: Method::Jwk, key: *key }
    }

    /// Reads a `did:key` or `did:jwk`.
    pub fn parse(did: &str) -> Result<Self, DidError> {
        let malformed = DidError::Invalid("it does not hold an Ed25519 or P-256 public key");
        let (method, key) = match did.strip_prefix("did:").and_then(|rest| rest.split_once(':')) {
            Some(("key", id)) => (Method::Key, PublicKey::from_multikey(id)),
            Some(("jwk", id)) => {
                let bytes = b64u::decode(id).map_err(|_| malformed.clone())?;
                let jwk = json::parse(&bytes, Limits { bytes_max: JWK_TEXT_LENGTH_MAX, depth_max: 4 });
                (Method::Jwk, PublicKey::from_jwk(&jwk.map_err(|_| malformed.clone())?))
            }
            _ => return Err(DidError::Invalid("it is neither did:key nor did:jwk")),
        };
        Ok(HolderDid { did: did.to_owned(), method, key: key.map_err(|_| malformed)? })
    }

    /// The key behind a key id `<did>#<fragment>` of either method; the fragment must be the one the method defines.
    pub fn key_of(key_id: &str) -> Result<PublicKey, DidError> {
        let url: DidUrl = key_id.parse()?;
        let holder = Self::parse(&url.did)?;
        if holder.key_id() == key_id { Ok(holder.key) } else { Err(DidError::KeyNotInDocument) }
    }

    /// The DID.
    pub fn as_str(&self) -> &str {
        &self.did
    }

    /// The key.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The id of the only method: `#0` for `did:jwk`, the multikey for `did:key`.
    pub fn key_id(&self) -> String {
        match self.method {
            Method::Key => format!("{}#{}", self.did, self.key.to_multikey()),
            Method::Jwk => format!("{}#0", self.did),
        }
    }

    /// The W3C DID document: the key in every relationship that a signature key can have.
    pub fn did_document(&self) -> DidDocument {
        let (multikey, jwk) = match self.method {
            Method::Key => (Some(self.key.to_multikey()), None),
            Method::Jwk => (None, Some((&self.key).into())),
        };
        let references = vec![self.key_id()];
        DidDocument {
            context: vec![DID_CONTEXT.to_owned()],
            id: self.did.clone(),
            also_known_as: Vec::new(),
            verification_method: vec![ExpandedMethod {
                id: self.key_id(),
                method_type: if jwk.is_some() { "JsonWebKey" } else { "Multikey" }.to_owned(),
                controller: self.did.clone(),
                public_key_multibase: multikey,
                public_key_jwk: jwk,
            }],
            authentication: references.clone(),
            assertion_method: references.clone(),
            key_agreement: Vec::new(),
            capability_invocation: references.clone(),
            capability_delegation: references,
            service: Vec::new(),
        }
    }
}

/// The JWK inside a `did:jwk`, as its author wrote it.
pub fn jwk_of(did: &str) -> Option<Json> {
    let bytes = b64u::decode(did.strip_prefix("did:jwk:")?).ok()?;
    json::parse(&bytes, Limits { bytes_max: JWK_TEXT_LENGTH_MAX, depth_max: 4 }).ok()
}
