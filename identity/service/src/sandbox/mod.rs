//! The sandbox: issuers by `did:key`, one for each format, for conformance suites, for independent software and for
//! trying things out.
//!
//! It signs what it is asked to sign, with keys that it makes when it starts and forgets when it ends, and keeps its
//! records in memory. So it never listens but on the loopback interface, and nobody has a reason to trust what it says:
//! its DIDs are on no ledger and accredited by nobody. Reading requests, signing, status lists and answers are the code
//! that the issuer uses.

pub mod cli;
mod instance;
mod public;
#[cfg(test)]
mod tests;

pub use instance::{Instance, instances};
pub use public::router;
