//! What a verifier trusts to begin with: a genesis file, the changes of the validator set since then, and the newest
//! header it has verified (specs/wire.md, "Trust").
//!
//! Genesis names the first set. Each further set is known by a *change*: the header of the block that decided it,
//! certified by the set before it ([`crate::TrustChain`]). What holds of an anchor:
//!
//! - A header counts only under the certificate of the set that was in force at its height.
//! - A checkpoint is never left behind: an answer about the present that stands on an older block is refused, so that a
//!   dishonest node cannot serve the past as the present once the verifier has seen better.
//! - Changes up to the checkpoint are complete, so a set that has retired by then can add nothing above it and no
//!   change below it.

use aval_codec::{Hash, b64u, json};
use aval_did::PublicKey;
use aval_types::{Genesis, Header, NetworkId, node::key_bytes};
use serde::{Deserialize, Serialize};

use crate::{
    error::ProofError,
    ledger_proof::Verified,
    trust_chain::{TrustChain, TrustLink},
    validators::ValidatorSet,
};

/// The newest header that a verifier has seen certified, and the changes of the set up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The header.
    pub header: Header,
    /// Every change of the set at or below it, ascending.
    pub changes: Vec<SetChange>,
}

/// A change of the validator set that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetChange {
    /// The height of the block that decided it: the last one that the set before certifies.
    pub height: u64,
    /// The digest of that block's header.
    pub digest: Hash,
    /// The set that certifies all blocks above it, up to the next change.
    pub validators: ValidatorSet,
}

/// The JSON form of a checkpoint.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    header: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<ChangeWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeWire {
    height: u64,
    digest: Hash,
    validators: Vec<PublicKey>,
}

impl Checkpoint {
    /// `{"header":"<base64url>","changes":[…]}`, for a verifier's own storage. It is as trustworthy as the place where
    /// it is kept.
    pub fn to_json(&self) -> Vec<u8> {
        let change = |change: &SetChange| ChangeWire {
            height: change.height,
            digest: change.digest,
            validators: change.validators.keys().iter().map(|key| PublicKey::Ed25519(*key)).collect(),
        };
        let header = b64u::encode(self.header.encode());
        let wire = Wire { header, changes: self.changes.iter().map(change).collect() };
        // Strings and numbers alone: serde_json has no way to fail on them.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads what [`Self::to_json`] wrote.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProofError> {
        let unreadable = |_| ProofError::Anchor("the checkpoint cannot be read".to_owned());
        let limits = json::Limits { bytes_max: CHECKPOINT_BYTES_MAX, ..json::Limits::default() };
        let wire: Wire = json::from_slice(bytes, limits).map_err(|error| unreadable(error.to_string()))?;
        let bytes = b64u::decode(&wire.header).map_err(|error| unreadable(error.to_string()))?;
        let header = Header::decode(&bytes).map_err(|error| unreadable(error.to_string()))?;
        let change = |change: ChangeWire| {
            let keys = change.validators.iter().map(key_bytes).collect::<Option<Vec<_>>>()?;
            let validators = ValidatorSet::new(keys);
            Some(SetChange { height: change.height, digest: change.digest, validators })
        };
        let changes = wire.changes.into_iter().map(change).collect::<Option<Vec<_>>>();
        let changes = changes.ok_or_else(|| unreadable("a validator's key".to_owned()))?;
        Ok(Self { header, changes })
    }
}

/// Bytes of a checkpoint: a few thousand changes of a large set.
const CHECKPOINT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A network, the validators that certify its blocks, and the newest header seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    network: NetworkId,
    first: ValidatorSet,
    changes: Vec<SetChange>,
    checkpoint: Option<Header>,
}

impl TrustAnchor {
    /// Trusts the network of a genesis file, given by the file's bytes.
    pub fn from_genesis(bytes: &[u8]) -> Result<Self, ProofError> {
        let unusable = |error: aval_types::GenesisError| ProofError::Anchor(error.to_string());
        let genesis = Genesis::parse(bytes).map_err(unusable)?;
        let network = genesis.network_id(Genesis::hash_of(bytes)).map_err(unusable)?;
        let first = ValidatorSet::of_genesis(&genesis);
        Ok(Self { network, first, changes: Vec::new(), checkpoint: None })
    }

