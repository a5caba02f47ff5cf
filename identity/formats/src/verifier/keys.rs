//! Whose signature it is: the signer's document, the method in it, the signature, and the key binding of an SD-JWT.

use super::answer::{Outcome, Problem};
use super::evidence::{Certified, Evidence, Resolution, Want};
use super::item::{Item, Role, outcome, text_of};
use super::secured::{Secured, Signature};
use super::{Expectation, State};
use crate::data_integrity::Expected;
use crate::document::{ControllerDocument, Method};
use crate::jose::sd_jwt::ExpectedBinding;
use crate::{FormatError, VerificationKey};
use aval_codec::b64u;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// One who signed.
#[derive(Clone, Debug)]
pub(super) struct SigningParty {
    /// Whose document has the key; empty if the signature does not say, and nobody else does.
    pub(super) did: String,
    /// The key's URL; `None` if the signature does not name one.
    pub(super) method: Option<String>,
    /// Which signature.
    pub(super) index: usize,
    /// When it was made, in unix seconds, as far as it says.
    pub(super) signed_s: Option<i64>,
    /// The method in the document of now, once found.
    pub(super) found: Option<Method>,
    /// The certificates, where they and no document say whose key it is.
    pub(super) chain: Option<Vec<Vec<u8>>>,
}

impl SigningParty {
    /// What has to be known to verify the signature.
    fn want(&self) -> Want {
        match &self.chain {
            Some(chain) => Want::Certificates { chain: chain.clone() },
            None => Want::Did { did: self.did.clone(), at_s: None },
        }
    }
}

/// The name of a certificate, for who is named by nothing else.
fn leaf_name(chain: &[Vec<u8>]) -> String {
    let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
    format!("x509_hash:{}", b64u::encode(Sha256::digest(leaf)))
}

/// Who made the signatures, by what they say.
pub(super) fn parties(signatures: Vec<Signature>, party: Option<&str>) -> Vec<SigningParty> {
    let of = |signature: Signature| {
        let party = party.unwrap_or_default();
        let (did, method) = match signature.method {
            _ if signature.chain.is_some() => {
                let chain = signature.chain.as_deref().unwrap_or_default();
                (if party.is_empty() { leaf_name(chain) } else { party.to_owned() }, None)
            }
            None => (party.to_owned(), None),
            Some(key) => match key.split_once('#') {
                Some(("", _)) => (party.to_owned(), Some(format!("{party}{key}"))),
                Some((did, _)) => (did.to_owned(), Some(key)),
                None if key.starts_with("did:") => (key, None),
                None if key.contains(':') => (party.to_owned(), Some(key)),
                None => (party.to_owned(), Some(format!("{party}#{key}"))),
            },
        };
        let Signature { index, signed_s, chain, .. } = signature;
        SigningParty { did, method, index, signed_s, found: None, chain }
    };
    signatures.into_iter().map(of).collect()
}

/// Verifies all signatures as soon as the signers' documents are there; true if that is done.
pub(super) fn advance(item: &mut Item, expectation: &Expectation, state: &mut State) -> bool {
    if let Some(problem) = foreign(item, expectation) {
        let methods = item.signers().iter().filter_map(|signer| signer.method.clone());
        let looked_at = methods.collect::<Vec<_>>().join(", ");
        item.check(state, "key_control", looked_at, Outcome::Invalid(problem));
        return true;
    }
    let wants: Vec<Want> = item.signers().iter().map(SigningParty::want).collect();
    let evidence: Vec<Option<Evidence>> = wants.iter().map(|want| state.evidence(want)).collect();
    let Some(evidence) = evidence.into_iter().collect::<Option<Vec<_>>>() else { return false };
    for (index, evidence) in evidence.into_iter().enumerate() {
        verify_one(item, index, evidence, expectation, state);
    }
    if !item.has_failed() {
        check_freshness(item, expectation, state);
        check_key_binding(item, expectation, state);
    }
    true
}

/// Why the key cannot be the party's: none of the signers is the issuer or holder, or has a key that was pinned for it.
fn foreign(item: &Item, expectation: &Expectation) -> Option<Problem> {
    let unnamed = item.signers().iter().any(|signer| signer.did.is_empty());
    let is_credential = *item.role() != Role::Presentation;
    let pinned = |party: &str, signer: &SigningParty| {
        let keys = expectation.issuer_keys.get(party).filter(|_| is_credential);
        keys.zip(signer.method.as_ref()).is_some_and(|(keys, method)| keys.contains(method))
    };
    let others =
        |party: &str| item.signers().iter().all(|signer| signer.did != party && !pinned(party, signer));
    match item.party() {
        _ if unnamed => {
            Some(Problem::new("key.unnamed", "neither the signature nor the document says whose key it is"))
        }
        Some(party) if others(party) && *item.role() == Role::Presentation => Some(Problem::new(
            "holder.key",
            "the key that signed the presentation is not one of its holder's",
        )),
        Some(party) if others(party) => {
            Some(Problem::new("issuer.key", "the key that signed is not one of the issuer's"))
        }
        _ => None,
    }
}

