//! Private keys. Those in memory are wiped when dropped, and `Debug` shows the public half only; those in a hardware
//! module are behind [`Signer`].

use std::fmt;

use p256::ecdsa::signature::Signer as _;
use rand::Rng as _;
use zeroize::Zeroizing;

use super::{Algorithm, KeyError, PublicKey};

/// Whatever signs with one private key: a key in memory, or one that never leaves its module.
pub trait Signer {
    /// The public key.
    fn public(&self) -> PublicKey;

    /// Signs: 64 bytes, for ES256 `r || s` with low S. A key in memory never fails.
    fn try_sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError>;
}

/// Why a key did not sign. It is never the fault of what was to be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key did not sign: {0}")]
pub struct SignerError(pub String);

impl Signer for SigningKey {
    fn public(&self) -> PublicKey {
        SigningKey::public(self)
    }

    fn try_sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        Ok(self.sign(message))
    }
}

/// A private key of either type. Both kinds of signature are deterministic, and ES256 signatures are made with low S.
#[derive(Clone)]
pub struct SigningKey(Kind);

#[derive(Clone)]
enum Kind {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

impl SigningKey {
    /// The Ed25519 key of a 32-byte RFC 8032 seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        SigningKey(Kind::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))))
    }

    /// The P-256 key of a 32-byte big-endian scalar, which must be in 1..n.
    pub fn p256_from_seed(scalar: &[u8; 32]) -> Result<Self, KeyError> {
        let key = p256::ecdsa::SigningKey::from_slice(scalar).map_err(|_| KeyError::Malformed)?;
        Ok(SigningKey(Kind::P256(Box::new(key))))
    }

    /// A key of the algorithm's type from its 32 secret bytes.
    pub fn from_secret(algorithm: Algorithm, secret: &[u8; 32]) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::EdDsa => Ok(Self::from_seed(secret)),
            Algorithm::Es256 => Self::p256_from_seed(secret),
        }
    }

    /// A new Ed25519 key.
    pub fn generate() -> Self {
        Self::from_seed(&random_bytes())
    }

    /// A new P-256 key.
    pub fn generate_p256() -> Self {
        loop {
            // Fewer than one in 2^32 draws is not below the group order.
            if let Ok(key) = Self::p256_from_seed(&random_bytes()) {
                return key;
            }
        }
    }

    /// The 32 secret bytes, for a vault.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        match &self.0 {
            Kind::Ed25519(key) => Zeroizing::new(key.to_bytes()),
            Kind::P256(key) => Zeroizing::new(key.to_bytes().into()),
        }
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        match &self.0 {
            Kind::Ed25519(key) => PublicKey::Ed25519(key.verifying_key().to_bytes()),
            Kind::P256(key) => {
                let point = key.verifying_key().to_sec1_point(true);
                // A compressed point always has 33 bytes.
                PublicKey::P256(point.as_bytes().try_into().unwrap_or([0; 33]))
            }
        }
    }

    /// The algorithm of this type of key.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Kind::Ed25519(_) => Algorithm::EdDsa,
            Kind::P256(_) => Algorithm::Es256,
        }
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        match &self.0 {
            Kind::Ed25519(key) => key.sign(message).to_bytes(),
            Kind::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().to_bytes().into()
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

fn random_bytes() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(bytes.as_mut());
    bytes
}
