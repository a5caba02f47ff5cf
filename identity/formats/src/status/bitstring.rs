//! W3C Bitstring Status List 1.0: the entry of a credential (section 2.1), the list credential (section 2.2) and the
//! algorithms between them (section 3).
//!
//! Beyond the text: lists have at most 2^24 entries of at most 8 bits, and a list that has an `id` must be the one that
//! the entry names.

use super::inflate::{gunzip, gzip};
use super::{ENTRIES_MAX, ENTRIES_MIN, Meaning, Status, StatusError};
use aval_codec::b64u;
use serde_json::{Map, Value, json};

/// The type of an entry.
pub const ENTRY_TYPE: &str = "BitstringStatusListEntry";
/// The type of a list credential beside `VerifiableCredential`.
pub const CREDENTIAL_TYPE: &str = "BitstringStatusListCredential";
/// The type of its subject.
pub const SUBJECT_TYPE: &str = "BitstringStatusList";
/// Largest entry in bits.
pub const SIZE_MAX: u8 = 8;
/// Longest URI, purpose or message that is read, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// One message of an entry of several bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMessage {
    /// The value that stands for it.
    pub status: u8,
    /// Its text, for developers.
    pub message: String,
}

/// Where a credential's status is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitstringEntry {
    /// What the status is about: `revocation`, `suspension`, `refresh`, `message` or another.
    pub purpose: String,
    /// The position. An index that no list can have is read as the largest.
    pub index: u64,
    /// The URL of the list credential.
    pub list: String,
    /// Bits of one entry, 1 to 8.
    pub size: u8,
    /// What the values mean: none, or one for each value.
    pub messages: Vec<StatusMessage>,
}

impl BitstringEntry {
    /// Reads one entry of `credentialStatus`.
    pub fn read(entry: &Value) -> Result<Self, StatusError> {
        let members = entry.as_object().ok_or(StatusError::Malformed("an entry is not an object"))?;
        if text(members, "type") != Some(ENTRY_TYPE) {
            return Err(StatusError::Malformed("the type of the entry is another"));
        }
        let purpose = text(members, "statusPurpose").ok_or(StatusError::Malformed("no `statusPurpose`"))?;
        let index = text(members, "statusListIndex")
            .and_then(index)
            .ok_or(StatusError::Malformed("`statusListIndex` is not a number in decimal digits"))?;
        let list = text(members, "statusListCredential")
            .filter(|list| is_uri(list))
            .ok_or(StatusError::Malformed("`statusListCredential` is not a URL"))?;
        match members.get("id") {
            None => {}
            Some(Value::String(id)) if is_uri(id) && id != list => {}
            Some(_) => return Err(StatusError::Malformed("the `id` of the entry is not a URL of its own")),
        }
        let size = size(members.get("statusSize"))?.unwrap_or(1);
        let messages = match members.get("statusMessage") {
            None if size > 1 => return Err(StatusError::Malformed("`statusMessage` is missing")),
            None => Vec::new(),
            Some(messages) => read_messages(messages, size)?,
        };
        check_reference(members.get("statusReference"))?;
        Ok(Self { purpose: purpose.to_owned(), index, list: list.to_owned(), size, messages })
    }

    /// The entry as a member of a credential. It has an `id` of its own below the list's URL.
    pub fn to_value(&self) -> Value {
        let mut entry = json!({
            "id": format!("{}#{}", self.list, self.index),
            "type": ENTRY_TYPE,
            "statusPurpose": self.purpose,
            "statusListIndex": self.index.to_string(),
            "statusListCredential": self.list,
        });
        if let (Some(members), true) = (entry.as_object_mut(), self.size > 1 || !self.messages.is_empty()) {
            let message =
                |of: &StatusMessage| json!({"status": format!("{:#x}", of.status), "message": of.message});
            members.insert("statusSize".to_owned(), self.size.into());
            members.insert("statusMessage".to_owned(), self.messages.iter().map(message).collect());
        }
        entry
    }

