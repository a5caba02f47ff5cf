//! Tests with real listeners, a real database, and the ledger's own rules behind [`crate::ledger::Chain`].

mod back_office;
mod config;
mod issuance;
mod keys;
mod records;
mod refusals;
mod revocation;
mod server;
mod start;
mod status_list;
mod world;
