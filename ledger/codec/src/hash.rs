//! The 32-byte hash of the whole system and the domain tags that keep its uses apart.
//!
//! `hash(tag, parts)` is SHA-256 over the tag's ASCII bytes, one zero byte and the parts joined without separators.
//! No tag contains a zero byte, so two tags never yield the same input.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The domain tags. A new use of a hash gets a new tag here; a tag never changes its meaning.
pub mod tag {
    /// Transaction id, over the payload bytes.
    pub const TRANSACTION: &str = "aval/tx/1";
    /// Hash of a signed transaction in its canonical binary envelope.
    pub const ENVELOPE: &str = "aval/envelope/1";
    /// Hash of a witness (the presentation beside a transaction).
    pub const WITNESS: &str = "aval/witness/1";
    /// Hash of a receipt.
    pub const RECEIPT: &str = "aval/receipt/1";
    /// Digest of a block, over its header bytes.
    pub const HEADER: &str = "aval/header/1";
    /// Grant id, over the status entry that the grant stands on.
    pub const GRANT: &str = "aval/grant/1";
    /// Salted commitment to data that is kept elsewhere.
    pub const ANCHOR: &str = "aval/anchor/1";
    /// Hash of a validator set.
    pub const VALIDATORS: &str = "aval/validators/1";
    /// What a node key signs to stand behind its operator. Not a hash: the message begins with it.
    pub const NODE: &str = "aval/node/1";
    /// Name of a fault proof, over the validator's key and the view.
    pub const EVIDENCE: &str = "aval/evidence/1";
    /// Leaf of the witnesses root for the ancestor's certificate that a block carries.
    pub const ATTENDANCE: &str = "aval/attendance/1";
    /// Inception hash of a DID, from which its identifier is made.
    pub const DID_INCEPTION: &str = "aval/did-inception/1";
    /// Version hash of a DID after its first version.
    pub const DID_VERSION: &str = "aval/did-version/1";
    /// Commitment to a control key that is still secret.
    pub const CONTROL_KEY: &str = "aval/control-key/1";
}

/// A SHA-256 hash. In JSON and in text it is 64 lowercase hexadecimal digits; no other spelling is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash([u8; 32]);

/// The text is not 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lowercase hexadecimal digits")]
pub struct HashParseError;

impl Hash {
    /// 32 zero bytes: the place of a hash that does not exist.
    pub const ZERO: Hash = Hash([0; 32]);
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// Takes the bytes as they are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Hash(bytes)
    }

    /// Takes a slice of exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Hash)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes, by value.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// 64 lowercase hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Hash(bytes)
    }
}

impl From<Hash> for [u8; 32] {
    fn from(hash: Hash) -> Self {
        hash.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl FromStr for Hash {
    type Err = HashParseError;

    fn from_str(text: &str) -> Result<Self, HashParseError> {
        // The hex crate also reads capitals; one value must have one spelling.
        if text.len() != 64 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(HashParseError);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HashParseError)?;
        Ok(Hash(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HexVisitor;
        impl Visitor<'_> for HexVisitor {
            type Value = Hash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 lowercase hexadecimal digits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hash, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(HexVisitor).map_err(D::Error::custom)
    }
}

/// SHA-256 over the tag, a zero byte and the parts.
pub fn hash(tag: &str, parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(tag.as_bytes());
    hasher.update([0]);
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

/// Plain SHA-256, without a tag.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagged_hash_is_sha256_of_tag_zero_and_parts() {
        assert_eq!(hash("aval/tx/1", &[b"ab", b"c"]), sha256(b"aval/tx/1\0abc"));
        assert_ne!(hash("aval/tx/1", &[b"abc"]), hash("aval/witness/1", &[b"abc"]));
        assert_eq!(
            sha256(b"").to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let hash = sha256(b"x");
        assert_eq!(hash.to_hex().parse::<Hash>(), Ok(hash));
        assert_eq!(hash.to_hex().to_uppercase().parse::<Hash>(), Err(HashParseError));
        assert!("00".parse::<Hash>().is_err());
        assert!("g".repeat(64).parse::<Hash>().is_err());
        assert!("é".repeat(32).parse::<Hash>().is_err());
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<Hash>(&json).unwrap(), hash);
        assert!(serde_json::from_str::<Hash>("7").is_err());
    }
}
