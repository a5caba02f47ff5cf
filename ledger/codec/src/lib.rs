//! Encodings that everything of Aval shares: hashes with domain tags, base64url, strict JSON, RFC 6962 Merkle lists
//! and fixed-width binary; and the rule that tells public network addresses from others.
//!
//! This is the lowest crate. It does no I/O, reads no clock, uses no floating point and keeps no state; every
//! function is a pure function of its arguments, so that all nodes on all machines get the same bytes. Input of any
//! kind yields an error, never a panic. `specs/wire.md` and `specs/did-method.md` describe every byte that passes
//! through here.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod address;
pub mod b64u;
pub mod binary;
mod hash;
pub mod json;
pub mod merkle;

pub use binary::{BinaryError, Reader, Writer};
pub use hash::{Hash, HashParseError, hash, sha256, tag};
pub use json::{Json, JsonError, Limits};
