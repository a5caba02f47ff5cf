//! Signed messages of the protocols: request objects, DPoP proofs, signed metadata, attestations. A compact JWS with a
//! JSON object inside, read strictly, and with room in its header for certificates.

use aval_codec::b64u;
use aval_codec::json::{self, Json};
use aval_did::key::{Algorithm, PublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// Certificates make a header large.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// How many certificates a chain may have.
const CERTIFICATES_MAX: usize = 8;

/// Why a signed message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not a JWS with a JSON object inside.
    #[error("it is not a signed JSON object: {0}")]
    Malformed(&'static str),
    /// Larger than is read.
    #[error("it is larger than allowed")]
    Oversized,
    /// `typ` is another.
    #[error("its type is another than this message has")]
    Type,
    /// An algorithm that is not allowed, or not the one of the key; `none` is one of them.
    #[error("its algorithm is not allowed, or does not fit the key")]
    Algorithm,
    /// An extension that must be understood and is not.
    #[error("it demands an extension that is not known")]
    Critical,
    /// The header names no key in the way that is expected.
    #[error("it names its key in no way that is expected here: {0}")]
    Key(&'static str),
    /// The signature is not that of the key.
    #[error("its signature is not valid")]
    Signature,
    /// The signer failed, which decides nothing about the message.
    #[error("it could not be signed")]
    Signer,
}

pub use aval_did::key::Signer;

/// A signed message, taken apart. Nothing is verified by parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    header: BTreeMap<String, Json>,
    payload: BTreeMap<String, Json>,
    algorithm: Algorithm,
    signing_input: String,
    signature: [u8; 64],
}

impl Jwt {
    /// Reads a message of this type. A header with `crit` is refused, since no extension is known here; `jku` and `x5u`
    /// are never followed.
    pub fn parse(text: &str, typ: &str, bytes_max: usize) -> Result<Self, JwtError> {
        if text.len() > bytes_max {
            return Err(JwtError::Oversized);
        }
        let mut segments = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(JwtError::Malformed("it has not three segments"));
        };
        if header.len() > HEADER_BYTES_MAX {
            return Err(JwtError::Oversized);
        }
        let signing_input = text.get(..header.len() + 1 + payload.len()).unwrap_or_default().to_owned();
        let header = object(header, bytes_max)?;
        if header.contains_key("crit") {
            return Err(JwtError::Critical);
        }
        if header.get("typ").and_then(Json::as_str) != Some(typ) {
            return Err(JwtError::Type);
        }
        let algorithm = header.get("alg").and_then(Json::as_str).and_then(Algorithm::from_name);
        let algorithm = algorithm.ok_or(JwtError::Algorithm)?;
        let payload = object(payload, bytes_max)?;
        let signature = b64u::decode_array(signature)
            .map_err(|_| JwtError::Malformed("its signature is not of 64 bytes"))?;
        Ok(Self { header, payload, algorithm, signing_input, signature })
    }

    /// The protected header.
    pub fn header(&self) -> &BTreeMap<String, Json> {
        &self.header
    }

    /// The payload.
    pub fn payload(&self) -> &BTreeMap<String, Json> {
        &self.payload
    }

    /// A member of the header that is a string.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Json::as_str)
    }

    /// A member of the payload that is a string. A member of another type counts as missing, where it is required, and
    /// must be looked at with [`Self::payload`] where it is not.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.payload.get(name).and_then(Json::as_str)
    }

    /// A member of the payload that is a time, in unix seconds.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        self.payload.get(name).and_then(Json::as_i64).filter(|seconds| *seconds >= 0)
    }

    /// Whom it is for: `aud`, one text or a list of them.
    pub fn is_for(&self, audience: &str) -> bool {
        match self.payload.get("aud") {
            Some(Json::String(one)) => one == audience,
            Some(Json::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        }
    }

    /// The chain of certificates in the header, the signer's first (RFC 7515 section 4.1.6), as DER.
    pub fn certificates(&self) -> Result<Option<Vec<Vec<u8>>>, JwtError> {
        let chain = match self.header.get("x5c") {
            None => return Ok(None),
            Some(Json::Array(chain)) if (1..=CERTIFICATES_MAX).contains(&chain.len()) => chain,
            Some(_) => return Err(JwtError::Key("`x5c` is no list of a few certificates")),
        };
        let decoded: Option<Vec<Vec<u8>>> =
            chain.iter().map(|one| STANDARD.decode(one.as_str()?).ok()).collect();
        decoded.map(Some).ok_or(JwtError::Key("a certificate is not base64"))
    }

    /// The key in the header, for messages that speak for the key that they name.
    pub fn own_key(&self) -> Result<PublicKey, JwtError> {
        let jwk = self.header.get("jwk").ok_or(JwtError::Key("`jwk` is missing"))?;
        PublicKey::from_jwk(jwk).map_err(|_| JwtError::Key("`jwk` is not a public key of a known kind"))
    }

    /// Checks the signature. The key decides: an `alg` that does not fit it is refused before any cryptography.
    pub fn verify(&self, key: &PublicKey) -> Result<(), JwtError> {
        if key.algorithm() != self.algorithm {
            return Err(JwtError::Algorithm);
        }
        key.verify(self.algorithm, self.signing_input.as_bytes(), &self.signature)
            .map_err(|_| JwtError::Signature)
    }
}

