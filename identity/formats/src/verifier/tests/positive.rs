use super::world::*;
use crate::data_integrity;
use crate::status::{BitstringList, StatusMessage};
use crate::verifier::{
    AccreditationPolicy, Answer, Check, Evidence, Expectation, HolderPolicy, Input, Kind, Outcome, Verdict,
    Verification, Want,
};
use serde_json::{Value, json};

fn assert_verified(answer: &Answer) {
    assert!(answer.is_verified(), "{:#}", answer.to_json());
    assert_eq!((answer.exit_code(), answer.errors().len()), (0, 0));
}

fn passed<'a>(answer: &'a Answer, name: &str) -> Vec<&'a Check> {
    let wanted = |check: &&Check| check.name == name && check.outcome == Outcome::Passed;
    answer.checks.iter().filter(wanted).collect()
}

fn warnings(answer: &Answer) -> Vec<&'static str> {
    answer.warnings().into_iter().map(|problem| problem.code).collect()
}

#[test]
fn a_good_credential_is_verified_in_every_form_and_each_check_says_what_it_looked_at() {
    let inputs = [
        Input::Json(di(&credential(), ISSUER)),
        Input::Text(jwt(&credential(), ISSUER)),
        Input::Json(enveloped(&jwt(&credential(), ISSUER))),
    ];
    for input in inputs {
        let answer = Facts::new().verify(Kind::Credential, &input, Expectation::at(NOW_S));
        assert_verified(&answer);
        assert_eq!(answer.warnings(), Vec::<&crate::verifier::Problem>::new());
        for name in [
            "format",
            "data_model",
            "dates",
            "did_active",
            "key_control",
            "key_purpose",
            "key_now",
            "signature",
            "key_at_signing",
            "schema",
            "status",
            "accreditation_at_issuance",
            "accreditation_now",
        ] {
            assert!(!passed(&answer, name).is_empty(), "{name}: {:#}", answer.to_json());
        }
        let at = format!("{} at {}", method(ISSUER), date(SIGNED_S));
        let own = |check: &&&Check| check.part == "credential";
        assert_eq!(passed(&answer, "key_at_signing").iter().find(own).unwrap().looked_at, at);
        assert!(passed(&answer, "accreditation_now")[0].looked_at.ends_with(&format!("{ISSUER} < {ROOT}")));
        assert!(passed(&answer, "signature").iter().any(|check| check.part == "credential/status/0/list"));
        let Verdict::Verified(verified) = &answer.verdict else { panic!("not verified") };
        assert_eq!(verified.credentials()[0].issuer(), ISSUER);
        assert_eq!(verified.credentials()[0].document()["credentialSubject"]["id"], HOLDER);
    }
}

#[test]
fn a_good_sd_jwt_is_verified_with_its_key_binding() {
    let text = bound(&sd_jwt(&claims()), NONCE, VERIFIER, NOW_S - 5, HOLDER);
    let answer = Facts::new().verify(Kind::Presentation, &Input::Text(text), asked());
    assert_verified(&answer);
    assert_eq!(passed(&answer, "holder_binding").len(), 1);
    let Verdict::Verified(verified) = &answer.verdict else { panic!("not verified") };
    assert_eq!(verified.credentials()[0].format(), "dc+sd-jwt");
    // Issued and not yet presented: there is nobody to bind it to.
    let issued =
        Facts::new().verify(Kind::Credential, &Input::Text(sd_jwt(&claims())), Expectation::at(NOW_S));
    assert_verified(&issued);
}

#[test]
fn a_good_presentation_is_verified_with_everything_in_it() {
    let credentials = [di(&credential(), ISSUER), enveloped(&jwt(&credential(), ISSUER))];
    let required = Expectation { holder: HolderPolicy::Required, ..asked() };
    let document = presentation(&credentials);
    let claims = json!({"aud": VERIFIER, "nonce": NONCE, "iat": NOW_S - 5});
    for input in [
        Input::Json(vp_di(&document, &vp_options(HOLDER), HOLDER)),
        Input::Text(vp_jwt(&document, &claims, HOLDER)),
    ] {
        let answer = Facts::new().verify(Kind::Presentation, &input, required.clone());
        assert_verified(&answer);
        let bound: Vec<_> =
            passed(&answer, "holder_binding").into_iter().map(|check| check.part.as_str()).collect();
        assert_eq!(bound, ["presentation/credentials/0", "presentation/credentials/1"]);
        let Verdict::Verified(verified) = &answer.verdict else { panic!("not verified") };
        assert_eq!(verified.holder(), Some(HOLDER));
        assert_eq!(verified.credentials().len(), 2);
    }
}

