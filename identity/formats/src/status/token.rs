//! IETF Token Status List, draft 20: the reference of a token (section 6), the list as JSON and CBOR (section 4) and
//! the
//! claims of the token that carries it, as JWT and CWT (section 5).
//!
//! Beyond the text: lists have at most 2^24 entries.

use super::bitstring::is_uri;
use super::inflate::{unzlib, zlib};
use super::{ENTRIES_MAX, Meaning, Status, StatusError};
use aval_codec::b64u;
use ciborium::Value as Cbor;
use serde_json::{Map, Value, json};

/// The `typ` of a token in JWT form; its media type is this below `application/`.
pub const JWT_TYPE: &str = "statuslist+jwt";
/// The type of a token in CWT form; its media type is this below `application/`.
pub const CWT_TYPE: &str = "statuslist+cwt";
/// Longest URI that is read, in bytes.
const URI_BYTES_MAX: usize = 2048;

/// Keys of the CWT's claims (section 5.2 and RFC 8392 section 4).
mod claim {
    pub(super) const ISSUER: i64 = 1;
    pub(super) const SUBJECT: i64 = 2;
    pub(super) const EXPIRES: i64 = 4;
    pub(super) const ISSUED: i64 = 6;
    pub(super) const TTL: i64 = 65534;
    pub(super) const STATUS_LIST: i64 = 65533;
}

/// Where a token's status is to be found: `status.status_list` of its claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// The URI of the list's token.
    pub uri: String,
    /// The position.
    pub index: u64,
}

impl TokenEntry {
    /// Reads the `status` claim. `None` if it names other mechanisms only.
    pub fn read(status: &Value) -> Result<Option<Self>, StatusError> {
        let members = status.as_object().ok_or(StatusError::Malformed("`status` is not an object"))?;
        let Some(entry) = members.get("status_list") else { return Ok(None) };
        let index = entry.get("idx").and_then(Value::as_u64);
        let index = index.ok_or(StatusError::Malformed("`idx` is not an integer from 0 on"))?;
        let uri = entry.get("uri").and_then(Value::as_str);
        let uri = uri.filter(|uri| uri.len() <= URI_BYTES_MAX && is_uri(uri));
        let uri = uri.ok_or(StatusError::Malformed("`uri` is not a URI"))?.to_owned();
        Ok(Some(Self { uri, index }))
    }

    /// The `status` claim.
    pub fn to_value(&self) -> Value {
        json!({"status_list": {"idx": self.index, "uri": self.uri}})
    }
}

/// The statuses of many tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenList {
    bits: u8,
    bytes: Vec<u8>,
}

impl TokenList {
    /// A list with room for `entries` of 1, 2, 4 or 8 bits, all of them 0.
    pub fn new(entries: u64, bits: u8) -> Result<Self, StatusError> {
        if entries > ENTRIES_MAX {
            return Err(StatusError::Oversized);
        }
        let bytes = usize::try_from((entries * u64::from(check_bits(u64::from(bits))?)).div_ceil(8));
        Ok(Self { bits, bytes: vec![0; bytes.map_err(|_| StatusError::Oversized)?] })
    }

    /// The list of a registry's bitmaps, in which the first entry is the highest bit of the first byte: revoked is 1,
    /// suspended 2, and revoked wins. It has one bit for each entry without suspensions, else two.
    pub fn of_bitmaps(revoked: &[u8], suspended: Option<&[u8]>) -> Result<Self, StatusError> {
        let entries = 8 * revoked.len().max(suspended.map_or(0, <[u8]>::len)) as u64;
        let mut list = Self::new(entries, if suspended.is_some() { 2 } else { 1 })?;
        let passes = [(suspended.unwrap_or_default(), 2), (revoked, 1)];
        for (bitmap, value) in passes {
            for (position, byte) in (0_u64..).zip(bitmap).filter(|(_, byte)| **byte != 0) {
                for bit in (0..8).filter(|bit| byte & (0x80_u8 >> bit) != 0) {
                    list.set(8 * position + bit, value)?;
                }
            }
        }
        Ok(list)
    }

    /// Bits of one entry.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// How many entries there are, a few more than were asked for if they did not fill the last byte.
    pub fn entries(&self) -> u64 {
        8 * self.bytes.len() as u64 / u64::from(self.bits)
    }

    /// The byte of an entry and how far its lowest bit is from the byte's lowest.
    fn position(&self, index: u64) -> Option<(usize, u32)> {
        let in_a_byte = u64::from(8 / self.bits);
        let shift = u32::try_from(index % in_a_byte).ok()? * u32::from(self.bits);
        Some((usize::try_from(index / in_a_byte).ok()?, shift))
    }

    /// Sets the value of an entry.
    pub fn set(&mut self, index: u64, value: u8) -> Result<(), StatusError> {
        let mask = u8::MAX >> (8 - self.bits);
        if value & !mask != 0 {
            return Err(StatusError::Malformed("the value does not fit into an entry"));
        }
        let (position, shift) = self.position(index).ok_or(StatusError::Range)?;
        let byte = self.bytes.get_mut(position).ok_or(StatusError::Range)?;
        *byte = (*byte & !(mask << shift)) | (value << shift);
        Ok(())
    }

