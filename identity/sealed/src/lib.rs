//! Secrets under a passphrase, as the bytes of one file: a wallet's vault, an issuer's keys.
//!
//! ```text
//! magic, which says what it is (10) | format u16 | kdf u8 | cipher u8 | memory KiB u32 | iterations u32 | lanes u32
//! | salt (16) | nonce (24) | sealed contents (with the 16-byte tag) | SHA-256 of everything before (32)
//! ```
//! Integers are big-endian. The header, from the magic to the nonce, is the associated data of the cipher: nobody can
//! weaken the derivation parameters of an existing file without the passphrase. The checksum at the end keeps no
//! secret; it only tells a damaged file from a wrong passphrase, which the cipher cannot.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The first bytes of a file, which say what is in it.
pub type Magic = &'static [u8; 10];

/// The newest format that is known here.
pub const FORMAT: u16 = 1;
const KDF_ARGON2ID: u8 = 1;
const CIPHER_XCHACHA20_POLY1305: u8 = 1;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const HEADER_LEN: usize = 10 + 2 + 1 + 1 + 12 + SALT_LEN + NONCE_LEN;
const TAG_LEN: usize = 16;
const CHECKSUM_LEN: usize = 32;

/// How a passphrase becomes a key: the parameters of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDerivation {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub lanes: u32,
}

impl KeyDerivation {
    /// What new files get: RFC 9106's second recommendation (64 MiB, three passes) with one lane.
    pub const STANDARD: Self = Self { memory_kib: 64 * 1024, iterations: 3, lanes: 1 };

    /// Bounds on what a file may ask of this machine: at most 1 GiB and 64 passes.
    fn is_bearable(self) -> bool {
        (8..=1024 * 1024).contains(&self.memory_kib)
            && (1..=64).contains(&self.iterations)
            && (1..=16).contains(&self.lanes)
            && self.memory_kib >= 8 * self.lanes
    }
}

/// The key of the cipher, wiped when dropped.
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey(…)")
    }
}

/// Why something was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is not such a file, is cut short, or its bytes were changed.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// A newer program wrote it.
    #[error("it has format {0}, and this program reads up to {FORMAT}: use a newer program")]
    Newer(u32),
    /// The passphrase does not open it.
    #[error("the passphrase does not open it")]
    Passphrase,
    /// The machine gave no randomness, or no memory for the key derivation.
    #[error("{0}")]
    System(&'static str),
}

impl SealError {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Damaged(_) => "sealed.damaged",
            Self::Newer(_) => "sealed.newer",
            Self::Passphrase => "sealed.passphrase",
            Self::System(_) => "sealed.system",
        }
    }
}

/// The header of a file: what it is, and how its key is derived.
#[derive(Debug, Clone)]
pub struct Header {
    magic: Magic,
    derivation: KeyDerivation,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
}

fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0u8; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| SealError::System("the system gave no random bytes"))?;
    Ok(bytes)
}