#[test]
fn a_presentation_without_a_challenge_is_verified_with_a_warning() {
    let document = vp_di(&presentation(&[]), &vp_options(HOLDER), HOLDER);
    let answer = Facts::new().verify(Kind::Presentation, &Input::Json(document), Expectation::at(NOW_S));
    assert_verified(&answer);
    assert_eq!(warnings(&answer), ["presentation.replay", "presentation.replay"]);
}

#[test]
fn a_credential_about_somebody_else_is_for_the_verifier_to_judge() {
    let other = with(credential(), "/credentialSubject/id", json!("did:example:child"));
    let document = vp_di(&presentation(&[di(&other, ISSUER)]), &vp_options(HOLDER), HOLDER);
    let answer = Facts::new().verify(Kind::Presentation, &Input::Json(document), asked());
    assert_verified(&answer);
    assert_eq!(warnings(&answer), ["holder.subject"]);
}

#[test]
fn a_rotated_key_that_the_document_still_lists_verifies_and_methods_without_history_are_named() {
    let mut facts = Facts::new();
    let other = with(credential(), "/issuer", json!(STRANGER));
    let other = with(other, "/credentialStatus", Value::Null);
    let input = Input::Json(di(&other, STRANGER));
    let answer = facts.verify(Kind::Credential, &input, Expectation::at(NOW_S));
    assert_verified(&answer);
    assert_eq!(warnings(&answer), ["key.no_history", "accreditation.none"]);
    // A new key stands first; the old one is still listed.
    let mut rotated = document(ISSUER);
    rotated["verificationMethod"].as_array_mut().unwrap().insert(
        0,
        json!({"id": format!("{ISSUER}#key-2"), "type": "Multikey", "controller": ISSUER,
            "publicKeyMultibase": key(ROOT).public().to_multikey()}),
    );
    facts.dids.insert((ISSUER.into(), None), rotated);
    let input = Input::Json(di(&credential(), ISSUER));
    assert_verified(&facts.verify(Kind::Credential, &input, Expectation::at(NOW_S)));
}

#[test]
fn a_token_may_leave_out_its_key_if_the_issuer_has_one_only() {
    let mut payload = credential();
    payload["iat"] = SIGNED_S.into();
    let input = Input::Text(token("vc+jwt", &json!({}), &payload, ISSUER));
    assert_verified(&Facts::new().verify(Kind::Credential, &input, Expectation::at(NOW_S)));
}

#[test]
fn a_credential_of_1_1_as_a_jwt_is_verified() {
    let payload = json!({
        "iss": ISSUER, "sub": HOLDER, "nbf": SIGNED_S, "exp": NOW_S + 60, "jti": "urn:uuid:1",
        "vc": {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiableCredential", TYPE],
            "credentialSubject": {"degree": "Bachelor of Science"},
        },
    });
    let input = Input::Text(token("JWT", &json!({"kid": method(ISSUER)}), &payload, ISSUER));
    let answer = Facts::new().verify(Kind::Credential, &input, Expectation::at(NOW_S));
    assert_verified(&answer);
    let Verdict::Verified(verified) = &answer.verdict else { panic!("not verified") };
    assert_eq!(verified.credentials()[0].document()["credentialSubject"]["id"], HOLDER);
}

#[test]
fn a_second_proof_by_a_witness_is_verified_beside_the_issuers() {
    let mut options = proof_options(STRANGER);
    options.created = Some(date(NOW_S - 10));
    let witnessed = data_integrity::secure(&di(&credential(), ISSUER), &options, &key(STRANGER)).unwrap();
    let input = Input::Json(witnessed);
    let answer = Facts::new().verify(Kind::Credential, &input, Expectation::at(NOW_S));
    assert_verified(&answer);
    assert_eq!(passed(&answer, "signature").iter().filter(|check| check.part == "credential").count(), 2);
}

