//! What a credential says: its proof, its shape, dates, schemas, and who stands behind its issuer.

use super::super::world::*;
use super::Case;
use crate::data_integrity::{self, ProofOptions, Suite};
use crate::verifier::{AccreditationPolicy, Input, Kind};
use serde_json::{Value, json};

fn case(name: &'static str, wrong: &'static str, document: Value, code: &'static str) -> Case {
    Case::new(name, wrong, Kind::Credential, Input::Json(document), code)
}

fn good() -> Value {
    di(&credential(), ISSUER)
}

/// Signed as it is, with something changed before.
fn signed(pointer: &str, value: Value) -> Value {
    di(&with(credential(), pointer, value), ISSUER)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = proofs();
    cases.extend(contexts());
    cases.extend(shapes());
    cases.extend(schemas());
    cases.extend(accreditations());
    cases
}

fn proofs() -> Vec<Case> {
    let injected = json!([
        "https://www.w3.org/ns/credentials/v2",
        "https://www.w3.org/ns/credentials/examples/v2",
        {"degree": "https://evil.example/terms#Nothing"},
    ]);
    let mut second = good();
    let mut forged = second["proof"].clone();
    forged["created"] = json!(date(SIGNED_S + 1));
    second["proof"] = json!([second["proof"], forged]);
    let value = good()["proof"]["proofValue"].as_str().unwrap().to_owned();
    let swapped = value.replacen(&value[40..42], &value[41..43].chars().rev().collect::<String>(), 1);
    let remote = with(credential(), "/@context", injected);
    vec![
        case(
            "claim-changed-after-signing",
            "the degree was changed after the proof was made",
            with(good(), "/credentialSubject/degree", json!("Master of Arts")),
            "signature",
        ),
        case(
            "context-injected-after-signing",
            "a context was added that gives a signed term another meaning",
            with(good(), "/@context", remote["@context"].clone()),
            "proof.context",
        ),
        case(
            "proof-value-changed",
            "two digits of the proof value were changed",
            with(good(), "/proof/proofValue", json!(swapped)),
            "signature",
        ),
        case(
            "created-changed",
            "the time of signing in the proof was changed",
            with(good(), "/proof/created", json!(date(SIGNED_S + 1))),
            "signature",
        ),
        case(
            "created-missing",
            "the signed `created` was taken out",
            with(good(), "/proof/created", Value::Null),
            "signature",
        ),
        case(
            "one-proof-of-a-set-is-forged",
            "the first proof of the set is good, the second is not",
            second,
            "signature",
        ),
        case("no-proof", "nobody signed the credential", credential(), "proof.missing"),
        case(
            "empty-proof-set",
            "the list of proofs is empty",
            with(good(), "/proof", json!([])),
            "proof.missing",
        ),
        case(
            "proof-value-missing",
            "the proof has no value",
            with(good(), "/proof/proofValue", Value::Null),
            "proof.malformed",
        ),
        case(
            "unknown-cryptosuite",
            "the proof is of a cryptosuite that is not known here",
            with(good(), "/proof/cryptosuite", json!("rot13-2026")),
            "proof.unsupported",
        )
        .undecided(),
    ]
}

/// Linked data: what contexts do to what was signed.
fn contexts() -> Vec<Case> {
    let rdf = |suite: Suite| {
        let options = ProofOptions { suite, ..proof_options(ISSUER) };
        data_integrity::secure(&credential(), &options, &key(ISSUER)).unwrap()
    };
    let with_context = |document: Value, context: Value| {
        let mut contexts = document["@context"].clone();
        contexts.as_array_mut().unwrap().push(context);
        with(document, "/@context", contexts)
    };
    let remote = json!("https://stranger.example/context");
    let redefined = json!({"degree": "https://stranger.example/terms#nothing"});
    vec![
        case(
            "remote-context",
            "a context was added that would have to be fetched from a stranger",
            with_context(rdf(Suite::EddsaRdfc2022), remote),
            "linked_data.unknown_context",
        )
        .undecided(),
        case(
            "term-redefined",
            "a context was added that makes a signed term mean something else",
            with_context(rdf(Suite::EddsaRdfc2022), redefined),
            "signature",
        ),
        case(
            "member-added-in-linked-data",
            "a member was added after the proof was made over linked data",
            with(rdf(Suite::EddsaRdfc2022), "/approved", json!(true)),
            "signature",
        ),
        case(
            "claim-changed-in-linked-data",
            "the degree was changed after the proof was made over linked data",
            with(rdf(Suite::EddsaRdfc2022), "/credentialSubject/degree", json!("Master of Arts")),
            "signature",
        ),
    ]
}

