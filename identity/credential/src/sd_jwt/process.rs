//! The processed payload (RFC 9901 section 7.1, steps 3 to 5).
//!
//! Every digest may be met once and every disclosure must be met: a disclosure that nothing refers to, a digest
//! that stands in two places, a reserved name in a wrong place, all are refused. Nesting is bounded by one depth
//! that counts through disclosures, because each of them is shallow on its own but a chain of them is not.

use super::disclosure::{Disclosure, is_reserved};
use crate::CredentialError;
use aval_codec::json::Json;
use std::collections::{BTreeMap, BTreeSet};

/// Puts the disclosed claims into their places.
pub(super) fn process(
    payload: &BTreeMap<String, Json>,
    disclosures: &[Disclosure],
    depth_max: usize,
) -> Result<BTreeMap<String, Json>, CredentialError> {
    match payload.get("_sd_alg") {
        None => {}
        Some(Json::String(name)) if name == "sha-256" => {}
        Some(_) => return Err(CredentialError::Disclosure("the hash algorithm is not sha-256")),
    }
    let mut by_digest = BTreeMap::new();
    for disclosure in disclosures {
        if by_digest.insert(disclosure.digest(), disclosure).is_some() {
            return Err(CredentialError::Disclosure("a disclosure occurs twice"));
        }
    }
    let mut plain = payload.clone();
    plain.remove("_sd_alg");
    let mut walk = Walk { unused: by_digest, met: BTreeSet::new() };
    let claims = walk.object(&plain, depth_max)?;
    if !walk.unused.is_empty() {
        return Err(CredentialError::Disclosure("a disclosure does not belong to the credential"));
    }
    Ok(claims)
}

struct Walk<'a> {
    /// Disclosures that no digest has referred to yet.
    unused: BTreeMap<&'a str, &'a Disclosure>,
    /// All digests met so far, those of undisclosed claims and decoys included.
    met: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &Json, depth: usize) -> Result<Json, CredentialError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(CredentialError::Oversized("nesting"));
        };
        match value {
            Json::Object(members) => self.object(members, depth).map(Json::Object),
            Json::Array(elements) => self.array(elements, depth).map(Json::Array),
            plain => Ok(plain.clone()),
        }
    }

    fn object(
        &mut self,
        members: &BTreeMap<String, Json>,
        depth: usize,
    ) -> Result<BTreeMap<String, Json>, CredentialError> {
        let mut result = BTreeMap::new();
        for (name, value) in members {
            if name == "_sd" {
                continue;
            }
            if is_reserved(name) {
                return Err(CredentialError::Disclosure("a reserved name is used as a claim"));
            }
            result.insert(name.clone(), self.value(value, depth)?);
        }
        let digests: &[Json] = match members.get("_sd") {
            None => &[],
            Some(Json::Array(digests)) => digests,
            Some(_) => return Err(CredentialError::Disclosure("`_sd` is not an array")),
        };
        for digest in digests {
            let Some(disclosure) = self.disclosure(digest)? else { continue };
            let Some(name) = disclosure.name() else {
                return Err(CredentialError::Disclosure("an array element is disclosed as a member"));
            };
            if members.contains_key(name) || result.contains_key(name) {
                return Err(CredentialError::Disclosure("a disclosed claim exists already"));
            }
            let value = self.value(disclosure.value(), depth)?;
            result.insert(name.to_owned(), value);
        }
        Ok(result)
    }

    fn array(&mut self, elements: &[Json], depth: usize) -> Result<Vec<Json>, CredentialError> {
        let mut result = Vec::with_capacity(elements.len());
        for element in elements {
            let concealed = match element {
                Json::Object(members) => members.get("...").map(|digest| (digest, members.len())),
                _ => None,
            };
            let Some((digest, members)) = concealed else {
                result.push(self.value(element, depth)?);
                continue;
            };
            if members != 1 {
                return Err(CredentialError::Disclosure("a concealed element has other members"));
            }
            let Some(disclosure) = self.disclosure(digest)? else { continue };
            if disclosure.name().is_some() {
                return Err(CredentialError::Disclosure("a member is disclosed as an array element"));
            }
            result.push(self.value(disclosure.value(), depth)?);
        }
        Ok(result)
    }

    /// Notes a digest and hands out its disclosure, if there is one.
    fn disclosure(&mut self, digest: &Json) -> Result<Option<&'a Disclosure>, CredentialError> {
        let Json::String(digest) = digest else {
            return Err(CredentialError::Disclosure("a digest is not a string"));
        };
        if !self.met.insert(digest.clone()) {
            return Err(CredentialError::Disclosure("a digest occurs twice"));
        }
        Ok(self.unused.remove(digest.as_str()))
    }
}
