//! Issue, disclose, bind, verify.

use super::support::*;
use crate::present::{Selection, disclose};
use crate::presentation::{Limits, Presentation};
use crate::verify::{Check, Expectation, Failure, KeyBindingPolicy, verify};
use aval_codec::json::Json;
use proptest::prelude::*;

#[test]
fn a_presentation_of_everything_is_valid_and_every_check_is_named() {
    let verdict = decide(&presented());
    assert!(verdict.is_valid(), "{:?}", verdict.errors);
    assert_eq!(
        verdict.checks,
        [
            Check::Structure,
            Check::IssuerKey,
            Check::IssuerSignature,
            Check::Validity,
            Check::KeyBindingPolicy,
            Check::KeyBinding,
            Check::Freshness
        ]
    );
    assert_eq!(verdict.warnings, ["status.unchecked"]);
}

#[test]
fn the_ledger_reads_what_it_needs() {
    let presentation = parse(&presented()).unwrap();
    assert_eq!(presentation.issuer(), ISSUER);
    assert_eq!(presentation.issuer_kid(), KEY_ID);
    assert_eq!(presentation.types(), ["VerifiableCredential", "AvalMembershipCredential"]);
    assert!(presentation.has_type("AvalMembershipCredential"));
    assert_eq!(presentation.roles(), ["member"]);
    assert_eq!(presentation.status()[0].index, 123);
    assert_eq!(presentation.valid_from_s(), Some(NOW_S - 3600));
    assert_eq!(presentation.valid_until_s(), Some(NOW_S + 3600));
    assert_eq!(presentation.cnf_key(), Some(&holder().public()));
    assert_eq!(presentation.key_binding().unwrap().nonce(), NONCE);
    presentation.verify_issuer_signature(&issuer().public()).unwrap();
    presentation.verify_key_binding(NONCE, AUDIENCE).unwrap();
}

#[test]
fn signatures_can_be_collected_and_verified_elsewhere() {
    let presentation = parse(&presented()).unwrap();
    let issuer_signature = presentation.issuer_signature_input();
    let key = issuer().public();
    assert!(
        key.verify(issuer_signature.algorithm, issuer_signature.message, issuer_signature.signature).is_ok()
    );
    let (key, signature) = presentation.check_key_binding(NONCE, AUDIENCE).unwrap();
    assert!(key.verify(signature.algorithm, signature.message, signature.signature).is_ok());
}

#[test]
fn what_is_not_disclosed_is_not_in_the_presentation() {
    let disclosed = disclose(&issued(), &Selection::names(["legalName"])).unwrap();
    let text = disclosed.bind(&holder(), &binding()).unwrap();
    let presentation = parse(&text).unwrap();
    let subject = &presentation.credential().subject;
    assert_eq!(subject.get("legalName"), Some(&Json::from("Contoso Sh.p.k.")));
    assert_eq!(subject.get("registrationNumber"), None);
    assert_eq!(subject.get("role"), Some(&strings(&["member"])));
    assert_eq!(presentation.sd_jwt().disclosures().len(), 1);
    assert!(decide(&text).is_valid());
}

#[test]
fn nothing_disclosed_still_shows_roles_and_status() {
    let disclosed = disclose(&issued(), &Selection::Nothing).unwrap();
    let text = disclosed.bind(&holder(), &binding()).unwrap();
    let presentation = parse(&text).unwrap();
    assert_eq!(presentation.credential().subject.len(), 1);
    assert_eq!(presentation.roles(), ["member"]);
    assert_eq!(presentation.status().len(), 1);
    assert!(decide(&text).is_valid());
}

#[test]
fn the_payload_shows_neither_names_nor_values_of_concealed_claims() {
    let payload = text_of(&Json::Object(issued().signed_payload().clone()));
    for secret in ["legalName", "Contoso", "registrationNumber", "L12345678A"] {
        assert!(!payload.contains(secret), "{secret}");
    }
}

#[test]
fn the_presentation_hash_commits_to_the_selection_and_not_to_the_key_binding() {
    let all = disclose(&issued(), &Selection::Everything).unwrap();
    let some = disclose(&issued(), &Selection::names(["legalName"])).unwrap();
    assert_ne!(all.sd_hash(), some.sd_hash());
    assert_eq!(parse(&presented()).unwrap().sd_hash(), all.sd_hash());
}

#[test]
fn a_selection_of_an_unknown_claim_is_an_error() {
    let error = disclose(&issued(), &Selection::names(["shoeSize"])).unwrap_err();
    assert_eq!(error.code(), "credential.selection");
}