    fn message(&self, value: u8) -> Option<String> {
        self.messages.iter().find(|message| message.status == value).map(|message| message.message.clone())
    }

    fn meaning(&self, value: u8) -> Meaning {
        match (self.purpose.as_str(), value) {
            ("message", value) => Meaning::Message(self.message(value)),
            (_, 0) => Meaning::Clear,
            ("revocation", _) => Meaning::Revoked,
            ("suspension", _) => Meaning::Suspended,
            ("refresh", _) => Meaning::Refresh,
            _ => Meaning::Unknown,
        }
    }
}

/// The list of a list credential, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitstringList {
    /// The `id` of the list credential, if it has one.
    pub id: Option<String>,
    /// Its purposes; at least one.
    pub purposes: Vec<String>,
    /// For how long it should be kept, in milliseconds, if it says so.
    pub ttl_ms: Option<u64>,
    /// Bits of one entry, if the list itself says so.
    size: Option<u8>,
    bits: Vec<u8>,
}

impl BitstringList {
    /// A list with room for `entries` of `size` bits, all of them 0; at least as long as the minimum.
    pub fn new(purposes: &[&str], entries: u64, size: u8) -> Result<Self, StatusError> {
        if size == 0 || size > SIZE_MAX {
            return Err(StatusError::Unsupported("entries of this size"));
        }
        let bytes = bytes_max(size).filter(|_| entries <= ENTRIES_MAX).ok_or(StatusError::Oversized)?;
        let wanted = usize::try_from((entries.max(ENTRIES_MIN) * u64::from(size)).div_ceil(8));
        let purposes = purposes.iter().map(|purpose| (*purpose).to_owned()).collect();
        let bits = vec![0; wanted.unwrap_or(bytes)];
        Ok(Self { id: None, purposes, ttl_ms: None, size: Some(size), bits })
    }

    /// A list of one-bit entries from a bitmap whose first entry is the highest bit of its first byte, filled up to the
    /// minimum.
    pub fn from_bits(purposes: &[&str], mut bits: Vec<u8>) -> Result<Self, StatusError> {
        let list = Self::new(purposes, 8 * bits.len() as u64, 1)?;
        bits.resize(bits.len().max(list.bits.len()), 0);
        Ok(Self { bits, ..list })
    }

    /// Sets the value of an entry.
    pub fn set(&mut self, index: u64, value: u8) -> Result<(), StatusError> {
        let size = self.size.unwrap_or(1);
        if size < 8 && value >> size != 0 {
            return Err(StatusError::Malformed("the value does not fit into an entry"));
        }
        let (first, positions) = self.positions(index, size).ok_or(StatusError::Range)?;
        for (offset, position) in positions.enumerate() {
            let bit = (value >> (usize::from(size) - 1 - offset)) & 1;
            let mask = 0x80_u8 >> ((first + offset) % 8);
            if let Some(byte) = self.bits.get_mut(position) {
                *byte = if bit == 1 { *byte | mask } else { *byte & !mask };
            }
        }
        Ok(())
    }

    /// How many entries of this many bits the list has.
    pub fn entries(&self, size: u8) -> u64 {
        8 * self.bits.len() as u64 / u64::from(size.max(1))
    }

    /// The value of an entry of this many bits.
    pub fn value(&self, index: u64, size: u8) -> Result<u8, StatusError> {
        let (first, positions) = self.positions(index, size).ok_or(StatusError::Range)?;
        let bit = |(offset, position): (usize, usize)| {
            let byte = self.bits.get(position).copied().unwrap_or_default();
            (byte >> (7 - (first + offset) % 8)) & 1
        };
        Ok(positions.enumerate().fold(0, |value, at| (value << 1) | bit(at)))
    }

    /// The first bit of an entry and the byte in which each of its bits lies.
    fn positions(&self, index: u64, size: u8) -> Option<(usize, impl Iterator<Item = usize> + use<>)> {
        let size = usize::from(size);
        let first = usize::try_from(index).ok()?.checked_mul(size)?;
        let end = first.checked_add(size)?;
        (end <= self.bits.len().checked_mul(8)?).then(|| (first, (first..end).map(|bit| bit / 8)))
    }

