//! Proofs as data: what a signer asks for, what a verifier reads, what it checks beside the signature.

use super::Suite;
use crate::FormatError;
use crate::date::{self, Rounding};
use serde_json::{Map, Value};

const PROOF_TYPE: &str = "DataIntegrityProof";

/// What a proof shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofOptions {
    /// The cryptosuite.
    pub suite: Suite,
    /// The proof's own identifier; proofs in a chain need one.
    pub id: Option<String>,
    /// The URL of the key.
    pub verification_method: String,
    /// `assertionMethod` for credentials, `authentication` for presentations.
    pub proof_purpose: String,
    /// When it is made, as `xsd:dateTimeStamp`.
    pub created: Option<String>,
    /// When it ends, as `xsd:dateTimeStamp`.
    pub expires: Option<String>,
    /// What the verifier asked for.
    pub challenge: Option<String>,
    /// For whom it is made.
    pub domain: Vec<String>,
    /// Noise against correlation.
    pub nonce: Option<String>,
    /// The proofs of the document that this one builds on.
    pub previous_proof: Vec<String>,
    /// For selective disclosure: JSON pointers to what the holder must always show.
    pub mandatory_pointers: Vec<String>,
}

impl ProofOptions {
    /// A proof with nothing but what it must have.
    pub fn new(suite: Suite, verification_method: &str, proof_purpose: &str) -> Self {
        Self {
            suite,
            id: None,
            verification_method: verification_method.to_owned(),
            proof_purpose: proof_purpose.to_owned(),
            created: None,
            expires: None,
            challenge: None,
            domain: Vec::new(),
            nonce: None,
            previous_proof: Vec::new(),
            mandatory_pointers: Vec::new(),
        }
    }

    /// The proof's members, but for its value.
    pub(super) fn to_members(&self) -> Result<Map<String, Value>, FormatError> {
        let mut members = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        };
        match self.suite {
            Suite::Ed25519Signature2020 => put("type", Some(self.suite.name())),
            _ => {
                put("type", Some(PROOF_TYPE));
                put("cryptosuite", Some(self.suite.name()));
            }
        }
        put("id", self.id.as_deref());
        put("created", self.created.as_deref());
        put("expires", self.expires.as_deref());
        put("verificationMethod", Some(&self.verification_method));
        put("proofPurpose", Some(&self.proof_purpose));
        put("challenge", self.challenge.as_deref());
        put("nonce", self.nonce.as_deref());
        for (name, values) in [("domain", &self.domain), ("previousProof", &self.previous_proof)] {
            let value = match values.as_slice() {
                [] => continue,
                [one] => Value::String(one.clone()),
                several => several.iter().cloned().map(Value::String).collect(),
            };
            members.insert(name.to_owned(), value);
        }
        // What it says about itself must be readable by whoever verifies.
        let mut whole = members.clone();
        whole.insert("proofValue".to_owned(), Value::String("z1".to_owned()));
        Proof::read(&Value::Object(whole)).map_err(|error| match error {
            FormatError::Proof(reason) => FormatError::Draft(reason),
            other => other,
        })?;
        Ok(members)
    }
}

/// A proof of a document, read but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    /// As it stands in the document.
    pub value: &'a Value,
    /// Its cryptosuite.
    pub suite: Suite,
    /// The URL of the key.
    pub verification_method: &'a str,
    /// What it is for.
    pub proof_purpose: &'a str,
    /// When it was made, in unix seconds.
    pub created_s: Option<i64>,
    /// When it ends, in unix seconds.
    pub expires_s: Option<i64>,
    /// What the verifier had asked for.
    pub challenge: Option<&'a str>,
    /// For whom it was made.
    pub domain: Vec<&'a str>,
    /// The proofs that it builds on.
    pub previous_proof: Vec<&'a str>,
}

/// What a verifier wants a proof to say. What it leaves open is not looked at, but for the dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected<'a> {
    /// `assertionMethod`, `authentication`, ….
    pub purpose: &'a str,
    /// The challenge that was given out. A proof for a challenge nobody here gave out is a replay.
    pub challenge: Option<&'a str>,
    /// The verifier's own name.
    pub domain: Option<&'a str>,
    /// Now, in unix seconds.
    pub now_s: i64,
    /// How far clocks may be apart.
    pub skew_s: i64,
}

