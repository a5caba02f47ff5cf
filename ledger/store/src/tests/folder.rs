use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aval_codec::sha256;
use aval_machine::Changes;
use tempfile::TempDir;

use super::fixture::*;
use crate::{Ledger, StoreConfig, StoreError};

fn open(folder: &Path) -> Result<Ledger, StoreError> {
    Ledger::open(folder, &genesis(), StoreConfig::default())
}

fn code(folder: &Path) -> &'static str {
    open(folder).unwrap_err().code()
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn made() -> TempDir {
    let folder = TempDir::new().unwrap();
    let ledger = open(folder.path()).unwrap();
    extend(&ledger, put(&[("a", "1")]), Vec::new());
    folder
}

#[test]
fn a_missing_folder_is_made() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("some").join("where");
    drop(open(&folder).unwrap());
    assert!(folder.join("FORMAT").exists() && !folder.join("FORMAT.new").exists());
}

#[test]
fn a_foreign_folder_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let before = contents(folder.path());
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "store.foreign");
    assert!(error.to_string().contains("choose an empty folder"));
    assert_eq!(contents(folder.path()), before);
    assert_eq!(code(&folder.path().join("thesis.txt")), "store.foreign");
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = made();
    let ledger = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "store.locked");
    assert!(error.to_string().contains("stop that node"));
    // Views keep the ledger open too.
    let view = ledger.view(&tip(&ledger)).unwrap();
    drop(ledger);
    assert_eq!(code(folder.path()), "store.locked");
    drop(view);
    open(folder.path()).unwrap();
}

#[test]
fn another_genesis_leaves_the_folder_as_it_is() {
    let folder = made();
    let before = contents(folder.path());
    let error = Ledger::open(folder.path(), &sha256(b"other"), StoreConfig::default()).unwrap_err();
    assert_eq!(error.code(), "store.genesis_mismatch");
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn a_newer_format_is_refused_whatever_else_it_says() {
    let folder = made();
    fs::write(folder.path().join("FORMAT"), r#"{"format":3,"something":"new"}"#).unwrap();
    let before = contents(folder.path());
    assert_eq!(code(folder.path()), "store.format_newer");
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn an_older_format_is_refused_with_what_to_do() {
    let folder = made();
    fs::write(folder.path().join("FORMAT"), r#"{"format":1,"genesis":"00"}"#).unwrap();
    let before = contents(folder.path());
    assert_eq!(code(folder.path()), "store.format_older");
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn an_unreadable_format_file_is_damage() {
    let folder = made();
    for text in ["", "{}", "not json", r#"{"format":2}"#, r#"{"format":-1,"genesis":""}"#] {
        fs::write(folder.path().join("FORMAT"), text).unwrap();
        assert_eq!(code(folder.path()), "store.corrupt");
    }
}

#[test]
fn making_a_store_that_was_interrupted_goes_on() {
    let folder = TempDir::new().unwrap();
    for torn in ["", "{\"format\":2,\"gen"] {
        fs::write(folder.path().join("FORMAT.new"), torn).unwrap();
        drop(open(folder.path()).unwrap());
        assert!(!folder.path().join("FORMAT.new").exists());
        fs::rename(folder.path().join("FORMAT"), folder.path().join("FORMAT.new")).unwrap();
        drop(open(folder.path()).unwrap());
        fs::remove_file(folder.path().join("FORMAT")).unwrap();
    }
    // With a database and neither file, it is not known whose it is.
    assert_eq!(code(folder.path()), "store.foreign");
}

#[test]
fn a_store_without_its_database_is_damaged_and_not_made_anew() {
    let folder = made();
    fs::remove_dir_all(folder.path().join("db")).unwrap();
    assert_eq!(code(folder.path()), "store.corrupt");
    assert!(!folder.path().join("db").exists());
}

#[test]
fn a_damaged_database_is_refused() {
    let folder = made();
    let database = folder.path().join("db");
    for name in ["CURRENT", "MANIFEST"] {
        let path = contents(&database)
            .into_keys()
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(name));
        let path = path.unwrap();
        let good = fs::read(&path).unwrap();
        fs::write(&path, vec![0x5a; good.len()]).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(["store.corrupt", "store.database"].contains(&error.code()), "{error}");
        fs::write(&path, good).unwrap();
    }
    assert_eq!(open(folder.path()).unwrap().state(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_damaged_table_is_an_error_and_never_a_wrong_value() {
    let folder = TempDir::new().unwrap();
    let ledger = open(folder.path()).unwrap();
    for height in 0..50 {
        let changes: Changes =
            (0..50u32).map(|key| (key.to_be_bytes().to_vec(), Some(vec![height; 90]))).collect();
        extend(&ledger, changes, vec![witnessed(&height.to_string(), &[height; 400])]);
    }
    // Flushes every column to tables.
    ledger.erase_witnesses(time_ms(2), 100).unwrap();
    drop(ledger);
    let files = contents(folder.path());
    let tables = files.iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "sst"));
    let mut failures = 0;
    for (path, good) in tables {
        let mut bad = good.clone();
        let middle = bad.len() / 3;
        bad[middle] ^= 1;
        fs::write(path, &bad).unwrap();
        match open(folder.path()) {
            Ok(ledger) => {
                for key in 0..50u32 {
                    match ledger.prove(&key.to_be_bytes(), 49) {
                        Ok(answer) => assert_eq!(answer.value, Some(vec![49; 90])),
                        Err(error) => {
                            assert_eq!(error.code(), "store.corrupt", "{error}");
                            failures += 1;
                        }
                    }
                    failures += usize::from(ledger.block(u64::from(key)).is_err());
                }
            }
            Err(error) => {
                assert_eq!(error.code(), "store.corrupt", "{error}");
                failures += 1;
            }
        }
        fs::write(path, good).unwrap();
    }
    assert!(failures > 0);
}
