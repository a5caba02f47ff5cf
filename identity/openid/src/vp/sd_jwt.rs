//! Presentations in SD-JWT formats: the disclosures that were chosen, and a key binding that also answers for
//! transaction data.

use crate::OpenIdError;
use crate::jwt::{self, JwtError, Signer};
use crate::vp::transaction_data::{HASH_ALGORITHM, TransactionData};
use aval_codec::json::Json;
use aval_codec::{b64u, sha256};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The occasion that a presentation is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The nonce of the request.
    pub nonce: &'a str,
    /// The verifier's client identifier, with its prefix.
    pub audience: &'a str,
    /// The time, in unix seconds.
    pub issued_at_s: i64,
    /// What the user agrees to with this credential.
    pub transaction_data: &'a [&'a TransactionData],
}

/// Makes a presentation of an issued SD-JWT with these disclosures, counted as they stand in it.
pub fn present(
    issued: &str,
    disclosures: &BTreeSet<usize>,
    signer: &dyn Signer,
    binding: &Binding<'_>,
) -> Result<String, OpenIdError> {
    let shown = disclose(issued, disclosures)?;
    let mut payload = BTreeMap::from([
        ("aud".to_owned(), Json::from(binding.audience)),
        ("iat".to_owned(), Json::Int(binding.issued_at_s)),
        ("nonce".to_owned(), Json::from(binding.nonce)),
        ("sd_hash".to_owned(), Json::String(b64u::encode(sha256(shown.as_bytes())))),
    ]);
    if !binding.transaction_data.is_empty() {
        let hashes = binding.transaction_data.iter().map(|one| Json::String(one.hash())).collect();
        payload.insert("transaction_data_hashes".to_owned(), Json::Array(hashes));
        payload.insert("transaction_data_hashes_alg".to_owned(), Json::from(HASH_ALGORITHM));
    }
    let key_binding =
        sign_key_binding(signer, payload).map_err(|error| OpenIdError::Undecided(error.to_string()))?;
    Ok(format!("{shown}{key_binding}"))
}

/// A key binding has no key in its header: the credential names it.
fn sign_key_binding(signer: &dyn Signer, payload: BTreeMap<String, Json>) -> Result<String, JwtError> {
    let header = Json::from([
        ("alg", Json::from(signer.public().algorithm().name())),
        ("typ", Json::from(aval_credential::key_binding::TYPE)),
    ]);
    jwt::sign_parts(signer, &header, payload)
}

/// An SD-JWT with these of its disclosures and without key binding.
pub fn disclose(issued: &str, disclosures: &BTreeSet<usize>) -> Result<String, OpenIdError> {
    let mut parts: Vec<&str> = issued.split('~').collect();
    match parts.pop() {
        Some("") if !parts.is_empty() => {}
        _ => return Err(OpenIdError::malformed("credential", "it is no SD-JWT without key binding")),
    }
    let mut shown = String::with_capacity(issued.len());
    for (position, part) in parts.iter().enumerate() {
        if position == 0 || disclosures.contains(&(position - 1)) {
            shown.push_str(part);
            shown.push('~');
        }
    }
    Ok(shown)
}

/// The payload of a presentation's key binding, for what is checked beyond its signature, nonce and audience. Whoever
/// calls this has verified the key binding.
pub fn key_binding_payload(presentation: &str) -> Result<Map<String, Value>, String> {
    let key_binding = presentation.rsplit('~').next().unwrap_or_default();
    let payload = key_binding.split('.').nth(1).ok_or("the presentation has no key binding")?;
    let bytes = b64u::decode(payload).map_err(|error| error.to_string())?;
    match crate::value::parse(&bytes, 64 * 1024)? {
        Value::Object(members) => Ok(members),
        _ => Err("the key binding is not an object".to_owned()),
    }
}
