//! The part of JSON Schema that the ledger validates by: what each keyword says, what is refused at publication, and
//! that nothing takes long.

use crate::schema::{NODES_MAX, Schema};
use aval_codec::json::{self, Json, Limits};
use proptest::prelude::*;

fn read(text: &str) -> Json {
    json::parse(text.as_bytes(), Limits::default()).unwrap()
}

fn compile(text: &str) -> Schema {
    Schema::compile(&read(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A schema, values that fit and values that do not.
#[track_caller]
fn judge(schema: &str, good: &[&str], bad: &[&str]) {
    let compiled = compile(schema);
    for value in good {
        assert!(compiled.validate_value(&read(value)).is_ok(), "{schema} takes {value}");
    }
    for value in bad {
        assert!(compiled.validate_value(&read(value)).is_err(), "{schema} refuses {value}");
    }
}

#[test]
fn each_keyword_says_what_json_schema_says() {
    judge("{}", &["1", "null", "{}"], &[]);
    judge("true", &["1"], &[]);
    judge("false", &[], &["1"]);
    judge(r#"{"type":"object"}"#, &["{}"], &["[]", "1", r#""{}""#]);
    judge(r#"{"type":["string","null"]}"#, &[r#""a""#, "null"], &["1", "false"]);
    judge(r#"{"type":"integer"}"#, &["1"], &[r#""1""#, "true"]);
    judge(r#"{"type":"number"}"#, &["1"], &[r#""1""#]);
    judge(r#"{"enum":["a",1,null]}"#, &[r#""a""#, "1", "null"], &[r#""b""#, "2", "[]"]);
    judge(r#"{"const":"a"}"#, &[r#""a""#], &[r#""b""#]);
    judge(r#"{"properties":{"a":{"type":"string"}}}"#, &[r#"{"a":"x"}"#, r#"{"b":1}"#, "1"], &[r#"{"a":1}"#]);
    judge(r#"{"required":["a","b"]}"#, &[r#"{"a":1,"b":1}"#, "1"], &[r#"{"a":1}"#]);
    judge(r#"{"properties":{"a":{}},"additionalProperties":false}"#, &[r#"{"a":1}"#], &[r#"{"a":1,"b":1}"#]);
    judge(r#"{"additionalProperties":{"type":"string"}}"#, &[r#"{"a":"x"}"#], &[r#"{"a":1}"#]);
    judge(
        r#"{"minProperties":1,"maxProperties":2}"#,
        &[r#"{"a":1}"#, "1"],
        &["{}", r#"{"a":1,"b":1,"c":1}"#],
    );
    judge(r#"{"items":{"type":"string"}}"#, &["[]", r#"["a"]"#, "1"], &[r#"["a",1]"#]);
    judge(r#"{"minItems":1,"maxItems":2}"#, &["[1]", "[1,2]"], &["[]", "[1,2,3]"]);
    judge(
        r#"{"uniqueItems":true}"#,
        &["[1,2]", r#"[{"a":1},{"a":2}]"#],
        &["[1,1]", r#"[{"a":1,"b":2},{"b":2,"a":1}]"#],
    );
    judge(r#"{"minLength":2,"maxLength":3}"#, &[r#""ab""#, r#""äöü""#, "1"], &[r#""a""#, r#""abcd""#]);
    judge(r#"{"minimum":2,"maximum":3}"#, &["2", "3", r#""9""#], &["1", "4"]);
    judge(r#"{"exclusiveMinimum":2,"exclusiveMaximum":4}"#, &["3"], &["2", "4"]);
    judge(r#"{"minimum":5,"exclusiveMinimum":2}"#, &["5"], &["3", "4"]);
    judge(r#"{"allOf":[{"minimum":2},{"maximum":3}]}"#, &["2"], &["1", "4"]);
    judge(r#"{"anyOf":[{"type":"string"},{"minimum":3}]}"#, &[r#""a""#, "3"], &["2"]);
    judge(r#"{"oneOf":[{"minimum":2},{"maximum":3}]}"#, &["1", "4"], &["2", "3"]);
    judge(r#"{"not":{"type":"string"}}"#, &["1"], &[r#""a""#]);
}

#[test]
fn what_is_not_in_the_list_is_refused_at_publication() {
    for schema in [
        "1",
        r#"{"pattern":"a+"}"#,
        r#"{"patternProperties":{"a":{}}}"#,
        r#"{"format":"date"}"#,
        r##"{"$ref":"#"}"##,
        r#"{"$defs":{}}"#,
        r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#,
        r#"{"properties":{"a":{"$id":"x"}}}"#,
        r#"{"properties":{"a":{"$schema":"https://json-schema.org/draft/2020-12/schema"}}}"#,
        r#"{"unheardOf":1}"#,
        r#"{"default":1}"#,
        r#"{"type":"text"}"#,
        r#"{"type":["string","string"]}"#,
        r#"{"type":[]}"#,
        r#"{"enum":[]}"#,
        r#"{"enum":[[1]]}"#,
        r#"{"const":{}}"#,
        r#"{"properties":[]}"#,
        r#"{"properties":{"a":1}}"#,
        r#"{"required":["a","a"]}"#,
        r#"{"required":[1]}"#,
        r#"{"minItems":-1}"#,
        r#"{"maxLength":"1"}"#,
        r#"{"uniqueItems":1}"#,
        r#"{"allOf":{}}"#,
        r#"{"not":1}"#,
        r#"{"title":1}"#,
    ] {
        assert!(Schema::compile(&read(schema)).is_err(), "{schema}");
    }
    let error = Schema::compile(&read(r#"{"properties":{"a/b":{"pattern":"x"}}}"#)).unwrap_err();
    assert_eq!(error.path, "/properties/a~1b/pattern");
}

#[test]
fn a_schema_is_bounded_in_size_and_depth() {
    let nested = |depth: usize| format!("{}{{}}{}", r#"{"not":"#.repeat(depth), "}".repeat(depth));
    let parse =
        |text: &str| json::parse(text.as_bytes(), Limits { bytes_max: 1 << 20, depth_max: 128 }).unwrap();
    assert!(Schema::compile(&parse(&nested(20))).is_ok());
    assert!(Schema::compile(&parse(&nested(60))).is_err());
    let wide = |count: usize| Json::Array((0..count).map(|_| Json::Bool(true)).collect());
    let all_of = |count| Json::Object([("allOf".to_owned(), wide(count))].into());
    assert!(Schema::compile(&all_of(128)).is_ok());
    assert!(Schema::compile(&all_of(129)).is_err());
    let many = Json::Object([("allOf".to_owned(), Json::Array(vec![all_of(128); 5]))].into());
    assert!(Schema::compile(&many).is_err(), "more than {NODES_MAX} nodes");
}

#[test]
fn an_evaluation_that_would_take_long_ends_with_no_and_never_with_yes() {
    // 120 × 4 subschemas meet 1,000 items: above the budget, inside of `not` and `anyOf` as well.
    let heavy = format!(r#"{{"allOf":[{}]}}"#, vec![r#"{"items":true}"#; 120].join(","));
    let items = format!("[{}]", vec!["1"; 1000].join(","));
    for schema in [
        heavy.clone(),
        format!(r#"{{"not":{heavy}}}"#),
        format!(r#"{{"anyOf":[{heavy},true]}}"#),
        format!(r#"{{"oneOf":[{heavy},true]}}"#),
    ] {
        let violation = compile(&schema).validate_value(&read(&items)).unwrap_err();
        assert_eq!(violation.keyword, "too many steps");
    }
}

#[test]
fn a_violation_names_the_keyword_and_nothing_of_the_value() {
    let schema = compile(r#"{"properties":{"subject":{"properties":{"role":{"enum":["member"]}}}}}"#);
    let violation = schema.validate_value(&read(r#"{"subject":{"role":"secret"}}"#)).unwrap_err();
    assert_eq!(violation.to_string(), "`enum` at /properties/subject/properties/role");
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        (-3i64..4).prop_map(Json::Int),
        prop_oneof!["[ab]{0,2}", Just("object".to_owned()), Just("string".to_owned())].prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let keyword = prop_oneof![
            Just("type"),
            Just("not"),
            Just("items"),
            Just("properties"),
            Just("required"),
            Just("enum"),
            Just("anyOf"),
            Just("minimum"),
            Just("a"),
            Just("b"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map(keyword.prop_map(str::to_owned), inner, 0..4).prop_map(Json::Object),
        ]
    })
}

proptest! {
    /// No text makes it panic, and a value and its negation never both fit.
    #[test]
    fn any_schema_is_refused_or_decides(schema in any_json(), value in any_json()) {
        if let Ok(compiled) = Schema::compile(&schema) {
            let negated = Schema::compile(&Json::Object([("not".to_owned(), schema)].into())).unwrap();
            prop_assert_ne!(compiled.validate_value(&value).is_ok(), negated.validate_value(&value).is_ok());
        }
    }
}
