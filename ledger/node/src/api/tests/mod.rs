//! The REST interface in one process: a whole node on a ledger in memory, and blocks made and certified by hand.

mod admin;
mod anything;
mod audit;
mod events;
mod joining;
mod lab;
mod ledger;
mod node;
mod nodes;
mod policy;
mod resolution;
mod submission;
mod tracking;
mod trust;
