//! The one strict JSON reader for everything that consensus, signatures or hashes depend on.
//!
//! It reads RFC 8259 text of a bounded size and depth and refuses what implementations read differently: a key twice
//! in one object, numbers that are not plain integers within ±(2^53 − 1) (no fraction, no exponent, no `-0`), lone
//! surrogates, invalid UTF-8, a byte order mark, anything after the value. What it accepts has one meaning and, by
//! [`Json::to_jcs`], one canonical spelling (RFC 8785).
//!
//! Rust types are filled from [`Json`] and never from serde_json's reader, so that the `arbitrary_precision` feature,
//! which any crate of a build may switch on, changes no result. [`strictly`] closes one gap of serde's derive: a
//! struct inside a `#[serde(tag)]` enum can otherwise be given as an array.

mod deserialize;
mod jcs;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest magnitude of an integer: 2^53 − 1, which every JSON implementation holds exactly.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// No [`Limits`] can go deeper than this, because reading recurses.
pub const DEPTH_CEILING: usize = 128;

/// A JSON value without floating point.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer within ±[`INTEGER_MAX`].
    Int(i64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; the order of its keys in the text is not kept.
    Object(BTreeMap<String, Json>),
}

/// How large a text may be and how deep it may nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest text in bytes.
    pub bytes_max: usize,
    /// Deepest nesting of arrays and objects; a scalar alone has depth 0. At most [`DEPTH_CEILING`] has effect.
    pub depth_max: usize,
}

impl Limits {
    /// A size limit with the usual depth of 32.
    pub const fn bytes(bytes_max: usize) -> Self {
        Limits { bytes_max, depth_max: 32 }
    }
}

impl Default for Limits {
    /// 64 KiB, 32 deep.
    fn default() -> Self {
        Limits::bytes(64 * 1024)
    }
}

/// Why a text is refused. No variant repeats a value of the text, so that an error can be logged and answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Longer than the limit.
    #[error("JSON text of {length} bytes is above the limit of {limit}")]
    TooLong {
        /// Length of the text.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("JSON text is not UTF-8")]
    Utf8,
    /// Not JSON.
    #[error("not JSON at byte {offset}")]
    Syntax {
        /// Where.
        offset: usize,
    },
    /// A number that is not a plain integer within bounds.
    #[error("number at byte {offset} is not an integer within 2^53 - 1")]
    Number {
        /// Where.
        offset: usize,
    },
    /// A key that the object already has.
    #[error("duplicate key at byte {offset}")]
    DuplicateKey {
        /// Where.
        offset: usize,
    },
    /// A surrogate without its pair.
    #[error("lone surrogate at byte {offset}")]
    Surrogate {
        /// Where.
        offset: usize,
    },
    /// Nested deeper than the limit.
    #[error("JSON nests deeper than {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Something follows the value.
    #[error("something follows the JSON value at byte {offset}")]
    Trailing {
        /// Where.
        offset: usize,
    },
    /// Well-formed, but not of the shape that is expected here.
    #[error("{0}")]
    Shape(String),
}

/// Reads one value.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Json, JsonError> {
    parse::parse(bytes, limits)
}

/// Reads one value strictly and fills `T` from it.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8], limits: Limits) -> Result<T, JsonError> {
    from_json(parse(bytes, limits)?)
}

/// Fills `T` from a value.
pub fn from_json<T: DeserializeOwned>(json: Json) -> Result<T, JsonError> {
    T::deserialize(json)
}

/// The value that `value` serializes to. Fails on floats, large integers and keys that are not strings.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Json, JsonError> {
    let text = serde_json::to_vec(value).map_err(|error| JsonError::Shape(error.to_string()))?;
    parse(&text, Limits { bytes_max: usize::MAX, depth_max: DEPTH_CEILING })
}

/// The RFC 8785 bytes of what `value` serializes to.
pub fn to_jcs<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JsonError> {
    Ok(to_json(value)?.to_jcs())
}

/// For `#[serde(deserialize_with)]`: reads a [`Json`] first and fills `T` from that, so that structs are objects and
/// null is not "absent" however the surrounding type buffers its content. On an `Option` field, together with
/// `#[serde(default)]`, use [`strictly_some`].
pub fn strictly<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    from_json(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// As [`strictly`] for a member that may be left out but not be null.
pub fn strictly_some<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    strictly(deserializer).map(Some)
}

impl Json {
    /// The RFC 8785 (JCS) bytes.
    pub fn to_jcs(&self) -> Vec<u8> {
        jcs::to_jcs(self)
    }

    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.get(key)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, if it is one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i64()?.try_into().ok()
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn as_object(&self) -> Option<&BTreeMap<String, Json>> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The members by value, if it is an object.
    pub fn into_object(self) -> Option<BTreeMap<String, Json>> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Takes the string member `tag` out of an object and leaves the rest: how tagged actions are told apart.
    pub fn split_tag(self, tag: &str) -> Result<(String, Json), JsonError> {
        let mut members = self.into_object().ok_or_else(|| JsonError::Shape("expected an object".into()))?;
        match members.remove(tag) {
            Some(Json::String(kind)) => Ok((kind, Json::Object(members))),
            _ => Err(JsonError::Shape(format!("expected a string member {tag:?}"))),
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Json::Int(value.into())
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Self {
        Json::Array(items)
    }
}

impl<K: Into<String>, const N: usize> From<[(K, Json); N]> for Json {
    fn from(members: [(K, Json); N]) -> Self {
        Json::Object(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Int(value) => serializer.serialize_i64(*value),
            Json::String(text) => serializer.serialize_str(text),
            Json::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(item)?;
                }
                sequence.end()
            }
            Json::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}
