//! The issuer: offers credentials by OpenID4VCI 1.0 (pre-authorized code with transaction code; authorization code with
//! pushed requests, PKCE and DPoP; batches, deferred credentials, notification, encryption, signed metadata), keeps
//! records of what it issued, revokes by changing its status registries on the ledger, and publishes these as signed
//! status lists. Who may issue what is decided on the ledger: the service reads its own accreditation there, verified
//! against the genesis file, before it offers anything.
//!
//! ```text
//! back office ──▶ admin   offer ─▶ records                revoke ─▶ records, ledger (registry.update), records
//! wallet      ──▶ public  token ─▶ nonce ─▶ credential ─▶ records
//! verifier    ──▶ public  status list ◀─ ledger
//! ```
//!
//! - [`config`] its home folder; [`cli`] its commands; [`service`] the running program
//! - [`ledger`] reads with proofs, writes registry transactions; [`status_list`] the signed list
//! - [`decisions`] what is offered; [`kind`] and `make` the formats; [`issuing`] the credential endpoints
//! - [`authorization`] users who come with a browser and see a [`page`]; [`access_token`] who may have what
//! - [`status`] revoked or suspended; [`rotation`] which key signs
//! - [`public`] and [`admin`] the two HTTP sides; [`access`] who may use the latter, [`paper`] what it takes and gives
//! - [`vc_api`] issuing by VCALM, [`instance`] in further ways; [`metrics`] counters

pub mod access;
pub mod access_token;
pub mod admin;
pub mod authorization;
pub mod cli;
pub mod config;
pub mod decisions;
pub mod instance;
pub mod issuing;
pub mod kind;
pub mod ledger;
mod make;
pub mod metrics;
pub mod page;
pub mod paper;
pub mod public;
pub mod rotation;
pub mod service;
pub mod status;
pub mod status_list;
#[cfg(test)]
pub(crate) mod tests;
pub mod vc_api;

pub use decisions::Issuer;
