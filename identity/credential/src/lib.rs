//! W3C Verifiable Credentials (VCDM 2.0) secured as SD-JWT (`vc+sd-jwt` of VC-JOSE-COSE, RFC 9901).
//!
//! Tier T0: no clock, no network, no randomness of its own, no float, and every document goes through the
//! one strict JSON reader. The ledger links this crate, so two nodes that read the same bytes reach the same
//! answer: the order of checks, the limits and the error codes are part of the rules.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sd_jwt`] | RFC 9901: the serialization, disclosures, digests, the processed payload, concealing |
//! | [`vcdm`] | VCDM 2.0: what must be in a credential and what its dates mean |
//! | [`status`] | the `BitstringStatusListEntry` model |
//! | [`jws`] | the strict compact JWS below all of them |
//! | [`key_binding`] | the `kb+jwt` of RFC 9901 section 4.3 |
//! | [`presentation`] | a parsed credential with or without key binding, checked piece by piece: what the ledger uses |
//! | [`issue`](mod@issue) | an issuer's draft to a signed credential |
//! | [`present`] | a holder's choice of disclosures and the key binding |
//! | [`schema`] | the part of JSON Schema 2020-12 by which the ledger judges credentials |
//! | [`verify`](mod@verify) | all checks of a verifier in one call: a verdict, or the reason why none was reached |
//!
//! Keys come only from outside: from the issuer's DID document (by the caller) and from the credential's `cnf`.
//! The header members `jwk`, `jku`, `x5u` and `x5c` are never read.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod date;
pub mod error;
pub mod issue;
pub mod jws;
pub mod key_binding;
pub mod present;
pub mod presentation;
pub mod schema;
pub mod sd_jwt;
pub mod status;
pub mod vcdm;
pub mod verify;

#[cfg(test)]
mod tests;

pub use error::CredentialError;
pub use issue::{CredentialDraft, CredentialSchema, issue};
pub use jws::SignatureInput;
pub use key_binding::{KeyBinding, KeyBindingDraft};
pub use present::{Disclosed, Selection, disclose};
pub use presentation::{Limits, Presentation};
pub use schema::{Schema, SchemaError, Violation};
pub use sd_jwt::{Disclosure, SdJwt};
pub use status::{StatusEntry, StatusPurpose};
pub use vcdm::{CREDENTIALS_V2_CONTEXT, Credential};
pub use verify::{Check, Expectation, Failure, KeyBindingPolicy, Problem, Verdict, verify};
