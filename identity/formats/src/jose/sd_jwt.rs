//! SD-JWT with key binding (RFC 9901) on JSON values: `dc+sd-jwt` of SD-JWT VC and `vc+sd-jwt` of VC-JOSE-COSE.
//!
//! Invariants of an [`SdJwt`]: every disclosure belongs to the signed payload (directly or through another
//! disclosure), no digest and no disclosure occurs twice, and the claims have no `_sd`, `...` or `_sd_alg`. That it
//! parsed says nothing of who signed it.

mod disclose;
mod process;

pub use disclose::{KeyBindingDraft, bind, issue};

use super::{Jwt, seconds};
use crate::json::{self, Limits};
use crate::{FormatError, VerificationKey};
use aval_codec::{b64u, sha256};
use serde_json::{Map, Value};

/// The `typ` of SD-JWT VC.
pub const DC_SD_JWT: &str = "dc+sd-jwt";
/// The `typ` of a VCDM 2.0 credential.
pub const VC_SD_JWT: &str = "vc+sd-jwt";
/// The `typ` of a VCDM 2.0 presentation.
pub const VP_SD_JWT: &str = "vp+sd-jwt";
/// The `typ` of a key binding.
pub const KB_JWT: &str = "kb+jwt";

/// Most disclosures that are read.
pub const DISCLOSURES_MAX: usize = 512;

/// Claims of SD-JWT VC that may not be selectively disclosable (section 2.2.2.2 of its draft; `aud` and `_sd_alg`
/// beside them decide just as much).
const PLAIN_CLAIMS: [&str; 8] = ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status", "aud"];

/// An issuer-signed JWT with its disclosures and, when presented, its key binding.
#[derive(Clone, Debug, PartialEq)]
pub struct SdJwt {
    text: String,
    signed_bytes: usize,
    jwt: Jwt,
    disclosures: Vec<Disclosure>,
    claims: Map<String, Value>,
    key_binding: Option<Jwt>,
}

/// One disclosure: `[salt, name, value]` for a member of an object, `[salt, value]` for an element of an array.
#[derive(Clone, Debug, PartialEq)]
pub struct Disclosure {
    encoded: String,
    digest: String,
    name: Option<String>,
    value: Value,
}

/// What a verifier wants of a key binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedBinding<'a> {
    /// The verifier's own name.
    pub audience: &'a str,
    /// The nonce that was given out.
    pub nonce: &'a str,
    /// Now, in unix seconds.
    pub now_s: i64,
    /// How old it may be.
    pub age_max_s: i64,
    /// How far clocks may be apart.
    pub skew_s: i64,
}

impl SdJwt {
    /// Reads `<jwt>~<disclosure>~…~[<kb-jwt>]`, whose `typ` must be one of `types`.
    pub fn parse(text: &str, types: &[&str], limits: Limits) -> Result<Self, FormatError> {
        if text.len() > limits.bytes_max {
            return Err(FormatError::Oversized("credential"));
        }
        let end = text.rfind('~').ok_or_else(|| FormatError::malformed("credential", "no tilde"))?;
        let (signed, rest) = (text.get(..end).unwrap_or_default(), text.get(end + 1..).unwrap_or_default());
        let mut parts = signed.split('~');
        let jwt = Jwt::parse(parts.next().unwrap_or_default(), "credential", types, limits)?;
        let mut disclosures = Vec::new();
        for part in parts {
            if disclosures.len() == DISCLOSURES_MAX {
                return Err(FormatError::Oversized("number of disclosures"));
            }
            disclosures.push(Disclosure::parse(part, limits)?);
        }
        let claims = process::process(jwt.payload(), &disclosures, limits.depth_max)?;
        let key_binding = match rest {
            "" => None,
            binding => Some(Jwt::parse(binding, "key binding", &[KB_JWT], limits)?),
        };
        Ok(Self { text: text.to_owned(), signed_bytes: end + 1, jwt, disclosures, claims, key_binding })
    }

    /// The issuer-signed JWT, with the digests still in it.
    pub fn jwt(&self) -> &Jwt {
        &self.jwt
    }

    /// The processed payload: disclosed claims in their places, all traces of SD-JWT gone.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The disclosures in their order.
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// The key binding, not verified.
    pub fn key_binding(&self) -> Option<&Jwt> {
        self.key_binding.as_ref()
    }

    /// The serialization without key binding, tilde included.
    pub fn without_key_binding(&self) -> &str {
        self.text.get(..self.signed_bytes).unwrap_or_default()
    }

    /// Checks the issuer's signature.
    pub fn verify(&self, key: &VerificationKey) -> Result<(), FormatError> {
        self.jwt.verify(key)
    }

