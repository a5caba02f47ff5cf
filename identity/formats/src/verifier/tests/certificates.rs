//! Issuers of SD-JWT VC who are known by a certificate in place of a DID.

use super::world::*;
use crate::jose::sd_jwt::{self, DC_SD_JWT};
use crate::verifier::{Answer, Certified, Evidence, Expectation, Input, Kind, Verdict, Verification, Want};
use serde_json::{Value, json};

const ISSUED_BY: &str = "https://issuer.example/tenants/1";
/// `leaf` in base64.
const LEAF: &str = "bGVhZg==";

fn claims_of(issuer: Option<&str>) -> Value {
    let issuer = issuer.map_or(Value::Null, Value::from);
    with(with(claims(), "/status", Value::Null), "/iss", issuer)
}

fn signed(claims: &Value, x5c: &Value) -> Input {
    let header = json!({ "x5c": x5c });
    let claims = claims.as_object().unwrap();
    let text = sd_jwt::issue(DC_SD_JWT, header.as_object().unwrap(), claims, &[], &key(ISSUED_BY)).unwrap();
    Input::Text(text)
}

fn certified() -> Certified {
    Certified {
        key: key(ISSUED_BY).public(),
        dns_names: vec!["issuer.example".to_owned()],
        uris: vec!["urn:example:issuer".to_owned()],
    }
}

fn verify(input: &Input, evidence: &Evidence) -> Answer {
    Verification::new(Kind::Credential, input, Expectation::at(NOW_S)).run(|want| match want {
        Want::Certificates { chain } => {
            assert_eq!(*chain, [b"leaf".to_vec()]);
            evidence.clone()
        }
        other => panic!("nothing else is asked for: {other:?}"),
    })
}

fn code(answer: &Answer) -> (&str, &str) {
    (answer.outcome(), answer.errors().first().map_or("", |problem| problem.code))
}

#[test]
fn a_certificate_that_is_trusted_says_whose_the_key_is() {
    for issuer in [Some(ISSUED_BY), Some("urn:example:issuer"), None] {
        let input = signed(&claims_of(issuer), &json!([LEAF]));
        let answer = verify(&input, &Evidence::Certified(certified()));
        let Verdict::Verified(verified) = &answer.verdict else { panic!("{:#}", answer.to_json()) };
        let found = verified.credentials()[0].issuer();
        assert!(issuer.map_or(found.starts_with("x509_hash:"), |issuer| issuer == found), "{found}");
    }
}

#[test]
fn a_certificate_for_another_name_or_key_or_that_nobody_trusts_is_refused() {
    let input = signed(&claims_of(Some(ISSUED_BY)), &json!([LEAF]));
    let other_name = Certified { dns_names: vec!["tenants.issuer.example".to_owned()], ..certified() };
    assert_eq!(code(&verify(&input, &Evidence::Certified(other_name))), ("invalid", "issuer.key"));
    let other_key = Certified { key: key(STRANGER).public(), ..certified() };
    assert_eq!(code(&verify(&input, &Evidence::Certified(other_key))), ("invalid", "signature"));
    let refused = Evidence::NotCertified("the chain leads nowhere".to_owned());
    assert_eq!(code(&verify(&input, &refused)), ("invalid", "key.certificate"));
    let unknown = Evidence::Unavailable("no authority is known".to_owned());
    assert_eq!(code(&verify(&input, &unknown)), ("undecided", "certificate.unavailable"));
}

#[test]
fn a_list_that_is_none_is_no_chain() {
    for x5c in [json!([]), json!("bGVhZg=="), json!(["*"]), json!([7]), json!(vec![LEAF; 9])] {
        let input = signed(&claims_of(Some(ISSUED_BY)), &x5c);
        let answer = Verification::new(Kind::Credential, &input, Expectation::at(NOW_S))
            .run(|want| panic!("nothing is asked for: {want:?}"));
        assert_eq!(answer.outcome(), "invalid", "{x5c}");
    }
}

#[test]
fn the_document_of_a_did_counts_and_not_a_certificate_beside_it() {
    let mut header = crate::jose::key_id_header(&method(ISSUER));
    header.insert("x5c".to_owned(), json!([LEAF]));
    let claims = with(claims(), "/status", Value::Null);
    let text = sd_jwt::issue(DC_SD_JWT, &header, claims.as_object().unwrap(), &[], &key(ISSUER)).unwrap();
    let facts = Facts::new();
    let answer =
        Verification::new(Kind::Credential, &Input::Text(text), Expectation::at(NOW_S)).run(|want| {
            assert!(!matches!(want, Want::Certificates { .. }), "{want:?}");
            facts.supply(want)
        });
    assert!(answer.is_verified(), "{:#}", answer.to_json());
}
