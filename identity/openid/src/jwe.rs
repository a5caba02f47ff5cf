//! Encrypted messages: compact JWE with ECDH-ES on P-256 and AES-GCM (RFC 7516, RFC 7518 section 4.6), by `josekit`.
//!
//! `josekit` is given nothing that was not looked at before, because it would take more than the protocols do: any
//! algorithm that it knows, compression without a bound, a tag of a single byte; and OpenSSL's binding under it panics
//! where there is no nonce.

use aval_codec::b64u;
use aval_codec::json::{self, Json};
use aval_did::key::{PublicKey, SigningKey};
use josekit::jwe::{ECDH_ES, JweHeader};
use josekit::jwk::Jwk;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The key agreement.
pub const ALGORITHM: &str = "ECDH-ES";

/// The content encryptions, the preferred first (HAIP 1.0 section 5).
pub const ENCRYPTIONS: [&str; 2] = ["A128GCM", "A256GCM"];

const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// Why a message could not be encrypted or decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JweError {
    /// Not a compact JWE, or one with members that are not allowed.
    #[error("it is not an encrypted message of the kind that is expected: {0}")]
    Malformed(&'static str),
    /// Larger than is read.
    #[error("it is larger than allowed")]
    Oversized,
    /// The key to encrypt to cannot be used.
    #[error("the key to encrypt to is not a P-256 key for ECDH-ES")]
    Key,
    /// Another algorithm than was asked for.
    #[error("its algorithms are not those that were asked for")]
    Algorithm,
    /// It was encrypted to another key, or changed on its way.
    #[error("it cannot be decrypted with this key")]
    Decryption,
}

/// A key of its own for one exchange, to which the other side encrypts.
#[derive(Clone)]
pub struct DecryptionKey {
    id: String,
    key: SigningKey,
}

impl DecryptionKey {
    /// The key of 32 random bytes, which must be below the order of P-256; its id is its thumbprint.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, JweError> {
        let key = SigningKey::p256_from_seed(seed).map_err(|_| JweError::Key)?;
        Ok(Self { id: key.public().thumbprint(), key })
    }

    /// A new key.
    pub fn generate() -> Self {
        let key = SigningKey::generate_p256();
        Self { id: key.public().thumbprint(), key }
    }

    /// Its secret, to be kept with the exchange.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        self.key.to_seed()
    }

    /// The `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key with what the other side must know to use it.
    pub fn public_jwk(&self) -> Json {
        let mut members = self.key.public().to_jwk().into_object().unwrap_or_default();
        for (name, value) in [("alg", ALGORITHM), ("use", "enc"), ("kid", &self.id)] {
            members.insert(name.to_owned(), Json::from(value));
        }
        Json::Object(members)
    }

    /// Decrypts a message of at most `bytes_max` bytes that was encrypted to this key with one of [`ENCRYPTIONS`].
    pub fn decrypt(&self, text: &str, bytes_max: usize) -> Result<Vec<u8>, JweError> {
        let read = check(text, bytes_max)?;
        if read.key_id.as_ref().is_some_and(|id| *id != self.id) {
            return Err(JweError::Decryption);
        }
        let jwk = private_jwk(&self.key)?;
        let mut decrypter = ECDH_ES.decrypter_from_jwk(&jwk).map_err(|_| JweError::Key)?;
        decrypter.remove_key_id();
        let (content, _) =
            josekit::jwe::deserialize_compact(text, &decrypter).map_err(|_| JweError::Decryption)?;
        Ok(content)
    }
}

/// Shows the id alone.
impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DecryptionKey").field("id", &self.id).finish_non_exhaustive()
    }
}

struct Read {
    key_id: Option<String>,
}