#[test]
fn messages_and_refresh_do_not_invalidate() {
    let mut list = BitstringList::new(&["message", "refresh"], 0, 2).unwrap();
    list.set(5, 2).unwrap();
    let mut facts = Facts::new();
    let signed = list.to_credential(LIST, ISSUER, &date(NOW_S - 600), &date(NOW_S + 600)).unwrap();
    facts.lists.insert((false, LIST.into()), sign_list(&signed, ISSUER));
    let messages: Vec<StatusMessage> =
        (0..4).map(|status| StatusMessage { status, message: format!("step {status}") }).collect();
    let entry = crate::status::BitstringEntry {
        purpose: "message".into(),
        index: 5,
        list: LIST.into(),
        size: 2,
        messages,
    };
    let both = json!([
        entry.to_value(),
        crate::status::BitstringEntry { purpose: "refresh".into(), ..entry }.to_value()
    ]);
    let input = Input::Json(di(&with(credential(), "/credentialStatus", both), ISSUER));
    let answer = facts.verify(Kind::Credential, &input, Expectation::at(NOW_S));
    assert_verified(&answer);
    assert_eq!(warnings(&answer), ["status.message", "status.refresh"]);
}

#[test]
fn a_list_is_asked_for_once_and_can_be_kept() {
    let two = presentation(&[di(&credential(), ISSUER), enveloped(&jwt(&credential(), ISSUER))]);
    let input = Input::Json(vp_di(&two, &vp_options(HOLDER), HOLDER));
    let facts = Facts::new();
    let mut verification = Verification::new(Kind::Presentation, &input, asked());
    let mut lists = 0;
    while let Some(want) = verification.wants().first().cloned() {
        lists += usize::from(matches!(want, Want::StatusList { .. }));
        verification.supply(&want, facts.supply(&want));
    }
    let known = verification.known_lists();
    assert_eq!((lists, known.len()), (1, 1));
    assert_eq!((known[0].uri(), known[0].is_token()), (LIST, false));
    assert_eq!(known[0].keep_until_s(30), NOW_S + 30);
    assert_verified(&verification.judge());
    let supply = |want: &Want| match want {
        Want::StatusList { .. } => Evidence::KnownList(known[0].clone()),
        other => facts.supply(other),
    };
    let input = Input::Json(di(&credential(), ISSUER));
    let kept = Verification::new(Kind::Credential, &input, Expectation::at(NOW_S)).run(supply);
    assert_verified(&kept);
    let later = Expectation { accreditation: AccreditationPolicy::Ignored, ..Expectation::at(NOW_S + 700) };
    let outdated = Verification::new(Kind::Credential, &input, later).run(supply);
    assert_eq!((outdated.outcome(), outdated.errors()[0].code), ("undecided", "status.stale"));
}

#[test]
fn nothing_is_asked_for_on_the_word_of_a_document_that_is_not_verified() {
    let mut forged = di(&credential(), ISSUER);
    forged["credentialSubject"]["degree"] = json!("Master of Arts");
    let mut asked = Vec::new();
    let facts = Facts::new();
    let answer =
        Verification::new(Kind::Credential, &Input::Json(forged), Expectation::at(NOW_S)).run(|want| {
            asked.push(want.clone());
            facts.supply(want)
        });
    assert_eq!(asked, [Want::Did { did: ISSUER.into(), at_s: None }]);
    assert_eq!((answer.outcome(), answer.exit_code()), ("invalid", 3));
}

#[test]
fn what_nobody_supplies_is_undecided_and_says_so() {
    let verification =
        Verification::new(Kind::Credential, &Input::Json(di(&credential(), ISSUER)), Expectation::at(NOW_S));
    let answer = verification.judge();
    assert_eq!((answer.outcome(), answer.exit_code()), ("undecided", 6));
    assert_eq!(answer.errors()[0].code, "did.unavailable");
    let json = answer.to_json();
    assert_eq!((&json["verified"], &json["outcome"]), (&json!(false), &json!("undecided")));
}

#[test]
fn a_verdict_wins_over_what_could_not_be_checked() {
    let mut facts = Facts::new();
    facts.schemas.clear();
    let input = Input::Json(di(&with(credential(), "/credentialStatus", entry("revocation", 7)), ISSUER));
    let answer = facts.verify(Kind::Credential, &input, Expectation::at(NOW_S));
    assert_eq!(answer.outcome(), "invalid");
    let codes: Vec<_> = answer.errors().iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["status.revoked", "schema.unavailable"]);
}

