//! Why a DID does not resolve: the resolver knows that it must not ([`ResolveError::Refused`]), or it could
//! not find out ([`ResolveError::Unavailable`]). DID Resolution has one vocabulary for both, in which the
//! latter is an internal error; programs tell them apart by the type and by the code.

use aval_client::ClientError;
use aval_client::web::WebError;
use aval_did::resolution::{ResolutionError, ResolutionProblem};
use serde_json::Value;
use thiserror::Error;

/// A failed resolution.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ResolveError {
    /// Decided: there is no such document, or none that may be answered.
    #[error("{detail}")]
    Refused {
        /// The error of DID Resolution's vocabulary.
        error: ResolutionError,
        /// This one in words.
        detail: String,
        /// The ledger proof that it stands on, if it stands on one.
        proof: Option<Box<Value>>,
    },
    /// Not decided: what the answer depends on could not be had. It may be there later.
    #[error("{detail}")]
    Unavailable {
        /// A stable code.
        code: String,
        /// What is missing, in words.
        detail: String,
    },
}

impl ResolveError {
    /// A refusal in the words of its kind.
    pub fn refused(error: ResolutionError) -> Self {
        let detail = error.to_string();
        Self::Refused { error, detail, proof: None }
    }

    /// A refusal with its reason.
    pub fn because(error: ResolutionError, detail: impl Into<String>) -> Self {
        Self::Refused { error, detail: detail.into(), proof: None }
    }

    /// The document of this DID that was found breaks a rule.
    pub fn document(detail: impl Into<String>) -> Self {
        Self::because(ResolutionError::InvalidDidDocument, detail)
    }

    /// Whether the resolver knows the answer to be no.
    pub fn is_decided(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// A stable code for programs: the vocabulary's name, or what could not be had.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { error, .. } => error.name(),
            Self::Unavailable { code, .. } => code,
        }
    }

    /// The error of DID Resolution's vocabulary.
    pub fn kind(&self) -> ResolutionError {
        match self {
            Self::Refused { error, .. } => error.clone(),
            Self::Unavailable { .. } => ResolutionError::InternalError,
        }
    }

    /// The error as metadata hold it.
    pub fn problem(&self) -> ResolutionProblem {
        let mut problem = self.kind().problem();
        problem.detail = Some(match self {
            Self::Refused { detail, .. } => detail.clone(),
            Self::Unavailable { code, detail } => format!("{detail} ({code})"),
        });
        problem
    }

    /// The ledger proof that the refusal stands on.
    pub fn proof(&self) -> Option<&Value> {
        match self {
            Self::Refused { proof, .. } => proof.as_deref(),
            Self::Unavailable { .. } => None,
        }
    }
}

impl From<ClientError> for ResolveError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::NotFound(_) => Self::because(ResolutionError::NotFound, error.to_string()),
            _ => Self::Unavailable { code: error.code().to_owned(), detail: error.to_string() },
        }
    }
}

impl From<WebError> for ResolveError {
    fn from(error: WebError) -> Self {
        match &error {
            // Whoever asks learns nothing of the network that the resolver is in.
            WebError::Private(host) => {
                Self::because(ResolutionError::NotFound, format!("{host} is no host of the public Internet"))
            }
            WebError::Url(_) => Self::because(ResolutionError::InvalidDid, error.to_string()),
            WebError::TooLarge { .. } | WebError::Redirected(_) => Self::document(error.to_string()),
            _ => Self::Unavailable { code: error.code().to_owned(), detail: error.to_string() },
        }
    }
}