fn verify_one(
    item: &mut Item,
    index: usize,
    evidence: Evidence,
    expectation: &Expectation,
    state: &mut State,
) {
    let Some(signer) = item.signers().get(index).cloned() else { return };
    if let Some(chain) = &signer.chain {
        return verify_certified(item, &signer, &leaf_name(chain), evidence, expectation, state);
    }
    let document = match active(&evidence) {
        Ok(document) => document,
        Err(outcome) => return item.check(state, "did_active", signer.did, outcome),
    };
    item.check(state, "did_active", signer.did.clone(), Outcome::Passed);
    let purpose = item.purpose();
    let Some(secured) = item.secured() else { return };
    let found = find(document, &signer, purpose, secured);
    let looked_at = signer.method.clone().unwrap_or_else(|| signer.did.clone());
    let method = match found {
        Ok(method) => method,
        Err(FormatError::Purpose) => {
            item.check(state, "key_control", looked_at.clone(), Outcome::Passed);
            return item.check(
                state,
                "key_purpose",
                format!("{looked_at} in {purpose}"),
                FormatError::Purpose.into(),
            );
        }
        Err(error) => return item.check(state, "key_control", looked_at, error.into()),
    };
    let result = method.check_time(expectation.now_s);
    let signature = secured
        .verify(expectation.contexts(), signer.index, &method.key)
        .and_then(|()| proof_says(item, &signer, expectation));
    item.check(state, "key_control", method.id.clone(), Outcome::Passed);
    item.check(state, "key_purpose", format!("{} in {purpose}", method.id), Outcome::Passed);
    item.check(state, "key_now", format!("{} at {}", method.id, text_of(expectation.now_s)), outcome(result));
    let by = format!("{} by {}", item.secured().map_or("", |secured| secured.format), method.id);
    item.check(state, "signature", by, outcome(signature));
    if let Some(signer) = item.signers_mut().get_mut(index) {
        signer.found = Some(method);
    }
}

/// A signer who is known by a certificate: it leads to a root of trust, and is for the issuer that the document names.
fn verify_certified(
    item: &mut Item,
    signer: &SigningParty,
    leaf: &str,
    evidence: Evidence,
    expectation: &Expectation,
    state: &mut State,
) {
    const NAME: &str = "key_control";
    let certified = match evidence {
        Evidence::Certified(certified) => certified,
        Evidence::NotCertified(reason) => {
            let problem = Problem::new("key.certificate", reason);
            return item.check(state, NAME, leaf.to_owned(), Outcome::Invalid(problem));
        }
        Evidence::Unavailable(reason) => {
            let problem = Problem::new("certificate.unavailable", reason);
            return item.check(state, NAME, leaf.to_owned(), Outcome::Undecided(problem));
        }
        _ => {
            let problem = Problem::new("certificate.unavailable", "nothing is known of the certificate");
            return item.check(state, NAME, leaf.to_owned(), Outcome::Undecided(problem));
        }
    };
    if item.party().is_some_and(|party| party != leaf && !is_for(&certified, party)) {
        let problem = Problem::new("issuer.key", "the certificate is not for the issuer that is named");
        return item.check(state, NAME, leaf.to_owned(), Outcome::Invalid(problem));
    }
    let Some(secured) = item.secured() else { return };
    let signature = secured
        .verify(expectation.contexts(), signer.index, &certified.key)
        .and_then(|()| proof_says(item, signer, expectation));
    let by = format!("{} by {leaf}", secured.format);
    item.check(state, NAME, format!("{leaf}, certified for {}", signer.did), Outcome::Passed);
    item.check(state, "signature", by, outcome(signature));
    if let Some(signer) = item.signers_mut().get_mut(signer.index) {
        let controller = signer.did.clone();
        let (id, kind, key) = (leaf.to_owned(), "X509".to_owned(), certified.key);
        signer.found = Some(Method { id, kind, controller, key, expires_s: None, revoked_s: None });
    }
}

/// Whether a certificate is for an issuer: it has the very URI, or the DNS name of an address with `https`.
fn is_for(certified: &Certified, issuer: &str) -> bool {
    let host =
        issuer.strip_prefix("https://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    certified.uris.iter().any(|uri| uri == issuer)
        || host.is_some_and(|host| certified.dns_names.iter().any(|name| name.eq_ignore_ascii_case(host)))
}

/// The document of an active DID.
pub(super) fn active(evidence: &Evidence) -> Result<&Value, Outcome> {
    match evidence {
        Evidence::Did(Resolution { deactivated: true, .. }) => {
            Err(Outcome::Invalid(Problem::new("did.deactivated", "the DID of the signer is deactivated")))
        }
        Evidence::Did(Resolution { document: Some(document), .. }) => Ok(document),
        Evidence::Did(_) | Evidence::DidNotFound => {
            Err(Outcome::Invalid(Problem::new("did.not_found", "there is no such DID")))
        }
        Evidence::Unavailable(reason) => {
            Err(Outcome::Undecided(Problem::new("did.unavailable", reason.clone())))
        }
        _ => Err(Outcome::Undecided(Problem::new("did.unavailable", "the DID was not resolved"))),
    }
}

/// The signer's method in a document. A signature that names none is by the only key of its type.
pub(super) fn find(
    document: &Value,
    signer: &SigningParty,
    purpose: &str,
    secured: &Secured,
) -> Result<Method, FormatError> {
    let document = ControllerDocument::new(document)?;
    if document.id() != signer.did {
        return Err(FormatError::Document("it is the document of another identifier"));
    }
    if let Some(id) = &signer.method {
        return document.method_for(purpose, id);
    }
    let kind = secured.key_type();
    let methods = document.methods_for(purpose);
    let mut fitting = methods.into_iter().filter(|method| kind.is_none_or(|kind| kind == method.key.kind()));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(FormatError::Method),
    }
}

