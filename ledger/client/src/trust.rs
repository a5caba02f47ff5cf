//! The explicit other way: a node that is believed without proof, because it is one's own.

use std::time::Duration;

use aval_codec::json;
use aval_did::resolution::VersionSelector;
use aval_did::{Did, DidRecord};
use aval_proof::{Claim, LedgerProof, did_state_key};
use aval_types::{Receipt, SubmittedTransaction, TransactionId};

use crate::error::{ClientError, Problem};
use crate::node::{NodeClient, ResolutionAnswer, TransactionStatus};

/// What a node says, dated by its own word.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported<T> {
    /// What it says.
    pub value: T,
    /// The height that it says it as of.
    pub height: u64,
    /// The time of that block, milliseconds since 1970.
    pub time_ms: u64,
}

/// A client that believes its node.
#[derive(Debug, Clone)]
pub struct TrustNode {
    node: NodeClient,
}

impl TrustNode {
    /// Believes this node.
    pub fn new(node: NodeClient) -> Self {
        Self { node }
    }

    /// The connection.
    pub fn node(&self) -> &NodeClient {
        &self.node
    }

    /// The value of a state key.
    pub fn state(&self, key: &str) -> Result<Reported<Option<Vec<u8>>>, ClientError> {
        let proof = self.node.state(key, None)?;
        let (height, time_ms) = date(&proof);
        match proof.claim {
            Claim::State { key: answered, value, .. } if answered == key => {
                Ok(Reported { value, height, time_ms })
            }
            _ => Err(ClientError::Contradiction("it is about another key")),
        }
    }

    /// The record of a DID.
    pub fn did_record(&self, did: &Did) -> Result<Reported<Option<DidRecord>>, ClientError> {
        let Reported { value, height, time_ms } = self.state(&did_state_key(did))?;
        let read = |bytes: Vec<u8>| DidRecord::from_bytes(&bytes);
        let value = value.map(read).transpose();
        let value = value.map_err(|error: json::JsonError| ClientError::Malformed(error.to_string()))?;
        Ok(Reported { value, height, time_ms })
    }

    /// A DID resolution result as the node gives it.
    pub fn resolve(&self, did: &Did, version: &VersionSelector) -> Result<ResolutionAnswer, ClientError> {
        self.node.resolve(did, version)
    }

    /// The receipt of a transaction.
    pub fn receipt(&self, id: TransactionId) -> Result<Reported<Receipt>, ClientError> {
        let proof = self.node.receipt(id)?;
        let (height, time_ms) = date(&proof);
        let Claim::Receipt(receipt) = proof.claim else {
            return Err(ClientError::Contradiction("it is not about a receipt"));
        };
        let receipt =
            Receipt::decode(&receipt.bytes).map_err(|error| ClientError::Malformed(error.to_string()))?;
        Ok(Reported { value: receipt, height, time_ms })
    }

    /// Submits a transaction and waits until the node says what became of it; `Err` in the `Ok` is a refusal.
    pub fn submit_and_wait(
        &self,
        submitted: &SubmittedTransaction,
        patience: Duration,
    ) -> Result<Result<Reported<Receipt>, Problem>, ClientError> {
        match self.node.submit(submitted) {
            Ok(_) => {}
            Err(ClientError::Refused(problem)) if problem.code == "transaction.duplicate" => {}
            Err(ClientError::Refused(problem)) => return Ok(Err(problem)),
            Err(error) => return Err(error),
        }
        let id = submitted.transaction.id();
        match self.node.wait(id, patience)? {
            TransactionStatus::Refused { code, title } => {
                Ok(Err(Problem { code, title, ..Problem::default() }))
            }
            _ => Ok(Ok(self.receipt(id)?)),
        }
    }
}

fn date(proof: &LedgerProof) -> (u64, u64) {
    (proof.header.height, proof.header.time_ms)
}
