//! The bundle that a node hands out with every answer: header, certificate and claim (specs/wire.md, "Ledger proof").
//!
//! The chain of trust is: claim → root in the header → digest of the header → (headers that follow it, each naming
//! its parent's digest) → certificate → validator set → trust anchor. Every field is either covered by a hash or
//! signature or compared with one that is, so that no bit of a proof can be changed unnoticed.

use aval_codec::{Hash, Limits, b64u, json, sha256};
use aval_did::{Did, DidRecord};
use aval_types::{BlockReceipt, Header, NetworkId, Receipt};
use serde::{Deserialize, Serialize};

use crate::{
    anchor::TrustAnchor,
    certificate::Certificate,
    error::ProofError,
    receipt_proof::{self, ReceiptProof},
    state_proof::{OtherLeaf, StateProof},
};

/// Bytes of a bundle: a status chunk or DID record, 256 siblings, and the headers up to a certified one.
pub const LEDGER_PROOF_BYTES_MAX: usize = 1024 * 1024;
/// Headers between the one that the claim stands on and a certified one.
pub const PATH_LENGTH_MAX: usize = 1024;

/// What a bundle claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing but the header: a checkpoint.
    Header,
    /// A key of the state has this value, or is absent.
    State {
        /// The key.
        key: String,
        /// The value, or `None` for absence.
        value: Option<Vec<u8>>,
        /// The way to the state root.
        proof: StateProof,
    },
    /// A receipt, of a transaction or of the block itself, is among those of the block.
    Receipt(ReceiptProof),
}

/// A claim about the ledger with all that is needed to check it offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerProof {
    /// The network.
    pub network: NetworkId,
    /// The header that the claim stands on.
    pub header: Header,
    /// The headers that follow, up to a certified one; empty if the header is certified itself.
    pub path: Vec<Header>,
    /// The certificate of the last of these headers.
    pub certificate: Certificate,
    /// The claim.
    pub claim: Claim,
}

/// A claim that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    network: NetworkId,
    header: Header,
    certified: Header,
    proven: Proven,
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proven {
    /// The header alone.
    Header,
    /// A key of the state has this value, or is absent.
    State {
        /// The key.
        key: String,
        /// The value, or `None` for absence.
        value: Option<Vec<u8>>,
    },
    /// The receipt of a transaction.
    Receipt(Receipt),
    /// What the block did on its own.
    BlockReceipt(BlockReceipt),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    network: NetworkId,
    genesis: Hash,
    header: String,
    path: Vec<String>,
    certificate: Certificate,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::strictly_some")]
    state: Option<StateWire>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::strictly_some")]
    receipt: Option<receipt_proof::Wire>,
}

/// `value` and `leaf` are always there, null where there is none, so that leaving one out is not a second spelling.
///
/// `key_hash` says the key a second time. A proof of absence proves the absence of every key in the same empty
/// place, so without it a damaged key would make a proof of something else that is true.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StateWire {
    key: String,
    key_hash: Hash,
    #[serde(deserialize_with = "json::strictly")]
    value: Option<String>,
    siblings: Vec<Hash>,
    #[serde(deserialize_with = "json::strictly")]
    leaf: Option<OtherLeaf>,
}

