//! Multikey text: `z` and base58btc over a two-byte multicodec prefix and the key (Controlled Identifiers 1.0 §2.2.2).

use std::sync::{Mutex, PoisonError};

use super::{KeyError, PublicKey};
use crate::base58;

const ED25519: [u8; 2] = [0xed, 0x01];
const P256: [u8; 2] = [0x80, 0x24];
const X25519: [u8; 2] = [0xec, 0x01];

/// Longest multikey that is read: a P-256 key has 49 characters, and base58 decoding takes quadratic time.
const TEXT_LENGTH_MAX: usize = 64;

/// A key for key agreement. It is carried, never used, by this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X25519PublicKey(pub [u8; 32]);

impl X25519PublicKey {
    /// Reads a multikey, `z6LS…`.
    pub fn from_multikey(text: &str) -> Result<Self, KeyError> {
        match split(text)? {
            (X25519, key) => key.try_into().map(X25519PublicKey).map_err(|_| KeyError::Malformed),
            _ => Err(KeyError::Malformed),
        }
    }

    /// The multikey, `z6LS…`.
    pub fn to_multikey(&self) -> String {
        join(X25519, &self.0)
    }
}

/// True for text that reads as a multikey of any type known here.
pub fn is_multikey_like(text: &str) -> bool {
    matches!(split(text), Ok((ED25519 | P256 | X25519, _)))
}

pub(super) fn encode(key: &PublicKey) -> String {
    match key {
        PublicKey::Ed25519(bytes) => join(ED25519, bytes),
        PublicKey::P256(bytes) => join(P256, bytes),
    }
}

pub(super) fn decode(text: &str) -> Result<PublicKey, KeyError> {
    RECENT.get_or_decode(text, decode_checked)
}

fn decode_checked(text: &str) -> Result<PublicKey, KeyError> {
    match split(text)? {
        (ED25519, key) => PublicKey::ed25519(&key),
        // The multikey form of a P-256 key is compressed; an uncompressed one would be a second spelling.
        (P256, key) if key.len() == 33 => PublicKey::p256(&key),
        _ => Err(KeyError::Malformed),
    }
}

/// Keys that were read lately. The same few keys come up several times for every transaction (in its kid, its
/// document, the DID's record), and checking a point costs as much as a quarter of a signature. Reading is a pure
/// function of the text, so remembering its outcome changes nothing but the time that it takes.
static RECENT: Recent = Recent { shards: [const { Mutex::new(Vec::new()) }; SHARDS] };

const SHARDS: usize = 64;
const SHARD_KEYS: usize = 256;

/// The places of one shard; empty until the first key comes.
type Shard = Mutex<Vec<Option<(String, PublicKey)>>>;

/// A bounded memory of good keys: each text has one place, and the newest text takes it.
struct Recent {
    shards: [Shard; SHARDS],
}

impl Recent {
    fn get_or_decode(
        &self,
        text: &str,
        decode: impl FnOnce(&str) -> Result<PublicKey, KeyError>,
    ) -> Result<PublicKey, KeyError> {
        if text.len() > TEXT_LENGTH_MAX {
            return Err(KeyError::Malformed);
        }
        // FNV-1a. Somebody who makes texts collide makes their own keys slow, no slower than without a memory.
        let step = |hash: usize, byte: u8| (hash ^ usize::from(byte)).wrapping_mul(0x0100_0193);
        let hash = text.bytes().fold(0x811c_9dc5, step);
        let Some(shard) = self.shards.get(hash % SHARDS) else { return decode(text) };
        let place = hash / SHARDS % SHARD_KEYS;
        {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Some((known, key))) = shard.get(place)
                && known == text
            {
                return Ok(*key);
            }
        }
        let key = decode(text)?;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.is_empty() {
            shard.resize(SHARD_KEYS, None);
        }
        if let Some(entry) = shard.get_mut(place) {
            *entry = Some((text.to_owned(), key));
        }
        Ok(key)
    }
}

fn join(codec: [u8; 2], key: &[u8]) -> String {
    let bytes = [codec.as_slice(), key].concat();
    format!("z{}", base58::encode(&bytes))
}

fn split(text: &str) -> Result<([u8; 2], Vec<u8>), KeyError> {
    let digits =
        text.strip_prefix('z').filter(|_| text.len() <= TEXT_LENGTH_MAX).ok_or(KeyError::Malformed)?;
    let bytes = base58::decode(digits).ok_or(KeyError::Malformed)?;
    let (codec, key) = bytes.split_first_chunk::<2>().ok_or(KeyError::Malformed)?;
    Ok((*codec, key.to_vec()))
}
