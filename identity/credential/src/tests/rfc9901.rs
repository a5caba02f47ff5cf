//! The examples of RFC 9901, and its worked disclosures.

use crate::key_binding::KeyBinding;
use crate::presentation::Limits;
use crate::sd_jwt::{Disclosure, SdJwt};
use aval_codec::json::{self, Json};
use aval_did::key::PublicKey;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../specs/vectors/sd-jwt/rfc9901.json"));

fn vectors() -> Json {
    json::parse(VECTORS.as_bytes(), json::Limits::default()).unwrap()
}

#[test]
fn the_disclosures_of_the_specification_have_the_digests_of_the_specification() {
    for (encoded, digest, name) in [
        (
            "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
            "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0",
            Some("family_name"),
        ),
        ("WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0", "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs", None),
        (
            "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
            "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
            Some("given_name"),
        ),
    ] {
        let disclosure = Disclosure::parse(encoded, json::Limits::default()).unwrap();
        assert_eq!(disclosure.digest(), digest);
        assert_eq!(disclosure.name(), name);
    }
}

#[test]
fn other_spellings_of_a_disclosure_say_the_same_under_another_digest() {
    for encoded in [
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNXHUwMGY2Yml1cyJd",
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsImZhbWlseV9uYW1lIiwiTcO2Yml1cyJd",
        "WwoiXzI2YmM0TFQtYWM2cTJLSTZjQlc1ZXMiLAoiZmFtaWx5X25hbWUiLAoiTcO2Yml1cyIKXQ",
    ] {
        let disclosure = Disclosure::parse(encoded, json::Limits::default()).unwrap();
        assert_eq!(disclosure.value(), &Json::from("Möbius"));
        assert_ne!(disclosure.digest(), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
    }
}

#[test]
fn the_examples_are_read_verified_and_processed_as_the_specification_says() {
    let vectors = vectors();
    let issuer = PublicKey::from_jwk(vectors.get("issuerKey").unwrap()).unwrap();
    for case in vectors.get("cases").unwrap().as_array().unwrap() {
        let text = |name: &str| case.get(name).and_then(Json::as_str);
        let (name, typ) = (text("name").unwrap(), text("typ").unwrap());
        let issued = SdJwt::parse_typed(text("issued").unwrap(), typ, &Limits::EDGE).unwrap();
        issued.verify_signature(&issuer).unwrap();

        let presented = text("presented").unwrap();
        let (sd_jwt, binding) = presented.split_at(presented.rfind('~').unwrap() + 1);
        let sd_jwt = SdJwt::parse_typed(sd_jwt, typ, &Limits::EDGE).unwrap();
        sd_jwt.verify_signature(&issuer).unwrap();
        assert_eq!(Some(sd_jwt.claims()), case.get("processed").unwrap().as_object(), "{name}");

        let Some(expected) = case.get("keyBinding") else {
            assert_eq!(binding, "", "{name}");
            continue;
        };
        let key = PublicKey::from_jwk(sd_jwt.claims()["cnf"].get("jwk").unwrap()).unwrap();
        let key_binding = KeyBinding::parse(binding, &Limits::EDGE).unwrap();
        key_binding.verify_signature(&key).unwrap();
        let expected = |name: &str| expected.get(name).and_then(Json::as_str).unwrap();
        key_binding.check(sd_jwt.sd_hash(), expected("nonce"), expected("audience")).unwrap();
    }
}
