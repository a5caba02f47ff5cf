//! Files under `specs/` that tests read, and write anew if `AVAL_GENERATE` is set.

use std::path::PathBuf;

use aval_codec::{Json, Limits, json};

pub(crate) fn specs(path: &str) -> PathBuf {
    PathBuf::from("../../specs").join(path)
}

/// Checks that a file under `specs/` has this content, or gives it this content.
pub(crate) fn keep(path: &str, content: &str) {
    let file = specs(path);
    if std::env::var_os("AVAL_GENERATE").is_some() {
        std::fs::write(&file, content).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == content, "specs/{path} is out of date; run the tests with AVAL_GENERATE=1");
}

/// The same for one example of `specs/wire.md`.
pub(crate) fn keep_example(name: &str, content: &str) {
    let text = std::fs::read_to_string(specs("wire.md")).unwrap();
    let open = format!("<!-- example {name} -->\n");
    let (before, rest) = text.split_once(&open).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    keep("wire.md", &format!("{before}{open}{content}<!-- end -->{after}"));
}

/// A block of text for `specs/wire.md`, broken into lines that fit.
pub(crate) fn fenced(rows: &[(&str, &str)]) -> String {
    let mut text = String::from("\n```\n");
    for (label, value) in rows {
        text.push_str(&format!("{label}:\n"));
        let characters: Vec<char> = value.chars().collect();
        for line in characters.chunks(112) {
            text.push_str(&format!("  {}\n", line.iter().collect::<String>()));
        }
    }
    text + "```\n\n"
}

pub(crate) fn object(members: &[(&str, Json)]) -> Json {
    Json::Object(members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

pub(crate) fn pretty(value: &Json) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

pub(crate) fn vectors(path: &str) -> Json {
    let bytes = std::fs::read(specs(path)).unwrap();
    json::parse(&bytes, Limits { bytes_max: usize::MAX, depth_max: 64 }).unwrap()
}

/// The entries of a list in a vector file; there is at least one.
pub(crate) fn entries<'a>(file: &'a Json, list: &str) -> &'a [Json] {
    let entries = file.get(list).unwrap().as_array().unwrap();
    assert!(!entries.is_empty());
    entries
}

pub(crate) fn text<'a>(entry: &'a Json, member: &str) -> &'a str {
    entry.get(member).and_then(Json::as_str).unwrap_or_else(|| panic!("no text {member}"))
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
