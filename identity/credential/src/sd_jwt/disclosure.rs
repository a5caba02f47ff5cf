//! One disclosure: `[salt, name, value]` for a member of an object, `[salt, value]` for an element of an array.

use crate::CredentialError;
use aval_codec::b64u;
use aval_codec::json::{self, Json};
use aval_codec::sha256;

const PART: &str = "disclosure";

/// A disclosure with its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    encoded: String,
    digest: String,
    name: Option<String>,
    value: Json,
}

impl Disclosure {
    /// Reads a disclosure in its base64url form.
    pub fn parse(encoded: &str, limits: json::Limits) -> Result<Self, CredentialError> {
        if encoded.is_empty() {
            return Err(CredentialError::malformed(PART, "empty"));
        }
        let bytes = b64u::decode(encoded).map_err(|error| CredentialError::malformed(PART, error))?;
        let json = json::parse(&bytes, limits).map_err(|error| CredentialError::malformed(PART, error))?;
        let Json::Array(elements) = json else {
            return Err(CredentialError::malformed(PART, "not an array"));
        };
        let (name, value) = match <[Json; 3]>::try_from(elements) {
            Ok([Json::String(_salt), Json::String(name), value]) => (Some(name), value),
            Ok(_) => return Err(CredentialError::malformed(PART, "salt and name must be strings")),
            Err(elements) => match <[Json; 2]>::try_from(elements) {
                Ok([Json::String(_salt), value]) => (None, value),
                Ok(_) => return Err(CredentialError::malformed(PART, "the salt must be a string")),
                Err(_) => return Err(CredentialError::malformed(PART, "not of two or three elements")),
            },
        };
        if let Some(name) = &name
            && is_reserved(name)
        {
            return Err(CredentialError::Disclosure("a reserved name is disclosed"));
        }
        Ok(Self { digest: digest(encoded), encoded: encoded.to_owned(), name, value })
    }

    /// Makes a disclosure; the caller brings 128 bits of salt that it uses once.
    pub(crate) fn make(salt: &[u8; 16], name: Option<&str>, value: Json) -> Self {
        let mut elements = vec![Json::String(b64u::encode(salt))];
        elements.extend(name.map(|name| Json::String(name.to_owned())));
        elements.push(value.clone());
        let encoded = b64u::encode(Json::Array(elements).to_jcs());
        Self { digest: digest(&encoded), encoded, name: name.map(str::to_owned), value }
    }

    /// The base64url form.
    pub fn as_str(&self) -> &str {
        &self.encoded
    }

    /// The digest under which the signed payload refers to it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The name of the disclosed member; `None` for an array element.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The disclosed value, which may itself hold digests.
    pub fn value(&self) -> &Json {
        &self.value
    }
}

/// Names that a disclosure may not bring in (RFC 9901 sections 4.1.1 and 4.2.1).
pub(crate) fn is_reserved(name: &str) -> bool {
    matches!(name, "_sd" | "..." | "_sd_alg")
}

fn digest(encoded: &str) -> String {
    b64u::encode(sha256(encoded.as_bytes()))
}
