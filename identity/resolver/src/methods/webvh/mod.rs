//! `did:webvh` 1.0, to read: a log of versions on a host, which proves itself from the identifier on.
//!
//! The host can withhold the log, or its newest entries; it cannot change one. What is verified: the self-certifying
//! identifier, the chain of entry hashes, each entry's proof by a key that was authorized when it was made, the keys
//! committed to before (pre-rotation), the order of times, moves to another name, and the witnesses' proofs. Entries
//! after one that does not verify count for nothing; the version before it can still be asked for by its id or time,
//! and the newest is then an error.

mod log;
mod parameters;
#[cfg(test)]
mod vectors;
mod witness;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aval_client::web::WebClient;
use aval_did::resolution::{ResolutionError, format_time_ms};
use aval_did::syntax::parse_multihash;
use serde_json::{Map, Value, json};

use crate::ResolveError;
use crate::document;
use crate::methods::{location, web};
use crate::resolved::{Resolved, Version};
use log::{Entry, Log};

/// Largest log that is read, in bytes.
const LOG_BYTES_MAX: usize = 1024 * 1024;
/// Largest file of witness proofs that is read, in bytes.
const WITNESS_BYTES_MAX: usize = 512 * 1024;

/// Resolves a `did:webvh` by its method-specific id.
pub(crate) fn resolve(
    client: &WebClient,
    did: &str,
    id: &str,
    version: &Version,
) -> Result<Resolved, ResolveError> {
    let invalid =
        |detail: &str| ResolveError::because(ResolutionError::InvalidDid, format!("{did}: {detail}"));
    let (scid, place) = id.split_once(':').ok_or_else(|| invalid("it names no host"))?;
    if parse_multihash(scid).is_none() {
        return Err(invalid("its first part is no self-certifying identifier"));
    }
    let url = location::url_of(place, "did.jsonl", |host| client.is_allowed(host))?;
    let answer = web::fetch(client, &url, "text/jsonl, application/jsonl, text/plain", LOG_BYTES_MAX)?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut log = Log::verify(&answer.body, scid, now_s);
    if log.needs_witnesses() {
        let beside = location::url_of(place, "did-witness.json", |host| client.is_allowed(host))?;
        let proofs = match web::fetch(client, &beside, "application/json", WITNESS_BYTES_MAX) {
            Ok(answer) => answer.body,
            // Without the file there are no proofs; a host that fails is something else.
            Err(error) if error.is_decided() => b"[]".to_vec(),
            Err(error) => return Err(error),
        };
        log.check_witnesses(&proofs, now_s);
    }
    select(&log, did, scid, version)
}

fn select(log: &Log, did: &str, scid: &str, version: &Version) -> Result<Resolved, ResolveError> {
    let broken =
        |reason: &str| ResolveError::because(ResolutionError::InvalidDid, format!("{did}: {reason}"));
    let missing = || ResolveError::because(ResolutionError::NotFound, "the DID has no such version");
    let at = match version {
        Version::Latest => match &log.broken {
            Some(reason) => return Err(broken(reason)),
            None => log.entries.len().checked_sub(1),
        },
        Version::Id(id) => log.entries.iter().position(|entry| entry.version_id == *id),
        Version::Time(time_s) => log.entries.iter().rposition(|entry| entry.time_s <= *time_s),
    };
    let next = at.and_then(|at| log.entries.get(at + 1));
    if let Some(reason) = &log.broken {
        // How long the last good version was in force is not known; and a version that is not there may be beyond it.
        let known = matches!((version, at), (Version::Id(_), Some(_))) || next.is_some();
        if !known {
            return Err(broken(reason));
        }
    }
    let entry = at.and_then(|at| log.entries.get(at)).ok_or_else(missing)?;
    if !log.entries.iter().any(|entry| entry.id() == did) {
        return Err(broken("no version of its log has this id"));
    }
    document::check(&entry.state, entry.id())?;
    let parameters = &entry.parameters;
    let document = (!parameters.deactivated).then(|| entry.state.clone());
    let keep = Duration::from_secs(parameters.ttl_s);
    Ok(Resolved { document, metadata: metadata(log, entry, next, did, scid), proof: None, keep })
}

fn metadata(log: &Log, entry: &Entry, next: Option<&Entry>, did: &str, scid: &str) -> Map<String, Value> {
    let time = |entry: &Entry| Value::String(format_time_ms(entry.time_s.saturating_mul(1000)));
    let parameters = &entry.parameters;
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    if let Some(first) = log.entries.first() {
        put("created", time(first));
    }
    put("updated", time(entry));
    put("versionId", json!(entry.version_id));
    put("versionTime", time(entry));
    put("scid", json!(scid));
    put("portable", json!(parameters.portable));
    // Numbers are text in metadata, because resolution metadata hold none.
    put("ttl", json!(parameters.ttl_s.to_string()));
    if parameters.deactivated {
        put("deactivated", json!(true));
    }
    if let Some(rule) = &parameters.witness {
        let witnesses: Vec<Value> = rule.witnesses.iter().map(|id| json!({ "id": id })).collect();
        put("witness", json!({"threshold": rule.threshold.to_string(), "witnesses": witnesses}));
    }
    if !parameters.watchers.is_empty() {
        put("watchers", json!(parameters.watchers));
    }
    if let Some(next) = next {
        put("nextVersionId", json!(next.version_id));
        put("nextUpdate", time(next));
    }
    if entry.id() != did {
        // The DID moved to another name and kept its identifier.
        put("canonicalId", json!(entry.id()));
    }
    members
}