    /// What the list says of a credential's entry (section 3.2). `entries_min` is the fewest entries that it must have.
    pub fn status(&self, entry: &BitstringEntry, entries_min: u64) -> Result<Status, StatusError> {
        if !self.purposes.contains(&entry.purpose) {
            return Err(StatusError::Purpose);
        }
        if self.id.as_ref().is_some_and(|id| *id != entry.list) {
            return Err(StatusError::OtherList);
        }
        if self.size.is_some_and(|size| size != entry.size) {
            return Err(StatusError::Malformed("the list has entries of another size"));
        }
        if self.entries(entry.size) < entries_min {
            return Err(StatusError::TooShort);
        }
        let value = self.value(entry.index, entry.size)?;
        Ok(Status { value, meaning: entry.meaning(value) })
    }

    /// Multibase base64url of the gzipped bits (section 3.3).
    pub fn encode(&self) -> Result<String, StatusError> {
        Ok(format!("u{}", b64u::encode(gzip(&self.bits)?)))
    }

    /// Unpacks an `encodedList` of entries of this many bits (section 3.4).
    pub fn decode(encoded: &str, size: u8) -> Result<Vec<u8>, StatusError> {
        let bytes_max = bytes_max(size).ok_or(StatusError::Unsupported("entries of this size"))?;
        let text =
            encoded.strip_prefix('u').ok_or(StatusError::Malformed("`encodedList` is not base64url"))?;
        // Incompressible bits grow by a little; twice the limit is more than any honest list needs.
        if text.len() > 2 * bytes_max {
            return Err(StatusError::Oversized);
        }
        let packed =
            b64u::decode(text).map_err(|_| StatusError::Malformed("`encodedList` is not base64url"))?;
        gunzip(&packed, bytes_max)
    }

    /// Reads a list credential whose proof was verified. `size` is that of the entry for which it was fetched.
    pub fn read(credential: &Value, size: u8) -> Result<Self, StatusError> {
        if !has_type(credential, CREDENTIAL_TYPE) {
            return Err(StatusError::Malformed("the type of the list credential is another"));
        }
        let subject = credential
            .get("credentialSubject")
            .and_then(Value::as_object)
            .ok_or(StatusError::Malformed("the list credential has no single subject"))?;
        if !subject.get("type").is_some_and(|kind| names(kind, SUBJECT_TYPE)) {
            return Err(StatusError::Malformed("the subject is not a `BitstringStatusList`"));
        }
        let purposes = purposes(subject.get("statusPurpose"))?;
        let of_list = self::size(subject.get("statusSize"))?;
        let ttl_ms = match subject.get("ttl") {
            None => None,
            Some(ttl) => {
                Some(ttl.as_u64().ok_or(StatusError::Malformed("`ttl` is not a number of milliseconds"))?)
            }
        };
        let encoded = subject.get("encodedList").and_then(Value::as_str);
        let encoded = encoded.ok_or(StatusError::Malformed("the list has no `encodedList`"))?;
        let bits = Self::decode(encoded, of_list.unwrap_or(size))?;
        let id = credential.get("id").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { id, purposes, ttl_ms, size: of_list, bits })
    }

    /// The unsigned list credential, which leaves the size of entries to the entries: the context of VCDM 2.0 knows no
    /// `statusSize` of a list. Valid from and until these dates (`xsd:dateTimeStamp`).
    pub fn to_credential(
        &self,
        id: &str,
        issuer: &str,
        from: &str,
        until: &str,
    ) -> Result<Value, StatusError> {
        let purpose = match self.purposes.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        let mut subject = json!({
            "id": format!("{id}#list"),
            "type": SUBJECT_TYPE,
            "statusPurpose": purpose,
            "encodedList": self.encode()?,
        });
        if let (Some(members), Some(ttl)) = (subject.as_object_mut(), self.ttl_ms) {
            members.insert("ttl".to_owned(), ttl.into());
        }
        Ok(json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "id": id,
            "type": ["VerifiableCredential", CREDENTIAL_TYPE],
            "issuer": issuer,
            "validFrom": from,
            "validUntil": until,
            "credentialSubject": subject,
        }))
    }
}