#[test]
fn nobody_but_the_holder_can_bind() {
    let disclosed = disclose(&issued(), &Selection::Everything).unwrap();
    let error = disclosed.bind(&stranger(), &binding()).unwrap_err();
    assert_eq!(error.code(), "key_binding.holder_key");
}

#[test]
fn an_issuer_is_told_when_its_draft_could_not_be_used() {
    for (change, code) in [
        (
            (|draft| {
                draft.disclosable.insert("role".to_owned());
            }) as fn(&mut crate::CredentialDraft),
            "credential.draft",
        ),
        (
            |draft| {
                draft.disclosable.insert("shoeSize".to_owned());
            },
            "credential.draft",
        ),
        (
            |draft| {
                draft.claims.insert("id".to_owned(), Json::from("did:example:1"));
            },
            "credential.draft",
        ),
        (|draft| draft.key_id = "did:aval:test:other#key-1".to_owned(), "credential.foreign_key"),
        (|draft| draft.valid_until_s = Some(0), "credential.data_model"),
        (|draft| draft.valid_from_s = i64::MAX, "credential.draft"),
        (|draft| draft.types = vec!["VerifiableCredential".to_owned()], "credential.data_model"),
        (|draft| draft.types = vec!["x".repeat(20_000)], "credential.oversized"),
    ] {
        let mut draft = draft();
        change(&mut draft);
        assert_eq!(crate::issue(&draft, &issuer(), &mut salts()).unwrap_err().code(), code);
    }
}

#[test]
fn a_holder_who_receives_a_credential_refuses_one_with_a_key_binding() {
    let expectation = Expectation { key_binding: KeyBindingPolicy::Forbidden, ..expectation() };
    let received = parse(issued().as_str()).unwrap();
    assert!(decide_parsed(&received, &expectation).unwrap().is_valid());
    let bound = parse(&presented()).unwrap();
    let verdict = decide_parsed(&bound, &expectation).unwrap();
    assert_eq!(verdict.errors[0].error.code(), "key_binding.unexpected");
}

#[test]
fn an_issuer_that_cannot_be_resolved_is_no_verdict() {
    let presentation = parse(&presented()).unwrap();
    let outcome = verify(&presentation, &expectation(), |_, _| Err("no connection".to_owned()));
    assert_eq!(outcome, Err(Failure::Resolution("no connection".to_owned())));
}

#[test]
fn a_key_that_the_issuer_does_not_list_is_a_no() {
    let presentation = parse(&presented()).unwrap();
    let verdict = verify(&presentation, &expectation(), |_, _| Ok(None)).unwrap();
    assert_eq!(verdict.errors[0].check, Check::IssuerKey);
    assert_eq!(verdict.into_result().unwrap_err().code(), "credential.unknown_key");
}

#[test]
fn a_credential_is_valid_from_its_first_second_to_the_one_before_its_last() {
    let presentation = parse(&presented()).unwrap();
    let code = |now_s: i64| {
        let key_binding = KeyBindingPolicy::Required { nonce: NONCE, audience: AUDIENCE, age_max_s: 7200 };
        let expectation = Expectation { now_s, clock_skew_s: 0, key_binding };
        let verdict = decide_parsed(&presentation, &expectation).unwrap();
        verdict.errors.iter().find(|one| one.check == Check::Validity).map(|one| one.error.code())
    };
    assert_eq!(code(NOW_S - 3601), Some("credential.not_yet_valid"));
    assert_eq!(code(NOW_S - 3600), None);
    assert_eq!(code(NOW_S + 3599), None);
    assert_eq!(code(NOW_S + 3600), Some("credential.expired"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Presentation::parse(&bytes, &Limits::LEDGER);
    }

    #[test]
    fn no_text_of_the_right_alphabet_makes_the_reader_panic(text in "[A-Za-z0-9_~.-]{0,256}") {
        let _ = parse(&text);
    }

    #[test]
    fn one_changed_character_makes_a_presentation_invalid(at in any::<prop::sample::Index>(), by in 1_u8..64) {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bytes = presented().into_bytes();
        let at = at.index(bytes.len());
        let changed = match ALPHABET.iter().position(|letter| *letter == bytes[at]) {
            Some(position) => ALPHABET[(position + usize::from(by)) % ALPHABET.len()],
            None => b'A',
        };
        bytes[at] = changed;
        let text = String::from_utf8(bytes).unwrap();
        prop_assert!(!decide(&text).is_valid());
    }
}
