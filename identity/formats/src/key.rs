//! Keys of services and wallets: Ed25519, P-256, P-384 and P-521, as Multikey (Controlled Identifiers 1.0 section
//! 2.2.2) and as JWK (RFC 7517, 7518, 8037), both ways.
//!
//! The first two are the ledger's keys and its code does the work; P-384 and P-521 are known only here, the latter for
//! JOSE and COSE: no cryptosuite of Data Integrity knows it. A [`VerificationKey`] is
//! checked when it is made: no point off the curve, no Ed25519 key of small order.

use crate::FormatError;
use aval_codec::b64u;
use aval_did::key::{KeyError, PublicKey};
use p384::ecdsa::signature::{Signer as _, Verifier as _};
use rand::Rng as _;
use serde_json::{Map, Value, json};
use std::fmt;
use zeroize::Zeroizing;

/// A type of key. Each has one signature algorithm and one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// Ed25519 with EdDSA.
    Ed25519,
    /// NIST P-256 with ECDSA and SHA-256.
    P256,
    /// NIST P-384 with ECDSA and SHA-384.
    P384,
    /// NIST P-521 with ECDSA and SHA-512.
    P521,
}

impl KeyType {
    /// The JOSE name of its algorithm.
    pub const fn algorithm(self) -> &'static str {
        match self {
            KeyType::Ed25519 => "EdDSA",
            KeyType::P256 => "ES256",
            KeyType::P384 => "ES384",
            KeyType::P521 => "ES512",
        }
    }

    /// The type of key for a JOSE algorithm. `Ed25519` is the fully specified name of RFC 9864. There are no others:
    /// `none`, HMAC and RSA do not exist here.
    pub fn of_algorithm(name: &str) -> Option<Self> {
        match name {
            "EdDSA" | "Ed25519" => Some(KeyType::Ed25519),
            "ES256" => Some(KeyType::P256),
            "ES384" => Some(KeyType::P384),
            "ES512" => Some(KeyType::P521),
            _ => None,
        }
    }

    /// The `crv` of its JWK.
    pub const fn curve(self) -> &'static str {
        match self {
            KeyType::Ed25519 => "Ed25519",
            KeyType::P256 => "P-256",
            KeyType::P384 => "P-384",
            KeyType::P521 => "P-521",
        }
    }

    /// Length of a signature in bytes.
    pub const fn signature_bytes(self) -> usize {
        match self {
            KeyType::Ed25519 | KeyType::P256 => 64,
            KeyType::P384 => 96,
            KeyType::P521 => 132,
        }
    }

    const fn coordinate_bytes(self) -> usize {
        match self {
            KeyType::Ed25519 | KeyType::P256 => 32,
            KeyType::P384 => 48,
            KeyType::P521 => 66,
        }
    }

    const fn secret_prefix(self) -> [u8; 2] {
        match self {
            KeyType::Ed25519 => [0x80, 0x26],
            KeyType::P256 => [0x86, 0x26],
            KeyType::P384 => [0x87, 0x26],
            KeyType::P521 => [0x88, 0x26],
        }
    }
}

/// Longest multikey that is read; base58 decoding takes quadratic time.
const MULTIKEY_LENGTH_MAX: usize = 104;
/// The multicodec `p384-pub`.
const P384_PREFIX: [u8; 2] = [0x81, 0x24];
const P521_PREFIX: [u8; 2] = [0x82, 0x24];

/// A checked public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerificationKey(Public);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Public {
    Ledger(PublicKey),
    /// SEC 1 compressed.
    P384([u8; 49]),
    P521([u8; 67]),
}

