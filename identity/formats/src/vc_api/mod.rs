//! Requests and answers of VC-API (VCALM 1.0) for issuers and verifiers, without HTTP: bytes in, status and JSON out.
//!
//! | endpoint | read by | answered by |
//! |---|---|---|
//! | `POST /credentials/verify` | [`VerifyRequest::credential`] | [`VerifyRequest::reply`]: 200, 400, 422 |
//! | `POST /presentations/verify` | [`VerifyRequest::presentation`] | the same, but 200 for a verdict |
//! | `POST /credentials/issue` | [`IssueRequest::read`] | [`issued`]: 201 |
//! | `POST /credentials/derive` | [`DeriveRequest::read`] | [`issued`]: 201 |
//! | `POST /credentials/status` | [`StatusRequest::read`] | 200, an empty body |
//!
//! 422 says that something could not be reached. VCALM leaves open which status a credential that is not verified
//! gets; the public suite for verifiers wants an
//! error,
//! so it is 400. For presentations VCALM asks for 200 once the verification came to its end, and 400 if it could not
//! begin. Expiry and status are errors here and never mere warnings. An unknown option is refused
//! (`UNKNOWN_OPTION_PROVIDED`); `checks`, which older clients send, is read, and never makes fewer checks.

#[cfg(test)]
mod tests;

use crate::FormatError;
use crate::date;
use crate::json::{self, Limits};
use crate::status::{BitstringEntry, StatusError, bitstring};
use crate::vcdm::{self, Version};
use crate::verifier::{Answer, Check, Expectation, Input, Kind, Outcome, Problem, Verification};
use serde_json::{Map, Value, json};

/// Longest challenge, domain or identifier that is read, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// An answer for HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The JSON body.
    pub body: Value,
}

/// Why a request is refused before anything was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not JSON of the allowed size, or what is in it breaks a rule of its format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A status entry breaks a rule.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// A member is missing or of the wrong kind.
    #[error("the request: {0}")]
    Member(&'static str),
    /// An option or a member that is not known here.
    #[error("the request has an option or member that is not known here")]
    UnknownOption,
}

impl RequestError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format(error) => error.code(),
            Self::Status(error) => error.code(),
            Self::Member(_) => "request.member",
            Self::UnknownOption => "request.unknown_option",
        }
    }

    /// The answer: 413 for what is too large, else 400, with a problem of RFC 9457. No verification has taken place.
    pub fn reply(&self) -> Reply {
        let status = if matches!(self, Self::Format(FormatError::Oversized(_))) { 413 } else { 400 };
        let kind = match self {
            Self::UnknownOption => "https://www.w3.org/TR/vcalm#UNKNOWN_OPTION_PROVIDED".to_owned(),
            Self::Format(FormatError::Malformed { .. }) => {
                "https://www.w3.org/TR/vc-data-model#PARSING_ERROR".to_owned()
            }
            other => format!("urn:aval:error:{}", other.code()),
        };
        let problem = json!({"type": kind, "title": self.code(), "code": self.code(), "detail": self.to_string(), "status": status});
        let mut body = problem.clone();
        if let Some(members) = body.as_object_mut() {
            members.insert("verified".to_owned(), false.into());
            members.insert("problemDetails".to_owned(), json!([problem]));
            members.insert("errors".to_owned(), json!([problem]));
        }
        Reply { status, body }
    }
}

/// A request to verify.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyRequest {
    kind: Kind,
    input: Input,
    unsigned: bool,
    challenge: Option<String>,
    domain: Option<String>,
    problem_details: bool,
    results: bool,
    echo: bool,
}

impl VerifyRequest {
    /// Reads the body of `POST /credentials/verify`.
    pub fn credential(body: &[u8], limits: Limits) -> Result<Self, RequestError> {
        let mut members = json::parse_object(body, "request", limits)?;
        let credential = members.remove("verifiableCredential");
        let credential = credential.ok_or(RequestError::Member("`verifiableCredential` is missing"))?;
        Self::read(Kind::Credential, input(credential)?, false, members)
    }

    /// Reads the body of `POST /presentations/verify`; `presentation` instead of `verifiablePresentation` is one that
    /// nobody signed.
    pub fn presentation(body: &[u8], limits: Limits) -> Result<Self, RequestError> {
        let mut members = json::parse_object(body, "request", limits)?;
        let (presentation, unsigned) =
            match (members.remove("verifiablePresentation"), members.remove("presentation")) {
                (Some(signed), None) => (signed, false),
                (None, Some(unsigned)) => (unsigned, true),
                _ => {
                    return Err(RequestError::Member(
                        "`verifiablePresentation` or `presentation`, one of them",
                    ));
                }
            };
        Self::read(Kind::Presentation, input(presentation)?, unsigned, members)
    }

