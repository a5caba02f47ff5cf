//! Content of documents: what is allowed, found and expanded.

use aval_codec::{Limits, json};

use super::{document, key, p256_key, service};
use crate::document::{Document, Relationship, VerificationMethod};
use crate::key::X25519PublicKey;
use crate::{DidError, PublicKey};

fn refused(document: &Document) -> &'static str {
    match document.validate() {
        Err(DidError::Document(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn with(change: impl FnOnce(&mut Document)) -> Document {
    let mut document = document(101);
    change(&mut document);
    document
}

#[test]
fn a_full_document_is_valid_and_expands_with_absolute_ids() {
    let agreement = X25519PublicKey([9; 32]).to_multikey();
    assert!(agreement.starts_with("z6LS"));
    let content = with(|document| {
        document.verification_method.push(VerificationMethod::json_web_key("#key-2", &p256_key(5)));
        document.verification_method.push(VerificationMethod::Multikey {
            id: "#seal".into(),
            public_key_multibase: agreement.clone(),
        });
        document.key_agreement = vec!["#seal".into(), "#key-2".into()];
        document.capability_invocation = vec!["#key-2".into()];
        document.service = vec![service("#hub")];
        document.also_known_as = vec!["https://example.com/".into()];
    });
    content.validate().unwrap();
    let expanded = serde_json::to_value(content.expand("did:aval:demo:QmX")).unwrap();
    assert_eq!(expanded["@context"][0], "https://www.w3.org/ns/did/v1.1");
    assert_eq!(expanded["id"], "did:aval:demo:QmX");
    assert_eq!(expanded["verificationMethod"][0]["id"], "did:aval:demo:QmX#key-1");
    assert_eq!(expanded["verificationMethod"][0]["type"], "Multikey");
    assert_eq!(expanded["verificationMethod"][0]["controller"], "did:aval:demo:QmX");
    assert_eq!(expanded["verificationMethod"][1]["type"], "JsonWebKey");
    assert_eq!(expanded["verificationMethod"][1]["publicKeyJwk"]["crv"], "P-256");
    assert_eq!(expanded["keyAgreement"][0], "did:aval:demo:QmX#seal");
    assert_eq!(expanded["service"][0]["id"], "did:aval:demo:QmX#hub");
    assert!(expanded.get("capabilityDelegation").is_none());
}

#[test]
fn keys_are_found_by_method_and_by_key_within_a_relationship() {
    let content = with(|document| {
        document.verification_method.push(VerificationMethod::json_web_key("#key-2", &p256_key(5)));
        document.capability_invocation = vec!["#key-2".into()];
    });
    let authentication = Relationship::Authentication;
    assert_eq!(content.verification_key("#key-1", authentication), Some(key(101)));
    assert_eq!(content.verification_key("key-1", authentication), Some(key(101)));
    assert_eq!(content.verification_key("#key-2", authentication), None);
    assert_eq!(content.verification_key("#key-2", Relationship::CapabilityInvocation), Some(p256_key(5)));
    assert_eq!(content.verification_key("#key-3", authentication), None);
    assert!(content.contains_key(&key(101), authentication));
    assert!(!content.contains_key(&key(101), Relationship::KeyAgreement));
    assert!(!content.contains_key(&p256_key(5), authentication));
    assert_eq!(content.public_keys().count(), 2);
}

#[test]
fn ids_are_used_once() {
    let twice = with(|document| {
        document.verification_method.push(VerificationMethod::multikey("#key-1", &key(102)));
    });
    assert_eq!(refused(&twice), "an id is used twice");
    assert_eq!(refused(&with(|document| document.service = vec![service("#key-1")])), "an id is used twice");
    for id in ["key-2", "#", "#a b", "#ä", "#a#b", "did:aval:x#key", &format!("#{}", "a".repeat(65))] {
        assert!(
            refused(&with(|document| document.service = vec![service(id)])).starts_with("an id is not"),
            "{id}"
        );
    }
}

#[test]
fn weak_and_foreign_keys_are_refused() {
    // The eight small-order points, and the encodings of y that are not canonical.
    let small = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000080",
    ];
    for hex in small {
        let bytes = hex_bytes(hex);
        let text = PublicKey::Ed25519(bytes.clone().try_into().unwrap()).to_multikey();
        let method = VerificationMethod::Multikey { id: "#weak".into(), public_key_multibase: text.clone() };
        assert!(
            refused(&with(|document| document.verification_method.push(method))).contains("not a key"),
            "{hex}"
        );
        assert!(PublicKey::from_multikey(&text).is_err(), "{hex}");
        assert!(PublicKey::ed25519(&bytes).is_err(), "{hex}");
    }
    let good = key(101).to_multikey();
    for text in [
        "",
        "z",
        "z6Mk",
        &good[1..],
        &format!("{good}1"),
        &"z".repeat(600),
        "zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
    ] {
        let method = VerificationMethod::Multikey { id: "#bad".into(), public_key_multibase: text.into() };
        refused(&with(|document| document.verification_method.push(method)));
    }
}

fn hex_bytes(text: &str) -> Vec<u8> {
    text.parse::<aval_codec::Hash>().unwrap().to_bytes().to_vec()
}

#[test]
fn a_method_is_not_named_like_another_key() {
    let name = |key: &PublicKey| format!("#{}", key.to_multikey());
    let push = |id: String| {
        with(|document| document.verification_method.push(VerificationMethod::multikey(&id, &key(102))))
    };
    push(name(&key(102))).validate().unwrap();
    assert!(refused(&push(name(&key(103)))).contains("named like"));
    assert!(refused(&push(format!("#{}", X25519PublicKey([9; 32]).to_multikey()))).contains("named like"));
}

#[test]
fn relationships_name_methods_that_exist_once_and_fit() {
    let seal = VerificationMethod::Multikey {
        id: "#seal".into(),
        public_key_multibase: X25519PublicKey([9; 32]).to_multikey(),
    };
    let cases: [(&str, Document); 5] = [
        ("does not exist", with(|document| document.authentication.push("#none".into()))),
        ("does not exist", with(|document| document.authentication = vec!["key-1".into()])),
        ("twice", with(|document| document.authentication.push("#key-1".into()))),
        ("does not fit", with(|document| document.key_agreement = vec!["#key-1".into()])),
        (
            "does not fit",
            with(|document| {
                document.verification_method.push(seal);
                document.authentication.push("#seal".into());
            }),
        ),
    ];
    for (reason, document) in cases {
        assert!(refused(&document).contains(reason), "{reason}: {}", refused(&document));
    }
}

#[test]
fn services_and_names_are_uris() {
    for uri in ["", "example.com", ":x", "1http://x", "https:", "https://a b", "https://ä", "javascript\n:x"]
    {
        let mut item = service("#hub");
        item.service_endpoint = uri.into();
        assert!(refused(&with(|document| document.service = vec![item])).contains("endpoint"), "{uri:?}");
        assert!(refused(&with(|document| document.also_known_as = vec![uri.into()])).contains("identifier"));
    }
    let twice = with(|document| document.also_known_as = vec!["a:b".into(), "a:b".into()]);
    assert!(refused(&twice).contains("twice"));
    let mut empty = service("#hub");
    empty.service_type = String::new();
    assert!(refused(&with(|document| document.service = vec![empty])).contains("type"));
}

#[test]
fn everything_is_bounded() {
    let methods = |count: u8| {
        let method = |number: u8| VerificationMethod::multikey(&format!("#key-{number}"), &key(number));
        Document { verification_method: (1..=count).map(method).collect(), ..Document::default() }
    };
    methods(16).validate().unwrap();
    assert!(refused(&methods(17)).contains("more than 16 verification"));
    let services = |count: usize| {
        with(|document| document.service = (0..count).map(|n| service(&format!("#s{n}"))).collect())
    };
    services(16).validate().unwrap();
    assert!(refused(&services(17)).contains("more than 16 services"));
    let names = |count: usize, length: usize| {
        let name = |number: usize| format!("x:{number:0>width$}", width = length - 2);
        with(|document| document.also_known_as = (0..count).map(name).collect())
    };
    names(16, 400).validate().unwrap();
    names(1, 512).validate().unwrap();
    assert!(refused(&names(17, 10)).contains("more than 16 other"));
    assert!(refused(&names(1, 513)).contains("at most 512"));
    assert!(refused(&names(16, 512)).contains("8 KiB"));
}

#[test]
fn content_has_one_spelling() {
    let read = |text: &str| json::from_slice::<Document>(text.as_bytes(), Limits::default());
    let method = format!(r##"{{"id":"#key-1","type":"Multikey","publicKeyMultibase":"{}"}}"##, key(101));
    let good = format!(r##"{{"authentication":["#key-1"],"verificationMethod":[{method}]}}"##);
    let content = read(&good).unwrap();
    assert_eq!(
        json::to_jcs(&content).unwrap(),
        json::parse(good.as_bytes(), Limits::default()).unwrap().to_jcs()
    );
    assert_eq!(read("{}").unwrap(), Document::default());
    for text in [
        r#"{"authentication":[]}"#.to_owned(),
        r#"{"service":[]}"#.to_owned(),
        r#"{"service":null}"#.to_owned(),
        r#"{"id":"did:aval:x"}"#.to_owned(),
        r#"{"controller":"did:aval:x"}"#.to_owned(),
        r#"[[]]"#.to_owned(),
        good.replace("\"type\":\"Multikey\",", ""),
        good.replace("Multikey\",", "Ed25519VerificationKey2020\","),
        good.replace("\"publicKeyMultibase\"", "\"controller\":\"x\",\"publicKeyMultibase\""),
        format!(r##"{{"verificationMethod":[["Multikey",{{"id":"#key-1","publicKeyMultibase":"{}"}}]]}}"##, key(101)),
        r##"{"service":[["#hub","Hub","https://x/"]]}"##.to_owned(),
        r##"{"verificationMethod":[{"id":"#k","type":"JsonWebKey","publicKeyJwk":["OKP","Ed25519","x"]}]}"##.to_owned(),
        r##"{"verificationMethod":[{"id":"#k","type":"JsonWebKey","publicKeyJwk":{"kty":"OKP","crv":"Ed25519","x":"x","d":"x"}}]}"##.to_owned(),
        r##"{"verificationMethod":[{"id":"#k","type":"JsonWebKey","publicKeyJwk":{"kty":"OKP","crv":"Ed25519","x":"x","y":null}}]}"##.to_owned(),
    ] {
        assert!(read(&text).is_err(), "{text}");
    }
}