#[test]
fn no_check_repeats_a_claim() {
    let input =
        Input::Json(di(&with(credential(), "/credentialSubject/degree", json!("Doctor Secretus")), ISSUER));
    let answer = Facts::new().verify(Kind::Credential, &input, Expectation::at(NOW_S));
    assert_eq!(answer.errors()[0].code, "schema.violated");
    assert!(!answer.to_json().to_string().contains("Secretus"));
}

#[test]
fn a_list_of_2_to_the_20_entries_is_looked_up() {
    let mut list = BitstringList::new(&["revocation"], 1 << 20, 1).unwrap();
    list.set((1 << 20) - 1, 1).unwrap();
    let mut facts = Facts::new();
    let signed = list.to_credential(LIST, ISSUER, &date(NOW_S - 600), &date(NOW_S + 600)).unwrap();
    facts.lists.insert((false, LIST.into()), sign_list(&signed, ISSUER));
    for (index, verified) in [(5, true), ((1 << 20) - 1, false)] {
        let input =
            Input::Json(di(&with(credential(), "/credentialStatus", entry("revocation", index)), ISSUER));
        let answer = facts.verify(Kind::Credential, &input, Expectation::at(NOW_S));
        assert_eq!(answer.is_verified(), verified, "{:#}", answer.to_json());
    }
}

#[test]
fn a_credential_in_cose_and_a_list_as_a_cwt_are_verified() {
    use crate::cose;
    let sign = |credential: &Value| cose::sign_credential(credential, &method(ISSUER), &key(ISSUER)).unwrap();
    let facts = Facts::new();
    let credential = with(credential(), "/iat", json!(SIGNED_S));
    let good = Input::read(&sign(&credential), crate::json::Limits::default()).unwrap();
    assert!(matches!(good, Input::Binary(_)));
    assert_verified(&facts.verify(Kind::Credential, &good, Expectation::at(NOW_S)));
    for (at, byte) in sign(&credential).into_iter().enumerate() {
        let mut changed = sign(&credential);
        changed[at] = byte ^ 1;
        let answer = facts.verify(Kind::Credential, &Input::Binary(changed), Expectation::at(NOW_S));
        assert!(!answer.is_verified(), "byte {at}");
    }
    for (index, outcome) in [(5, "verified"), (7, "invalid")] {
        let status = crate::status::TokenEntry { uri: TOKENS.into(), index }.to_value();
        let credential = with(with(credential.clone(), "/credentialStatus", Value::Null), "/status", status);
        let claims = crate::status::TokenListClaims { issued_s: NOW_S - 10, ..tokens() }.to_cbor().unwrap();
        let list =
            cose::sign("application/statuslist+cwt", None, method(ISSUER).as_bytes(), &claims, &key(ISSUER));
        let list = list.unwrap();
        let input = Input::Binary(sign(&credential));
        let answer =
            Verification::new(Kind::Credential, &input, Expectation::at(NOW_S)).run(|want| match want {
                Want::StatusList { token: true, .. } => Evidence::StatusList(list.clone()),
                other => facts.supply(other),
            });
        assert_eq!(answer.outcome(), outcome, "{:#}", answer.to_json());
    }
}

#[test]
fn a_key_that_is_pinned_for_an_issuer_counts_for_that_issuer_and_for_credentials_only() {
    let expecting = |issuer: &str| Expectation {
        issuer_keys: [(issuer.to_owned(), vec![method(STRANGER)])].into(),
        ..Expectation::at(NOW_S)
    };
    let by_other = Input::Json(di(&credential(), STRANGER));
    assert_verified(&Facts::new().verify(Kind::Credential, &by_other, expecting(ISSUER)));
    let elsewhere = Facts::new().verify(Kind::Credential, &by_other, expecting(ROOT));
    assert_eq!(elsewhere.errors()[0].code, "issuer.key");
    let another_key = Input::Json(di(&credential(), HOLDER));
    let another_key = Facts::new().verify(Kind::Credential, &another_key, expecting(ISSUER));
    assert_eq!(another_key.errors()[0].code, "issuer.key");

    let presented = vp_di(&presentation(&[di(&credential(), ISSUER)]), &vp_options(STRANGER), STRANGER);
    let expectation = Expectation { issuer_keys: expecting(HOLDER).issuer_keys, ..asked() };
    let answer = Facts::new().verify(Kind::Presentation, &Input::Json(presented), expectation);
    assert!(answer.errors().iter().any(|problem| problem.code == "holder.key"), "{:#}", answer.to_json());
}
