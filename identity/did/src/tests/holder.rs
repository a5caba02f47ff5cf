//! `did:key` and `did:jwk`.

use super::{key, p256_key};
use crate::PublicKey;
use crate::holder::HolderDid;

#[test]
fn did_key_of_the_method_specification_is_read() {
    let did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    let holder = HolderDid::parse(did).unwrap();
    assert_eq!(holder.key_id(), format!("{did}#z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"));
    assert!(matches!(holder.public_key(), PublicKey::Ed25519(_)));
    let p256 = HolderDid::parse("did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169").unwrap();
    assert!(matches!(p256.public_key(), PublicKey::P256(_)));
    assert_eq!(p256.did_document().authentication, [p256.key_id()]);
}

#[test]
fn did_jwk_of_the_method_specification_is_read() {
    // Example 1 of the did:jwk method, a P-256 key with a member order of its own.
    let did = "did:jwk:eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6OTFQSDZDZEgyVjAiLCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9";
    let holder = HolderDid::parse(did).unwrap();
    assert_eq!(holder.key_id(), format!("{did}#0"));
    assert_eq!(HolderDid::key_of(&holder.key_id()).unwrap(), *holder.public_key());
    assert_eq!(holder.did_document().id, did);
}

#[test]
fn both_methods_round_trip() {
    for key in [key(1), p256_key(1)] {
        for holder in [HolderDid::did_key(&key), HolderDid::did_jwk(&key)] {
            assert_eq!(HolderDid::parse(holder.as_str()).unwrap(), holder);
            assert_eq!(HolderDid::key_of(&holder.key_id()).unwrap(), key);
            assert!(crate::syntax::is_did(holder.as_str()));
        }
    }
}

#[test]
fn a_key_id_of_another_fragment_is_refused() {
    let (one, other) = (HolderDid::did_key(&key(1)), HolderDid::did_key(&key(2)));
    let foreign = format!("{}#{}", one.as_str(), other.public_key());
    assert_eq!(HolderDid::key_of(&foreign).unwrap_err().code(), "did.key_not_in_document");
    let jwk = HolderDid::did_jwk(&key(1));
    assert!(HolderDid::key_of(&format!("{}#1", jwk.as_str())).is_err());
    assert!(HolderDid::key_of(jwk.as_str()).is_err());
}

#[test]
fn broken_holder_dids_are_refused() {
    let private = aval_codec::b64u::encode(r#"{"crv":"Ed25519","d":"AA","kty":"OKP","x":"AA"}"#);
    let weak = PublicKey::Ed25519([0; 32]).to_multikey();
    for did in [
        "did:key:".to_owned(),
        "did:key:z6Mk".to_owned(),
        format!("did:key:{weak}"),
        "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc".to_owned(),
        format!("did:jwk:{private}"),
        "did:jwk:e30".to_owned(),
        "did:jwk:e30=".to_owned(),
        "did:web:example.com".to_owned(),
        "did:jwk".to_owned(),
    ] {
        assert_eq!(HolderDid::parse(&did).unwrap_err().code(), "did.invalid", "{did}");
    }
}
