//! The ledger as commands see it: verified, or believed because the user said `--trust-node`.

use std::time::Duration;

use aval_client::{
    ClientError, Outcome, Problem, Reported, ResolutionAnswer, TrustNode, Verified, VerifyingClient,
};
use aval_did::resolution::VersionSelector;
use aval_did::{Did, DidRecord};
use aval_proof::LedgerProof;
use aval_types::{Receipt, SubmittedTransaction, TransactionId};
use serde_json::Value;

use crate::error::WalletError;

/// How long a command waits for a transaction to become final.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The ledger, behind one node.
#[derive(Debug)]
pub enum Ledger {
    /// Every answer is verified.
    Verifying(Box<VerifyingClient>),
    /// The node is believed.
    Trusting(TrustNode),
}

/// An answer, and as of when it holds.
#[derive(Debug, Clone)]
pub struct Dated<T> {
    /// The answer.
    pub value: T,
    /// The height of the block it is as of.
    pub height: u64,
    /// The time of that block, milliseconds since 1970.
    pub time_ms: u64,
    /// The proof; none if the node was believed.
    pub proof: Option<LedgerProof>,
}

impl<T> From<Verified<T>> for Dated<T> {
    fn from(verified: Verified<T>) -> Self {
        let Verified { value, height, time_ms, proof } = verified;
        Self { value, height, time_ms, proof: Some(proof) }
    }
}

impl<T> From<Reported<T>> for Dated<T> {
    fn from(reported: Reported<T>) -> Self {
        let Reported { value, height, time_ms } = reported;
        Self { value, height, time_ms, proof: None }
    }
}

/// What became of a submitted transaction.
#[derive(Debug)]
pub enum Settled {
    /// It is in a final block.
    Final(Box<Dated<Receipt>>),
    /// The node refused it.
    Refused(Problem),
}

/// A resolution, verified or believed.
#[derive(Debug)]
pub enum Resolved {
    /// Rebuilt from a proof.
    Proven(Box<Verified<aval_client::Resolution>>),
    /// As the node gave it.
    Believed(Box<ResolutionAnswer>),
}

impl Ledger {
    /// The record of a DID.
    pub fn did_record(&self, did: &Did) -> Result<Dated<Option<DidRecord>>, WalletError> {
        Ok(match self {
            Self::Verifying(client) => client.did_record(did)?.into(),
            Self::Trusting(client) => client.did_record(did)?.into(),
        })
    }

    /// The value of a state key.
    pub fn state(&self, key: &str) -> Result<Dated<Option<Vec<u8>>>, WalletError> {
        Ok(match self {
            Self::Verifying(client) => client.state(key)?.into(),
            Self::Trusting(client) => client.state(key)?.into(),
        })
    }

    /// The receipt of a final transaction; nothing if the node knows of none.
    pub fn receipt(&self, id: TransactionId) -> Result<Option<Dated<Receipt>>, WalletError> {
        let answer = match self {
            Self::Verifying(client) => client.receipt(id).map(Dated::from),
            Self::Trusting(client) => client.receipt(id).map(Dated::from),
        };
        match answer {
            Ok(receipt) => Ok(Some(receipt)),
            Err(ClientError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Resolves a DID.
    pub fn resolve(&self, did: &Did, version: VersionSelector) -> Result<Resolved, WalletError> {
        Ok(match self {
            Self::Verifying(client) => Resolved::Proven(Box::new(client.resolve(did, version)?)),
            Self::Trusting(client) => Resolved::Believed(Box::new(client.resolve(did, &version)?)),
        })
    }

    /// Submits a transaction and waits for its outcome.
    pub fn submit_and_wait(&self, submitted: &SubmittedTransaction) -> Result<Settled, WalletError> {
        Ok(match self {
            Self::Verifying(client) => match client.submit_and_wait(submitted, PATIENCE)? {
                Outcome::Final(receipt) => Settled::Final(Box::new((*receipt).into())),
                Outcome::Refused(problem) => Settled::Refused(problem),
            },
            Self::Trusting(client) => match client.submit_and_wait(submitted, PATIENCE)? {
                Ok(receipt) => Settled::Final(Box::new(receipt.into())),
                Err(problem) => Settled::Refused(problem),
            },
        })
    }

    /// The connection, for what needs no proof.
    pub fn node(&self) -> &aval_client::NodeClient {
        match self {
            Self::Verifying(client) => client.node(),
            Self::Trusting(client) => client.node(),
        }
    }
}

/// A proof as JSON, for the vault and for output.
pub fn proof_json(proof: &LedgerProof) -> Value {
    serde_json::from_slice(&proof.to_json()).unwrap_or_default()
}

/// A receipt as JSON.
pub fn receipt_json(receipt: &Receipt) -> Value {
    serde_json::from_slice(&receipt.encode()).unwrap_or_default()
}
