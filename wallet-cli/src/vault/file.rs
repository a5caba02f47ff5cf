//! The vault's file on disk: read whole, replaced whole, locked beside.
//!
//! The lock is a file of its own (`<vault>.lock`), because the vault's inode changes with every write.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::VaultError;

/// A vault holds text of a few credentials; a larger file is not one.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long a writer waits for another one.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_POLL: Duration = Duration::from_millis(20);

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    let path = path.to_owned();
    move |source| VaultError::Io { action, path, source }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the folder of the vault, readable by its owner only. An existing folder is left as it is.
pub(super) fn prepare_folder(path: &Path) -> Result<(), VaultError> {
    let folder = folder(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error("make the folder", folder))
}

pub(super) fn exists(path: &Path) -> Result<bool, VaultError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("look at", path)(error)),
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, VaultError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => VaultError::NotFound(path.to_owned()),
        _ => io_error("open", path)(error),
    })?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(VaultError::Damaged { path: path.to_owned(), reason: "it is too large for a vault" });
    }
    Ok(bytes)
}

/// An advisory lock that other wallet processes respect; released when dropped, also by a crash.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn exclusive(vault: &Path) -> Result<Self, VaultError> {
        let path = beside(vault, ".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| match error.kind() {
                // Without the folder there is no vault either: say that.
                io::ErrorKind::NotFound => VaultError::NotFound(vault.to_owned()),
                _ => io_error("open", &path)(error),
            })?;
        let patience = Instant::now() + LOCK_WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < patience => std::thread::sleep(LOCK_POLL),
                Err(TryLockError::WouldBlock) => return Err(VaultError::Locked(vault.to_owned())),
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
            }
        }
    }
}

/// Replaces the file so that a crash at any point leaves the old one or the new one. The caller holds the lock, which
/// is why one fixed temporary name is enough; a leftover of a crash is removed first, and `create_new` never follows
/// a link somebody placed there. `before_rename` exists for the test of exactly that crash.
pub(super) fn replace(
    path: &Path,
    bytes: &[u8],
    before_rename: impl FnOnce() -> io::Result<()>,
) -> Result<(), VaultError> {
    let temporary = beside(path, ".new");
    match fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error("remove", &temporary)(error)),
    }
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error("write", &temporary))?;
    before_rename().map_err(io_error("write", &temporary))?;
    fs::rename(&temporary, path).map_err(io_error("replace", path))?;
    // The rename itself is durable only once the folder is.
    let folder = folder(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}
