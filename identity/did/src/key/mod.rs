//! Public keys and the two signature algorithms. Specification §3.
//!
//! Signature rules are consensus rules, so each has one meaning here: `EdDSA` is Ed25519 by ZIP-215 (cofactored, the
//! same answer alone and in a batch), `ES256` is ECDSA over P-256 with SHA-256 and a 64-byte `r || s`. Blocks carry
//! only the low-S form of an ES256 signature; whatever comes from outside is normalized on entry, see
//! [`normalize_es256_low_s`].

mod batch;
mod jwk;
mod multikey;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

use std::fmt;
use std::str::FromStr;

use aval_codec::Json;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use batch::BatchVerifier;
pub use jwk::Jwk;
pub use multikey::{X25519PublicKey, is_multikey_like};
pub use sign::{Signer, SignerError, SigningKey};
pub use verify::{is_es256_low_s, normalize_es256_low_s};

/// A signature algorithm, by its JOSE name. There are exactly two; `none` and all others do not exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `EdDSA` with Ed25519.
    EdDsa,
    /// `ES256`.
    Es256,
}

impl Algorithm {
    /// The JOSE name.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Es256 => "ES256",
        }
    }

    /// The algorithm of a JOSE name; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "EdDSA" => Some(Algorithm::EdDsa),
            "ES256" => Some(Algorithm::Es256),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a key or a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key in any form that is known here.
    #[error("not an Ed25519 or P-256 public key in this form")]
    Malformed,
    /// An Ed25519 key of small order or with a non-canonical encoding.
    #[error("a small-order or non-canonical Ed25519 key")]
    Weak,
    /// Not a point on the curve.
    #[error("not a point on the curve")]
    OffCurve,
    /// A private key where a public one belongs.
    #[error("a private key where a public key belongs")]
    Private,
    /// The algorithm is not the one of the key.
    #[error("the algorithm does not fit the key")]
    Algorithm,
    /// The signature is not valid.
    #[error("the signature is not valid")]
    Signature,
}

/// A public key for signatures. Every parser of this module refuses what a document must not name: Ed25519 keys of
/// small order or non-canonical encoding and P-256 points off the curve. As text and in JSON it is a multikey.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicKey {
    /// 32 bytes, RFC 8032.
    Ed25519([u8; 32]),
    /// 33 bytes, SEC 1 compressed.
    P256([u8; 33]),
}

impl PublicKey {
    /// Takes 32 bytes as a checked Ed25519 key.
    pub fn ed25519(bytes: &[u8]) -> Result<Self, KeyError> {
        verify::checked_ed25519(bytes).map(PublicKey::Ed25519)
    }

    /// Takes a SEC 1 compressed or uncompressed point as a checked P-256 key.
    pub fn p256(sec1: &[u8]) -> Result<Self, KeyError> {
        verify::checked_p256(sec1).map(PublicKey::P256)
    }

    /// Checks what the parsers check, for a key that was put together from its variant.
    pub fn check(&self) -> Result<(), KeyError> {
        match self {
            PublicKey::Ed25519(bytes) => verify::checked_ed25519(bytes).map(drop),
            PublicKey::P256(bytes) => verify::checked_p256(bytes).map(drop),
        }
    }

    /// Reads a multikey (`z6Mk…`, `zDn…`). The same as `from_multikey`.
    pub fn parse(multikey: &str) -> Result<Self, KeyError> {
        Self::from_multikey(multikey)
    }

    /// Reads a multikey: `z`, then base58btc of the multicodec prefix and the key.
    pub fn from_multikey(text: &str) -> Result<Self, KeyError> {
        multikey::decode(text)
    }

    /// The multikey, `z6Mk…` or `zDn…`.
    pub fn to_multikey(&self) -> String {
        multikey::encode(self)
    }

    /// Reads a public JWK (`OKP`/`Ed25519` or `EC`/`P-256`). Members that do not make the key are ignored, except
    /// that a private key is refused.
    pub fn from_jwk(jwk: &Json) -> Result<Self, KeyError> {
        jwk::from_json(jwk)
    }

    /// The JWK with exactly its required members.
    pub fn to_jwk(&self) -> Json {
        Jwk::from(self).to_json()
    }

    /// RFC 7638 thumbprint with SHA-256, in base64url.
    pub fn thumbprint(&self) -> String {
        // The required members in lexicographic order are what JCS makes of them.
        aval_codec::b64u::encode(aval_codec::sha256(&self.to_jwk().to_jcs()))
    }

    /// The one algorithm of this type of key.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            PublicKey::Ed25519(_) => Algorithm::EdDsa,
            PublicKey::P256(_) => Algorithm::Es256,
        }
    }

    /// Verifies a signature. ES256 is accepted with high and low S; see [`PublicKey::verify_strict_low_s`].
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        if algorithm != self.algorithm() {
            return Err(KeyError::Algorithm);
        }
        verify::verify(self, message, signature)
    }

    /// Verifies a signature as blocks carry it: ES256 with high S is refused.
    pub fn verify_strict_low_s(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), KeyError> {
        self.verify(algorithm, message, signature)?;
        match algorithm {
            Algorithm::Es256 if !is_es256_low_s(signature) => Err(KeyError::Signature),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_multikey())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_multikey())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_multikey(text)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_multikey())
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
