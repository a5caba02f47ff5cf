//! Identifiers, keys, DID documents and operations, and presentations of credentials.

use std::sync::LazyLock;

use aval_codec::{Json, Limits as JsonLimits, b64u, json};
use aval_credential::key_binding::with_low_s;
use aval_credential::{Expectation, KeyBindingPolicy, Limits, Presentation, SdJwt, jws, sd_jwt, verify};
use aval_did::holder::HolderDid;
use aval_did::resolution::{ResolutionOptions, ResolutionResult, parse_identifier, parse_time};
use aval_did::syntax::percent_decode;
use aval_did::{Did, DidRecord, DidUrl, Operation, PublicKey, VersionId, rules};

use crate::seeds::{self, vectors};

/// Identifiers, in paths and in documents.
pub(crate) fn did(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut is_read = false;
    if let Ok(did) = text.parse::<Did>() {
        is_read = true;
        assert_eq!(did.to_string(), text, "a DID has two spellings");
        assert_eq!(Did::new(did.network(), &did.inception()).as_ref(), Ok(&did));
        assert_eq!(parse_identifier(text, did.network()).as_ref(), Ok(&did));
        assert!(parse_identifier(text, "another").is_err() || did.network() == "another");
    }
    if let Ok(url) = text.parse::<DidUrl>() {
        is_read = true;
        assert_eq!(url.to_string(), text, "a DID URL has two spellings");
        let _ = (url.parameter("service"), url.method().len());
        assert_eq!(url.aval().is_ok(), url.did.parse::<Did>().is_ok());
    }
    if let Ok(version) = text.parse::<VersionId>() {
        assert_eq!(version.to_string(), text, "a version id has two spellings");
    }
    if let Ok(holder) = HolderDid::parse(text) {
        assert_eq!(HolderDid::key_of(&holder.key_id()).as_ref(), Ok(holder.public_key()));
    }
    let _ = (percent_decode(text), parse_time(text));
    let _ = (ResolutionOptions::parse(Some(text), None), ResolutionOptions::parse(None, Some(text)));
    is_read
}

/// Public keys as multikeys and as JWKs.
pub(crate) fn public_key(bytes: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = PublicKey::from_multikey(text)
    {
        assert_eq!(key.to_multikey(), text, "a multikey has two spellings");
        return true;
    }
    let Ok(value) = json::parse(bytes, JsonLimits::default()) else { return false };
    let Ok(key) = PublicKey::from_jwk(&value) else { return false };
    assert_eq!(PublicKey::from_jwk(&key.to_jwk()).as_ref(), Ok(&key));
    assert_eq!(PublicKey::from_multikey(&key.to_multikey()).as_ref(), Ok(&key));
    assert_eq!(key.thumbprint().len(), 43);
    true
}

/// A DID as the ledger holds it and as a resolver hands it out.
pub(crate) fn record(bytes: &[u8]) -> bool {
    if let Ok(result) = json::from_slice::<ResolutionResult>(bytes, JsonLimits::default()) {
        let text = json::to_jcs(&result).expect("what was read can be written");
        assert_eq!(json::from_slice(&text, JsonLimits::bytes(1 << 20)), Ok(result));
    }
    let Ok(record) = DidRecord::from_bytes(bytes) else { return false };
    assert_eq!(DidRecord::from_bytes(&record.to_bytes()).as_ref(), Ok(&record));
    let document = record.did_document();
    assert_eq!(document.id, record.did.to_string());
    let _ = record.document.validate();
    true
}

/// An operation on a DID.
pub(crate) fn operation(bytes: &[u8]) -> bool {
    let Ok(value) = json::parse(bytes, JsonLimits::default()) else { return false };
    let Ok(operation) = Operation::from_json(value) else { return false };
    if operation.validate().is_err() {
        return false;
    }
    let version = operation.version_id();
    let network = operation.did().network();
    if let Operation::Create(create) = &operation {
        let keys = create.control.keys.to_vec();
        if let Ok(record) = rules::apply(None, network, &operation, &keys, 1) {
            assert_eq!((&record.did, &record.version_id), (operation.did(), &version));
            assert!(rules::apply(Some(&record), network, &operation, &keys, 2).is_err(), "made twice");
            assert_eq!(DidRecord::from_bytes(&record.to_bytes()).as_ref(), Ok(&record));
        }
        assert!(rules::apply(None, network, &operation, &[], 1).is_err(), "made by nobody");
    } else {
        assert!(rules::apply(None, network, &operation, &[], 1).is_err(), "changed before it is there");
    }
    true
}

