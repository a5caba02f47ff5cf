//! Queries: what is read, what is refused, what answers them.

use crate::vp::dcql::{Candidate, ClaimsPath, Query, Step};
use crate::vp::tree::{Node, Place};
use serde_json::{Value, json};

fn query(value: Value) -> Result<Query, String> {
    Query::from_value(value).map_err(|error| error.to_string())
}

fn one(extra: Value) -> Value {
    let mut credential = json!({"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:pid"]}});
    credential.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({ "credentials": [credential] })
}

#[test]
fn a_query_is_read_and_written_alike() {
    let full = json!({
        "credentials": [
            {
                "id": "pid",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": ["urn:pid"]},
                "multiple": true,
                "require_cryptographic_holder_binding": false,
                "trusted_authorities": [{"type": "aki", "values": ["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]}],
                "claims": [
                    {"id": "a", "path": ["name"], "values": ["Ada", 5, true]},
                    {"id": "b", "path": ["degrees", null, "type"]},
                    {"id": "c", "path": ["nationalities", 1]},
                ],
                "claim_sets": [["a", "b"], ["c"]],
            },
            {"id": "other", "format": "ldp_vc", "meta": {"type_values": [["A", "B"]]}},
        ],
        "credential_sets": [{"options": [["pid"], ["other"]], "required": false}],
    });
    assert_eq!(query(full.clone()).unwrap().to_value(), full);
    assert_eq!(Query::parse(full.to_string().as_bytes()).unwrap().to_value(), full);
}

#[test]
fn what_is_not_a_query_is_refused() {
    assert!(query(one(json!({}))).is_ok());
    for wrong in [
        json!({}),
        json!({"credentials": []}),
        json!({"credentials": {}}),
        json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt"}]}),
        json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {}}]}),
        json!({"credentials": [{"id": "pid", "format": "ldp_vc", "meta": {"vct_values": ["a"]}}]}),
        one(json!({"id": ""})),
        one(json!({"id": "with space"})),
        one(json!({"id": "ë"})),
        one(json!({"meta": {"vct_values": []}})),
        one(json!({"meta": {"vct_values": [""]}})),
        one(json!({"meta": null})),
        one(json!({"claims": []})),
        one(json!({"claims": null})),
        one(json!({"claims": [{"path": []}]})),
        one(json!({"claims": [{"path": "name"}]})),
        one(json!({"claims": [{"path": [-1]}]})),
        one(json!({"claims": [{"path": [1.5]}]})),
        one(json!({"claims": [{"path": [true]}]})),
        one(json!({"claims": [{"path": [["name"]]}]})),
        one(json!({"claims": [{"path": ["a"], "values": []}]})),
        one(json!({"claims": [{"path": ["a"], "values": [1.5]}]})),
        one(json!({"claims": [{"path": ["a"], "values": [null]}]})),
        one(json!({"claims": [{"path": ["a"], "values": [{}]}]})),
        one(json!({"claims": [{"id": "x", "path": ["a"]}, {"id": "x", "path": ["b"]}]})),
        one(json!({"claim_sets": [["x"]]})),
        one(json!({"claims": [{"path": ["a"]}], "claim_sets": [["x"]]})),
        one(json!({"claims": [{"id": "x", "path": ["a"]}], "claim_sets": [["y"]]})),
        one(json!({"claims": [{"id": "x", "path": ["a"]}], "claim_sets": []})),
        one(json!({"claims": [{"id": "x", "path": ["a"]}], "claim_sets": [[]]})),
        one(json!({"trusted_authorities": []})),
        one(json!({"trusted_authorities": [{"type": "aki", "values": []}]})),
        one(json!({"multiple": "yes"})),
        json!({"credentials": [one(json!({}))["credentials"][0], one(json!({}))["credentials"][0]]}),
    ] {
        assert!(query(wrong.clone()).is_err(), "{wrong}");
    }
    for sets in [json!([]), json!([{}]), json!([{"options": []}]), json!([{"options": [[]]}])] {
        let mut wrong = one(json!({}));
        wrong["credential_sets"] = sets;
        assert!(query(wrong.clone()).is_err(), "{wrong}");
    }
    let mut unknown = one(json!({}));
    unknown["credential_sets"] = json!([{"options": [["nobody"]]}]);
    assert!(query(unknown).is_err());
    assert!(Query::parse(br#"{"credentials":[],"credentials":[]}"#).is_err());
    assert!(Query::parse(&vec![b' '; 100_000]).is_err());
}

/// The example of OpenID4VP 1.0 section 7.3.
fn example() -> Node {
    Node::plain(&json!({
        "name": "Arthur Dent",
        "address": {"street_address": "42 Market Street", "locality": "Milliways", "postal_code": "12345"},
        "degrees": [
            {"type": "Bachelor of Science", "university": "University of Betelgeuse"},
            {"type": "Master of Science", "university": "University of Betelgeuse"},
        ],
        "nationalities": ["British", "Betelgeusian"],
    }))
}

fn selected(root: &Node, path: Value) -> Option<Vec<Value>> {
    let path: ClaimsPath = serde_json::from_value(path).unwrap();
    Some(path.select(root)?.into_iter().map(|(_, node)| node.to_value()).collect())
}

#[test]
fn paths_select_as_in_the_specification() {
    let root = example();
    assert_eq!(selected(&root, json!(["name"])), Some(vec![json!("Arthur Dent")]));
    assert_eq!(selected(&root, json!(["address", "street_address"])), Some(vec![json!("42 Market Street")]));
    assert_eq!(
        selected(&root, json!(["degrees", null, "type"])),
        Some(vec![json!("Bachelor of Science"), json!("Master of Science")])
    );
    assert_eq!(selected(&root, json!(["nationalities", 1])), Some(vec![json!("Betelgeusian")]));
    for nothing in [
        json!(["nobody"]),
        json!(["name", "first"]),
        json!(["name", 0]),
        json!(["name", null]),
        json!(["address", 0]),
        json!(["address", null]),
        json!(["degrees", "type"]),
        json!(["nationalities", 2]),
        json!(["degrees", null, "grade"]),
    ] {
        assert_eq!(selected(&root, nothing.clone()), None, "{nothing}");
    }
    assert_eq!(serde_json::to_value(Step::All(())).unwrap(), Value::Null);
}

fn candidate<'a>(claims: &'a Node, authorities: &'a [(String, String)]) -> Candidate<'a> {
    Candidate {
        format: "dc+sd-jwt",
        vct: Some("urn:pid"),
        types: &[],
        claims,
        authorities,
        holder_bound: true,
    }
}

fn answers(extra: Value) -> bool {
    let root = example();
    let authorities = [("aki".to_owned(), "one".to_owned())];
    query(one(extra)).unwrap().evaluate(&[candidate(&root, &authorities)]).is_ok()
}

#[test]
fn a_credential_answers_if_all_that_is_asked_of_it_is_there() {
    assert!(answers(json!({})));
    assert!(answers(json!({"claims": [{"path": ["name"]}, {"path": ["nationalities", null]}]})));
    assert!(!answers(json!({"claims": [{"path": ["name"]}, {"path": ["birthdate"]}]})));
    assert!(!answers(json!({"format": "vc+sd-jwt", "meta": {"type_values": [["urn:pid"]]}})));
    assert!(!answers(json!({"meta": {"vct_values": ["urn:other"]}})));
    assert!(answers(json!({"meta": {"vct_values": ["urn:other", "urn:pid"]}})));
}

#[test]
fn values_must_be_the_same_in_type_and_value() {
    let root = Node::plain(&json!({"age": 18, "adult": true, "name": "18", "rate": 1.0, "list": ["a", "b"]}));
    let answers = |path: Value, values: Value| {
        let query = query(one(json!({"claims": [{"path": path, "values": values}]}))).unwrap();
        query.evaluate(&[candidate(&root, &[])]).is_ok()
    };
    assert!(answers(json!(["age"]), json!([17, 18])));
    assert!(!answers(json!(["age"]), json!(["18"])));
    assert!(!answers(json!(["name"]), json!([18])));
    assert!(answers(json!(["adult"]), json!([true])));
    assert!(!answers(json!(["adult"]), json!([false, "true", 1])));
    assert!(!answers(json!(["rate"]), json!([1])));
    assert!(answers(json!(["list", null]), json!(["b"])));
    assert!(!answers(json!(["list", null]), json!(["c"])));
    assert!(!answers(json!(["list"]), json!(["a"])), "a list is no value");
}

#[test]
fn only_the_elements_that_have_the_value_are_selected() {
    let root = Node::plain(&json!({"list": ["a", "b", "a"]}));
    let query = query(one(json!({"claims": [{"path": ["list", null], "values": ["a"]}]}))).unwrap();
    let selected = query.credentials()[0].select(&candidate(&root, &[])).unwrap();
    let place = |index| vec![Place::Name("list".to_owned()), Place::Index(index)];
    assert_eq!(selected, [place(0), place(2)]);
}

#[test]
fn the_first_set_of_claims_that_is_there_counts() {
    let claims = json!([
        {"id": "birth", "path": ["birthdate"]},
        {"id": "name", "path": ["name"]},
        {"id": "town", "path": ["address", "locality"]},
    ]);
    let select = |sets: Value| {
        let root = example();
        let query = query(one(json!({"claims": claims, "claim_sets": sets}))).unwrap();
        query.credentials()[0].select(&candidate(&root, &[]))
    };
    let name = vec![vec![Place::Name("name".to_owned())]];
    assert_eq!(select(json!([["birth"], ["name"], ["name", "town"]])), Some(name));
    assert_eq!(select(json!([["birth"], ["birth", "name"]])), None);
}

#[test]
fn the_issuer_must_be_one_that_is_trusted() {
    assert!(answers(json!({"trusted_authorities": [{"type": "aki", "values": ["two", "one"]}]})));
    assert!(!answers(json!({"trusted_authorities": [{"type": "aki", "values": ["two"]}]})));
    assert!(!answers(json!({"trusted_authorities": [{"type": "etsi_tl", "values": ["one"]}]})));
}

#[test]
fn a_credential_without_a_holders_key_answers_only_where_none_is_asked_for() {
    let root = example();
    let unbound = Candidate { holder_bound: false, ..candidate(&root, &[]) };
    assert!(query(one(json!({}))).unwrap().evaluate(std::slice::from_ref(&unbound)).is_err());
    let relaxed = one(json!({"require_cryptographic_holder_binding": false}));
    assert!(query(relaxed).unwrap().evaluate(&[unbound]).is_ok());
}

#[test]
fn all_types_of_one_set_must_be_there() {
    let root = example();
    let types = ["VerifiableCredential".to_owned(), "Diploma".to_owned()];
    let answers = |sets: Value| {
        let query = one(json!({"format": "vc+sd-jwt", "meta": {"type_values": sets}}));
        let candidate = Candidate { format: "vc+sd-jwt", vct: None, types: &types, ..candidate(&root, &[]) };
        self::query(query).unwrap().evaluate(&[candidate]).is_ok()
    };
    assert!(answers(json!([["Diploma"]])));
    assert!(answers(json!([["Other"], ["VerifiableCredential", "Diploma"]])));
    assert!(!answers(json!([["Diploma", "Other"]])));
}

fn sets(sets: Value) -> Query {
    let credential =
        |id: &str, vct: &str| json!({"id": id, "format": "dc+sd-jwt", "meta": {"vct_values": [vct]}});
    query(json!({
        "credentials": [credential("pid", "urn:pid"), credential("card", "urn:card"), credential("log", "urn:log")],
        "credential_sets": sets,
    }))
    .unwrap()
}

#[test]
fn sets_of_credentials_say_what_belongs_together() {
    let root = example();
    let having = |vcts: &'static [&'static str]| -> Vec<Candidate<'_>> {
        vcts.iter().map(|vct| Candidate { vct: Some(vct), ..candidate(&root, &[]) }).collect()
    };
    let query = sets(json!([
        {"options": [["card", "log"], ["pid"]]},
        {"options": [["log"]], "required": false},
    ]));
    let evaluation = query.evaluate(&having(&["urn:pid", "urn:log"])).unwrap();
    assert_eq!(evaluation.choices.len(), 2);
    assert_eq!(evaluation.choices[0].options, [["pid"]]);
    assert!(evaluation.choices[0].required && !evaluation.choices[1].required);
    let evaluation = query.evaluate(&having(&["urn:pid", "urn:log", "urn:card"])).unwrap();
    assert_eq!(evaluation.choices[0].options, [vec!["card", "log"], vec!["pid"]]);
    assert_eq!(query.evaluate(&having(&["urn:card"])).unwrap_err().missing, ["log", "pid"]);
    assert_eq!(query.evaluate(&having(&[])).unwrap_err().missing, ["card", "log", "pid"]);
}

#[test]
fn a_verifier_takes_complete_sets_and_nothing_besides() {
    let query = sets(json!([{"options": [["card", "log"], ["pid"]]}]));
    let complete = |ids: &'static [&'static str]| query.check_complete(|id| ids.contains(&id));
    assert_eq!(complete(&["pid"]), Ok(()));
    assert_eq!(complete(&["card", "log"]), Ok(()));
    assert!(complete(&["card"]).is_err());
    assert!(complete(&[]).is_err());
    assert!(complete(&["pid", "card"]).is_err(), "a card alone belongs to no set that is complete");
}
