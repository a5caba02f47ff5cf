//! Tests of the whole crate, with fixed keys: key number n comes from the seed of 32 bytes n.

mod document;
mod holder;
mod rules;
mod syntax;
mod vectors;

use crate::control::control_key_hash;
use crate::document::{Document, Service, VerificationMethod};
use crate::{Control, Create, NextControl, PublicKey, SigningKey};

pub(crate) const NETWORK: &str = "demo";
pub(crate) const TIME_MS: u64 = 1_800_000_000_000;

pub(crate) fn signing_key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

pub(crate) fn key(number: u8) -> PublicKey {
    signing_key(number).public()
}

pub(crate) fn p256_key(number: u8) -> PublicKey {
    SigningKey::p256_from_seed(&[number; 32]).unwrap().public()
}

pub(crate) fn keys(numbers: &[u8]) -> Vec<PublicKey> {
    numbers.iter().copied().map(key).collect()
}

pub(crate) fn control(threshold: u32, current: &[u8], next_threshold: u32, next: &[u8]) -> Control {
    let hashes = keys(next).iter().map(control_key_hash).collect();
    Control { threshold, keys: keys(current), next: NextControl { threshold: next_threshold, hashes } }
}

pub(crate) fn document(authentication: u8) -> Document {
    Document {
        verification_method: vec![VerificationMethod::multikey("#key-1", &key(authentication))],
        authentication: vec!["#key-1".into()],
        assertion_method: vec!["#key-1".into()],
        ..Document::default()
    }
}

pub(crate) fn service(id: &str) -> Service {
    Service { id: id.into(), service_type: "Hub".into(), service_endpoint: "https://hub.example/".into() }
}

/// Control by key 1, which key 2 follows; document key 101.
pub(crate) fn create() -> Create {
    Create::new(NETWORK, control(1, &[1], 1, &[2]), document(101)).unwrap()
}
