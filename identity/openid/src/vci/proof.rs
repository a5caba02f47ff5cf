//! The proof of possession of type `jwt` (OpenID4VCI 1.0 appendix F.1): the wallet signs with the key that the
//! credential shall be bound to, for this issuer and this nonce.
//!
//! Here, and nowhere else, a key is taken from a header: the proof speaks for the key it names, and for nothing more.

use aval_codec::json::{self, Json};
use aval_credential::CredentialError;
use aval_credential::jws::{self, Jws};
use aval_did::holder::HolderDid;
use aval_did::key::{PublicKey, SigningKey};
use std::collections::BTreeMap;

/// The `typ` of a proof.
pub const TYPE: &str = "openid4vci-proof+jwt";

/// The largest proof that is read.
pub const PROOF_BYTES_MAX: usize = 8 * 1024;

const PART: &str = "proof of possession";

/// The key that a credential shall be bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderKey {
    /// The key.
    pub key: PublicKey,
    /// The DID in whose name the wallet gave it, if it did.
    pub did: Option<String>,
}

/// A proof whose signature has been verified with the key it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofOfPossession {
    /// The key.
    pub holder: HolderKey,
    /// Whom the proof is for.
    pub audience: String,
    /// The nonce, if it has one.
    pub nonce: Option<String>,
    /// When it was made, in unix seconds.
    pub issued_at_s: i64,
    /// The client in whose name it was made; never there for a wallet that nobody has registered.
    pub client: Option<String>,
}

impl ProofOfPossession {
    /// Reads a proof and verifies its signature.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        if text.len() > PROOF_BYTES_MAX {
            return Err(CredentialError::Oversized(PART));
        }
        let jws = Jws::parse(text, PART, TYPE, json::Limits { bytes_max: PROOF_BYTES_MAX, depth_max: 8 })?;
        let holder = holder_key(&jws)?;
        jws.verify(&holder.key)?;
        let string = |name: &'static str| match jws.payload().get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(CredentialError::malformed(PART, format!("`{name}` is not a string"))),
        };
        let missing = |name: &'static str| CredentialError::malformed(PART, format!("`{name}` is missing"));
        let issued_at_s = match jws.payload().get("iat") {
            Some(Json::Int(seconds)) if *seconds >= 0 => *seconds,
            _ => return Err(missing("iat")),
        };
        let audience = string("aud")?.ok_or_else(|| missing("aud"))?;
        Ok(Self { holder, audience, nonce: string("nonce")?, issued_at_s, client: string("iss")? })
    }

    /// Whether it was made at most `age_max_s` ago and not in the future.
    pub fn is_fresh(&self, now_s: i64, age_max_s: i64, skew_s: i64) -> bool {
        let earliest = now_s.saturating_sub(age_max_s).saturating_sub(skew_s);
        (earliest..=now_s.saturating_add(skew_s)).contains(&self.issued_at_s)
    }
}

/// The key that the header names: `jwk`, or a `kid` that is a DID URL which holds its key in itself. Exactly one of
/// the two.
fn holder_key(jws: &Jws) -> Result<HolderKey, CredentialError> {
    let refuse = |reason| Err(CredentialError::Header { part: PART, reason });
    if jws.header().contains_key("x5c") {
        return refuse("a certificate instead of a key");
    }
    match (jws.header().get("jwk"), jws.key_id()) {
        (Some(jwk), None) => {
            let key = PublicKey::from_jwk(jwk).map_err(|_| CredentialError::HolderKey)?;
            Ok(HolderKey { key, did: None })
        }
        (None, Some(key_id)) => {
            let key = HolderDid::key_of(key_id).map_err(|_| CredentialError::HolderKey)?;
            Ok(HolderKey { key, did: key_id.split('#').next().map(str::to_owned) })
        }
        (Some(_), Some(_)) => refuse("both a key and a key id"),
        (None, None) => refuse("neither a key nor a key id"),
    }
}

/// Signs a proof that names the key by its JWK.
pub fn sign(signer: &SigningKey, audience: &str, nonce: Option<&str>, issued_at_s: i64) -> String {
    let mut payload = BTreeMap::from([
        ("aud".to_owned(), Json::from(audience)),
        ("iat".to_owned(), Json::Int(issued_at_s)),
    ]);
    if let Some(nonce) = nonce {
        payload.insert("nonce".to_owned(), Json::from(nonce));
    }
    let header = BTreeMap::from([("jwk".to_owned(), signer.public().to_jwk())]);
    jws::sign_with_header(signer, TYPE, header, &Json::Object(payload))
}
