//! Compact JWS (RFC 7515) with protected headers that are read strictly.
//!
//! The reader decides what a header may say, never the header: members that the caller did not name are refused,
//! `crit`, `jku`, `x5u` and `x5c` are refused always, a `jwk` is refused unless the caller expects one, and nothing
//! is ever fetched. `alg` is one of [`Algorithm`]'s two and must be the one of the key that the caller verifies with,
//! so neither `none` nor a confused algorithm exists here.

use std::collections::BTreeMap;

use aval_codec::{Json, JsonError, Limits, b64u, json};

use crate::key::{Algorithm, KeyError, PublicKey, SigningKey};

/// Largest protected header.
pub const HEADER_BYTES_MAX: usize = 4096;

/// Members that no caller can allow: they name keys or code to trust from outside.
const FORBIDDEN: [&str; 5] = ["crit", "jku", "x5u", "x5c", "b64"];

/// Why a JWS is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// Not three canonical base64url parts.
    #[error("not a compact JWS")]
    Malformed,
    /// Larger than the caller or this module allows.
    #[error("the JWS is too large")]
    TooLarge,
    /// The protected header is not strict JSON.
    #[error("protected header: {0}")]
    Header(#[from] JsonError),
    /// A member that is not allowed here, or not of its type.
    #[error("protected header: a member that is not allowed here or not of its type")]
    Member,
    /// `alg` is missing or not `EdDSA` or `ES256`.
    #[error("the algorithm is not EdDSA or ES256")]
    Algorithm,
    /// `typ` is not the expected one.
    #[error("the type is not the expected one")]
    Type,
    /// The key does not verify the signature, or is not of the algorithm's type.
    #[error("{0}")]
    Key(#[from] KeyError),
}

impl JoseError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            JoseError::Malformed => "jose.malformed",
            JoseError::TooLarge => "jose.too_large",
            JoseError::Header(_) | JoseError::Member => "jose.header",
            JoseError::Algorithm | JoseError::Key(KeyError::Algorithm) => "jose.algorithm",
            JoseError::Type => "jose.type",
            JoseError::Key(_) => "jose.signature",
        }
    }
}

/// What a protected header may hold.
#[derive(Clone, Copy, Debug)]
pub struct HeaderRules<'a> {
    /// The value `typ` must have. Compared as it is: no media type prefix is added or taken away.
    pub typ: &'a str,
    /// Members allowed besides `alg` and `typ`, such as `kid` or `jwk`.
    pub members: &'a [&'a str],
}

/// A protected header that obeys its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedHeader {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The type.
    pub typ: String,
    /// The key id, if it is allowed and there is one.
    pub kid: Option<String>,
    members: BTreeMap<String, Json>,
}

impl ProtectedHeader {
    /// A header to sign with.
    pub fn new(algorithm: Algorithm, typ: &str, kid: Option<&str>) -> Self {
        let mut members = BTreeMap::from([
            ("alg".to_owned(), Json::from(algorithm.name())),
            ("typ".to_owned(), Json::from(typ)),
        ]);
        if let Some(kid) = kid {
            members.insert("kid".to_owned(), kid.into());
        }
        ProtectedHeader { algorithm, typ: typ.to_owned(), kid: kid.map(str::to_owned), members }
    }

    /// Adds a member, such as `jwk` in a proof of possession.
    pub fn with(mut self, name: &str, value: Json) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// Reads a header.
    pub fn parse(raw: &[u8], rules: &HeaderRules<'_>) -> Result<Self, JoseError> {
        let limits = Limits { bytes_max: HEADER_BYTES_MAX, depth_max: 4 };
        let members = json::parse(raw, limits)?.into_object().ok_or(JoseError::Member)?;
        let allowed = |name: &str| {
            matches!(name, "alg" | "typ") || (rules.members.contains(&name) && !FORBIDDEN.contains(&name))
        };
        let algorithm = members.get("alg").and_then(Json::as_str).and_then(Algorithm::from_name);
        let algorithm = algorithm.ok_or(JoseError::Algorithm)?;
        if !members.keys().all(|name| allowed(name)) {
            return Err(JoseError::Member);
        }
        if members.get("typ").and_then(Json::as_str) != Some(rules.typ) {
            return Err(JoseError::Type);
        }
        let kid = match members.get("kid") {
            None => None,
            Some(Json::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(JoseError::Member),
        };
        Ok(ProtectedHeader { algorithm, typ: rules.typ.to_owned(), kid, members })
    }

    /// Any member.
    pub fn member(&self, name: &str) -> Option<&Json> {
        self.members.get(name)
    }

    /// The bytes to sign, RFC 8785.
    pub fn to_bytes(&self) -> Vec<u8> {
        Json::Object(self.members.clone()).to_jcs()
    }
}

/// A compact JWS, taken apart and decoded but not yet trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactJws {
    /// The protected header's bytes.
    pub protected_raw: Vec<u8>,
    /// The payload's bytes.
    pub payload_raw: Vec<u8>,
    /// The signature.
    pub signature: [u8; 64],
}

impl CompactJws {
    /// Takes a compact JWS of at most `bytes_max` bytes apart. base64url is read canonically, so that the parts
    /// encode to the same text again.
    pub fn parse(text: &str, bytes_max: usize) -> Result<Self, JoseError> {
        if text.len() > bytes_max {
            return Err(JoseError::TooLarge);
        }
        let mut parts = text.split('.');
        let (Some(protected), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JoseError::Malformed);
        };
        let decode = |part: &str| b64u::decode(part).map_err(|_| JoseError::Malformed);
        Ok(CompactJws {
            protected_raw: decode(protected)?,
            payload_raw: decode(payload)?,
            signature: decode(signature)?.try_into().map_err(|_| JoseError::Malformed)?,
        })
    }

    /// Signs a payload.
    pub fn sign(header: &ProtectedHeader, payload: &[u8], key: &SigningKey) -> Result<Self, JoseError> {
        if header.algorithm != key.algorithm() {
            return Err(KeyError::Algorithm.into());
        }
        let protected_raw = header.to_bytes();
        let signature = key.sign(&signing_input(&protected_raw, payload));
        Ok(CompactJws { protected_raw, payload_raw: payload.to_vec(), signature })
    }

    /// The protected header.
    pub fn header(&self, rules: &HeaderRules<'_>) -> Result<ProtectedHeader, JoseError> {
        ProtectedHeader::parse(&self.protected_raw, rules)
    }

    /// The bytes that the signature is over.
    pub fn signing_input(&self) -> Vec<u8> {
        signing_input(&self.protected_raw, &self.payload_raw)
    }

    /// Reads the header by its rules and verifies the signature with a key that the caller trusts for this purpose.
    pub fn verify(&self, rules: &HeaderRules<'_>, key: &PublicKey) -> Result<ProtectedHeader, JoseError> {
        let header = self.header(rules)?;
        key.verify(header.algorithm, &self.signing_input(), &self.signature)?;
        Ok(header)
    }

    /// The compact text.
    pub fn to_compact(&self) -> String {
        let parts = [&self.protected_raw, &self.payload_raw, &self.signature.to_vec()];
        parts.map(b64u::encode).join(".")
    }
}

/// `BASE64URL(protected) . BASE64URL(payload)`: what a JWS signature is over.
pub fn signing_input(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    format!("{}.{}", b64u::encode(protected), b64u::encode(payload)).into_bytes()
}
