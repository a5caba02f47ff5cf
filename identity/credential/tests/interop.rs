//! Other people's SD-JWT libraries read what this crate writes, and the other way round. Needs the network on the first
//! run, therefore not part of every run: `make interop`.

#[path = "../../../tests/interop/matrix.rs"]
mod matrix;

use aval_codec::json::{self, Json};
use aval_credential::{
    CredentialDraft, Expectation, KeyBindingDraft, KeyBindingPolicy, Limits, Presentation, SdJwt, Selection,
    disclose, issue, verify,
};
use aval_did::key::{PublicKey, SigningKey};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const ISSUER: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
const KEY_ID: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG#key-1";
const NONCE: &str = "4d1c6a0f";
const AUDIENCE: &str = "aval:test:00";

fn issuer() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn holder() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).unwrap()
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn issued() -> SdJwt {
    let draft = CredentialDraft {
        issuer: ISSUER.to_owned(),
        key_id: KEY_ID.to_owned(),
        id: None,
        contexts: Vec::new(),
        types: vec!["AvalMembershipCredential".to_owned()],
        subject_id: None,
        claims: BTreeMap::from([
            ("role".to_owned(), Json::Array(vec!["member".into()])),
            ("legalName".to_owned(), "Contoso Sh.p.k. ë".into()),
            ("registrationNumber".to_owned(), "L12345678A".into()),
        ]),
        disclosable: BTreeSet::from(["legalName".to_owned(), "registrationNumber".to_owned()]),
        status: Vec::new(),
        valid_from_s: now_s() - 60,
        valid_until_s: Some(now_s() + 3600),
        holder_key: Some(holder().public()),
        schema: None,
    };
    let mut next = 0;
    let mut salt = || {
        next += 1;
        [next; 16]
    };
    SdJwt::parse(&issue(&draft, &issuer(), &mut salt).unwrap(), &Limits::LEDGER).unwrap()
}

fn present(selection: &Selection, signer: &SigningKey, nonce: &str, audience: &str) -> String {
    let draft = KeyBindingDraft { nonce, audience, issued_at_s: now_s() };
    disclose(&issued(), selection).unwrap().bind(signer, &draft).unwrap()
}

/// Runs a script and gives back what it printed.
fn ask(script: &str) -> Json {
    let everything = present(&Selection::Everything, &holder(), NONCE, AUDIENCE);
    let some = present(&Selection::names(["legalName"]), &holder(), NONCE, AUDIENCE);
    let binding_of = |text: &str| text.rsplit_once('~').unwrap().1.to_owned();
    let without_binding = |text: &str| text.rsplit_once('~').unwrap().0.to_owned();
    let forged = everything.replacen('.', ".A", 2);
    let good = Json::from([("everything", everything.clone().into()), ("some", some.clone().into())]);
    let bad = Json::from([
        ("nonce", present(&Selection::Everything, &holder(), "another", AUDIENCE).into()),
        ("audience", present(&Selection::Everything, &holder(), NONCE, "another").into()),
        ("binding", format!("{}~{}", without_binding(&some), binding_of(&everything)).into()),
        ("missing", format!("{}~", without_binding(&everything)).into()),
        ("forged", forged.into()),
    ]);
    let input = Json::from([
        ("typ", "vc+sd-jwt".into()),
        ("issuer", ISSUER.into()),
        ("keyId", KEY_ID.into()),
        ("issuerKey", issuer().public().to_jwk()),
        ("nonce", NONCE.into()),
        ("audience", AUDIENCE.into()),
        ("now", Json::Int(now_s())),
        ("good", good),
        ("bad", bad),
    ]);
    let path = format!("../../tests/interop/sd-jwt/{script}");
    let mut child = Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&input.to_jcs()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed; its reason stands above");
    json::parse(&output.stdout, json::Limits::default()).unwrap()
}

fn check(script: &str, library: &str) {
    let answer = ask(script);
    let accepted = answer.get("accepted").unwrap();
    for (name, claims) in [("everything", 3), ("some", 2)] {
        let subject = accepted.get(name).and_then(|payload| payload.get("credentialSubject")).unwrap();
        assert_eq!(subject.get("legalName"), Some(&"Contoso Sh.p.k. ë".into()));
        assert_eq!(subject.as_object().unwrap().len(), claims);
    }
    for (name, refused) in answer.get("refused").unwrap().as_object().unwrap() {
        assert_eq!(refused, &Json::Bool(true), "{name}");
    }
    let mut matrix = matrix::Matrix::default();
    matrix.row("membership credential", "aval", library, Ok(5));
    check_made(answer.get("made").unwrap());
    matrix.row("membership credential", library, "aval", Ok(3));
    matrix.finish();
}

/// What the other library made is accepted here, and only as it was made.
fn check_made(made: &Json) {
    let text = |name: &str| made.get(name).and_then(Json::as_str).unwrap();
    let key = PublicKey::from_jwk(made.get("issuerKey").unwrap()).unwrap();
    let decide = |text: &str, nonce: &str, audience: &str| {
        let presentation = Presentation::parse(text.as_bytes(), &Limits::LEDGER).unwrap();
        let key_binding = KeyBindingPolicy::Required { nonce, audience, age_max_s: 300 };
        let expectation = Expectation { now_s: now_s(), clock_skew_s: 60, key_binding };
        verify(&presentation, &expectation, |did, key_id| {
            assert_eq!((did, key_id), (ISSUER, KEY_ID));
            Ok(Some(key))
        })
        .unwrap()
    };
    let verdict = decide(text("presented"), NONCE, AUDIENCE);
    assert!(verdict.is_valid(), "{:?}", verdict.errors);
    assert!(!decide(text("presented"), "another", AUDIENCE).is_valid());
    assert!(!decide(text("presented"), NONCE, "another").is_valid());
    assert!(!decide(text("issued"), NONCE, AUDIENCE).is_valid());

    let presentation = Presentation::parse(text("presented").as_bytes(), &Limits::LEDGER).unwrap();
    let subject = &presentation.credential().subject;
    assert_eq!(subject.get("legalName"), None);
    assert_eq!(subject["address"], Json::from([("city", "Tirana".into()), ("country", "AL".into())]));
    assert_eq!(subject["languages"], Json::Array(vec!["sq".into(), "de".into()]));

    let issued = Presentation::parse(text("issued").as_bytes(), &Limits::LEDGER).unwrap();
    issued.verify_issuer_signature(&key).unwrap();
    assert_eq!(issued.credential().subject["legalName"], "Contoso".into());
    assert_eq!(issued.roles(), ["member"]);
}

#[test]
#[ignore = "installs a Python library"]
fn the_reference_implementation_in_python_agrees_with_us() {
    check("run-python", "sd-jwt (PyPI)");
}

#[test]
#[ignore = "installs a JavaScript library"]
fn the_open_wallet_foundations_library_in_javascript_agrees_with_us() {
    check("run-node", "@sd-jwt/core");
}