impl VerificationKey {
    /// Takes 32 bytes (Ed25519), or a SEC 1 point, compressed or not.
    pub fn from_bytes(kind: KeyType, bytes: &[u8]) -> Result<Self, FormatError> {
        match kind {
            KeyType::Ed25519 => Ok(PublicKey::ed25519(bytes).map_err(key_error)?.into()),
            KeyType::P256 => Ok(PublicKey::p256(bytes).map_err(key_error)?.into()),
            KeyType::P384 => {
                if !matches!((bytes.len(), bytes.first()), (49, Some(2 | 3)) | (97, Some(4))) {
                    return Err(FormatError::Key("not a SEC 1 point of P-384"));
                }
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(bytes)
                    .map_err(|_| FormatError::Key("not a point on P-384"))?;
                let point = key.to_sec1_point(true);
                let bytes = point.as_bytes().try_into();
                Ok(VerificationKey(Public::P384(bytes.map_err(|_| FormatError::Key("not compressed"))?)))
            }
            KeyType::P521 => {
                if !matches!((bytes.len(), bytes.first()), (67, Some(2 | 3)) | (133, Some(4))) {
                    return Err(FormatError::Key("not a SEC 1 point of P-521"));
                }
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(bytes)
                    .map_err(|_| FormatError::Key("not a point on P-521"))?;
                let point = key.to_sec1_point(true);
                let bytes = point.as_bytes().try_into();
                Ok(VerificationKey(Public::P521(bytes.map_err(|_| FormatError::Key("not compressed"))?)))
            }
        }
    }

    /// Reads a public Multikey (`z6Mk…`, `zDn…`, `z82…`).
    pub fn from_multikey(text: &str) -> Result<Self, FormatError> {
        if text.len() > MULTIKEY_LENGTH_MAX {
            return Err(FormatError::Oversized("multikey"));
        }
        if text.starts_with("z82") || text.starts_with("z2J9") {
            let bytes = base58(text)?;
            return match bytes.split_first_chunk::<2>() {
                Some((&P384_PREFIX, point)) if point.len() == 49 => Self::from_bytes(KeyType::P384, point),
                Some((&P521_PREFIX, point)) if point.len() == 67 => Self::from_bytes(KeyType::P521, point),
                _ => Err(FormatError::Key("not a multikey")),
            };
        }
        match PublicKey::from_multikey(text) {
            Ok(key) => Ok(key.into()),
            Err(KeyError::Malformed) => Err(unknown_or_malformed(text)),
            Err(error) => Err(key_error(error)),
        }
    }

    /// The Multikey.
    pub fn to_multikey(&self) -> String {
        match &self.0 {
            Public::Ledger(key) => key.to_multikey(),
            Public::P384(point) => multibase([P384_PREFIX.as_slice(), point].concat()),
            Public::P521(point) => multibase([P521_PREFIX.as_slice(), point].concat()),
        }
    }

    /// Reads a public JWK. Members that do not make the key are ignored, but a private key is refused, and so is an
    /// `alg` that contradicts the key.
    pub fn from_jwk(jwk: &Value) -> Result<Self, FormatError> {
        let members = jwk.as_object().ok_or(FormatError::Key("a JWK is an object"))?;
        if members.contains_key("d") || members.contains_key("k") {
            return Err(FormatError::KeyPrivate);
        }
        let (kind, bytes) = jwk_point(members)?;
        let key = Self::from_bytes(kind, &bytes)?;
        match members.get("alg") {
            None => Ok(key),
            Some(Value::String(name)) if KeyType::of_algorithm(name) == Some(kind) => Ok(key),
            Some(_) => Err(FormatError::Key("the `alg` of the JWK is not that of its key")),
        }
    }

    /// The JWK with exactly its required members.
    pub fn to_jwk(&self) -> Value {
        let kind = self.kind();
        match (&self.0, self.coordinates()) {
            (_, Some((x, y))) => {
                json!({"kty": "EC", "crv": kind.curve(), "x": b64u::encode(x), "y": b64u::encode(y)})
            }
            (Public::Ledger(PublicKey::Ed25519(bytes)), _) => {
                json!({"kty": "OKP", "crv": kind.curve(), "x": b64u::encode(bytes)})
            }
            _ => Value::Null,
        }
    }

    /// RFC 7638 thumbprint with SHA-256, in base64url.
    pub fn thumbprint(&self) -> String {
        let jwk = self.to_jwk();
        // The required members are ASCII text under sorted names, so this is the form that is to be hashed.
        let sorted: std::collections::BTreeMap<_, _> = jwk.as_object().into_iter().flatten().collect();
        let text = serde_json::to_vec(&sorted).unwrap_or_default();
        b64u::encode(aval_codec::sha256(&text))
    }