/// What a proof, or the token of a presentation, says of itself.
fn proof_says(item: &Item, signer: &SigningParty, expectation: &Expectation) -> Result<(), FormatError> {
    let Some(secured) = item.secured() else { return Ok(()) };
    let presentation = *item.role() == Role::Presentation;
    let challenge = expectation.challenge.as_deref().filter(|_| presentation);
    let domain = expectation.domain.as_deref().filter(|_| presentation);
    match secured.claims() {
        None => {
            let proofs = secured.proofs()?;
            let proof = proofs.get(signer.index).ok_or(FormatError::ProofMissing)?;
            let purpose = item.purpose();
            let (now_s, skew_s) = (expectation.now_s, expectation.skew_s);
            // The suites over canonical JSON sign the contexts of the proof, and let more follow in the document: those
            // would give what was signed another meaning.
            let of_proof = proof.value.get("@context");
            if of_proof.is_some_and(|signed| {
                list(signed) != secured.document.get("@context").map(list).unwrap_or_default()
            }) {
                return Err(FormatError::ProofContext);
            }
            proof.check(&Expected { purpose, challenge, domain, now_s, skew_s })
        }
        // The nonce and audience of an SD-JWT are those of its key binding.
        Some(_) if secured.sd_jwt_ref().is_some() => Ok(()),
        Some(payload) => {
            if challenge.is_some() && payload.get("nonce").and_then(Value::as_str) != challenge {
                return Err(FormatError::Nonce);
            }
            match (domain, payload.get("aud")) {
                (Some(domain), Some(Value::String(audience))) if audience == domain => Ok(()),
                (Some(domain), Some(Value::Array(several))) if several.iter().any(|one| one == domain) => {
                    Ok(())
                }
                (Some(_), _) => Err(FormatError::Audience),
                (None, _) => Ok(()),
            }
        }
    }
}

/// One value, or several.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(several) => several,
        one => std::slice::from_ref(one),
    }
}

/// A presentation for which no challenge was given out could be a replay: whoever relies on it should know.
fn check_freshness(item: &mut Item, expectation: &Expectation, state: &mut State) {
    if *item.role() != Role::Presentation {
        return;
    }
    for (name, expected) in [("challenge", &expectation.challenge), ("domain", &expectation.domain)] {
        let result = match expected {
            Some(_) => Outcome::Passed,
            None => Outcome::Warning(Problem::new(
                "presentation.replay",
                format!("no {name} was expected, so a presentation made for somebody else is not noticed"),
            )),
        };
        item.check(state, name, expected.clone().unwrap_or_default(), result);
    }
}

/// The key binding of an SD-JWT (RFC 9901 section 7.3).
fn check_key_binding(item: &mut Item, expectation: &Expectation, state: &mut State) {
    let Some(sd_jwt) = item.secured().and_then(Secured::sd_jwt_ref) else { return };
    let named = sd_jwt.claims().contains_key("cnf");
    let bound = sd_jwt.key_binding().is_some();
    let result: Result<Option<VerificationKey>, Outcome> =
        match (bound, &expectation.challenge, &expectation.domain) {
            (false, ..) => Ok(None),
            (true, Some(nonce), Some(audience)) => {
                let (now_s, skew_s) = (expectation.now_s, expectation.skew_s);
                let age_max_s = expectation.presentation_age_max_s;
                let expected = ExpectedBinding { audience, nonce, now_s, age_max_s, skew_s };
                let key = sd_jwt.verify_key_binding(&expected).and_then(|_| sd_jwt.holder_key());
                key.map(Some).map_err(Outcome::from)
            }
            (true, ..) => Err(Outcome::Undecided(Problem::new(
                "key_binding.unexpected",
                "there is a key binding, and no challenge and domain to compare it with",
            ))),
        };
    match result {
        Ok(Some(key)) => {
            item.check(state, "holder_binding", format!("cnf {}", key.thumbprint()), Outcome::Passed);
            item.set_bound(key);
        }
        Ok(None) if named && expectation.challenge.is_some() => {
            item.check(state, "holder_binding", "cnf".to_owned(), FormatError::KeyBindingMissing.into());
        }
        Ok(None) => {}
        Err(result) => item.check(state, "holder_binding", "cnf".to_owned(), result),
    }
}
