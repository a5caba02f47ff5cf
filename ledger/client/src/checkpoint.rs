//! What a client trusts, and where it remembers how far it has seen (design D14).
//!
//! Trust starts at a genesis file whose hash people have compared. Every verified answer moves the checkpoint
//! forward; it never goes back, not even between programs that share a file.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aval_codec::Hash;
use aval_proof::{Checkpoint, ProofError, TrustAnchor};
use aval_types::NetworkId;

use crate::error::ClientError;

/// A genesis file that was read and can be trusted, should its owner say so.
#[derive(Debug, Clone)]
pub struct TrustedGenesis {
    bytes: Vec<u8>,
    anchor: TrustAnchor,
}

impl TrustedGenesis {
    /// Reads the file's bytes.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ProofError> {
        let anchor = TrustAnchor::from_genesis(&bytes)?;
        Ok(Self { bytes, anchor })
    }

    /// The file, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The hash to compare: SHA-256 over the file.
    pub fn hash(&self) -> Hash {
        self.anchor.network().genesis()
    }

    /// The network's name in transactions.
    pub fn network(&self) -> &NetworkId {
        self.anchor.network()
    }

    /// The trust anchor without a checkpoint.
    pub fn anchor(&self) -> &TrustAnchor {
        &self.anchor
    }
}

/// Where a checkpoint is kept.
pub trait CheckpointStore: Debug + Send + Sync {
    /// The checkpoint kept last.
    fn load(&self) -> Result<Option<Checkpoint>, ClientError>;

    /// Keeps a checkpoint unless a newer one is kept already; gives the one that is kept afterwards.
    fn advance(&self, checkpoint: &Checkpoint) -> Result<Checkpoint, ClientError>;
}

/// Keeps the checkpoint for the life of the program.
#[derive(Debug, Default)]
pub struct MemoryCheckpoints(Mutex<Option<Checkpoint>>);

impl CheckpointStore for MemoryCheckpoints {
    fn load(&self) -> Result<Option<Checkpoint>, ClientError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn advance(&self, checkpoint: &Checkpoint) -> Result<Checkpoint, ClientError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = newer(kept.take(), checkpoint)?;
        *kept = Some(newest.clone());
        Ok(newest)
    }
}

/// Keeps the checkpoint in a file, which is as trustworthy as the folder it is in. Programs that share the file take
/// turns by a lock beside it.
#[derive(Debug, Clone)]
pub struct FileCheckpoints {
    path: PathBuf,
}

impl FileCheckpoints {
    /// The file need not exist; its folder must.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn failed(&self, reason: impl ToString) -> ClientError {
        ClientError::Anchor { path: self.path.display().to_string(), reason: reason.to_string() }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(suffix);
        self.path.with_file_name(name)
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        // The lock is held: one fixed name is enough.
        let temporary = self.beside(".new");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl CheckpointStore for FileCheckpoints {
    fn load(&self) -> Result<Option<Checkpoint>, ClientError> {
        match fs::read(&self.path) {
            // A file that cannot be read is an error, not an empty store: going on without it would turn time back.
            Ok(bytes) => Checkpoint::from_json(&bytes).map(Some).map_err(|error| self.failed(error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn advance(&self, checkpoint: &Checkpoint) -> Result<Checkpoint, ClientError> {
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).open(self.beside(".lock"));
        let lock = lock.map_err(|error| self.failed(error))?;
        lock.lock().map_err(|error| self.failed(error))?;
        let kept = self.load()?;
        let newest = newer(kept.clone(), checkpoint)?;
        if kept.as_ref() != Some(&newest) {
            self.replace(&newest.to_json()).map_err(|error| self.failed(error))?;
        }
        Ok(newest)
    }
}

fn newer(kept: Option<Checkpoint>, seen: &Checkpoint) -> Result<Checkpoint, ClientError> {
    match kept {
        Some(kept) if kept.header.height > seen.header.height => Ok(kept),
        Some(kept) if kept.header.height == seen.header.height => {
            let both = kept.changes.iter().zip(&seen.changes);
            if kept.header != seen.header || both.into_iter().any(|(kept, seen)| kept != seen) {
                return Err(ClientError::TwoHistories { height: kept.header.height });
            }
            // The same block; one of the two may know already what it decided about the validators.
            Ok(if kept.changes.len() >= seen.changes.len() { kept } else { seen.clone() })
        }
        _ => Ok(seen.clone()),
    }
}
