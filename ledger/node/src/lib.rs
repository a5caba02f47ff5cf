//! The ledger node.
//!
//! A node takes transactions in, checks them, orders them with other validators, executes what was ordered and answers
//! questions with proofs. The parts, in the order of a transaction's way (`ARCHITECTURE.md`):
//!
//! - [`runtime`] clock, sleep, tasks and randomness, the same for production and simulation;
//! - [`ingress`] checks what clients and other validators send, and [`mempool`] keeps it until it is in a block;
//! - [`gossip`] hands submitted transactions to the validators;
//! - [`roster`] says who votes and who may be connected, as the committed state has it;
//! - [`engine`] the port to the consensus engine, and the only folder that names it;
//! - [`executor`] proposes, verifies and commits blocks on the state machine;
//! - [`join`] brings a new node to the newest block, verifying all of it;
//! - [`access`] knows who may ask for what is not for everybody, and writes down that they did;
//! - [`core`] puts these together to a node without sockets and RocksDB.

pub mod access;
pub mod api;
pub mod backup;
pub mod block_run;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod descriptors;
pub mod devnet;
pub mod doctor;
pub mod engine;
pub mod executor;
pub mod explain;
pub mod fault;
pub mod faults;
pub mod genesis_file;
pub mod gossip;
pub mod ingress;
pub mod join;
pub mod key_file;
pub mod mempool;
pub mod metrics;
mod probe;
pub mod roster;
pub mod runtime;
pub mod snapshots;
pub mod stop;

#[cfg(test)]
mod tests;
