//! `ecdsa-sd-2023` (Data Integrity ECDSA Cryptosuites 1.0 section 3.4): each statement has a signature of its own by
//! a key made for this one credential; the issuer signs that key together with what must always be shown.
//!
//! The issuer's *base* proof goes to the holder alone. The holder *derives* the proof that a verifier sees; a verifier
//! refuses a base proof, because whoever shows it shows everything.

use super::suite::canonical_config;
use super::{Proof, proofs_of, unsecured};
use crate::{FormatError, KeyType, Signer, SigningKey, VerificationKey};
use aval_codec::{b64u, sha256};
use aval_linked_data::{Contexts, Hash, selective};
use ciborium::Value as Cbor;
use rand::Rng as _;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const BASE: [u8; 3] = [0xd9, 0x5d, 0x00];
const DERIVED: [u8; 3] = [0xd9, 0x5d, 0x01];
/// The multicodec of P-256 public keys.
const P256_PREFIX: [u8; 2] = [0x80, 0x24];
/// Longest proof value: some thousand statements.
const VALUE_LENGTH_MAX: usize = 256 * 1024;
const WRONG: FormatError = FormatError::Proof("the proof value is not one of ecdsa-sd-2023");

/// What the issuer gives to the holder.
struct Base {
    signature: Vec<u8>,
    key: VerificationKey,
    hmac_key: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    mandatory: Vec<String>,
}

/// What the holder shows.
struct Derived {
    signature: Vec<u8>,
    key: VerificationKey,
    signatures: Vec<Vec<u8>>,
    names: BTreeMap<usize, String>,
    mandatory: Vec<usize>,
}

/// The value of a base proof.
pub(super) fn base_proof(
    contexts: &Contexts,
    unsecured: Map<String, Value>,
    config: &Map<String, Value>,
    mandatory: &[String],
    signer: &dyn Signer,
) -> Result<String, FormatError> {
    let mut hmac_key = [0; 32];
    rand::rng().fill_bytes(&mut hmac_key);
    let of_statements = SigningKey::generate(KeyType::P256);
    base_proof_by(contexts, unsecured, config, mandatory, signer, &of_statements, &hmac_key)
}

/// As [`base_proof`], with the randomness given.
pub(crate) fn base_proof_by(
    contexts: &Contexts,
    unsecured: Map<String, Value>,
    config: &Map<String, Value>,
    mandatory: &[String],
    signer: &dyn Signer,
    of_statements: &SigningKey,
    hmac_key: &[u8; 32],
) -> Result<String, FormatError> {
    let proof_hash = proof_hash(contexts, unsecured.get("@context"), config)?;
    let grouped = selective::group(contexts, &Value::Object(unsecured), hmac_key, &[mandatory])?;
    let always = grouped.matching.first().cloned().unwrap_or_default();
    let mut shown = String::new();
    let mut signatures = Vec::new();
    for (index, line) in grouped.lines.iter().enumerate() {
        if always.contains(&index) {
            shown.push_str(line);
        } else {
            signatures.push(Cbor::Bytes(of_statements.sign(line.as_bytes())));
        }
    }
    let key = key_bytes(&of_statements.public());
    let message = [proof_hash.as_slice(), &key, sha256(shown.as_bytes()).as_ref()].concat();
    encode(
        BASE,
        vec![
            Cbor::Bytes(signer.sign(&message)?),
            Cbor::Bytes(key),
            Cbor::Bytes(hmac_key.to_vec()),
            Cbor::Array(signatures),
            Cbor::Array(mandatory.iter().cloned().map(Cbor::Text).collect()),
        ],
    )
}

