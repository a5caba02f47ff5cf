//! The shape of documents that hosts serve (DID 1.1, section 5), and making their relative DID URLs absolute.
//!
//! What a verifier does with a document is its own business; here it is only made sure that the members a resolver or
//! verifier looks at are what the specification says they are.

use serde_json::{Map, Value};

use crate::ResolveError;

/// Members that name or hold verification methods.
pub(crate) const RELATIONSHIPS: [&str; 5] =
    ["authentication", "assertionMethod", "keyAgreement", "capabilityInvocation", "capabilityDelegation"];
/// Most members of any list.
const ITEMS_MAX: usize = 256;

/// Checks a document that a host served for `did`.
pub(crate) fn check(document: &Value, did: &str) -> Result<(), ResolveError> {
    let wrong = |reason: &str| Err(ResolveError::document(format!("the document of {did}: {reason}")));
    let Some(members) = document.as_object() else { return wrong("it is not an object") };
    if members.get("id").and_then(Value::as_str) != Some(did) {
        return wrong("its id is not the DID");
    }
    for name in ["verificationMethod", "service"].iter().chain(&RELATIONSHIPS) {
        let Some(value) = members.get(*name) else { continue };
        let Some(items) = value.as_array() else { return wrong(&format!("{name} is not a list")) };
        if items.len() > ITEMS_MAX {
            return wrong(&format!("{name} is too long"));
        }
        let good = items.iter().all(|item| match (*name, item) {
            ("service", Value::Object(service)) => is_service(service),
            ("verificationMethod", Value::Object(method)) => is_method(method),
            ("verificationMethod" | "service", _) => false,
            (_, Value::Object(method)) => is_method(method),
            (_, Value::String(reference)) => is_reference(reference),
            _ => false,
        });
        if !good {
            return wrong(&format!("a member of {name} is not what it has to be"));
        }
    }
    let ids = ids(members);
    if ids.iter().enumerate().any(|(at, id)| ids.iter().skip(at + 1).any(|other| other == id)) {
        return wrong("two methods or services have the same id");
    }
    Ok(())
}

/// A method needs an id and a type. Some hosts leave `controller` out, which is for the verifier to mind who asks whose
/// method it is; if it is there, it is a text.
fn is_method(method: &Map<String, Value>) -> bool {
    // A private key in a public document is a leak to tell of.
    let private = method.get("publicKeyJwk").is_some_and(|jwk| jwk.get("d").is_some())
        || method.keys().any(|name| name.starts_with("privateKey") || name.starts_with("secretKey"));
    method.get("id").and_then(Value::as_str).is_some_and(is_reference)
        && method.get("type").is_some_and(Value::is_string)
        && method.get("controller").is_none_or(Value::is_string)
        && !private
}

fn is_service(service: &Map<String, Value>) -> bool {
    let kind = match service.get("type") {
        Some(Value::String(_)) => true,
        Some(Value::Array(kinds)) => !kinds.is_empty() && kinds.iter().all(Value::is_string),
        _ => false,
    };
    let endpoint = match service.get("serviceEndpoint") {
        Some(Value::String(_) | Value::Object(_)) => true,
        Some(Value::Array(items)) => items.iter().all(|item| item.is_string() || item.is_object()),
        _ => false,
    };
    service.get("id").is_some_and(Value::is_string) && kind && endpoint
}

fn is_reference(text: &str) -> bool {
    text.starts_with('#') || text.parse::<aval_did::DidUrl>().is_ok_and(|url| url.fragment.is_some())
}

fn ids(members: &Map<String, Value>) -> Vec<&str> {
    let lists = ["verificationMethod", "service"].into_iter().chain(RELATIONSHIPS);
    let items = lists.filter_map(|name| members.get(name)?.as_array()).flatten();
    items.filter_map(|item| item.get("id")?.as_str()).collect()
}

/// The DID URL that a reference in the document of `did` stands for.
pub(crate) fn absolute(did: &str, reference: &str) -> String {
    if reference.starts_with(['#', '?', '/']) { format!("{did}{reference}") } else { reference.to_owned() }
}

/// Makes the relative DID URLs of methods, services and relationships absolute (DID Resolution 1.0, section 4.4).
pub(crate) fn expand_relative_urls(document: &mut Value, did: &str) {
    let Some(members) = document.as_object_mut() else { return };
    for value in members.values_mut().filter_map(Value::as_array_mut).flatten() {
        if let Some(id) = value.get_mut("id").filter(|id| id.is_string()) {
            *id = Value::String(absolute(did, id.as_str().unwrap_or_default()));
        }
    }
    for name in RELATIONSHIPS {
        for reference in members.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(text) = reference.as_str() {
                *reference = Value::String(absolute(did, text));
            }
        }
    }
}
