//! `specs/vectors/negative/verifier`: one file for each way in which something is wrong, with all that a verifier may
//! be
//! told, and the code that it must get. The files are made from `cases` and stand for themselves: whoever writes
//! another
//! verifier can use them.

use super::cases::{Case, cases};
use super::world::Facts;
use crate::verifier::{AccreditationPolicy, Answer, Expectation, HolderPolicy, Input, Kind};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;

fn folder() -> PathBuf {
    PathBuf::from("../../specs/vectors/negative/verifier")
}

/// The text of a file, always the same for the same case: maps of every build are written in order of their keys.
fn text(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let members: BTreeMap<_, _> = members.iter().collect();
                Value::Object(
                    members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect(),
                )
            }
            Value::Array(elements) => elements.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    format!("{}\n", serde_json::to_string_pretty(&sorted(value)).unwrap())
}

fn to_json(case: &Case) -> Value {
    let of_map = |value: Vec<Value>| Value::Array(value);
    let facts = &case.facts;
    let dids = facts.dids.iter().map(|((did, at), found)| match found {
        Value::Null => json!({"did": did, "at": at, "notFound": true}),
        Value::String(_) => json!({"did": did, "at": at, "deactivated": true}),
        document => json!({"did": did, "at": at, "document": document}),
    });
    let lists =
        facts.lists.iter().map(|((token, uri), text)| json!({"uri": uri, "token": token, "content": text}));
    let schemas = facts.schemas.iter().map(|(uri, text)| json!({"uri": uri, "content": text}));
    let accreditations = facts.accreditations.iter().map(|((issuer, kind, at), found)| match found {
        Ok(chain) => json!({"issuer": issuer, "type": kind, "at": at, "chain": chain}),
        Err(reason) => json!({"issuer": issuer, "type": kind, "at": at, "refused": reason}),
    });
    let expectation = &case.expectation;
    json!({
        "wrong": case.wrong,
        "kind": if case.kind == Kind::Credential { "credential" } else { "presentation" },
        "input": match &case.input { Input::Json(document) => document.clone(), Input::Text(text) => json!(text), Input::Binary(_) => panic!("no vector is binary") },
        "expectation": {
            "now": expectation.now_s,
            "challenge": expectation.challenge,
            "domain": expectation.domain,
            "types": expectation.types,
            "accreditation": match expectation.accreditation {
                AccreditationPolicy::Ignored => "ignored",
                AccreditationPolicy::OfLedger => "of_ledger",
                AccreditationPolicy::Required => "required",
            },
            "holder": if expectation.holder == HolderPolicy::Required { "required" } else { "reported" },
            "statusRequired": expectation.status_required,
        },
        "world": {
            "dids": of_map(dids.collect()),
            "statusLists": of_map(lists.collect()),
            "schemas": of_map(schemas.collect()),
            "accreditations": of_map(accreditations.collect()),
        },
        "outcome": case.outcome,
        "code": case.code,
    })
}

/// Verifies what a file says, by nothing but the file.
fn verify(vector: &Value) -> Answer {
    let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
    let entries = |name: &str| vector["world"][name].as_array().unwrap().clone();
    let mut facts = Facts::default();
    for entry in entries("dids") {
        let found = if entry["notFound"] == json!(true) {
            Value::Null
        } else if entry["deactivated"] == json!(true) {
            json!("deactivated")
        } else {
            entry["document"].clone()
        };
        facts.dids.insert((text(&entry, "did").unwrap(), entry["at"].as_i64()), found);
    }
    for entry in entries("statusLists") {
        let key = (entry["token"].as_bool().unwrap(), text(&entry, "uri").unwrap());
        facts.lists.insert(key, text(&entry, "content").unwrap());
    }
    for entry in entries("schemas") {
        facts.schemas.insert(text(&entry, "uri").unwrap(), text(&entry, "content").unwrap());
    }
    for entry in entries("accreditations") {
        let key = (text(&entry, "issuer").unwrap(), text(&entry, "type").unwrap(), entry["at"].as_i64());
        let chain = entry["chain"].as_array();
        let chain = chain.map(|chain| chain.iter().map(|did| did.as_str().unwrap().to_owned()).collect());
        facts.accreditations.insert(key, chain.ok_or_else(|| text(&entry, "refused").unwrap()));
    }
    let wanted = &vector["expectation"];
    let types = wanted["types"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let expectation = Expectation {
        challenge: text(wanted, "challenge"),
        domain: text(wanted, "domain"),
        types: types.collect(),
        accreditation: match wanted["accreditation"].as_str().unwrap() {
            "ignored" => AccreditationPolicy::Ignored,
            "required" => AccreditationPolicy::Required,
            _ => AccreditationPolicy::OfLedger,
        },
        holder: if wanted["holder"] == "required" { HolderPolicy::Required } else { HolderPolicy::Reported },
        status_required: wanted["statusRequired"].as_bool().unwrap(),
        ..Expectation::at(wanted["now"].as_i64().unwrap())
    };
    let input = match &vector["input"] {
        Value::String(text) => Input::Text(text.clone()),
        document => Input::Json(document.clone()),
    };
    let kind = if vector["kind"] == "credential" { Kind::Credential } else { Kind::Presentation };
    facts.verify(kind, &input, expectation)
}

/// Writes the files anew if that is asked for; once, before anybody reads them.
fn generate() {
    static WRITTEN: OnceLock<()> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        if std::env::var_os("AVAL_GENERATE").is_some() {
            std::fs::create_dir_all(folder()).unwrap();
            for case in cases() {
                std::fs::write(folder().join(format!("{}.json", case.name)), text(&to_json(&case))).unwrap();
            }
        }
    });
}

fn files() -> BTreeMap<String, Value> {
    generate();
    let entries = std::fs::read_dir(folder()).expect("the folder of negative vectors is there");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    entries.map(read).collect()
}

#[test]
fn the_files_are_those_that_the_cases_make() {
    let cases = cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    let mut wrong = Vec::new();
    generate();
    for case in &cases {
        let path = folder().join(format!("{}.json", case.name));
        let made = text(&to_json(case));
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&made) {
            wrong.push(case.name);
        }
    }
    assert!(wrong.is_empty(), "out of date; run the tests with AVAL_GENERATE=1: {wrong:?}");
    let kept: BTreeSet<String> = files().into_keys().collect();
    assert_eq!(
        kept,
        names.into_iter().map(str::to_owned).collect(),
        "files without a case, or cases without a file"
    );
}

#[test]
fn each_negative_vector_gets_its_outcome_and_its_code() {
    let files = files();
    assert!(files.len() >= 60, "{} negative vectors", files.len());
    let mut wrong = Vec::new();
    for (name, vector) in files {
        let answer = verify(&vector);
        let codes: Vec<&str> = answer.errors().iter().map(|problem| problem.code).collect();
        let expected = (vector["outcome"].as_str().unwrap(), vector["code"].as_str().unwrap());
        if (answer.outcome(), codes.first().copied().unwrap_or("")) != expected {
            wrong.push(format!("{name}: {expected:?}, got {} {codes:?}", answer.outcome()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_vector_says_in_words_what_is_wrong_and_holds_nothing_else() {
    for (name, vector) in files() {
        let members: Vec<&String> = vector.as_object().into_iter().flat_map(Map::keys).collect();
        assert_eq!(members.len(), 7, "{name}");
        assert!(vector["wrong"].as_str().unwrap().len() >= 20, "{name}");
        assert_ne!(vector["outcome"], "verified", "{name}");
    }
}
