//! Credentials and presentations secured as JWT and SD-JWT (VC-JOSE-COSE 1.0, RFC 9901, SD-JWT VC).
//!
//! [`Jwt`] is the strict compact JWS below all of them. Its key comes from the caller: `jwk`, `jku`, `x5u` and `x5c`
//! of a header are shown and never followed.

mod envelope;
mod jwt_vc;
pub mod sd_jwt;

pub use envelope::{VC_JWT, VP_JWT, read_credential, read_presentation, sign_credential, sign_presentation};
pub use jwt_vc::{ClaimsOf11, read_credential_1_1, read_presentation_1_1};

use crate::json::{self, Limits};
use crate::{FormatError, KeyType, Signer, VerificationKey, jcs};
use aval_codec::b64u;
use serde_json::{Map, Value};

/// Headers are small, but `x5c` may hold a chain of certificates.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// A parsed compact JWS with a JSON object inside. Nothing is verified by parsing.
#[derive(Clone, Debug, PartialEq)]
pub struct Jwt {
    part: &'static str,
    kind: KeyType,
    header: Map<String, Value>,
    payload: Map<String, Value>,
    signing_input: String,
    signature: Vec<u8>,
}

impl Jwt {
    /// Reads a JWS whose `typ` is one of `types` (with or without `application/`, RFC 7515 section 4.1.9); with no
    /// types given it must be `JWT` or missing, as in the days before there were types. `part` names it in errors.
    /// Any `crit` is refused, because no extension is understood here.
    pub fn parse(
        text: &str,
        part: &'static str,
        types: &[&str],
        limits: Limits,
    ) -> Result<Self, FormatError> {
        if text.len() > limits.bytes_max {
            return Err(FormatError::Oversized(part));
        }
        let mut segments = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(FormatError::malformed(part, "a compact JWS has three segments"));
        };
        if header.len() > HEADER_BYTES_MAX {
            return Err(FormatError::Oversized("header"));
        }
        let signing_input = text.get(..header.len() + 1 + payload.len()).unwrap_or_default().to_owned();
        let bytes = |segment| b64u::decode(segment).map_err(|error| FormatError::malformed(part, error));
        let header = json::parse_object(&bytes(header)?, part, limits)?;
        let kind = check_header(&header, part, types)?;
        let payload = json::parse_object(&bytes(payload)?, part, limits)?;
        let signature = bytes(signature)?;
        if signature.len() != kind.signature_bytes() {
            return Err(FormatError::Signature(part));
        }
        Ok(Self { part, kind, header, payload, signing_input, signature })
    }

    /// The type of key that the header's algorithm needs.
    pub fn key_type(&self) -> KeyType {
        self.kind
    }

    /// The `kid` of the header.
    pub fn key_id(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// The `typ` of the header.
    pub fn media_type(&self) -> Option<&str> {
        self.header.get("typ").and_then(Value::as_str)
    }

    /// The whole header. Whoever takes a key out of it must have a reason: only proofs of possession and X.509 do.
    pub fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// The payload.
    pub fn payload(&self) -> &Map<String, Value> {
        &self.payload
    }

    /// The payload by value.
    pub fn into_payload(self) -> Map<String, Value> {
        self.payload
    }

    /// Checks the signature. The key decides: an `alg` that does not fit it is refused before any cryptography.
    pub fn verify(&self, key: &VerificationKey) -> Result<(), FormatError> {
        if key.kind() != self.kind {
            return Err(FormatError::Algorithm(self.part));
        }
        key.verify(self.signing_input.as_bytes(), &self.signature, self.part)
    }

    /// Checks `nbf` and `exp`.
    pub fn check_time(&self, now_s: i64, skew_s: i64) -> Result<(), FormatError> {
        check_time(&self.payload, now_s, skew_s)
    }
}

/// The rules for headers; hands out the type of key.
fn check_header(
    header: &Map<String, Value>,
    part: &'static str,
    types: &[&str],
) -> Result<KeyType, FormatError> {
    if header.contains_key("crit") {
        return Err(FormatError::Critical(part));
    }
    if header.contains_key("b64") {
        return Err(FormatError::Header { part, reason: "an unencoded payload" });
    }
    let short = |typ: &str| typ.strip_prefix("application/").unwrap_or(typ).to_ascii_lowercase();
    match header.get("typ") {
        Some(Value::String(typ)) if types.is_empty() => {
            if short(typ) != "jwt" {
                return Err(FormatError::Type(part));
            }
        }
        Some(Value::String(typ)) if types.contains(&short(typ).as_str()) => {}
        None if types.is_empty() => {}
        _ => return Err(FormatError::Type(part)),
    }
    if header.get("kid").is_some_and(|key_id| !key_id.is_string()) {
        return Err(FormatError::Header { part, reason: "a key id that is not text" });
    }
    let algorithm = header.get("alg").and_then(Value::as_str);
    algorithm.and_then(KeyType::of_algorithm).ok_or(FormatError::Algorithm(part))
}

/// Signs a payload as a compact JWS. `header` holds what stands beside `alg` and `typ`, such as `kid` or `x5c`.
pub fn sign(
    typ: &str,
    header: &Map<String, Value>,
    payload: &Map<String, Value>,
    signer: &dyn Signer,
) -> Result<String, FormatError> {
    let mut header = header.clone();
    header.insert("alg".to_owned(), signer.public().algorithm().into());
    header.insert("typ".to_owned(), typ.into());
    // Canonical, so that the same claims are the same token in every build.
    let encode = |members: &Map<String, Value>| jcs::canonicalize_object(members).map(b64u::encode);
    let signing_input = format!("{}.{}", encode(&header)?, encode(payload)?);
    let signature = signer.sign(signing_input.as_bytes())?;
    Ok(format!("{signing_input}.{}", b64u::encode(signature)))
}

/// A header with a key id and nothing else.
pub fn key_id_header(key_id: &str) -> Map<String, Value> {
    Map::from_iter([("kid".to_owned(), Value::String(key_id.to_owned()))])
}

/// Checks the `nbf` and `exp` of claims; a claim that is no number is an error, not no claim.
pub fn check_time(claims: &Map<String, Value>, now_s: i64, skew_s: i64) -> Result<(), FormatError> {
    if seconds(claims, "nbf")?.is_some_and(|begin| now_s.saturating_add(skew_s) < begin) {
        return Err(FormatError::NotYetValid);
    }
    if seconds(claims, "exp")?.is_some_and(|end| now_s.saturating_sub(skew_s) >= end) {
        return Err(FormatError::Expired);
    }
    Ok(())
}

/// A time claim in unix seconds. RFC 7519 allows fractions; they are cut off.
pub fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, FormatError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(seconds), _) => Ok(Some(seconds)),
            #[allow(clippy::cast_possible_truncation)]
            (None, Some(seconds)) if seconds.abs() < 1e15 => Ok(Some(seconds.floor() as i64)),
            _ => Err(FormatError::Claims("a time is out of range")),
        },
        Some(_) => Err(FormatError::Claims("a time is not a number of seconds")),
    }
}
