//! Status registries: reading entries and changing them (D13, specs/rules.md, section 6).
//!
//! *Revocation* entries only rise, and setting one that is set already changes nothing, so an issuer can repeat itself
//! safely. *Suspension* and *message* changes name the value that they replace and fail when it is another.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use aval_types::action::StatusChange;
use aval_types::{Purpose, RegistryRecord, Reject};

use crate::authorize::Stop;
use crate::bitmap::{CHUNK_BYTES, Place, value_max};
use crate::effect::Effect;
use crate::state::{StateError, StateRead};
use crate::state_key;
use crate::view::View;

/// The value of an entry; `None` if the registry has no such entry.
pub(crate) fn value<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    record: &RegistryRecord,
    list: u32,
    index: u64,
) -> Result<Option<u8>, StateError> {
    let Some(place) = place(record, index) else { return Ok(None) };
    let chunk = view.shared_bytes(&state_key::status(&record.id, list, place.chunk))?;
    Ok(Some(place.value(chunk.as_ref().as_deref().unwrap_or_default())))
}

/// Applies all changes or none; returns how many entries have another value now.
pub(crate) fn change<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    record: &RegistryRecord,
    changes: &[StatusChange],
    effect: &mut Effect,
) -> Result<u32, Stop> {
    let mut chunks: BTreeMap<(u32, u64), Chunk> = BTreeMap::new();
    let mut changed = 0u32;
    for change in changes {
        let list =
            record.lists.iter().position(|uri| *uri == change.list).and_then(|list| u32::try_from(list).ok());
        let (Some(list), Some(place)) = (list, place(record, change.index)) else {
            return Err(Reject::RegistryOutOfRange.into());
        };
        if change.to.max(change.from) > value_max(record.bits) {
            return Err(Reject::RegistryOutOfRange.into());
        }
        let chunk = match chunks.entry((list, place.chunk)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Chunk { bytes: read_chunk(view, record, list, place)?, changed: false })
            }
        };
        let current = place.value(&chunk.bytes);
        match record.purpose {
            Purpose::Revocation if change.to < current || change.to < change.from => {
                return Err(Reject::RegistryMonotonic.into());
            }
            Purpose::Suspension | Purpose::Message if current != change.from => {
                return Err(Reject::RegistryStale.into());
            }
            _ => {}
        }
        if change.to != current {
            place.set(&mut chunk.bytes, change.to);
            chunk.changed = true;
            changed = changed.saturating_add(1);
        }
    }
    for ((list, number), chunk) in chunks.into_iter().filter(|(_, chunk)| chunk.changed) {
        effect.put_bytes(state_key::status(&record.id, list, number), chunk.bytes.to_vec());
    }
    Ok(changed)
}

struct Chunk {
    bytes: [u8; CHUNK_BYTES],
    changed: bool,
}

fn place(record: &RegistryRecord, index: u64) -> Option<Place> {
    if index < u64::from(record.size) { Place::of(index, record.bits) } else { None }
}

/// A chunk as it is, zeros if it was never written.
fn read_chunk<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    record: &RegistryRecord,
    list: u32,
    place: Place,
) -> Result<[u8; CHUNK_BYTES], StateError> {
    let key = state_key::status(&record.id, list, place.chunk);
    match view.bytes(&key)? {
        None => Ok([0; CHUNK_BYTES]),
        Some(bytes) => bytes.try_into().map_err(|_| StateError::damaged(&key, "a chunk has 1024 bytes")),
    }
}
