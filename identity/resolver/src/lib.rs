//! DID Resolution 1.0 for `did:aval`, `did:key`, `did:jwk`, `did:web` and `did:webvh`, and a registrar for `did:aval`.
//!
//! Tier T2: it talks to ledger nodes and to the web. What a ledger node says is proven from the genesis file
//! before it is answered; hosts that a DID names are asked by the guarded client alone
//! ([`aval_client::web`]). Everything blocks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Resolver`] | one question, one answer: a document with its metadata and proof, or why there is none |
//! | `methods` | the DID methods |
//! | [`dereference`] | what a DID URL names: a method, services, an entry of the ledger |
//! | [`binding`] | the HTTP binding without the HTTP: a request's parts in, an answer's parts out |
//! | [`registrar`] | create, update, deactivate by the DIF registrar interface, without holding a key of any client |
//!
//! [`ResolveError`] keeps what is decided apart from what could not be found out.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod binding;
mod cache;
pub mod dereference;
mod document;
mod error;
mod methods;
pub mod registrar;
mod request;
mod resolved;
mod resolver;

pub use cache::CacheBounds;
pub use error::ResolveError;
pub use methods::aval::LedgerResource;
pub use resolved::{Options, Resolved, Version};
pub use resolver::{METHODS, Resolver};
