//! The key binding JWT (RFC 9901 section 4.3): the holder signs for one presentation, one audience, one nonce.
//!
//! Whether a key binding is wanted is decided by the verifier before it looks at the presentation, never by what
//! was sent.

use crate::CredentialError;
use crate::jws::{self, Jws, SignatureInput};
use crate::presentation::Limits;
use aval_codec::json::{self, Json};
use aval_codec::{Hash, b64u};
use aval_did::key::{Algorithm, PublicKey, SigningKey, normalize_es256_low_s};
use std::collections::BTreeMap;

/// The `typ` of a key binding JWT.
pub const TYPE: &str = "kb+jwt";

const PART: &str = "key binding";

/// What a holder signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBindingDraft<'a> {
    /// What the verifier asked for; on the ledger the transaction's id.
    pub nonce: &'a str,
    /// Whom it is for; on the ledger the network.
    pub audience: &'a str,
    /// When it is made, in unix seconds.
    pub issued_at_s: i64,
}

/// A parsed key binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBinding {
    jws: Jws,
    issued_at_s: i64,
    audience: String,
    nonce: String,
    sd_hash: Hash,
    not_before_s: Option<i64>,
    expires_s: Option<i64>,
}

impl KeyBinding {
    /// Reads a key binding JWT; all four claims must be there and of the right type.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, CredentialError> {
        let jws = Jws::parse(text, PART, TYPE, limits.json())?;
        let string = |name: &'static str| match jws.payload().get(name) {
            Some(Json::String(text)) => Ok(text.clone()),
            _ => Err(CredentialError::malformed(PART, format!("`{name}` is not a string"))),
        };
        let time = |name: &'static str| match jws.payload().get(name) {
            None => Ok(None),
            Some(Json::Int(seconds)) if *seconds >= 0 => Ok(Some(*seconds)),
            Some(_) => Err(CredentialError::malformed(PART, format!("`{name}` is not a number of seconds"))),
        };
        let issued_at_s = time("iat")?.ok_or_else(|| CredentialError::malformed(PART, "`iat` is missing"))?;
        let sd_hash = b64u::decode_array(string("sd_hash")?)
            .map(Hash::new)
            .map_err(|error| CredentialError::malformed(PART, error))?;
        let (audience, nonce) = (string("aud")?, string("nonce")?);
        let (not_before_s, expires_s) = (time("nbf")?, time("exp")?);
        Ok(Self { issued_at_s, audience, nonce, sd_hash, not_before_s, expires_s, jws })
    }

    /// When it was made, in unix seconds.
    pub fn issued_at_s(&self) -> i64 {
        self.issued_at_s
    }

    /// Whom it was made for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The nonce it was made for.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The presentation it was made for.
    pub fn sd_hash(&self) -> Hash {
        self.sd_hash
    }

    /// The algorithm named by the header.
    pub fn algorithm(&self) -> Algorithm {
        self.jws.algorithm()
    }

    /// What to verify with the holder's key.
    pub fn signature_input(&self) -> SignatureInput<'_> {
        self.jws.signature_input()
    }

    /// Checks the signature with the key of the credential's `cnf`.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), CredentialError> {
        self.jws.verify(key)
    }

    /// Checks what it was made for, without its signature.
    pub fn check(&self, sd_hash: Hash, nonce: &str, audience: &str) -> Result<(), CredentialError> {
        if self.sd_hash != sd_hash {
            return Err(CredentialError::PresentationHash);
        }
        if self.nonce != nonce {
            return Err(CredentialError::Nonce);
        }
        if self.audience != audience {
            return Err(CredentialError::Audience);
        }
        Ok(())
    }

    /// Checks that it was made at most `age_max_s` ago and not in the future, and that its own `nbf` and `exp`, if
    /// it has them, include the time.
    pub fn check_time(&self, now_s: i64, age_max_s: i64, skew_s: i64) -> Result<(), CredentialError> {
        let (earliest, latest) = (now_s.saturating_sub(skew_s), now_s.saturating_add(skew_s));
        let fresh = self.issued_at_s <= latest && self.issued_at_s >= earliest.saturating_sub(age_max_s);
        let begun = self.not_before_s.is_none_or(|not_before| not_before <= latest);
        let running = self.expires_s.is_none_or(|expires| earliest < expires);
        if fresh && begun && running { Ok(()) } else { Err(CredentialError::Stale) }
    }
}

/// A presentation whose ES256 key binding signature has low S, the one form in which blocks carry signatures. Many
/// wallets emit high S half of the time, and no hash that the holder signed covers this signature, so that a node
/// at its door may change it. What is not such a presentation comes back as it is; whether it is good is for the
/// checks to say. The issuer's signature is never touched: `sd_hash` covers it.
pub fn with_low_s(presentation: &[u8]) -> Vec<u8> {
    normalized(presentation).unwrap_or_else(|| presentation.to_vec())
}

fn normalized(presentation: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(presentation).ok()?;
    let (_, binding) = text.rsplit_once('~')?;
    let (input, signature) = binding.rsplit_once('.')?;
    let signature = b64u::decode_array(signature).ok()?;
    let header = b64u::decode(input.split('.').next()?).ok()?;
    let header = json::parse(&header, Limits::LEDGER.json()).ok()?;
    if header.get("alg").and_then(Json::as_str) != Some(Algorithm::Es256.name()) {
        return None;
    }
    let signature = b64u::encode(normalize_es256_low_s(&signature)?);
    let kept = text.len() - binding.len() + input.len();
    Some(format!("{}.{signature}", text.get(..kept)?).into_bytes())
}

/// Signs a key binding for a presentation.
pub fn sign(signer: &SigningKey, sd_hash: Hash, draft: &KeyBindingDraft<'_>) -> String {
    let string = |text: &str| Json::String(text.to_owned());
    let payload = Json::Object(BTreeMap::from([
        ("aud".to_owned(), string(draft.audience)),
        ("iat".to_owned(), Json::Int(draft.issued_at_s)),
        ("nonce".to_owned(), string(draft.nonce)),
        ("sd_hash".to_owned(), Json::String(b64u::encode(sd_hash))),
    ]));
    jws::sign(signer, TYPE, None, &payload)
}
