//! The claims of a credential as a tree that knows what can be disclosed.
//!
//! Positions in arrays are those of the credential as it was issued: an element that is not disclosed keeps
//! its place as a hole. So holder and verifier mean the same element by the same path, although the verifier
//! sees fewer.

use aval_codec::{b64u, sha256};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many disclosures a credential may have.
const DISCLOSURES_MAX: usize = 512;

/// The largest credential that is read.
const BYTES_MAX: usize = 512 * 1024;

/// A node: what is there, and the disclosure that shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub(crate) content: Content,
    /// The index among the credential's disclosures, if this node is selectively disclosable.
    pub(crate) disclosure: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Object(BTreeMap<String, Node>),
    /// A hole is an element that is not disclosed.
    Array(Vec<Option<Node>>),
    Leaf(Value),
}

/// One step of a path that names exactly one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A member of an object.
    Name(String),
    /// An element of an array, counted in the credential as it was issued.
    Index(usize),
}

impl Node {
    /// The tree of claims of which all are plain.
    pub fn plain(value: &Value) -> Self {
        let content = match value {
            Value::Object(members) => Content::Object(
                members.iter().map(|(name, member)| (name.clone(), Self::plain(member))).collect(),
            ),
            Value::Array(elements) => {
                Content::Array(elements.iter().map(|element| Some(Self::plain(element))).collect())
            }
            leaf => Content::Leaf(leaf.clone()),
        };
        Self { content, disclosure: None }
    }

    /// The tree of an SD-JWT (RFC 9901), with or without key binding. Reads what is there and verifies no signature;
    /// whoever relies on the claims verifies the credential elsewhere.
    pub fn of_sd_jwt(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err("the credential is larger than allowed".to_owned());
        }
        let mut parts = text.split('~');
        let jwt = parts.next().unwrap_or_default();
        let payload = jwt.split('.').nth(1).ok_or("the credential is not an SD-JWT")?;
        let payload = decode(payload)?;
        let mut rest: Vec<&str> = parts.collect();
        // The last part is the key binding, or empty.
        rest.pop().ok_or("the credential has no tilde")?;
        if rest.len() > DISCLOSURES_MAX {
            return Err("the credential has too many disclosures".to_owned());
        }
        let mut known = BTreeMap::new();
        for (index, disclosure) in rest.iter().enumerate() {
            let value = decode(disclosure)?;
            let digest = b64u::encode(sha256(disclosure.as_bytes()));
            if known.insert(digest, (index, value)).is_some() {
                return Err("a disclosure occurs twice".to_owned());
            }
        }
        let algorithm = payload.get("_sd_alg");
        if algorithm.is_some_and(|name| name.as_str() != Some("sha-256")) {
            return Err("the credential uses another hash than SHA-256".to_owned());
        }
        let mut expansion = Expansion { known, used: BTreeSet::new() };
        let mut root = expansion.node(&payload, None, 0)?;
        if let Content::Object(members) = &mut root.content {
            members.remove("_sd_alg");
        }
        Ok(root)
    }

    /// The value with everything that is disclosed; holes are left out, as RFC 9901 section 7.1 demands.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Object(members) => {
                Value::Object(members.iter().map(|(name, node)| (name.clone(), node.to_value())).collect())
            }
            Content::Array(elements) => Value::Array(elements.iter().flatten().map(Self::to_value).collect()),
            Content::Leaf(value) => value.clone(),
        }
    }

    /// The node at a place below this one.
    pub fn at(&self, path: &[Place]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let inner = match (&self.content, first) {
            (Content::Object(members), Place::Name(name)) => members.get(name),
            (Content::Array(elements), Place::Index(index)) => elements.get(*index)?.as_ref(),
            _ => None,
        };
        inner?.at(rest)
    }

    /// The disclosures that show the nodes at these paths, by index: those on the way and those inside.
    pub fn disclosures<'a>(&self, paths: impl IntoIterator<Item = &'a Vec<Place>>) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        for path in paths {
            for length in 0..=path.len() {
                let node = path.get(..length).and_then(|way| self.at(way));
                needed.extend(node.and_then(|node| node.disclosure));
            }
            if let Some(node) = self.at(path) {
                node.inside(&mut needed);
            }
        }
        needed
    }

    fn inside(&self, needed: &mut BTreeSet<usize>) {
        needed.extend(self.disclosure);
        match &self.content {
            Content::Object(members) => members.values().for_each(|node| node.inside(needed)),
            Content::Array(elements) => elements.iter().flatten().for_each(|node| node.inside(needed)),
            Content::Leaf(_) => {}
        }
    }
}

