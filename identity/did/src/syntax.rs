//! Identifiers: `did:aval:<network>:<id>`, DID URLs of any method, and version ids. Specification §2.
//!
//! The id is base58btc over a SHA-256 multihash (0x12 0x20 and 32 bytes), always 46 characters that begin with `Qm`.
//! Base58 reads exactly one text for given bytes, so a [`Did`] has one spelling and may be compared as text.

use std::fmt;
use std::str::FromStr;

use aval_codec::Hash;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{DidError, base58};

/// Everything before the network label.
pub const PREFIX: &str = "did:aval:";

/// Longest network label.
pub const NETWORK_LABEL_LENGTH_MAX: usize = 32;

/// Longest DID URL of any method that is read at all.
pub const DID_URL_LENGTH_MAX: usize = 2048;

const MULTIHASH_TEXT_LENGTH: usize = 46;

/// True for `[a-z][a-z0-9-]{0,31}`.
pub fn is_network_label(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= NETWORK_LABEL_LENGTH_MAX
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Base58btc of the SHA-256 multihash that holds `hash`.
pub fn multihash_text(hash: &Hash) -> String {
    let mut bytes = [0; 34];
    let (code, digest) = bytes.split_at_mut(2);
    code.copy_from_slice(&[0x12, 0x20]);
    digest.copy_from_slice(hash.as_bytes());
    base58::encode(&bytes)
}

/// The hash in a base58btc SHA-256 multihash.
pub fn parse_multihash(text: &str) -> Option<Hash> {
    // The length is checked first because base58 decoding takes time quadratic in it.
    if text.len() != MULTIHASH_TEXT_LENGTH {
        return None;
    }
    match base58::decode(text)?.split_at_checked(2)? {
        ([0x12, 0x20], digest) => Hash::from_slice(digest),
        _ => None,
    }
}

/// A `did:aval` identifier.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did {
    text: String,
    network_length: usize,
}

impl Did {
    /// The DID of an inception hash on a network. `did.invalid` if the label is not one.
    pub fn new(network: &str, inception: &Hash) -> Result<Self, DidError> {
        if !is_network_label(network) {
            return Err(DidError::Invalid("the network label is not [a-z][a-z0-9-]{0,31}"));
        }
        let text = format!("{PREFIX}{network}:{}", multihash_text(inception));
        Ok(Did { text, network_length: network.len() })
    }

    /// The whole DID.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The network label.
    pub fn network(&self) -> &str {
        self.text.get(PREFIX.len()..PREFIX.len() + self.network_length).unwrap_or_default()
    }

    /// The method-specific id after the label: the inception's multihash.
    pub fn id(&self) -> &str {
        self.text.get(PREFIX.len() + self.network_length + 1..).unwrap_or_default()
    }

    /// The inception hash.
    pub fn inception(&self) -> Hash {
        // Both constructors have seen a well-formed multihash here.
        parse_multihash(self.id()).unwrap_or(Hash::ZERO)
    }

    /// `<did>#<fragment>`; the fragment may come with or without its `#`.
    pub fn url(&self, fragment: &str) -> String {
        format!("{}#{}", self.text, fragment.strip_prefix('#').unwrap_or(fragment))
    }
}

impl FromStr for Did {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let rest = text.strip_prefix(PREFIX).ok_or(DidError::Invalid("it does not begin with did:aval:"))?;
        let (network, id) = rest.split_once(':').ok_or(DidError::Invalid("it has no network label"))?;
        if !is_network_label(network) {
            return Err(DidError::Invalid("the network label is not [a-z][a-z0-9-]{0,31}"));
        }
        parse_multihash(id).ok_or(DidError::Invalid("the id is not a base58btc SHA-256 multihash"))?;
        Ok(Did { text: text.to_owned(), network_length: network.len() })
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for Did {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl Serialize for Did {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Did {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A version of a DID: `<n>-<multihash>`, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId {
    /// The number of the version.
    pub number: u64,
    /// The inception hash for version 1, else the version hash.
    pub hash: Hash,
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.number, multihash_text(&self.hash))
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VersionId {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let error = DidError::Invalid("a version id is <n>-<multihash>");
        let (number, hash) = text.split_once('-').ok_or(error.clone())?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        match (number.parse(), parse_multihash(hash)) {
            (Ok(number), Some(hash)) if digits => Ok(VersionId { number, hash }),
            _ => Err(error),
        }
    }
}

impl Serialize for VersionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A DID URL of any method, split by the grammar of DID Core §3.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DidUrl {
    /// The DID before path, query and fragment.
    pub did: String,
    /// The path, with its leading `/`.
    pub path: Option<String>,
    /// The query without `?`.
    pub query: Option<String>,
    /// The fragment without `#`.
    pub fragment: Option<String>,
}

impl DidUrl {
    /// The method name.
    pub fn method(&self) -> &str {
        self.did.split(':').nth(1).unwrap_or_default()
    }

    /// The DID as one of ours.
    pub fn aval(&self) -> Result<Did, DidError> {
        self.did.parse()
    }

    /// Value of the first query parameter of this name, percent-decoded; `None` also if it does not decode to UTF-8.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.as_deref()?.split('&');
        let (_, value) = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
        percent_decode(value)
    }
}

impl FromStr for DidUrl {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        if text.len() > DID_URL_LENGTH_MAX {
            return Err(DidError::Invalid("it is too long"));
        }
        let split = |text: &str, mark: char| match text.split_once(mark) {
            Some((head, tail)) => (head.to_owned(), Some(tail.to_owned())),
            None => (text.to_owned(), None),
        };
        let (rest, fragment) = split(text, '#');
        let (rest, query) = split(&rest, '?');
        let (did, path) = split(&rest, '/');
        let path = path.map(|path| format!("/{path}"));
        if !is_did(&did) {
            return Err(DidError::Invalid("it is not did:<method>:<id>"));
        }
        let parts = [&path, &query, &fragment];
        if !parts.into_iter().flatten().all(|part| is_url_text(part)) {
            return Err(DidError::Invalid("it has a character that a DID URL cannot have"));
        }
        Ok(DidUrl { did, path, query, fragment })
    }
}

impl fmt::Display for DidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.did, self.path.as_deref().unwrap_or_default())?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        match &self.fragment {
            Some(fragment) => write!(f, "#{fragment}"),
            None => Ok(()),
        }
    }
}

/// True if the text obeys the `did` rule of DID Core §3.1, whatever the method.
pub fn is_did(text: &str) -> bool {
    let Some((method, id)) = text.strip_prefix("did:").and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let method_good =
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let id_good = is_percent_encoded(id, |byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    text.len() <= DID_URL_LENGTH_MAX && method_good && id_good && !id.is_empty() && !id.ends_with(':')
}

fn is_url_text(text: &str) -> bool {
    // pchar, "/" and "?" of RFC 3986.
    is_percent_encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte))
}

/// True if every character is allowed or part of a `%XX`.
fn is_percent_encoded(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            other => allowed(other),
        };
        if !good {
            return false;
        }
    }
    true
}

/// Percent-decodes; `None` if it is not well formed or not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}