/// Most bytes of an unpacked list of entries of this many bits.
fn bytes_max(size: u8) -> Option<usize> {
    let bits = ENTRIES_MAX.checked_mul(u64::from(size)).filter(|_| (1..=SIZE_MAX).contains(&size))?;
    usize::try_from(bits / 8).ok()
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = members.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES_MAX)
}

/// Whether a text is an absolute URI; what can be fetched is for the one who fetches to decide.
pub(crate) fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').filter(|(_, rest)| !rest.is_empty()).map(|(scheme, _)| scheme);
    let named = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    scheme.is_some_and(named)
        && text.bytes().all(|byte| byte > b' ' && byte != 0x7f && !b"<>\"{}|\\^`".contains(&byte))
}

/// Digits only and no leading zero. What no integer holds is no position of any list either.
fn index(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn size(value: Option<&Value>) -> Result<Option<u8>, StatusError> {
    let Some(value) = value else { return Ok(None) };
    match value.as_u64() {
        None | Some(0) => Err(StatusError::Malformed("`statusSize` is not an integer above zero")),
        Some(size) => u8::try_from(size)
            .ok()
            .filter(|size| *size <= SIZE_MAX)
            .map(Some)
            .ok_or(StatusError::Unsupported("entries of more than 8 bits")),
    }
}

/// Exactly one message for each value that an entry of this many bits can have.
fn read_messages(value: &Value, size: u8) -> Result<Vec<StatusMessage>, StatusError> {
    let wrong = StatusError::Malformed("`statusMessage` does not have one message for each value");
    let entries = value.as_array().filter(|entries| entries.len() == 1 << size).ok_or(wrong.clone())?;
    let mut messages = Vec::with_capacity(entries.len());
    for entry in entries {
        let status = entry.get("status").and_then(Value::as_str).and_then(hexadecimal);
        let message =
            entry.get("message").and_then(Value::as_str).filter(|text| text.len() <= TEXT_BYTES_MAX);
        let (Some(status), Some(message)) = (status, message) else { return Err(wrong) };
        if messages.iter().any(|other: &StatusMessage| other.status == status)
            || usize::from(status) >= 1 << size
        {
            return Err(wrong);
        }
        messages.push(StatusMessage { status, message: message.to_owned() });
    }
    Ok(messages)
}

fn hexadecimal(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("0x")?;
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

fn check_reference(value: Option<&Value>) -> Result<(), StatusError> {
    let is_url = |value: &Value| value.as_str().is_some_and(is_uri);
    match value {
        None => Ok(()),
        Some(Value::Array(several)) if several.iter().all(is_url) => Ok(()),
        Some(one) if is_url(one) => Ok(()),
        Some(_) => Err(StatusError::Malformed("`statusReference` is not a URL or a list of them")),
    }
}

fn purposes(value: Option<&Value>) -> Result<Vec<String>, StatusError> {
    let wrong = StatusError::Malformed("`statusPurpose` of the list is not one or more strings");
    let entries = match value {
        Some(Value::Array(several)) if !several.is_empty() && several.len() <= 16 => several.as_slice(),
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        _ => return Err(wrong),
    };
    let purpose = |value: &Value| value.as_str().map(str::to_owned).ok_or(wrong.clone());
    entries.iter().map(purpose).collect()
}

/// Whether a `type` is this name or a list that has it.
fn names(kind: &Value, name: &str) -> bool {
    match kind {
        Value::String(one) => one == name,
        Value::Array(several) => several.iter().any(|entry| entry.as_str() == Some(name)),
        _ => false,
    }
}

fn has_type(document: &Value, name: &str) -> bool {
    document.get("type").is_some_and(|kind| names(kind, name))
}
