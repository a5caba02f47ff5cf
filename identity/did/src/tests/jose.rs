//! Compact JWS: signing, and the headers that are refused.

use aval_codec::{Json, b64u};
use proptest::prelude::*;

use super::{key, signing_key};
use crate::jose::{CompactJws, HeaderRules, JoseError, ProtectedHeader, signing_input};
use crate::{Algorithm, SigningKey};

const RULES: HeaderRules<'static> = HeaderRules { typ: "test+jwt", members: &["kid"] };

fn signed(header: &str) -> CompactJws {
    let signature = signing_key(1).sign(&signing_input(header.as_bytes(), b"{}"));
    CompactJws { protected_raw: header.into(), payload_raw: b"{}".to_vec(), signature }
}

fn refusal(header: &str) -> &'static str {
    signed(header).verify(&RULES, &key(1)).unwrap_err().code()
}

#[test]
fn a_jws_is_signed_taken_apart_and_verified() {
    for signer in [signing_key(1), SigningKey::p256_from_seed(&[1; 32]).unwrap()] {
        let header = ProtectedHeader::new(signer.algorithm(), "test+jwt", Some("did:x:y#1"));
        let text = CompactJws::sign(&header, b"{\"a\":1}", &signer).unwrap().to_compact();
        let jws = CompactJws::parse(&text, 1000).unwrap();
        assert_eq!(jws.to_compact(), text);
        let read = jws.verify(&RULES, &signer.public()).unwrap();
        assert_eq!((read.kid.as_deref(), jws.payload_raw.as_slice()), (Some("did:x:y#1"), &b"{\"a\":1}"[..]));
        assert_eq!(jws.verify(&RULES, &key(9)).unwrap_err().code().split('.').next(), Some("jose"));
        let other_type = HeaderRules { typ: "other", ..RULES };
        assert_eq!(jws.verify(&other_type, &signer.public()), Err(JoseError::Type));
    }
}

#[test]
fn none_and_confused_algorithms_do_not_exist() {
    for alg in ["none", "None", "NONE", "", "HS256", "RS256", "ES384", "eddsa", "Ed25519", "ES256K"] {
        assert_eq!(refusal(&format!(r#"{{"alg":"{alg}","typ":"test+jwt"}}"#)), "jose.algorithm", "{alg}");
    }
    assert_eq!(refusal(r#"{"typ":"test+jwt"}"#), "jose.algorithm");
    assert_eq!(refusal(r#"{"alg":["EdDSA"],"typ":"test+jwt"}"#), "jose.algorithm");
    // The key is Ed25519; the header says otherwise.
    assert_eq!(refusal(r#"{"alg":"ES256","typ":"test+jwt"}"#), "jose.algorithm");
    assert!(signed(r#"{"alg":"EdDSA","typ":"test+jwt"}"#).verify(&RULES, &key(1)).is_ok());
    let header = ProtectedHeader::new(Algorithm::Es256, "test+jwt", None);
    assert!(CompactJws::sign(&header, b"", &signing_key(1)).is_err());
}

#[test]
fn header_members_from_outside_are_refused() {
    for member in [
        r#""jku":"https://evil.example/""#,
        r#""x5u":"https://evil.example/""#,
        r#""x5c":["AA"]"#,
        r#""crit":["exp"]"#,
        r#""b64":false"#,
        r#""jwk":{}"#,
        r#""extra":1"#,
        r#""kid":1"#,
        r#""alg":"EdDSA""#,
    ] {
        let header = format!(r#"{{"alg":"EdDSA","typ":"test+jwt",{member}}}"#);
        assert_eq!(refusal(&header), "jose.header", "{member}");
        let loose = HeaderRules { typ: "test+jwt", members: &["jku", "x5u", "x5c", "crit", "b64"] };
        assert!(signed(&header).header(&loose).is_err(), "{member}");
    }
    let proof = HeaderRules { typ: "test+jwt", members: &["jwk"] };
    let header = ProtectedHeader::new(Algorithm::EdDsa, "test+jwt", None).with("jwk", key(1).to_jwk());
    let jws = CompactJws::sign(&header, b"{}", &signing_key(1)).unwrap();
    assert_eq!(jws.header(&proof).unwrap().member("jwk"), Some(&key(1).to_jwk()));
    assert_eq!(signed("[]").header(&RULES).unwrap_err().code(), "jose.header");
    assert_eq!(Json::from("x").as_str(), Some("x"));
}

#[test]
fn text_that_is_not_three_canonical_parts_is_refused() {
    let text = signed(r#"{"alg":"EdDSA","typ":"test+jwt"}"#).to_compact();
    for bad in [
        text.replacen('.', "", 1),
        format!("{text}.x"),
        format!("{text}="),
        format!(" {text}"),
        text[..text.len() - 1].to_owned(),
        text.replacen('.', "+.", 1),
        "..".into(),
        String::new(),
    ] {
        assert_eq!(CompactJws::parse(&bad, 10_000), Err(JoseError::Malformed), "{bad}");
    }
    assert_eq!(CompactJws::parse(&text, text.len() - 1), Err(JoseError::TooLarge));
    let short = format!("{}.{}.{}", b64u::encode("{}"), b64u::encode("{}"), b64u::encode([0; 63]));
    assert_eq!(CompactJws::parse(&short, 1000), Err(JoseError::Malformed));
}

proptest! {
    #[test]
    fn one_changed_bit_breaks_the_signature(bit in 0usize..8 * 64, payload in any::<Vec<u8>>()) {
        let header = ProtectedHeader::new(Algorithm::EdDsa, "test+jwt", None);
        let mut jws = CompactJws::sign(&header, &payload, &signing_key(1)).unwrap();
        prop_assert!(jws.verify(&RULES, &key(1)).is_ok());
        jws.signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(jws.verify(&RULES, &key(1)).is_err());
    }
}
