//! Grouping of statements for selective disclosure (Data Integrity ECDSA Cryptosuites 1.0 section 3.4).
//!
//! A holder chooses by JSON pointers into the document; what is signed are statements. To find the statements of a
//! choice, each object without identifier gets one for the time being, so that it is the same node in the whole
//! document and in any part of it. Canonical names of blank nodes would tell of what is not shown; they are replaced
//! by HMACs.

use crate::LinkedDataError;
use crate::canonical::{self, Hash};
use crate::contexts::Contexts;
use crate::expand::{Emitter, Step};
use crate::quad::{Dataset, Quad, Term};
use aval_codec::b64u;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What nodes are called for the time being.
const TEMPORARY: &str = "urn:bnid:";
/// Most pointers of one choice.
const POINTERS_MAX: usize = 1024;

/// The statements of a document and who of them belongs to which choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouped {
    /// N-Quads, each with its end, blank nodes named by HMAC, sorted.
    pub lines: Vec<String>,
    /// For each choice the indexes of its lines, ascending.
    pub matching: Vec<BTreeSet<usize>>,
    /// For the last choice: the names of its blank nodes, by the number in the canonical name that they have in a
    /// document that holds this choice and nothing else.
    pub names: BTreeMap<usize, String>,
}

/// Groups the statements of a document by choices, each a list of JSON pointers.
pub fn group(
    contexts: &Contexts,
    document: &Value,
    hmac_key: &[u8],
    choices: &[&[String]],
) -> Result<Grouped, LinkedDataError> {
    if mentions_temporary(document) {
        return Err(LinkedDataError::Unsupported("an identifier of the form `urn:bnid:`"));
    }
    let nameless = Emitter::new(contexts).nameless(document)?;
    let mut named = document.clone();
    for (number, way) in nameless.iter().enumerate() {
        if let Some(members) = object_at(&mut named, way) {
            members.insert("@id".to_owned(), Value::String(format!("{TEMPORARY}{number}")));
        }
    }
    let whole = nameless_again(contexts.dataset(&named)?);
    let canonical = canonical::canonicalize(&whole, Hash::Sha256)?;
    let mut names = HashMap::new();
    for (node, number) in &canonical.numbers {
        names.insert(*node, hmac_name(hmac_key, *number)?);
    }
    let lines = written(&whole, &names);
    let mut matching = Vec::new();
    let mut of_last = BTreeMap::new();
    for choice in choices {
        let mut indexes = BTreeSet::new();
        of_last = BTreeMap::new();
        if let Some(part) = select(&named, choice)? {
            let part = nameless_again(contexts.dataset(&part)?);
            for line in written(&part, &names) {
                let index = lines.binary_search(&line).map_err(|_| {
                    LinkedDataError::Unsupported("a choice whose statements are not those of the document")
                })?;
                indexes.insert(index);
            }
            for (node, number) in canonical::canonicalize(&part, Hash::Sha256)?.numbers {
                of_last.insert(number, names.get(&node).cloned().unwrap_or_default());
            }
        }
        matching.push(indexes);
    }
    Ok(Grouped { lines, matching, names: of_last })
}

/// The statements of a document with names for its blank nodes, by the number in their canonical names; sorted. Each
/// node needs a name of its own.
pub fn relabelled(
    contexts: &Contexts,
    document: &Value,
    names: &BTreeMap<usize, String>,
) -> Result<Vec<String>, LinkedDataError> {
    let dataset = contexts.dataset(document)?;
    let canonical = canonical::canonicalize(&dataset, Hash::Sha256)?;
    let wrong = LinkedDataError::Document("the names are not those of its blank nodes");
    let distinct: BTreeSet<_> = names.values().collect();
    if names.len() != canonical.numbers.len() || distinct.len() != names.len() {
        return Err(wrong);
    }
    let mut of_nodes = HashMap::new();
    for (node, number) in canonical.numbers {
        of_nodes.insert(node, names.get(&number).cloned().ok_or_else(|| wrong.clone())?);
    }
    Ok(written(&dataset, &of_nodes))
}

