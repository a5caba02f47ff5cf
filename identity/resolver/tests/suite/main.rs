//! The resolver and the registrar, against a ledger in a box and a host with TLS on this machine.

mod aval;
mod binding;
mod holder;
mod host;
#[path = "../../../../ledger/client/tests/support/mod.rs"]
mod ledger_box;
mod registrar;
mod web;
mod webvh;
mod world;