impl<'a> Proof<'a> {
    /// Reads a proof. Data Integrity 1.0 section 2.1.
    pub fn read(value: &'a Value) -> Result<Self, FormatError> {
        let members = value.as_object().ok_or(FormatError::Proof("it is not an object"))?;
        let text = |name: &str, wrong: &'static str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
            Some(_) => Err(FormatError::Proof(wrong)),
        };
        let kind = text("type", "its `type` is not one name")?;
        let suite = text("cryptosuite", "its `cryptosuite` is not a name")?;
        let suite = match (kind, suite) {
            (Some(PROOF_TYPE), Some(name)) => {
                Suite::from_name(name).filter(|suite| *suite != Suite::Ed25519Signature2020)
            }
            (Some(PROOF_TYPE), None) => return Err(FormatError::Proof("it has no `cryptosuite`")),
            (Some("Ed25519Signature2020"), None) => Some(Suite::Ed25519Signature2020),
            (Some(_), _) => None,
            (None, _) => return Err(FormatError::Proof("it has no `type`")),
        };
        let suite = suite.ok_or(FormatError::Suite)?;
        let id = text("id", "its `id` is not a URL")?;
        if id.is_some_and(|id| !id.contains(':')) {
            return Err(FormatError::Proof("its `id` is not a URL"));
        }
        let verification_method = text("verificationMethod", "its `verificationMethod` is not a URL")?
            .filter(|method| method.contains(':'))
            .ok_or(FormatError::Proof("it has no `verificationMethod` that is a URL"))?;
        let proof_purpose = text("proofPurpose", "its `proofPurpose` is not a name")?
            .ok_or(FormatError::Proof("it has no `proofPurpose`"))?;
        text("proofValue", "its `proofValue` is not text")?
            .ok_or(FormatError::Proof("it has no `proofValue`"))?;
        let date = |name: &str, wrong: &'static str, rounding| match text(name, wrong)? {
            None => Ok(None),
            Some(text) => date::parse(text, rounding).map(Some).ok_or(FormatError::Proof(wrong)),
        };
        let list =
            |name: &str, wrong: &'static str| texts(members.get(name)).ok_or(FormatError::Proof(wrong));
        text("nonce", "its `nonce` is not text")?;
        Ok(Self {
            value,
            suite,
            verification_method,
            proof_purpose,
            created_s: date("created", "its `created` is not an xsd:dateTimeStamp", Rounding::Down)?,
            expires_s: date("expires", "its `expires` is not an xsd:dateTimeStamp", Rounding::Down)?,
            challenge: text("challenge", "its `challenge` is not text")?,
            domain: list("domain", "its `domain` is not text or a list of it")?,
            previous_proof: list("previousProof", "its `previousProof` is not a URL or a list of them")?,
        })
    }

    /// Checks all that a proof says beside its signature.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), FormatError> {
        if self.proof_purpose != expected.purpose {
            return Err(FormatError::ProofPurpose);
        }
        let latest_s = expected.now_s.saturating_add(expected.skew_s);
        if self.created_s.is_some_and(|created| created > latest_s) {
            return Err(FormatError::ProofNotYet);
        }
        let earliest_s = expected.now_s.saturating_sub(expected.skew_s);
        if self.expires_s.is_some_and(|expires| earliest_s >= expires) {
            return Err(FormatError::ProofExpired);
        }
        if expected.challenge.is_some() && self.challenge != expected.challenge {
            return Err(FormatError::Challenge);
        }
        if expected.domain.is_some_and(|domain| !self.domain.contains(&domain)) {
            return Err(FormatError::Domain);
        }
        Ok(())
    }
}

/// One text or a list of texts; none if the member is not there; `None` if it is anything else.
pub(super) fn texts(member: Option<&Value>) -> Option<Vec<&str>> {
    match member {
        None => Some(Vec::new()),
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
        Some(_) => None,
    }
}
