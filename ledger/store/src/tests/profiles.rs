//! What a light store forgets, what a copy holds, and that a check of everything finds every damage.

use aval_codec::Hash;
use aval_proof::TrustAnchor;
use aval_types::{Genesis, Header};
use tempfile::TempDir;

use super::fixture::*;
use crate::storage::{Batch, Column, KeyValue};
use crate::{Ledger, MemoryStorage, StoreConfig, Verification};

const MINUTES: u64 = 60_000;

fn light() -> StoreConfig {
    StoreConfig { history_heights: Some(1), block_heights: Some(1), ..StoreConfig::default() }
}

fn did(number: u64) -> String {
    format!("did/did:aval:demo:Qm{number}")
}

/// Blocks a second apart that change two keys each, one of them a DID.
fn grow(ledger: &Ledger, heights: std::ops::Range<u64>) {
    for height in heights {
        let version = format!(r#"{{"versionId":"{}-Qm"}}"#, height / 7 + 1);
        let changes = put(&[("a", &height.to_string()), (&did(height % 7), &version)]);
        let witness = format!("presentation {height}");
        extend(ledger, changes, vec![witnessed(&format!("tx {height}"), witness.as_bytes())]);
    }
}

#[test]
fn a_light_store_keeps_the_state_and_the_blocks_of_the_replay_window() {
    for disk in [Disk::memory(), Disk::rocks()] {
        let ledger = disk.open_with(&genesis(), light()).unwrap();
        grow(&ledger, 0..1_000);
        // Blocks wait for their witnesses to be erased.
        assert!(ledger.prune(usize::MAX).unwrap().is_done);
        assert_eq!(ledger.base(), 0);
        ledger.erase_witnesses(time_ms(990), usize::MAX).unwrap();
        let mut calls = 0;
        while !ledger.prune(10).unwrap().is_done {
            calls += 1;
        }
        assert!(calls > 20, "{calls} short calls");
        let base = ledger.base();
        let window = (time_ms(999) - time_ms(base)) / MINUTES;
        assert!(base > 0 && (10..=11).contains(&window), "blocks of {window} minutes are kept from {base}");
        drop(ledger);
        let ledger = disk.open_with(&genesis(), light()).unwrap();
        for height in base..1_000 {
            ledger.block(height).unwrap();
            assert!(ledger.receipt(&id(&format!("tx {height}"))).unwrap().is_some());
        }
        for code in [
            ledger.block(base - 1).unwrap_err().code(),
            ledger.receipts(base - 1).unwrap_err().code(),
            ledger.height_at(time_ms(base - 1)).unwrap_err().code(),
            ledger.did_version("did:aval:demo:Qm1", "2-Qm").unwrap_err().code(),
        ] {
            assert_eq!(code, "store.pruned");
        }
        assert_eq!(ledger.transaction(&id("tx 1")).unwrap(), None);
        assert!(ledger.header(0).is_ok());
        assert_eq!(proven(&ledger, "a", 999), Some(b"999".to_vec()));
        grow(&ledger, 1_000..1_010);
    }
}

#[test]
fn a_held_height_is_not_pruned() {
    let config = StoreConfig { history_heights: Some(1), ..StoreConfig::default() };
    let ledger = Disk::memory().open_with(&genesis(), config).unwrap();
    grow(&ledger, 0..600);
    ledger.prune_below(100, usize::MAX).unwrap();
    assert_eq!(ledger.oldest_height(), 100);
    assert!(ledger.snapshot_chunk(100, &Hash::ZERO).unwrap().is_some());
    ledger.prune_below(u64::MAX, usize::MAX).unwrap();
    assert_eq!(ledger.snapshot_chunk(100, &Hash::ZERO).unwrap_err().code(), "store.pruned");
}

/// Whether any file below a folder has these bytes.
fn is_in_a_file(folder: &std::path::Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return is_in_a_file(&path, bytes);
        }
        std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn a_copy_is_the_ledger_of_one_moment_without_a_single_witness() {
    let (folder, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let ledger = Ledger::open(folder.path(), &genesis(), StoreConfig::default()).unwrap();
    grow(&ledger, 0..50);
    // Some witnesses are in tables, the newest are in the log alone.
    let first = place.path().join("first");
    ledger.copy_to(&first).unwrap();
    grow(&ledger, 50..80);
    let second = place.path().join("second");
    ledger.copy_to(&second).unwrap();
    grow(&ledger, 80..100);
    assert!(is_in_a_file(folder.path(), b"presentation 70"));
    for (copy, height) in [(&first, 49), (&second, 79)] {
        assert!(!is_in_a_file(copy, b"presentation"), "a witness is in the copy of {height}");
        let copy = Ledger::open(copy, &genesis(), StoreConfig::default()).unwrap();
        assert_eq!(copy.head().unwrap().digest(), ledger.header(height).unwrap().digest());
        assert_eq!(proven(&copy, "a", height), proven(&ledger, "a", height));
        assert_eq!(copy.block(height).unwrap(), ledger.stripped_block(height).unwrap());
        grow(&copy, height + 1..height + 3);
    }
    // A copy goes nowhere but into a new folder.
    assert!(ledger.copy_to(&first).is_err());
}

#[test]
fn a_ledger_goes_back_to_a_height() {
    let (disk, other) = (Disk::rocks(), Disk::rocks());
    let ledger = disk.open();
    grow(&ledger, 0..400);
    let back = other.open();
    back.install_from(&ledger, 300).unwrap();
    assert_eq!(back.head().unwrap().digest(), ledger.header(300).unwrap().digest());
    assert_eq!(back.base(), 0);
    assert_eq!(proven(&back, "a", 300), proven(&ledger, "a", 300));
    for height in 0..=300 {
        assert_eq!(back.stripped_block(height).unwrap(), ledger.stripped_block(height).unwrap());
        assert_eq!(back.certificate(height).unwrap(), ledger.certificate(height).unwrap());
    }
    assert_eq!(back.transaction(&id("tx 301")).unwrap(), None);
    grow(&back, 301..310);
}

/// An anchor for ledgers whose certificates are none: they are not what is tested here.
fn anchor() -> TrustAnchor {
    let bytes = include_bytes!("../../../../specs/vectors/genesis.json");
    let _: Option<Genesis> = Genesis::parse(bytes).ok();
    TrustAnchor::from_genesis(bytes).unwrap()
}

/// A check of a ledger, without what it says of certificates.
fn check(ledger: &Ledger) -> Verification {
    let mut report = ledger.verify(&anchor(), time_ms(0), 0, &mut |_| ()).unwrap();
    report.damages.retain(|damage| damage.code != "data.certificate");
    report
}

#[test]
fn every_damaged_row_is_named() {
    let rows = MemoryStorage::new();
    let config = || StoreConfig::default();
    let ledger = Ledger::open_memory(&rows, &genesis(), config()).unwrap();
    grow(&ledger, 0..12);
    let sound = check(&ledger);
    assert_eq!(sound.damages, Vec::new());
    assert_eq!((sound.blocks, sound.transactions, sound.entries, sound.witnesses), (12, 12, 8, 12));
    assert!(sound.past_values > 15);
    drop(ledger);
    let mut checked = 0;
    for column in Column::ALL {
        for (key, value) in rows.scan(column, &[], &[0xff; 64], usize::MAX).unwrap() {
            // Certificates are verified by other tests; lists of what may be pruned decide nothing; and what is
            // remembered of progress is no data.
            let is_other = column == Column::Meta || matches!(key.first(), Some(b'c' | b'u'));
            if is_other && matches!(column, Column::Meta | Column::Chain) {
                continue;
            }
            let mut flipped = value.clone();
            if let Some(byte) = flipped.last_mut() {
                *byte ^= 0x04;
            }
            for damage in [None, Some(flipped)] {
                if damage.as_ref() == Some(&value)
                    || column == Column::Index && damage.is_some() && key[0] == b'v'
                {
                    continue;
                }
                // In nodes of past heights, counts and versions are looked at only where something changed.
                let is_past = column == Column::Nodes && !key.starts_with(&11u64.to_be_bytes());
                if is_past && damage.is_some() && value.first() == Some(&2) {
                    continue;
                }
                let storage = rows.copied();
                let mut batch = Batch::default();
                match &damage {
                    Some(damage) => batch.put(column, key.clone(), damage.clone()),
                    // A witness may go at any time, and what was overwritten first is written nowhere else.
                    None if column == Column::Witness || column == Column::History => continue,
                    // Past versions are found by their rows alone.
                    None if key[0] == b'v' || key[0] == b'd' => continue,
                    None => batch.delete(column, key.clone()),
                }
                storage.write(batch, true).unwrap();
                let found = match Ledger::open_memory(&storage, &genesis(), config()) {
                    Ok(ledger) => !check(&ledger).damages.is_empty(),
                    Err(_) => true,
                };
                checked += 1;
                let key = String::from_utf8_lossy(&key);
                assert!(found, "a damage of {column:?} {key:?} to {damage:?} was not noticed");
            }
        }
    }
    assert!(checked > 150, "{checked} damages");
    let header: Header = Ledger::open_memory(&rows, &genesis(), config()).unwrap().header(3).unwrap();
    assert_eq!(header.height, 3);
}

#[test]
fn witnesses_that_should_be_gone_are_named() {
    let disk = Disk::rocks();
    let ledger = disk.open();
    grow(&ledger, 0..30);
    let overdue = |before: u64, kept: u64| {
        let report = ledger.verify(&anchor(), before, kept, &mut |_| ()).unwrap();
        report.damages.iter().filter(|damage| damage.code == "data.witness_overdue").count()
    };
    assert_eq!(overdue(time_ms(0), 0), 0);
    assert_eq!(overdue(time_ms(10), 0), 10);
    assert_eq!(overdue(time_ms(10), 25), 4, "those of the newest blocks are kept");
    ledger.erase_witnesses(time_ms(10), usize::MAX).unwrap();
    assert_eq!(overdue(time_ms(10), 0), 0);
}

#[test]
fn a_flipped_bit_in_a_file_is_named_with_the_file() {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::open(folder.path(), &genesis(), StoreConfig::default()).unwrap();
    grow(&ledger, 0..200);
    ledger.erase_witnesses(time_ms(1), usize::MAX).unwrap();
    drop(ledger);
    let tables: Vec<_> = std::fs::read_dir(folder.path().join("db"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sst"))
        .collect();
    assert!(!tables.is_empty());
    for table in tables {
        let whole = std::fs::read(&table).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 3;
        damaged[middle] ^= 0x10;
        std::fs::write(&table, &damaged).unwrap();
        let name = table.file_name().unwrap().to_string_lossy().into_owned();
        let named = match Ledger::open(folder.path(), &genesis(), StoreConfig::default()) {
            Ok(ledger) => check(&ledger).damages.iter().any(|damage| damage.what.contains(&name)),
            Err(error) => error.to_string().contains(&name),
        };
        std::fs::write(&table, &whole).unwrap();
        assert!(named, "{name} is not named");
    }
}
