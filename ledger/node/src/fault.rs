//! A fault that ends a command: one sentence with what to do, and the exit code that scripts go by.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed |
//! | 2 | wrong usage |
//! | 3 | verified, and invalid |
//! | 4 | locked or not authorized |
//! | 5 | not found |
//! | 6 | try again later |

use aval_store::StoreError;

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

    /// Something is locked, or the user may not read it.
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

    /// A fault that another process had.
    pub fn with_exit_code(exit_code: u8, sentence: impl Into<String>) -> Self {
        Self { exit_code: exit_code.max(1), sentence: sentence.into() }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let sentence = error.to_string();
        match error {
            StoreError::Locked(_) => Self::locked(sentence),
            StoreError::GenesisMismatch { .. } | StoreError::Corrupt { .. } | StoreError::Conflict { .. } => {
                Self::invalid(sentence)
            }
            error if error.is_retryable() => Self::try_later(sentence),
            _ => Self::failed(sentence),
        }
    }
}

/// An error of the operating system on a file, as a fault that says what to do.
pub fn file_fault(action: &str, path: &std::path::Path, error: &std::io::Error) -> Fault {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => Fault::not_found(format!("{path} does not exist: {action} needs it")),
        std::io::ErrorKind::PermissionDenied => {
            Fault::locked(format!("{path} may not be accessed: {action} needs it; check its owner and mode"))
        }
        _ => Fault::failed(format!("{path} cannot be used ({error}): {action} needs it")),
    }
}
