//! `aval-identityd`: what an issuer runs.
//!
//! The issuer offers credentials by OpenID4VCI 1.0 (pre-authorized code with transaction code, nonce endpoint, proof of possession), keeps records of
//! what it issued in SQLite, and revokes by changing its status registry on the ledger. Who may issue what is decided on the ledger: the
//! service reads its own accreditation there, verified against the genesis file, before it offers anything.
//!
//! ```text
//! back office ──▶ admin   offer ─▶ records                revoke ─▶ ledger (registry.update) ─▶ records
//! wallet      ──▶ public  token ─▶ nonce ─▶ credential ─▶ records
//! ```
//!
//! - [`config`] the home folder; [`keys`] the issuer's DID and private keys
//! - [`records`] SQLite; what is spent once is spent by one statement
//! - [`ledger`] reads with proofs, writes registry transactions
//! - [`issuer`] the decisions; [`public`] and [`admin`] the two HTTP sides; [`problem`] errors of the latter

pub mod admin;
pub mod cli;
pub mod config;
pub mod issuer;
pub mod keys;
pub mod ledger;
pub mod problem;
pub mod public;
pub mod records;
