//! Where the passphrase comes from: a file, or the terminal. Never the command line, never the environment itself.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::VaultError;

const CHARACTERS_MIN: usize = 8;
const FILE_BYTES_MAX: u64 = 4096;

/// A passphrase in memory: wiped when dropped, never printed.
pub struct Passphrase(Zeroizing<String>);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passphrase(…)")
    }
}

impl Passphrase {
    /// Takes over a passphrase.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Refuses what is too short for a new vault.
    pub fn check_strength(&self) -> Result<(), VaultError> {
        match self.0.chars().count() {
            count if count < CHARACTERS_MIN => Err(VaultError::WeakPassphrase { minimum: CHARACTERS_MIN }),
            _ => Ok(()),
        }
    }
}

/// Where to take the passphrase from.
#[derive(Debug, Clone, Default)]
pub struct PassphraseSource {
    /// A file that holds it in its first line; without one the terminal is asked.
    pub file: Option<PathBuf>,
}

impl PassphraseSource {
    /// The passphrase of an existing vault.
    pub fn obtain(&self) -> Result<Passphrase, VaultError> {
        match &self.file {
            Some(path) => first_line(path),
            None => prompt("Passphrase: "),
        }
    }

    /// The passphrase of a new vault; on a terminal it is asked for twice.
    pub fn obtain_new(&self) -> Result<Passphrase, VaultError> {
        if let Some(path) = &self.file {
            return first_line(path);
        }
        let first = prompt("New passphrase: ")?;
        first.check_strength()?;
        let second = prompt("The same again: ")?;
        if first.as_bytes() != second.as_bytes() {
            return Err(VaultError::NoPassphrase("the two passphrases differ".to_owned()));
        }
        Ok(first)
    }
}

fn first_line(path: &Path) -> Result<Passphrase, VaultError> {
    let failed =
        |source| VaultError::Io { action: "read the passphrase file", path: path.to_owned(), source };
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Passphrase::new(line.to_owned())),
        _ => Err(VaultError::NoPassphrase(format!("the first line of {} is empty", path.display()))),
    }
}

fn prompt(question: &str) -> Result<Passphrase, VaultError> {
    if !std::io::stdin().is_terminal() {
        let message = "there is no terminal to ask for the passphrase: use --passphrase-file, or name the file in \
                       AVAL_PASSPHRASE_FILE";
        return Err(VaultError::NoPassphrase(message.to_owned()));
    }
    rpassword::prompt_password(question).map(Passphrase::new).map_err(|source| VaultError::Io {
        action: "ask for the passphrase on",
        path: PathBuf::from("/dev/tty"),
        source,
    })
}
