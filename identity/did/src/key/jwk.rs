//! JSON Web Keys of the two types (RFC 7517, 7518 §6.2, 8037).

use std::collections::BTreeMap;

use aval_codec::{Json, b64u};
use serde::{Deserialize, Serialize};

use super::{KeyError, PublicKey};

/// A public JWK as a DID document holds it: exactly the members that make the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwk {
    /// `OKP` or `EC`.
    pub kty: String,
    /// `Ed25519` or `P-256`.
    pub crv: String,
    /// The x coordinate, or the Ed25519 key.
    pub x: String,
    /// The y coordinate of an EC key.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "aval_codec::json::strictly_some"
    )]
    pub y: Option<String>,
}

impl Jwk {
    /// The key, checked.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        match (self.kty.as_str(), self.crv.as_str(), &self.y) {
            ("OKP", "Ed25519", None) => PublicKey::ed25519(&coordinate(&self.x)?),
            ("EC", "P-256", Some(y)) => {
                let point = [&[4], coordinate(&self.x)?.as_slice(), coordinate(y)?.as_slice()].concat();
                PublicKey::p256(&point)
            }
            _ => Err(KeyError::Malformed),
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> Json {
        let members = [
            ("kty", Some(&self.kty)),
            ("crv", Some(&self.crv)),
            ("x", Some(&self.x)),
            ("y", self.y.as_ref()),
        ];
        let present =
            members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.as_str().into())));
        Json::Object(present.collect::<BTreeMap<_, _>>())
    }
}

impl From<&PublicKey> for Jwk {
    fn from(key: &PublicKey) -> Self {
        match key {
            PublicKey::Ed25519(bytes) => {
                Jwk { kty: "OKP".into(), crv: "Ed25519".into(), x: b64u::encode(bytes), y: None }
            }
            PublicKey::P256(bytes) => {
                let (x, y) = super::verify::p256_coordinates(bytes).unwrap_or_default();
                Jwk { kty: "EC".into(), crv: "P-256".into(), x: b64u::encode(x), y: Some(b64u::encode(y)) }
            }
        }
    }
}

pub(super) fn from_json(json: &Json) -> Result<PublicKey, KeyError> {
    let members = json.as_object().ok_or(KeyError::Malformed)?;
    // A private key in a public place is a leak to tell of, not an extra member to ignore.
    if members.contains_key("d") {
        return Err(KeyError::Private);
    }
    let text = |name| match members.get(name) {
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(KeyError::Malformed),
        None => Ok(None),
    };
    let required = |name| text(name)?.ok_or(KeyError::Malformed);
    let jwk = Jwk { kty: required("kty")?, crv: required("crv")?, x: required("x")?, y: text("y")? };
    let key = jwk.public_key()?;
    // A JWK may be bound to an algorithm; one that is not the key's is a contradiction.
    match text("alg")? {
        Some(alg) if alg != key.algorithm().name() => Err(KeyError::Algorithm),
        _ => Ok(key),
    }
}

fn coordinate(text: &str) -> Result<[u8; 32], KeyError> {
    b64u::decode_array(text).map_err(|_| KeyError::Malformed)
}
