//! Credentials as services and wallets read and write them, in every current standard format.
//!
//! Tier T1, sans-io: no network, no clock; time comes as an argument. The ledger does not link this crate: what it
//! reads is in `aval-credential`. Documents are [`serde_json::Value`], because general credentials hold floats and
//! whatever else JSON can say; they come in through [`json::parse`], which refuses what two readers would read
//! differently.
//!
//! | module | what it holds |
//! |---|---|
//! | [`key`] | Ed25519, P-256 and P-384: Multikey and JWK both ways, signing and verifying |
//! | [`document`] | a view on a controller document: which method, for which purpose, with which key |
//! | [`json`], [`jcs`] | strict reading, RFC 8785 |
//! | [`data_integrity`] | securing and verifying with the Data Integrity cryptosuites; proof sets and chains |
//! | [`jose`] | `vc+jwt`, `vp+jwt`, JWT VC 1.1, SD-JWT with key binding |
//! | [`cose`] | `vc+cose`, `vp+cose` and what other tokens in COSE need |
//! | [`vcdm`] | the rules of VCDM 2.0 and 1.1 |
//! | [`status`] | status lists of both standards, and which index a credential gets |
//! | [`verifier`] | the one strict entry point for whoever relies on a credential |
//! | [`vc_api`] | requests and answers of VC-API (VCALM) |
//!
//! A signature that verifies says that a key signed. Whether it was the right key, for the right purpose, at the right
//! time is for the caller to judge with [`document`] and the checks next to each format; keys come only from outside,
//! and `jwk`, `jku`, `x5u` and `x5c` of a header are never followed.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod cose;
pub mod data_integrity;
pub mod document;
mod error;
pub mod jcs;
pub mod jose;
pub mod json;
pub mod key;
pub mod status;
pub mod vc_api;
pub mod vcdm;
pub mod verifier;

#[cfg(test)]
mod tests;

pub use aval_credential::date;
pub use aval_linked_data::Contexts;
pub use error::FormatError;
pub use key::{KeyType, Signer, SigningKey, VerificationKey};