fn decode(segment: &str) -> Result<Value, String> {
    let bytes = b64u::decode(segment).map_err(|error| error.to_string())?;
    crate::value::parse(&bytes, BYTES_MAX)
}

struct Expansion {
    known: BTreeMap<String, (usize, Value)>,
    used: BTreeSet<usize>,
}

impl Expansion {
    /// A disclosure refers to others only by digest, so that there are no cycles; each is used once, and
    /// depth is bounded besides.
    fn node(&mut self, value: &Value, disclosure: Option<usize>, level: usize) -> Result<Node, String> {
        if level > crate::value::DEPTH_MAX {
            return Err("the credential is nested too deeply".to_owned());
        }
        let content = match value {
            Value::Object(members) => self.object(members, level)?,
            Value::Array(elements) => {
                let nodes: Result<Vec<_>, String> =
                    elements.iter().map(|element| self.element(element, level)).collect();
                Content::Array(nodes?)
            }
            leaf => Content::Leaf(leaf.clone()),
        };
        Ok(Node { content, disclosure })
    }

    fn object(&mut self, members: &serde_json::Map<String, Value>, level: usize) -> Result<Content, String> {
        let mut nodes = BTreeMap::new();
        for (name, member) in members.iter().filter(|(name, _)| name.as_str() != "_sd") {
            nodes.insert(name.clone(), self.node(member, None, level + 1)?);
        }
        let digests = match members.get("_sd") {
            None => &[],
            Some(Value::Array(digests)) => digests.as_slice(),
            Some(_) => return Err("`_sd` is not an array".to_owned()),
        };
        for digest in digests {
            let digest = digest.as_str().ok_or("a digest is not a string")?;
            let Some((index, value)) = self.take(digest)? else { continue };
            let Some([Value::String(_), Value::String(name), value]) = value.as_array().map(Vec::as_slice)
            else {
                return Err("a disclosure of a member is not a triple".to_owned());
            };
            if name == "_sd" || name == "..." || nodes.contains_key(name) {
                return Err("a disclosure has a name that is taken".to_owned());
            }
            nodes.insert(name.clone(), self.node(value, Some(index), level + 1)?);
        }
        Ok(Content::Object(nodes))
    }

    fn element(&mut self, element: &Value, level: usize) -> Result<Option<Node>, String> {
        let digest = match element.as_object() {
            Some(members) if members.len() == 1 => members.get("..."),
            _ => None,
        };
        let Some(digest) = digest else { return self.node(element, None, level + 1).map(Some) };
        let digest = digest.as_str().ok_or("a digest is not a string")?;
        let Some((index, value)) = self.take(digest)? else { return Ok(None) };
        let Some([Value::String(_), value]) = value.as_array().map(Vec::as_slice) else {
            return Err("a disclosure of an element is not a pair".to_owned());
        };
        self.node(value, Some(index), level + 1).map(Some)
    }

    fn take(&mut self, digest: &str) -> Result<Option<(usize, Value)>, String> {
        let Some((index, value)) = self.known.get(digest).cloned() else { return Ok(None) };
        if !self.used.insert(index) {
            return Err("a digest occurs twice".to_owned());
        }
        Ok(Some((index, value)))
    }
}
