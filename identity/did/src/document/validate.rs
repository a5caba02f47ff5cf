//! What a document's content must obey before an operation may carry it.

use std::collections::BTreeSet;

use super::{
    ALSO_KNOWN_AS_MAX, DOCUMENT_BYTES_MAX, Document, FRAGMENT_LENGTH_MAX, METHODS_MAX, Relationship,
    SERVICES_MAX, STRING_LENGTH_MAX, VerificationMethod,
};
use crate::control::{Control, control_key_hash};
use crate::key::{X25519PublicKey, is_multikey_like};
use crate::{DidError, PublicKey};

/// The key of a method that passed its checks.
enum MethodKey {
    Signature(PublicKey),
    Agreement,
}

impl Document {
    /// Checks everything that needs no control and no earlier document.
    pub fn validate(&self) -> Result<(), DidError> {
        let bounds = [
            (self.verification_method.len(), METHODS_MAX, "more than 16 verification methods"),
            (self.service.len(), SERVICES_MAX, "more than 16 services"),
            (self.also_known_as.len(), ALSO_KNOWN_AS_MAX, "more than 16 other identifiers"),
        ];
        if let Some((_, _, message)) = bounds.iter().find(|(count, limit, _)| count > limit) {
            return Err(DidError::Document(message));
        }
        let keys = self.validate_methods()?;
        self.validate_relationships(&keys)?;
        self.validate_services()?;
        self.validate_also_known_as()?;
        // RFC 8785 changes the order of members and escapes as serde_json does, so the length is that of its bytes.
        let bytes = serde_json::to_vec(self).map_err(|_| DidError::Document("it is not JSON"))?;
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(DidError::Document("it is above 8 KiB"));
        }
        Ok(())
    }

    /// Checks that no key of this document controls the DID, now or after the next rotation.
    pub fn validate_apart_from(&self, control: &Control) -> Result<(), DidError> {
        for key in self.public_keys() {
            if control.contains(&key) || control.next.hashes.contains(&control_key_hash(&key)) {
                return Err(DidError::Document("a control key is also a verification method"));
            }
        }
        Ok(())
    }

    fn validate_methods(&self) -> Result<Vec<MethodKey>, DidError> {
        let mut ids = BTreeSet::new();
        let all_ids = self.verification_method.iter().map(VerificationMethod::id);
        for id in all_ids.chain(self.service.iter().map(|service| service.id.as_str())) {
            if !is_relative_id(id) {
                return Err(DidError::Document(
                    "an id is not # and 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'",
                ));
            }
            if !ids.insert(id) {
                return Err(DidError::Document("an id is used twice"));
            }
        }
        self.verification_method.iter().map(validate_method).collect()
    }

    fn validate_relationships(&self, keys: &[MethodKey]) -> Result<(), DidError> {
        for relationship in Relationship::ALL {
            let references = self.relationship(relationship);
            if references.len() > METHODS_MAX {
                return Err(DidError::Document("more than 16 methods in a relationship"));
            }
            let mut seen = BTreeSet::new();
            for reference in references {
                if !seen.insert(reference) {
                    return Err(DidError::Document("a relationship names a method twice"));
                }
                let mut methods = self.verification_method.iter().zip(keys);
                let Some((_, key)) = methods.find(|(method, _)| method.id() == reference) else {
                    return Err(DidError::Document("a relationship names a method that does not exist"));
                };
                let fits = match (relationship, key) {
                    (Relationship::KeyAgreement, MethodKey::Signature(key)) => {
                        matches!(key, PublicKey::P256(_))
                    }
                    (Relationship::KeyAgreement, MethodKey::Agreement) => true,
                    (_, MethodKey::Signature(_)) => true,
                    (_, MethodKey::Agreement) => false,
                };
                if !fits {
                    return Err(DidError::Document("a key does not fit the relationship that names it"));
                }
            }
        }
        Ok(())
    }

    fn validate_services(&self) -> Result<(), DidError> {
        for service in &self.service {
            let kind = &service.service_type;
            if kind.is_empty() || !is_bounded(kind) || kind.chars().any(char::is_control) {
                return Err(DidError::Document(
                    "a service type is empty, too long or has a control character",
                ));
            }
            if !is_uri(&service.service_endpoint) {
                return Err(DidError::Document("a service endpoint is not a URI of at most 512 bytes"));
            }
        }
        Ok(())
    }

    fn validate_also_known_as(&self) -> Result<(), DidError> {
        let mut seen = BTreeSet::new();
        for name in &self.also_known_as {
            if !is_uri(name) {
                return Err(DidError::Document("an other identifier is not a URI of at most 512 bytes"));
            }
            if !seen.insert(name) {
                return Err(DidError::Document("an other identifier is listed twice"));
            }
        }
        Ok(())
    }
}

fn validate_method(method: &VerificationMethod) -> Result<MethodKey, DidError> {
    let key = match method {
        VerificationMethod::Multikey { public_key_multibase, .. } => {
            if !is_bounded(public_key_multibase) {
                return Err(DidError::Document("a string is longer than 512 bytes"));
            }
            match PublicKey::from_multikey(public_key_multibase) {
                Ok(key) => MethodKey::Signature(key),
                Err(_) if X25519PublicKey::from_multikey(public_key_multibase).is_ok() => {
                    MethodKey::Agreement
                }
                Err(_) => {
                    return Err(DidError::Document("a publicKeyMultibase is not a key that is allowed here"));
                }
            }
        }
        VerificationMethod::JsonWebKey { public_key_jwk, .. } => match public_key_jwk.public_key() {
            Ok(key) => MethodKey::Signature(key),
            Err(_) => return Err(DidError::Document("a publicKeyJwk is not a key that is allowed here")),
        },
    };
    // A transaction names its key as `<did>#<multikey>`; a method of that name must not hold another key.
    let fragment = method.fragment();
    let own = match (&key, method) {
        (MethodKey::Signature(key), _) => key.to_multikey() == fragment,
        (MethodKey::Agreement, VerificationMethod::Multikey { public_key_multibase, .. }) => {
            public_key_multibase == fragment
        }
        (MethodKey::Agreement, VerificationMethod::JsonWebKey { .. }) => false,
    };
    if is_multikey_like(fragment) && !own {
        return Err(DidError::Document("a method is named like the multikey of another key"));
    }
    Ok(key)
}

fn is_relative_id(id: &str) -> bool {
    id.strip_prefix('#').is_some_and(|fragment| {
        (1..=FRAGMENT_LENGTH_MAX).contains(&fragment.len())
            && fragment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    })
}

fn is_bounded(text: &str) -> bool {
    text.len() <= STRING_LENGTH_MAX
}

/// RFC 3986 as far as it matters here: a scheme, a colon, and after it at least one of the characters a URI may have.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut scheme_bytes = scheme.bytes();
    let scheme_good = scheme_bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && scheme_bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    is_bounded(text) && scheme_good && !rest.is_empty() && rest.bytes().all(character)
}