    fn read(
        kind: Kind,
        input: Input,
        unsigned: bool,
        mut members: Map<String, Value>,
    ) -> Result<Self, RequestError> {
        let options = match members.remove("options") {
            None => Map::new(),
            Some(Value::Object(options)) => options,
            Some(_) => return Err(RequestError::Member("`options` is not an object")),
        };
        if !members.is_empty() {
            return Err(RequestError::UnknownOption);
        }
        let echo = if kind == Kind::Credential { "returnCredential" } else { "returnPresentation" };
        for (name, value) in &options {
            match name.as_str() {
                "challenge" | "domain" => {}
                "checks" => checks(value)?,
                name if name == echo || name == "returnProblemDetails" || name == "returnResults" => {}
                _ => return Err(RequestError::UnknownOption),
            }
        }
        Ok(Self {
            kind,
            input,
            unsigned,
            challenge: text(&options, "challenge")?,
            domain: text(&options, "domain")?,
            problem_details: flag(&options, "returnProblemDetails")?.unwrap_or(true),
            results: flag(&options, "returnResults")?.unwrap_or(false),
            echo: flag(&options, echo)?.unwrap_or(false),
        })
    }

    /// The challenge that the client gave, to be counted by whoever gave it out.
    pub fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// Begins the verification, with what the verifier expects besides.
    pub fn start(&self, expectation: Expectation) -> Verification {
        let expectation = Expectation {
            challenge: self.challenge.clone().or(expectation.challenge.clone()),
            domain: self.domain.clone().or(expectation.domain.clone()),
            signed_presentation: !self.unsigned,
            ..expectation
        };
        Verification::new(self.kind, &self.input, expectation)
    }

    /// The answer for HTTP.
    pub fn reply(&self, answer: &Answer) -> Reply {
        let mut body = answer.to_json();
        let Some(members) = body.as_object_mut() else { return Reply { status: self.status(answer), body } };
        if self.problem_details {
            let problems = answer.errors().iter().chain(answer.warnings()).map(Problem::to_json);
            members.insert("problemDetails".to_owned(), problems.collect());
        }
        if self.results {
            members.insert("results".to_owned(), self.to_results(answer));
        }
        if self.echo {
            let name = if self.kind == Kind::Credential { "credential" } else { "verifiablePresentation" };
            let value = match &self.input {
                Input::Json(document) => document.clone(),
                Input::Text(text) => Value::String(text.clone()),
                // A request in JSON holds nothing binary.
                Input::Binary(_) => Value::Null,
            };
            members.insert(name.to_owned(), value);
        }
        Reply { status: self.status(answer), body }
    }

    fn status(&self, answer: &Answer) -> u16 {
        let is_shape = |check: &&Check| {
            check.part == "presentation"
                && matches!(check.name, "format" | "data_model")
                && matches!(check.outcome, Outcome::Invalid(_) | Outcome::Undecided(_))
        };
        if answer.is_verified() {
            return 200;
        }
        if self.kind == Kind::Presentation {
            return if answer.checks.iter().any(|check| is_shape(&check)) { 400 } else { 200 };
        }
        let unreachable = answer.outcome() == "undecided"
            && answer.errors().iter().all(|problem| problem.code.ends_with(".unavailable"));
        if unreachable { 422 } else { 400 }
    }

    /// The results of VCALM, by members of the data model.
    fn to_results(&self, answer: &Answer) -> Value {
        let of = |part: &str, names: &[&str]| -> Value {
            let checks =
                answer.checks.iter().filter(|check| check.part == part && names.contains(&check.name));
            checks.map(result).collect()
        };
        let credential = |part: &str| {
            json!({
                "validity": of(part, &["dates"]),
                "credentialSchema": of(part, &["schema"]),
                "credentialStatus": of(part, &["status"]),
                "proof": of(part, &["key_control", "key_purpose", "key_now", "key_at_signing", "signature"]),
            })
        };
        if self.kind == Kind::Credential {
            return credential("credential");
        }
        let mut parts: Vec<&str> = Vec::new();
        for check in &answer.checks {
            let inner = check.part.strip_prefix("presentation/credentials/");
            if inner.is_some_and(|rest| !rest.contains('/')) && !parts.contains(&check.part.as_str()) {
                parts.push(&check.part);
            }
        }
        json!({
            "presentation": {
                "challenge": of("presentation", &["challenge"]),
                "domain": of("presentation", &["domain"]),
                "holder": of("presentation", &["key_control", "did_active"]),
                "proof": of("presentation", &["key_purpose", "key_now", "key_at_signing", "signature"]),
            },
            "credentials": parts.iter().map(|part| json!({"results": credential(part)})).collect::<Vec<_>>(),
        })
    }
}

