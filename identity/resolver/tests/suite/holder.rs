//! `did:key` and `did:jwk`.

use aval_codec::b64u;
use aval_formats::{KeyType, SigningKey};
use aval_resolver::{CacheBounds, Resolver};
use serde_json::json;

use crate::world::{ask, body, error, refused};

fn resolver() -> Resolver {
    Resolver::new(None, None, CacheBounds::default())
}

#[test]
fn a_key_of_each_type_is_its_own_document() {
    for kind in [KeyType::Ed25519, KeyType::P256, KeyType::P384] {
        let key = SigningKey::generate(kind).public();
        let did = format!("did:key:{key}");
        let document = body(&ask(&resolver(), &did, &["application/did"]));
        let method = format!("{did}#{key}");
        assert_eq!(document["id"], did);
        assert_eq!(document["verificationMethod"][0]["publicKeyMultibase"], key.to_multikey());
        assert_eq!(document["verificationMethod"][0]["controller"], did);
        assert_eq!(document["assertionMethod"], json!([method]));
        assert_eq!(document.get("keyAgreement"), None, "a signature key agrees on nothing");

        let did = format!("did:jwk:{}", b64u::encode(key.to_jwk().to_string()));
        let document = body(&ask(&resolver(), &did, &["application/did"]));
        assert_eq!(document["verificationMethod"][0]["publicKeyJwk"], key.to_jwk());
        assert_eq!(document["authentication"], json!([format!("{did}#0")]));
    }
}

#[test]
fn what_is_no_key_is_no_did() {
    let jwk = |value: serde_json::Value| format!("did:jwk:{}", b64u::encode(value.to_string()));
    let private = SigningKey::generate(KeyType::Ed25519).to_jwk();
    for did in [
        "did:key:z6Mk".to_owned(),
        "did:key:abc".to_owned(),
        format!("did:key:z{}", "6".repeat(500)),
        // The identity, of small order: whoever likes can sign for it.
        "did:key:z6MkeTGyC8DnQUFHzwDmcZRtvsCA2nKwEdJnmrDbgJkuQGM1".to_owned(),
        "did:jwk:!!".to_owned(),
        jwk(json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})),
        jwk(json!({"kty": "EC", "crv": "P-256", "x": b64u::encode([1; 32]), "y": b64u::encode([1; 32])})),
        jwk(private),
        format!("did:jwk:{}", b64u::encode("{\"kty\":\"OKP\",\"kty\":\"OKP\"}")),
    ] {
        assert_eq!(error(&ask(&resolver(), &did, &[])), refused(400, "INVALID_DID"), "{did}");
    }
    let secp256k1 = "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme";
    assert_eq!(error(&ask(&resolver(), secp256k1, &[])), refused(501, "FEATURE_NOT_SUPPORTED"));
}

#[test]
fn a_key_has_one_version_which_is_that_of_any_time() {
    let did = format!("did:key:{}", SigningKey::generate(KeyType::Ed25519).public());
    assert_eq!(ask(&resolver(), &format!("{did}?versionTime=2020-01-01T00:00:00Z"), &[]).status, 200);
    assert_eq!(error(&ask(&resolver(), &format!("{did}?versionId=1"), &[])), refused(404, "NOT_FOUND"));
}

#[test]
fn a_resolver_without_ledger_and_web_says_so() {
    assert_eq!(resolver().methods(), ["key", "jwk"]);
    for did in ["did:aval:demo:x", "did:web:issuer.example", "did:webvh:Qm:issuer.example", "did:example:1"] {
        assert_eq!(error(&ask(&resolver(), did, &[])), refused(501, "METHOD_NOT_SUPPORTED"), "{did}");
    }
}