fn object(segment: &str, bytes_max: usize) -> Result<BTreeMap<String, Json>, JwtError> {
    let bytes = b64u::decode(segment).map_err(|_| JwtError::Malformed("a segment is not base64url"))?;
    match json::parse(&bytes, json::Limits { bytes_max, depth_max: 32 }) {
        Ok(Json::Object(members)) => Ok(members),
        _ => Err(JwtError::Malformed("a segment is not a JSON object")),
    }
}

/// Who signs, as the header says it.
#[derive(Debug, Clone, Copy)]
pub enum KeyName<'a> {
    /// `kid`, for instance a DID URL.
    Id(&'a str),
    /// `jwk`: the key itself.
    Own,
    /// `x5c`: certificates as DER, the signer's first.
    Certificates(&'a [Vec<u8>]),
}

/// Signs a message.
pub fn sign(
    signer: &dyn Signer,
    typ: &str,
    name: KeyName<'_>,
    payload: BTreeMap<String, Json>,
) -> Result<String, JwtError> {
    let key = signer.public();
    let (member, value) = match name {
        KeyName::Id(id) => ("kid", Json::from(id)),
        KeyName::Own => ("jwk", key.to_jwk()),
        KeyName::Certificates(chain) => {
            ("x5c", Json::Array(chain.iter().map(|one| Json::String(STANDARD.encode(one))).collect()))
        }
    };
    let header = Json::Object(BTreeMap::from([
        ("alg".to_owned(), Json::from(key.algorithm().name())),
        ("typ".to_owned(), Json::from(typ)),
        (member.to_owned(), value),
    ]));
    sign_parts(signer, &header, payload)
}

/// Signs a message whose header the caller made.
pub(crate) fn sign_parts(
    signer: &dyn Signer,
    header: &Json,
    payload: BTreeMap<String, Json>,
) -> Result<String, JwtError> {
    let payload = Json::Object(payload);
    let signing_input = format!("{}.{}", b64u::encode(header.to_jcs()), b64u::encode(payload.to_jcs()));
    let signature = signer.try_sign(signing_input.as_bytes()).map_err(|_| JwtError::Signer)?;
    Ok(format!("{signing_input}.{}", b64u::encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aval_did::key::SigningKey;
    use proptest::prelude::*;

    fn payload() -> BTreeMap<String, Json> {
        BTreeMap::from([("aud".to_owned(), Json::from("them")), ("iat".to_owned(), Json::Int(5))])
    }

    #[test]
    fn what_was_signed_is_read_and_verified_with_the_same_key_only() {
        for key in [SigningKey::from_seed(&[1; 32]), SigningKey::p256_from_seed(&[1; 32]).unwrap()] {
            let text = sign(&key, "test+jwt", KeyName::Own, payload()).unwrap();
            let jwt = Jwt::parse(&text, "test+jwt", 4096).unwrap();
            assert_eq!(jwt.own_key().unwrap(), key.public());
            assert!(jwt.is_for("them") && !jwt.is_for("us"));
            assert_eq!(jwt.verify(&key.public()), Ok(()));
            let other = SigningKey::from_seed(&[2; 32]).public();
            assert!(matches!(jwt.verify(&other), Err(JwtError::Signature | JwtError::Algorithm)));
            assert_eq!(Jwt::parse(&text, "other+jwt", 4096), Err(JwtError::Type));
            assert_eq!(Jwt::parse(&text, "test+jwt", 20), Err(JwtError::Oversized));
        }
    }

    #[test]
    fn other_algorithms_extensions_and_types_are_refused() {
        let message = |header: &str| {
            let signature = b64u::encode([0; 64]);
            format!("{}.{}.{signature}", b64u::encode(header), b64u::encode("{}"))
        };
        let parse = |header: &str| Jwt::parse(&message(header), "t", 4096).map(drop);
        assert_eq!(parse(r#"{"alg":"ES256","typ":"t"}"#), Ok(()));
        assert_eq!(parse(r#"{"alg":"none","typ":"t"}"#), Err(JwtError::Algorithm));
        assert_eq!(parse(r#"{"alg":"HS256","typ":"t"}"#), Err(JwtError::Algorithm));
        assert_eq!(parse(r#"{"typ":"t"}"#), Err(JwtError::Algorithm));
        assert_eq!(parse(r#"{"alg":"ES256"}"#), Err(JwtError::Type));
        assert_eq!(parse(r#"{"alg":"ES256","typ":"t","crit":["b64"],"b64":false}"#), Err(JwtError::Critical));
        assert!(matches!(parse(r#"{"alg":"ES256","alg":"none","typ":"t"}"#), Err(JwtError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}|\\PC{0,80}") {
            let _ = Jwt::parse(&text, "test+jwt", 4096);
        }
    }
}