    /// What the list says of an entry (section 7.1 has the values).
    pub fn status(&self, index: u64) -> Result<Status, StatusError> {
        let (position, shift) = self.position(index).ok_or(StatusError::Range)?;
        let byte = self.bytes.get(position).ok_or(StatusError::Range)?;
        let value = (byte >> shift) & (u8::MAX >> (8 - self.bits));
        let meaning = match value {
            0 => Meaning::Clear,
            1 => Meaning::Revoked,
            2 => Meaning::Suspended,
            _ => Meaning::Unknown,
        };
        Ok(Status { value, meaning })
    }

    fn unpack(bits: u64, packed: &[u8]) -> Result<Self, StatusError> {
        let bits = check_bits(bits)?;
        let bytes_max =
            usize::try_from(ENTRIES_MAX * u64::from(bits) / 8).map_err(|_| StatusError::Oversized)?;
        if packed.len() > 2 * bytes_max {
            return Err(StatusError::Oversized);
        }
        Ok(Self { bits, bytes: unzlib(packed, bytes_max)? })
    }

    /// The JSON form (section 4.2).
    pub fn to_json(&self) -> Result<Value, StatusError> {
        Ok(json!({"bits": self.bits, "lst": b64u::encode(zlib(&self.bytes)?)}))
    }

    /// Reads the JSON form.
    pub fn from_json(list: &Value) -> Result<Self, StatusError> {
        let bits =
            list.get("bits").and_then(Value::as_u64).ok_or(StatusError::Malformed("`bits` is missing"))?;
        let packed =
            list.get("lst").and_then(Value::as_str).ok_or(StatusError::Malformed("`lst` is missing"))?;
        let packed = b64u::decode(packed).map_err(|_| StatusError::Malformed("`lst` is not base64url"))?;
        Self::unpack(bits, &packed)
    }

    /// The CBOR form (section 4.3).
    pub fn to_cbor(&self) -> Result<Cbor, StatusError> {
        let text = |name: &str| Cbor::Text(name.to_owned());
        Ok(Cbor::Map(vec![
            (text("bits"), Cbor::Integer(self.bits.into())),
            (text("lst"), Cbor::Bytes(zlib(&self.bytes)?)),
        ]))
    }

    /// Reads the CBOR form.
    pub fn from_cbor(list: &Cbor) -> Result<Self, StatusError> {
        let members = list.as_map().ok_or(StatusError::Malformed("the list is not a map"))?;
        let member = |name: &str| unique(members, |key| key.as_text() == Some(name));
        let bits = member("bits")?.and_then(Cbor::as_integer).and_then(|bits| u64::try_from(bits).ok());
        let packed =
            member("lst")?.and_then(Cbor::as_bytes).ok_or(StatusError::Malformed("`lst` is missing"))?;
        Self::unpack(bits.ok_or(StatusError::Malformed("`bits` is missing"))?, packed)
    }
}

/// The claims of a list's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenListClaims {
    /// `sub`: the URI of the token, by which tokens refer to it.
    pub uri: String,
    /// `iss`, if it says who issued it.
    pub issuer: Option<String>,
    /// `iat`, in unix seconds.
    pub issued_s: i64,
    /// `exp`, in unix seconds.
    pub expires_s: Option<i64>,
    /// For how long it may be kept, in seconds.
    pub ttl_s: Option<u64>,
    /// The list.
    pub list: TokenList,
}

