//! Which events a reader wants.
//!
//! A filter looks at an event as it is written, so an event of a kind that is added later is found by the DIDs it names
//! without anything here having to know it.

use aval_did::Did;
use aval_types::{Event, RegistryId};
use serde_json::Value;

use super::EventsQuery;
use crate::api::problem::Problem;

/// Types that one reader can ask for.
const KINDS_MAX: usize = 32;

/// Every condition that is given must hold.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    kinds: Vec<String>,
    did: Option<String>,
    issuer: Option<String>,
    registry: Option<String>,
}

impl Filter {
    pub(super) fn of(query: &EventsQuery) -> Result<Self, Problem> {
        let kinds: Vec<String> = query
            .kinds
            .as_deref()
            .map_or_else(Vec::new, |kinds| kinds.split(',').map(str::to_owned).collect());
        if kinds.len() > KINDS_MAX || !kinds.iter().all(|kind| is_kind(kind)) {
            return Err(Problem::malformed(
                "The member type lists event types, such as did.created,registry.*",
            ));
        }
        let did = |text: &Option<String>, member: &str| match text {
            Some(text) if text.parse::<Did>().is_err() => {
                Err(Problem::malformed(format!("The member {member} is not a DID of this ledger.")))
            }
            text => Ok(text.clone()),
        };
        if query.registry.as_ref().is_some_and(|id| id.parse::<RegistryId>().is_err()) {
            return Err(Problem::malformed("The member registry is not the id of a registry."));
        }
        Ok(Self {
            kinds,
            did: did(&query.did, "did")?,
            issuer: did(&query.issuer, "issuer")?,
            registry: query.registry.clone(),
        })
    }

    /// The event as it is told, if it is wanted.
    pub(super) fn select(&self, event: &Event) -> Option<Value> {
        let written = serde_json::to_value(event).ok()?;
        let kind = written.get("type")?.as_str()?;
        let of_kind = self.kinds.is_empty() || self.kinds.iter().any(|wanted| is_of_kind(kind, wanted));
        let is = |member: &str, wanted: &Option<String>| match wanted {
            None => true,
            Some(wanted) => written.get(member).and_then(Value::as_str) == Some(wanted),
        };
        let names = self.did.as_ref().is_none_or(|did| names_did(&written, did));
        (of_kind && names && is("issuer", &self.issuer) && is("registry", &self.registry)).then_some(written)
    }
}

/// `a.b`, or `a.*`.
fn is_kind(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    text.len() <= 64
        && text.split_once('.').is_some_and(|(class, what)| is_word(class) && (what == "*" || is_word(what)))
}

fn is_of_kind(kind: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(class) => kind.starts_with(class),
        None => kind == wanted,
    }
}

/// Whether a DID stands anywhere in an event: itself, or as the owner of what is named (`<did>/registry/…`, `<did>#…`).
fn names_did(value: &Value, did: &str) -> bool {
    match value {
        Value::String(text) => {
            text.strip_prefix(did).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#', '?']))
        }
        Value::Array(items) => items.iter().any(|item| names_did(item, did)),
        Value::Object(members) => members.values().any(|member| names_did(member, did)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(kinds: &str) -> EventsQuery {
        EventsQuery { kinds: Some(kinds.to_owned()), ..EventsQuery::default() }
    }

    #[test]
    fn types_are_words_with_a_dot() {
        for good in ["did.created", "did.*", "did.created,registry.updated", "a.b_c"] {
            assert!(Filter::of(&query(good)).is_ok(), "{good}");
        }
        for bad in
            ["", "*", "did", "did.", ".created", "did.created,", "DID.created", "did.created.x", "did. x"]
        {
            assert!(Filter::of(&query(bad)).is_err(), "{bad}");
        }
        assert!(Filter::of(&query(&vec!["did.*"; KINDS_MAX + 1].join(","))).is_err());
    }

    #[test]
    fn a_did_is_found_wherever_it_stands_and_never_by_its_beginning() {
        let event = serde_json::json!({
            "type": "x.y", "registry": "did:aval:demo:A/registry/members", "list": [{"by": "did:aval:demo:B"}],
        });
        assert!(names_did(&event, "did:aval:demo:A"));
        assert!(names_did(&event, "did:aval:demo:B"));
        assert!(!names_did(&event, "did:aval:demo:"));
        assert!(!names_did(&event, "did:aval:demo:C"));
    }
}
