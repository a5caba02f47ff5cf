//! Texts: strict JSON, genesis files, policies, schemas, access tokens.

use aval_codec::b64u;
use aval_codec::json::{self, Json, Limits};
use aval_credential::Schema;
use aval_machine::genesis_changes;
use aval_machine::policy::{Input, Policy, self_lock};
use aval_proof::TrustAnchor;
use aval_types::access::{AccessRequest, AccessToken};
use aval_types::{Action, Genesis, SchemaHash};

use crate::seeds;

/// The strict reader, beside a lenient one that is not ours.
pub(crate) fn json(bytes: &[u8]) -> bool {
    let Ok(value) = json::parse(bytes, Limits::default()) else { return false };
    let canonical = value.to_jcs();
    assert_eq!(
        json::parse(&canonical, Limits::bytes(1 << 20)),
        Ok(value.clone()),
        "canonical is not the same"
    );
    assert_eq!(json::to_jcs(&value), Ok(canonical.clone()), "two ways to the canonical form differ");
    let other: serde_json::Value = serde_json::from_slice(bytes).expect("strict JSON is JSON");
    let canonical: serde_json::Value = serde_json::from_slice(&canonical).expect("canonical JSON is JSON");
    assert_eq!(other, canonical, "another reader sees another value");
    true
}

/// A genesis file.
pub(crate) fn genesis(bytes: &[u8]) -> bool {
    let anchor = TrustAnchor::from_genesis(bytes);
    let Ok(genesis) = Genesis::parse(bytes) else {
        assert!(anchor.is_err(), "a wallet trusts a genesis file that no node reads");
        return false;
    };
    assert_eq!(Genesis::parse(&genesis.to_bytes()).as_ref(), Ok(&genesis));
    let anchor = anchor.expect("a wallet reads what a node reads");
    assert_eq!(anchor.network().genesis(), Genesis::hash_of(bytes));
    assert_eq!(anchor.validators().count(), genesis.validator_keys().len());
    let changes = genesis_changes(&genesis).ok();
    assert_eq!(genesis_changes(&genesis).ok(), changes, "two nodes begin differently");
    true
}

/// A policy text.
pub(crate) fn policy(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(policy) = Policy::parse(text) else { return false };
    let again = Policy::parse(text).expect("read once, read twice");
    assert_eq!(policy.hash(), again.hash());
    let _ = self_lock(&policy);
    for action in Action::KINDS {
        for governor in [false, true] {
            let input = Input { action, governor, accreditation: "none", ..Input::default() };
            let decision = policy.decide(&input);
            assert_eq!(again.decide(&input), decision, "two nodes decide differently");
            assert!(!(decision.failed && decision.verdict().is_ok()), "an error allows");
            if decision.allowed {
                assert!(!policy.could_permit(action).is_empty(), "nobody permits what is allowed");
            }
        }
    }
    true
}

/// A JSON Schema and, after a zero byte, a value that is judged by it.
pub(crate) fn json_schema(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let read = |part: Option<&[u8]>| json::parse(part.unwrap_or_default(), Limits::default()).ok();
    let Some(text) = read(parts.next()) else { return false };
    let Ok(schema) = Schema::compile(&text) else { return false };
    let canonical = json::parse(&text.to_jcs(), Limits::bytes(1 << 20)).expect("canonical is read");
    assert_eq!(Schema::compile(&canonical).as_ref(), Ok(&schema));
    let hash = SchemaHash::of(&text);
    assert_eq!(SchemaHash::from_urn(&hash.urn()).ok(), Some(hash));
    let Some(value) = read(parts.next()) else { return true };
    let verdict = schema.validate_value(&value);
    assert_eq!(schema.validate_value(&value), verdict, "two nodes judge differently");
    if let Json::Object(members) = &value {
        assert_eq!(schema.validate(members), verdict);
    }
    true
}

/// An access token as it arrives; or header and claims, with a zero byte between them, that somebody signed.
pub(crate) fn access_token(bytes: &[u8]) -> bool {
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let (header, claims) = bytes.split_at(at);
        let signed = format!("{}.{}", b64u::encode(header), b64u::encode(&claims[1..]));
        let signature = b64u::encode(seeds::key().sign(signed.as_bytes()));
        let token = AccessToken::parse(&format!("{signed}.{signature}"));
        let is_ours = |token: AccessToken| token.kid().key() == seeds::key().public();
        assert!(token.is_err() || token.is_ok_and(is_ours), "another's signature is good");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(token) = AccessToken::parse(text) else { return false };
    assert_eq!(token.did(), token.kid().did(), "it speaks for another than who signed");
    let request = AccessRequest::new("GET", "/never/asked", b"");
    let now_s = token.expires_s().saturating_sub(1);
    assert!(token.expect("zNode", &request, now_s).is_err(), "it opens a request that nobody signed");
    let mut other = text.to_owned();
    let last = other.pop();
    other.push(if last == Some('A') { 'Q' } else { 'A' });
    assert!(AccessToken::parse(&other).is_err(), "two signatures are good for one token");
    true
}
