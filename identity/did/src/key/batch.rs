//! Verifying many signatures at once.
//!
//! Ed25519 signatures are checked by one random linear combination (`ed25519-zebra`). If a batch fails, it is halved
//! until the bad ones are found, so that each signature gets the answer it would get alone. The combination's
//! coefficients come from a hash over everything that is queued, not from the system: the outcome then is a function
//! of the input, and this crate needs no source of randomness to verify. A forger would have to find an input whose
//! own hash cancels its error, which is as hard as guessing 128 bits.

use aval_codec::{Hash, sha256};
use ed25519_zebra::batch;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature as P256Signature, VerifyingKey as P256Key};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{KeyError, PublicKey, is_es256_low_s};

/// Below this many, halving costs more than it saves.
const BATCH_LENGTH_MIN: usize = 4;

/// A queue of signatures and the answer for each. ES256 is verified one by one and, as in a block, only with low S.
#[derive(Default)]
pub struct BatchVerifier {
    ed25519: Vec<(usize, batch::Item, Hash)>,
    verdicts: Vec<bool>,
}

impl BatchVerifier {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many signatures have been queued.
    pub fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// True if nothing has been queued.
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// Queues a signature by `key` over `message`. The message is hashed now and need not outlive the call.
    pub fn queue(&mut self, key: &PublicKey, message: &[u8], signature: &[u8; 64]) {
        let index = self.verdicts.len();
        match key {
            PublicKey::Ed25519(bytes) => {
                let parsed = ed25519_zebra::Signature::from_bytes(signature);
                let item = batch::Item::from(((*bytes).into(), parsed, message));
                let digest = sha256(&[bytes, signature.as_slice(), sha256(message).as_ref()].concat());
                self.ed25519.push((index, item, digest));
                self.verdicts.push(false);
            }
            PublicKey::P256(bytes) => {
                self.verdicts.push(verify_p256(bytes, message, signature).is_ok());
            }
        }
    }

    /// The verdicts in the order of queueing: the same as `verify_strict_low_s` would give for each.
    pub fn verify(mut self) -> Vec<bool> {
        settle(&self.ed25519, &mut self.verdicts);
        self.verdicts
    }
}

fn settle(items: &[(usize, batch::Item, Hash)], verdicts: &mut [bool]) {
    let mut set = |index: usize, verdict| {
        if let Some(place) = verdicts.get_mut(index) {
            *place = verdict;
        }
    };
    if items.len() < BATCH_LENGTH_MIN {
        for (index, item, _) in items {
            set(*index, item.clone().verify_single().is_ok());
        }
    } else if verify_together(items) {
        items.iter().for_each(|(index, ..)| set(*index, true));
    } else {
        let (left, right) = items.split_at(items.len() / 2);
        settle(left, verdicts);
        settle(right, verdicts);
    }
}

fn verify_together(items: &[(usize, batch::Item, Hash)]) -> bool {
    let mut batch = batch::Verifier::new();
    let mut seed = Vec::with_capacity(items.len() * Hash::LENGTH);
    for (_, item, digest) in items {
        batch.queue(item.clone());
        seed.extend_from_slice(digest.as_ref());
    }
    batch.verify(StdRng::from_seed(sha256(&seed).to_bytes())).is_ok()
}

fn verify_p256(key: &[u8; 33], message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
    if !is_es256_low_s(signature) {
        return Err(KeyError::Signature);
    }
    let key = P256Key::from_sec1_bytes(key).map_err(|_| KeyError::OffCurve)?;
    let signature = P256Signature::from_slice(signature).map_err(|_| KeyError::Signature)?;
    key.verify(message, &signature).map_err(|_| KeyError::Signature)
}
