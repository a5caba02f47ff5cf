//! The rules of the Verifiable Credentials Data Model 2.0 and 1.1, on plain JSON.
//!
//! What is checked is the shape that section 4 of each version demands. Whether terms and types are defined by the
//! contexts is for linked data to say ([`aval_linked_data`]); whether dates include now, for [`Validity::check`].

mod envelope;
mod members;

pub use envelope::{Envelope, open_envelope};

use crate::FormatError;
use crate::date::{self, Rounding};
use members::{Rule, is_url, objects};
use serde_json::{Map, Value};

/// The first context of VCDM 2.0.
pub const CONTEXT_2_0: &str = "https://www.w3.org/ns/credentials/v2";
/// The first context of VCDM 1.1.
pub const CONTEXT_1_1: &str = "https://www.w3.org/2018/credentials/v1";

/// Most credentials in one presentation.
pub const CREDENTIALS_MAX: usize = 64;

/// A version of the data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.0 and 1.1.
    V1,
    /// 2.0.
    V2,
}

/// When a credential is valid, in unix seconds; the beginning is included, the end is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Validity {
    /// `validFrom`, or `issuanceDate` of 1.1.
    pub from_s: Option<i64>,
    /// `validUntil`, or `expirationDate` of 1.1.
    pub until_s: Option<i64>,
}

impl Validity {
    /// Checks that a time lies inside.
    pub fn check(&self, now_s: i64, skew_s: i64) -> Result<(), FormatError> {
        if self.from_s.is_some_and(|from| now_s.saturating_add(skew_s) < from) {
            return Err(FormatError::NotYetValid);
        }
        if self.until_s.is_some_and(|until| now_s.saturating_sub(skew_s) >= until) {
            return Err(FormatError::Expired);
        }
        Ok(())
    }
}

/// Checks the shape of a credential; says which version it is of.
pub fn check_credential(credential: &Value) -> Result<Version, FormatError> {
    let members = members::object(credential)?;
    let version = version(members)?;
    members::id(members, Rule::ID)?;
    types(members, "VerifiableCredential")?;
    match members.get("issuer") {
        Some(Value::Object(issuer)) => {
            members::required_id(issuer, Rule::ISSUER)?;
            members::texts(issuer, Rule::NAME)?;
        }
        Some(Value::String(issuer)) if is_url(issuer) => {}
        _ => return Err(Rule::ISSUER.broken()),
    }
    let mut subjects = 0;
    for subject in objects(members, "credentialSubject", Rule::SUBJECT)? {
        if subject.is_empty() {
            return Err(Rule::SUBJECT.broken());
        }
        members::id(subject, Rule::SUBJECT)?;
        subjects += 1;
    }
    if subjects == 0 {
        return Err(Rule::SUBJECT.broken());
    }
    let validity = validity(credential)?;
    if version == Version::V1 && validity.from_s.is_none() {
        return Err(Rule::DATE.broken());
    }
    if let Validity { from_s: Some(from), until_s: Some(until) } = validity
        && from > until
    {
        return Err(Rule::PERIOD.broken());
    }
    members::texts(members, Rule::NAME)?;
    members::attachments(members, version)?;
    Ok(version)
}

/// Checks the shape of a presentation and of the credentials in it that are not enveloped; says which version it is of.
pub fn check_presentation(presentation: &Value) -> Result<Version, FormatError> {
    let members = members::object(presentation)?;
    let version = version(members)?;
    members::id(members, Rule::ID)?;
    types(members, "VerifiablePresentation")?;
    match members.get("holder") {
        None => {}
        Some(Value::String(holder)) if is_url(holder) => {}
        Some(Value::Object(holder)) => members::required_id(holder, Rule::HOLDER)?,
        Some(_) => return Err(Rule::HOLDER.broken()),
    }
    for credential in credentials(presentation)? {
        if Envelope::is_one(credential) {
            open_envelope(credential)?;
        } else if !(version == Version::V1 && credential.is_string()) {
            // In 1.1 a credential may be a JWT, which is a string.
            check_credential(credential)?;
        }
    }
    members::attachments(members, version)?;
    Ok(version)
}

/// The credentials of a presentation, each still to be verified.
pub fn credentials(presentation: &Value) -> Result<Vec<&Value>, FormatError> {
    let credentials: Vec<&Value> = match presentation.get("verifiableCredential") {
        None => Vec::new(),
        Some(Value::Array(several)) => several.iter().collect(),
        Some(one) => vec![one],
    };
    if credentials.len() > CREDENTIALS_MAX {
        return Err(FormatError::Oversized("number of credentials"));
    }
    Ok(credentials)
}

/// The issuer's identifier.
pub fn issuer(credential: &Value) -> Option<&str> {
    id_of(credential.get("issuer")?)
}

/// The holder's identifier.
pub fn holder(presentation: &Value) -> Option<&str> {
    id_of(presentation.get("holder")?)
}

/// The identifiers of the subjects, of those that have one.
pub fn subjects(credential: &Value) -> Vec<&str> {
    match credential.get("credentialSubject") {
        Some(Value::Array(several)) => several.iter().filter_map(id_of).collect(),
        Some(one) => id_of(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// All types.
pub fn types_of(document: &Value) -> Vec<&str> {
    match document.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// When a credential is valid. Fractions of seconds make its life shorter, never longer.
pub fn validity(credential: &Value) -> Result<Validity, FormatError> {
    let date = |names: [&str; 2], rounding| {
        let [new, old] = names.map(|name| credential.get(name));
        match new.or(old) {
            None => Ok(None),
            Some(Value::String(text)) => {
                date::parse(text, rounding).map(Some).ok_or_else(|| Rule::DATE.broken())
            }
            Some(_) => Err(Rule::DATE.broken()),
        }
    };
    Ok(Validity {
        from_s: date(["validFrom", "issuanceDate"], Rounding::Up)?,
        until_s: date(["validUntil", "expirationDate"], Rounding::Down)?,
    })
}

fn id_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(id) => Some(id),
        other => other.get("id").and_then(Value::as_str),
    }
}

/// The version by the first context; the others must be URLs or objects.
fn version(members: &Map<String, Value>) -> Result<Version, FormatError> {
    let contexts = match members.get("@context") {
        Some(Value::Array(contexts)) => contexts.as_slice(),
        // The older version allows a single URL.
        Some(one @ Value::String(text)) if text == CONTEXT_1_1 => std::slice::from_ref(one),
        _ => return Err(Rule::CONTEXT.broken()),
    };
    let version = match contexts.first().and_then(Value::as_str) {
        Some(CONTEXT_2_0) => Version::V2,
        Some(CONTEXT_1_1) => Version::V1,
        _ => return Err(Rule::CONTEXT.broken()),
    };
    let is_context = |context: &Value| match context {
        Value::String(url) => is_url(url),
        other => other.is_object(),
    };
    if contexts.len() > members::ENTRIES_MAX || !contexts.iter().all(is_context) {
        return Err(Rule::CONTEXT.broken());
    }
    // One document in two versions would be read by the rules of either.
    let other = if version == Version::V2 { CONTEXT_1_1 } else { CONTEXT_2_0 };
    if contexts.iter().any(|context| context == other) {
        return Err(Rule::CONTEXT.broken());
    }
    Ok(version)
}

fn types(members: &Map<String, Value>, wanted: &str) -> Result<(), FormatError> {
    members::type_names(members, Rule::TYPE)?;
    let has = match members.get("type") {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(several)) => several.iter().any(|name| name == wanted),
        _ => false,
    };
    if has { Ok(()) } else { Err(Rule::TYPE.broken()) }
}
