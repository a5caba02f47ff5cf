//! A client of the ledger that believes nothing without proof.
//!
//! - [`NodeClient`] speaks the node interface and hands on what a node says.
//! - [`VerifyingClient`] asks through it, checks every answer against a [`TrustedGenesis`] and the newest block it
//!   has seen, and rebuilds the answer from the proven value; a [`Verified`] answer carries the height and time it is
//!   as of.
//! - [`VerifiedEvents`] reads what the ledger changes, over reconnects and restarts, each event proven.
//! - [`AdminClient`] speaks to a node's interface for its operator.
//! - [`TrustNode`] is the explicit other way.
//! - [`web`] asks other hosts, whose names came from strangers.
//!
//! Everything blocks; a program that must not runs it on a thread of its own. Requests are bounded in time and size
//! and are never redirected. [`ClientError`] keeps three kinds of "no" apart: decided by the ledger, wrongly answered
//! by the node, and undecided.

mod accreditation;
mod admin;
mod checkpoint;
mod error;
mod events;
mod http;
mod node;
mod resolution;
mod trust;
mod verified;
pub mod web;

pub use accreditation::{AccreditationAnswer, AccreditationQuestion, AccreditationVerdict};
pub use admin::{AdminClient, AdminIdentity};
pub use aval_did::resolution::VersionSelector;
pub use checkpoint::{CheckpointStore, FileCheckpoints, MemoryCheckpoints, TrustedGenesis};
pub use error::{ClientError, Fault, Problem};
pub use events::{EventPlace, EventQuery, EventReader, LedgerEvent, VerifiedEvents};
pub use http::ClientOptions;
pub use node::{NodeClient, NodeStatus, ResolutionAnswer, TransactionStatus};
pub use resolution::Resolution;
pub use trust::{Reported, TrustNode};
pub use verified::{Outcome, Verified, VerifyingClient};
