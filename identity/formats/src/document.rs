//! A view on a controller document (Controlled Identifiers 1.0, DID Core): which verification method, for which
//! purpose, with which key. It reads any document, whoever resolved it, and trusts nothing in it that it did not look
//! at.

use crate::{FormatError, VerificationKey};
use aval_credential::date::{self, Rounding};
use serde_json::Value;

/// Purposes for which a document lists methods, by the names of its members.
pub const RELATIONSHIPS: [&str; 5] =
    ["authentication", "assertionMethod", "keyAgreement", "capabilityInvocation", "capabilityDelegation"];

/// Most methods that are looked at in one document.
const METHODS_MAX: usize = 256;

/// A controller document that has an `id`.
#[derive(Clone, Copy, Debug)]
pub struct ControllerDocument<'a> {
    value: &'a Value,
    id: &'a str,
}

/// A verification method of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its absolute identifier.
    pub id: String,
    /// Its type, such as `Multikey` or `JsonWebKey`.
    pub kind: String,
    /// Who controls it. A document that lists somebody else's method does not control its key.
    pub controller: String,
    /// Its key.
    pub key: VerificationKey,
    /// When it stops being used, in unix seconds.
    pub expires_s: Option<i64>,
    /// When it was revoked, in unix seconds.
    pub revoked_s: Option<i64>,
}

impl<'a> ControllerDocument<'a> {
    /// Looks at a document.
    pub fn new(value: &'a Value) -> Result<Self, FormatError> {
        let id = value.get("id").and_then(Value::as_str).filter(|id| id.contains(':'));
        Ok(Self { value, id: id.ok_or(FormatError::Document("it has no `id`"))? })
    }

    /// Its identifier.
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// The whole document.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Who controls the document beside the key that its identifier stands for.
    pub fn controllers(&self) -> Vec<&'a str> {
        match self.value.get("controller") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The method of this identifier, wherever in the document it is defined, whatever it may be used for.
    pub fn method(&self, id: &str) -> Result<Method, FormatError> {
        let embedded = RELATIONSHIPS.iter().flat_map(|name| self.entries(name));
        let found = self
            .entries("verificationMethod")
            .chain(embedded)
            .filter(|entry| entry.is_object())
            .find(|entry| self.is_named(entry, id));
        self.read(found.ok_or(FormatError::Method)?)
    }

    /// The method of this identifier, if the document lists it for the purpose (`assertionMethod`, …) and says that
    /// the document's subject controls it. Controlled Identifiers 1.0 section 3.3.
    pub fn method_for(&self, purpose: &str, id: &str) -> Result<Method, FormatError> {
        if !RELATIONSHIPS.contains(&purpose) {
            return Err(FormatError::Purpose);
        }
        let Some(entry) = self.entries(purpose).find(|entry| self.is_named(entry, id)) else {
            self.method(id)?;
            return Err(FormatError::Purpose);
        };
        let method = if entry.is_object() { self.read(entry)? } else { self.method(id)? };
        if method.controller != self.id {
            return Err(FormatError::Document("the method is controlled by somebody else"));
        }
        Ok(method)
    }

    /// All methods that the document lists for the purpose and whose keys can be used here.
    pub fn methods_for(&self, purpose: &str) -> Vec<Method> {
        let ids = self.entries(purpose).filter_map(|entry| match entry {
            Value::String(id) => Some(self.absolute(id)),
            other => other.get("id").and_then(Value::as_str).map(|id| self.absolute(id)),
        });
        ids.filter_map(|id| self.method_for(purpose, &id).ok()).collect()
    }

    fn entries(&self, member: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let entries: &[Value] = match self.value.get(member) {
            Some(Value::Array(entries)) => entries,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        entries.iter().take(METHODS_MAX)
    }

    fn is_named(&self, entry: &Value, id: &str) -> bool {
        let name = match entry {
            Value::String(name) => Some(name.as_str()),
            other => other.get("id").and_then(Value::as_str),
        };
        name.is_some_and(|name| name == id || (name.starts_with('#') && self.absolute(name) == id))
    }

    fn absolute(&self, id: &str) -> String {
        if id.starts_with('#') { format!("{}{id}", self.id) } else { id.to_owned() }
    }

    fn read(&self, entry: &Value) -> Result<Method, FormatError> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let missing = |what| FormatError::Document(what);
        let id = self.absolute(text("id").ok_or(missing("a method has no `id`"))?);
        let kind = text("type").ok_or(missing("a method has no `type`"))?.to_owned();
        let controller = text("controller").ok_or(missing("a method has no `controller`"))?.to_owned();
        let date = |name: &str| match entry.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => date::parse(text, Rounding::Down)
                .map(Some)
                .ok_or(missing("a date of a method is not an xsd:dateTimeStamp")),
            Some(_) => Err(missing("a date of a method is not a string")),
        };
        let key = key_of(entry, &kind)?;
        Ok(Method { id, kind, controller, key, expires_s: date("expires")?, revoked_s: date("revoked")? })
    }
}

impl Method {
    /// Checks that the method was neither expired nor revoked at this time.
    pub fn check_time(&self, at_s: i64) -> Result<(), FormatError> {
        let over = |end: Option<i64>| end.is_some_and(|end| at_s >= end);
        if over(self.expires_s) || over(self.revoked_s) { Err(FormatError::MethodExpired) } else { Ok(()) }
    }
}

/// The key of a method. The type says where it stands and of which kind it must be.
fn key_of(entry: &Value, kind: &str) -> Result<VerificationKey, FormatError> {
    let forms = ["publicKeyMultibase", "publicKeyJwk", "publicKeyBase58"];
    if forms.iter().filter(|form| entry.get(**form).is_some()).count() > 1 {
        return Err(FormatError::Document("a method has its key twice"));
    }
    if entry.get("secretKeyMultibase").is_some() || entry.get("secretKeyJwk").is_some() {
        return Err(FormatError::KeyPrivate);
    }
    let multibase = || {
        let text = entry.get("publicKeyMultibase").and_then(Value::as_str);
        text.ok_or(FormatError::Document("a method has no `publicKeyMultibase`"))
    };
    let jwk = || entry.get("publicKeyJwk").ok_or(FormatError::Document("a method has no `publicKeyJwk`"));
    match kind {
        "Multikey" => VerificationKey::from_multikey(multibase()?),
        "JsonWebKey" | "JsonWebKey2020" => VerificationKey::from_jwk(jwk()?),
        "Ed25519VerificationKey2020" => of_type(VerificationKey::from_multikey(multibase()?)?, "Ed25519"),
        "Ed25519VerificationKey2018" => {
            let text = entry.get("publicKeyBase58").and_then(Value::as_str).filter(|text| text.len() <= 64);
            let text = text.ok_or(FormatError::Document("a method has no `publicKeyBase58`"))?;
            VerificationKey::from_bytes(crate::KeyType::Ed25519, &crate::key::base58(&format!("z{text}"))?)
        }
        "EcdsaSecp256r1VerificationKey2019" => match entry.get("publicKeyMultibase") {
            Some(_) => of_type(VerificationKey::from_multikey(multibase()?)?, "P-256"),
            None => of_type(VerificationKey::from_jwk(jwk()?)?, "P-256"),
        },
        _ => Err(FormatError::KeyUnsupported),
    }
}

fn of_type(key: VerificationKey, curve: &str) -> Result<VerificationKey, FormatError> {
    if key.kind().curve() == curve {
        Ok(key)
    } else {
        Err(FormatError::Document("the key is not of the method's type"))
    }
}
