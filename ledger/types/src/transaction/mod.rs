//! Transactions: a JWS over a payload that names one action and everybody who signs it (specs/wire.md, "Transaction").
//!
//! Invariants of a [`SignedTransaction`], whichever way it came to be:
//! - payload and headers were read by the strict JSON reader and are within the bounds of [`crate::limits`];
//! - the signers fit the action, all DIDs are of the payload's network, and there is one signature per signer, in
//!   order, whose header names the signer's key and an algorithm that fits it;
//! - ES256 signatures have a low S;
//! - the bytes that were signed are kept as they were, so the envelope and the JWS can be written again exactly.
//!
//! That the signatures verify is not among them: `aval-machine` checks that, in batches.
//!
//! The id is a hash over the payload alone, so nobody can make a second transaction out of one by changing a header
//! or a signature.

mod builder;
mod envelope;
mod jws;
mod key_id;
mod payload;
mod shape;

use std::{fmt, str::FromStr};

use aval_codec::{Hash, HashParseError, Json, hash, tag};
use aval_did::{Algorithm, PublicKey};
use serde::{Deserialize, Serialize};

use crate::{action::Action, reject::Reject};

pub use builder::{SignError, TransactionBuilder, UnsignedTransaction};
pub use jws::TRANSACTION_TYPE;
pub use key_id::{KeyId, KeyIdError};
pub use payload::{Payload, Role, Signer};

/// The id of a transaction: a hash over its payload bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub Hash);

impl TransactionId {
    /// The id of the transaction with this payload.
    pub fn of_payload(payload: &[u8]) -> Self {
        Self(hash(tag::TRANSACTION, &[payload]))
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for TransactionId {
    type Err = HashParseError;

    fn from_str(text: &str) -> Result<Self, HashParseError> {
        text.parse().map(Self)
    }
}

/// One signature of a transaction, with the header that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub(crate) header: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) bytes: [u8; 64],
}

impl Signature {
    /// The protected header's bytes, before base64url.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The algorithm that the header names; it fits the signer's key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature.
    pub fn bytes(&self) -> &[u8; 64] {
        &self.bytes
    }
}

/// What a verifier of signatures needs of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureCheck {
    /// The key that the kid names.
    pub key: PublicKey,
    /// The algorithm, which fits the key.
    pub algorithm: Algorithm,
    /// The JWS signing input.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: [u8; 64],
}

/// A transaction with its signatures. See the module's documentation for what holds of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    id: TransactionId,
    payload_bytes: Vec<u8>,
    payload: Payload,
    signatures: Vec<Signature>,
}

impl SignedTransaction {
    /// Reads a JWS as a client submits it, compact or general JSON. Brings ES256 signatures into their low-S form.
    pub fn from_submission(jws: &[u8]) -> Result<Self, Reject> {
        jws::parse(jws).and_then(|parts| parts.into_transaction(jws::HighS::Normalize))
    }

    /// As [`Self::from_submission`] for JSON that is read already: a string with a compact JWS, or a general JSON JWS.
    pub fn from_submission_json(value: Json) -> Result<Self, Reject> {
        jws::parse_json(value).and_then(|parts| parts.into_transaction(jws::HighS::Normalize))
    }

    /// Reads a JWS strictly: as [`Self::from_submission`], but a high S is refused.
    pub fn from_jws(jws: &[u8]) -> Result<Self, Reject> {
        jws::parse(jws).and_then(|parts| parts.into_transaction(jws::HighS::Refuse))
    }

    /// Reads the canonical binary envelope that blocks carry.
    pub fn from_envelope(bytes: &[u8]) -> Result<Self, Reject> {
        envelope::parse(bytes).and_then(|parts| parts.into_transaction(jws::HighS::Refuse))
    }

    /// The canonical binary envelope.
    pub fn to_envelope(&self) -> Vec<u8> {
        envelope::encode(self)
    }

    /// The JWS again: compact if there is one signature, otherwise general JSON.
    pub fn to_jws(&self) -> String {
        jws::encode(self)
    }

    /// The id.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Hash of the canonical binary envelope: tells two signed forms of one transaction apart.
    pub fn envelope_hash(&self) -> Hash {
        hash(tag::ENVELOPE, &[&self.to_envelope()])
    }

    /// The payload's bytes, as signed.
    pub fn payload_bytes(&self) -> &[u8] {
        &self.payload_bytes
    }

    /// The payload.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The action.
    pub fn action(&self) -> &Action {
        &self.payload.action
    }

    /// The signatures, in the order of the payload's signers.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The signers with their signatures, in order.
    pub fn signed(&self) -> impl Iterator<Item = (&Signer, &Signature)> {
        self.payload.signers.iter().zip(&self.signatures)
    }

    /// What has to verify: one entry per signer, in order, for a batch.
    pub fn signature_checks(&self) -> Vec<SignatureCheck> {
        self.signed()
            .map(|(signer, signature)| SignatureCheck {
                key: signer.kid.key(),
                algorithm: signature.algorithm,
                message: jws::signing_input(&signature.header, &self.payload_bytes),
                signature: signature.bytes,
            })
            .collect()
    }

    /// Verifies the signatures one by one. Nodes verify in batches over a whole block instead, with the same result.
    pub fn verify_signatures(&self) -> Result<(), Reject> {
        for check in self.signature_checks() {
            check
                .key
                .verify_strict_low_s(check.algorithm, &check.message, &check.signature)
                .map_err(|_| Reject::TransactionSignature)?;
        }
        Ok(())
    }
}