    /// The holder's key of `cnf`.
    pub fn holder_key(&self) -> Result<VerificationKey, FormatError> {
        let jwk = self.claims.get("cnf").and_then(|cnf| cnf.get("jwk")).ok_or(FormatError::HolderKey)?;
        VerificationKey::from_jwk(jwk).map_err(|_| FormatError::HolderKey)
    }

    /// Whether a member of the payload is there in plain text, with nothing concealed inside it.
    pub fn is_plain(&self, name: &str) -> bool {
        self.jwt.payload().get(name) == self.claims.get(name)
    }

    /// The rules of SD-JWT VC for the claims: a `vct`, nothing concealed that decides, dates that are numbers.
    pub fn check_dc(&self) -> Result<(), FormatError> {
        if PLAIN_CLAIMS.iter().any(|name| !self.is_plain(name)) {
            return Err(FormatError::Disclosure("a claim that decides validity is selectively disclosable"));
        }
        let text =
            |name: &str| self.claims.get(name).map(|value| value.as_str().is_some_and(|t| !t.is_empty()));
        if text("vct") != Some(true) {
            return Err(FormatError::Claims("`vct` is missing or not text"));
        }
        if text("iss") == Some(false) || text("sub") == Some(false) {
            return Err(FormatError::Claims("`iss` or `sub` is not text"));
        }
        for name in ["iat", "nbf", "exp"] {
            seconds(&self.claims, name)?;
        }
        if self.claims.get("status").is_some_and(|status| !status.is_object()) {
            return Err(FormatError::Claims("`status` is not an object"));
        }
        if self.claims.get("cnf").is_some_and(|cnf| !cnf.is_object()) {
            return Err(FormatError::HolderKey);
        }
        Ok(())
    }

    /// Checks `nbf` and `exp`.
    pub fn check_time(&self, now_s: i64, skew_s: i64) -> Result<(), FormatError> {
        super::check_time(&self.claims, now_s, skew_s)
    }

    /// Checks the key binding in full (RFC 9901 section 7.3, step 5): made by the holder of `cnf`, for these
    /// disclosures, this nonce, this audience, now. Hands out its claims, which may hold the hashes of transaction
    /// data.
    pub fn verify_key_binding(
        &self,
        expected: &ExpectedBinding<'_>,
    ) -> Result<&Map<String, Value>, FormatError> {
        let binding = self.key_binding.as_ref().ok_or(FormatError::KeyBindingMissing)?;
        binding.verify(&self.holder_key()?)?;
        let claims = binding.payload();
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let hash = b64u::encode(sha256(self.without_key_binding().as_bytes()));
        if text("sd_hash") != Some(hash.as_str()) {
            return Err(FormatError::PresentationHash);
        }
        if text("nonce") != Some(expected.nonce) {
            return Err(FormatError::Nonce);
        }
        if text("aud") != Some(expected.audience) {
            return Err(FormatError::Audience);
        }
        let issued_s = seconds(claims, "iat")?.ok_or(FormatError::Claims("`iat` is missing"))?;
        let latest_s = expected.now_s.saturating_add(expected.skew_s);
        let earliest_s = expected.now_s.saturating_sub(expected.skew_s).saturating_sub(expected.age_max_s);
        if issued_s > latest_s || issued_s < earliest_s {
            return Err(FormatError::Stale);
        }
        binding.check_time(expected.now_s, expected.skew_s).map_err(|error| match error {
            FormatError::NotYetValid | FormatError::Expired => FormatError::Stale,
            other => other,
        })?;
        Ok(claims)
    }
}

impl Disclosure {
    fn parse(encoded: &str, limits: Limits) -> Result<Self, FormatError> {
        const PART: &str = "disclosure";
        let bytes = b64u::decode(encoded).map_err(|error| FormatError::malformed(PART, error))?;
        let Value::Array(elements) = json::parse(&bytes, PART, limits)? else {
            return Err(FormatError::malformed(PART, "not an array"));
        };
        let mut elements = elements.into_iter();
        let (name, value) = match (elements.next(), elements.next(), elements.next(), elements.next()) {
            (Some(Value::String(_salt)), Some(Value::String(name)), Some(value), None) => (Some(name), value),
            (Some(Value::String(_salt)), Some(value), None, None) => (None, value),
            _ => return Err(FormatError::malformed(PART, "not a salt, a name and a value")),
        };
        if name.as_deref().is_some_and(process::is_reserved) {
            return Err(FormatError::Disclosure("a reserved name is disclosed"));
        }
        Ok(Self { digest: digest(encoded), encoded: encoded.to_owned(), name, value })
    }

    /// The base64url form.
    pub fn as_str(&self) -> &str {
        &self.encoded
    }

    /// The digest under which the signed payload refers to it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The name of the disclosed member; `None` for an array element.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The disclosed value, which may itself hold digests.
    pub fn value(&self) -> &Value {
        &self.value
    }
}

fn digest(encoded: &str) -> String {
    b64u::encode(sha256(encoded.as_bytes()))
}
