//! Credentials as linked data: JSON-LD 1.1 to RDF, RDF canonicalization (RDFC-1.0), and the grouping of statements by
//! which selective disclosure works.
//!
//! Tier T1. The interface is small and not generic, on JSON values, text and bytes. Contexts ship inside, processed
//! once; nothing is ever fetched.
//!
//! What always holds: every member of a document becomes statements, or the document is refused. JSON-LD leaves out
//! what it cannot map (undefined terms, relative identifiers); something left out would be unsigned and yet be there
//! for everybody to read. The exceptions are what JSON-LD itself says has no meaning in RDF: `null`, `@index`,
//! `@direction`.
//!
//! The work is bounded in depth, in statements, and in the steps by which blank nodes are told apart.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod canonical;
mod context;
mod contexts;
mod error;
mod expand;
mod iri;
mod quad;
pub mod selective;

#[cfg(test)]
mod tests;

pub use canonical::Hash;
pub use contexts::{Contexts, known_digest};
pub use error::LinkedDataError;

use serde_json::Value;

/// The canonical N-Quads (RDFC-1.0) of a JSON-LD document, by the contexts that ship inside.
pub fn canonicalize(document: &Value, hash: Hash) -> Result<String, LinkedDataError> {
    Contexts::shipped().canonicalize(document, hash)
}

/// Checks that every member of a document has a meaning by the contexts that ship inside.
pub fn check(document: &Value) -> Result<(), LinkedDataError> {
    Contexts::shipped().check(document)
}
