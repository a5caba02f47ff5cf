//! The directory of services: what is run where, and by whom (specs/trust.md, section 7).

use aval_did::{Did, syntax::is_network_label};
use serde::{Deserialize, Serialize};

use crate::{
    action::is_text,
    registry::{is_list_uri, is_registry_name},
};

/// Characters of a description.
const DESCRIPTION_LENGTH_MAX: usize = 256;

/// A service in the state, under `service/<operator>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRecord {
    /// Who runs it.
    pub operator: Did,
    /// Its name, unique for the operator.
    pub name: String,
    /// What kind of service.
    pub kind: String,
    /// Where it is.
    pub endpoint: String,
    /// What it does, for people.
    pub description: Option<String>,
    /// Height of the block that wrote the entry.
    pub height: u64,
    /// Time of that block, milliseconds since 1970.
    pub updated: u64,
}

/// Whether `text` is the name of a service: `[a-z0-9-]{1,32}`.
pub fn is_service_name(text: &str) -> bool {
    is_registry_name(text)
}

/// Whether `text` is a kind of service: `[a-z][a-z0-9-]{0,31}`.
pub fn is_service_kind(text: &str) -> bool {
    is_network_label(text)
}

/// Whether `text` can be an endpoint: an absolute http(s) URI of visible ASCII, at most 256 characters.
pub fn is_endpoint(text: &str) -> bool {
    is_list_uri(text)
}

/// Whether `text` can describe a service.
pub fn is_description(text: &str) -> bool {
    is_text(text, DESCRIPTION_LENGTH_MAX)
}
