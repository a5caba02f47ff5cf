//! The one error of this crate. Each variant says what a credential got wrong; `code()` is stable and goes into
//! answers and logs, so no variant carries a claim value.

/// Why a credential or presentation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Larger than the limits of the reader allow.
    #[error("the {0} is larger than allowed")]
    Oversized(&'static str),
    /// Not the serialization of RFC 9901: wrong parts, bad base64url, bad JSON.
    #[error("malformed {part}: {reason}")]
    Malformed {
        /// Which part could not be read.
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The header of a JWS is not one this crate accepts.
    #[error("the header of the {part} has {reason}")]
    Header {
        /// Which JWS.
        part: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An `alg` that is not EdDSA or ES256, or that does not fit the key.
    #[error("the {0} is signed with an algorithm that is not allowed for it")]
    Algorithm(&'static str),
    /// The disclosures do not fit the signed payload (RFC 9901 section 7.1).
    #[error("disclosures: {0}")]
    Disclosure(&'static str),
    /// The processed payload is not a credential of VCDM 2.0.
    #[error("not a credential: {0}")]
    NotACredential(&'static str),
    /// A member that decides validity is selectively disclosable.
    #[error("`{0}` must not be selectively disclosable")]
    Concealed(&'static str),
    /// The signature does not verify.
    #[error("the signature of the {0} does not verify")]
    Signature(&'static str),
    /// The `kid` is not a key of the credential's issuer.
    #[error("the key named by the credential is not a key of its issuer")]
    ForeignKey,
    /// The issuer's document does not name the key as an assertion method.
    #[error("the issuer does not use this key to issue credentials")]
    UnknownKey,
    /// Key binding is wanted and there is none.
    #[error("there is no key binding")]
    KeyBindingMissing,
    /// Key binding is not wanted here and there is one.
    #[error("a key binding is not expected here")]
    KeyBindingUnexpected,
    /// The credential names no holder key that this crate can use.
    #[error("the credential names no usable holder key")]
    HolderKey,
    /// The key binding was made for another set of disclosures.
    #[error("the key binding was made for another presentation")]
    PresentationHash,
    /// The key binding was made for another nonce: a replay.
    #[error("the key binding was made for another nonce")]
    Nonce,
    /// The key binding was made for another audience: a replay.
    #[error("the key binding was made for another audience")]
    Audience,
    /// The key binding is older than allowed, from the future, or outside its own window.
    #[error("the key binding is not fresh")]
    Stale,
    /// `validFrom` lies in the future.
    #[error("the credential is not valid yet")]
    NotYetValid,
    /// `validUntil` lies in the past.
    #[error("the credential has expired")]
    Expired,
    /// A draft asks for something that cannot be issued.
    #[error("cannot issue: {0}")]
    Draft(&'static str),
    /// The key did not sign.
    #[error(transparent)]
    Signer(#[from] aval_did::key::SignerError),
    /// A holder's selection names a disclosure that the credential does not have.
    #[error("the credential has no disclosure for `{0}`")]
    Selection(String),
}

impl CredentialError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Oversized(_) => "credential.oversized",
            Self::Malformed { .. } => "credential.malformed",
            Self::Header { .. } => "credential.header",
            Self::Algorithm(_) => "credential.algorithm",
            Self::Disclosure(_) => "credential.disclosure",
            Self::NotACredential(_) => "credential.data_model",
            Self::Concealed(_) => "credential.concealed",
            Self::Signature(_) => "credential.signature",
            Self::ForeignKey => "credential.foreign_key",
            Self::UnknownKey => "credential.unknown_key",
            Self::KeyBindingMissing => "key_binding.missing",
            Self::KeyBindingUnexpected => "key_binding.unexpected",
            Self::HolderKey => "key_binding.holder_key",
            Self::PresentationHash => "key_binding.presentation_hash",
            Self::Nonce => "key_binding.nonce",
            Self::Audience => "key_binding.audience",
            Self::Stale => "key_binding.stale",
            Self::NotYetValid => "credential.not_yet_valid",
            Self::Expired => "credential.expired",
            Self::Draft(_) => "credential.draft",
            Self::Signer(_) => "credential.signer",
            Self::Selection(_) => "credential.selection",
        }
    }

    /// A part that cannot be read.
    pub fn malformed(part: &'static str, reason: impl ToString) -> Self {
        Self::Malformed { part, reason: reason.to_string() }
    }
}
