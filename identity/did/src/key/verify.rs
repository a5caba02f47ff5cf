//! Checking keys and single signatures.
//!
//! Ed25519 keys are checked with `ed25519-dalek`'s point arithmetic, but signatures are verified with
//! `ed25519-zebra`: its ZIP-215 rules give the same answer for one signature and for a batch, which dalek's do not.

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature as P256Signature, VerifyingKey as P256Key};

use super::{KeyError, PublicKey};

/// 2^255 − 19, little-endian: a canonical y coordinate is below it.
const FIELD_PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

pub(super) fn checked_ed25519(bytes: &[u8]) -> Result<[u8; 32], KeyError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Malformed)?;
    let mut y = bytes;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    // Compared from the most significant byte, which comes last.
    if y.iter().rev().ge(FIELD_PRIME.iter().rev()) {
        return Err(KeyError::Weak);
    }
    let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::OffCurve)?;
    // The other non-canonical encodings, a sign bit on x = 0, are two of the small-order points.
    if key.is_weak() { Err(KeyError::Weak) } else { Ok(bytes) }
}

pub(super) fn checked_p256(sec1: &[u8]) -> Result<[u8; 33], KeyError> {
    if !matches!((sec1.len(), sec1.first()), (33, Some(2 | 3)) | (65, Some(4))) {
        return Err(KeyError::Malformed);
    }
    let key = P256Key::from_sec1_bytes(sec1).map_err(|_| KeyError::OffCurve)?;
    key.to_sec1_point(true).as_bytes().try_into().map_err(|_| KeyError::Malformed)
}

/// The affine coordinates of a compressed point.
pub(super) fn p256_coordinates(compressed: &[u8; 33]) -> Option<([u8; 32], [u8; 32])> {
    let point = P256Key::from_sec1_bytes(compressed).ok()?.to_sec1_point(false);
    let coordinates = point.as_bytes().get(1..)?;
    let (x, y) = coordinates.split_at_checked(32)?;
    Some((x.try_into().ok()?, y.try_into().ok()?))
}

pub(super) fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
    match key {
        PublicKey::Ed25519(bytes) => ed25519_zebra::VerificationKey::try_from(*bytes)
            .map_err(|_| KeyError::OffCurve)?
            .verify(&ed25519_zebra::Signature::from_bytes(signature), message)
            .map_err(|_| KeyError::Signature),
        PublicKey::P256(bytes) => {
            let key = P256Key::from_sec1_bytes(bytes).map_err(|_| KeyError::OffCurve)?;
            let signature = P256Signature::from_slice(signature).map_err(|_| KeyError::Signature)?;
            key.verify(message, &signature).map_err(|_| KeyError::Signature)
        }
    }
}

/// The low-S form of a 64-byte ES256 signature; `None` if `r` or `s` is zero or not below the group order.
///
/// Of every valid signature (r, s) the pair (r, n − s) is valid too. Blocks carry the one with s ≤ n/2, so that
/// nobody can make a second spelling of a transaction's signature.
pub fn normalize_es256_low_s(signature: &[u8; 64]) -> Option<[u8; 64]> {
    let signature = P256Signature::from_slice(signature).ok()?;
    Some(signature.normalize_s().to_bytes().into())
}

/// True if `signature` is a well-formed ES256 signature in its low-S form.
pub fn is_es256_low_s(signature: &[u8; 64]) -> bool {
    normalize_es256_low_s(signature).is_some_and(|normal| normal == *signature)
}
