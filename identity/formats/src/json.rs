//! Reading JSON strictly into [`serde_json::Value`] (RFC 8259, I-JSON).
//!
//! Refused is what two readers may read differently: a key twice in one object, integers beyond ±(2^53 − 1), lone
//! surrogates, invalid UTF-8, anything after the value; and what is larger or deeper than the limits.

use crate::FormatError;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, de};
use serde_json::{Map, Number, Value};
use std::fmt;

/// The largest magnitude of an integer that every reader holds exactly.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// How large a text may be and how deep it may nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest text in bytes.
    pub bytes_max: usize,
    /// Deepest nesting; a scalar alone has depth 0. More than 100 has no effect.
    pub depth_max: usize,
}

impl Default for Limits {
    /// 512 KiB, 32 deep: a credential with a photograph.
    fn default() -> Self {
        Limits { bytes_max: 512 * 1024, depth_max: 32 }
    }
}

/// Marks in the messages of serde's error, by which our two own reasons are told from those of the reader.
const DUPLICATE: &str = "aval: duplicate key";
const NUMBER: &str = "aval: number";
const DEPTH: &str = "aval: depth";

/// Reads one value. `part` names the text in errors.
pub fn parse(bytes: &[u8], part: &'static str, limits: Limits) -> Result<Value, FormatError> {
    if bytes.len() > limits.bytes_max {
        return Err(FormatError::Oversized(part));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: limits.depth_max.min(100) }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| match error.to_string() {
        text if text.starts_with(DUPLICATE) => FormatError::DuplicateKey(part),
        text if text.starts_with(NUMBER) => FormatError::Number(part),
        text if text.starts_with(DEPTH) => FormatError::Oversized(part),
        // The reader's own message may repeat a piece of the text; the place is enough.
        _ => FormatError::malformed(
            part,
            format!("not JSON at line {}, column {}", error.line(), error.column()),
        ),
    })
}

/// As [`parse`], for what must be an object.
pub fn parse_object(
    bytes: &[u8],
    part: &'static str,
    limits: Limits,
) -> Result<Map<String, Value>, FormatError> {
    match parse(bytes, part, limits)? {
        Value::Object(members) => Ok(members),
        _ => Err(FormatError::malformed(part, "not a JSON object")),
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        self.depth.checked_sub(1).map(|depth| Strict { depth }).ok_or_else(|| E::custom(DEPTH))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > INTEGER_MAX { Err(E::custom(NUMBER)) } else { Ok(value.into()) }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if value > INTEGER_MAX { Err(E::custom(NUMBER)) } else { Ok(value.into()) }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom(NUMBER))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut elements = Vec::new();
        while let Some(element) = access.next_element_seed(inside)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(DUPLICATE));
            }
            let value = access.next_value_seed(inside)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
