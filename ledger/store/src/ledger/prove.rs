//! Answers with proofs: state, receipts and headers, each with the way to a finality certificate.

use aval_codec::sha256;
use aval_proof::{Certificate, Claim, LedgerProof, OtherLeaf, PATH_LENGTH_MAX, ReceiptProof, StateProof};
use aval_types::{BlockReceipt, Header, NetworkId, TransactionId};

use super::{Ledger, TransactionPlace};
use crate::error::StoreError;
use crate::tree;

/// Why a block is final: the headers above it up to the first one with a certificate, and that certificate.
#[derive(Clone, Debug)]
pub struct Finality {
    /// Headers above the block, ascending; empty if the block has a certificate of its own.
    pub path: Vec<Header>,
    /// Certificate of the last header of the path, or of the block itself.
    pub certificate: Certificate,
}

/// A value, or its absence, with the proof against a state root.
#[derive(Clone, Debug)]
pub struct ProvenState {
    /// The value; `None` if the key is absent.
    pub value: Option<Vec<u8>>,
    /// The way to the state root.
    pub proof: StateProof,
}

impl Ledger {
    /// Proves what is, or is not, under a state key after the block at `height`, against that block's state root.
    pub fn prove(&self, key: &[u8], height: u64) -> Result<ProvenState, StoreError> {
        let head = self.head_at(height)?;
        self.require_kept(height)?;
        let key_hash = sha256(key);
        let Some(path) = tree::prove(self.storage(), head.root_version, &key_hash)? else {
            // Pruning may have come in between.
            self.require_kept(height)?;
            return Err(StoreError::corrupt("a tree node is missing"));
        };
        let value = self.state_as_of(height, key)?;
        let (own, other) = match path.leaf {
            Some(leaf) if leaf.key_hash == key_hash => (Some(leaf.value_hash), None),
            Some(leaf) => (None, Some(OtherLeaf { key_hash: leaf.key_hash, value_hash: leaf.value_hash })),
            None => (None, None),
        };
        if own != value.as_deref().map(sha256) {
            let key = String::from_utf8_lossy(key);
            return Err(StoreError::corrupt(format!(
                "state and tree disagree at height {height} about {key}"
            )));
        }
        Ok(ProvenState { value, proof: StateProof { siblings: path.siblings, leaf: other } })
    }

    /// The receipt of a transaction with its proof against the receipts root of its block; `None` if it is in no block.
    pub fn receipt(
        &self,
        id: &TransactionId,
    ) -> Result<Option<(TransactionPlace, ReceiptProof)>, StoreError> {
        let Some(place) = self.transaction(id)? else { return Ok(None) };
        let receipts = self.receipts(place.height)?;
        let proof = ReceiptProof::of(&receipts, place.index as usize);
        let damaged =
            || StoreError::corrupt(format!("the receipts of block {} are incomplete", place.height));
        Ok(Some((place, proof.ok_or_else(damaged)?)))
    }

    /// What the block at a height did on its own; `None` if it did nothing.
    pub fn block_receipt(&self, height: u64) -> Result<Option<BlockReceipt>, StoreError> {
        Ok(self.receipts(height)?.last().and_then(|bytes| BlockReceipt::decode(bytes).ok()))
    }

    /// Why the block at a height is final.
    pub fn finality(&self, height: u64) -> Result<Finality, StoreError> {
        let mut path = Vec::new();
        let newest = self.require_height(height)?.height();
        for at in (height..=newest).take(PATH_LENGTH_MAX + 1) {
            if at > height {
                path.push(self.header(at)?);
            }
            if let Some(certificate) = self.certificate(at)? {
                return Ok(Finality { path, certificate });
            }
        }
        Err(StoreError::NotCertified(height))
    }

    /// The newest height with a certificate of its own: what is true now, as far as it can be proven.
    pub fn newest_certified(&self) -> Result<u64, StoreError> {
        let newest = self.require_head()?.height();
        for height in (0..=newest).rev().take(PATH_LENGTH_MAX + 1) {
            if self.certificate(height)?.is_some() {
                return Ok(height);
            }
        }
        Err(StoreError::NotCertified(newest))
    }

    /// The whole bundle that proves a state key's value or absence at a height.
    pub fn state_proof(
        &self,
        network: &NetworkId,
        key: &str,
        height: u64,
    ) -> Result<LedgerProof, StoreError> {
        let ProvenState { value, proof } = self.prove(key.as_bytes(), height)?;
        self.bundle(network, height, Claim::State { key: key.to_owned(), value, proof })
    }

    /// The whole bundle that proves a transaction's receipt; `None` if the transaction is in no block.
    pub fn receipt_proof(
        &self,
        network: &NetworkId,
        id: &TransactionId,
    ) -> Result<Option<LedgerProof>, StoreError> {
        let Some((place, proof)) = self.receipt(id)? else { return Ok(None) };
        self.bundle(network, place.height, Claim::Receipt(proof)).map(Some)
    }

    /// The whole bundle that proves what a block did on its own; `None` if it did nothing.
    pub fn block_receipt_proof(
        &self,
        network: &NetworkId,
        height: u64,
    ) -> Result<Option<LedgerProof>, StoreError> {
        let receipts = self.receipts(height)?;
        let Some(last) = receipts.len().checked_sub(1) else { return Ok(None) };
        let proof = ReceiptProof::of(&receipts, last).filter(ReceiptProof::is_of_block);
        proof.map(|proof| self.bundle(network, height, Claim::Receipt(proof))).transpose()
    }

    /// The whole bundle that proves a header: a checkpoint.
    pub fn header_proof(&self, network: &NetworkId, height: u64) -> Result<LedgerProof, StoreError> {
        self.bundle(network, height, Claim::Header)
    }

    fn bundle(&self, network: &NetworkId, height: u64, claim: Claim) -> Result<LedgerProof, StoreError> {
        let Finality { path, certificate } = self.finality(height)?;
        Ok(LedgerProof { network: network.clone(), header: self.header(height)?, path, certificate, claim })
    }
}