/// A document that shows what the pointers choose and what the issuer wants shown, from one with a base proof. Other
/// proofs of the document stay behind: they are over the whole.
pub fn derive(contexts: &Contexts, document: &Value, pointers: &[&str]) -> Result<Value, FormatError> {
    let members = super::object(document)?;
    let bases: Vec<&Value> = proofs_of(members)?.into_iter().filter(|proof| is_of_suite(proof)).collect();
    let [proof] = bases.as_slice() else {
        return Err(FormatError::Draft("the document has not exactly one proof that can be derived from"));
    };
    let base = Base::read(Proof::read(proof)?.value.get("proofValue"))?;
    let whole = Value::Object(unsecured(members, &[]));
    let selected: Vec<String> = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
    let combined = [base.mandatory.as_slice(), &selected].concat();
    let choices: [&[String]; 3] = [&base.mandatory, &selected, &combined];
    let grouped = selective::group(contexts, &whole, &base.hmac_key, &choices)?;
    let [always, chosen, all] = grouped.matching.as_slice() else { return Err(WRONG) };
    let mandatory: Vec<Cbor> = all
        .iter()
        .enumerate()
        .filter(|(_, index)| always.contains(index))
        .map(|(position, _)| Cbor::Integer((position as u64).into()))
        .collect();
    let signed = (0..grouped.lines.len()).filter(|index| !always.contains(index));
    let signatures = signed
        .zip(&base.signatures)
        .filter(|(index, _)| chosen.contains(index))
        .map(|(_, signature)| Cbor::Bytes(signature.clone()));
    let names = grouped.names.iter().map(|(number, name)| {
        let bytes = b64u::decode(name.strip_prefix('u').unwrap_or_default()).unwrap_or_default();
        (Cbor::Integer((*number as u64).into()), Cbor::Bytes(bytes))
    });
    let value = encode(
        DERIVED,
        vec![
            Cbor::Bytes(base.signature),
            Cbor::Bytes(key_bytes(&base.key)),
            Cbor::Array(signatures.collect()),
            Cbor::Map(names.collect()),
            Cbor::Array(mandatory),
        ],
    )?;
    let revealed = selective::select(&whole, &combined)?;
    let mut revealed = revealed.ok_or(FormatError::Draft("nothing is chosen and nothing is mandatory"))?;
    let mut proof = super::object(proof)?.clone();
    proof.insert("proofValue".to_owned(), Value::String(value));
    if let Some(members) = revealed.as_object_mut() {
        members.insert("proof".to_owned(), Value::Object(proof));
    }
    Ok(revealed)
}

/// Verifies a derived proof.
pub(super) fn verify(
    contexts: &Contexts,
    unsecured: Map<String, Value>,
    config: &Map<String, Value>,
    value: &str,
    key: &VerificationKey,
) -> Result<(), FormatError> {
    let derived = Derived::read(value)?;
    let proof_hash = proof_hash(contexts, unsecured.get("@context"), config)?;
    let lines = selective::relabelled(contexts, &Value::Object(unsecured), &derived.names)?;
    let always: BTreeSet<usize> = derived.mandatory.iter().copied().collect();
    if always.last().is_some_and(|last| *last >= lines.len()) {
        return Err(WRONG);
    }
    let (mut shown, mut signed) = (String::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        if always.contains(&index) {
            shown.push_str(line);
        } else {
            signed.push(line);
        }
    }
    // A statement without signature would be one that anybody added.
    if signed.len() != derived.signatures.len() {
        return Err(FormatError::Signature("proof"));
    }
    let statement_key = key_bytes(&derived.key);
    let message = [proof_hash.as_slice(), &statement_key, sha256(shown.as_bytes()).as_ref()].concat();
    key.verify(&message, &derived.signature, "proof")?;
    let mut pairs = signed.into_iter().zip(&derived.signatures);
    pairs.try_for_each(|(line, signature)| derived.key.verify(line.as_bytes(), signature, "proof"))
}

impl Base {
    fn read(value: Option<&Value>) -> Result<Self, FormatError> {
        let (header, parts) = decode(value.and_then(Value::as_str).unwrap_or_default())?;
        if header == DERIVED {
            return Err(FormatError::Proof("it is derived already"));
        }
        let Ok([signature, key, hmac_key, signatures, mandatory]) = <[Cbor; 5]>::try_from(parts) else {
            return Err(WRONG);
        };
        let mandatory = mandatory.into_array().map_err(|_| WRONG)?.into_iter();
        Ok(Base {
            signature: bytes(signature, 64)?,
            key: key_of(key)?,
            hmac_key: bytes(hmac_key, 32)?,
            signatures: signatures_of(signatures)?,
            mandatory: mandatory.map(|one| one.into_text().map_err(|_| WRONG)).collect::<Result<_, _>>()?,
        })
    }
}

