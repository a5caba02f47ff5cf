//! One test for each way in which a key binding could be missing, borrowed or replayed.

use super::support::*;
use crate::key_binding::with_low_s;
use crate::present::{Selection, disclose};
use crate::verify::{Expectation, KeyBindingPolicy};
use aval_codec::b64u;
use aval_codec::json::Json;

#[test]
fn a_presentation_without_the_wanted_key_binding_is_refused() {
    assert_eq!(codes(issued().as_str()), ["key_binding.missing"]);
    let presentation = parse(issued().as_str()).unwrap();
    assert_eq!(presentation.verify_key_binding(NONCE, AUDIENCE).unwrap_err().code(), "key_binding.missing");
}

#[test]
fn a_key_binding_by_another_key_is_refused() {
    let mut workshop = Workshop::new();
    workshop.binder = aval_did::key::SigningKey::p256_from_seed(&[9; 32]).unwrap();
    assert_eq!(codes(&workshop.build()), ["credential.signature"]);
    workshop.binder = stranger();
    workshop.binding_header = r#"{"alg":"EdDSA","typ":"kb+jwt"}"#.to_owned();
    assert_eq!(codes(&workshop.build()), ["credential.algorithm"]);
}

#[test]
fn a_key_inside_the_header_of_the_key_binding_is_not_used() {
    let mut workshop = Workshop::new();
    let other = aval_did::key::SigningKey::p256_from_seed(&[9; 32]).unwrap();
    let jwk = text_of(&other.public().to_jwk());
    workshop.binding_header = format!(r#"{{"alg":"ES256","jwk":{jwk},"typ":"kb+jwt"}}"#);
    workshop.binder = other;
    assert_eq!(codes(&workshop.build()), ["credential.signature"]);
}

#[test]
fn a_credential_without_holder_key_cannot_be_bound() {
    let workshop = Workshop::new().payload(|payload| {
        payload.remove("cnf");
    });
    assert_eq!(codes(&workshop.build()), ["key_binding.holder_key"]);
}

#[test]
fn a_holder_key_that_is_not_a_public_key_is_refused() {
    let private = Json::from([
        ("kty", Json::from("OKP")),
        ("crv", Json::from("Ed25519")),
        ("x", Json::from("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
        ("d", Json::from("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")),
    ]);
    for jwk in [
        private,
        Json::from([("kty", Json::from("oct")), ("k", Json::from("AAAA"))]),
        Json::from([("kty", Json::from("RSA"))]),
        Json::Null,
    ] {
        let workshop = Workshop::new().payload(|payload| {
            payload.insert("cnf".to_owned(), Json::from([("jwk", jwk)]));
        });
        assert_eq!(codes(&workshop.build()), ["key_binding.holder_key"]);
    }
    for confirmation in
        [Json::from([("kid", Json::from("did:key:z6Mk#z6Mk"))]), Json::from("key"), Json::Null]
    {
        let workshop = Workshop::new().payload(|payload| {
            payload.insert("cnf".to_owned(), confirmation);
        });
        assert_eq!(codes(&workshop.build()), ["key_binding.holder_key"]);
    }
}

#[test]
fn a_key_binding_for_another_selection_is_refused() {
    let everything = presented();
    let (_, binding) = everything.rsplit_once('~').unwrap();
    let less = disclose(&issued(), &Selection::names(["legalName"])).unwrap();
    let text = format!("{}{binding}", less.sd_jwt().as_str());
    assert_eq!(codes(&text), ["key_binding.presentation_hash"]);
}

#[test]
fn a_key_binding_for_another_credential_is_refused() {
    let mut other = draft();
    other.id = Some("urn:uuid:00000000-0000-4000-8000-000000000000".to_owned());
    let other = issue_draft(&other);
    let text = presented();
    let (_, binding) = text.rsplit_once('~').unwrap();
    assert_eq!(codes(&format!("{}{binding}", other.as_str())), ["key_binding.presentation_hash"]);
}

#[test]
fn a_key_binding_for_another_nonce_is_refused() {
    assert_eq!(codes(&Workshop::new().binding(NONCE, "another").build()), ["key_binding.nonce"]);
}

#[test]
fn a_key_binding_for_another_audience_is_refused() {
    let other = format!("{AUDIENCE}0");
    assert_eq!(codes(&Workshop::new().binding(AUDIENCE, &other).build()), ["key_binding.audience"]);
}

#[test]
fn an_audience_that_is_a_list_is_refused() {
    let list = format!(r#"["{AUDIENCE}"]"#);
    let text = Workshop::new().binding(&format!(r#""{AUDIENCE}""#), &list).build();
    assert_eq!(codes(&text), ["credential.malformed"]);
}

#[test]
fn a_time_that_is_not_a_whole_number_of_seconds_is_refused() {
    for time in ["1795339800.5", "1795339800.0", "1.7953398e9", "null", r#""1795339800""#, "-1", "true"] {
        let text = Workshop::new().binding(&NOW_S.to_string(), time).build();
        assert_eq!(codes(&text), ["credential.malformed"], "{time}");
    }
}

#[test]
fn a_claim_that_is_missing_or_null_is_refused() {
    for claim in ["iat", "aud", "nonce", "sd_hash"] {
        let text = Workshop::new().binding(&format!(r#""{claim}""#), r#""other""#).build();
        assert_eq!(codes(&text), ["credential.malformed"], "{claim}");
    }
    let text = Workshop::new().binding(&format!(r#""{NONCE}""#), "null").build();
    assert_eq!(codes(&text), ["credential.malformed"]);
}

#[test]
fn a_key_binding_that_is_old_or_from_the_future_is_refused() {
    for (offset_s, outcome) in
        [(-360, None), (-361, Some("key_binding.stale")), (60, None), (61, Some("key_binding.stale"))]
    {
        let text = Workshop::new().binding(&NOW_S.to_string(), &(NOW_S + offset_s).to_string()).build();
        assert_eq!(codes(&text).first().copied(), outcome, "{offset_s}");
    }
}

#[test]
fn a_key_binding_outside_its_own_window_is_refused() {
    for (claim, offset_s, outcome) in [
        ("exp", -61, Some("key_binding.stale")),
        ("exp", 10, None),
        ("nbf", 61, Some("key_binding.stale")),
        ("nbf", 0, None),
    ] {
        let more = format!(r#"{{"{claim}":{},"iat""#, NOW_S + offset_s);
        let text = Workshop::new().binding(r#"{"iat""#, &more).build();
        assert_eq!(codes(&text).first().copied(), outcome, "{claim} {offset_s}");
    }
}

#[test]
fn a_key_binding_of_another_type_is_refused() {
    for typ in ["JWT", "vc+sd-jwt", "aval-tx+jwt", "openid4vci-proof+jwt", "KB+JWT"] {
        let mut workshop = Workshop::new();
        workshop.binding_header = format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#);
        assert_eq!(codes(&workshop.build()), ["credential.header"], "{typ}");
    }
}

#[test]
fn a_key_binding_without_signature_algorithm_is_refused() {
    for name in ["none", "HS256", ""] {
        let mut workshop = Workshop::new();
        workshop.binding_header = format!(r#"{{"alg":"{name}","typ":"kb+jwt"}}"#);
        assert_eq!(codes(&workshop.build()), ["credential.algorithm"], "{name}");
    }
}

#[test]
fn a_critical_header_of_the_key_binding_is_refused() {
    let mut workshop = Workshop::new();
    workshop.binding_header = r#"{"alg":"ES256","crit":["x"],"typ":"kb+jwt","x":1}"#.to_owned();
    assert_eq!(codes(&workshop.build()), ["credential.header"]);
}

#[test]
fn a_duplicate_key_in_the_key_binding_is_refused() {
    let text = Workshop::new().binding(r#"{"iat""#, r#"{"nonce":"x","iat""#).build();
    assert_eq!(codes(&text), ["credential.malformed"]);
}

#[test]
fn the_verifier_and_not_the_holder_decides_whether_there_must_be_a_key_binding() {
    let stripped = parse(issued().as_str()).unwrap();
    let verdict = decide_parsed(&stripped, &expectation()).unwrap();
    assert!(!verdict.is_valid(), "taking the key binding away does not help");
    let receiving = Expectation { key_binding: KeyBindingPolicy::Forbidden, ..expectation() };
    assert!(decide_parsed(&stripped, &receiving).unwrap().is_valid());
}

/// n - s, big-endian: the other signature that ECDSA takes for the same message.
fn negated(s: &[u8]) -> Vec<u8> {
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut borrow = 0;
    let mut result = vec![0; 32];
    for at in (0..32).rev() {
        let difference = i32::from(order[at]) - i32::from(s[at]) - borrow;
        borrow = i32::from(difference < 0);
        result[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    result
}

#[test]
fn a_key_binding_with_high_s_is_valid_and_has_one_form_for_blocks() {
    let low = presented();
    let (rest, signature) = low.rsplit_once('.').unwrap();
    let mut signature = b64u::decode(signature).unwrap();
    let high_s = negated(&signature[32..]);
    signature[32..].copy_from_slice(&high_s);
    let high = format!("{rest}.{}", b64u::encode(&signature));
    assert_ne!(high, low);
    assert!(decide(&high).is_valid(), "wallets emit it");
    assert_eq!(with_low_s(high.as_bytes()), low.as_bytes());
    assert_eq!(with_low_s(low.as_bytes()), low.as_bytes());
    let (high, low) = (parse(&high).unwrap(), parse(&low).unwrap());
    assert_eq!(high.sd_hash(), low.sd_hash());
}

#[test]
fn what_has_no_es256_key_binding_is_not_touched() {
    for text in ["", "~", "a~b.c.d", "a~b.c", issued().as_str()] {
        assert_eq!(with_low_s(text.as_bytes()), text.as_bytes());
    }
    assert_eq!(with_low_s(&[0xff, b'~']), [0xff, b'~']);
}
