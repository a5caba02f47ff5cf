//! `aval-identityd`: what an issuer runs.
//!
//! The issuer offers credentials by OpenID4VCI 1.0 (pre-authorized code with transaction code, nonce endpoint, proof of
//! possession), keeps records of what it issued in SQLite, revokes by changing its status registry on the ledger, and
//! publishes that registry as a signed status list. Who may issue what is decided on the ledger: the service reads
//! its own accreditation there, verified against the genesis file, before it offers anything.
//!
//! ```text
//! back office ──▶ admin   offer ─▶ records                revoke ─▶ records, ledger (registry.update), records
//! wallet      ──▶ public  token ─▶ nonce ─▶ credential ─▶ records
//! verifier    ──▶ public  status list ◀─ ledger
//! ```
//!
//! - [`config`] the home folder; [`keys`] the issuer's DID and private key; [`fault`] what ends a command
//! - [`records`] SQLite; what is spent once is spent by one transaction
//! - [`ledger`] reads with proofs, writes registry transactions; [`status_list`] the signed list
//! - [`issuer`] the decisions; [`public`] and [`admin`] the two HTTP sides; [`problem`] errors of the latter
//! - [`layers`] and [`server`] bounds, ids, headers and sockets of both; [`metrics`] what is counted
//! - [`service`] and [`stop`] the running program; [`cli`] the command line

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod fault;
pub mod issuer;
pub mod keys;
pub mod layers;
pub mod ledger;
pub mod metrics;
pub mod problem;
pub mod public;
pub mod records;
pub mod server;
pub mod service;
pub mod status_list;
pub mod stop;
#[cfg(test)]
mod tests;
