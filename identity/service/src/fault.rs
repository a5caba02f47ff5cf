//! A fault that ends a command: one sentence with what to do, and the exit code that scripts go by.
//!
//! 0 done · 1 failed · 2 wrong usage · 3 verified, and invalid · 4 locked or not authorized · 5 not found · 6 try later

use crate::storage::RecordsError;
use std::io::ErrorKind;
use std::path::Path;

/// Why a command ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Fault {
    exit_code: u8,
    sentence: String,
}

impl Fault {
    /// Something went wrong.
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self { exit_code: 1, sentence: sentence.into() }
    }

    /// The command was not used as it can be.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self { exit_code: 2, sentence: sentence.into() }
    }

    /// Something was verified and is invalid.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self { exit_code: 3, sentence: sentence.into() }
    }

    /// Something may not be read or done.
    pub fn locked(sentence: impl Into<String>) -> Self {
        Self { exit_code: 4, sentence: sentence.into() }
    }

    /// Something is not there.
    pub fn not_found(sentence: impl Into<String>) -> Self {
        Self { exit_code: 5, sentence: sentence.into() }
    }

    /// The same command may succeed later.
    pub fn try_later(sentence: impl Into<String>) -> Self {
        Self { exit_code: 6, sentence: sentence.into() }
    }

    /// An error of the operating system on a file. `remedy` completes "… does not exist: ".
    pub fn of_file(path: &Path, error: &std::io::Error, remedy: &str) -> Self {
        let path = path.display();
        match error.kind() {
            ErrorKind::NotFound => Self::not_found(format!("{path} does not exist: {remedy}")),
            ErrorKind::PermissionDenied => {
                Self::locked(format!("{path} may not be accessed: check its owner and mode"))
            }
            ErrorKind::AlreadyExists => {
                Self::failed(format!("{path} exists already: remove it, or choose another --home"))
            }
            _ => Self::failed(format!("{path} cannot be used: {error}")),
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl From<RecordsError> for Fault {
    fn from(error: RecordsError) -> Self {
        Self::failed(error.to_string())
    }
}
