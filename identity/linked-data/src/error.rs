//! The one error of this crate.

/// Why a document is not linked data that can be signed, or why that could not be found out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkedDataError {
    /// A context that is not shipped and was not added. It is never fetched.
    #[error("the context `{0}` is not known here")]
    UnknownContext(String),
    /// A context that breaks the rules of JSON-LD 1.1.
    #[error("a context is invalid: {0}")]
    Context(&'static str),
    /// A context that changes the meaning of a protected term.
    #[error("a context redefines the protected term `{0}`")]
    Protected(String),
    /// A term that no context defines: signing would leave it out.
    #[error("the term `{0}` is not defined by the contexts")]
    UnknownTerm(String),
    /// A type that no context defines.
    #[error("a type is not defined by the contexts")]
    UnknownType,
    /// An identifier that is not an absolute IRI: signing would leave the statement out.
    #[error("`{0}` is not an absolute IRI")]
    Relative(&'static str),
    /// The document is not JSON-LD.
    #[error("not JSON-LD: {0}")]
    Document(&'static str),
    /// Larger or more entangled than is processed here.
    #[error("the document has too much {0}")]
    Excessive(&'static str),
    /// A selection names nothing.
    #[error("the pointer `{0}` names nothing in the document")]
    Pointer(String),
    /// A feature of JSON-LD that this crate does not have.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}

impl LinkedDataError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownContext(_) => "linked_data.unknown_context",
            Self::Context(_) => "linked_data.context",
            Self::Protected(_) => "linked_data.protected",
            Self::UnknownTerm(_) => "linked_data.unknown_term",
            Self::UnknownType => "linked_data.unknown_type",
            Self::Relative(_) => "linked_data.relative",
            Self::Document(_) => "linked_data.malformed",
            Self::Excessive(_) => "linked_data.excessive",
            Self::Pointer(_) => "linked_data.pointer",
            Self::Unsupported(_) => "linked_data.unsupported",
        }
    }

    /// True if nothing was decided: a context that is not there, a feature that is not there.
    pub fn is_undecided(&self) -> bool {
        matches!(self, Self::UnknownContext(_) | Self::Unsupported(_))
    }
}
