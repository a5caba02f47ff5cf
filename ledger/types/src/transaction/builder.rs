//! Making transactions: what a wallet, an issuer or a test does (specs/wire.md, "Transaction").
//!
//! Building and signing are apart, because signers may sit at different machines: [`UnsignedTransaction`] has the
//! payload's bytes and the id, each signer makes its signature from it, and [`UnsignedTransaction::assemble`] joins
//! them.

use aval_codec::Hash;
use aval_did::SigningKey;
use aval_did::key;
use uuid::Uuid;

use super::{KeyId, Payload, Role, Signature, SignedTransaction, Signer, TransactionId, jws};
use crate::{action::Action, limits, network::NetworkId, reject::Reject};

/// Why a transaction could not be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The ledger would refuse the payload.
    #[error(transparent)]
    Refused(#[from] Reject),
    /// A signer's key is not among those given.
    #[error("no key was given for the signer {0}")]
    KeyMissing(String),
    /// The key does not belong to any signer of the payload.
    #[error("the key belongs to none of the signers")]
    KeyUnexpected,
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] key::SignerError),
}

impl SignError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(reject) => reject.code(),
            Self::KeyMissing(_) => "sign.key_missing",
            Self::KeyUnexpected => "sign.key_unexpected",
            Self::Key(_) => "sign.key",
        }
    }
}

/// Puts a payload together.
#[derive(Debug, Clone)]
pub struct TransactionBuilder {
    payload: Payload,
}

impl TransactionBuilder {
    /// A transaction that may be executed from `nbf` (seconds since 1970) on, for as long as a window may be.
    ///
    /// `jti` makes it unique: a fresh random UUID, unless the caller wants the same transaction again.
    pub fn new(network: NetworkId, action: Action, jti: Uuid, nbf: u64) -> Self {
        let exp = nbf.saturating_add(limits::VALIDITY_SECONDS_MAX.unsigned_abs());
        Self { payload: Payload { jti, network, nbf, exp, action, signers: Vec::new(), presentation: None } }
    }

    /// Ends the window at `exp` (seconds since 1970) instead.
    pub fn exp(mut self, exp: u64) -> Self {
        self.payload.exp = exp;
        self
    }

    /// Adds the sender.
    pub fn sender(self, kid: KeyId) -> Self {
        self.signer(Role::Sender, kid)
    }

    /// Adds a controller.
    pub fn controller(self, kid: KeyId) -> Self {
        self.signer(Role::Controller, kid)
    }

    /// Adds the endorser.
    pub fn endorser(self, kid: KeyId) -> Self {
        self.signer(Role::Endorser, kid)
    }

    /// Names the presentation that will travel beside the transaction by its `sd_hash`.
    pub fn presentation(mut self, sd_hash: Hash) -> Self {
        self.payload.presentation = Some(sd_hash);
        self
    }

    /// The payload, if the ledger would not refuse it for its shape.
    pub fn build(mut self) -> Result<UnsignedTransaction, Reject> {
        self.payload.signers.sort_by_key(|signer| signer.role);
        let bytes = self.payload.to_bytes();
        // Read back, so that what is signed is what a node will read.
        let payload = Payload::parse(&bytes)?;
        Ok(UnsignedTransaction { id: TransactionId::of_payload(&bytes), bytes, payload })
    }

    /// Builds and signs with all keys at hand.
    pub fn sign(self, keys: &[&SigningKey]) -> Result<SignedTransaction, SignError> {
        self.build()?.sign(keys)
    }

    fn signer(mut self, role: Role, kid: KeyId) -> Self {
        self.payload.signers.push(Signer { role, kid });
        self
    }
}

/// A payload that waits for its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedTransaction {
    id: TransactionId,
    bytes: Vec<u8>,
    payload: Payload,
}

impl UnsignedTransaction {
    /// Takes up a payload that somebody else built, to sign it too.
    pub fn from_payload_bytes(bytes: Vec<u8>) -> Result<Self, Reject> {
        let payload = Payload::parse(&bytes)?;
        Ok(Self { id: TransactionId::of_payload(&bytes), bytes, payload })
    }

    /// The id that the signed transaction will have: what a key-binding JWT names as its nonce.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The bytes to be signed.
    pub fn payload_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The signatures of the signers who have this key; usually one.
    pub fn signatures(&self, key: &dyn key::Signer) -> Result<Vec<Signature>, SignError> {
        let public = key.public();
        let algorithm = public.algorithm();
        let signatures: Vec<Signature> = self
            .payload
            .signers
            .iter()
            .filter(|signer| signer.kid.key() == public)
            .map(|signer| {
                let header = jws::header(signer);
                let bytes = key.try_sign(&jws::signing_input(&header, &self.bytes))?;
                Ok(Signature { header, algorithm, bytes })
            })
            .collect::<Result<_, SignError>>()?;
        if signatures.is_empty() { Err(SignError::KeyUnexpected) } else { Ok(signatures) }
    }

    /// What each signer signs, in their order: the signing input of its JWS (RFC 7515, section 5.1). Two signers with the
    /// same key id sign the same.
    pub fn signing_inputs(&self) -> Vec<(KeyId, Vec<u8>)> {
        let input =
            |signer: &Signer| (signer.kid.clone(), jws::signing_input(&jws::header(signer), &self.bytes));
        self.payload.signers.iter().map(input).collect()
    }

    /// Takes up a signature that a signer made elsewhere over its signing input. It is verified.
    pub fn signature(&self, kid: &KeyId, bytes: [u8; 64]) -> Result<Signature, SignError> {
        let signer = self.payload.signers.iter().find(|signer| signer.kid == *kid);
        let header = jws::header(signer.ok_or(SignError::KeyUnexpected)?);
        let algorithm = kid.key().algorithm();
        kid.key()
            .verify(algorithm, &jws::signing_input(&header, &self.bytes), &bytes)
            .map_err(|_| SignError::Refused(Reject::TransactionSignature))?;
        Ok(Signature { header, algorithm, bytes })
    }

    /// Joins signatures that were made in several places; their order does not matter.
    pub fn assemble(self, signatures: Vec<Signature>) -> Result<SignedTransaction, SignError> {
        let mut parts = jws::Parts { payload: self.bytes, signatures: Vec::new() };
        for signer in &self.payload.signers {
            let header = jws::header(signer);
            let signature = signatures
                .iter()
                .find(|signature| signature.header == header)
                .ok_or_else(|| SignError::KeyMissing(signer.kid.to_string()))?;
            parts.signatures.push((header, signature.bytes));
        }
        Ok(parts.into_transaction(jws::HighS::Normalize)?)
    }

    /// Signs with all keys at hand.
    pub fn sign(self, keys: &[&SigningKey]) -> Result<SignedTransaction, SignError> {
        let signatures = keys.iter().map(|key| self.signatures(*key)).collect::<Result<Vec<_>, _>>()?;
        self.assemble(signatures.into_iter().flatten().collect())
    }
}
