//! The members that several rules look at in the same way.

use super::Version;
use crate::FormatError;
use aval_codec::b64u;
use serde_json::{Map, Value};

/// Most entries of a member that is looked at.
pub(super) const ENTRIES_MAX: usize = 64;

/// A rule of the data model: its code, and what to tell whoever broke it.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    code: &'static str,
    reason: &'static str,
}

impl Rule {
    pub(super) const CONTEXT: Rule = rule(
        "data_model.context",
        "`@context` is not a list that begins with the context of one version, then URLs and objects",
    );
    pub(super) const ID: Rule = rule("data_model.id", "`id` is not a single URL");
    pub(super) const TYPE: Rule =
        rule("data_model.type", "`type` is not a list of names with the one that is needed");
    pub(super) const ISSUER: Rule =
        rule("data_model.issuer", "`issuer` is neither a URL nor an object whose `id` is one");
    pub(super) const HOLDER: Rule =
        rule("data_model.holder", "`holder` is neither a URL nor an object whose `id` is one");
    pub(super) const SUBJECT: Rule =
        rule("data_model.subject", "`credentialSubject` is not one or more objects with claims");
    pub(super) const DATE: Rule = rule("data_model.date", "a date is missing or not an xsd:dateTimeStamp");
    pub(super) const PERIOD: Rule = rule("data_model.period", "it ends before it begins");
    pub(super) const NAME: Rule =
        rule("data_model.text", "a name or description is neither text nor text with language and direction");
    pub(super) const STATUS: Rule =
        rule("data_model.status", "a `credentialStatus` lacks its type or has an `id` that is no URL");
    pub(super) const SCHEMA: Rule =
        rule("data_model.schema", "a `credentialSchema` lacks its type or an `id` that is a URL");
    pub(super) const ATTACHED: Rule =
        rule("data_model.attached", "an attached object lacks its type or has an `id` that is no URL");
    pub(super) const RESOURCE: Rule = rule(
        "data_model.resource",
        "a `relatedResource` lacks a URL of its own or its digest, or the digest is another one",
    );
    pub(super) const PROOF: Rule = rule("data_model.proof", "a proof is not an object with a type");
    pub(super) const ENVELOPE: Rule =
        rule("data_model.envelope", "an enveloped object lacks its context, its one type or its data: URL");

    pub(super) fn broken(self) -> FormatError {
        FormatError::Model { code: self.code, reason: self.reason }
    }
}

const fn rule(code: &'static str, reason: &'static str) -> Rule {
    Rule { code, reason }
}

pub(super) fn object(document: &Value) -> Result<&Map<String, Value>, FormatError> {
    document.as_object().ok_or_else(|| FormatError::malformed("document", "not a JSON object"))
}

/// Whether a text is an absolute URL: a scheme, a colon, something after it, nothing that must be escaped.
pub(super) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut letters = scheme.bytes();
    let begins = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    begins
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.is_empty()
        && !rest.chars().any(|one| one.is_whitespace() || one.is_control() || "<>\"{}|\\^`".contains(one))
}

/// The objects of a member that is one object or a list of them; none if it is not there.
pub(super) fn objects<'a>(
    members: &'a Map<String, Value>,
    name: &str,
    rule: Rule,
) -> Result<Vec<&'a Map<String, Value>>, FormatError> {
    let entries: &[Value] = match members.get(name) {
        None => &[],
        Some(Value::Array(entries)) => entries,
        Some(one) => std::slice::from_ref(one),
    };
    if entries.len() > ENTRIES_MAX {
        return Err(FormatError::Oversized("number of entries of a member"));
    }
    entries.iter().map(|entry| entry.as_object().ok_or_else(|| rule.broken())).collect()
}

pub(super) fn id(members: &Map<String, Value>, rule: Rule) -> Result<(), FormatError> {
    match members.get("id") {
        None => Ok(()),
        Some(Value::String(id)) if is_url(id) => Ok(()),
        Some(_) => Err(rule.broken()),
    }
}

pub(super) fn required_id(members: &Map<String, Value>, rule: Rule) -> Result<(), FormatError> {
    if members.contains_key("id") { id(members, rule) } else { Err(rule.broken()) }
}

