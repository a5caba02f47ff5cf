//! `did:aval`: the record on the ledger, proven from the genesis file, and the other entries of the ledger
//! that a DID URL of its owner can name (specs/did-method.md, section 8).

use std::time::Duration;

use aval_client::{VerifyingClient, VersionSelector};
use aval_did::Did;
use aval_did::resolution::{ResolutionError, parse_identifier};
use aval_proof::LedgerProof;
use aval_types::registry::RegistryId;
use aval_types::schema::SchemaHash;
use serde_json::Value;

use crate::ResolveError;
use crate::resolved::{Resolved, Version};

/// How long a proven answer is repeated. Above the time between two blocks it would hide changes.
const KEEP: Duration = Duration::from_secs(1);

/// Resolves a `did:aval` of the network that the client trusts.
pub(crate) fn resolve(
    client: &VerifyingClient,
    text: &str,
    version: &Version,
) -> Result<Resolved, ResolveError> {
    let did = read_did(client, text)?;
    let selector = match version {
        Version::Latest => VersionSelector::Latest,
        Version::Time(seconds) => VersionSelector::Time(*seconds),
        Version::Id(id) => match id.parse() {
            Ok(id) => VersionSelector::Id(id),
            Err(_) => {
                let detail = "the DID has no version with this id";
                return Err(ResolveError::because(ResolutionError::NotFound, detail));
            }
        },
    };
    let verified = client.resolve(&did, selector)?;
    let proof = proof_json(&verified.proof)?;
    let result = verified.value.result;
    if verified.value.record.is_none() {
        return Err(ResolveError::Refused {
            error: ResolutionError::NotFound,
            detail: ResolutionError::NotFound.to_string(),
            proof: Some(Box::new(proof)),
        });
    }
    let metadata = match serde_json::to_value(&result.did_document_metadata) {
        Ok(Value::Object(members)) => members,
        _ => return Err(ResolveError::refused(ResolutionError::InternalError)),
    };
    let document = result.did_document.map(serde_json::to_value).transpose().map_err(internal)?;
    Ok(Resolved { document, metadata, proof: Some(proof), keep: KEEP })
}

/// An entry of the ledger that belongs to a DID, with its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerResource {
    /// The entry, as the ledger has it.
    pub content: Value,
    /// The ledger proof of it.
    pub proof: Value,
}

/// Dereferences the path of a DID URL:
///
/// | path | entry |
/// |---|---|
/// | `/accreditation` | the accreditation of the DID |
/// | `/registry/<name>` | its status registry of this name |
/// | `/service/<name>` | its service of this name in the ledger's directory |
/// | `/schema/<type>` | what it has in force as schemas for a credential type |
/// | `/schema/<type>/<hash>` | one of its schemas |
pub(crate) fn resource(
    client: &VerifyingClient,
    text: &str,
    path: &str,
) -> Result<LedgerResource, ResolveError> {
    let did = read_did(client, text)?;
    let missing = || ResolveError::because(ResolutionError::NotFound, "the DID has nothing of this path");
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (key, publisher) = match segments.as_slice() {
        ["accreditation"] => (format!("accreditation/{did}"), false),
        ["registry", name] => {
            let id = RegistryId::new(did.clone(), name).ok_or_else(missing)?;
            (format!("registry/{id}"), false)
        }
        ["service", name] if aval_types::service::is_service_name(name) => {
            (format!("service/{did}/{name}"), false)
        }
        ["schema", kind] if aval_types::grant::is_name(kind) => (format!("schemas/{kind}/{did}"), false),
        ["schema", kind, hash] if aval_types::grant::is_name(kind) => {
            let hash = SchemaHash::from_urn(hash).ok().or_else(|| Some(SchemaHash(hash.parse().ok()?)));
            (format!("schema/{}", hash.ok_or_else(missing)?.0), true)
        }
        _ => return Err(missing()),
    };
    let verified = client.state(&key)?;
    let proof = proof_json(&verified.proof)?;
    let absent = || ResolveError::Refused {
        error: ResolutionError::NotFound,
        detail: "the ledger has no such entry".to_owned(),
        proof: Some(Box::new(proof.clone())),
    };
    let bytes = verified.value.ok_or_else(absent)?;
    let content: Value = serde_json::from_slice(&bytes).map_err(internal)?;
    // A schema is kept under its hash alone; it is this publisher's and of this type only if it says so.
    let kind = segments.get(1).copied();
    let is_own = || {
        content.get("publisher").and_then(Value::as_str) == Some(did.as_str())
            && content.get("type").and_then(Value::as_str) == kind
    };
    if content.is_null() || (publisher && !is_own()) {
        return Err(absent());
    }
    Ok(LedgerResource { content, proof })
}

fn read_did(client: &VerifyingClient, text: &str) -> Result<Did, ResolveError> {
    parse_identifier(text, client.anchor().network().label()).map_err(ResolveError::refused)
}

fn proof_json(proof: &LedgerProof) -> Result<Value, ResolveError> {
    serde_json::from_slice(&proof.to_json()).map_err(internal)
}

fn internal(error: serde_json::Error) -> ResolveError {
    ResolveError::because(ResolutionError::InternalError, format!("an answer cannot be written: {error}"))
}
