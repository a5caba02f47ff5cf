//! The verifier: what a relying party runs.
//!
//! `POST /credentials/verify` and `POST /presentations/verify` (VC-API, VCALM 1.0) put every format through the one
//! strict verifier of `aval-formats`. What it wants to know is looked up in [`sources`]: DIDs of all methods that a
//! resolver has, status lists and schemas over the guarded client, accreditations, schemas and registries proven by the
//! ledger.
//!
//! [`presentations`] asks wallets for a relying party, over OpenID4VP 1.0; what they present goes the same way.
//!
//! ```text
//! relying party ──▶ public         verify, ask, outcome     behind tokens of operators
//! wallet        ──▶ presentations  request, answer          on a listener of its own
//! ```
//!
//! - [`config`] its home folder; [`cli`] its commands; [`service`] the running program; [`public`] the HTTP side
//! - [`presentations`] sessions; [`judge`] what decides about them; [`identity`] how wallets know the verifier

pub mod cli;
pub mod config;
pub mod identity;
pub mod judge;
pub mod metrics;
pub mod presentations;
pub mod public;
pub mod service;
pub mod sources;
#[cfg(test)]
mod tests;