/// One or more names, each a term or a URL.
pub(super) fn type_names(members: &Map<String, Value>, rule: Rule) -> Result<(), FormatError> {
    let names: &[Value] = match members.get("type") {
        Some(Value::Array(names)) => names,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let is_name = |name: &Value| {
        name.as_str().is_some_and(|name| !name.is_empty() && !name.chars().any(char::is_whitespace))
    };
    if names.is_empty() || names.len() > ENTRIES_MAX || !names.iter().all(is_name) {
        return Err(rule.broken());
    }
    Ok(())
}

/// `name` and `description`: text, or text with language and direction, or a list of these (VCDM 2.0 section 11.1).
pub(super) fn texts(members: &Map<String, Value>, rule: Rule) -> Result<(), FormatError> {
    let is_text = |value: &Value| match value {
        Value::String(_) => true,
        Value::Object(parts) => {
            parts.contains_key("@value")
                && parts.iter().all(|(name, part)| {
                    matches!(name.as_str(), "@value" | "@language" | "@direction") && part.is_string()
                })
        }
        _ => false,
    };
    for name in ["name", "description"] {
        let fits = match members.get(name) {
            None => true,
            Some(Value::Array(several)) => several.iter().all(is_text),
            Some(one) => is_text(one),
        };
        if !fits {
            return Err(rule.broken());
        }
    }
    Ok(())
}

/// Status, schemas, proofs and the other objects that stand beside the claims.
pub(super) fn attachments(members: &Map<String, Value>, version: Version) -> Result<(), FormatError> {
    for status in objects(members, "credentialStatus", Rule::STATUS)? {
        type_names(status, Rule::STATUS)?;
        match version {
            Version::V1 => required_id(status, Rule::STATUS)?,
            Version::V2 => id(status, Rule::STATUS)?,
        }
    }
    for schema in objects(members, "credentialSchema", Rule::SCHEMA)? {
        type_names(schema, Rule::SCHEMA)?;
        required_id(schema, Rule::SCHEMA)?;
    }
    for name in ["termsOfUse", "evidence", "refreshService", "renderMethod", "confidenceMethod"] {
        for attached in objects(members, name, Rule::ATTACHED)? {
            type_names(attached, Rule::ATTACHED)?;
            id(attached, Rule::ATTACHED)?;
        }
    }
    for proof in objects(members, "proof", Rule::PROOF)? {
        type_names(proof, Rule::PROOF)?;
    }
    resources(members)
}

/// `relatedResource` (VCDM 2.0 section 5.3). A digest of a resource whose own is published is compared with that;
/// others are for whoever retrieves them.
fn resources(members: &Map<String, Value>) -> Result<(), FormatError> {
    let mut ids = Vec::new();
    for resource in objects(members, "relatedResource", Rule::RESOURCE)? {
        required_id(resource, Rule::RESOURCE)?;
        let id = resource.get("id").and_then(Value::as_str).unwrap_or_default();
        if ids.contains(&id) {
            return Err(Rule::RESOURCE.broken());
        }
        ids.push(id);
        let text = |name: &str| match resource.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Rule::RESOURCE.broken()),
        };
        text("mediaType")?;
        let (sri, multibase) = (text("digestSRI")?, text("digestMultibase")?);
        if sri.is_none() && multibase.is_none() {
            return Err(Rule::RESOURCE.broken());
        }
        if !sri.is_none_or(|sri| may_be_sri_of(sri, id))
            || !multibase.is_none_or(|digest| may_be_multihash_of(digest, id))
        {
            return Err(Rule::RESOURCE.broken());
        }
    }
    Ok(())
}

/// Subresource Integrity, `<algorithm>-<base64>`: false if it is malformed, or another digest than the published one of
/// the resource.
fn may_be_sri_of(sri: &str, url: &str) -> bool {
    let Some((algorithm, digest)) = sri.split_once('-') else { return false };
    // Issuers write both alphabets of base64.
    let digest = digest.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let Ok(digest) = b64u::decode(&digest) else { return false };
    let length = match algorithm {
        "sha256" => 32,
        "sha384" => 48,
        "sha512" => 64,
        _ => return false,
    };
    digest.len() == length && is_published(url, algorithm, &digest)
}

/// A multihash in multibase: `u` (base64url) or `z` (base58btc) before the code of the hash, its length and the hash.
fn may_be_multihash_of(text: &str, url: &str) -> bool {
    if text.len() > 128 {
        return false;
    }
    let bytes = match text.split_at_checked(1) {
        Some(("u", rest)) => b64u::decode(rest).ok(),
        Some(("z", _)) => crate::key::base58(text).ok(),
        _ => None,
    };
    match bytes.as_deref() {
        Some([0x12, 32, digest @ ..]) if digest.len() == 32 => is_published(url, "sha256", digest),
        Some([0x20, 48, digest @ ..]) if digest.len() == 48 => is_published(url, "sha384", digest),
        Some([0x13, 64, digest @ ..]) => digest.len() == 64,
        _ => false,
    }
}

/// False if the resource is one whose digest is published, and it is another.
fn is_published(url: &str, algorithm: &str, digest: &[u8]) -> bool {
    let hex = || digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    aval_linked_data::known_digest(url, algorithm).is_none_or(|known| known == hex())
}
