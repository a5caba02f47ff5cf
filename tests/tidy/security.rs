//! `SECURITY.md` claims nothing without a test that shows it.

use crate::{read, root, tracked_with_extension};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every `path.rs::name` between backticks in a text.
fn references(text: &str) -> Vec<(String, String)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|word| word.split_once(".rs::"));
    named.map(|(path, name)| (format!("{path}.rs"), name.to_owned())).collect()
}

/// The names of the tests in a source file: functions below an attribute that says so, and those of `proptest!`.
fn tests_of(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")) {
            if is_test {
                names.extend(rest.split(['(', '<']).next().map(str::to_owned));
            }
            is_test = false;
        }
    }
    names
}

fn missing(text: &str) -> Vec<String> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut missing = Vec::new();
    for (path, name) in references(text) {
        let tests = known.entry(path.clone()).or_insert_with(|| {
            std::fs::read_to_string(root().join(&path)).map(|source| tests_of(&source)).unwrap_or_default()
        });
        if !tests.contains(&name) {
            missing.push(format!("{path}::{name}"));
        }
    }
    missing
}

/// The rows of tables, without their heads.
fn rows(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |index: usize| lines.get(index).is_some_and(|line| line.starts_with('|'));
    let is_rule = |index: usize| lines.get(index).is_some_and(|line| line.starts_with("|---"));
    (0..lines.len())
        .filter(|index| is_row(*index) && !is_rule(*index) && !is_rule(index + 1))
        .map(|index| lines[index])
        .collect()
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = read(Path::new("SECURITY.md"));
    assert!(references(&text).len() > 100, "the references are not found");
    let missing = missing(&text);
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there:\n{}", missing.join("\n"));
}

#[test]
fn every_statement_of_the_threat_model_names_a_test() {
    let text = read(Path::new("SECURITY.md"));
    let rows = rows(&text);
    assert!(rows.len() > 50, "the tables are not found");
    let bare: Vec<_> = rows.into_iter().filter(|row| references(row).is_empty()).collect();
    assert!(bare.is_empty(), "SECURITY.md claims without a test:\n{}", bare.join("\n"));
}

#[test]
fn a_test_that_is_only_mentioned_does_not_count() {
    let here = "tests/tidy/security.rs";
    assert!(missing(&format!("`{here}::a_test_that_is_only_mentioned_does_not_count`")).is_empty());
    assert_eq!(missing(&format!("`{here}::references`")).len(), 1);
    assert_eq!(missing("`tests/tidy/nothing.rs::at_all`").len(), 1);
    assert_eq!(rows("| a | b |\n|---|---|\n| c | d |\n\ntext"), ["| c | d |"]);
}

#[test]
fn no_program_that_serves_unpacks_anything() {
    // What unpacks bytes in the libraries that are linked: of flate2, brotli and zstd the reading half.
    let marks = ["Decoder::", "Decompress", "decompression", "inflate"];
    let serving = ["ledger/", "identity/"];
    let mut wrong = Vec::new();
    for path in tracked_with_extension("rs") {
        let is_served = serving.iter().any(|folder| path.starts_with(folder));
        let of_tests = path.iter().any(|part| part == "tests") || path.ends_with("tests.rs");
        // A client reads what it asked for, and bounds what comes out of it; so does whoever reads a status list.
        let is_bounded = path.starts_with("ledger/client") || path.starts_with("identity/formats/src/status");
        if !is_served || of_tests || is_bounded {
            continue;
        }
        for (index, line) in read(&path).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{}: {line}", path.display(), index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
