//! The answer: every check with what it looked at, and one of three verdicts.

use super::Kind;
use super::item::{Item, Role};
use crate::FormatError;
use crate::status::StatusError;
use crate::vcdm;
use serde_json::{Value, json};

/// A problem, with a stable code. Never holds a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The stable code.
    pub code: &'static str,
    /// What is wrong, in words.
    pub detail: String,
}

impl Problem {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The URL of the kind of problem: those of the W3C where there is one, else a URN of ours.
    pub fn problem_type(&self) -> String {
        const VCDM: &str = "https://www.w3.org/TR/vc-data-model#";
        const STATUS: &str = "https://www.w3.org/ns/credentials/status-list#";
        const SECURITY: &str = "https://w3id.org/security#";
        let (base, name) = match self.code {
            "format.malformed" | "format.duplicate_key" | "format.number" => (VCDM, "PARSING_ERROR"),
            "signature" => (VCDM, "CRYPTOGRAPHIC_SECURITY_ERROR"),
            "proof.challenge" => (SECURITY, "INVALID_CHALLENGE_ERROR"),
            "proof.domain" => (SECURITY, "INVALID_DOMAIN_ERROR"),
            "status.unavailable" => (STATUS, "STATUS_RETRIEVAL_ERROR"),
            "status.list_length" => (STATUS, "STATUS_LIST_LENGTH_ERROR"),
            "status.range" => (STATUS, "RANGE_ERROR"),
            "status.malformed" => (STATUS, "MALFORMED_VALUE_ERROR"),
            "status.purpose" | "status.other_list" | "status.issuer" => (STATUS, "STATUS_VERIFICATION_ERROR"),
            code if code.starts_with("data_model.") || code.starts_with("credential.") => {
                (VCDM, "MALFORMED_VALUE_ERROR")
            }
            code if code.starts_with("proof.") => (SECURITY, "PROOF_VERIFICATION_ERROR"),
            code => ("urn:aval:error:", code),
        };
        format!("{base}{name}")
    }

    /// As RFC 9457 writes it.
    pub fn to_json(&self) -> Value {
        json!({"type": self.problem_type(), "title": self.code, "code": self.code, "detail": self.detail})
    }
}

impl From<&FormatError> for Problem {
    fn from(error: &FormatError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<&StatusError> for Problem {
    fn from(error: &StatusError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// What came out of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not decide, but whoever relies on the answer should know.
    Warning(Problem),
    /// It does not hold: a verdict.
    Invalid(Problem),
    /// It could not be checked.
    Undecided(Problem),
}

impl From<FormatError> for Outcome {
    fn from(error: FormatError) -> Self {
        let problem = Problem::from(&error);
        if error.is_undecided() { Self::Undecided(problem) } else { Self::Invalid(problem) }
    }
}

impl From<StatusError> for Outcome {
    fn from(error: StatusError) -> Self {
        let problem = Problem::from(&error);
        if error.is_undecided() { Self::Undecided(problem) } else { Self::Invalid(problem) }
    }
}

/// One check of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which check; the table is in [`crate::verifier`].
    pub name: &'static str,
    /// Which part: `credential`, `presentation`, `presentation/credentials/0`, `credential/status/0/list`.
    pub part: String,
    /// What it looked at. Never holds a claim.
    pub looked_at: String,
    /// What came out.
    pub outcome: Outcome,
}

impl Check {
    fn to_json(&self) -> Value {
        let (outcome, problem) = match &self.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Warning(problem) => ("warning", Some(problem)),
            Outcome::Invalid(problem) => ("invalid", Some(problem)),
            Outcome::Undecided(problem) => ("undecided", Some(problem)),
        };
        let mut check =
            json!({"check": self.name, "part": self.part, "lookedAt": self.looked_at, "outcome": outcome});
        if let (Some(members), Some(problem)) = (check.as_object_mut(), problem) {
            members.insert("problem".to_owned(), problem.to_json());
        }
        check
    }
}

/// A credential of which every check passed.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedCredential {
    document: Value,
    issuer: String,
    format: &'static str,
}

impl VerifiedCredential {
    /// The credential of VCDM, or the processed claims of an SD-JWT VC.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// How it was secured: a cryptosuite, `vc+jwt`, `dc+sd-jwt`, ….
    pub fn format(&self) -> &'static str {
        self.format
    }
}

