//! Control: which keys may change a DID, and which keys come next. Specification §5.
//!
//! Control keys are apart from the keys of the document: a service that signs with a document key all day never holds
//! the key that can replace the document. The next control keys are committed to by hash before anybody has seen them
//! (pre-rotation), so that a thief of the current keys cannot rotate the owner out.

use aval_codec::{Hash, hash, tag};
use serde::{Deserialize, Serialize};

use crate::{DidError, PublicKey};

/// Most control keys, and most commitments to next ones.
pub const CONTROL_KEYS_MAX: usize = 16;

/// The current control keys, how many must sign, and the commitment to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// How many of `keys` must sign an update or a deactivation.
    pub threshold: u32,
    /// The current control keys.
    pub keys: Vec<PublicKey>,
    /// What the next rotation must reveal.
    #[serde(deserialize_with = "aval_codec::json::strictly")]
    pub next: NextControl,
}

/// The commitment to the next control keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextControl {
    /// How many of the committed keys must sign the next rotation.
    pub threshold: u32,
    /// [`control_key_hash`] of each key.
    pub hashes: Vec<Hash>,
}

/// The commitment to one key: a tagged hash of its multikey text.
pub fn control_key_hash(key: &PublicKey) -> Hash {
    hash(tag::CONTROL_KEY, &[key.to_multikey().as_bytes()])
}

impl Control {
    /// One key that one other key follows: the control of a person or a small company.
    pub fn single(current: &PublicKey, next: &PublicKey) -> Self {
        Control {
            threshold: 1,
            keys: vec![*current],
            next: NextControl { threshold: 1, hashes: vec![control_key_hash(next)] },
        }
    }

    /// True if `key` is a current control key.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }

    /// Checks everything that needs no other control or document.
    pub fn validate(&self) -> Result<(), DidError> {
        check_threshold(self.threshold, self.keys.len())?;
        check_threshold(self.next.threshold, self.next.hashes.len())?;
        if !all_different(&self.keys) {
            return Err(DidError::Control("a key is listed twice"));
        }
        if !all_different(&self.next.hashes) {
            return Err(DidError::Control("a next key is committed to twice"));
        }
        if self.keys.iter().any(|key| key.check().is_err()) {
            return Err(DidError::Control("a key is weak or not on its curve"));
        }
        if self.keys.iter().any(|key| self.next.commits_to(key)) {
            return Err(DidError::Control("a current key is also a next key"));
        }
        Ok(())
    }

    /// Checks that `signers` reach the threshold and are all current control keys.
    pub(crate) fn authorize(&self, signers: &[PublicKey]) -> Result<(), DidError> {
        if !signers.iter().all(|key| self.contains(key)) {
            return Err(DidError::Control("a signing key is not a current control key"));
        }
        check_signers(signers, self.threshold)
    }
}

impl NextControl {
    /// True if `key` is one of the committed keys.
    pub fn commits_to(&self, key: &PublicKey) -> bool {
        self.hashes.contains(&control_key_hash(key))
    }

    /// Checks that `signers` reach the threshold and were all committed to.
    pub(crate) fn authorize(&self, signers: &[PublicKey]) -> Result<(), DidError> {
        if !signers.iter().all(|key| self.commits_to(key)) {
            return Err(DidError::Control("a signing key was not committed to"));
        }
        check_signers(signers, self.threshold)
    }
}

fn check_signers(signers: &[PublicKey], threshold: u32) -> Result<(), DidError> {
    if !all_different(signers) {
        return Err(DidError::Control("a key signs twice"));
    }
    if u64::try_from(signers.len()).is_ok_and(|count| count < u64::from(threshold)) {
        return Err(DidError::Control("fewer signatures than the threshold"));
    }
    Ok(())
}

fn check_threshold(threshold: u32, count: usize) -> Result<(), DidError> {
    if !(1..=CONTROL_KEYS_MAX).contains(&count) {
        return Err(DidError::Control("there must be 1 to 16 keys"));
    }
    match usize::try_from(threshold) {
        Ok(threshold) if (1..=count).contains(&threshold) => Ok(()),
        _ => Err(DidError::Control("the threshold is not within 1 and the number of keys")),
    }
}

fn all_different<T: Ord>(items: &[T]) -> bool {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len() == items.len()
}
