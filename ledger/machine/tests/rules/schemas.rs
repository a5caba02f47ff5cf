//! Schemas: who publishes, what is refused, and whom they bind.

use std::collections::BTreeMap;

use aval_codec::{Json, Limits, json};
use aval_credential::Selection;
use aval_machine::testkit::{Credential, DIPLOMA, Draft, Kit, MEMBERSHIP, Party, Terms, accredited};
use aval_types::accreditation::Level;
use aval_types::action::{DidCreate, SchemaDeprecate, SchemaPublish};
use aval_types::{Action, SchemaHash, SubmittedTransaction};

use crate::refusal;

fn read(text: &str) -> Json {
    json::parse(text.as_bytes(), Limits::default()).unwrap()
}

/// The subject has a country of two letters, in plain text.
fn country() -> Json {
    read(
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"Members have a country",
            "properties":{"credentialSubject":{"required":["country"],"properties":{
                "country":{"type":"string","minLength":2,"maxLength":2}}}}}"#,
    )
}

fn publish(kit: &Kit, by: &Party, credential_type: &str, schema: Json) -> SubmittedTransaction {
    by.send(kit, Action::SchemaPublish(SchemaPublish { credential_type: credential_type.to_owned(), schema }))
}

fn deprecate(kit: &Kit, by: &Party, schema: &Json) -> SubmittedTransaction {
    by.send(kit, Action::SchemaDeprecate(SchemaDeprecate { schema: SchemaHash::of(schema) }))
}

fn with_country(kit: &Kit, party: &Party, country: &str, schema: Option<&Json>) -> Credential {
    let plain = BTreeMap::from([("country".to_owned(), Json::String(country.to_owned()))]);
    let terms = Terms { plain, schema: schema.map(SchemaHash::of), ..kit.terms(party) };
    kit.issue(&kit.issuer, terms)
}

#[test]
fn a_schema_in_force_is_named_and_kept_to_and_a_deprecated_one_binds_nobody() {
    let mut kit = Kit::ready(1);
    let root = kit.root.clone();
    let party = kit.company(1);
    let unnamed = kit.membership(&party);
    kit.verdict(party.create_with(&kit, &unnamed)).unwrap();
    kit.expect_applied(publish(&kit, &root, MEMBERSHIP, country()));
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &unnamed))), "schema.required");
    let other = with_country(&kit, &party, "DE", Some(&read("{}")));
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &other))), "schema.required");
    let wrong = with_country(&kit, &party, "Germany", Some(&country()));
    let reject = kit.verdict(party.create_with(&kit, &wrong)).unwrap_err();
    assert_eq!(reject.code(), "schema.mismatch");
    assert!(!reject.to_string().contains("Germany"), "{reject}");
    let right = with_country(&kit, &party, "DE", Some(&country()));
    kit.verdict(party.create_with(&kit, &right)).unwrap();
    kit.expect_applied(deprecate(&kit, &root, &country()));
    kit.verdict(party.create_with(&kit, &unnamed)).unwrap();
    // Another one is in force: the deprecated one is not good enough any more.
    let next = read(r#"{"type":"object"}"#);
    kit.expect_applied(publish(&kit, &root, MEMBERSHIP, next.clone()));
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &right))), "schema.deprecated");
    let renewed = with_country(&kit, &party, "DE", Some(&next));
    kit.expect_applied(party.create_with(&kit, &renewed));
}

#[test]
fn what_the_holder_keeps_to_itself_does_not_count_and_what_it_shows_does() {
    let mut kit = Kit::ready(1);
    let root = kit.root.clone();
    let schema = read(r#"{"properties":{"credentialSubject":{"required":["legalName"]}}}"#);
    kit.expect_applied(publish(&kit, &root, MEMBERSHIP, schema.clone()));
    let party = kit.company(1);
    let terms = Terms { schema: Some(SchemaHash::of(&schema)), ..kit.terms(&party) };
    let credential = kit.issue(&kit.issuer, terms);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "schema.mismatch");
    let grant = Some(credential.grant(&party.did));
    let shown = Draft::new(&kit, Action::DidCreate(DidCreate { operation: party.inception(), grant }))
        .controllers(&party)
        .disclosing(&credential, &Selection::Everything, &party.authentication)
        .submit();
    kit.expect_applied(shown);
}

#[test]
fn a_schema_binds_those_below_its_publisher_and_nobody_else() {
    let mut kit = Kit::ready(1);
    let root = kit.root.clone();
    let terms = kit.body_terms(1);
    let body = kit.accredited(1, &root, &terms);
    let below_terms = kit.issuer_terms();
    let below = kit.accredited(2, &body, &below_terms);
    kit.expect_applied(kit.create_registry_for(&below));
    kit.expect_applied(publish(&kit, &body, MEMBERSHIP, country()));
    let party = kit.company(10);
    // The kit's issuer stands on the root alone: a body beside it has no say.
    kit.verdict(party.create_with(&kit, &kit.membership(&party))).unwrap();
    let bound = kit.membership_by(&below, &party);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &bound))), "schema.required");
    // The root's word binds both.
    kit.expect_applied(publish(&kit, &root, MEMBERSHIP, read("{}")));
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &kit.membership(&party)))), "schema.required");
    // Who is out of the chain has no say either.
    kit.expect_applied(deprecate(&kit, &root, &read("{}")));
    let revoke = root.revoke_accreditation(&kit, &body.did);
    kit.expect_applied(revoke);
    let give = root.accredit(&kit, &below.did, &below_terms);
    kit.expect_applied(give);
    kit.verdict(party.create_with(&kit, &bound)).unwrap();
}

