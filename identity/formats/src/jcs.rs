//! The JSON Canonicalization Scheme (RFC 8785).

use crate::FormatError;
use serde_json::{Map, Value};

/// The canonical bytes of a value.
pub fn canonicalize(value: &Value) -> Result<Vec<u8>, FormatError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| FormatError::malformed("JSON value", error))
}

/// The canonical bytes of an object.
pub fn canonicalize_object(members: &Map<String, Value>) -> Result<Vec<u8>, FormatError> {
    serde_json_canonicalizer::to_vec(members).map_err(|error| FormatError::malformed("JSON object", error))
}
