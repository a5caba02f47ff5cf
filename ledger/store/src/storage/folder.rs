//! The store's folder: who may open it, and whether it is ours.
//!
//! ```text
//! <folder>/FORMAT   {"format":2,"genesis":"<hex>"}: written last when a store is made
//! <folder>/FORMAT.new   stands for FORMAT until the database exists; a crash in between is repaired at the next start
//! <folder>/lock     held while a process has the store open
//! <folder>/db/      RocksDB
//! ```
//! All checks come before the database is touched, so that a wrong folder stays as it was.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use aval_codec::Hash;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// The newest store format this release reads and the one it writes.
pub(crate) const FORMAT_VERSION: u32 = 2;

const FORMAT: &str = "FORMAT";
const FORMAT_NEW: &str = "FORMAT.new";
const LOCK: &str = "lock";
pub(super) const DATABASE: &str = "db";

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    format: u32,
    genesis: Hash,
}

/// Only the version of a format file: all that can be relied on in one of a newer release.
#[derive(Debug, Deserialize)]
struct FormatVersion {
    format: u32,
}

/// A checked and locked folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// True until the database exists.
    is_new: bool,
    /// Keeps the lock; the operating system releases it when the process ends, however it ends.
    genesis: Hash,
    _lock: File,
}

impl Folder {
    /// Checks and locks the folder. Makes it if it does not exist or is empty.
    pub(crate) fn open(path: &Path, genesis: &Hash) -> Result<Self, StoreError> {
        refuse_foreign(path)?;
        fs::create_dir_all(path).map_err(StoreError::io("make its folder"))?;
        let lock = lock(path)?;
        // Under the lock, so that two processes that start together do not both make a store.
        refuse_foreign(path)?;
        let is_new = match read_format(&path.join(FORMAT))? {
            Some(bytes) => {
                check_format(path, &bytes, genesis)?;
                false
            }
            None => {
                if let Some(bytes) = read_format(&path.join(FORMAT_NEW))? {
                    // An unreadable one was never finished and says nothing.
                    if serde_json::from_slice::<Format>(&bytes).is_ok() {
                        check_format(path, &bytes, genesis)?;
                    }
                }
                write_format(path, genesis)?;
                true
            }
        };
        let folder = Folder { path: path.to_path_buf(), is_new, genesis: *genesis, _lock: lock };
        if !is_new && !folder.database().join("CURRENT").exists() {
            return Err(StoreError::corrupt(format!(
                "{} is missing or incomplete",
                folder.database().display()
            )));
        }
        Ok(folder)
    }

    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The database's folder.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Says that a copy of the database in another folder is whole.
    pub(crate) fn mark_copy(&self, path: &Path) -> Result<(), StoreError> {
        write_format(path, &self.genesis)?;
        let action = StoreError::io("finish the format file of its copy");
        fs::rename(path.join(FORMAT_NEW), path.join(FORMAT)).map_err(action)?;
        sync_folder(path)
    }

    /// Says that the database exists now.
    pub(crate) fn finish(&mut self) -> Result<(), StoreError> {
        if self.is_new {
            let action = StoreError::io("finish its format file");
            fs::rename(self.path.join(FORMAT_NEW), self.path.join(FORMAT)).map_err(action)?;
            sync_folder(&self.path)?;
            self.is_new = false;
        }
        Ok(())
    }
}

fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(StoreError::Foreign(path.to_path_buf()));
        }
        Err(error) => return Err(StoreError::io("read its folder")(error)),
    };
    let mut is_ours = false;
    let mut has_others = false;
    for entry in entries {
        let name = entry.map_err(StoreError::io("read its folder"))?.file_name();
        is_ours |= name == FORMAT || name == FORMAT_NEW;
        has_others |= name != LOCK;
    }
    if has_others && !is_ours {
        return Err(StoreError::Foreign(path.to_path_buf()));
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let action = StoreError::io("open its lock file");
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(action)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock its folder")(error)),
    }
}

fn read_format(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read its format file")(error)),
    }
}

fn check_format(path: &Path, bytes: &[u8], genesis: &Hash) -> Result<(), StoreError> {
    let damaged = |_| StoreError::corrupt(format!("the file {} is unreadable", path.join(FORMAT).display()));
    let version: FormatVersion = serde_json::from_slice(bytes).map_err(damaged)?;
    if version.format > FORMAT_VERSION {
        let path = path.to_path_buf();
        return Err(StoreError::FormatNewer { path, found: version.format, supported: FORMAT_VERSION });
    }
    if version.format < FORMAT_VERSION {
        let path = path.to_path_buf();
        return Err(StoreError::FormatOlder { path, found: version.format, supported: FORMAT_VERSION });
    }
    let format: Format = serde_json::from_slice(bytes).map_err(damaged)?;
    if format.genesis != *genesis {
        let path = path.to_path_buf();
        return Err(StoreError::GenesisMismatch { path, expected: *genesis, found: format.genesis });
    }
    Ok(())
}

fn write_format(path: &Path, genesis: &Hash) -> Result<(), StoreError> {
    let format = Format { format: FORMAT_VERSION, genesis: *genesis };
    let mut text = serde_json::to_vec(&format).map_err(|error| StoreError::corrupt(error.to_string()))?;
    text.push(b'\n');
    let mut file = File::create(path.join(FORMAT_NEW)).map_err(StoreError::io("make its format file"))?;
    file.write_all(&text).map_err(StoreError::io("write its format file"))?;
    file.sync_all().map_err(StoreError::io("write its format file"))?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = File::open(path).map_err(StoreError::io("open its folder"))?;
    folder.sync_all().map_err(StoreError::io("write its folder"))
}