fn be_u32_of(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

impl Header {
    /// A header for a new file, with fresh salt and nonce.
    pub fn generate(magic: Magic, derivation: KeyDerivation) -> Result<Self, SealError> {
        Ok(Self { magic, derivation, salt: random()?, nonce: random()? })
    }

    /// Reads and bounds the header, and checks the checksum of the whole file.
    pub fn parse(expected: Magic, bytes: &[u8]) -> Result<Self, SealError> {
        let Some((magic, rest)) = bytes.split_at_checked(expected.len()) else {
            return Err(SealError::Damaged("it is too short"));
        };
        if magic != expected {
            return Err(SealError::Damaged("it is a file of another kind"));
        }
        let Some((format, rest)) = rest.split_first_chunk() else {
            return Err(SealError::Damaged("it is too short"));
        };
        let format = u32::from(u16::from_be_bytes(*format));
        if format > u32::from(FORMAT) {
            return Err(SealError::Newer(format));
        }
        if bytes.len() < HEADER_LEN + TAG_LEN + CHECKSUM_LEN {
            return Err(SealError::Damaged("it is cut short"));
        }
        let (body, checksum) = bytes.split_at(bytes.len() - CHECKSUM_LEN);
        if Sha256::digest(body).as_slice() != checksum {
            return Err(SealError::Damaged("its checksum does not fit"));
        }
        if format != u32::from(FORMAT) {
            return Err(SealError::Damaged("its format is unknown"));
        }
        let [KDF_ARGON2ID, CIPHER_XCHACHA20_POLY1305, rest @ ..] = rest else {
            return Err(SealError::Damaged("its algorithms are unknown"));
        };
        let fields = |rest| {
            let (memory, rest) = be_u32_of(rest)?;
            let (iterations, rest) = be_u32_of(rest)?;
            let (lanes, rest) = be_u32_of(rest)?;
            let (salt, rest) = rest.split_first_chunk()?;
            let (nonce, _) = rest.split_first_chunk()?;
            Some((KeyDerivation { memory_kib: memory, iterations, lanes }, *salt, *nonce))
        };
        let (derivation, salt, nonce) = fields(rest).ok_or(SealError::Damaged("it is cut short"))?;
        if !derivation.is_bearable() {
            return Err(SealError::Damaged("its key derivation parameters are out of bounds"));
        }
        Ok(Self { magic: expected, derivation, salt, nonce })
    }

    /// The header for writing the file again.
    pub fn with_fresh_nonce(&self) -> Result<Self, SealError> {
        Ok(Self { nonce: random()?, ..self.clone() })
    }

    /// Whether a key derived under `other` also fits this header.
    pub fn same_key_as(&self, other: &Self) -> bool {
        self.salt == other.salt && self.derivation == other.derivation
    }

    /// Makes the key. This takes the time and memory that the header asks for.
    pub fn derive(&self, passphrase: &[u8]) -> Result<SealingKey, SealError> {
        let failed = SealError::System("the key derivation failed: is there memory for it?");
        let KeyDerivation { memory_kib, iterations, lanes } = self.derivation;
        let Ok(parameters) = Params::new(memory_kib, iterations, lanes, Some(32)) else { return Err(failed) };
        let mut key = Zeroizing::new([0u8; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(passphrase, &self.salt, key.as_mut())
            .map_err(|_| failed)?;
        Ok(SealingKey(key))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(self.magic);
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes.extend_from_slice(&[KDF_ARGON2ID, CIPHER_XCHACHA20_POLY1305]);
        bytes.extend_from_slice(&self.derivation.memory_kib.to_be_bytes());
        bytes.extend_from_slice(&self.derivation.iterations.to_be_bytes());
        bytes.extend_from_slice(&self.derivation.lanes.to_be_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.nonce);
        bytes
    }

    /// Seals `plain` and gives the whole file.
    pub fn seal(&self, key: &SealingKey, mut plain: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, SealError> {
        let mut bytes = self.to_bytes();
        let cipher = XChaCha20Poly1305::new(&(*key.0).into());
        plain.reserve_exact(TAG_LEN);
        cipher
            .encrypt_in_place(&XNonce::from(self.nonce), &bytes, &mut *plain)
            .map_err(|_| SealError::System("it is too large to be sealed"))?;
        bytes.extend_from_slice(&plain);
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(checksum.as_slice());
        Ok(bytes)
    }

    /// Opens the sealed part of the file that this header was read from.
    pub fn unseal(&self, key: &SealingKey, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let sealed = file.len().checked_sub(CHECKSUM_LEN).and_then(|end| file.get(HEADER_LEN..end));
        let mut buffer = Zeroizing::new(sealed.ok_or(SealError::Damaged("it is cut short"))?.to_vec());
        XChaCha20Poly1305::new(&(*key.0).into())
            .decrypt_in_place(&XNonce::from(self.nonce), &self.to_bytes(), &mut *buffer)
            .map_err(|_| SealError::Passphrase)?;
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests;