fn shapes() -> Vec<Case> {
    vec![
        case(
            "expired",
            "the credential expired yesterday",
            signed("/validUntil", json!(date(NOW_S - 86_400))),
            "credential.expired",
        ),
        case(
            "not-valid-yet",
            "the credential is valid from tomorrow on",
            signed("/validFrom", json!(date(NOW_S + 80_000))),
            "credential.not_yet_valid",
        ),
        case("no-type", "the credential has no type", signed("/type", Value::Null), "data_model.type"),
        case(
            "not-a-credential",
            "a signed document that is no credential",
            signed("/type", json!(["VerifiablePresentation"])),
            "data_model.type",
        ),
        case(
            "no-subject",
            "the credential is about nobody",
            signed("/credentialSubject", Value::Null),
            "data_model.subject",
        ),
        case(
            "no-issuer",
            "the credential names no issuer",
            signed("/issuer", Value::Null),
            "data_model.issuer",
        ),
        case(
            "no-context",
            "the credential has no context",
            signed("/@context", Value::Null),
            "data_model.context",
        ),
        case(
            "contexts-in-the-wrong-order",
            "the first context is not that of the data model",
            signed(
                "/@context",
                json!([
                    "https://www.w3.org/ns/credentials/examples/v2",
                    "https://www.w3.org/ns/credentials/v2"
                ]),
            ),
            "data_model.context",
        ),
        case(
            "date-without-zone",
            "a date has no time zone",
            signed("/validFrom", json!("2026-01-01T00:00:00")),
            "data_model.date",
        ),
        case(
            "not-of-the-expected-type",
            "the verifier relies on another type than the credential has",
            good(),
            "credential.type",
        )
        .expecting(|expectation| expectation.types = vec!["MedicalLicence".into()]),
    ]
}

fn schemas() -> Vec<Case> {
    let recursive = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [{"$ref": "#"}, {"$ref": "#"}]});
    let digest = json!([{"id": SCHEMA, "type": "JsonSchema", "digestSRI": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}]);
    vec![
        case(
            "schema-violated",
            "the degree is none that the schema allows",
            signed("/credentialSubject/degree", json!("doctor of nothing")),
            "schema.violated",
        ),
        case("schema-unavailable", "nobody serves the schema at the moment", good(), "schema.unavailable")
            .undecided()
            .facts(|facts| facts.schemas.clear()),
        case(
            "schema-with-another-digest",
            "what is served under the schema's URL is not what the issuer signed for",
            signed("/credentialSchema", digest),
            "schema.integrity",
        )
        .undecided(),
        case(
            "schema-that-never-ends",
            "the schema refers to itself twice: evaluating it would take forever",
            good(),
            "schema.unsupported",
        )
        .undecided()
        .facts(move |facts| drop(facts.schemas.insert(SCHEMA.into(), recursive.to_string()))),
        case(
            "schema-of-an-unknown-kind",
            "the credential names a kind of schema that is not known here",
            signed("/credentialSchema", json!({"id": SCHEMA, "type": "ShapesOfSomeKind"})),
            "schema.unsupported",
        )
        .undecided(),
    ]
}

fn accreditations() -> Vec<Case> {
    fn refused(at_s: Option<i64>, reason: &'static str) -> impl FnOnce(&mut Facts) {
        move |facts| {
            drop(facts.accreditations.insert((ISSUER.into(), TYPE.into(), at_s), Err(reason.to_owned())));
        }
    }
    let stranger = with(with(credential(), "/issuer", json!(STRANGER)), "/credentialStatus", Value::Null);
    let required =
        |case: Case| case.expecting(|expected| expected.accreditation = AccreditationPolicy::Required);
    vec![
        case(
            "not-accredited-any-more",
            "the issuer's accreditation was revoked since",
            good(),
            "accreditation.now",
        )
        .facts(refused(None, "revoked")),
        case(
            "accreditation-outlives-its-parent",
            "the body that accredited the issuer is not accredited itself any more",
            good(),
            "accreditation.now",
        )
        .facts(refused(None, "the link to the root is revoked")),
        case(
            "not-accredited-at-issuance",
            "the issuer was accredited only after it had issued the credential",
            good(),
            "accreditation.at_issuance",
        )
        .facts(refused(Some(SIGNED_S), "not yet")),
        case(
            "accredited-for-another-type",
            "the issuer may not issue this type of credential",
            signed("/type", json!(["VerifiableCredential", TYPE, "MedicalLicence"])),
            "accreditation.at_issuance",
        )
        .facts(|facts| {
            for at_s in [None, Some(SIGNED_S)] {
                let key = (ISSUER.to_owned(), "MedicalLicence".to_owned(), at_s);
                facts.accreditations.insert(key, Err("another type".into()));
            }
        }),
        required(case(
            "issuer-off-the-ledger",
            "accreditation is required, and the issuer has none",
            di(&stranger, STRANGER),
            "accreditation.now",
        ))
        .facts(|facts| {
            let key = (STRANGER.to_owned(), TYPE.to_owned(), None);
            facts.accreditations.insert(key, Err("no record".into()));
            let key = (STRANGER.to_owned(), TYPE.to_owned(), Some(SIGNED_S));
            facts.accreditations.insert(key, Ok(vec![STRANGER.into()]));
        }),
        required(case(
            "no-type-to-be-accredited-for",
            "the credential has no type of its own",
            signed("/type", json!(["VerifiableCredential"])),
            "accreditation.type",
        )),
        case(
            "ledger-unavailable",
            "the ledger cannot be asked at the moment",
            good(),
            "accreditation.unavailable",
        )
        .undecided()
        .facts(|facts| facts.accreditations.clear()),
    ]
}
