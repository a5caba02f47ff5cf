//! The vault: one encrypted file with everything the wallet must not lose.
//!
//! Invariants:
//! - Nothing secret is written outside the sealed part of the file ([`aval_sealed`]).
//! - A reader sees either the old file or the new one, never a mixture: the file is replaced by a rename after an
//!   fsync ([`file`]). Readers therefore take no lock.
//! - A writer holds the lock from before it reads until after it has written, so that two processes cannot lose each
//!   other's change. [`Vault::update`] is the only way to write.
//! - The passphrase is asked for once per process; only the key made from it stays in memory.
//!
//! Design section 6: Argon2id and XChaCha20-Poly1305, 24-word backup, no key in arguments or logs.

mod contents;
mod file;
mod passphrase;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use aval_sealed::{FORMAT, Header, Magic, SealError, SealingKey};
use thiserror::Error;
use zeroize::Zeroizing;

pub use aval_sealed::KeyDerivation;
pub use contents::{
    Contents, Counters, DidState, Entropy, Holder, OperationKind, PendingOperation, StoredCredential,
    StoredDid, StoredKey, StoredTransaction, TransactionState,
};
pub use passphrase::{Passphrase, PassphraseSource};

const MAGIC: Magic = b"aval-vault";

/// Why a vault could not be made, opened or written.
#[derive(Debug, Error)]
pub enum VaultError {
    /// There is no vault at the path.
    #[error("there is no vault at {0}: make one with `aval vault create`")]
    NotFound(PathBuf),
    /// A vault exists where one was to be made.
    #[error("{0} exists already and was left alone")]
    Exists(PathBuf),
    /// The passphrase does not open the vault.
    #[error("the passphrase does not open this vault")]
    Passphrase,
    /// The file is not a vault, is cut short, or its bytes were changed.
    #[error("{path} is damaged ({reason}): restore it from a copy, or recover from the 24 words")]
    Damaged {
        /// The vault file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file was written by a newer program.
    #[error("{path} has format {found}, and this program reads up to {known}: use a newer program")]
    Newer {
        /// The vault file.
        path: PathBuf,
        /// The format in the file.
        found: u32,
        /// The newest format this program knows.
        known: u32,
    },
    /// Another process holds the vault.
    #[error("another process is writing to {0}: try again when it has ended")]
    Locked(PathBuf),
    /// The vault was exchanged (another salt) while this process had it open.
    #[error("{0} was exchanged for another vault while it was open")]
    Exchanged(PathBuf),
    /// No passphrase could be obtained.
    #[error("{0}")]
    NoPassphrase(String),
    /// The passphrase cannot be used for a new vault.
    #[error("a passphrase needs at least {minimum} characters")]
    WeakPassphrase {
        /// The least number of characters.
        minimum: usize,
    },
    /// The operating system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The machine gave no randomness or no memory for the key derivation.
    #[error("{0}")]
    System(&'static str),
}

impl VaultError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "vault.not_found",
            Self::Exists(_) => "vault.exists",
            Self::Passphrase => "vault.passphrase",
            Self::Damaged { .. } => "vault.damaged",
            Self::Newer { .. } => "vault.newer",
            Self::Locked(_) => "vault.locked",
            Self::Exchanged(_) => "vault.exchanged",
            Self::NoPassphrase(_) => "vault.no_passphrase",
            Self::WeakPassphrase { .. } => "vault.weak_passphrase",
            Self::Io { .. } => "vault.io",
            Self::System(_) => "vault.system",
        }
    }
}

/// What is wrong with a vault's file, now that its path is known.
fn sealed(error: SealError, path: &Path) -> VaultError {
    match error {
        SealError::Damaged(reason) => VaultError::Damaged { path: path.to_owned(), reason },
        SealError::Newer(found) => {
            VaultError::Newer { path: path.to_owned(), found, known: u32::from(FORMAT) }
        }
        SealError::Passphrase => VaultError::Passphrase,
        SealError::System(reason) => VaultError::System(reason),
    }
}

/// An open vault: its place, and the key that opens it.
pub struct Vault {
    path: PathBuf,
    header: Header,
    key: SealingKey,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Vault").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Vault {
    /// Makes a new vault with fresh entropy. Never overwrites a file.
    pub fn create(
        path: &Path,
        passphrase: &Passphrase,
        derivation: KeyDerivation,
        contents: &Contents,
    ) -> Result<Self, VaultError> {
        passphrase.check_strength()?;
        file::prepare_folder(path)?;
        let _lock = file::Lock::exclusive(path)?;
        if file::exists(path)? {
            return Err(VaultError::Exists(path.to_owned()));
        }
        let at = |error| sealed(error, path);
        let header = Header::generate(MAGIC, derivation).map_err(at)?;
        let key = header.derive(passphrase.as_bytes()).map_err(at)?;
        let vault = Self { path: path.to_owned(), header, key };
        vault.write(contents)?;
        Ok(vault)
    }

    /// Opens a vault and checks that the passphrase fits.
    pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, VaultError> {
        let bytes = file::read(path)?;
        let header = Header::parse(MAGIC, &bytes).map_err(|error| sealed(error, path))?;
        let key = header.derive(passphrase.as_bytes()).map_err(|error| sealed(error, path))?;
        let vault = Self { path: path.to_owned(), header, key };
        vault.unseal(&bytes)?;
        Ok(vault)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The contents as they are on disk now.
    pub fn read(&self) -> Result<Contents, VaultError> {
        self.unseal(&file::read(&self.path)?)
    }

    /// Reads, changes and writes under the lock. When `change` fails nothing is written.
    pub fn update<T, E: From<VaultError>>(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = file::Lock::exclusive(&self.path)?;
        let mut contents = self.read()?;
        let outcome = change(&mut contents)?;
        self.write(&contents)?;
        Ok(outcome)
    }

    fn unseal(&self, bytes: &[u8]) -> Result<Contents, VaultError> {
        let header = Header::parse(MAGIC, bytes).map_err(|error| sealed(error, &self.path))?;
        if !header.same_key_as(&self.header) {
            return Err(VaultError::Exchanged(self.path.clone()));
        }
        let plain = header.unseal(&self.key, bytes).map_err(|error| sealed(error, &self.path))?;
        contents::decode(&plain, &self.path)
    }

    fn write(&self, contents: &Contents) -> Result<(), VaultError> {
        let plain: Zeroizing<Vec<u8>> = contents::encode(contents)?;
        let header = self.header.with_fresh_nonce();
        let file = header
            .and_then(|header| header.seal(&self.key, plain))
            .map_err(|error| sealed(error, &self.path))?;
        file::replace(&self.path, &file, || Ok(()))
    }
}