fn result(check: &Check) -> Value {
    let passed = matches!(check.outcome, Outcome::Passed | Outcome::Warning(_));
    json!({"check": check.name, "verified": passed, "input": check.looked_at})
}

/// A secured form in a request: an object, or a token as text.
fn input(value: Value) -> Result<Input, RequestError> {
    match value {
        Value::Object(_) => Ok(Input::Json(value)),
        Value::String(text) => Ok(Input::Text(text)),
        _ => Err(RequestError::Member("what is to be verified is not an object")),
    }
}

/// The list of checks that older clients send. All of them are made anyway.
fn checks(value: &Value) -> Result<(), RequestError> {
    const KNOWN: [&str; 6] =
        ["proof", "credentialStatus", "status", "credentialSchema", "schema", "validity"];
    let names = value.as_array().ok_or(RequestError::Member("`checks` is not a list"))?;
    let known = |name: &Value| name.as_str().is_some_and(|name| KNOWN.contains(&name));
    if names.iter().all(known) { Ok(()) } else { Err(RequestError::UnknownOption) }
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, RequestError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= TEXT_BYTES_MAX => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(RequestError::Member("an option that is text is none, or too long")),
    }
}

fn flag(members: &Map<String, Value>, name: &str) -> Result<Option<bool>, RequestError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(RequestError::Member("an option that is true or false is neither")),
    }
}

/// A request to issue a credential.
#[derive(Clone, Debug, PartialEq)]
pub struct IssueRequest {
    /// The credential, checked by the rules of its version, with `issuanceDate` filled in where 1.1 wants one.
    pub credential: Value,
    /// Its version.
    pub version: Version,
    /// By what the client will refer to it: `options.credentialId`, or the credential's `id`.
    pub credential_id: Option<String>,
    /// For selective disclosure: JSON pointers to what is always revealed.
    pub mandatory_pointers: Vec<String>,
}

impl IssueRequest {
    /// Reads the body of `POST /credentials/issue` at this time (unix seconds). Whether the issuer is the one who is
    /// asked ([`IssueRequest::issuer`]) is for the caller to compare.
    pub fn read(body: &[u8], now_s: i64, limits: Limits) -> Result<Self, RequestError> {
        let mut members = json::parse_object(body, "request", limits)?;
        let Some(mut credential @ Value::Object(_)) = members.remove("credential") else {
            return Err(RequestError::Member("`credential` is missing or not an object"));
        };
        let options = match members.remove("options") {
            None => Map::new(),
            Some(Value::Object(options)) => options,
            Some(_) => return Err(RequestError::Member("`options` is not an object")),
        };
        let known = ["credentialId", "mandatoryPointers"];
        if !members.is_empty() || options.keys().any(|name| !known.contains(&name.as_str())) {
            return Err(RequestError::UnknownOption);
        }
        fill_in(&mut credential, now_s);
        let version = vcdm::check_credential(&credential)?;
        check_status_entries(&credential)?;
        let mandatory_pointers = match options.get("mandatoryPointers") {
            None => Vec::new(),
            Some(Value::Array(pointers)) => pointers.iter().map(pointer).collect::<Result<_, _>>()?,
            Some(_) => return Err(RequestError::Member("`mandatoryPointers` is not a list")),
        };
        let id = credential.get("id").and_then(Value::as_str).map(str::to_owned);
        let credential_id = text(&options, "credentialId")?.or(id);
        Ok(Self { credential, version, credential_id, mandatory_pointers })
    }

    /// Who is to issue it.
    pub fn issuer(&self) -> Option<&str> {
        vcdm::issuer(&self.credential)
    }
}

/// The answer to a request to issue: 201 with the credential, an enveloped one where it is a token.
pub fn issued(credential: Value) -> Reply {
    Reply { status: 201, body: json!({"verifiableCredential": credential}) }
}

/// Version 1.1 wants a date of issuance, which clients leave to the issuer.
fn fill_in(credential: &mut Value, now_s: i64) {
    let contexts = credential.get("@context");
    let is_old = match contexts {
        Some(Value::Array(contexts)) => contexts.first().and_then(Value::as_str) == Some(vcdm::CONTEXT_1_1),
        other => other.and_then(Value::as_str) == Some(vcdm::CONTEXT_1_1),
    };
    if let (true, Some(members), Some(now)) = (is_old, credential.as_object_mut(), date::format(now_s)) {
        members.entry("issuanceDate").or_insert(Value::String(now));
    }
}

