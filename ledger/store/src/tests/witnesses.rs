use std::path::{Path, PathBuf};

use aval_machine::Changes;
use aval_types::{Block, Mode, Witness};

use super::fixture::*;
use super::on_both_back_ends;
use crate::Ledger;

on_both_back_ends!(
    erased_witnesses_leave_stripped_blocks_that_decode,
    erasing_goes_in_slices_and_never_beyond_the_given_time,
);

fn is_full(ledger: &Ledger, height: u64) -> bool {
    ledger.block(height).unwrap().transactions.iter().any(|own| matches!(own.witness, Witness::Full(_)))
}

fn fill(ledger: &Ledger, heights: u64) {
    extend(ledger, Changes::new(), Vec::new());
    for height in 1..heights {
        let transactions = vec![
            witnessed(&format!("with {height}"), format!("presentation {height}").as_bytes()),
            transaction(&format!("without {height}")),
        ];
        extend(ledger, Changes::new(), if height % 4 == 0 { Vec::new() } else { transactions });
    }
}

fn erased_witnesses_leave_stripped_blocks_that_decode(disk: &Disk) {
    let ledger = disk.open();
    fill(&ledger, 12);
    let before = ledger.block(3).unwrap();
    let erased = ledger.erase_witnesses(time_ms(7), 100).unwrap();
    assert_eq!((erased.witnesses, erased.below_height, erased.is_done), (5, 7, true));
    for height in 1..12 {
        assert_eq!(is_full(&ledger, height), height >= 7 && height % 4 != 0, "{height}");
        let block = ledger.block(height).unwrap();
        let bytes = block.encode();
        assert_eq!(Block::decode(&bytes, Mode::Any).unwrap(), block);
    }
    let after = ledger.block(3).unwrap();
    assert_eq!((after.digest(), after.strip()), (before.digest(), before.strip()));
    assert_eq!(after, before.strip());
    drop(ledger);
    assert!(!is_full(&disk.open(), 3));
}

fn erasing_goes_in_slices_and_never_beyond_the_given_time(disk: &Disk) {
    let ledger = disk.open();
    fill(&ledger, 12);
    let mut witnesses = 0;
    let mut calls = 0;
    loop {
        let erased = ledger.erase_witnesses(time_ms(10), 3).unwrap();
        witnesses += erased.witnesses;
        calls += 1;
        if erased.is_done {
            assert_eq!(erased.below_height, 10);
            break;
        }
    }
    assert_eq!((witnesses, calls), (7, 4));
    assert!(!is_full(&ledger, 9) && is_full(&ledger, 10));
    // A time in the future erases what there is, and goes on with what comes.
    assert_eq!(ledger.erase_witnesses(u64::MAX, 100).unwrap().below_height, 12);
    assert_eq!(ledger.erase_witnesses(u64::MAX, 100).unwrap().witnesses, 0);
    extend(&ledger, Changes::new(), vec![witnessed("late", b"w")]);
    assert_eq!(ledger.erase_witnesses(u64::MAX, 100).unwrap().witnesses, 1);
}

fn files_with(folder: &Path, marker: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, marker));
        } else if std::fs::read(&path).unwrap().windows(marker.len()).any(|window| window == marker) {
            found.push(path);
        }
    }
    found
}

#[test]
fn erased_bytes_are_in_no_file_of_the_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let ledger = Ledger::open(folder.path(), &genesis(), crate::StoreConfig::default()).unwrap();
    let marker = b"Erika Mustermann, born 1964-08-12, presents her credential";
    let kept = b"Max Mustermann, whose retention is not over, presents his";
    let padded = |marker: &[u8], height: u64| [marker, format!("#{height}").repeat(500).as_bytes()].concat();
    fill(&ledger, 3);
    for height in 3..40 {
        extend(
            &ledger,
            put(&[("a", &height.to_string())]),
            vec![witnessed(&format!("old {height}"), &padded(marker, height))],
        );
    }
    // Some of it has been flushed and compacted before, some is in the log only.
    ledger.erase_witnesses(time_ms(10), 100).unwrap();
    for height in 40..60 {
        extend(&ledger, Changes::new(), vec![witnessed(&format!("new {height}"), &padded(kept, height))]);
    }
    assert!(!files_with(folder.path(), marker).is_empty(), "the bytes are on disk before they are erased");
    let erased = ledger.erase_witnesses(time_ms(40), 100).unwrap();
    assert!(erased.is_done && erased.witnesses > 0);
    assert_eq!(files_with(folder.path(), marker), Vec::<PathBuf>::new());
    assert!(!files_with(folder.path(), kept).is_empty());
    assert!(is_full(&ledger, 45) && !is_full(&ledger, 39));
    drop(ledger);
    let ledger = Ledger::open(folder.path(), &genesis(), crate::StoreConfig::default()).unwrap();
    assert_eq!(files_with(folder.path(), marker), Vec::<PathBuf>::new());
    assert_eq!(ledger.require_head().unwrap().height(), 59);
}
