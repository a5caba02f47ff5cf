//! What a validator signs, and how two of its votes prove a fault (specs/wire.md, "Votes and evidence").
//!
//! The bytes are those of the consensus engine, so any crypto library checks a vote. An honest validator never signs
//! two of these for one view: two notarize votes for different proposals, two finalize votes for different
//! proposals, or a nullify and a finalize vote. Whoever holds such a pair can show it to anybody.

use aval_codec::{Hash, Writer, b64u, binary::varint, tag};
use aval_did::{Algorithm, PublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reject::Reject;

/// What a vote is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VoteKind {
    /// The proposal was seen and may be built upon.
    Notarize,
    /// The view is skipped.
    Nullify,
    /// The proposal is final.
    Finalize,
}

/// The proposal that a notarize or finalize vote names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VotedProposal {
    /// The view of the parent block.
    pub parent_view: u64,
    /// The digest of the block.
    pub digest: Hash,
}

/// A signed vote, as evidence shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vote {
    /// What it is for.
    pub kind: VoteKind,
    /// The epoch.
    pub epoch: u64,
    /// The view.
    pub view: u64,
    /// The view of the parent block; not in a nullify vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_view: Option<u64>,
    /// The digest of the block; not in a nullify vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash>,
    /// The validator's Ed25519 signature.
    #[serde(serialize_with = "serialize_signature", deserialize_with = "deserialize_signature")]
    pub signature: [u8; 64],
}

impl VoteKind {
    /// The namespace of such votes in the network with this genesis hash.
    pub fn namespace(self, genesis: &Hash) -> String {
        let suffix = match self {
            Self::Notarize => "NOTARIZE",
            Self::Nullify => "NULLIFY",
            Self::Finalize => "FINALIZE",
        };
        format!("aval-consensus/1/{genesis}_{suffix}")
    }
}

/// The bytes that a validator signs.
pub fn signed_bytes(
    genesis: &Hash,
    kind: VoteKind,
    epoch: u64,
    view: u64,
    proposal: Option<&VotedProposal>,
) -> Vec<u8> {
    let namespace = kind.namespace(genesis);
    let mut writer = Writer::new();
    writer.put(varint(namespace.len() as u64)).put(&namespace).put(varint(epoch)).put(varint(view));
    if let Some(proposal) = proposal {
        writer.put(varint(proposal.parent_view)).put(proposal.digest);
    }
    writer.into_vec()
}

impl Vote {
    /// The proposal that the vote names.
    pub fn proposal(&self) -> Option<VotedProposal> {
        Some(VotedProposal { parent_view: self.parent_view?, digest: self.digest? })
    }

    /// Whether the vote names a proposal exactly if its kind wants one.
    pub fn is_well_formed(&self) -> bool {
        let named = [self.parent_view.is_some(), self.digest.is_some()];
        named == [self.kind != VoteKind::Nullify; 2]
    }

    /// Whether `validator` signed it in the network with this genesis hash.
    pub fn is_signed_by(&self, validator: &PublicKey, genesis: &Hash) -> bool {
        let bytes = signed_bytes(genesis, self.kind, self.epoch, self.view, self.proposal().as_ref());
        validator.verify(Algorithm::EdDsa, &bytes, &self.signature).is_ok()
    }

    /// Whether no honest validator signs both: same view, and one of the pairs of the module's documentation.
    pub fn contradicts(&self, other: &Self) -> bool {
        let same_view = (self.epoch, self.view) == (other.epoch, other.view);
        let kinds = match self.kind <= other.kind {
            true => (self.kind, other.kind),
            false => (other.kind, self.kind),
        };
        let contradiction = match kinds {
            (VoteKind::Notarize, VoteKind::Notarize) | (VoteKind::Finalize, VoteKind::Finalize) => {
                self.proposal() != other.proposal()
            }
            (VoteKind::Nullify, VoteKind::Finalize) => true,
            _ => false,
        };
        same_view && contradiction
    }
}

/// Checks that two votes prove a fault of `validator`.
pub fn check_evidence(
    validator: &PublicKey,
    first: &Vote,
    second: &Vote,
    genesis: &Hash,
) -> Result<(), Reject> {
    if !first.is_well_formed() || !second.is_well_formed() {
        return Err(Reject::NodeEvidence("a vote names a proposal unless it nullifies".into()));
    }
    if !first.contradicts(second) {
        return Err(Reject::NodeEvidence("the votes do not contradict each other".into()));
    }
    if !first.is_signed_by(validator, genesis) || !second.is_signed_by(validator, genesis) {
        return Err(Reject::NodeEvidence("a vote is not signed by this key for this network".into()));
    }
    Ok(())
}

/// The name of a fault proof: the key and the view, so that one fault has one proof however many pairs show it.
pub fn evidence_id(validator: &[u8; 32], first: &Vote) -> Hash {
    aval_codec::hash(tag::EVIDENCE, &[validator, &first.epoch.to_be_bytes(), &first.view.to_be_bytes()])
}

fn serialize_signature<S: Serializer>(signature: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&b64u::encode(signature))
}

fn deserialize_signature<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
    b64u::decode_array(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
