//! The verifier: what a relying party runs.
//!
//! `POST /credentials/verify` and `POST /presentations/verify` (VC-API, VCALM 1.0) put every format through the one
//! strict verifier of `aval-formats`. What it wants to know is looked up in [`sources`]: DIDs of all methods that a
//! resolver has, status lists and schemas over the guarded client, accreditations proven by the ledger.
//!
//! - [`config`] its home folder; [`cli`] its commands; [`service`] the running program; [`public`] the HTTP side
//! - [`presentations`] OpenID4VP sessions for relying parties; the program does not serve them yet

pub mod cli;
pub mod config;
pub mod presentations;
pub mod public;
pub mod service;
pub mod sources;
#[cfg(test)]
mod tests;
