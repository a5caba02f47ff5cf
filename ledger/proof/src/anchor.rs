//! What a verifier trusts to begin with: a genesis file, and the newest header it has verified (specs/wire.md,
//! "Trust").
//!
//! The validator set is fixed for now, so genesis alone says who certifies; headers have the fields that a chain of set
//! changes will need. A checkpoint is never left behind: an answer about the present that stands on an older block is
//! refused, so that a dishonest node cannot serve the past as the present once the verifier has seen better.

use aval_codec::{b64u, json};
use aval_types::{Genesis, Header, NetworkId};
use serde::{Deserialize, Serialize};

use crate::{error::ProofError, ledger_proof::Verified, validators::ValidatorSet};

/// The newest header that a verifier has seen certified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The header.
    pub header: Header,
}

/// The JSON form of a checkpoint.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    header: String,
}

impl Checkpoint {
    /// `{"header":"<base64url>"}`, for a verifier's own storage. It is as trustworthy as the place where it is kept.
    pub fn to_json(&self) -> Vec<u8> {
        format!(r#"{{"header":"{}"}}"#, b64u::encode(self.header.encode())).into_bytes()
    }

    /// Reads what [`Self::to_json`] wrote.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProofError> {
        let unreadable = |_| ProofError::Anchor("the checkpoint cannot be read".to_owned());
        let wire: Wire = json::from_slice(bytes, json::Limits::default())
            .map_err(|error| unreadable(error.to_string()))?;
        let bytes = b64u::decode(&wire.header).map_err(|error| unreadable(error.to_string()))?;
        let header = Header::decode(&bytes).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self { header })
    }
}

/// A network, the validators that certify its blocks, and the newest header seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    network: NetworkId,
    validators: ValidatorSet,
    checkpoint: Option<Checkpoint>,
}

impl TrustAnchor {
    /// Trusts the network of a genesis file, given by the file's bytes.
    pub fn from_genesis(bytes: &[u8]) -> Result<Self, ProofError> {
        let unusable = |error: aval_types::GenesisError| ProofError::Anchor(error.to_string());
        let genesis = Genesis::parse(bytes).map_err(unusable)?;
        let network = genesis.network_id(Genesis::hash_of(bytes)).map_err(unusable)?;
        Ok(Self { network, validators: ValidatorSet::of_genesis(&genesis), checkpoint: None })
    }

    /// Goes on from a checkpoint that was kept; refuses one of another network or validator set, or an older one.
    pub fn with_checkpoint(mut self, checkpoint: Checkpoint) -> Result<Self, ProofError> {
        if checkpoint.header.genesis != self.network.genesis() {
            return Err(ProofError::Network);
        }
        if checkpoint.header.validators_hash != self.validators.hash() {
            return Err(ProofError::ValidatorSet);
        }
        self.move_to(&checkpoint.header)?;
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

    /// The network.
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// The validators.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// The newest header seen, if there is one yet.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    fn move_to(&mut self, header: &Header) -> Result<bool, ProofError> {
        if let Some(checkpoint) = &self.checkpoint {
            if header.height < checkpoint.header.height {
                return Err(ProofError::Behind);
            }
            if header.height == checkpoint.header.height {
                let same = header.digest() == checkpoint.header.digest();
                return if same { Ok(false) } else { Err(ProofError::Fork) };
            }
        }
        self.checkpoint = Some(Checkpoint { header: header.clone() });
        Ok(true)
    }
}
