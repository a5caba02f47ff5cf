//! W3C Data Integrity 1.0 with the EdDSA and ECDSA cryptosuites 1.0.
//!
//! [`secure`] adds a proof to a document (and leaves those that are there, so that proof sets come by themselves;
//! `previous_proof` makes chains). [`verify_proof`] says whether one proof of a document was made with a key; what the
//! proof was made *for* is checked by [`Proof::check`], and whether the key is the right one by
//! [`crate::document::ControllerDocument`]. A document is verified when each of its proofs is.

mod proof;
pub(crate) mod selective;
mod suite;

pub use proof::{Expected, Proof, ProofOptions};
pub use selective::derive;
pub use suite::Suite;

use crate::key::{base58, multibase};
use crate::{FormatError, Signer, VerificationKey};
use aval_linked_data::Contexts;
use serde_json::{Map, Value};

/// Most proofs of one document.
pub const PROOFS_MAX: usize = 16;

/// The document with one more proof, by the contexts that ship inside.
pub fn secure(document: &Value, options: &ProofOptions, signer: &dyn Signer) -> Result<Value, FormatError> {
    secure_with(Contexts::shipped(), document, options, signer)
}

/// As [`secure`], with more contexts.
pub fn secure_with(
    contexts: &Contexts,
    document: &Value,
    options: &ProofOptions,
    signer: &dyn Signer,
) -> Result<Value, FormatError> {
    let members = object(document)?;
    options.suite.check_key(&signer.public())?;
    let mut proof = options.to_members()?;
    if options.suite.is_jcs()
        && let Some(context) = members.get("@context")
    {
        proof.insert("@context".to_owned(), context.clone());
    }
    let proofs = proofs_of(members)?;
    let unsecured = unsecured(members, &previous(&proofs, &proof)?);
    let value = if options.suite == Suite::EcdsaSd2023 {
        selective::base_proof(contexts, unsecured, &proof, &options.mandatory_pointers, signer)?
    } else {
        let kind = signer.public().kind();
        let message = suite::hash_data(contexts, options.suite, unsecured, &proof, kind)?;
        multibase(signer.sign(&message)?)
    };
    proof.insert("proofValue".to_owned(), Value::String(value));
    let mut secured = members.clone();
    let mut all: Vec<Value> = proofs.into_iter().cloned().collect();
    all.push(Value::Object(proof));
    if all.len() > PROOFS_MAX {
        return Err(FormatError::Oversized("number of proofs"));
    }
    let one_or_all = if all.len() == 1 { all.pop().unwrap_or_default() } else { Value::Array(all) };
    secured.insert("proof".to_owned(), one_or_all);
    Ok(Value::Object(secured))
}

/// The proofs of a document, read; at least one.
pub fn proofs(document: &Value) -> Result<Vec<Proof<'_>>, FormatError> {
    let proofs = proofs_of(object(document)?)?;
    if proofs.is_empty() {
        return Err(FormatError::ProofMissing);
    }
    proofs.into_iter().map(Proof::read).collect()
}

/// Whether this proof, which must be one of the document's, was made with this key over this document and, in a chain,
/// over the proofs that it names. Says nothing about dates, purpose, challenge and domain: see [`Proof::check`].
pub fn verify_proof(document: &Value, proof: &Value, key: &VerificationKey) -> Result<(), FormatError> {
    verify_proof_with(Contexts::shipped(), document, proof, key)
}

/// As [`verify_proof`], with more contexts.
pub fn verify_proof_with(
    contexts: &Contexts,
    document: &Value,
    proof: &Value,
    key: &VerificationKey,
) -> Result<(), FormatError> {
    let members = object(document)?;
    let read = Proof::read(proof)?;
    read.suite.check_key(key)?;
    let proofs = proofs_of(members)?;
    if !proofs.contains(&proof) {
        return Err(FormatError::Proof("it is not a proof of this document"));
    }
    let mut config = object(proof)?.clone();
    let value = config.remove("proofValue");
    let mut unsecured = unsecured(members, &previous(&proofs, &config)?);
    if let Some(context) = config.get("@context") {
        check_context(context, members.get("@context"))?;
        if read.suite.is_jcs() {
            unsecured.insert("@context".to_owned(), context.clone());
        }
    }
    let value = value.as_ref().and_then(Value::as_str).unwrap_or_default();
    if read.suite == Suite::EcdsaSd2023 {
        return selective::verify(contexts, unsecured, &config, value, key);
    }
    let length = key.kind().signature_bytes();
    if value.len() > 2 * length {
        return Err(FormatError::Proof("the proof value has a wrong length"));
    }
    let signature = base58(value).map_err(|_| FormatError::Proof("the proof value is not base58btc"))?;
    if signature.len() != length {
        return Err(FormatError::Proof("the proof value has a wrong length"));
    }
    let message = suite::hash_data(contexts, read.suite, unsecured, &config, key.kind())?;
    key.verify(&message, &signature, "proof")
}

fn object(value: &Value) -> Result<&Map<String, Value>, FormatError> {
    value.as_object().ok_or_else(|| FormatError::malformed("document", "not a JSON object"))
}

/// The proofs as they stand in the document.
fn proofs_of(members: &Map<String, Value>) -> Result<Vec<&Value>, FormatError> {
    let proofs: Vec<&Value> = match members.get("proof") {
        None => Vec::new(),
        Some(Value::Array(proofs)) => proofs.iter().collect(),
        Some(one) => vec![one],
    };
    if proofs.len() > PROOFS_MAX {
        return Err(FormatError::Oversized("number of proofs"));
    }
    let mut ids: Vec<&str> =
        proofs.iter().filter_map(|proof| proof.get("id").and_then(Value::as_str)).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != count {
        return Err(FormatError::Proof("two proofs have the same `id`"));
    }
    Ok(proofs)
}

/// The proofs that `previousProof` names (Data Integrity 1.0 section 4.5): they become part of what is signed.
fn previous<'a>(proofs: &[&'a Value], config: &Map<String, Value>) -> Result<Vec<&'a Value>, FormatError> {
    let names = proof::texts(config.get("previousProof"))
        .ok_or(FormatError::Proof("`previousProof` is not a URL or a list of them"))?;
    if names.iter().any(|name| config.get("id").and_then(Value::as_str) == Some(name)) {
        return Err(FormatError::PreviousProof);
    }
    let find = |name: &str| {
        let named = |proof: &&&Value| proof.get("id").and_then(Value::as_str) == Some(name);
        proofs.iter().find(named).copied().ok_or(FormatError::PreviousProof)
    };
    names.into_iter().map(find).collect()
}

fn unsecured(members: &Map<String, Value>, previous: &[&Value]) -> Map<String, Value> {
    let others = members.iter().filter(|(name, _)| name.as_str() != "proof");
    let mut unsecured: Map<String, Value> =
        others.map(|(name, value)| (name.clone(), value.clone())).collect();
    if !previous.is_empty() {
        let previous = previous.iter().map(|proof| (*proof).clone()).collect();
        unsecured.insert("proof".to_owned(), Value::Array(previous));
    }
    unsecured
}

/// The contexts of a proof must be those that the document begins with: somebody who could add contexts to the
/// document only would otherwise choose what the signed terms mean.
fn check_context(of_proof: &Value, of_document: Option<&Value>) -> Result<(), FormatError> {
    let list = |value: &Value| match value {
        Value::Array(entries) => entries.clone(),
        one => vec![one.clone()],
    };
    let of_document = of_document.map(list).unwrap_or_default();
    if of_document.starts_with(&list(of_proof)) { Ok(()) } else { Err(FormatError::ProofContext) }
}