/// Looks at every part of a message before it is decrypted.
fn check(text: &str, bytes_max: usize) -> Result<Read, JweError> {
    if text.len() > bytes_max {
        return Err(JweError::Oversized);
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [header, key, iv, content, tag] = parts.as_slice() else {
        return Err(JweError::Malformed("it has not five segments"));
    };
    if !key.is_empty() {
        return Err(JweError::Malformed("it has a wrapped key"));
    }
    let length = |segment: &str| b64u::decode(segment).map(|bytes| bytes.len()).unwrap_or_default();
    if length(iv) != IV_BYTES || length(tag) != TAG_BYTES {
        return Err(JweError::Malformed("its nonce or tag has not the length of the algorithm"));
    }
    // One spelling of each message: `josekit` would ignore bits that say nothing.
    if b64u::decode(content).is_err() {
        return Err(JweError::Malformed("its content is not base64url"));
    }
    if header.len() > HEADER_BYTES_MAX {
        return Err(JweError::Oversized);
    }
    let bytes = b64u::decode(header).map_err(|_| JweError::Malformed("its header is not base64url"))?;
    let limits = json::Limits { bytes_max: HEADER_BYTES_MAX, depth_max: 6 };
    let Ok(Json::Object(header)) = json::parse(&bytes, limits) else {
        return Err(JweError::Malformed("its header is not a JSON object"));
    };
    if header.contains_key("zip") || header.contains_key("crit") {
        return Err(JweError::Malformed("it is compressed or demands an extension"));
    }
    let text = |name: &str| header.get(name).and_then(Json::as_str);
    if text("alg") != Some(ALGORITHM) || !text("enc").is_some_and(|name| ENCRYPTIONS.contains(&name)) {
        return Err(JweError::Algorithm);
    }
    // A point off the curve would give the key away, bit by bit.
    let ephemeral = header.get("epk").ok_or(JweError::Malformed("its ephemeral key is missing"))?;
    match PublicKey::from_jwk(ephemeral) {
        Ok(PublicKey::P256(_)) => {}
        _ => return Err(JweError::Malformed("its ephemeral key is not a P-256 key")),
    }
    Ok(Read { key_id: text("kid").map(str::to_owned) })
}

fn josekit_jwk(members: BTreeMap<String, Json>) -> Result<Jwk, JweError> {
    Jwk::from_bytes(Json::Object(members).to_jcs()).map_err(|_| JweError::Key)
}

fn private_jwk(key: &SigningKey) -> Result<Jwk, JweError> {
    let mut members = key.public().to_jwk().into_object().unwrap_or_default();
    members.insert("d".to_owned(), Json::String(b64u::encode(key.to_seed().as_ref())));
    josekit_jwk(members)
}

/// A key of the other side, as its JWK says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    id: Option<String>,
    key: PublicKey,
}

impl EncryptionKey {
    /// Reads a JWK. It must be a P-256 key for encryption by ECDH-ES.
    pub fn from_jwk(jwk: &Json) -> Result<Self, JweError> {
        let text = |name: &str| jwk.get(name).and_then(Json::as_str);
        if text("use").is_some_and(|usage| usage != "enc") || text("alg").is_some_and(|alg| alg != ALGORITHM)
        {
            return Err(JweError::Key);
        }
        let mut members = jwk.as_object().cloned().unwrap_or_default();
        // The key is read by a reader of signature keys, for which this `alg` would be another's.
        members.remove("alg");
        match PublicKey::from_jwk(&Json::Object(members)) {
            Ok(key @ PublicKey::P256(_)) => Ok(Self { id: text("kid").map(str::to_owned), key }),
            _ => Err(JweError::Key),
        }
    }

    /// The first usable key of a JWK set.
    pub fn of_set(set: &Json) -> Result<Self, JweError> {
        let keys = set.get("keys").and_then(Json::as_array).unwrap_or_default();
        keys.iter().take(16).find_map(|jwk| Self::from_jwk(jwk).ok()).ok_or(JweError::Key)
    }