    /// 32 bytes (Ed25519) or the SEC 1 compressed point.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Public::Ledger(PublicKey::Ed25519(bytes)) => bytes,
            Public::Ledger(PublicKey::P256(bytes)) => bytes,
            Public::P384(bytes) => bytes,
            Public::P521(bytes) => bytes,
        }
    }

    /// The type of the key.
    pub fn kind(&self) -> KeyType {
        match &self.0 {
            Public::Ledger(PublicKey::Ed25519(_)) => KeyType::Ed25519,
            Public::Ledger(PublicKey::P256(_)) => KeyType::P256,
            Public::P384(_) => KeyType::P384,
            Public::P521(_) => KeyType::P521,
        }
    }

    /// The JOSE name of its algorithm.
    pub fn algorithm(&self) -> &'static str {
        self.kind().algorithm()
    }

    /// The ledger's form of the key; `None` for P-384.
    pub fn to_ledger(&self) -> Option<PublicKey> {
        match &self.0 {
            Public::Ledger(key) => Some(*key),
            Public::P384(_) | Public::P521(_) => None,
        }
    }

    /// Verifies a signature of fixed length (`r || s` for ECDSA). `part` names what is signed in the error.
    pub fn verify(&self, message: &[u8], signature: &[u8], part: &'static str) -> Result<(), FormatError> {
        let wrong = |_| FormatError::Signature(part);
        match &self.0 {
            Public::Ledger(key) => {
                let signature = signature.try_into().map_err(|_| FormatError::Signature(part))?;
                key.verify(key.algorithm(), message, signature).map_err(wrong)
            }
            Public::P384(point) => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point);
                let signature = p384::ecdsa::Signature::from_slice(signature);
                let (Ok(key), Ok(signature)) = (key, signature) else {
                    return Err(FormatError::Signature(part));
                };
                key.verify(message, &signature).map_err(|_| FormatError::Signature(part))
            }
            Public::P521(point) => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point);
                let signature = p521::ecdsa::Signature::from_slice(signature);
                let (Ok(key), Ok(signature)) = (key, signature) else {
                    return Err(FormatError::Signature(part));
                };
                key.verify(message, &signature).map_err(|_| FormatError::Signature(part))
            }
        }
    }

    fn coordinates(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let halves = |point: &[u8]| {
            let coordinates = point.get(1..)?;
            let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
            Some((x.to_vec(), y.to_vec()))
        };
        match &self.0 {
            Public::Ledger(PublicKey::Ed25519(_)) => None,
            Public::Ledger(key) => {
                let jwk = key.to_jwk();
                let part = |name| b64u::decode(jwk.get(name)?.as_str()?).ok();
                Some((part("x")?, part("y")?))
            }
            Public::P384(point) => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                halves(key.to_sec1_point(false).as_bytes())
            }
            Public::P521(point) => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                halves(key.to_sec1_point(false).as_bytes())
            }
        }
    }
}

impl From<PublicKey> for VerificationKey {
    fn from(key: PublicKey) -> Self {
        VerificationKey(Public::Ledger(key))
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_multikey())
    }
}

impl fmt::Display for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_multikey())
    }
}

/// Whatever signs: a key in memory, or one in a module that never lets it out.
pub trait Signer {
    /// The public half.
    fn public(&self) -> VerificationKey;

    /// Signs: 64 bytes, or 96 for P-384.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, FormatError>;
}

/// A private key in memory, wiped when dropped. `Debug` shows the public half only.
#[derive(Clone)]
pub struct SigningKey(Private);

#[derive(Clone)]
enum Private {
    Ledger(aval_did::SigningKey),
    P384(Box<p384::ecdsa::SigningKey>),
    P521(Box<p521::ecdsa::SigningKey>),
}