/// The vectors' issuer key, and the key id that it belongs to.
struct Issuer {
    key: PublicKey,
    key_id: String,
    now_s: i64,
}

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let file = vectors("sd-jwt/presentations");
    Issuer {
        key: PublicKey::from_jwk(file.get("issuerKey").expect("a key")).expect("a key that is read"),
        key_id: file.get("keyId").and_then(Json::as_str).expect("a key id").to_owned(),
        now_s: match file.get("now") {
            Some(Json::Int(seconds)) => *seconds,
            _ => panic!("the vectors have a time"),
        },
    }
});

/// A presentation: the witness of a transaction, and what a verifier is shown.
pub(crate) fn presentation(bytes: &[u8]) -> bool {
    let ledger = Presentation::parse(bytes, &Limits::LEDGER);
    let edge = Presentation::parse(bytes, &Limits::EDGE);
    if let Ok(ledger) = &ledger {
        assert_eq!(edge.as_ref(), Ok(ledger), "the wider limits read otherwise");
    }
    let low = with_low_s(bytes);
    assert_eq!(with_low_s(&low), low, "normalizing twice is not normalizing once");
    let Ok(presentation) = edge else { return false };
    let sd_jwt = presentation.sd_jwt();
    assert!(bytes.starts_with(sd_jwt.as_str().as_bytes()), "what was read is not what came");
    assert_eq!(presentation.sd_hash(), aval_codec::sha256(sd_jwt.as_str().as_bytes()));
    let claims = presentation.claims();
    assert!(!claims.contains_key("_sd") && !claims.contains_key("_sd_alg"), "traces of SD-JWT are left");
    let policy = KeyBindingPolicy::Required { nonce: "n", audience: "a", age_max_s: 60 };
    for key_binding in [KeyBindingPolicy::Forbidden, policy] {
        let expectation = Expectation { now_s: ISSUER.now_s, clock_skew_s: 0, key_binding };
        let verdict = verify(&presentation, &expectation, |_, key_id| {
            Ok((key_id == ISSUER.key_id).then_some(ISSUER.key))
        })
        .expect("the key is at hand");
        if verdict.is_valid() {
            assert!(presentation.verify_issuer_signature(&ISSUER.key).is_ok());
            assert!(presentation.credential().check_time(ISSUER.now_s, 0).is_ok());
            let bound = presentation.key_binding().is_some();
            assert_eq!(bound, key_binding != KeyBindingPolicy::Forbidden);
        }
    }
    true
}

/// Lines of JSON: the payload of a credential, then its disclosures, put together as an SD-JWT that its issuer signed.
pub(crate) fn sd_jwt(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Ok(payload) = json::parse(lines.next().unwrap_or_default(), JsonLimits::default()) else {
        return false;
    };
    let mut text = jws::sign(&seeds::key(), sd_jwt::TYPE, Some("did:x:y#key"), &payload) + "~";
    for disclosure in lines {
        text.push_str(&b64u::encode(disclosure));
        text.push('~');
    }
    let Ok(read) = SdJwt::parse(&text, &Limits::LEDGER) else { return false };
    assert!(read.verify_signature(&seeds::key().public()).is_ok());
    assert_eq!(SdJwt::parse(read.as_str(), &Limits::EDGE).as_ref(), Ok(&read));
    let shown = Json::Object(read.claims().clone());
    assert!(!holds_digests(&shown), "digests are left where claims are read");
    presentation(text.as_bytes());
    true
}

/// Whether there is a trace of SD-JWT anywhere in a value.
fn holds_digests(value: &Json) -> bool {
    match value {
        Json::Object(members) => {
            members.iter().any(|(name, value)| name == "_sd" || name == "..." || holds_digests(value))
        }
        Json::Array(items) => items.iter().any(holds_digests),
        _ => false,
    }
}
