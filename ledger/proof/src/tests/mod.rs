//! The tests of this crate: against `jmt`, against the vectors, and against every changed bit.

mod bits;
mod certificate;
mod fixture;
mod ledger_proof;
mod receipt_proof;
mod state_proof;
#[path = "../../../types/src/tests/support.rs"]
mod support;
mod tree;
mod trust_chain;
mod vectors;
