//! What every command needs: the options, the voice, the folder; the vault and the connection when asked for.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::cli::GlobalArgs;
use crate::error::WalletError;
use crate::home::Home;
use crate::output::Output;
use crate::profile::Connection;
use crate::vault::{PassphraseSource, Vault};

/// The context of one command.
#[derive(Debug)]
pub struct App {
    /// The options of every command.
    pub global: GlobalArgs,
    /// How to speak.
    pub output: Output,
    /// The wallet's folder.
    pub home: Home,
}

impl App {
    /// Prepares the context; touches nothing.
    pub fn new(global: GlobalArgs, output: Output) -> Result<Self, WalletError> {
        let home = Home::locate(global.home.as_deref())?;
        Ok(Self { global, output, home })
    }

    /// The vault file that the options name.
    pub fn vault_path(&self) -> PathBuf {
        self.global.vault.clone().unwrap_or_else(|| self.home.vault())
    }

    /// Where the passphrase comes from.
    pub fn passphrase_source(&self) -> PassphraseSource {
        PassphraseSource { file: self.global.passphrase_file.clone() }
    }

    /// Opens the vault. Looks for the file first, so that nobody types a passphrase for nothing.
    pub fn vault(&self) -> Result<Vault, WalletError> {
        let path = self.vault_path();
        if !path.exists() {
            return Err(crate::vault::VaultError::NotFound(path).into());
        }
        Ok(Vault::open(&path, &self.passphrase_source().obtain()?)?)
    }

    /// Whom to ask and what to trust.
    pub fn connection(&self) -> Result<Connection, WalletError> {
        Connection::from_options(&self.global, &self.home)
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], WalletError> {
    let mut bytes = [0; N];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| WalletError::Failed("the system gave no random bytes".to_owned()))?;
    Ok(bytes)
}

/// The time of this machine, in seconds since 1970.
pub fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
