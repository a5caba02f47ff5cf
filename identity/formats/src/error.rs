//! The one error of this crate. `code()` is stable and goes into answers and logs, so no variant carries a claim value.

use aval_linked_data::LinkedDataError;

/// Why something is refused, or could not be judged: see [`FormatError::is_undecided`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Larger, longer or deeper than is read here.
    #[error("the {0} is larger than allowed")]
    Oversized(&'static str),
    /// Cannot be read.
    #[error("malformed {part}: {reason}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// One object has a key twice.
    #[error("a duplicate key in the {0}")]
    DuplicateKey(&'static str),
    /// A number that implementations read differently.
    #[error("a number in the {0} that not every reader holds exactly")]
    Number(&'static str),
    /// Not a key.
    #[error("not a key: {0}")]
    Key(&'static str),
    /// A key of a type that is not known here.
    #[error("a key of a type that is not supported")]
    KeyUnsupported,
    /// A private key where a public one belongs.
    #[error("a private key where a public key belongs")]
    KeyPrivate,
    /// The document has no such verification method.
    #[error("the controller document has no such verification method")]
    Method,
    /// The method is not listed for the purpose.
    #[error("the controller document does not list the method for this purpose")]
    Purpose,
    /// The method was revoked or had expired at the time in question.
    #[error("the verification method is revoked or expired")]
    MethodExpired,
    /// Not a controller document, or one that contradicts itself.
    #[error("controller document: {0}")]
    Document(&'static str),
    /// An algorithm that is not allowed here or does not fit the key.
    #[error("the {0} is signed with an algorithm that is not allowed for it")]
    Algorithm(&'static str),
    /// A header member that must not be there or has the wrong value.
    #[error("the header of the {part} has {reason}")]
    Header {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The media type of the header is not the one that is expected.
    #[error("the {0} is of another type, or says none")]
    Type(&'static str),
    /// A critical extension that is not understood.
    #[error("the {0} demands an extension that is not understood")]
    Critical(&'static str),
    /// The signature does not verify.
    #[error("the signature of the {0} does not verify")]
    Signature(&'static str),
    /// Claims beside the credential that contradict it, or that must not be there.
    #[error("claims: {0}")]
    Claims(&'static str),
    /// A cryptosuite or proof type that is not known here.
    #[error("a proof of a kind that is not supported")]
    Suite,
    /// A proof is wanted and there is none.
    #[error("there is no proof")]
    ProofMissing,
    /// A proof that breaks the rules of its suite.
    #[error("the proof is malformed: {0}")]
    Proof(&'static str),
    /// A proof for another purpose.
    #[error("the proof is made for another purpose")]
    ProofPurpose,
    /// A proof that has expired.
    #[error("the proof has expired")]
    ProofExpired,
    /// A proof from the future.
    #[error("the proof is not made yet")]
    ProofNotYet,
    /// A proof for another challenge: a replay.
    #[error("the proof is made for another challenge")]
    Challenge,
    /// A proof for another domain: a replay.
    #[error("the proof is made for another domain")]
    Domain,
    /// `previousProof` names what is not there, or itself.
    #[error("`previousProof` names a proof that is not there")]
    PreviousProof,
    /// The contexts of a proof are not those of its document.
    #[error("the contexts of the proof are not those of the document")]
    ProofContext,
    /// A rule of the data model is broken.
    #[error("not a credential or presentation: {reason}")]
    Model {
        /// Which rule, as a code.
        code: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The beginning of validity lies in the future.
    #[error("it is not valid yet")]
    NotYetValid,
    /// The end of validity lies in the past.
    #[error("it has expired")]
    Expired,
    /// Disclosures do not fit what was signed.
    #[error("disclosures: {0}")]
    Disclosure(&'static str),
    /// A selection names what is not there.
    #[error("there is nothing to disclose at `{0}`")]
    Selection(String),
    /// Key binding is wanted and there is none.
    #[error("there is no key binding")]
    KeyBindingMissing,
    /// A key binding where none belongs.
    #[error("a key binding is not expected here")]
    KeyBindingUnexpected,
    /// The credential names no holder key that can be used.
    #[error("the credential names no usable holder key")]
    HolderKey,
    /// The key binding was made for other disclosures.
    #[error("the key binding was made for another presentation")]
    PresentationHash,
    /// Made for another nonce: a replay.
    #[error("it was made for another nonce")]
    Nonce,
    /// Made for another audience: a replay.
    #[error("it was made for another audience")]
    Audience,
    /// Older than allowed, or from the future.
    #[error("it is not fresh")]
    Stale,
    /// Linked data that cannot be processed.
    #[error(transparent)]
    LinkedData(#[from] LinkedDataError),
    /// A draft asks for something that cannot be made.
    #[error("cannot be made: {0}")]
    Draft(&'static str),
    /// The signer failed: a fault on our side.
    #[error("the key could not be used for signing: {0}")]
    Signer(String),
}

impl FormatError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Oversized(_) => "format.oversized",
            Self::Malformed { .. } => "format.malformed",
            Self::DuplicateKey(_) => "format.duplicate_key",
            Self::Number(_) => "format.number",
            Self::Key(_) => "key.malformed",
            Self::KeyUnsupported => "key.unsupported",
            Self::KeyPrivate => "key.private",
            Self::Method => "document.method",
            Self::Purpose => "document.purpose",
            Self::MethodExpired => "document.method_expired",
            Self::Document(_) => "document.malformed",
            Self::Algorithm(_) => "jose.algorithm",
            Self::Header { .. } => "jose.header",
            Self::Type(_) => "jose.type",
            Self::Critical(_) => "jose.critical",
            Self::Signature(_) => "signature",
            Self::Claims(_) => "jose.claims",
            Self::Suite => "proof.unsupported",
            Self::ProofMissing => "proof.missing",
            Self::Proof(_) => "proof.malformed",
            Self::ProofPurpose => "proof.purpose",
            Self::ProofExpired => "proof.expired",
            Self::ProofNotYet => "proof.not_yet",
            Self::Challenge => "proof.challenge",
            Self::Domain => "proof.domain",
            Self::PreviousProof => "proof.previous",
            Self::ProofContext => "proof.context",
            Self::Model { code, .. } => code,
            Self::NotYetValid => "credential.not_yet_valid",
            Self::Expired => "credential.expired",
            Self::Disclosure(_) => "sd_jwt.disclosure",
            Self::Selection(_) => "selection",
            Self::KeyBindingMissing => "key_binding.missing",
            Self::KeyBindingUnexpected => "key_binding.unexpected",
            Self::HolderKey => "key_binding.holder_key",
            Self::PresentationHash => "key_binding.presentation_hash",
            Self::Nonce => "key_binding.nonce",
            Self::Audience => "key_binding.audience",
            Self::Stale => "key_binding.stale",
            Self::LinkedData(error) => error.code(),
            Self::Draft(_) => "draft",
            Self::Signer(_) => "signer.failed",
        }
    }

    /// True if nothing was decided: what is asked for is not known here, or the fault is ours. All other errors are a
    /// verdict: the input is wrong.
    pub fn is_undecided(&self) -> bool {
        match self {
            Self::KeyUnsupported | Self::Suite | Self::Signer(_) => true,
            Self::LinkedData(error) => error.is_undecided(),
            _ => false,
        }
    }

    /// A part that cannot be read.
    pub fn malformed(part: &'static str, reason: impl ToString) -> Self {
        Self::Malformed { part, reason: reason.to_string() }
    }
}