impl TokenListClaims {
    /// The claims of the JWT, to be signed with the `typ` [`JWT_TYPE`].
    pub fn to_json(&self) -> Result<Map<String, Value>, StatusError> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        };
        put("sub", Some(self.uri.clone().into()));
        put("iss", self.issuer.clone().map(Value::String));
        put("iat", Some(self.issued_s.into()));
        put("exp", self.expires_s.map(Value::from));
        put("ttl", self.ttl_s.map(Value::from));
        put("status_list", Some(self.list.to_json()?));
        Ok(claims)
    }

    /// Reads the claims of a JWT.
    pub fn from_json(claims: &Map<String, Value>) -> Result<Self, StatusError> {
        let uri =
            claims.get("sub").and_then(Value::as_str).ok_or(StatusError::Malformed("`sub` is missing"))?;
        let issuer = match claims.get("iss") {
            None => None,
            Some(Value::String(issuer)) => Some(issuer.clone()),
            Some(_) => return Err(StatusError::Malformed("`iss` is not text")),
        };
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => seconds(value.as_i64(), value.as_f64()).map(Some),
        };
        let ttl_s = match claims.get("ttl") {
            None => None,
            Some(ttl) => Some(positive(ttl.as_i64(), ttl.as_f64())?),
        };
        let list = claims.get("status_list").ok_or(StatusError::Malformed("`status_list` is missing"))?;
        Ok(Self {
            uri: uri.to_owned(),
            issuer,
            issued_s: time("iat")?.ok_or(StatusError::Malformed("`iat` is missing"))?,
            expires_s: time("exp")?,
            ttl_s,
            list: TokenList::from_json(list)?,
        })
    }

    /// The claims of the CWT, to be signed with the type [`CWT_TYPE`].
    pub fn to_cbor(&self) -> Result<Vec<u8>, StatusError> {
        let mut claims = Vec::new();
        let mut put = |key: i64, value: Option<Cbor>| {
            if let Some(value) = value {
                claims.push((Cbor::Integer(key.into()), value));
            }
        };
        put(claim::ISSUER, self.issuer.clone().map(Cbor::Text));
        put(claim::SUBJECT, Some(Cbor::Text(self.uri.clone())));
        put(claim::EXPIRES, self.expires_s.map(|seconds| Cbor::Integer(seconds.into())));
        put(claim::ISSUED, Some(Cbor::Integer(self.issued_s.into())));
        put(claim::STATUS_LIST, Some(self.list.to_cbor()?));
        put(claim::TTL, self.ttl_s.map(|seconds| Cbor::Integer(seconds.into())));
        let mut bytes = Vec::new();
        ciborium::into_writer(&Cbor::Map(claims), &mut bytes)
            .map_err(|_| StatusError::Unsupported("the claims could not be written"))?;
        Ok(bytes)
    }

    /// Reads the claims of a CWT.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, StatusError> {
        if bytes.len() > super::LIST_BYTES_MAX {
            return Err(StatusError::Oversized);
        }
        let mut rest = bytes;
        // As deep as the list in the claims, and a little more for claims of others.
        let claims: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut rest, 16)
            .map_err(|_| StatusError::Malformed("the claims are not CBOR"))?;
        if !rest.is_empty() {
            return Err(StatusError::Malformed("something follows the claims"));
        }
        let members = claims.as_map().ok_or(StatusError::Malformed("the claims are not a map"))?;
        let member = |wanted: i64| unique(members, |key| key.as_integer() == Some(wanted.into()));
        let text = |wanted: i64| match member(wanted)? {
            None => Ok(None),
            Some(Cbor::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(StatusError::Malformed("a claim that names somebody is not text")),
        };
        let number = |value: &Cbor| {
            let integer = value.as_integer().and_then(|integer| i64::try_from(integer).ok());
            (integer, value.as_float())
        };
        let time = |wanted: i64| match member(wanted)?.map(number) {
            None => Ok(None),
            Some((integer, float)) => seconds(integer, float).map(Some),
        };
        let ttl_s = match member(claim::TTL)?.map(number) {
            None => None,
            Some((integer, _)) => Some(positive(integer, None)?),
        };
        let list = member(claim::STATUS_LIST)?.ok_or(StatusError::Malformed("the status list is missing"))?;
        Ok(Self {
            uri: text(claim::SUBJECT)?.ok_or(StatusError::Malformed("the subject is missing"))?,
            issuer: text(claim::ISSUER)?,
            issued_s: time(claim::ISSUED)?
                .ok_or(StatusError::Malformed("the time of issuance is missing"))?,
            expires_s: time(claim::EXPIRES)?,
            ttl_s,
            list: TokenList::from_cbor(list)?,
        })
    }

    /// Checks that this is the list that was asked for, and that it is valid at this time (section 8.3).
    pub fn check(&self, uri: &str, now_s: i64, skew_s: i64) -> Result<(), StatusError> {
        if self.uri != uri {
            return Err(StatusError::OtherList);
        }
        let expired = self.expires_s.is_some_and(|end| now_s.saturating_sub(skew_s) >= end);
        if expired || self.issued_s > now_s.saturating_add(skew_s) {
            return Err(StatusError::Stale);
        }
        Ok(())
    }
}

fn check_bits(bits: u64) -> Result<u8, StatusError> {
    match bits {
        1 => Ok(1),
        2 => Ok(2),
        4 => Ok(4),
        8 => Ok(8),
        _ => Err(StatusError::Malformed("`bits` is not 1, 2, 4 or 8")),
    }
}

/// The one value under a key of a CBOR map; the reader below does not refuse a key that is there twice.
fn unique(members: &[(Cbor, Cbor)], is_key: impl Fn(&Cbor) -> bool) -> Result<Option<&Cbor>, StatusError> {
    let mut found = members.iter().filter(|(key, _)| is_key(key)).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(StatusError::Malformed("a claim is there twice")),
    }
}

/// A NumericDate, cut off to seconds.
fn seconds(integer: Option<i64>, float: Option<f64>) -> Result<i64, StatusError> {
    match (integer, float) {
        (Some(seconds), _) => Ok(seconds),
        #[allow(clippy::cast_possible_truncation)]
        (None, Some(seconds)) if seconds.abs() < 1e15 => Ok(seconds.floor() as i64),
        _ => Err(StatusError::Malformed("a time is not a number of seconds")),
    }
}

fn positive(integer: Option<i64>, float: Option<f64>) -> Result<u64, StatusError> {
    let seconds = seconds(integer, float.map(f64::ceil)).ok().and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .filter(|seconds| *seconds > 0)
        .ok_or(StatusError::Malformed("the time to live is not a positive number"))
}
