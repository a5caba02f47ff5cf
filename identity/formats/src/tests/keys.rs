use crate::{FormatError, KeyType, SigningKey, VerificationKey};
use serde_json::json;

const KINDS: [KeyType; 4] = [KeyType::Ed25519, KeyType::P256, KeyType::P384, KeyType::P521];

#[test]
fn a_key_survives_every_form_and_signs_in_each() {
    for kind in KINDS {
        let key = SigningKey::generate(kind);
        let public = key.public();
        assert_eq!(public.kind(), kind);
        assert_eq!(VerificationKey::from_multikey(&public.to_multikey()), Ok(public));
        assert_eq!(VerificationKey::from_jwk(&public.to_jwk()), Ok(public));
        assert_eq!(VerificationKey::from_bytes(kind, public.as_bytes()), Ok(public));
        for again in [
            SigningKey::from_secret(kind, &key.to_secret()).unwrap(),
            SigningKey::from_multikey(&key.to_multikey()).unwrap(),
            SigningKey::from_jwk(&key.to_jwk()).unwrap(),
        ] {
            let signature = again.sign(b"text");
            assert_eq!(signature.len(), kind.signature_bytes());
            assert_eq!(public.verify(b"text", &signature, "text"), Ok(()));
            assert_eq!(public.verify(b"other", &signature, "text"), Err(FormatError::Signature("text")));
            assert!(public.verify(b"text", &signature[1..], "text").is_err());
        }
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037() {
    // RFC 8037 appendix A.3.
    let jwk = json!({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let thumbprint = VerificationKey::from_jwk(&jwk).unwrap().thumbprint();
    assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn what_is_not_a_public_key_is_refused_with_its_reason() {
    let key = SigningKey::generate(KeyType::P384);
    let code = |jwk: &serde_json::Value| VerificationKey::from_jwk(jwk).unwrap_err().code();
    assert_eq!(code(&key.to_jwk()), "key.private");
    let mut jwk = key.public().to_jwk();
    jwk["y"] = jwk["x"].clone();
    assert_eq!(code(&jwk), "key.malformed");
    let mut jwk = key.public().to_jwk();
    jwk["alg"] = json!("ES256");
    assert_eq!(code(&jwk), "key.malformed");
    assert_eq!(code(&json!({"kty": "RSA", "n": "AA", "e": "AQAB"})), "key.unsupported");
    assert_eq!(code(&json!({"kty": "oct", "k": "AA"})), "key.private");
    let multikey = |text: &str| VerificationKey::from_multikey(text).unwrap_err();
    assert_eq!(multikey(&key.to_multikey()).code(), "key.private");
    // A key for agreement, of a type that others use: not wrong, but nothing that can verify here.
    assert!(multikey("z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc").is_undecided());
    assert_eq!(multikey("z6Mk").code(), "key.malformed");
    assert_eq!(multikey(&format!("z{}", "1".repeat(104))).code(), "format.oversized");
}
