//! All that a wallet needs to trust an answer of a node without trusting the node: tree proofs, finality certificates,
//! receipt proofs, the bundle of them, and the trust anchor they are checked against.
//!
//! Pure functions over bytes: no I/O, no clock, no consensus engine, no tree. `specs/wire.md` describes every byte,
//! so that this crate is one verifier among others; `tests/interop/python/verify_proof.py` is another.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod anchor;
pub mod audit;
mod certificate;
mod error;
mod ledger_proof;
mod receipt_proof;
mod receipt_tree;
pub mod snapshot;
mod state_proof;
mod trust_chain;
mod validators;

#[cfg(test)]
mod tests;

pub use anchor::{Checkpoint, SetChange, TrustAnchor};
pub use certificate::{Certificate, finalize_namespace, signed_bytes};
pub use error::ProofError;
pub use ledger_proof::{
    Claim, LEDGER_PROOF_BYTES_MAX, LedgerProof, PATH_LENGTH_MAX, Proven, Verified, did_state_key,
};
pub use receipt_proof::{ReceiptProof, Sibling};
pub use receipt_tree::ReceiptTree;
pub use state_proof::{DEPTH_MAX, OtherLeaf, StateProof, empty_root};
pub use trust_chain::{TRUST_CHAIN_BYTES_MAX, TRUST_CHAIN_LINKS_MAX, TrustChain, TrustLink};
pub use validators::ValidatorSet;
