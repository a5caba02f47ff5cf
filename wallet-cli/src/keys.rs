//! Keys, all derived from the vault's entropy, so that the 24 words bring every one of them back.
//!
//! `seed = BIP-39 seed of the 24 words (empty BIP-39 passphrase)`, and the private key on a path is
//! `HKDF-SHA-256(salt = "aval/wallet/1", input = seed, info = path, 32 bytes)`, used as an Ed25519 seed.
//!
//! | path | key |
//! |---|---|
//! | `holder/<n>` | the n-th key that a credential was bound to, then an authentication key of the DID made by it |
//! | `did/<i>/control/<generation>/<k>` | the k-th control key of the i-th DID after so many rotations |
//! | `did/<i>/document/<n>` | the n-th document key of the i-th DID that is not a holder key |
//!
//! Every family is counted up in the vault and no number is used twice, so that a recovery can walk the paths in
//! order.

use aval_did::key::SigningKey;
use bip39::Mnemonic;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::WalletError;
use crate::vault::{Entropy, StoredKey};

const SALT: &[u8] = b"aval/wallet/1";

/// The path of a credential's key.
pub fn holder_path(number: u32) -> String {
    format!("holder/{number}")
}

/// The path of a control key.
pub fn control_path(did: u32, generation: u32, number: u32) -> String {
    format!("did/{did}/control/{generation}/{number}")
}

/// The path of a document key.
pub fn document_path(did: u32, number: u32) -> String {
    format!("did/{did}/document/{number}")
}

/// The 24 words of an entropy.
pub fn words(entropy: &Entropy) -> Result<Zeroizing<String>, WalletError> {
    let mnemonic = mnemonic(entropy)?;
    let mut words = Zeroizing::new(String::with_capacity(24 * 9));
    for word in mnemonic.words() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    Ok(words)
}

/// Derives keys for the time of one command.
pub struct KeyRing {
    derivation: Hkdf<Sha256>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyRing(…)")
    }
}

impl KeyRing {
    /// Prepares the derivation.
    pub fn new(entropy: &Entropy) -> Result<Self, WalletError> {
        let seed = Zeroizing::new(mnemonic(entropy)?.to_seed_normalized(""));
        Ok(Self { derivation: Hkdf::new(Some(SALT), seed.as_slice()) })
    }

    /// The private key on a path.
    pub fn signing_key(&self, path: &str) -> Result<SigningKey, WalletError> {
        let mut seed = Zeroizing::new([0u8; 32]);
        self.derivation
            .expand(path.as_bytes(), seed.as_mut())
            .map_err(|_| WalletError::Failed("a key could not be derived".to_owned()))?;
        Ok(SigningKey::from_seed(&seed))
    }

    /// The public half on a path, as the vault notes it.
    pub fn stored(&self, path: String) -> Result<StoredKey, WalletError> {
        let public = self.signing_key(&path)?.public().to_multikey();
        Ok(StoredKey { path, public })
    }

    /// The private half of a noted key. The vault noting another public key than the path gives means that it belongs
    /// to another entropy: signing with it would produce nothing of use.
    pub fn private(&self, stored: &StoredKey) -> Result<SigningKey, WalletError> {
        let key = self.signing_key(&stored.path)?;
        if key.public().to_multikey() != stored.public {
            let message = format!("the key on path {} is not the one noted in the vault", stored.path);
            return Err(WalletError::Failed(message));
        }
        Ok(key)
    }
}

fn mnemonic(entropy: &Entropy) -> Result<Mnemonic, WalletError> {
    Mnemonic::from_entropy(entropy.as_bytes())
        .map_err(|_| WalletError::Failed("the entropy gives no words".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_known_entropy_are_those_of_the_bip_39_vectors() {
        let words = words(&Entropy::for_test(0x7f)).unwrap();
        assert!(words.starts_with("legal winner thank year wave sausage worth useful"));
        assert_eq!(words.split(' ').count(), 24);
    }

    #[test]
    fn a_path_always_gives_the_same_key_and_another_path_another_one() {
        let ring = KeyRing::new(&Entropy::for_test(1)).unwrap();
        let again = KeyRing::new(&Entropy::for_test(1)).unwrap();
        let other = KeyRing::new(&Entropy::for_test(2)).unwrap();
        let control = ring.stored(control_path(0, 0, 0)).unwrap();
        assert_eq!(control, again.stored(control_path(0, 0, 0)).unwrap());
        assert_ne!(control.public, other.stored(control_path(0, 0, 0)).unwrap().public);
        assert_ne!(control.public, ring.stored(control_path(0, 1, 0)).unwrap().public);
        assert!(other.private(&control).is_err());
        assert_eq!(ring.private(&control).unwrap().public().to_multikey(), control.public);
        assert!(!format!("{ring:?}").contains(|character: char| character.is_ascii_digit()));
    }
}
