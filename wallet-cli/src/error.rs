//! Failures of a command, each with a code, an exit code and, where there is one, a way on.
//!
//! Exit codes (design section 6): 0 ok · 1 failed · 2 usage · 3 verified and invalid · 4 locked or unauthorized ·
//! 5 not found · 6 try later.

use std::io;

use aval_client::ClientError;
use aval_types::Reject;
use thiserror::Error;

use crate::vault::VaultError;

/// Why a command did not do what it was asked to do. No variant carries a secret or a claim.
#[derive(Debug, Error)]
pub enum WalletError {
    /// The arguments do not make sense together.
    #[error("{0}")]
    Usage(String),
    /// The person said no.
    #[error("nothing was done, because you did not agree")]
    Declined,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The ledger, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The issuer, or the way to it.
    #[error("{message}")]
    Issuer {
        /// The stable code.
        code: String,
        /// What happened.
        message: String,
        /// Whether it may work later.
        retryable: bool,
    },
    /// Something received was checked, and is not what it claims to be.
    #[error("{message}")]
    Invalid {
        /// The stable code.
        code: &'static str,
        /// Which check failed.
        message: String,
    },
    /// The ledger decided against a transaction.
    #[error("the ledger refused transaction {transaction}: {reason}")]
    Refused {
        /// The transaction.
        transaction: String,
        /// The code of the rule.
        code: String,
        /// The rule in a sentence.
        reason: String,
    },
    /// There is no such thing in the vault or the profile.
    #[error("{0}")]
    NotFound(String),
    /// The outcome of a transaction is open.
    #[error("{0}")]
    TryLater(String),
    /// The ledger would not allow this with what is in the vault.
    #[error("{message}")]
    Unauthorized {
        /// The stable code, that of the ledger's rule where it is one.
        code: &'static str,
        /// What is missing.
        message: String,
    },
    /// A file.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else that keeps the command from working.
    #[error("{0}")]
    Failed(String),
}

impl WalletError {
    /// A failed operation on a file.
    pub fn io(action: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    /// Something that the ledger would refuse for want of authorization.
    pub fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::Unauthorized { code, message: message.into() }
    }

    /// A stable code for programs.
    pub fn code(&self) -> &str {
        match self {
            Self::Usage(_) => "usage",
            Self::Declined => "declined",
            Self::Vault(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::Issuer { code, .. } | Self::Refused { code, .. } => code,
            Self::Invalid { code, .. } | Self::Unauthorized { code, .. } => code,
            Self::NotFound(_) => "not_found",
            Self::TryLater(_) => "try_later",
            Self::Io { .. } => "io",
            Self::Failed(_) => "failed",
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Invalid { .. } => 3,
            Self::Unauthorized { .. } => 4,
            Self::NotFound(_) => 5,
            Self::TryLater(_) => 6,
            Self::Issuer { retryable: true, .. } => 6,
            Self::Refused { code, .. } => exit_code_of_refusal(code),
            Self::Vault(error) => match error {
                VaultError::Passphrase | VaultError::NoPassphrase(_) | VaultError::WeakPassphrase { .. } => 4,
                VaultError::NotFound(_) => 5,
                VaultError::Locked(_) | VaultError::Exchanged(_) => 6,
                _ => 1,
            },
            Self::Client(error) => match error {
                ClientError::Refused(problem) => exit_code_of_refusal(&problem.code),
                ClientError::NotFound(_) => 5,
                ClientError::Failed(problem) if matches!(problem.http_status, 401 | 403) => 4,
                ClientError::Address { .. } | ClientError::Request(_) => 2,
                error if error.is_verified_invalid() => 3,
                error if error.is_retryable() => 6,
                _ => 1,
            },
            Self::Declined | Self::Issuer { .. } | Self::Io { .. } | Self::Failed(_) => 1,
        }
    }

    /// Whether the same command may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.exit_code() == 6
    }

    /// What the person can do.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Refused { code, .. } => return help_of_refusal(code),
            Self::Client(ClientError::Refused(problem)) => return help_of_refusal(&problem.code),
            Self::Client(ClientError::Unreachable { .. } | ClientError::Timeout { .. }) => {
                "check that the node runs and that --node or the profile names its address"
            }
            Self::Client(ClientError::Behind { .. }) => {
                "wait until the node has caught up, or ask another node"
            }
            Self::Client(ClientError::TwoHistories { .. }) => {
                "do not use this network until its operators have explained it; keep the wallet's checkpoint file"
            }
            Self::Client(error) if error.is_verified_invalid() => {
                "do not trust this answer; ask another node, and tell the operator of this one"
            }
            Self::Vault(VaultError::Passphrase) => "try again; without it only the 24 words help",
            Self::Vault(VaultError::Locked(_)) => "wait for the other wallet process",
            _ => return None,
        };
        Some(help.to_owned())
    }
}

/// A refusal for want of authorization exits with 4, any other with 1.
fn exit_code_of_refusal(code: &str) -> u8 {
    match Reject::from_code(code).map(|reject| reject.http_status()) {
        Some(401 | 403) => 4,
        _ => 1,
    }
}

fn help_of_refusal(code: &str) -> Option<String> {
    Reject::from_code(code).map(|reject| reject.help().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> WalletError {
        WalletError::Refused { transaction: "00".to_owned(), code: code.to_owned(), reason: String::new() }
    }

    #[test]
    fn a_refusal_for_want_of_authorization_exits_with_4_and_any_other_with_1() {
        for code in
            ["grant.required", "grant.revoked", "credential.revoked", "did.control", "transaction.signature"]
        {
            assert_eq!(refused(code).exit_code(), 4, "{code}");
        }
        for code in ["did.stale_version", "transaction.duplicate", "did.document", "a code from the future"] {
            assert_eq!(refused(code).exit_code(), 1, "{code}");
        }
    }

    #[test]
    fn every_refusal_that_is_known_says_what_to_do() {
        for reject in Reject::ALL {
            assert!(refused(reject.code()).help().is_some_and(|help| !help.is_empty()), "{}", reject.code());
        }
    }
}
