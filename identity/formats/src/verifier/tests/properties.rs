use super::world::*;
use crate::json::Limits;
use crate::verifier::{AccreditationPolicy, Evidence, Expectation, Input, Kind, Verification};
use aval_codec::b64u;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Whatever is asked for is answered by the same bytes, as if a fetch had gone wrong in every way at once.
fn verify_with_noise(kind: Kind, input: &Input, noise: &[u8]) {
    let facts = Facts::new();
    let answer = Verification::new(kind, input, asked()).run(|want| match facts.supply(want) {
        Evidence::StatusList(_) => Evidence::StatusList(noise.to_vec()),
        Evidence::Schema(_) => Evidence::Schema(noise.to_vec()),
        other => other,
    });
    // Whether it is verified is not said here: the noise may stand where nobody looks.
    assert!(!answer.checks.is_empty());
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z:/.#=~]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[@a-zA-Z]{1,10}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Where something else may stand.
const POINTERS: [&str; 16] = [
    "/@context",
    "/id",
    "/type",
    "/issuer",
    "/validFrom",
    "/validUntil",
    "/credentialSubject",
    "/credentialStatus",
    "/credentialStatus/statusListIndex",
    "/credentialStatus/statusListCredential",
    "/credentialSchema",
    "/credentialSchema/id",
    "/proof",
    "/proof/verificationMethod",
    "/proof/created",
    "/proof/proofValue",
];

#[test]
fn a_bit_changed_anywhere_in_a_token_is_never_verified() {
    let expectation = Expectation { accreditation: AccreditationPolicy::Ignored, ..Expectation::at(NOW_S) };
    let facts = Facts::new();
    for text in [jwt(&credential(), ISSUER), sd_jwt(&claims())] {
        let input = |text: &str| Input::Text(text.to_owned());
        assert!(facts.verify(Kind::Credential, &input(&text), expectation.clone()).is_verified());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            // A digit of base64url in which the lowest bit counts everywhere but at the end of a part.
            bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let answer = facts.verify(Kind::Credential, &input(&changed), expectation.clone());
            assert!(!answer.is_verified() || changed == text, "byte {at}");
        }
    }
}

#[test]
fn a_letter_changed_anywhere_in_a_proved_document_is_never_verified() {
    let document = di(&credential(), ISSUER).to_string();
    let facts = Facts::new();
    for at in 0..document.len() {
        let mut bytes = document.clone().into_bytes();
        bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
        let Ok(input) = Input::read(&bytes, Limits::default()) else { continue };
        let answer = facts.verify(Kind::Credential, &input, Expectation::at(NOW_S));
        assert!(
            !answer.is_verified(),
            "byte {at}: {}",
            String::from_utf8_lossy(&bytes[at.saturating_sub(20)..])
        );
    }
}

#[test]
fn a_bit_changed_in_a_status_list_never_clears_a_revoked_credential() {
    let input = Input::Json(di(&with(credential(), "/credentialStatus", entry("revocation", 7)), ISSUER));
    let good = sign_list(&list(), ISSUER);
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
        let mut facts = Facts::new();
        facts.lists.insert((false, LIST.into()), String::from_utf8(bytes).unwrap());
        let answer = facts.verify(Kind::Credential, &input, Expectation::at(NOW_S));
        assert!(!answer.is_verified(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_input_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(input) = Input::read(&bytes, Limits::default()) {
            verify_with_noise(Kind::Credential, &input, &bytes);
            verify_with_noise(Kind::Presentation, &input, &bytes);
        }
        let good = Input::Json(di(&credential(), ISSUER));
        verify_with_noise(Kind::Credential, &good, &bytes);
    }

    #[test]
    fn no_document_makes_it_panic(value in json_value(), at in 0_usize..16, signed in any::<bool>()) {
        let pointer = POINTERS[at];
        let document = credential();
        let value = if value.is_null() { json!(0) } else { value };
        let document = if signed && !pointer.starts_with("/proof") {
            di(&with(document, pointer, value), ISSUER)
        } else {
            with(di(&document, ISSUER), pointer, value)
        };
        verify_with_noise(Kind::Credential, &Input::Json(document.clone()), b"{}");
        verify_with_noise(Kind::Presentation, &Input::Json(presentation(&[document])), b"x.y.z");
    }

    #[test]
    fn no_token_makes_it_panic(header in json_value(), payload in json_value(), tail in "[A-Za-z0-9_.~-]{0,20}") {
        let text = format!("{}.{}.{tail}", b64u::encode(header.to_string()), b64u::encode(payload.to_string()));
        verify_with_noise(Kind::Credential, &Input::Text(text.clone()), text.as_bytes());
        verify_with_noise(Kind::Presentation, &Input::Text(text.clone()), text.as_bytes());
    }

    #[test]
    fn no_controller_document_makes_it_panic(value in json_value(), at in 0_usize..4) {
        let pointer = ["/verificationMethod", "/assertionMethod", "/verificationMethod/0/publicKeyMultibase", "/id"][at];
        let mut document = document(ISSUER);
        *document.pointer_mut(pointer).unwrap() = value;
        let mut facts = Facts::new();
        facts.dids.insert((ISSUER.into(), None), document);
        let answer = facts.verify(Kind::Credential, &Input::Json(di(&credential(), ISSUER)), Expectation::at(NOW_S));
        prop_assert!(!answer.is_verified());
    }
}
