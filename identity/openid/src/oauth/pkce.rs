//! Proof keys for codes (RFC 7636). Only `S256`: `plain` protects from nobody who reads the request.

use aval_codec::{b64u, sha256};
use subtle::ConstantTimeEq;

/// The one method.
pub const METHOD: &str = "S256";

/// The challenge of a verifier.
pub fn challenge(verifier: &str) -> String {
    b64u::encode(sha256(verifier.as_bytes()))
}

/// Whether a text can be a challenge.
pub fn is_challenge(text: &str) -> bool {
    b64u::decode_array::<32>(text).is_ok()
}

/// Whether a text can be a verifier (section 4.1).
pub fn is_verifier(text: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a verifier is that of a challenge.
pub fn fits(verifier: &str, expected: &str) -> bool {
    is_verifier(verifier) && challenge(verifier).as_bytes().ct_eq(expected.as_bytes()).into()
}
