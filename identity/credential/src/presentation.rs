//! A credential as it is presented: `<jwt>~<disclosure>~…~<kb-jwt>`, parsed and taken apart, each check a function
//! of its own.
//!
//! The ledger uses these pieces, because it collects signatures into batches and knows keys and time only later; a
//! verifier at the edge calls [`crate::verify()`], which leaves nothing out. Parsing alone proves nothing: it says
//! the presentation is well formed and that its issuer's `kid` belongs to its `issuer`.

use crate::CredentialError;
use crate::jws::SignatureInput;
use crate::key_binding::KeyBinding;
use crate::sd_jwt::{self, SdJwt};
use crate::status::StatusEntry;
use crate::vcdm::Credential;
use aval_codec::Hash;
use aval_codec::json::{self, Json};
use aval_did::key::PublicKey;
use std::collections::BTreeMap;

/// Bounds of what is read. The ledger's are a rule of consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Length of the whole presentation.
    pub bytes_max: usize,
    /// Number of disclosures.
    pub disclosures_max: usize,
    /// Nesting, counted through disclosures.
    pub depth_max: usize,
}

impl Limits {
    /// What the ledger reads: a witness of at most 16 KiB.
    pub const LEDGER: Self = Self { bytes_max: 16 * 1024, disclosures_max: 64, depth_max: 16 };

    /// What a wallet or verifier reads.
    pub const EDGE: Self = Self { bytes_max: 256 * 1024, disclosures_max: 512, depth_max: 32 };

    pub(crate) fn json(&self) -> json::Limits {
        json::Limits { bytes_max: self.bytes_max, depth_max: self.depth_max }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::LEDGER
    }
}

/// A parsed presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentation {
    sd_jwt: SdJwt,
    issuer_key_id: String,
    credential: Credential,
    key_binding: Option<KeyBinding>,
}

impl Presentation {
    /// Reads a presentation, with or without key binding.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, CredentialError> {
        if bytes.len() > limits.bytes_max {
            return Err(CredentialError::Oversized("presentation"));
        }
        let text = std::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.is_ascii())
            .ok_or_else(|| CredentialError::malformed("presentation", "not ASCII"))?;
        let Some(end) = text.rfind('~') else {
            return Err(CredentialError::malformed("presentation", "no tilde"));
        };
        let (signed, rest) = text.split_at(end + 1);
        let sd_jwt = SdJwt::parse_any(signed, &[sd_jwt::TYPE, sd_jwt::DC_TYPE], limits)?;
        let credential = Credential::read(&sd_jwt)?;
        let issuer_key_id = sd_jwt
            .key_id()
            .filter(|key_id| is_key_of(key_id, &credential.issuer))
            .ok_or(CredentialError::ForeignKey)?
            .to_owned();
        let key_binding = if rest.is_empty() { None } else { Some(KeyBinding::parse(rest, limits)?) };
        Ok(Self { sd_jwt, issuer_key_id, credential, key_binding })
    }

    /// The issuer's identifier, a DID.
    pub fn issuer(&self) -> &str {
        &self.credential.issuer
    }

    /// The `kid` of the issuer's signature: `<issuer>#<fragment>`.
    pub fn issuer_kid(&self) -> &str {
        &self.issuer_key_id
    }

    /// The credential's content.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The processed payload.
    pub fn claims(&self) -> &BTreeMap<String, Json> {
        self.sd_jwt.claims()
    }

    /// All types, `VerifiableCredential` among them.
    pub fn types(&self) -> &[String] {
        &self.credential.types
    }

    /// Whether the credential has this type.
    pub fn has_type(&self, name: &str) -> bool {
        self.credential.types.iter().any(|one| one == name)
    }

    /// The roles of the subject, sorted and unique. Always in plain text.
    pub fn roles(&self) -> &[String] {
        &self.credential.roles
    }

    /// The identifier of the subject.
    pub fn subject_id(&self) -> Option<&str> {
        self.credential.subject_id.as_deref()
    }

    /// The status entries.
    pub fn status(&self) -> &[StatusEntry] {
        &self.credential.status
    }

    /// The ids of its `credentialSchema` entries of this type. Always in plain text.
    pub fn schema_ids<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let entries: &[Json] = match self.claims().get("credentialSchema") {
            Some(Json::Array(entries)) => entries,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        let is_of_kind = move |entry: &&Json| entry.get("type").and_then(Json::as_str) == Some(kind);
        entries.iter().filter(is_of_kind).filter_map(|entry| entry.get("id").and_then(Json::as_str))
    }

    /// From when on the credential is valid, in unix seconds.
    pub fn valid_from_s(&self) -> Option<i64> {
        self.credential.valid_from_s
    }

    /// When the credential's validity has ended, in unix seconds: at that second it is over.
    pub fn valid_until_s(&self) -> Option<i64> {
        self.credential.valid_until_s
    }

    /// The holder's key.
    pub fn cnf_key(&self) -> Option<&PublicKey> {
        self.credential.holder_key.as_ref()
    }

    /// SHA-256 over the issuer-signed JWT and the disclosures, without the key binding.
    pub fn sd_hash(&self) -> Hash {
        self.sd_jwt.sd_hash()
    }

    /// The SD-JWT without the key binding.
    pub fn sd_jwt(&self) -> &SdJwt {
        &self.sd_jwt
    }

    /// The key binding, not verified.
    pub fn key_binding(&self) -> Option<&KeyBinding> {
        self.key_binding.as_ref()
    }

    /// What to verify with the issuer's key.
    pub fn issuer_signature_input(&self) -> SignatureInput<'_> {
        self.sd_jwt.signature_input()
    }

    /// Checks the issuer's signature. The caller has taken the key named by [`Self::issuer_kid`] from the assertion
    /// methods of the issuer's DID document.
    pub fn verify_issuer_signature(&self, key: &PublicKey) -> Result<(), CredentialError> {
        self.sd_jwt.verify_signature(key)
    }

    /// Checks what the key binding was made for, and hands out what is left to verify: its signature by the
    /// holder's key. For callers that verify in batches; they must also refuse an algorithm that does not fit the
    /// key.
    pub fn check_key_binding(
        &self,
        nonce: &str,
        audience: &str,
    ) -> Result<(&PublicKey, SignatureInput<'_>), CredentialError> {
        let key_binding = self.key_binding.as_ref().ok_or(CredentialError::KeyBindingMissing)?;
        let key = self.cnf_key().ok_or(CredentialError::HolderKey)?;
        if key.algorithm() != key_binding.algorithm() {
            return Err(CredentialError::Algorithm("key binding"));
        }
        key_binding.check(self.sd_hash(), nonce, audience)?;
        Ok((key, key_binding.signature_input()))
    }

    /// Checks the key binding in full but for its age: made by the holder, for this presentation, nonce and audience.
    pub fn verify_key_binding(&self, nonce: &str, audience: &str) -> Result<(), CredentialError> {
        let (key, _) = self.check_key_binding(nonce, audience)?;
        match &self.key_binding {
            Some(key_binding) => key_binding.verify_signature(key),
            None => Err(CredentialError::KeyBindingMissing),
        }
    }
}

/// Whether a `kid` is a DID URL of the issuer with a fragment and nothing else.
fn is_key_of(key_id: &str, issuer: &str) -> bool {
    match key_id.strip_prefix(issuer).and_then(|rest| rest.strip_prefix('#')) {
        Some(fragment) => !fragment.is_empty() && !fragment.contains('#'),
        None => false,
    }
}