impl SigningKey {
    /// The key of its secret bytes: an RFC 8032 seed, or a big-endian scalar.
    pub fn from_secret(kind: KeyType, secret: &[u8]) -> Result<Self, FormatError> {
        let bad = FormatError::Key("not the secret bytes of a key of this type");
        match kind {
            KeyType::Ed25519 | KeyType::P256 => {
                let secret = Zeroizing::new(<[u8; 32]>::try_from(secret).map_err(|_| bad.clone())?);
                let key = match kind {
                    KeyType::Ed25519 => Ok(aval_did::SigningKey::from_seed(&secret)),
                    _ => aval_did::SigningKey::p256_from_seed(&secret),
                };
                Ok(key.map_err(|_| bad)?.into())
            }
            KeyType::P384 => {
                let key = p384::ecdsa::SigningKey::from_slice(secret).map_err(|_| bad)?;
                Ok(SigningKey(Private::P384(Box::new(key))))
            }
            KeyType::P521 => {
                let key = p521::ecdsa::SigningKey::from_slice(secret).map_err(|_| bad)?;
                Ok(SigningKey(Private::P521(Box::new(key))))
            }
        }
    }

    /// Reads a private Multikey (`z3u2…`, `z42t…`, `z2fan…`).
    pub fn from_multikey(text: &str) -> Result<Self, FormatError> {
        if text.len() > MULTIKEY_LENGTH_MAX {
            return Err(FormatError::Oversized("multikey"));
        }
        let bytes = Zeroizing::new(base58(text)?);
        let (prefix, secret) =
            bytes.split_first_chunk::<2>().ok_or(FormatError::Key("not a private multikey"))?;
        let kinds = [KeyType::Ed25519, KeyType::P256, KeyType::P384, KeyType::P521];
        let kind = kinds.into_iter().find(|kind| kind.secret_prefix() == *prefix);
        Self::from_secret(kind.ok_or(FormatError::Key("not a private multikey"))?, secret)
    }

    /// Reads a private JWK, whose public half must belong to it.
    pub fn from_jwk(jwk: &Value) -> Result<Self, FormatError> {
        let members = jwk.as_object().ok_or(FormatError::Key("a JWK is an object"))?;
        let (kind, point) = jwk_point(members)?;
        let secret = members.get("d").and_then(Value::as_str).ok_or(FormatError::Key("no `d` in the JWK"))?;
        let secret = b64u::decode(secret).map_err(|_| FormatError::Key("`d` is not base64url"))?;
        let key = Self::from_secret(kind, &Zeroizing::new(secret))?;
        if key.public() != VerificationKey::from_bytes(kind, &point)? {
            return Err(FormatError::Key("the halves of the JWK do not belong together"));
        }
        Ok(key)
    }

    /// The private JWK.
    pub fn to_jwk(&self) -> Value {
        let mut jwk = self.public().to_jwk();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("d".to_owned(), Value::String(b64u::encode(self.to_secret())));
        }
        jwk
    }

    /// A new key.
    pub fn generate(kind: KeyType) -> Self {
        loop {
            let mut secret = Zeroizing::new(vec![0; kind.coordinate_bytes()]);
            rand::rng().fill_bytes(secret.as_mut());
            // The group order of P-521 has 521 bits, in 66 bytes.
            if let (KeyType::P521, Some(first)) = (kind, secret.first_mut()) {
                *first &= 1;
            }
            // Fewer than one in 2^32 draws is not below the group order.
            if let Ok(key) = Self::from_secret(kind, &secret) {
                return key;
            }
        }
    }

    /// The secret bytes, for a vault.
    pub fn to_secret(&self) -> Zeroizing<Vec<u8>> {
        match &self.0 {
            Private::Ledger(key) => Zeroizing::new(key.to_seed().to_vec()),
            Private::P384(key) => Zeroizing::new(key.to_bytes().to_vec()),
            Private::P521(key) => Zeroizing::new(key.to_bytes().to_vec()),
        }
    }

    /// The private Multikey.
    pub fn to_multikey(&self) -> Zeroizing<String> {
        let prefix = self.public().kind().secret_prefix();
        Zeroizing::new(multibase([prefix.as_slice(), &self.to_secret()].concat()))
    }

    /// The public half.
    pub fn public(&self) -> VerificationKey {
        match &self.0 {
            Private::Ledger(key) => key.public().into(),
            Private::P384(key) => {
                let point = key.verifying_key().to_sec1_point(true);
                // A compressed point always has 49 bytes.
                VerificationKey(Public::P384(point.as_bytes().try_into().unwrap_or([0; 49])))
            }
            Private::P521(key) => {
                let point = key.verifying_key().to_sec1_point(true);
                // A compressed point always has 67 bytes.
                VerificationKey(Public::P521(point.as_bytes().try_into().unwrap_or([0; 67])))
            }
        }
    }

    /// Signs, deterministically; ECDSA with low S.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Private::Ledger(key) => key.sign(message).to_vec(),
            Private::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.normalize_s().to_bytes().to_vec()
            }
            Private::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(message);
                signature.normalize_s().to_bytes().to_vec()
            }
        }
    }
}

