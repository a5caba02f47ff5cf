//! The resolver and registrar: DIDs for those who have no ledger client of their own.
//!
//! Anybody may resolve: `did:aval` with its ledger proof, `did:key`, `did:jwk`, `did:web` and `did:webvh`, by
//! the HTTP binding of DID Resolution 1.0. The registrar is for those who have the token of the home folder:
//! its endorser's quota is spent by whoever calls it.
//!
//! - [`config`] its home folder; [`cli`] its commands; [`service`] the running program
//! - [`endorser`] who signs for operations of others; [`public`] the HTTP side; [`metrics`] counters

pub mod cli;
pub mod config;
pub mod endorser;
pub mod metrics;
pub mod public;
pub mod service;
#[cfg(test)]
mod tests;
