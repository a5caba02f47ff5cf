//! The finality certificate: a quorum of validators signed a header's digest (specs/wire.md, "Certificate").
//!
//! It is here and not in `aval-proof` because blocks carry certificates of their ancestors, from which participation is
//! measured. The type is our own and holds plain Ed25519 signatures, so any crypto library checks it and the consensus
//! engine is not needed to. What is signed is what the engine's finalize vote signs: a namespace that names the
//! network, the round, the parent's view and the digest.

use aval_codec::{Hash, b64u};
use aval_did::{Algorithm, PublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{validators::ValidatorSet, vote};

/// Signatures of a quorum under one header digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// The epoch of the vote.
    pub epoch: u64,
    /// The view of the vote.
    pub view: u64,
    /// The view of the parent block.
    pub parent_view: u64,
    /// Positions of the signers in the validator set, ascending.
    pub signers: Vec<u32>,
    /// Their signatures, in the same order.
    #[serde(serialize_with = "serialize_signatures", deserialize_with = "deserialize_signatures")]
    pub signatures: Vec<[u8; 64]>,
}

fn serialize_signatures<S: Serializer>(signatures: &[[u8; 64]], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(signatures.iter().map(b64u::encode))
}

fn deserialize_signatures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 64]>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| b64u::decode_array(text).map_err(serde::de::Error::custom)).collect()
}

/// The certificate does not hold, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate does not hold: {0}")]
pub struct CertificateError(pub &'static str);

impl CertificateError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        "proof.certificate"
    }
}

/// The namespace of finalize votes in the network with this genesis hash.
pub fn finalize_namespace(genesis: &Hash) -> String {
    vote::VoteKind::Finalize.namespace(genesis)
}

/// The bytes that a validator signs to finalize the block with this digest.
pub fn signed_bytes(genesis: &Hash, epoch: u64, view: u64, parent_view: u64, digest: &Hash) -> Vec<u8> {
    let proposal = vote::VotedProposal { parent_view, digest: *digest };
    vote::signed_bytes(genesis, vote::VoteKind::Finalize, epoch, view, Some(&proposal))
}

impl Certificate {
    /// Checks that a quorum of `validators` signed `digest`, and that every signature in the certificate is good.
    ///
    /// One bad signature beside a good quorum is refused too: a certificate is right as a whole or not at all.
    pub fn verify(
        &self,
        genesis: &Hash,
        digest: &Hash,
        validators: &ValidatorSet,
    ) -> Result<(), CertificateError> {
        if self.signers.len() != self.signatures.len() {
            return Err(CertificateError("there is not one signature per signer"));
        }
        if !self.signers.is_sorted_by(|left, right| left < right) {
            return Err(CertificateError("the signers are not ascending"));
        }
        if self.signers.len() < validators.quorum() || validators.count() == 0 {
            return Err(CertificateError("there are fewer signatures than a quorum"));
        }
        let message = signed_bytes(genesis, self.epoch, self.view, self.parent_view, digest);
        for (signer, signature) in self.signers.iter().zip(&self.signatures) {
            let key = usize::try_from(*signer)
                .ok()
                .and_then(|index| validators.keys().get(index))
                .ok_or(CertificateError("a signer is not in the validator set"))?;
            PublicKey::Ed25519(*key)
                .verify(Algorithm::EdDsa, &message, signature)
                .map_err(|_| CertificateError("a signature does not verify"))?;
        }
        Ok(())
    }
}