impl Signer for SigningKey {
    fn public(&self) -> VerificationKey {
        SigningKey::public(self)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, FormatError> {
        Ok(SigningKey::sign(self, message))
    }
}

impl Signer for aval_did::SigningKey {
    fn public(&self) -> VerificationKey {
        aval_did::SigningKey::public(self).into()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, FormatError> {
        Ok(aval_did::SigningKey::sign(self, message).to_vec())
    }
}

impl From<aval_did::SigningKey> for SigningKey {
    fn from(key: aval_did::SigningKey) -> Self {
        SigningKey(Private::Ledger(key))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

/// Type and point of a JWK.
fn jwk_point(members: &Map<String, Value>) -> Result<(KeyType, Vec<u8>), FormatError> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let kind = match (text("kty"), text("crv")) {
        (Some("OKP"), Some("Ed25519")) => KeyType::Ed25519,
        (Some("EC"), Some("P-256")) => KeyType::P256,
        (Some("EC"), Some("P-384")) => KeyType::P384,
        (Some("EC"), Some("P-521")) => KeyType::P521,
        (Some(_), _) => return Err(FormatError::KeyUnsupported),
        (None, _) => return Err(FormatError::Key("a JWK has a `kty`")),
    };
    let coordinate = |name: &str| {
        let bytes = text(name).and_then(|text| b64u::decode(text).ok());
        bytes
            .filter(|bytes| bytes.len() == kind.coordinate_bytes())
            .ok_or(FormatError::Key("a coordinate of the JWK is missing or has a wrong length"))
    };
    match kind {
        KeyType::Ed25519 if members.contains_key("y") => Err(FormatError::Key("an OKP key has no `y`")),
        KeyType::Ed25519 => Ok((kind, coordinate("x")?)),
        _ => Ok((kind, [vec![4], coordinate("x")?, coordinate("y")?].concat())),
    }
}

fn key_error(error: KeyError) -> FormatError {
    match error {
        KeyError::Malformed => FormatError::Key("not a key of this type"),
        KeyError::Weak => FormatError::Key("a small-order or non-canonical Ed25519 key"),
        KeyError::OffCurve => FormatError::Key("not a point on the curve"),
        KeyError::Private => FormatError::KeyPrivate,
        KeyError::Algorithm => FormatError::Algorithm("key"),
        KeyError::Signature => FormatError::Signature("key"),
    }
}

/// A well-formed multikey of a public type that is not known here is no fault of its author.
fn unknown_or_malformed(text: &str) -> FormatError {
    // secp256k1, X25519, BLS12-381 G2: public keys that others use.
    const OTHERS: [[u8; 2]; 3] = [[0xe7, 0x01], [0xec, 0x01], [0xeb, 0x01]];
    match base58(text).ok().as_deref().and_then(|bytes| bytes.first_chunk::<2>()) {
        Some(prefix) if OTHERS.contains(prefix) => FormatError::KeyUnsupported,
        Some([0x80 | 0x86 | 0x87 | 0x88, 0x26]) => FormatError::KeyPrivate,
        _ => FormatError::Key("not a multikey"),
    }
}

pub(crate) fn base58(text: &str) -> Result<Vec<u8>, FormatError> {
    let digits = text.strip_prefix('z').ok_or(FormatError::Key("not base58btc with its prefix `z`"))?;
    bs58::decode(digits).into_vec().map_err(|_| FormatError::Key("not base58btc"))
}

pub(crate) fn multibase(bytes: impl AsRef<[u8]>) -> String {
    format!("z{}", bs58::encode(bytes).into_string())
}
