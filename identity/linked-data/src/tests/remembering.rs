//! Processed contexts are remembered: the answers stay the same, and nobody from outside fills the memory.

use crate::canonical::Hash;
use crate::contexts::Contexts;
use serde_json::{Value, json};
use std::collections::HashMap;

const V2: &str = "https://www.w3.org/ns/credentials/v2";

fn contexts() -> Contexts {
    Contexts::with(HashMap::new()).unwrap()
}

fn credential(inline: &Value) -> Value {
    json!({
        "@context": [V2, inline],
        "type": ["VerifiableCredential"],
        "issuer": "did:example:issuer",
        "credentialSubject": {"id": "did:example:subject", "school": "A", "degree": {"type": "Degree", "title": "B"}},
    })
}

fn inline(number: usize) -> Value {
    let namespace = format!("https://example.org/{number}#");
    json!({
        "school": format!("{namespace}school"),
        "degree": format!("{namespace}degree"),
        "Degree": {"@id": format!("{namespace}Degree"), "@context": {"title": format!("{namespace}title")}},
    })
}

fn statements(contexts: &Contexts, document: &Value) -> String {
    contexts.canonicalize(document, Hash::Sha256).unwrap()
}

#[test]
fn what_is_remembered_says_the_same_as_what_is_processed_anew() {
    let used = contexts();
    for _ in 0..2 {
        for number in 0..50 {
            let document = credential(&inline(number));
            let again = statements(&used, &document);
            assert!(again.contains(&format!("<https://example.org/{number}#title>")), "{again}");
            assert_eq!(again, statements(&contexts(), &document));
        }
    }
}

#[test]
fn a_flood_of_contexts_neither_grows_the_memory_nor_drives_out_what_is_in_use() {
    let contexts = contexts();
    let known =
        credential(&json!({"school": "https://example.org/school", "degree": "https://example.org/degree",
        "Degree": "https://example.org/Degree", "title": "https://example.org/title"}));
    let before = statements(&contexts, &known);
    let count = contexts.remembered();
    assert_eq!(statements(&contexts, &known), before);
    assert_eq!(contexts.remembered(), count, "the second time nothing is new");
    for number in 0..2000 {
        statements(&contexts, &credential(&inline(number)));
        assert!(contexts.remembered() <= 2 * 512);
        if number % 50 == 0 {
            assert_eq!(statements(&contexts, &known), before);
        }
    }
}

#[test]
fn long_contexts_and_those_of_many_terms_are_not_remembered() {
    let contexts = contexts();
    statements(&contexts, &credential(&inline(0)));
    let count = contexts.remembered();
    let mut long = inline(0);
    long["long"] = format!("https://example.org/{}", "a".repeat(5000)).into();
    statements(&contexts, &credential(&long));
    assert_eq!(contexts.remembered(), count);
    // Short ones in each other: 60 terms each, twenty deep.
    let mut document = json!({"@id": "did:example:innermost"});
    for depth in 0..20 {
        let mut terms = serde_json::Map::new();
        for number in 0..60 {
            terms.insert(format!("t{depth}-{number}"), format!("urn:t{depth}:{number}").into());
        }
        document = json!({"@context": terms, format!("t{depth}-0"): document});
    }
    statements(&contexts, &document);
    let remembered = contexts.remembered() - count;
    assert!((10..20).contains(&remembered), "{remembered} of twenty are short of 1,024 terms");
}
