//! RFC 9901 as strictly as it is written: the issuer-signed JWT and its disclosures, without the key binding.
//!
//! Invariants of an [`SdJwt`]: every disclosure belongs to the signed payload (directly or through another
//! disclosure), no digest and no disclosure occurs twice, and the processed payload has no `_sd`, `...` or `_sd_alg`.
//! That it parsed says nothing of who signed it: see [`SdJwt::verify_signature`].

pub mod conceal;
mod disclosure;
mod process;

pub use disclosure::Disclosure;

use crate::CredentialError;
use crate::jws::{Jws, SignatureInput};
use crate::presentation::Limits;
use aval_codec::json::Json;
use aval_codec::{Hash, sha256};
use aval_did::key::{Algorithm, PublicKey};
use std::collections::BTreeMap;

/// The `typ` of a VCDM 2.0 credential secured as SD-JWT (VC-JOSE-COSE section 3.2.1).
pub const TYPE: &str = "vc+sd-jwt";

/// The `typ` of an SD-JWT VC, whose claims are not those of VCDM.
pub const DC_TYPE: &str = "dc+sd-jwt";

const PART: &str = "credential";

/// An issuer-signed JWT with its disclosures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdJwt {
    text: String,
    jws: Jws,
    disclosures: Vec<Disclosure>,
    claims: BTreeMap<String, Json>,
}

impl SdJwt {
    /// Reads `<jwt>~<disclosure>~…~`. The text must end in a tilde: whatever follows it is key binding and belongs to
    /// [`crate::Presentation`].
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, CredentialError> {
        Self::parse_typed(text, TYPE, limits)
    }

    /// As [`Self::parse`], for an SD-JWT whose header must have another `typ`.
    pub fn parse_typed(text: &str, typ: &str, limits: &Limits) -> Result<Self, CredentialError> {
        Self::parse_any(text, &[typ], limits)
    }

    /// As [`Self::parse`], for an SD-JWT whose header must have one of these `typ`.
    pub fn parse_any(text: &str, types: &[&str], limits: &Limits) -> Result<Self, CredentialError> {
        if text.len() > limits.bytes_max {
            return Err(CredentialError::Oversized("credential"));
        }
        let Some(body) = text.strip_suffix('~') else {
            return Err(CredentialError::malformed(PART, "an SD-JWT ends in a tilde"));
        };
        let mut parts = body.split('~');
        let jws = Jws::parse_any(parts.next().unwrap_or_default(), PART, types, limits.json())?;
        let mut disclosures = Vec::new();
        for part in parts {
            if disclosures.len() == limits.disclosures_max {
                return Err(CredentialError::Oversized("number of disclosures"));
            }
            disclosures.push(Disclosure::parse(part, limits.json())?);
        }
        let claims = process::process(jws.payload(), &disclosures, limits.depth_max)?;
        Ok(Self { text: text.to_owned(), jws, disclosures, claims })
    }

    /// The serialization, tilde included.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The issuer-signed JWT alone.
    pub fn issuer_jwt(&self) -> &str {
        self.text.split('~').next().unwrap_or_default()
    }

    /// The algorithm named by the header.
    pub fn algorithm(&self) -> Algorithm {
        self.jws.algorithm()
    }

    /// The `kid` of the header.
    pub fn key_id(&self) -> Option<&str> {
        self.jws.key_id()
    }

    /// The `typ` of the header.
    pub fn media_type(&self) -> Option<&str> {
        self.jws.header().get("typ").and_then(Json::as_str)
    }

    /// The payload as the issuer signed it, digests included.
    pub fn signed_payload(&self) -> &BTreeMap<String, Json> {
        self.jws.payload()
    }

    /// The processed payload: disclosed claims in their places, all traces of SD-JWT gone.
    pub fn claims(&self) -> &BTreeMap<String, Json> {
        &self.claims
    }

    /// The disclosures in their order.
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// SHA-256 over the serialization: what a key binding's `sd_hash` commits to.
    pub fn sd_hash(&self) -> Hash {
        sha256(self.text.as_bytes())
    }

    /// What to verify with the issuer's key.
    pub fn signature_input(&self) -> SignatureInput<'_> {
        self.jws.signature_input()
    }

    /// Checks the issuer's signature with a key that the caller took from the issuer's document.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), CredentialError> {
        self.jws.verify(key)
    }

    /// Whether a member of the payload is there in plain text, with nothing concealed inside it.
    pub fn is_plain(&self, name: &str) -> bool {
        self.jws.payload().get(name) == self.claims.get(name)
    }
}
