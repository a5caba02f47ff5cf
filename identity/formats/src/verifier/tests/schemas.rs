use super::world::*;
use crate::verifier::schema::check;
use crate::verifier::{Outcome, Problem};
use serde_json::{Value, json};

fn code(schema: &Value, entry: &Value) -> Option<&'static str> {
    match check(schema.to_string().as_bytes(), entry, &credential()) {
        Outcome::Passed => None,
        Outcome::Invalid(Problem { code, .. }) | Outcome::Undecided(Problem { code, .. }) => Some(code),
        Outcome::Warning(_) => panic!("a schema never warns"),
    }
}

#[test]
fn a_schema_is_obeyed_and_a_broken_rule_is_a_verdict() {
    assert_eq!(code(&schema(), &json!({})), None);
    let strict = json!({"properties": {"credentialSubject": {"required": ["thesis"]}}});
    assert!(matches!(check(strict.to_string().as_bytes(), &json!({}), &credential()), Outcome::Invalid(_)));
}

#[test]
fn a_schema_that_could_cost_too_much_or_leads_elsewhere_is_not_used() {
    let mut doubling = json!({"$defs": {"n0": {"type": "object"}}, "$ref": "#/$defs/n40"});
    for level in 1..=40 {
        let below = format!("#/$defs/n{}", level - 1);
        doubling["$defs"][format!("n{level}")] = json!({"allOf": [{"$ref": below}, {"$ref": below}]});
    }
    for schema in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        json!({"$ref": "https://elsewhere.example/schema.json"}),
        json!({"properties": {"issuer": {"$id": "https://elsewhere.example/x", "$ref": "#/y"}}}),
        json!({"$dynamicRef": "#x"}),
        json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
        json!({"$schema": "https://elsewhere.example/dialect"}),
        json!({"properties": {"id": {"pattern": "^(?=x)"}}}),
        json!({"properties": {"id": {"pattern": "((a{1000}){1000}){1000}"}}}),
        json!({"type": 7}),
        doubling,
    ] {
        assert_eq!(code(&schema, &json!({})), Some("schema.unsupported"), "{schema}");
    }
    let padding = json!({"description": "x".repeat(300_000)});
    assert_eq!(code(&padding, &json!({})), Some("schema.malformed"));
    // Backtracking matchers take longer than the age of the universe for this one.
    let evil = json!({"properties": {"id": {"pattern": "^(a+)+$"}}});
    let mut long = credential();
    long["id"] = json!("a".repeat(50_000) + "!");
    assert!(matches!(check(evil.to_string().as_bytes(), &json!({}), &long), Outcome::Invalid(_)));
}

#[test]
fn a_schema_is_the_one_whose_digest_the_credential_names() {
    let digest = |text: &str| {
        use sha2::{Digest as _, Sha384};
        aval_codec::b64u::encode(Sha384::digest(text.as_bytes()))
    };
    let text = schema().to_string();
    let entry = |integrity: String| json!({"digestSRI": integrity});
    assert_eq!(code(&schema(), &entry(format!("sha384-{}", digest(&text)))), None);
    assert_eq!(code(&schema(), &entry(format!("sha384-{}", digest("other")))), Some("schema.integrity"));
    let both = format!("sha256-wrong sha384-{}", digest(&text));
    assert_eq!(code(&schema(), &entry(both)), None);
    assert_eq!(code(&schema(), &entry("md5-abc".into())), Some("schema.integrity"));
    assert_eq!(code(&schema(), &json!({"digestSRI": 7})), Some("schema.integrity"));
}
