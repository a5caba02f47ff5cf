//! The accreditation credential: what it says, and what its hash is over (specs/trust.md, section 2).

use std::collections::{BTreeMap, BTreeSet};

use aval_codec::Hash;
use aval_credential::{CredentialDraft, CredentialError, Limits, Presentation, issue};
use aval_did::{Did, SigningKey};
use aval_types::accreditation::{CREDENTIAL_CLAIM, CREDENTIAL_TYPE, Statement, claim};
use aval_types::{AccreditationKind, AccreditedType};
use uuid::Uuid;

use crate::error::WalletError;

/// What somebody is accredited for.
pub(super) struct Terms {
    pub(super) subject: Did,
    pub(super) kind: AccreditationKind,
    pub(super) types: Vec<AccreditedType>,
    pub(super) depth: u8,
    pub(super) valid_from_s: i64,
    pub(super) expires_s: i64,
}

/// An accreditation credential that was read.
pub(super) struct AccreditationCredential {
    presentation: Presentation,
}

impl AccreditationCredential {
    /// Makes and signs one. It has nothing to hide, so it has no disclosures and needs no salt.
    pub(super) fn issue(
        terms: &Terms,
        issuer: &Did,
        key_id: &str,
        key: &SigningKey,
    ) -> Result<Self, WalletError> {
        let claims =
            BTreeMap::from([(CREDENTIAL_CLAIM.to_owned(), claim(terms.kind, &terms.types, terms.depth))]);
        let draft = CredentialDraft {
            issuer: issuer.to_string(),
            key_id: key_id.to_owned(),
            id: Some(format!("urn:uuid:{}", Uuid::new_v4())),
            contexts: Vec::new(),
            types: vec![CREDENTIAL_TYPE.to_owned()],
            subject_id: Some(terms.subject.to_string()),
            claims,
            disclosable: BTreeSet::new(),
            status: Vec::new(),
            valid_from_s: terms.valid_from_s,
            valid_until_s: Some(terms.expires_s),
            holder_key: None,
            schema: None,
        };
        let text = issue(&draft, key, &mut || [0; 16])
            .map_err(|error| WalletError::Failed(format!("the credential cannot be made: {error}")))?;
        Self::read(text.as_bytes())
    }

    /// Reads one; nothing is verified yet.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, WalletError> {
        let trimmed = bytes.trim_ascii();
        let presentation = Presentation::parse(trimmed, &Limits::LEDGER)
            .map_err(|error| WalletError::Failed(format!("this is no accreditation credential: {error}")))?;
        Ok(Self { presentation })
    }

    /// The serialization, its tilde included.
    pub(super) fn as_str(&self) -> &str {
        self.presentation.sd_jwt().as_str()
    }

    /// SHA-256 over these bytes.
    pub(super) fn hash(&self) -> Hash {
        self.presentation.sd_hash()
    }

    /// Who accredits.
    pub(super) fn issuer(&self) -> &str {
        self.presentation.issuer()
    }

    /// Who is accredited.
    pub(super) fn subject(&self) -> Option<&str> {
        self.presentation.subject_id()
    }

    /// The key that signed it, as the credential names it.
    pub(super) fn key_id(&self) -> &str {
        self.presentation.issuer_kid()
    }

    /// Checks the signature.
    pub(super) fn verify(&self, key: &aval_did::PublicKey) -> Result<(), CredentialError> {
        self.presentation.verify_issuer_signature(key)
    }

    /// What it says, to be compared with the record.
    pub(super) fn statement(&self) -> Statement<'_> {
        Statement {
            hash: self.hash(),
            types: self.presentation.types(),
            issuer: self.presentation.issuer(),
            subject: self.presentation.subject_id(),
            claim: self.presentation.credential().subject.get(CREDENTIAL_CLAIM),
            valid_until_s: self.presentation.valid_until_s(),
        }
    }
}