/// The part of a document that pointers choose, with the identifiers and types of what surrounds it; `None` without
/// pointers.
pub fn select(document: &Value, pointers: &[String]) -> Result<Option<Value>, LinkedDataError> {
    if pointers.len() > POINTERS_MAX {
        return Err(LinkedDataError::Excessive("pointers"));
    }
    if pointers.is_empty() {
        return Ok(None);
    }
    let mut chosen = Chosen::default();
    for pointer in pointers {
        chosen.add(pointer)?;
    }
    let mut part = chosen.of(document).ok_or_else(|| missing(document, pointers))?;
    if let (Some(members), Some(context)) = (part.as_object_mut(), document.get("@context")) {
        members.insert("@context".to_owned(), context.clone());
    }
    Ok(Some(part))
}

/// Pointers as a tree.
#[derive(Default)]
struct Chosen {
    whole: bool,
    below: BTreeMap<String, Chosen>,
}

impl Chosen {
    fn add(&mut self, pointer: &str) -> Result<(), LinkedDataError> {
        let mut at = self;
        if !pointer.is_empty() {
            let tokens =
                pointer.strip_prefix('/').ok_or_else(|| LinkedDataError::Pointer(pointer.to_owned()))?;
            for token in tokens.split('/') {
                at = at.below.entry(token.replace("~1", "/").replace("~0", "~")).or_default();
            }
        }
        at.whole = true;
        Ok(())
    }

    fn of(&self, value: &Value) -> Option<Value> {
        if self.whole {
            // Whatever was chosen inside must be there, too.
            self.below.iter().try_for_each(|(token, below)| below.of(step(value, token)?).map(drop))?;
            return Some(value.clone());
        }
        match value {
            Value::Object(members) => {
                let mut part = Map::new();
                for name in ["id", "type", "@id", "@type"] {
                    match members.get(name) {
                        Some(Value::String(id)) if name.ends_with("id") && id.starts_with("_:") => {}
                        Some(value) => drop(part.insert(name.to_owned(), value.clone())),
                        None => {}
                    }
                }
                for (token, below) in &self.below {
                    part.insert(token.clone(), below.of(members.get(token)?)?);
                }
                Some(Value::Object(part))
            }
            Value::Array(_) => {
                let mut parts = BTreeMap::new();
                for (token, below) in &self.below {
                    parts.insert(token.parse::<usize>().ok()?, below.of(step(value, token)?)?);
                }
                Some(parts.into_values().collect())
            }
            _ => None,
        }
    }
}

fn step<'v>(value: &'v Value, token: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.get(token),
        Value::Array(elements) => elements.get(token.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The first pointer that names nothing.
fn missing(document: &Value, pointers: &[String]) -> LinkedDataError {
    let found = |pointer: &&String| document.pointer(pointer).is_none();
    LinkedDataError::Pointer(pointers.iter().find(found).cloned().unwrap_or_default())
}

fn object_at<'v>(document: &'v mut Value, way: &[Step]) -> Option<&'v mut Map<String, Value>> {
    let mut at = document;
    for step in way {
        at = match step {
            Step::Member(name) => at.get_mut(name)?,
            Step::Element(index) => at.get_mut(index)?,
        };
    }
    at.as_object_mut()
}

fn mentions_temporary(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with(TEMPORARY),
        Value::Array(elements) => elements.iter().any(mentions_temporary),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.starts_with(TEMPORARY) || mentions_temporary(value))
        }
        _ => false,
    }
}

/// Makes blank nodes of the nodes that were named for the time being.
fn nameless_again(mut dataset: Dataset) -> Dataset {
    let again = |term: &mut Term| {
        if let Term::Written(text) = term {
            let number = text.strip_prefix("<urn:bnid:").and_then(|rest| rest.strip_suffix('>'));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                *term = Term::Blank(number);
            }
        }
    };
    for Quad { subject, object, graph, .. } in &mut dataset.quads {
        again(subject);
        again(object);
        graph.iter_mut().for_each(again);
    }
    dataset
}

fn written(dataset: &Dataset, names: &HashMap<u32, String>) -> Vec<String> {
    let mut name = |node: u32, line: &mut String| {
        line.push_str(names.get(&node).map(String::as_str).unwrap_or_default());
    };
    let mut lines: Vec<String> = dataset.quads.iter().map(|quad| quad.write(&mut name)).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn hmac_name(key: &[u8], number: usize) -> Result<String, LinkedDataError> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|_| LinkedDataError::Document("the HMAC key is wrong"))?;
    hmac.update(format!("c14n{number}").as_bytes());
    Ok(format!("u{}", b64u::encode(hmac.finalize().into_bytes())))
}