/// Whatever calls itself an entry of a bitstring list must be one, wherever it stands: an issuer that signs a malformed
/// entry signs a credential that cannot be revoked.
fn check_status_entries(credential: &Value) -> Result<(), StatusError> {
    let members = credential.as_object().into_iter().flat_map(Map::values);
    let entries = members.flat_map(|member| match member {
        Value::Array(several) => several.iter().collect(),
        one => vec![one],
    });
    let mut named = entries.filter(|entry| vcdm::types_of(entry).contains(&bitstring::ENTRY_TYPE));
    named.try_for_each(|entry| BitstringEntry::read(entry).map(drop))
}

fn pointer(value: &Value) -> Result<String, RequestError> {
    let pointer = value.as_str().filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
    let pointer = pointer.filter(|pointer| pointer.len() <= TEXT_BYTES_MAX);
    pointer.map(str::to_owned).ok_or(RequestError::Member("a pointer is not a JSON pointer"))
}

/// A holder's request to show a part of a credential.
#[derive(Clone, Debug, PartialEq)]
pub struct DeriveRequest {
    /// The credential with its base proof.
    pub credential: Value,
    /// JSON pointers to what is to be shown beside what always is.
    pub selective_pointers: Vec<String>,
}

impl DeriveRequest {
    /// Reads the body of `POST /credentials/derive`.
    pub fn read(body: &[u8], limits: Limits) -> Result<Self, RequestError> {
        let mut members = json::parse_object(body, "request", limits)?;
        let Some(credential @ Value::Object(_)) = members.remove("verifiableCredential") else {
            return Err(RequestError::Member("`verifiableCredential` is missing or not an object"));
        };
        let mut options = match members.remove("options") {
            None => Map::new(),
            Some(Value::Object(options)) => options,
            Some(_) => return Err(RequestError::Member("`options` is not an object")),
        };
        let selective_pointers = match options.remove("selectivePointers") {
            None => Vec::new(),
            Some(Value::Array(pointers)) => pointers.iter().map(pointer).collect::<Result<_, _>>()?,
            Some(_) => return Err(RequestError::Member("`selectivePointers` is not a list")),
        };
        if !members.is_empty() || !options.is_empty() {
            return Err(RequestError::UnknownOption);
        }
        Ok(Self { credential, selective_pointers })
    }
}

/// A request to change the status of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRequest {
    /// Which credential.
    pub credential_id: String,
    /// `revocation`, `suspension`, ….
    pub purpose: String,
    /// The index, if the client names the entry.
    pub index: Option<u64>,
    /// The list, if the client names the entry.
    pub list: Option<String>,
    /// What it shall be. Clients that only ever set a status leave it out.
    pub status: bool,
}

impl StatusRequest {
    /// Reads the body of `POST /credentials/status`.
    pub fn read(body: &[u8], limits: Limits) -> Result<Self, RequestError> {
        let members = json::parse_object(body, "request", limits)?;
        let known = ["credentialId", "credentialStatus", "status", "indexAllocator"];
        if members.keys().any(|name| !known.contains(&name.as_str())) {
            return Err(RequestError::UnknownOption);
        }
        let credential_id =
            text(&members, "credentialId")?.ok_or(RequestError::Member("`credentialId` is missing"))?;
        let entry = members.get("credentialStatus").and_then(Value::as_object);
        let entry = entry.ok_or(RequestError::Member("`credentialStatus` is missing or not an object"))?;
        let kind = text(entry, "type")?.ok_or(RequestError::Member("`credentialStatus.type` is missing"))?;
        if kind != bitstring::ENTRY_TYPE && kind != bitstring::SUBJECT_TYPE {
            return Err(StatusError::Unsupported("this type of status").into());
        }
        let purpose =
            text(entry, "statusPurpose")?.ok_or(RequestError::Member("`statusPurpose` is missing"))?;
        let index = match text(entry, "statusListIndex")? {
            None => None,
            Some(index) => {
                let index =
                    index.parse().map_err(|_| RequestError::Member("`statusListIndex` is not a number"))?;
                Some(index)
            }
        };
        let list = text(entry, "statusListCredential")?;
        Ok(Self { credential_id, purpose, index, list, status: flag(&members, "status")?.unwrap_or(true) })
    }
}
