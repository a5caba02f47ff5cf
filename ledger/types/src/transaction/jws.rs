//! The JWS forms of a transaction: compact (RFC 7515 §7.1) for one signer, general JSON (§7.2.1) for one or more.
//!
//! Nothing here is lenient: base64url has one spelling, objects have exactly the members named, the protected header is
//! exactly `alg`, `kid` and `typ`, and there is no unprotected header. Nothing that a header names is ever fetched.

use aval_codec::{Json, Limits, b64u, json};
use aval_did::{Algorithm, is_es256_low_s, normalize_es256_low_s};
use serde::Deserialize;

use super::{Payload, Signature, SignedTransaction, Signer, TransactionId, payload::malformed};
use crate::{limits, reject::Reject};

/// The `typ` of a transaction's protected headers.
pub const TRANSACTION_TYPE: &str = "aval-tx+jwt";

/// What to do with an ES256 signature whose S is in the upper half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HighS {
    /// Take the equivalent one: most JOSE libraries emit a high S half of the time.
    Normalize,
    /// Refuse: a signature on the ledger has one form.
    Refuse,
}

/// The bytes of a transaction, not yet understood.
pub(super) struct Parts {
    pub(super) payload: Vec<u8>,
    /// Protected header and signature, per signer.
    pub(super) signatures: Vec<(Vec<u8>, [u8; 64])>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct General {
    payload: String,
    signatures: Vec<GeneralSignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneralSignature {
    protected: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// Takes either form apart.
pub(super) fn parse(jws: &[u8]) -> Result<Parts, Reject> {
    if jws.len() > limits::TRANSACTION_BYTES_MAX {
        return Err(Reject::TransactionOversized);
    }
    if jws.first() == Some(&b'{') {
        let limits = Limits { bytes_max: limits::TRANSACTION_BYTES_MAX, depth_max: limits::JSON_DEPTH_MAX };
        return parse_general(json::from_slice(jws, limits).map_err(malformed)?);
    }
    let mut segments = jws.split(|byte| *byte == b'.');
    match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some(protected), Some(payload), Some(signature), None) => Ok(Parts {
            payload: decode_payload(payload)?,
            signatures: vec![decode_signature(protected, signature)?],
        }),
        _ => Err(Reject::TransactionMalformed("neither a compact nor a general JSON JWS".into())),
    }
}

/// Takes the `transaction` member of a submission apart: a compact JWS as a string, or a general JSON JWS.
pub(super) fn parse_json(value: Json) -> Result<Parts, Reject> {
    match value {
        Json::String(compact) => parse(compact.as_bytes()),
        other => parse_general(json::from_json(other).map_err(malformed)?),
    }
}

fn parse_general(general: General) -> Result<Parts, Reject> {
    if general.signatures.len() > limits::SIGNERS_MAX {
        return Err(Reject::TransactionSigners("a transaction has 1 to 18 signers".into()));
    }
    let signatures = general
        .signatures
        .iter()
        .map(|entry| decode_signature(entry.protected.as_bytes(), entry.signature.as_bytes()))
        .collect::<Result<_, _>>()?;
    Ok(Parts { payload: decode_payload(general.payload.as_bytes())?, signatures })
}

fn decode_payload(text: &[u8]) -> Result<Vec<u8>, Reject> {
    b64u::decode(text).map_err(|_| Reject::TransactionMalformed("the payload is not base64url".into()))
}

fn decode_signature(protected: &[u8], signature: &[u8]) -> Result<(Vec<u8>, [u8; 64]), Reject> {
    let header = b64u::decode(protected)
        .map_err(|_| Reject::TransactionMalformed("a header is not base64url".into()))?;
    let signature = b64u::decode_array(signature)
        .map_err(|_| Reject::TransactionMalformed("a signature is not 64 bytes in base64url".into()))?;
    Ok((header, signature))
}

impl Parts {
    /// Checks everything but the signatures themselves.
    pub(super) fn into_transaction(self, high_s: HighS) -> Result<SignedTransaction, Reject> {
        let payload = Payload::parse(&self.payload)?;
        if self.signatures.len() != payload.signers.len() {
            return Err(Reject::TransactionSigners("there is not one signature per signer".into()));
        }
        let signatures = payload
            .signers
            .iter()
            .zip(self.signatures)
            .map(|(signer, (header, bytes))| read_signature(signer, header, bytes, high_s))
            .collect::<Result<_, _>>()?;
        Ok(SignedTransaction {
            id: TransactionId::of_payload(&self.payload),
            payload_bytes: self.payload,
            payload,
            signatures,
        })
    }
}

fn read_signature(
    signer: &Signer,
    header: Vec<u8>,
    bytes: [u8; 64],
    high_s: HighS,
) -> Result<Signature, Reject> {
    if header.len() > limits::HEADER_BYTES_MAX {
        return Err(Reject::TransactionOversized);
    }
    let members: Header =
        json::from_slice(&header, Limits::bytes(limits::HEADER_BYTES_MAX)).map_err(malformed)?;
    if members.typ != TRANSACTION_TYPE {
        return Err(Reject::TransactionMalformed("the header's typ is not aval-tx+jwt".into()));
    }
    if members.kid != signer.kid.to_string() {
        return Err(Reject::TransactionSigners(
            "a header's kid is not that of the signer in its place".into(),
        ));
    }
    let algorithm = signer.kid.key().algorithm();
    if members.alg != algorithm.name() {
        return Err(Reject::TransactionAlgorithm);
    }
    let bytes = match (algorithm, high_s) {
        (Algorithm::EdDsa, _) => bytes,
        (Algorithm::Es256, HighS::Normalize) => {
            normalize_es256_low_s(&bytes).ok_or(Reject::TransactionSignature)?
        }
        (Algorithm::Es256, HighS::Refuse) if is_es256_low_s(&bytes) => bytes,
        (Algorithm::Es256, HighS::Refuse) => return Err(Reject::TransactionSignature),
    };
    Ok(Signature { header, algorithm, bytes })
}

/// The protected header that we write for a key.
pub(super) fn header(signer: &Signer) -> Vec<u8> {
    let alg = signer.kid.key().algorithm().name();
    // Neither a DID nor a multikey has a character that JSON would escape.
    format!(r#"{{"alg":"{alg}","kid":"{}","typ":"{TRANSACTION_TYPE}"}}"#, signer.kid).into_bytes()
}

/// The bytes that a signature covers (RFC 7515 §5.1).
pub(super) fn signing_input(header: &[u8], payload: &[u8]) -> Vec<u8> {
    format!("{}.{}", b64u::encode(header), b64u::encode(payload)).into_bytes()
}

pub(super) fn encode(transaction: &SignedTransaction) -> String {
    let payload = b64u::encode(&transaction.payload_bytes);
    if let [only] = transaction.signatures.as_slice() {
        return format!("{}.{payload}.{}", b64u::encode(&only.header), b64u::encode(only.bytes));
    }
    let entries: Vec<String> = transaction
        .signatures
        .iter()
        .map(|signature| {
            let (header, bytes) = (b64u::encode(&signature.header), b64u::encode(signature.bytes));
            format!(r#"{{"protected":"{header}","signature":"{bytes}"}}"#)
        })
        .collect();
    format!(r#"{{"payload":"{payload}","signatures":[{}]}}"#, entries.join(","))
}
