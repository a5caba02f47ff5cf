//! Claims as `serde_json` values, read strictly: bounded in size and depth, and no name twice in an object.
//!
//! Messages of the protocols are read by `aval-codec`, which has no floats. Claims of credentials may have any number,
//! so that they are read here.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// How deep claims may be nested. `serde_json` refuses more than 128 levels on its own.
pub const DEPTH_MAX: usize = 64;

/// Reads a value of at most `bytes_max` bytes. The error is a text for developers.
pub fn parse(bytes: &[u8], bytes_max: usize) -> Result<Value, String> {
    if bytes.len() > bytes_max {
        return Err("it is larger than allowed".to_owned());
    }
    serde_json::from_slice::<OnceNamed>(bytes).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if depth(&value) > DEPTH_MAX {
        return Err("it is nested too deeply".to_owned());
    }
    Ok(value)
}

/// The nesting of a value; a leaf has one level.
pub fn depth(value: &Value) -> usize {
    // Parsed values have at most 128 levels, so that this recursion is bounded.
    let inner = match value {
        Value::Object(members) => members.values().map(depth).max(),
        Value::Array(elements) => elements.iter().map(depth).max(),
        _ => None,
    };
    inner.unwrap_or(0).saturating_add(1)
}

/// Any JSON in which no object has a name twice. Holds nothing.
struct OnceNamed;

impl<'de> Deserialize<'de> for OnceNamed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = OnceNamed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<OnceNamed, E> {
        Ok(OnceNamed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<OnceNamed, E> {
        Ok(OnceNamed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<OnceNamed, E> {
        Ok(OnceNamed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<OnceNamed, E> {
        Ok(OnceNamed)
    }

    fn visit_str<E>(self, _: &str) -> Result<OnceNamed, E> {
        Ok(OnceNamed)
    }

    fn visit_unit<E>(self) -> Result<OnceNamed, E> {
        Ok(OnceNamed)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<OnceNamed, A::Error> {
        while elements.next_element::<OnceNamed>()?.is_some() {}
        Ok(OnceNamed)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<OnceNamed, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            members.next_value::<OnceNamed>()?;
            if !names.insert(name) {
                return Err(A::Error::custom("a name occurs twice in an object"));
            }
        }
        Ok(OnceNamed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_json_is_read_but_no_name_twice() {
        let text = br#"{"a":[1,-2,1.5,1e300,"b",null,true,{"a":{}}],"c":{}}"#;
        assert!(parse(text, 100).is_ok());
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, "", "{", "[1,]", "nul"] {
            assert!(parse(text.as_bytes(), 100).is_err(), "{text}");
        }
    }

    #[test]
    fn size_and_depth_are_bounded() {
        assert!(parse(b"[1,2,3]", 6).is_err());
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(DEPTH_MAX).as_bytes(), 1000).is_ok());
        assert!(parse(nested(DEPTH_MAX + 1).as_bytes(), 1000).is_err());
        assert!(parse(nested(100_000).as_bytes(), 1_000_000).is_err());
    }
}
