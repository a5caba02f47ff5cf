//! The versions of each DID, so that resolving a past one is a plain read (D21).
//!
//! Records of DIDs keep their history when other state is pruned: a public DID and its versions stay resolvable
//! for good (D16), only their proofs at pruned heights are gone.

use std::borrow::Cow;

use aval_codec::Reader;
use aval_machine::state_key;
use serde::Deserialize;

use super::{Ledger, keys};
use crate::error::StoreError;
use crate::storage::{Batch, Column};

/// What DID records start with in the state.
const PREFIX: &[u8] = b"did/";

/// One version of a DID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DidVersion {
    /// 1 for the first.
    pub number: u64,
    /// `<number>-<hash>`.
    pub version_id: String,
    /// Height of the block that made it.
    pub height: u64,
}

/// The part of a DID record that the index needs.
#[derive(Deserialize)]
struct RecordHead<'a> {
    #[serde(rename = "versionId", borrow)]
    version_id: Cow<'a, str>,
}

/// The validator sets of all times are what the trust chain is made of.
pub(super) fn keeps_history(key: &[u8]) -> bool {
    key.starts_with(PREFIX) || key == state_key::VALIDATORS.as_bytes()
}

/// Whether what a key had may be forgotten once it is old.
pub(super) fn may_forget(key: &[u8], keeps_versions: bool) -> bool {
    !keeps_history(key) || (!keeps_versions && key.starts_with(PREFIX))
}

/// Notes the version that a changed DID record has.
pub(super) fn index(
    key: &[u8],
    value: Option<&[u8]>,
    height: u64,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let (Some(did), Some(value)) = (key.strip_prefix(PREFIX), value) else { return Ok(()) };
    let version_id = version_id(value)?;
    let mut row = keys::number(height);
    row.extend_from_slice(version_id.as_bytes());
    batch.put(Column::Index, keys::did_version(did, number(&version_id)?), row);
    Ok(())
}

/// The index row of the version that a record has; nothing for other entries.
pub(super) fn index_key(key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(did) = key.strip_prefix(PREFIX) else { return Ok(None) };
    Ok(Some(keys::did_version(did, number(&version_id(value)?)?)))
}

fn version_id(record: &[u8]) -> Result<Cow<'_, str>, StoreError> {
    let head: RecordHead<'_> = serde_json::from_slice(record)
        .map_err(|error| StoreError::corrupt(format!("a DID record has no version: {error}")))?;
    Ok(head.version_id)
}

fn number(version_id: &str) -> Result<u64, StoreError> {
    parse_number(version_id).ok_or_else(|| StoreError::corrupt("a DID record's version has no number"))
}

fn parse_number(version_id: &str) -> Option<u64> {
    let (number, _) = version_id.split_once('-')?;
    number.parse().ok()
}

impl Ledger {
    /// The version of a DID with this number, counted from 1.
    pub fn did_version_number(&self, did: &str, number: u64) -> Result<Option<DidVersion>, StoreError> {
        let row = self.storage().read(Column::Index, &keys::did_version(did.as_bytes(), number))?;
        if row.is_none() && self.floor() > 0 {
            let oldest = self.floor();
            let newest = self.state(&[PREFIX, did.as_bytes()].concat())?;
            let newest = newest.map(|record| self::number(&version_id(&record)?)).transpose()?;
            if newest.is_some_and(|newest| number < newest) {
                return Err(StoreError::Pruned { height: oldest - 1, oldest });
            }
        }
        row.map(|row| read_version(number, &row)).transpose()
    }

    /// The version of a DID with this version id; `None` if the DID never had it.
    pub fn did_version(&self, did: &str, version_id: &str) -> Result<Option<DidVersion>, StoreError> {
        let Some(number) = parse_number(version_id) else { return Ok(None) };
        let version = self.did_version_number(did, number)?;
        Ok(version.filter(|version| version.version_id == version_id))
    }

    /// The version of a DID that is in force after the block at `height`; `None` if the DID is younger.
    pub fn did_version_at(&self, did: &str, height: u64) -> Result<Option<DidVersion>, StoreError> {
        let key = [PREFIX, did.as_bytes()].concat();
        let Some(record) = self.state_at(&key, height)? else { return Ok(None) };
        let number = number(&version_id(&record)?)?;
        self.did_version_number(did, number)
    }

    /// The versions of a DID from number `from` on, at most `limit`, ascending.
    pub fn did_versions(&self, did: &str, from: u64, limit: usize) -> Result<Vec<DidVersion>, StoreError> {
        let (from_key, to_key) =
            (keys::did_version(did.as_bytes(), from), keys::did_version(did.as_bytes(), u64::MAX));
        let rows = self.storage().scan(Column::Index, &from_key, &to_key, limit)?;
        rows.iter()
            .map(|(key, row)| {
                let number = key.get(key.len().saturating_sub(8)..).unwrap_or_default();
                read_version(keys::read_number(number, "a DID version's number")?, row)
            })
            .collect()
    }
}

fn read_version(number: u64, row: &[u8]) -> Result<DidVersion, StoreError> {
    let damaged = || StoreError::corrupt("a DID version is unreadable");
    let mut reader = Reader::new(row);
    let height = reader.u64().map_err(|_| damaged())?;
    let version_id = reader.take(reader.remaining()).map_err(|_| damaged())?;
    let version_id = String::from_utf8(version_id.to_vec()).map_err(|_| damaged())?;
    Ok(DidVersion { number, version_id, height })
}
