//! The rules of the ledger: from signed transactions to changes of state and receipts.
//!
//! ```text
//!  SubmittedTransaction      aval-types: read strictly, shape and bounds checked
//!         │  check           stateless: network, presentation against payload, all signatures (batched, parallel)
//!      Checked
//!         │  authorize       on one state, at one block time: keys, grants, policy, the action's own rules
//!      Admitted              knows every change it would make; nothing is written
//!         │  execute_block   all of a block: authorized before it (else the block is invalid), applied in order
//!      Executed              Changes + receipts (applied | rejected: overtaken inside the block) + the block's own
//!      receipt
//! ```
//!
//! [`Checked`] and [`Admitted`] have no public constructor: whoever needs one gets it by doing the work, so that no
//! other crate can bring unauthorized work into a block or a state. A proposer uses [`propose_block`], which leaves
//! out what fails; everybody else executes the whole block and votes no if anything in it is not authorized.
//!
//! # Stateless checks ([`check`](mod@check)): the answer is the same on every state
//! - the transaction is for this network
//! - every signer's signature, by the key that its kid names
//! - a presentation is there exactly if the payload names one, is within bounds, and has the sd_hash that the payload
//!   names
//! - the grant that the action states is what the credential says, field by field
//! - the key binding is made by the credential's holder key, for this transaction (nonce) and network (aud)
//!
//! # Stateful checks ([`authorize`](mod@authorize)): on the state before the block, at the block's time
//! - the validity window, and that the transaction is not on the ledger yet
//! - DIDs exist and are active; senders and endorsers sign with an authentication key, controllers with control keys
//! - operations build on the newest version of their DID
//! - a presented credential: a chain of accreditations up to a root, signature by the issuer's assertion key,
//!   holder key in the subject's document, in force, status entry in a registry of the issuer and clear, not
//!   used for a grant before
//! - grants in use: every link of the chain still live, status entry clear, not expired
//! - registries: owner, unique names and URIs, range, monotonic revocation, no stale change
//!
//! # What always holds
//! - Same input, same output, byte for byte: no clock, no randomness, no float, no unordered map, no I/O. Threads only
//!   divide work whose parts do not depend on each other.
//! - A refused transaction changes nothing, because changes are handed out only once everything is decided.
//! - Work is bounded by the limits of `aval_types::limits`: a transaction reads at most the grants of two DIDs and
//!   writes at most 256 chunks.
//! - No input makes it panic. A state that cannot be read is an error of its own ([`StateError`]), never a verdict.
//! - State, receipts and events hold identifiers, keys and role enumerations: no `cnf`, no disclosed claim (D16).

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod action;
pub mod authorize;
pub mod bitmap;
pub mod block;
pub mod check;
pub mod constitution;
mod effect;
pub mod genesis;
pub mod governance;
mod grant;
pub mod membership;
mod memo;
pub mod memory;
pub mod policy;
mod quota;
mod registry;
pub mod sabotage;
pub mod standing;
pub mod state;
pub mod state_key;
mod supervision;
#[cfg(feature = "testkit")]
pub mod testkit;
mod trust;
mod view;

pub use authorize::{Admitted, BlockContext, authorize, authorize_under, explain};
pub use block::{BlockLimits, Dropped, ExecuteError, Executed, Proposal, execute_block, propose_block};
pub use check::{Checked, Rules, check, check_all};
pub use constitution::Constitution;
pub use genesis::genesis_changes;
pub use memory::MemoryState;
pub use state::{Changes, Overlay, StateError, StateRead};
