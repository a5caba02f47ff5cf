//! The processed payload (RFC 9901 section 7.1, steps 3 to 5).
//!
//! Every digest may be met once and every disclosure must be met. Nesting is bounded by one depth that counts through
//! disclosures, because each of them is shallow on its own but a chain of them is not.

use super::Disclosure;
use crate::FormatError;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Puts the disclosed claims into their places.
pub(super) fn process(
    payload: &Map<String, Value>,
    disclosures: &[Disclosure],
    depth_max: usize,
) -> Result<Map<String, Value>, FormatError> {
    match payload.get("_sd_alg") {
        None => {}
        Some(Value::String(name)) if name == "sha-256" => {}
        Some(_) => return Err(FormatError::Disclosure("the hash algorithm is not sha-256")),
    }
    let mut by_digest = BTreeMap::new();
    for disclosure in disclosures {
        if by_digest.insert(disclosure.digest(), disclosure).is_some() {
            return Err(FormatError::Disclosure("a disclosure occurs twice"));
        }
    }
    let mut walk = Walk { unused: by_digest, met: BTreeSet::new() };
    let claims = walk.object(payload, depth_max, true)?;
    if !walk.unused.is_empty() {
        return Err(FormatError::Disclosure("a disclosure does not belong to the credential"));
    }
    Ok(claims)
}

/// Names that a disclosure may not bring in (RFC 9901 sections 4.1.1 and 4.2.1).
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(name, "_sd" | "..." | "_sd_alg")
}

struct Walk<'a> {
    /// Disclosures that no digest has referred to yet.
    unused: BTreeMap<&'a str, &'a Disclosure>,
    /// All digests met so far, those of undisclosed claims and decoys included.
    met: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<Value, FormatError> {
        let inside = || depth.checked_sub(1).ok_or(FormatError::Oversized("nesting"));
        match value {
            Value::Object(members) => self.object(members, inside()?, false).map(Value::Object),
            Value::Array(elements) => self.array(elements, inside()?).map(Value::Array),
            plain => Ok(plain.clone()),
        }
    }

    fn object(
        &mut self,
        members: &Map<String, Value>,
        depth: usize,
        top: bool,
    ) -> Result<Map<String, Value>, FormatError> {
        let mut result = Map::new();
        for (name, value) in members {
            if name == "_sd" || (top && name == "_sd_alg") {
                continue;
            }
            if is_reserved(name) {
                return Err(FormatError::Disclosure("a reserved name is used as a claim"));
            }
            result.insert(name.clone(), self.value(value, depth)?);
        }
        let digests: &[Value] = match members.get("_sd") {
            None => &[],
            Some(Value::Array(digests)) => digests,
            Some(_) => return Err(FormatError::Disclosure("`_sd` is not an array")),
        };
        for digest in digests {
            let Some(disclosure) = self.disclosure(digest)? else { continue };
            let Some(name) = disclosure.name() else {
                return Err(FormatError::Disclosure("an array element is disclosed as a member"));
            };
            if members.contains_key(name) || result.contains_key(name) {
                return Err(FormatError::Disclosure("a disclosed claim exists already"));
            }
            let value = self.value(disclosure.value(), depth)?;
            result.insert(name.to_owned(), value);
        }
        Ok(result)
    }

    fn array(&mut self, elements: &[Value], depth: usize) -> Result<Vec<Value>, FormatError> {
        let mut result = Vec::with_capacity(elements.len());
        for element in elements {
            let concealed = match element {
                Value::Object(members) => members.get("...").map(|digest| (digest, members.len())),
                _ => None,
            };
            let Some((digest, members)) = concealed else {
                result.push(self.value(element, depth)?);
                continue;
            };
            if members != 1 {
                return Err(FormatError::Disclosure("a concealed element has other members"));
            }
            let Some(disclosure) = self.disclosure(digest)? else { continue };
            if disclosure.name().is_some() {
                return Err(FormatError::Disclosure("a member is disclosed as an array element"));
            }
            result.push(self.value(disclosure.value(), depth)?);
        }
        Ok(result)
    }

    /// Notes a digest and hands out its disclosure, if there is one.
    fn disclosure(&mut self, digest: &Value) -> Result<Option<&'a Disclosure>, FormatError> {
        let Value::String(digest) = digest else {
            return Err(FormatError::Disclosure("a digest is not a string"));
        };
        if !self.met.insert(digest.clone()) {
            return Err(FormatError::Disclosure("a digest occurs twice"));
        }
        Ok(self.unused.remove(digest.as_str()))
    }
}
