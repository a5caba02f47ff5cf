//! The bytes of a vault file.
//!
//! ```text
//! magic "aval-vault" (10) | format u16 | kdf u8 | cipher u8 | memory KiB u32 | iterations u32 | lanes u32
//! | salt (16) | nonce (24) | sealed contents (with the 16-byte tag) | SHA-256 of everything before (32)
//! ```
//! Integers are big-endian. The header, from the magic to the nonce, is the associated data of the cipher: nobody can
//! weaken the derivation parameters of an existing vault without the passphrase. The checksum at the end keeps no
//! secret; it only tells a damaged file from a wrong passphrase, which the cipher cannot.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Passphrase, VaultError};

const MAGIC: &[u8; 10] = b"aval-vault";
const FORMAT: u16 = 1;
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
    /// What new vaults get: RFC 9106's second recommendation (64 MiB, three passes) with one lane.
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
pub(super) struct SealingKey(Zeroizing<[u8; 32]>);

/// What is wrong with a file, before its path is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Damaged(&'static str),
    Newer(u32),
    Passphrase,
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> VaultError {
        match self {
            Self::Damaged(reason) => VaultError::Damaged { path: path.to_owned(), reason },
            Self::Newer(found) => {
                VaultError::Newer { path: path.to_owned(), found, known: u32::from(FORMAT) }
            }
            Self::Passphrase => VaultError::Passphrase,
        }
    }
}

/// The header of a vault file.
#[derive(Clone)]
pub(super) struct Header {
    derivation: KeyDerivation,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
}

fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0u8; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| VaultError::System("the system gave no random bytes"))?;
    Ok(bytes)
}

fn be_u32_of(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

impl Header {
    pub(super) fn generate(derivation: KeyDerivation) -> Result<Self, VaultError> {
        Ok(Self { derivation, salt: random()?, nonce: random()? })
    }

    /// Reads and bounds the header, and checks the checksum of the whole file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let Some((magic, rest)) = bytes.split_at_checked(MAGIC.len()) else {
            return Err(Fault::Damaged("it is too short for a vault"));
        };
        if magic != MAGIC {
            return Err(Fault::Damaged("it is not a vault file"));
        }
        let Some((format, rest)) = rest.split_first_chunk() else {
            return Err(Fault::Damaged("it is too short for a vault"));
        };
        let format = u32::from(u16::from_be_bytes(*format));
        if format > u32::from(FORMAT) {
            return Err(Fault::Newer(format));
        }
        if bytes.len() < HEADER_LEN + TAG_LEN + CHECKSUM_LEN {
            return Err(Fault::Damaged("it is cut short"));
        }
        let (body, checksum) = bytes.split_at(bytes.len() - CHECKSUM_LEN);
        if Sha256::digest(body).as_slice() != checksum {
            return Err(Fault::Damaged("its checksum does not fit"));
        }
        if format != u32::from(FORMAT) {
            return Err(Fault::Damaged("its format is unknown"));
        }
        let [KDF_ARGON2ID, CIPHER_XCHACHA20_POLY1305, rest @ ..] = rest else {
            return Err(Fault::Damaged("its algorithms are unknown"));
        };
        let fields = |rest| {
            let (memory, rest) = be_u32_of(rest)?;
            let (iterations, rest) = be_u32_of(rest)?;
            let (lanes, rest) = be_u32_of(rest)?;
            let (salt, rest) = rest.split_first_chunk()?;
            let (nonce, _) = rest.split_first_chunk()?;
            Some((KeyDerivation { memory_kib: memory, iterations, lanes }, *salt, *nonce))
        };
        let (derivation, salt, nonce) = fields(rest).ok_or(Fault::Damaged("it is cut short"))?;
        if !derivation.is_bearable() {
            return Err(Fault::Damaged("its key derivation parameters are out of bounds"));
        }
        Ok(Self { derivation, salt, nonce })
    }

    pub(super) fn with_fresh_nonce(&self) -> Result<Self, VaultError> {
        Ok(Self { nonce: random()?, ..self.clone() })
    }

    /// Whether a key derived under `other` also fits this header.
    pub(super) fn same_key_as(&self, other: &Self) -> bool {
        self.salt == other.salt && self.derivation == other.derivation
    }

    pub(super) fn derive(&self, passphrase: &Passphrase) -> Result<SealingKey, VaultError> {
        let failed = VaultError::System("the key derivation failed: is there memory for it?");
        let KeyDerivation { memory_kib, iterations, lanes } = self.derivation;
        let Ok(parameters) = Params::new(memory_kib, iterations, lanes, Some(32)) else { return Err(failed) };
        let mut key = Zeroizing::new([0u8; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(passphrase.as_bytes(), &self.salt, key.as_mut())
            .map_err(|_| failed)?;
        Ok(SealingKey(key))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(MAGIC);
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
    pub(super) fn seal(
        &self,
        key: &SealingKey,
        mut plain: Zeroizing<Vec<u8>>,
    ) -> Result<Vec<u8>, VaultError> {
        let mut bytes = self.to_bytes();
        let cipher = XChaCha20Poly1305::new(&(*key.0).into());
        plain.reserve_exact(TAG_LEN);
        cipher
            .encrypt_in_place(&XNonce::from(self.nonce), &bytes, &mut *plain)
            .map_err(|_| VaultError::System("the vault is too large to be sealed"))?;
        bytes.extend_from_slice(&plain);
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(checksum.as_slice());
        Ok(bytes)
    }

    /// Opens the sealed part of the file that this header was read from.
    pub(super) fn unseal(&self, key: &SealingKey, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let sealed = file.len().checked_sub(CHECKSUM_LEN).and_then(|end| file.get(HEADER_LEN..end));
        let mut buffer = Zeroizing::new(sealed.ok_or(Fault::Damaged("it is cut short"))?.to_vec());
        XChaCha20Poly1305::new(&(*key.0).into())
            .decrypt_in_place(&XNonce::from(self.nonce), &self.to_bytes(), &mut *buffer)
            .map_err(|_| Fault::Passphrase)?;
        Ok(buffer)
    }
}
