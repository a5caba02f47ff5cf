//! Every key of the state, in one place (specs/wire.md, section 8).
//!
//! Keys are ASCII. No name inside a key can contain the separator in a way that makes two different things share a
//! key: a DID and a list URI fill the rest of their key, a registry's name has no slash, and numbers are decimal
//! without leading zeros.

use aval_did::Did;
use aval_types::{GrantId, RegistryId};

/// The record of a DID: its document, control and history head.
pub fn did(did: &Did) -> String {
    format!("did/{did}")
}

/// A grant, by its id.
pub fn grant(id: &GrantId) -> String {
    format!("grant/{id}")
}

/// What an issuer is accredited for.
pub fn issuer(did: &Did) -> String {
    format!("issuer/{did}")
}

/// The definition of a status registry, by its id (`<owner did>/registry/<name>`).
pub fn registry(id: &RegistryId) -> String {
    format!("registry/{id}")
}

/// One chunk of a status list's bitmap.
pub fn status(registry: &RegistryId, list: u32, chunk: u64) -> String {
    format!("status/{registry}/{list}/{chunk}")
}

/// Which registry answers for a status list's URI.
pub fn list(uri: &str) -> String {
    format!("list/{uri}")
}

/// The validators in force.
pub const VALIDATORS: &str = "validators";

/// Who governs the network.
pub const GOVERNORS: &str = "governors";

/// The parameters in force.
pub const PARAMETERS: &str = "parameters";