impl Derived {
    fn read(value: &str) -> Result<Self, FormatError> {
        let (header, parts) = decode(value)?;
        if header == BASE {
            return Err(FormatError::Proof("it is a base proof, which is for the holder alone"));
        }
        let Ok([signature, key, signatures, names, mandatory]) = <[Cbor; 5]>::try_from(parts) else {
            return Err(WRONG);
        };
        let number =
            |value: &Cbor| value.as_integer().and_then(|value| usize::try_from(value).ok()).ok_or(WRONG);
        let mut named = BTreeMap::new();
        for (place, name) in names.into_map().map_err(|_| WRONG)? {
            if named.insert(number(&place)?, format!("u{}", b64u::encode(bytes(name, 32)?))).is_some() {
                return Err(WRONG);
            }
        }
        let mandatory = mandatory.into_array().map_err(|_| WRONG)?;
        let mandatory: Vec<usize> = mandatory.iter().map(number).collect::<Result<_, _>>()?;
        if !mandatory.is_sorted_by(|left, right| left < right) {
            return Err(WRONG);
        }
        Ok(Derived {
            signature: bytes(signature, 64)?,
            key: key_of(key)?,
            signatures: signatures_of(signatures)?,
            names: named,
            mandatory,
        })
    }
}

fn is_of_suite(proof: &Value) -> bool {
    proof.get("cryptosuite").and_then(Value::as_str) == Some(super::Suite::EcdsaSd2023.name())
}

fn proof_hash(
    contexts: &Contexts,
    context: Option<&Value>,
    config: &Map<String, Value>,
) -> Result<[u8; 32], FormatError> {
    Ok(sha256(&canonical_config(contexts, context, config, Hash::Sha256)?).to_bytes())
}

fn key_bytes(key: &VerificationKey) -> Vec<u8> {
    [P256_PREFIX.as_slice(), key.as_bytes()].concat()
}

fn key_of(value: Cbor) -> Result<VerificationKey, FormatError> {
    let bytes = bytes(value, 35)?;
    match bytes.split_first_chunk::<2>() {
        Some((&P256_PREFIX, point)) => VerificationKey::from_bytes(KeyType::P256, point),
        _ => Err(WRONG),
    }
}

fn signatures_of(value: Cbor) -> Result<Vec<Vec<u8>>, FormatError> {
    value.into_array().map_err(|_| WRONG)?.into_iter().map(|one| bytes(one, 64)).collect()
}

fn bytes(value: Cbor, length: usize) -> Result<Vec<u8>, FormatError> {
    value.into_bytes().ok().filter(|bytes| bytes.len() == length).ok_or(WRONG)
}

fn encode(header: [u8; 3], parts: Vec<Cbor>) -> Result<String, FormatError> {
    let mut bytes = header.to_vec();
    ciborium::into_writer(&Cbor::Array(parts), &mut bytes)
        .map_err(|error| FormatError::malformed("proof value", error))?;
    Ok(format!("u{}", b64u::encode(bytes)))
}

fn decode(value: &str) -> Result<([u8; 3], Vec<Cbor>), FormatError> {
    if value.len() > VALUE_LENGTH_MAX {
        return Err(FormatError::Oversized("proof value"));
    }
    let bytes = value.strip_prefix('u').and_then(|text| b64u::decode(text).ok()).ok_or(WRONG)?;
    let (header, mut rest) = bytes.split_first_chunk::<3>().ok_or(WRONG)?;
    if *header != BASE && *header != DERIVED {
        return Err(WRONG);
    }
    match ciborium::de::from_reader_with_recursion_limit(&mut rest, 8) {
        Ok(Cbor::Array(parts)) if rest.is_empty() => Ok((*header, parts)),
        _ => Err(WRONG),
    }
}
