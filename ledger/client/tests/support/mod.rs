//! A ledger in a box for tests of clients and wallets: one process, no consensus, real headers, certificates, state
//! tree and receipts, behind a small HTTP server. What it answers can be tampered with, so that a test can play a
//! dishonest node.

#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]

pub mod ledger;
pub mod server;
pub mod tree;

pub use ledger::FakeLedger;
pub use server::{FakeNode, Reply};