    /// Encrypts with one of [`ENCRYPTIONS`]. `parties` become `apu` and `apv`, where a protocol wants them.
    pub fn encrypt(
        &self,
        encryption: &str,
        content: &[u8],
        parties: Option<(&[u8], &[u8])>,
    ) -> Result<String, JweError> {
        if !ENCRYPTIONS.contains(&encryption) {
            return Err(JweError::Algorithm);
        }
        let jwk = josekit_jwk(self.key.to_jwk().into_object().unwrap_or_default())?;
        let mut encrypter = ECDH_ES.encrypter_from_jwk(&jwk).map_err(|_| JweError::Key)?;
        if let Some((apu, apv)) = parties {
            encrypter.set_agreement_partyuinfo(apu);
            encrypter.set_agreement_partyvinfo(apv);
        }
        let mut header = JweHeader::new();
        header.set_content_encryption(encryption);
        if let Some(id) = &self.id {
            header.set_key_id(id);
        }
        josekit::jwe::serialize_compact(content, &header, &encrypter).map_err(|_| JweError::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair() -> (DecryptionKey, EncryptionKey) {
        let key = DecryptionKey::from_seed(&[3; 32]).unwrap();
        let public = EncryptionKey::from_jwk(&key.public_jwk()).unwrap();
        (key, public)
    }

    fn with_part(text: &str, index: usize, part: &str) -> String {
        let mut parts: Vec<&str> = text.split('.').collect();
        parts[index] = part;
        parts.join(".")
    }

    fn with_header(text: &str, change: impl FnOnce(&mut BTreeMap<String, Json>)) -> String {
        let bytes = b64u::decode(text.split('.').next().unwrap()).unwrap();
        let mut header = json::parse(&bytes, json::Limits::default()).unwrap().into_object().unwrap();
        change(&mut header);
        with_part(text, 0, &b64u::encode(Json::Object(header).to_jcs()))
    }

    #[test]
    fn what_was_encrypted_is_decrypted_by_the_one_key() {
        let (key, public) = pair();
        for encryption in ENCRYPTIONS {
            for parties in [None, Some((&b"wallet"[..], &b"nonce"[..]))] {
                let text = public.encrypt(encryption, b"claims", parties).unwrap();
                assert_eq!(key.decrypt(&text, 4096).unwrap(), b"claims");
                assert_eq!(key.decrypt(&text, 10), Err(JweError::Oversized));
                let other = DecryptionKey::from_seed(&[4; 32]).unwrap();
                assert_eq!(other.decrypt(&text, 4096), Err(JweError::Decryption));
            }
        }
        assert_eq!(public.encrypt("A128CBC-HS256", b"", None), Err(JweError::Algorithm));
    }

    #[test]
    fn a_key_for_something_else_is_not_encrypted_to() {
        let (key, _) = pair();
        let with = |name: &str, value: &str| {
            let mut members = key.public_jwk().into_object().unwrap();
            members.insert(name.to_owned(), Json::from(value));
            EncryptionKey::from_jwk(&Json::Object(members))
        };
        assert_eq!(with("use", "sig"), Err(JweError::Key));
        assert_eq!(with("alg", "RSA-OAEP"), Err(JweError::Key));
        assert_eq!(with("y", &b64u::encode([7; 32])), Err(JweError::Key));
        let ed25519 = SigningKey::from_seed(&[1; 32]).public().to_jwk();
        assert_eq!(EncryptionKey::from_jwk(&ed25519), Err(JweError::Key));
    }

    #[test]
    fn what_josekit_would_take_or_panic_at_is_refused_before() {
        let (key, public) = pair();
        let text = public.encrypt("A128GCM", b"claims", None).unwrap();
        let refused = |text: &str| key.decrypt(text, 4096).unwrap_err();
        let malformed = |text: String| matches!(refused(&text), JweError::Malformed(_));
        assert!(malformed(with_part(&text, 2, "")), "no nonce");
        assert!(malformed(with_part(&text, 2, &b64u::encode([0; 16]))), "a long nonce");
        let tag = b64u::decode(text.rsplit('.').next().unwrap()).unwrap();
        assert!(malformed(with_part(&text, 4, &b64u::encode(&tag[..4]))), "a short tag");
        assert!(malformed(with_part(&text, 4, "")), "no tag");
        assert!(malformed(with_part(&text, 1, "AAAA")), "a wrapped key");
        let set = |name: &'static str, value: Json| {
            with_header(&text, |header| drop(header.insert(name.to_owned(), value)))
        };
        assert!(malformed(set("zip", "DEF".into())), "compressed");
        assert!(malformed(set("crit", vec![Json::from("exp")].into())), "an extension");
        assert_eq!(refused(&set("alg", "dir".into())), JweError::Algorithm);
        assert_eq!(refused(&set("enc", "A192GCM".into())), JweError::Algorithm);
        assert_eq!(refused(&set("kid", "another".into())), JweError::Decryption);
        let off_curve = Json::from([
            ("kty", "EC".into()),
            ("crv", "P-256".into()),
            ("x", b64u::encode([1; 32]).into()),
            ("y", b64u::encode([1; 32]).into()),
        ]);
        assert!(malformed(set("epk", off_curve)), "a point off the curve");
        // A header that only looks different is another message.
        assert_eq!(refused(&set("apu", "AAAA".into())), JweError::Decryption);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_changed_message_is_decrypted_and_none_panics(position in 0usize..400, letter in "[A-Za-z0-9_.-]") {
            let (key, public) = pair();
            let text = public.encrypt("A256GCM", b"claims", None).unwrap();
            let position = position % text.len();
            let mut changed = text.clone();
            changed.replace_range(position..=position, &letter);
            if changed != text {
                prop_assert!(key.decrypt(&changed, 4096).is_err());
            }
        }
    }
}
