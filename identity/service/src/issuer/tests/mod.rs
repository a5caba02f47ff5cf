//! Tests with real listeners, a real database, and the ledger's own rules behind [`crate::issuer::ledger::Chain`].

mod access;
mod authorization;
mod back_office;
mod certified;
mod config;
mod formats;
mod instances;
mod issuance;
mod later;
mod ledger_rules;
mod logs;
mod refusals;
mod revocation;
mod start;
mod status_list;
mod vc_api;
pub(crate) mod world;
