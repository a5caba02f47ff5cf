//! Finding keys in a document.

use super::{Document, Relationship, VerificationMethod};
use crate::PublicKey;

impl Document {
    /// The members of a relationship, as `#fragment` references.
    pub fn relationship(&self, relationship: Relationship) -> &[String] {
        match relationship {
            Relationship::Authentication => &self.authentication,
            Relationship::AssertionMethod => &self.assertion_method,
            Relationship::KeyAgreement => &self.key_agreement,
            Relationship::CapabilityInvocation => &self.capability_invocation,
            Relationship::CapabilityDelegation => &self.capability_delegation,
        }
    }

    /// The method with this id; with or without the leading `#`.
    pub fn method(&self, id: &str) -> Option<&VerificationMethod> {
        let fragment = id.strip_prefix('#').unwrap_or(id);
        self.verification_method.iter().find(|method| method.fragment() == fragment)
    }

    /// The signature key of a method, if the method is in this relationship.
    pub fn verification_key(&self, method_id: &str, relationship: Relationship) -> Option<PublicKey> {
        let method = self.method(method_id)?;
        if self.relationship(relationship).iter().any(|reference| reference == method.id()) {
            method.public_key()
        } else {
            None
        }
    }

    /// The first method of this relationship that holds `key`.
    pub fn method_of_key(&self, key: &PublicKey, relationship: Relationship) -> Option<&VerificationMethod> {
        let references = self.relationship(relationship);
        self.verification_method.iter().find(|method| {
            references.iter().any(|id| id == method.id()) && method.public_key().as_ref() == Some(key)
        })
    }

    /// True if `key` is in this relationship.
    pub fn contains_key(&self, key: &PublicKey, relationship: Relationship) -> bool {
        self.method_of_key(key, relationship).is_some()
    }

    /// All signature keys of the document, whatever they are for.
    pub fn public_keys(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.verification_method.iter().filter_map(VerificationMethod::public_key)
    }

    /// True if there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Document::default()
    }
}

impl VerificationMethod {
    /// A Multikey method.
    pub fn multikey(id: &str, key: &PublicKey) -> Self {
        VerificationMethod::Multikey { id: id.to_owned(), public_key_multibase: key.to_multikey() }
    }

    /// A JsonWebKey method.
    pub fn json_web_key(id: &str, key: &PublicKey) -> Self {
        VerificationMethod::JsonWebKey { id: id.to_owned(), public_key_jwk: key.into() }
    }

    /// `#` and the fragment.
    pub fn id(&self) -> &str {
        match self {
            VerificationMethod::Multikey { id, .. } | VerificationMethod::JsonWebKey { id, .. } => id,
        }
    }

    /// The fragment alone.
    pub fn fragment(&self) -> &str {
        self.id().strip_prefix('#').unwrap_or_default()
    }

    /// The signature key; `None` for a key-agreement key.
    pub fn public_key(&self) -> Option<PublicKey> {
        match self {
            VerificationMethod::Multikey { public_key_multibase, .. } => {
                PublicKey::from_multikey(public_key_multibase).ok()
            }
            VerificationMethod::JsonWebKey { public_key_jwk, .. } => public_key_jwk.public_key().ok(),
        }
    }
}
