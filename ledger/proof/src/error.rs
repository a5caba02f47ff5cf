//! Why a proof does not prove. Malformed (cannot be read) and invalid (read, and wrong) are kept apart, because a tool
//! answers them differently.

/// A proof that is malformed, or was checked and does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The proof cannot be read.
    #[error("the proof is malformed: {0}")]
    Malformed(String),
    /// The trust anchor cannot be used.
    #[error("the trust anchor cannot be used: {0}")]
    Anchor(String),
    /// The proof is about another network.
    #[error("the proof is about another network")]
    Network,
    /// The headers do not follow upon each other.
    #[error("the headers do not connect: {0}")]
    Path(&'static str),
    /// The certified header names a validator set that the anchor does not know.
    #[error("the validator set is not the one that the trust anchor knows")]
    ValidatorSet,
    /// The certificate does not hold.
    #[error("the certificate does not hold: {0}")]
    Certificate(&'static str),
    /// The state proof does not hold.
    #[error("the state proof does not hold: {0}")]
    State(&'static str),
    /// The receipt proof does not hold.
    #[error("the receipt proof does not hold: {0}")]
    Receipt(&'static str),
    /// The bundle of an audit does not hold.
    #[error("the bundle does not hold: {0}")]
    Audit(&'static str),
    /// The proof stands on a block before the checkpoint.
    #[error("the answer is older than the checkpoint")]
    Behind,
    /// The proof stands on a certified block that contradicts the checkpoint: validators signed two histories.
    #[error("the answer contradicts the checkpoint: the validators have signed two histories")]
    Fork,
    /// The proof holds, and is about something else than was asked.
    #[error("the proof is about something else: {0}")]
    Subject(&'static str),
}

impl ProofError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "proof.malformed",
            Self::Anchor(_) => "proof.anchor",
            Self::Network => "proof.network",
            Self::Path(_) => "proof.path",
            Self::ValidatorSet => "proof.validator_set",
            Self::Certificate(_) => "proof.certificate",
            Self::State(_) => "proof.state",
            Self::Receipt(_) => "proof.receipt",
            Self::Audit(_) => "proof.audit",
            Self::Behind => "proof.behind",
            Self::Fork => "proof.fork",
            Self::Subject(_) => "proof.subject",
        }
    }

    /// Whether the proof was read and found wrong, as opposed to unreadable input.
    pub const fn is_invalid(&self) -> bool {
        !matches!(self, Self::Malformed(_) | Self::Anchor(_))
    }
}
