//! All checks of a verifier in one call.
//!
//! Two outcomes are kept apart. A [`Verdict`] is a decision: the checks that passed and the problems found; one
//! problem is enough for "no". A [`Failure`] is the absence of a decision, because the issuer's document could not
//! be had: the caller may try again, and must not treat it as either answer.

use crate::CredentialError;
use crate::presentation::Presentation;
use aval_did::key::PublicKey;

/// Whether and how the holder must have bound the presentation. Decided before the presentation is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyBindingPolicy<'a> {
    /// A verifier: the holder must have signed for this nonce and audience.
    Required {
        /// The nonce that the verifier gave out.
        nonce: &'a str,
        /// The verifier's own name.
        audience: &'a str,
        /// How old the signature may be.
        age_max_s: i64,
    },
    /// A holder who receives a credential: there must be no key binding (RFC 9901 section 7.2).
    Forbidden,
}

/// What the verifier expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation<'a> {
    /// The verifier's time, in unix seconds.
    pub now_s: i64,
    /// How far other clocks may be off.
    pub clock_skew_s: i64,
    /// The rule for key binding.
    pub key_binding: KeyBindingPolicy<'a>,
}

/// One thing that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The serialization, the disclosures and the data model.
    Structure,
    /// The signing key is an assertion method of the issuer.
    IssuerKey,
    /// The issuer's signature.
    IssuerSignature,
    /// `validFrom`, `validUntil`, `nbf` and `exp`.
    Validity,
    /// There is a key binding, or none, as expected.
    KeyBindingPolicy,
    /// The key binding's signature, presentation hash, nonce and audience.
    KeyBinding,
    /// The age of the key binding.
    Freshness,
}

impl Check {
    /// The stable name of the check.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::IssuerKey => "issuer_key",
            Self::IssuerSignature => "issuer_signature",
            Self::Validity => "validity",
            Self::KeyBindingPolicy => "key_binding_policy",
            Self::KeyBinding => "key_binding",
            Self::Freshness => "freshness",
        }
    }
}

/// A check that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which check.
    pub check: Check,
    /// Why.
    pub error: CredentialError,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The checks that passed.
    pub checks: Vec<Check>,
    /// The checks that did not; empty means valid.
    pub errors: Vec<Problem>,
    /// What this verifier did not look at, as stable codes. `status.unchecked`: the credential has a status entry,
    /// and the caller must ask the registry.
    pub warnings: Vec<&'static str>,
}

impl Verdict {
    /// Whether every check passed.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// The first problem, as an error.
    pub fn into_result(self) -> Result<(), CredentialError> {
        match self.errors.into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(problem.error),
        }
    }

    /// The verdict on bytes that do not even parse.
    pub fn malformed(error: CredentialError) -> Self {
        Self {
            checks: Vec::new(),
            errors: vec![Problem { check: Check::Structure, error }],
            warnings: Vec::new(),
        }
    }

    fn note(&mut self, check: Check, outcome: Result<(), CredentialError>) {
        match outcome {
            Ok(()) => self.checks.push(check),
            Err(error) => self.errors.push(Problem { check, error }),
        }
    }
}

/// No decision was reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The issuer's document could not be had. Trying again may help.
    #[error("the issuer's keys could not be had: {0}")]
    Resolution(String),
}

impl Failure {
    /// The stable code of the failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Resolution(_) => "verify.resolution",
        }
    }
}

/// Decides about a presentation. `assertion_key` is given the issuer's DID and the `kid`; it answers with the key
/// if the issuer's current document lists that method for assertion, with `None` if it does not (or is
/// deactivated), and with an error text if it cannot tell.
pub fn verify(
    presentation: &Presentation,
    expectation: &Expectation<'_>,
    assertion_key: impl FnOnce(&str, &str) -> Result<Option<PublicKey>, String>,
) -> Result<Verdict, Failure> {
    let mut verdict = Verdict { checks: vec![Check::Structure], errors: Vec::new(), warnings: Vec::new() };
    let key = assertion_key(presentation.issuer(), presentation.issuer_kid()).map_err(Failure::Resolution)?;
    match &key {
        None => verdict.note(Check::IssuerKey, Err(CredentialError::UnknownKey)),
        Some(key) => {
            verdict.note(Check::IssuerKey, Ok(()));
            verdict.note(Check::IssuerSignature, presentation.verify_issuer_signature(key));
        }
    }
    let validity = presentation.credential().check_time(expectation.now_s, expectation.clock_skew_s);
    verdict.note(Check::Validity, validity);
    check_key_binding(&mut verdict, presentation, expectation);
    if !presentation.status().is_empty() {
        verdict.warnings.push("status.unchecked");
    }
    Ok(verdict)
}

fn check_key_binding(verdict: &mut Verdict, presentation: &Presentation, expectation: &Expectation<'_>) {
    match (expectation.key_binding, presentation.key_binding()) {
        (KeyBindingPolicy::Forbidden, None) => verdict.note(Check::KeyBindingPolicy, Ok(())),
        (KeyBindingPolicy::Forbidden, Some(_)) => {
            verdict.note(Check::KeyBindingPolicy, Err(CredentialError::KeyBindingUnexpected));
        }
        (KeyBindingPolicy::Required { .. }, None) => {
            verdict.note(Check::KeyBindingPolicy, Err(CredentialError::KeyBindingMissing));
        }
        (KeyBindingPolicy::Required { nonce, audience, age_max_s }, Some(key_binding)) => {
            verdict.note(Check::KeyBindingPolicy, Ok(()));
            verdict.note(Check::KeyBinding, presentation.verify_key_binding(nonce, audience));
            let fresh = key_binding.check_time(expectation.now_s, age_max_s, expectation.clock_skew_s);
            verdict.note(Check::Freshness, fresh);
        }
    }
}
