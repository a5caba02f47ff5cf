//! The wallet's folder: by the XDG rules unless the user names one.
//!
//! ```text
//! <home>/vault                              the vault, see `crate::vault`
//! <home>/networks/<name>/profile.json       node address and genesis hash
//! <home>/networks/<name>/genesis.json       the pinned genesis, byte for byte
//! <home>/default-network                    name of the default profile
//! <home>/accreditations/<SHA-256>.sd-jwt    accreditation credentials that were made here
//! <home>/checkpoints/<genesis hash>.json    the newest verified block, never older than one seen before
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aval_codec::Hash;

use crate::error::WalletError;

/// Larger files are not what this program looks for.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The wallet's folder.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// The folder named by the user, else `$XDG_DATA_HOME/aval`, else `~/.local/share/aval`.
    pub fn locate(named: Option<&Path>) -> Result<Self, WalletError> {
        if let Some(named) = named {
            return Ok(Self(named.to_owned()));
        }
        // A relative path in XDG_DATA_HOME is invalid by the specification.
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let user = std::env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        match data.or_else(|| user.map(|user| user.join(".local/share"))) {
            Some(data) => Ok(Self(data.join("aval"))),
            None => Err(WalletError::Usage("there is no home folder: name one with --home".to_owned())),
        }
    }

    /// The default vault.
    pub fn vault(&self) -> PathBuf {
        self.0.join("vault")
    }

    /// The folder of all profiles.
    pub fn networks(&self) -> PathBuf {
        self.0.join("networks")
    }

    /// The file that names the default profile.
    pub fn default_network(&self) -> PathBuf {
        self.0.join("default-network")
    }

    /// The folder of accreditation credentials that were made here.
    pub fn accreditations(&self) -> PathBuf {
        self.0.join("accreditations")
    }

    /// The checkpoint of a network.
    pub fn checkpoint(&self, genesis: Hash) -> PathBuf {
        self.0.join("checkpoints").join(format!("{genesis}.json"))
    }
}

/// Makes a folder that only its owner can read.
pub fn make_folder(path: &Path) -> Result<(), WalletError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| WalletError::io("make the folder", path.display().to_string(), source))
}

/// Reads a whole file; `-` is stdin.
pub fn read_input(path: &Path) -> Result<Vec<u8>, WalletError> {
    let failed = |source| WalletError::io("read", path.display().to_string(), source);
    let mut bytes = Vec::new();
    let outcome = if path == Path::new("-") {
        io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    match outcome {
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => {
            Err(WalletError::Failed(format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display())))
        }
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(WalletError::NotFound(format!("there is no file {}", path.display())))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file for the user, replacing one that is there.
pub fn write_output(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    fs::write(path, bytes).map_err(|source| WalletError::io("write", path.display().to_string(), source))
}

/// Writes a new file that only its owner can read; never touches one that is there.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| WalletError::io("write the new file", path.display().to_string(), source))
}

/// Replaces a file of the wallet's own so that a crash leaves the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&temporary);
        WalletError::io("write", path.display().to_string(), source)
    })
}
