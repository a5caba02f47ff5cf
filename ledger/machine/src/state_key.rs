//! Every key of the state, in one place (specs/wire.md, section 8).
//!
//! Keys are ASCII. No name inside a key can contain the separator in a way that makes two different things share a
//! key: a DID and a list URI fill the rest of their key, a registry's name has no slash, and numbers are decimal
//! without leading zeros.

use aval_codec::Hash;
use aval_did::{Did, PublicKey};
use aval_types::supervision::Target;
use aval_types::{Commitment, GrantId, RegistryId, SchemaHash, TransactionId};

/// The record of a DID: its document, control and history head.
pub fn did(did: &Did) -> String {
    format!("did/{did}")
}

/// A grant, by its id.
pub fn grant(id: &GrantId) -> String {
    format!("grant/{id}")
}

/// What somebody is accredited for, and by whom.
pub fn accreditation(did: &Did) -> String {
    format!("accreditation/{did}")
}

/// A schema, by its hash.
pub fn schema(schema: &SchemaHash) -> String {
    format!("schema/{schema}")
}

/// The schemas that a publisher has in force for a credential type.
pub fn schemas(credential_type: &str, publisher: &Did) -> String {
    format!("schemas/{credential_type}/{publisher}")
}

/// An anchor, by its commitment.
pub fn anchor(commitment: &Commitment) -> String {
    format!("anchor/{commitment}")
}

/// What the key of every service begins with.
pub const SERVICES: &str = "service/";

/// An entry of the directory of services.
pub fn service(operator: &Did, name: &str) -> String {
    format!("{SERVICES}{operator}/{name}")
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

/// A registered node, by its Ed25519 key.
pub fn node(key: &[u8; 32]) -> String {
    format!("node/{}", Hash::new(*key))
}

/// A fault proof, by its id.
pub fn evidence(id: &Hash) -> String {
    format!("evidence/{id}")
}

/// A proposal, by the id of the transaction that made it.
pub fn proposal(id: &TransactionId) -> String {
    format!("proposal/{id}")
}

/// The proposals that are executed at a height.
pub fn agenda(height: u64) -> String {
    format!("agenda/{height}")
}

/// The text of a policy, by its hash.
pub fn policy_text(hash: &Hash) -> String {
    format!("policy/{hash}")
}

/// A hold, by the id of the transaction that placed it.
pub fn hold(id: &TransactionId) -> String {
    format!("hold/{id}")
}

/// The denial of a DID.
pub fn deny_did(did: &Did) -> String {
    format!("deny/did/{did}")
}

/// The denial of a node, by its Ed25519 key.
pub fn deny_node(key: &[u8; 32]) -> String {
    format!("deny/node/{}", Hash::new(*key))
}

/// The denial of a DID or a node; there is none of an action, or of a node whose key is not an Ed25519 key.
pub fn denial(target: &Target) -> Option<String> {
    match target {
        Target::Did(did) => Some(deny_did(did)),
        Target::Node(PublicKey::Ed25519(key)) => Some(deny_node(key)),
        Target::Node(_) | Target::Action(_) => None,
    }
}

/// The keys of all registered nodes, in the order of their registration.
pub const NODES: &str = "nodes";

/// Who was seen in the present epoch.
pub const PARTICIPATION: &str = "participation";

/// The proposals without an outcome.
pub const PROPOSALS: &str = "proposals";

/// Which policy is in force.
pub const POLICY: &str = "policy";

/// The holds that were not released.
pub const HOLDS: &str = "holds";

/// The upgrade that is scheduled.
pub const UPGRADE: &str = "upgrade";

/// The validators in force.
pub const VALIDATORS: &str = "validators";

/// Who governs the network.
pub const GOVERNORS: &str = "governors";

/// The parameters in force.
pub const PARAMETERS: &str = "parameters";