/// What was verified. Only a verification makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    holder: Option<String>,
    credentials: Vec<VerifiedCredential>,
}

impl Verified {
    /// Who presented, if the presentation is signed by a DID.
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// The credentials, in their order.
    pub fn credentials(&self) -> &[VerifiedCredential] {
        &self.credentials
    }
}

/// One of three.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every check passed, or gave a warning only.
    Verified(Verified),
    /// Decided: no. The problems that decided it come first; what could not be checked follows.
    Invalid(Vec<Problem>),
    /// Nothing speaks against it, but something could not be checked.
    Undecided(Vec<Problem>),
}

/// The answer of a verification.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Every check that was made, in order.
    pub checks: Vec<Check>,
    /// What came out of them together.
    pub verdict: Verdict,
}

impl Answer {
    /// True if every check passed.
    pub fn is_verified(&self) -> bool {
        matches!(self.verdict, Verdict::Verified(_))
    }

    /// `verified`, `invalid` or `undecided`.
    pub fn outcome(&self) -> &'static str {
        match self.verdict {
            Verdict::Verified(_) => "verified",
            Verdict::Invalid(_) => "invalid",
            Verdict::Undecided(_) => "undecided",
        }
    }

    /// Why it is not verified: empty if it is.
    pub fn errors(&self) -> &[Problem] {
        match &self.verdict {
            Verdict::Verified(_) => &[],
            Verdict::Invalid(problems) | Verdict::Undecided(problems) => problems,
        }
    }

    /// What whoever relies on it should know.
    pub fn warnings(&self) -> Vec<&Problem> {
        let warning = |check| match check {
            &Check { outcome: Outcome::Warning(ref problem), .. } => Some(problem),
            _ => None,
        };
        self.checks.iter().filter_map(warning).collect()
    }

    /// The exit code of a program that verifies: 0 verified, 3 invalid, 6 try again later.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Verified(_) => 0,
            Verdict::Invalid(_) => 3,
            Verdict::Undecided(_) => 6,
        }
    }

    /// `{verified, outcome, checks, warnings, errors}`.
    pub fn to_json(&self) -> Value {
        json!({
            "verified": self.is_verified(),
            "outcome": self.outcome(),
            "checks": self.checks.iter().map(Check::to_json).collect::<Vec<_>>(),
            "warnings": self.warnings().into_iter().map(Problem::to_json).collect::<Vec<_>>(),
            "errors": self.errors().iter().map(Problem::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Puts the answer together.
pub(super) fn judge(kind: Kind, items: Vec<Item>, mut checks: Vec<Check>) -> Answer {
    // An item that did not come to its end was never found good, whatever the reason.
    for item in items.iter().filter(|item| !item.is_done()) {
        let problem = Problem::new("verification.incomplete", "the verification did not come to its end");
        let outcome = Outcome::Undecided(problem);
        checks.push(Check {
            name: "complete",
            part: item.part().to_owned(),
            looked_at: String::new(),
            outcome,
        });
    }
    let with = |wanted: fn(&Outcome) -> Option<&Problem>| -> Vec<Problem> {
        checks.iter().filter_map(|check| wanted(&check.outcome).cloned()).collect()
    };
    let invalid = with(|outcome| match outcome {
        Outcome::Invalid(problem) => Some(problem),
        _ => None,
    });
    let undecided = with(|outcome| match outcome {
        Outcome::Undecided(problem) => Some(problem),
        _ => None,
    });
    let verdict = if !invalid.is_empty() {
        Verdict::Invalid([invalid, undecided].concat())
    } else if !undecided.is_empty() {
        Verdict::Undecided(undecided)
    } else {
        Verdict::Verified(verified(kind, items))
    };
    Answer { checks, verdict }
}

fn verified(kind: Kind, items: Vec<Item>) -> Verified {
    let holder = items
        .iter()
        .find(|item| matches!(item.role(), Role::Presentation) && kind == Kind::Presentation)
        .and_then(|item| item.signer().map(str::to_owned));
    let credentials = items.into_iter().filter(|item| matches!(item.role(), Role::Credential { .. }));
    let credential = |item: Item| {
        let (secured, issuer) = item.into_parts()?;
        let issuer = issuer.or_else(|| vcdm::issuer(&secured.document).map(str::to_owned))?;
        Some(VerifiedCredential { issuer, format: secured.format, document: secured.document })
    };
    Verified { holder, credentials: credentials.filter_map(credential).collect() }
}
