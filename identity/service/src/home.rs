//! Files of a home folder: written once and through to the disk, and secret ones readable by their owner alone.

use crate::fault::Fault;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// A token for HTTP is at least this long: 128 bits in base64url.
const TOKEN_LENGTH_MIN: usize = 22;

/// Makes the folder unless it is there.
pub fn make_folder(path: &Path) -> Result<(), Fault> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Fault::of_file(path, &error, "make the folder above it"))
}

/// Reads a file of a home folder. `remedy` completes "… does not exist: ".
pub fn read(path: &Path, remedy: &str) -> Result<Vec<u8>, Fault> {
    fs::read(path).map_err(|error| Fault::of_file(path, &error, remedy))
}

/// Reads a configuration and has it checked. Unknown members are the reader's to refuse.
pub fn read_config<T: serde::de::DeserializeOwned>(
    path: &Path,
    remedy: &str,
    validate: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, Fault> {
    let bytes = read(path, remedy)?;
    let config: T = serde_json::from_slice(&bytes).map_err(|error| {
        Fault::failed(format!("{} is not a valid configuration: {error}", path.display()))
    })?;
    validate(&config).map_err(|reason| Fault::failed(format!("{}: {reason}", path.display())))?;
    Ok(config)
}

/// Writes a configuration where none is yet.
pub fn write_config<T: serde::Serialize>(path: &Path, config: &T) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(config).map_err(|error| Fault::failed(error.to_string()))?;
    write_new(path, (text + "\n").as_bytes(), 0o600)
}

/// Reads a file with one bearer token; one that is short or readable by others guards nothing.
pub fn read_token(path: &Path, remedy: &str) -> Result<String, Fault> {
    require_private(path, remedy)?;
    let text = fs::read_to_string(path).map_err(|error| Fault::of_file(path, &error, remedy))?;
    let token = text.trim();
    if token.len() < TOKEN_LENGTH_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::failed(format!(
            "{} holds no token: write at least {TOKEN_LENGTH_MIN} random characters without spaces into it",
            path.display()
        )));
    }
    Ok(token.to_owned())
}

/// Refuses a secret file that others may read.
pub fn require_private(path: &Path, remedy: &str) -> Result<(), Fault> {
    let metadata = fs::metadata(path).map_err(|error| Fault::of_file(path, &error, remedy))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        return Err(Fault::locked(format!("{path} can be read by others: run `chmod 600 {path}`")));
    }
    Ok(())
}

/// Writes a file that is not there yet, through to the disk.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| Fault::of_file(path, &error, "make the folder first"))
}

/// Replaces a file so that a crash leaves the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Fault::of_file(&temporary, &error, "make the folder first"));
        }
        _ => {}
    }
    write_new(&temporary, bytes, mode)?;
    fs::rename(&temporary, path).map_err(|error| Fault::of_file(path, &error, "make the folder first"))?;
    // The rename itself is durable only once the folder is.
    let folder = path.parent().unwrap_or(Path::new("."));
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Fault::of_file(folder, &error, "make the folder first"))
}
