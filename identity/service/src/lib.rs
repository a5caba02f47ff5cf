//! `aval-identityd`: what an issuer, a relying party or the operator of a resolver runs.
//!
//! Each program is a folder; what they share stands beside:
//!
//! - [`issuer`], [`verifier`], [`resolver`] the programs; [`sandbox`] issuers to try things with
//! - [`server`] sockets with bounds; [`layers`] what happens around each request; [`problem`] errors over HTTP;
//!   [`request`] reading requests; [`swagger`] the page of an interface; [`metrics`] what is counted;
//!   [`stop`] being told to stop
//! - [`access`] who may do what behind tokens; [`operators`] whose tokens those are
//! - [`keys`] who signs; [`certificates`] what vouches for keys without a DID
//! - [`storage`] what is kept, and spent once by one transaction
//! - [`home`] files of a home folder; [`hosts`] the guarded way to the web; [`fault`] what ends a command;
//!   [`remote`] a running service asked by its own command line; [`cli`] the command line; [`clock`] the time

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod access;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod fault;
pub mod home;
pub mod hosts;
pub mod issuer;
pub mod keys;
pub mod layers;
pub mod metrics;
pub mod operators;
pub mod problem;
pub mod remote;
pub mod request;
pub mod resolver;
pub mod sandbox;
pub mod server;
pub mod stop;
pub mod storage;
pub mod swagger;
#[cfg(test)]
mod tests;
pub mod verifier;
