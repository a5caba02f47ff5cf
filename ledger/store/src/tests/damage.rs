//! Values that RocksDB's checksums let pass and that are still wrong: each is an error or the truth, never a panic.

use aval_machine::Changes;

use super::fixture::*;
use crate::storage::{Batch, Column, KeyValue};
use crate::{Ledger, MemoryStorage, StoreConfig, StoreError};

const DID: &str = "did:aval:demo:QmExample";

fn filled() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let ledger = Ledger::open_memory(&storage, &genesis(), StoreConfig::default()).unwrap();
    let key = format!("did/{DID}");
    for height in 0..6 {
        let version = format!(r#"{{"versionId":"{}-Qm"}}"#, height + 1);
        let changes = put(&[(&key, &version), ("a", &height.to_string()), (&format!("own/{height}"), "x")]);
        extend(
            &ledger,
            changes,
            vec![witnessed(&format!("tx {height}"), b"presentation"), transaction("other")],
        );
    }
    storage
}

/// Asks everything there is to ask.
fn ask(storage: &MemoryStorage) -> Vec<StoreError> {
    let config = StoreConfig { history_heights: Some(1), ..StoreConfig::default() };
    let ledger = match Ledger::open_memory(storage, &genesis(), config) {
        Ok(ledger) => ledger,
        Err(error) => return vec![error],
    };
    let mut errors = Vec::new();
    let mut note = |result: Result<(), StoreError>| errors.extend(result.err());
    for height in 0..6 {
        for key in ["a", "own/3", "absent", &format!("did/{DID}")] {
            note(ledger.prove(key.as_bytes(), height).map(drop));
        }
        note(ledger.block(height).map(drop));
        note(ledger.finality(height).map(drop));
        note(ledger.receipt(&id(&format!("tx {height}"))).map(drop));
        note(ledger.did_version_at(DID, height).map(drop));
        note(ledger.height_at(time_ms(height)).map(drop));
    }
    note(ledger.did_versions(DID, 0, 100).map(drop));
    note(ledger.newest_certified().map(drop));
    if let Ok(view) = ledger.view(&tip(&ledger)) {
        let changes: Changes = put(&[("a", "9"), ("own/2", "y"), ("new", "z")]);
        note(view.tree(&changes).map(drop));
    }
    note(ledger.erase_witnesses(time_ms(3), 2).map(drop));
    note(ledger.prune(10).map(drop));
    errors
}

#[test]
fn no_damaged_row_makes_the_ledger_panic() {
    assert!(ask(&filled()).is_empty());
    let rows = filled();
    let mut refused = 0;
    for column in Column::ALL {
        for (key, value) in rows.scan(column, &[], &[0xff; 64], usize::MAX).unwrap() {
            let mut flipped = value.clone();
            if let Some(byte) = flipped.first_mut() {
                *byte ^= 0x41;
            }
            let mut flipped_at_end = value.clone();
            if let Some(byte) = flipped_at_end.last_mut() {
                *byte ^= 0x04;
            }
            let cut = value.get(..value.len() / 2).unwrap_or_default().to_vec();
            let damages = [
                None,
                Some(Vec::new()),
                Some(flipped),
                Some(flipped_at_end),
                Some(cut),
                Some(vec![0xff; 40]),
            ];
            for damage in damages {
                let storage = rows.copied();
                let mut batch = Batch::default();
                match damage {
                    Some(damage) => batch.put(column, key.clone(), damage),
                    None => batch.delete(column, key.clone()),
                }
                storage.write(batch, true).unwrap();
                refused += usize::from(!ask(&storage).is_empty());
            }
        }
    }
    assert!(refused > 200, "{refused} damages were noticed");
}
