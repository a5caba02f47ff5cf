//! Tests with real listeners, a real database, and the ledger's own rules behind [`crate::issuer::ledger::Chain`].

mod back_office;
mod config;
mod issuance;
mod refusals;
mod revocation;
mod start;
mod status_list;
pub(crate) mod world;