impl LedgerProof {
    /// Reads the JSON form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProofError> {
        let wire: Wire = json::from_slice(bytes, Limits::bytes(LEDGER_PROOF_BYTES_MAX))
            .map_err(|error| ProofError::Malformed(error.to_string()))?;
        Self::from_wire(wire)
    }

    /// Reads the JSON form out of a larger answer that is read already.
    pub fn from_json_value(value: json::Json) -> Result<Self, ProofError> {
        Self::from_wire(json::from_json(value).map_err(|error| ProofError::Malformed(error.to_string()))?)
    }

    fn from_wire(wire: Wire) -> Result<Self, ProofError> {
        // The genesis hash stands by itself for readers; it must be the one in the network's name.
        if wire.genesis != wire.network.genesis() {
            return Err(ProofError::Network);
        }
        if wire.path.len() > PATH_LENGTH_MAX {
            return Err(ProofError::Malformed("the path is too long".to_owned()));
        }
        let claim = match (wire.state, wire.receipt) {
            (None, None) => Claim::Header,
            (Some(state), None) => state.into_claim()?,
            (None, Some(receipt)) => Claim::Receipt(ReceiptProof::from_wire(receipt)?),
            (Some(_), Some(_)) => {
                return Err(ProofError::Malformed("a proof has a state or a receipt, not both".to_owned()));
            }
        };
        Ok(Self {
            network: wire.network,
            header: decode_header(&wire.header)?,
            path: wire.path.iter().map(|text| decode_header(text)).collect::<Result<_, _>>()?,
            certificate: wire.certificate,
            claim,
        })
    }

    /// The JSON form, compact.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers alone: serde_json has no way to fail on them.
        serde_json::to_vec(&self.to_wire()).unwrap_or_default()
    }

    fn to_wire(&self) -> Wire {
        let (state, receipt) = match &self.claim {
            Claim::Header => (None, None),
            Claim::State { key, value, proof } => {
                let state = StateWire {
                    key: key.clone(),
                    key_hash: sha256(key.as_bytes()),
                    value: value.as_ref().map(b64u::encode),
                    siblings: proof.siblings.clone(),
                    leaf: proof.leaf,
                };
                (Some(state), None)
            }
            Claim::Receipt(proof) => (None, Some(proof.to_wire())),
        };
        Wire {
            genesis: self.network.genesis(),
            network: self.network.clone(),
            header: b64u::encode(self.header.encode()),
            path: self.path.iter().map(|header| b64u::encode(header.encode())).collect(),
            certificate: self.certificate.clone(),
            state,
            receipt,
        }
    }

    /// Checks the bundle against the anchor. State and bare headers must not be older than the anchor's checkpoint,
    /// because they speak of the present; a receipt may be of any age.
    pub fn verify(&self, anchor: &TrustAnchor) -> Result<Verified, ProofError> {
        let verified = self.verify_past(anchor)?;
        let is_behind = anchor.seen().is_some_and(|seen| self.header.height < seen.height);
        match self.claim {
            Claim::Header | Claim::State { .. } if is_behind => Err(ProofError::Behind),
            _ => Ok(verified),
        }
    }

    /// As [`Self::verify`] for who asked for the past: the state may be older than the checkpoint.
    pub fn verify_past(&self, anchor: &TrustAnchor) -> Result<Verified, ProofError> {
        if self.network != *anchor.network() {
            return Err(ProofError::Network);
        }
        let certified = self.check_path()?;
        let validators = anchor.validators_of(certified)?;
        if certified.epoch != self.certificate.epoch || self.certificate.view < certified.view {
            return Err(ProofError::Certificate("the round is not that of the header"));
        }
        self.certificate.verify(&self.network.genesis(), &certified.digest(), validators)?;
        self.check_fork(anchor)?;
        let proven = match &self.claim {
            Claim::Header => Proven::Header,
            Claim::State { key, value, proof } => {
                proof.verify(&self.header.state_root, key.as_bytes(), value.as_deref())?;
                Proven::State { key: key.clone(), value: value.clone() }
            }
            Claim::Receipt(proof) => self.check_receipt(proof)?,
        };
        Ok(Verified {
            network: self.network.clone(),
            header: self.header.clone(),
            certified: certified.clone(),
            proven,
        })
    }

    /// Checks that the headers are of this network and connect; gives the certified one.
    fn check_path(&self) -> Result<&Header, ProofError> {
        let mut certified = &self.header;
        for header in &self.path {
            if header.parent != certified.digest() {
                return Err(ProofError::Path("a header does not name the one before it as its parent"));
            }
            if certified.height.checked_add(1) != Some(header.height) || header.time_ms <= certified.time_ms {
                return Err(ProofError::Path("height or time does not rise from a header to the next"));
            }
            certified = header;
        }
        for header in std::iter::once(&self.header).chain(&self.path) {
            if header.genesis != self.network.genesis() {
                return Err(ProofError::Network);
            }
        }
        Ok(certified)
    }

    /// Only for certified headers: that an uncertified one differs from the checkpoint says nothing about the
    /// validators.
    fn check_fork(&self, anchor: &TrustAnchor) -> Result<(), ProofError> {
        let mut headers = std::iter::once(&self.header).chain(&self.path);
        if headers.any(|header| anchor.contradicts(header)) { Err(ProofError::Fork) } else { Ok(()) }
    }

    fn check_receipt(&self, proof: &ReceiptProof) -> Result<Proven, ProofError> {
        let root = &self.header.receipts_root;
        let (proven, height, time_ms) = if proof.is_of_block() {
            let receipt = proof.verify_block(root)?;
            let (height, time_ms) = (receipt.height, receipt.time_ms);
            (Proven::BlockReceipt(receipt), height, time_ms)
        } else {
            let receipt = proof.verify(root)?;
            let (height, time_ms) = (receipt.height, receipt.time_ms);
            (Proven::Receipt(receipt), height, time_ms)
        };
        if height != self.header.height || time_ms != self.header.time_ms {
            return Err(ProofError::Receipt("the receipt is not of the header's block"));
        }
        Ok(proven)
    }
}

