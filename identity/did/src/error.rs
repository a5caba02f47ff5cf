//! Why an operation on a DID is refused.

/// A refusal. `code()` is stable: it is answered over REST, written into receipts and listed in the specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DidError {
    /// The DID is already on the ledger.
    #[error("the DID already exists")]
    Exists,
    /// The DID is not on the ledger.
    #[error("the DID does not exist")]
    NotFound,
    /// The text is not a DID, or the identifier is not the one of this inception.
    #[error("not a valid did:aval identifier: {0}")]
    Invalid(&'static str),
    /// The DID belongs to another network.
    #[error("the DID is of another network")]
    Network,
    /// The operation names another version than the current one.
    #[error("the operation does not name the current version")]
    StaleVersion,
    /// A key is not a verification method of the document for this relationship.
    #[error("the key is not in the DID document for this relationship")]
    KeyNotInDocument,
    /// The control keys, or the signatures by them, are not as the rules ask.
    #[error("control: {0}")]
    Control(&'static str),
    /// The DID has been deactivated, which is final.
    #[error("the DID is deactivated")]
    Deactivated,
    /// The DID has used up its control-only operations for now.
    #[error("the DID has used up its rotations and deactivations for 24 hours")]
    Allowance,
    /// The document content is not as the rules ask.
    #[error("document: {0}")]
    Document(&'static str),
}

impl DidError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            DidError::Exists => "did.exists",
            DidError::NotFound => "did.not_found",
            DidError::Invalid(_) => "did.invalid",
            DidError::Network => "did.network",
            DidError::StaleVersion => "did.stale_version",
            DidError::KeyNotInDocument => "did.key_not_in_document",
            DidError::Control(_) => "did.control",
            DidError::Deactivated => "did.deactivated",
            DidError::Allowance => "did.allowance",
            DidError::Document(_) => "did.document",
        }
    }
}