    /// Goes on from a checkpoint that was kept; refuses one of another network or validator set, or an older one.
    pub fn with_checkpoint(mut self, checkpoint: Checkpoint) -> Result<Self, ProofError> {
        if checkpoint.header.genesis != self.network.genesis() {
            return Err(ProofError::Network);
        }
        let Checkpoint { header, changes } = checkpoint;
        if !changes.is_sorted_by(|left, right| left.height < right.height)
            || changes.last().is_some_and(|change| change.height > header.height)
        {
            return Err(ProofError::Anchor("the changes of the checkpoint are not in order".to_owned()));
        }
        // What both know must be the same; whoever knows more is believed, since both have verified it.
        let both = self.changes.iter().zip(&changes);
        if both.clone().any(|(own, other)| own != other) {
            return Err(ProofError::Fork);
        }
        if changes.len() > self.changes.len() {
            self.changes = changes;
        }
        if self.validators_of(&header)?.hash() != header.validators_hash {
            return Err(ProofError::ValidatorSet);
        }
        self.move_to(&header)?;
        Ok(self)
    }

    /// Moves the checkpoint to the newest header that `verified` stands on. Says whether it moved; it never goes back.
    pub fn advance(&mut self, verified: &Verified) -> Result<bool, ProofError> {
        if *verified.network() != self.network {
            return Err(ProofError::Network);
        }
        match self.move_to(verified.certified()) {
            Err(ProofError::Behind) => Ok(false),
            other => other,
        }
    }

    /// Learns the changes of a trust chain, each certified by the set before it. Changes that are known already are
    /// skipped if they are the same. Says how many were new; those before a wrong one are kept.
    pub fn extend(&mut self, chain: &TrustChain) -> Result<usize, ProofError> {
        if chain.network != self.network {
            return Err(ProofError::Network);
        }
        let mut learned = 0usize;
        for link in &chain.links {
            match self.changes.iter().find(|change| change.height == link.header.height) {
                Some(known) if known.digest == link.header.digest() => {}
                Some(_) => return Err(ProofError::Fork),
                None => {
                    self.learn(link)?;
                    learned = learned.saturating_add(1);
                }
            }
        }
        Ok(learned)
    }

    fn learn(&mut self, link: &TrustLink) -> Result<(), ProofError> {
        let header = &link.header;
        let next = link.check(&self.network, self.validators())?;
        // A change between the newest known one and the checkpoint would have been named by the checkpoint: whoever
        // signs one there has signed two histories. The checkpoint may be the very block that decided the change.
        let is_other =
            |seen: &Header| header.height < seen.height || (header.height == seen.height && header != seen);
        if self.checkpoint.as_ref().is_some_and(is_other) || header.height <= self.last_change() {
            return Err(ProofError::Fork);
        }
        self.changes.push(SetChange { height: header.height, digest: header.digest(), validators: next });
        self.checkpoint = Some(header.clone());
        Ok(())
    }

    /// The network.
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// The newest validators that are known.
    pub fn validators(&self) -> &ValidatorSet {
        self.changes.last().map_or(&self.first, |change| &change.validators)
    }

    /// The height of the newest change of the set that is known; 0 if it is that of genesis.
    pub fn last_change(&self) -> u64 {
        self.changes.last().map_or(0, |change| change.height)
    }

    /// The changes that are known, ascending.
    pub fn changes(&self) -> &[SetChange] {
        &self.changes
    }

    /// The newest header seen, and the changes up to it, if there is one yet.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let header = self.checkpoint.clone()?;
        Some(Checkpoint { header, changes: self.changes.clone() })
    }

    /// The newest header seen, if there is one yet.
    pub fn seen(&self) -> Option<&Header> {
        self.checkpoint.as_ref()
    }

    /// The set that certifies this header. An error if the header does not fit the changes that are known: there may be
    /// newer ones to learn.
    pub(crate) fn validators_of(&self, header: &Header) -> Result<&ValidatorSet, ProofError> {
        let before = self.changes.iter().rev().find(|change| change.height < header.height);
        let (since, set) = before.map_or((0, &self.first), |change| (change.height, &change.validators));
        let is_change = header.validators_hash != header.next_validators_hash;
        let last_change = if is_change { header.height } else { since };
        if header.validators_hash == set.hash() && header.last_set_change == last_change {
            Ok(set)
        } else {
            Err(ProofError::ValidatorSet)
        }
    }

    /// Whether a header at the height of the checkpoint or of a change is another one.
    pub(crate) fn contradicts(&self, header: &Header) -> bool {
        let is_other =
            |height: u64, digest: &dyn Fn() -> Hash| header.height == height && header.digest() != digest();
        self.checkpoint.as_ref().is_some_and(|seen| is_other(seen.height, &|| seen.digest()))
            || self.changes.iter().any(|change| is_other(change.height, &|| change.digest))
    }

    fn move_to(&mut self, header: &Header) -> Result<bool, ProofError> {
        if let Some(seen) = &self.checkpoint {
            if header.height < seen.height {
                return Err(ProofError::Behind);
            }
            if header.height == seen.height {
                let same = header.digest() == seen.digest();
                return if same { Ok(false) } else { Err(ProofError::Fork) };
            }
        }
        self.checkpoint = Some(header.clone());
        Ok(true)
    }
}