impl StateWire {
    fn into_claim(self) -> Result<Claim, ProofError> {
        if self.key_hash != sha256(self.key.as_bytes()) {
            return Err(ProofError::State("the key is not the one of its hash"));
        }
        let value = self
            .value
            .map(|text| {
                b64u::decode(text)
                    .map_err(|_| ProofError::Malformed("state.value is not base64url".to_owned()))
            })
            .transpose()?;
        let proof = StateProof { siblings: self.siblings, leaf: self.leaf };
        Ok(Claim::State { key: self.key, value, proof })
    }
}

pub(crate) fn decode_header(text: &str) -> Result<Header, ProofError> {
    let bytes =
        b64u::decode(text).map_err(|_| ProofError::Malformed("a header is not base64url".to_owned()))?;
    Header::decode(&bytes).map_err(|error| ProofError::Malformed(error.to_string()))
}

/// The key of a DID's record in the state.
pub fn did_state_key(did: &Did) -> String {
    format!("did/{did}")
}

impl Verified {
    /// The network.
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// The header that the claim stands on.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The certified header: that one, or a later one.
    pub fn certified(&self) -> &Header {
        &self.certified
    }

    /// The height as of which the claim holds.
    pub fn height(&self) -> u64 {
        self.header.height
    }

    /// The block time as of which the claim holds, milliseconds since 1970: what an answer is dated with.
    pub fn time_ms(&self) -> u64 {
        self.header.time_ms
    }

    /// What was proven.
    pub fn proven(&self) -> &Proven {
        &self.proven
    }

    /// The value of this key, or `None` for its proven absence.
    pub fn value(&self, expected_key: &str) -> Result<Option<&[u8]>, ProofError> {
        match &self.proven {
            Proven::State { key, value } if key == expected_key => Ok(value.as_deref()),
            Proven::State { .. } => Err(ProofError::Subject("it proves another key")),
            _ => Err(ProofError::Subject("it proves no state")),
        }
    }

    /// The record of this DID, or `None` if it is proven that there is none.
    pub fn did_record(&self, did: &Did) -> Result<Option<DidRecord>, ProofError> {
        let Some(bytes) = self.value(&did_state_key(did))? else {
            return Ok(None);
        };
        let record =
            DidRecord::from_bytes(bytes).map_err(|_| ProofError::Subject("the value is not a DID record"))?;
        if record.did == *did {
            Ok(Some(record))
        } else {
            Err(ProofError::Subject("the record is of another DID"))
        }
    }

    /// The receipt of a transaction.
    pub fn receipt(&self) -> Result<&Receipt, ProofError> {
        match &self.proven {
            Proven::Receipt(receipt) => Ok(receipt),
            _ => Err(ProofError::Subject("it proves no receipt")),
        }
    }

    /// What the block did on its own.
    pub fn block_receipt(&self) -> Result<&BlockReceipt, ProofError> {
        match &self.proven {
            Proven::BlockReceipt(receipt) => Ok(receipt),
            _ => Err(ProofError::Subject("it proves no receipt of a block")),
        }
    }
}