#[test]
fn only_a_live_body_speaks_for_a_type_of_its_chain() {
    let mut kit = Kit::ready(1);
    let root = kit.root.clone();
    let mut terms = kit.body_terms(1);
    terms.types =
        vec![accredited(MEMBERSHIP, &["member"], Level::High), accredited(DIPLOMA, &[], Level::High)];
    let body = kit.accredited(1, &root, &terms);
    let refused = |kit: &Kit, by: &Party, credential_type: &str| {
        refusal(kit, Ok(publish(kit, by, credential_type, country())))
    };
    assert_eq!(refused(&kit, &kit.issuer, MEMBERSHIP), "accreditation.required");
    let (member, _) = kit.member(2);
    assert_eq!(refused(&kit, &member, MEMBERSHIP), "accreditation.required");
    assert_eq!(refused(&kit, &body, "DrivingLicence"), "schema.publisher");
    kit.expect_applied(publish(&kit, &body, DIPLOMA, country()));
    assert_eq!(refused(&kit, &root, MEMBERSHIP), "schema.exists");
    assert_eq!(refusal(&kit, Ok(deprecate(&kit, &body, &read("{}")))), "schema.not_found");
    // A body beside it cannot take it out of force, one above it can, and not twice.
    let plain = kit.body_terms(1);
    let beside = kit.accredited(3, &root, &plain);
    assert_eq!(refusal(&kit, Ok(deprecate(&kit, &beside, &country()))), "schema.publisher");
    let revoke = root.revoke_accreditation(&kit, &body.did);
    kit.expect_applied(revoke);
    assert_eq!(refusal(&kit, Ok(deprecate(&kit, &body, &country()))), "accreditation.required");
    assert_eq!(refused(&kit, &body, DIPLOMA), "accreditation.required");
    kit.expect_applied(deprecate(&kit, &root, &country()));
    assert_eq!(refusal(&kit, Ok(deprecate(&kit, &root, &country()))), "schema.deprecated");
    // It stays under its hash for good: nobody publishes it again with another meaning.
    assert_eq!(refused(&kit, &root, MEMBERSHIP), "schema.exists");
}

#[test]
fn a_publisher_has_a_bounded_number_of_schemas_in_force() {
    let mut kit = Kit::ready(1);
    let root = kit.root.clone();
    let numbered = |number: i64| read(&format!(r#"{{"$comment":"{number}"}}"#));
    for number in 0..8 {
        kit.expect_applied(publish(&kit, &root, MEMBERSHIP, numbered(number)));
    }
    assert_eq!(refusal(&kit, Ok(publish(&kit, &root, MEMBERSHIP, numbered(8)))), "schema.full");
    kit.verdict(publish(&kit, &root, DIPLOMA, numbered(8))).unwrap();
    kit.expect_applied(deprecate(&kit, &root, &numbered(3)));
    kit.expect_applied(publish(&kit, &root, MEMBERSHIP, numbered(8)));
}

#[test]
fn a_schema_that_could_be_read_differently_is_refused_when_it_is_published() {
    let kit = Kit::ready(1);
    for schema in
        [r#"{"pattern":"(a+)+$"}"#, r##"{"$ref":"#"}"##, r#"{"format":"date"}"#, r#"{"type":"text"}"#]
    {
        assert_eq!(refusal(&kit, Ok(publish(&kit, &kit.root, MEMBERSHIP, read(schema)))), "schema.invalid");
    }
    let draft = |credential_type: &str, schema| {
        let action = SchemaPublish { credential_type: credential_type.to_owned(), schema };
        Draft::new(&kit, Action::SchemaPublish(action)).sender(&kit.root).try_submit()
    };
    assert_eq!(refusal(&kit, draft(MEMBERSHIP, Json::Bool(true))), "schema.invalid");
    assert_eq!(refusal(&kit, draft("no name", read("{}"))), "schema.invalid");
}

#[test]
fn a_schema_published_in_a_block_does_not_bind_what_was_authorized_before_it() {
    let kit = Kit::ready(1);
    let party = kit.company(1);
    let create = kit.checked(party.create_with(&kit, &kit.membership(&party)));
    let publish = kit.checked(publish(&kit, &kit.root, MEMBERSHIP, country()));
    let executed = aval_machine::execute_block(kit.state(), &kit.next_context(), &[publish, create]).unwrap();
    assert!(executed.receipts.iter().all(aval_types::Receipt::is_applied));
}
