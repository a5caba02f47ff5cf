//! Tests of the whole crate: the way of a credential, the traps, the data model, and the examples of RFC 9901.

mod data_model;
mod dc_sd_jwt;
mod journey;
mod rfc9901;
mod schema;
mod support;
mod traps_of_key_binding;
mod traps_of_sd_jwt;
mod vectors;
