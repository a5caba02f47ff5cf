//! What every source file and document keeps to.

use crate::{read, root, tracked_files, tracked_with_extension};
use std::path::Path;

const LINE_LENGTH_MAX: usize = 120;
const FUNCTION_LENGTH_MAX: usize = 100;
const FILE_LENGTH_MAX: usize = 1_000;

/// Test modules are named by what they test and need no other introduction.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "testkit")
}

fn report(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn lines_and_files_stay_short() {
    let mut wrong = Vec::new();
    for path in tracked_with_extension("rs") {
        let text = read(&path);
        for (index, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_LENGTH_MAX && !line.contains("http") && !line.contains('"') {
                wrong.push(format!("{}:{}: longer than {LINE_LENGTH_MAX}", path.display(), index + 1));
            }
        }
        if text.lines().count() > FILE_LENGTH_MAX {
            wrong.push(format!("{}: more than {FILE_LENGTH_MAX} lines", path.display()));
        }
    }
    report(wrong);
}

#[test]
fn functions_stay_short() {
    let mut wrong = Vec::new();
    for path in tracked_with_extension("rs") {
        let text = read(&path);
        let mut start: Option<(usize, usize, String)> = None;
        for (index, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let trimmed = line.trim_start();
            let opens =
                ["fn ", "pub fn ", "pub(crate) fn ", "async fn ", "pub async fn ", "pub(crate) async fn "]
                    .iter()
                    .any(|prefix| trimmed.starts_with(prefix));
            if opens && start.is_none() {
                start = Some((index, indent, trimmed.to_owned()));
            }
            if let Some((from, at, name)) = &start
                && indent == *at
                && (trimmed.starts_with('}')
                    || (index == *from && trimmed.ends_with('}'))
                    || trimmed.ends_with(';'))
            {
                if index - from > FUNCTION_LENGTH_MAX {
                    wrong.push(format!("{}:{}: {} lines: {name}", path.display(), from + 1, index - from));
                }
                start = None;
            }
        }
    }
    report(wrong);
}

#[test]
fn every_module_opens_with_what_it_is() {
    let mut wrong = Vec::new();
    for path in tracked_with_extension("rs").into_iter().filter(|path| !is_test(path)) {
        let text = read(&path);
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
        if !first.is_some_and(|line| line.starts_with("//!")) {
            wrong.push(format!("{}: no module documentation", path.display()));
        }
    }
    report(wrong);
}

#[test]
fn nothing_unfinished_is_left_in_the_code() {
    // Written in halves, so that this file does not find itself.
    let marks = [["to", "do!("], ["unimple", "mented!("], ["db", "g!("], ["TO", "DO"], ["FIX", "ME"]];
    let mut wrong = Vec::new();
    for path in tracked_with_extension("rs") {
        for (index, line) in read(&path).lines().enumerate() {
            for mark in marks.iter().map(|halves| halves.concat()).filter(|mark| line.contains(mark.as_str()))
            {
                wrong.push(format!("{}:{}: {mark}", path.display(), index + 1));
            }
        }
    }
    report(wrong);
}

#[test]
fn only_the_engine_folder_names_the_consensus_engine() {
    let engine = Path::new("ledger/node/src/engine");
    let mut wrong = Vec::new();
    for path in tracked_with_extension("rs") {
        let allowed = path.starts_with(engine)
            || path.starts_with("ledger/node/src/tests")
            || path.starts_with("tests/tidy");
        if !allowed && read(&path).contains("commonware") {
            wrong.push(format!("{} names the consensus engine", path.display()));
        }
    }
    report(wrong);
}

#[test]
fn consensus_code_reads_no_clock_no_float_and_no_hash_map_order() {
    let folders = [
        "ledger/codec/src",
        "ledger/types/src",
        "ledger/proof/src",
        "ledger/machine/src",
        "identity/did/src",
        "identity/credential/src",
    ];
    let marks = [
        "SystemTime",
        "Instant::now",
        "HashMap",
        "HashSet",
        ": f32",
        ": f64",
        "std::fs::",
        "std::net::Tcp",
        "std::net::Udp",
    ];
    let mut wrong = Vec::new();
    for path in tracked_with_extension("rs") {
        let of_tests = path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
        if !folders.iter().any(|folder| path.starts_with(folder)) || of_tests {
            continue;
        }
        let text = read(&path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (index, line) in code.lines().enumerate() {
            let statement = line.split("//").next().unwrap_or_default();
            for mark in marks.iter().filter(|mark| statement.contains(**mark)) {
                wrong.push(format!("{}:{}: {mark}", path.display(), index + 1));
            }
        }
    }
    report(wrong);
}

#[test]
fn the_readme_says_where_every_required_crate_works() {
    let readme = read(Path::new("README.md"));
    for name in
        ["ssi", "didkit", "josekit", "tokio", "axum", "rocksdb", "ed25519-dalek", "serde_json", "uuid"]
    {
        assert!(readme.contains(&format!("| `{name}` |")), "README.md has no row for {name}");
    }
}

#[test]
fn relative_links_in_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in tracked_with_extension("md") {
        let text = read(&path);
        let folder = path.parent().unwrap_or(Path::new(""));
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !root().join(folder).join(target).exists() {
                wrong.push(format!("{}: {target} does not exist", path.display()));
            }
        }
    }
    report(wrong);
}

#[test]
fn no_commit_carries_a_path_of_a_machine_or_a_private_key_file() {
    let marks = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["BEGIN PRIV", "ATE KEY"]];
    let mut wrong = Vec::new();
    for path in tracked_files() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for mark in marks.iter().map(|halves| halves.concat()) {
            if text.contains(&mark) {
                wrong.push(format!("{} holds {mark}", path.display()));
            }
        }
    }
    report(wrong);
}
