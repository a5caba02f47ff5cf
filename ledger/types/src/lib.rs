//! What moves between the nodes of Aval and what is kept: transactions, actions, grants, registries, accreditations,
//! blocks, receipts, the genesis file, and the codes of every refusal.
//!
//! This crate is data and its exact bytes: strict and bounded decoding, encoding, hashing, and those rules that
//! need neither state nor clock. It does no I/O, reads no clock, has no floating point, and never panics on input.
//! `specs/wire.md` says the same in words, and `specs/vectors/` in examples that the tests here read.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod access;
pub mod accreditation;
pub mod action;
pub mod anchor;
pub mod block;
pub mod certificate;
pub mod event;
pub mod genesis;
pub mod governance;
pub mod grant;
pub mod limits;
pub mod network;
pub mod node;
pub mod parameters;
pub mod receipt;
pub mod registry;
pub mod reject;
pub mod schema;
pub mod service;
pub mod submission;
pub mod supervision;
pub mod transaction;
pub mod validators;
pub mod vote;

#[cfg(test)]
mod tests;

pub use accreditation::{AccreditationKind, AccreditationRecord, AccreditedType};
pub use action::Action;
pub use anchor::{AnchorRecord, Commitment};
pub use block::{Block, BlockError, BlockTransaction, Header, Mode, Witness};
pub use certificate::Certificate;
pub use event::Event;
pub use genesis::{Genesis, GenesisError};
pub use grant::{Grant, GrantId, GrantRecord, StatusEntry};
pub use network::NetworkId;
pub use node::{NodeKind, NodeRecord, ValidatorEntry};
pub use parameters::Parameters;
pub use receipt::{BlockReceipt, Outcome, Receipt};
pub use registry::{ListRecord, Purpose, RegistryId, RegistryRecord};
pub use reject::Reject;
pub use schema::{SchemaHash, SchemaRecord, SchemasInForce};
pub use service::ServiceRecord;
pub use submission::SubmittedTransaction;
pub use transaction::{
    KeyId, Payload, Role, SignedTransaction, Signer, TransactionBuilder, TransactionId, UnsignedTransaction,
};
pub use validators::ValidatorSet;
pub use vote::{Vote, VoteKind};
