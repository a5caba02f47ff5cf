//! The DID method `did:aval`: keys, identifiers, documents, the operations on them and the rules those operations
//! obey.
//!
//! `specs/did-method.md` is the specification; the modules follow its sections. Everything here is a pure function of
//! its arguments: [`rules`] takes a record, an operation, the keys that signed it and the block's time, and returns
//! the next record or a [`DidError`] with a stable code. There is no I/O and no clock; the only randomness is in
//! making new keys.
//!
//! - [`syntax`]: `did:aval:<network>:<id>`, DID URLs, `<n>-<multihash>` version ids.
//! - [`key`]: Ed25519 (ZIP-215) and P-256 keys, multikey, JWK, single and batched verification.
//! - [`document`], [`control`], [`operation`], [`record`], [`rules`]: what is hashed, signed and kept.
//! - [`resolution`]: results, metadata and errors of DID Resolution 1.0.
//! - [`holder`]: `did:key` and `did:jwk`, for keys of holders that are on no ledger.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod base58;
pub mod control;
pub mod document;
mod error;
pub mod holder;
pub mod key;
pub mod operation;
pub mod record;
pub mod resolution;
pub mod rules;
pub mod syntax;

pub use control::{Control, NextControl, control_key_hash};
pub use document::{
    DidDocument, Document, Document as DocumentContent, Relationship, Service, VerificationMethod,
};
pub use error::DidError;
pub use key::{
    Algorithm, BatchVerifier, KeyError, PublicKey, SigningKey, is_es256_low_s, normalize_es256_low_s,
};
pub use operation::{Create, Deactivate, Operation, Rotate, Update, did_of, inception_hash};
pub use record::{Allowance, DidRecord};
pub use syntax::{Did, DidUrl, VersionId};

#[cfg(test)]
mod tests;
