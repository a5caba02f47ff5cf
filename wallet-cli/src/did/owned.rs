//! A DID of this vault against its record on the ledger: which of the vault's keys control it *now*.
//!
//! The ledger is right and the vault follows: an operation that a node called refused and that became final all the
//! same, or one made on another machine from the same 24 words, is found again because keys are derived in order.

use aval_did::{Did, DidRecord, PublicKey, Relationship};

use crate::error::WalletError;
use crate::keys::{KeyRing, control_path, document_path, holder_path};
use crate::vault::{Contents, DidState, StoredDid, StoredKey};

/// How many rotations beyond the one known are looked for.
const GENERATIONS_AHEAD: u32 = 16;

/// The vault's entry of a DID: the one named, or the only one that is not deactivated.
pub(crate) fn entry<'a>(
    contents: &'a Contents,
    named: Option<&str>,
    genesis: &str,
) -> Result<&'a StoredDid, WalletError> {
    if let Some(named) = named {
        let found = contents.dids.iter().find(|entry| entry.did == named);
        let found =
            found.ok_or_else(|| WalletError::NotFound(format!("{named} is not a DID of this vault")))?;
        if found.genesis != genesis {
            return Err(WalletError::Usage(format!(
                "{named} is of another network: choose it with --network"
            )));
        }
        return Ok(found);
    }
    let is_live = |entry: &&StoredDid| {
        entry.genesis == genesis
            && (entry.pending.is_some() || entry.state.as_ref().is_some_and(|state| !state.deactivated))
    };
    let mut live = contents.dids.iter().filter(is_live);
    match (live.next(), live.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            Err(WalletError::NotFound("this vault has no DID on this network: `aval did create`".to_owned()))
        }
        (Some(_), Some(_)) => Err(WalletError::Usage(
            "this vault has more than one DID: name one, see `aval did list`".to_owned(),
        )),
    }
}

/// What the ledger's record makes of the vault's keys.
pub(crate) fn align(
    ring: &KeyRing,
    contents: &Contents,
    entry: &StoredDid,
    record: &DidRecord,
) -> Result<DidState, WalletError> {
    let known = entry.state.as_ref().map_or(0, |state| state.generation);
    // Upwards from the known one first, then the earlier ones: a vault that was restored from a copy is behind.
    let candidates = (known..=known.saturating_add(GENERATIONS_AHEAD)).chain(0..known);
    for generation in candidates {
        let control = ring.stored(control_path(entry.index, generation, 0))?;
        let next = ring.stored(control_path(entry.index, generation + 1, 0))?;
        let is_current = record.control.contains(&public(&control)?);
        if is_current && record.control.next.commits_to(&public(&next)?) {
            return Ok(DidState {
                version_id: record.version_id.to_string(),
                generation,
                control: vec![control],
                next: vec![next],
                document_keys: document_keys(ring, contents, entry, record)?,
                deactivated: record.deactivated,
            });
        }
    }
    Err(WalletError::unauthorized(
        "did.control",
        format!("the keys of this vault do not control {} as it is on the ledger", entry.did),
    ))
}

/// The vault's keys that the record's document names.
fn document_keys(
    ring: &KeyRing,
    contents: &Contents,
    entry: &StoredDid,
    record: &DidRecord,
) -> Result<Vec<StoredKey>, WalletError> {
    let paths = (0..contents.counters.holder)
        .map(holder_path)
        .chain((0..entry.document_keys_made).map(|number| document_path(entry.index, number)));
    let named: Vec<String> = record.document.public_keys().map(|key| key.to_multikey()).collect();
    let mut found: Vec<StoredKey> = Vec::new();
    for path in paths {
        let candidate = ring.stored(path)?;
        if named.contains(&candidate.public) {
            found.push(candidate);
        }
    }
    Ok(found)
}

/// A key of this DID that may act for it: sign as sender or endorser.
pub(crate) fn authentication_key<'a>(
    state: &'a DidState,
    record: &DidRecord,
) -> Result<&'a StoredKey, WalletError> {
    for key in &state.document_keys {
        if record.document.contains_key(&public(key)?, Relationship::Authentication) {
            return Ok(key);
        }
    }
    Err(WalletError::unauthorized(
        "did.key_not_in_document",
        format!("the document of {} names no authentication key of this vault", record.did),
    ))
}

/// The public half of a noted key.
pub(crate) fn public(key: &StoredKey) -> Result<PublicKey, WalletError> {
    PublicKey::from_multikey(&key.public).map_err(|_| {
        WalletError::Failed(format!("the key on path {} is not noted properly in the vault", key.path))
    })
}

/// The DID of an entry.
pub(crate) fn did(entry: &StoredDid) -> Result<Did, WalletError> {
    entry.did.parse().map_err(|_| WalletError::Failed(format!("{} in the vault is not a DID", entry.did)))
}
