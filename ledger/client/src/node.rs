//! The node interface, typed, and nothing verified: what a node says, as it says it.
//!
//! [`crate::VerifyingClient`] is what programs use; [`crate::TrustNode`] is the explicit way to believe a node.

use std::io::Read;
use std::time::{Duration, Instant};

use aval_codec::Json;
use aval_did::Did;
use aval_did::resolution::{RESULT_MEDIA_TYPE, VersionSelector, format_time_ms};
use aval_proof::{LedgerProof, TrustChain};
use aval_types::{Action, SubmittedTransaction, TransactionId};
use serde::Deserialize;

use crate::error::ClientError;
use crate::http::{Answer, ClientOptions, Http};

/// The least time between two questions about a transaction.
const POLL: Duration = Duration::from_millis(100);
/// How long a node is asked to hold back its answer; well below the time a request may take.
const WAIT_MOST: Duration = Duration::from_secs(10);

const JSON: &str = "application/json";

/// Where a transaction stands, by the word of the node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum TransactionStatus {
    /// The node has never heard of it, or has forgotten it.
    Unknown,
    /// It waits for a block.
    Pending,
    /// The node refused it; it may still be valid elsewhere, and a node may err.
    Refused {
        /// The code of the rule.
        code: String,
        /// The rule in a sentence.
        #[serde(default)]
        title: String,
    },
    /// It is in a final block.
    Final {
        /// The block.
        height: u64,
        /// Whether it was applied or rejected.
        #[serde(default)]
        outcome: String,
        /// Why it was rejected.
        #[serde(default)]
        code: Option<String>,
    },
}

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NodeStatus {
    /// The network, `aval:<label>:<genesis hash>`.
    pub network: String,
    /// The height of its newest final block.
    pub height: u64,
    /// Its network key, a multikey.
    #[serde(default)]
    pub key: String,
}

/// A DID resolution result as a node gives it. The parts stay JSON, so that they can be compared whole.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolutionAnswer {
    /// The document; null when there is none.
    #[serde(default)]
    pub did_document: Json,
    /// About the resolution.
    #[serde(default)]
    pub did_resolution_metadata: Json,
    /// About the document.
    #[serde(default)]
    pub did_document_metadata: Json,
    /// The ledger proof of the record that all of this comes from, or of its absence.
    #[serde(default)]
    pub proof: Option<Json>,
}

impl ResolutionAnswer {
    /// The error that the node reports, by the last part of its type: `NOT_FOUND`.
    pub fn error(&self) -> Option<&str> {
        let kind = self.did_resolution_metadata.get("error")?.get("type")?.as_str()?;
        kind.rsplit('#').next()
    }

    /// The ledger proof inside, if there is one.
    pub(crate) fn proof(&self) -> Result<Option<LedgerProof>, ClientError> {
        let proof = self.proof.clone().map(LedgerProof::from_json_value);
        proof.transpose().map_err(ClientError::Unproven)
    }
}

/// A connection to one node.
#[derive(Debug, Clone)]
pub struct NodeClient {
    http: Http,
}

impl NodeClient {
    /// Prepares a connection; nothing is sent yet.
    pub fn new(address: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { http: Http::new(address, options)? })
    }

    /// The node's address.
    pub fn address(&self) -> &str {
        self.http.address()
    }

    /// Submits a transaction. `Ok` means that the node took it, not that it is final.
    pub fn submit(&self, submitted: &SubmittedTransaction) -> Result<TransactionId, ClientError> {
        #[derive(Deserialize)]
        struct Accepted {
            id: TransactionId,
        }
        let url = self.http.url(&["v1", "transactions"], &[]);
        let answer = self.http.post(&url, JSON, &submitted.to_body())?;
        let accepted: Accepted = answer.json()?;
        // The id is a hash over the payload, so the node has no say in it.
        if accepted.id != submitted.transaction.id() {
            return Err(ClientError::Contradiction("it took another transaction than the one that was sent"));
        }
        Ok(accepted.id)
    }

    /// Where a transaction stands.
    pub fn transaction(&self, id: TransactionId) -> Result<TransactionStatus, ClientError> {
        self.transaction_within(id, Duration::ZERO)
    }

    /// Where a transaction stands; the node may take so long to answer if it is not settled yet.
    fn transaction_within(
        &self,
        id: TransactionId,
        wait: Duration,
    ) -> Result<TransactionStatus, ClientError> {
        let wait_ms = wait.as_millis().to_string();
        let query = [("wait_ms", wait_ms.as_str())];
        let query = if wait.is_zero() { &[][..] } else { &query[..] };
        match self.get(&["v1", "transactions", &id.to_string()], query)?.json() {
            Err(ClientError::NotFound(_)) => Ok(TransactionStatus::Unknown),
            other => other,
        }
    }

    /// Asks until the transaction is final or refused, or the patience ends ([`ClientError::NotFinal`]).
    pub fn wait(&self, id: TransactionId, patience: Duration) -> Result<TransactionStatus, ClientError> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let asked = Instant::now();
            match self.transaction_within(id, left.min(WAIT_MOST)) {
                Ok(status @ (TransactionStatus::Final { .. } | TransactionStatus::Refused { .. })) => {
                    return Ok(status);
                }
                Ok(TransactionStatus::Pending | TransactionStatus::Unknown) => {}
                // A node that restarts is worth waiting for.
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= end {
                return Err(ClientError::NotFinal { id: id.to_string() });
            }
            // A node that did not wait, or could not be reached, is not asked without a pause.
            if asked.elapsed() < POLL {
                std::thread::sleep(POLL);
            }
        }
    }

    /// The proof of the receipt of a transaction.
    pub fn receipt(&self, id: TransactionId) -> Result<LedgerProof, ClientError> {
        self.get(&["v1", "transactions", &id.to_string(), "receipt"], &[])?.proof()
    }

    /// Resolves a DID. "Not found" and "deactivated" come as an answer, not as an error.
    pub fn resolve(&self, did: &Did, version: &VersionSelector) -> Result<ResolutionAnswer, ClientError> {
        let (name, value) = match version {
            VersionSelector::Latest => ("", String::new()),
            VersionSelector::Id(id) => ("versionId", id.to_string()),
            VersionSelector::Time(time_s) => ("versionTime", format_time_ms(time_s.saturating_mul(1000))),
        };
        let query = [(name, value.as_str())];
        let query = if name.is_empty() { &[][..] } else { &query[..] };
        let url = self.http.url(&["1.0", "identifiers", did.as_str()], query);
        let answer = self.http.get(&url, RESULT_MEDIA_TYPE)?;
        match answer.status {
            200 | 404 | 410 => answer.parse(),
            400..500 => match answer.parse::<ResolutionAnswer>() {
                Ok(parsed) if parsed.error().is_some() => {
                    let kind = parsed.error().unwrap_or_default();
                    Err(ClientError::Request(format!("the node does not resolve this: {kind}")))
                }
                _ => answer.json(),
            },
            _ => answer.json(),
        }
    }

    /// The value of a state key with its proof, at the newest block or at `height`.
    pub fn state(&self, key: &str, height: Option<u64>) -> Result<LedgerProof, ClientError> {
        let height = height.map(|height| height.to_string());
        let mut query = vec![("key", key)];
        if let Some(height) = &height {
            query.push(("height", height));
        }
        self.get(&["v1", "state"], &query)?.proof()
    }

    /// The genesis file, byte for byte.
    pub fn genesis(&self) -> Result<Vec<u8>, ClientError> {
        Ok(self.get(&["v1", "genesis"], &[])?.success()?.body)
    }

    /// The newest final header with its certificate.
    pub fn checkpoint(&self) -> Result<LedgerProof, ClientError> {
        self.get(&["v1", "checkpoint"], &[])?.proof()
    }

    /// The changes of the validator set above a height, as many as one answer carries.
    pub fn trust_chain(&self, above: u64) -> Result<TrustChain, ClientError> {
        self.get(&["v1", "trust-chain"], &[("from", &above.to_string())])?.trust_chain()
    }

    /// What the node says about itself.
    pub fn status(&self) -> Result<NodeStatus, ClientError> {
        self.get(&["v1", "status"], &[])?.json()
    }

    /// Fault proofs that the node has seen, as actions `node.evidence`. The ledger checks one when it is sent.
    pub fn faults(&self) -> Result<Vec<Action>, ClientError> {
        #[derive(Deserialize)]
        struct Faults {
            faults: Vec<Json>,
        }
        let Faults { faults } = self.get_json(&["v1", "faults"], &[])?;
        let read =
            |fault| Action::from_json(fault).map_err(|error| ClientError::Malformed(error.to_string()));
        faults.into_iter().map(read).collect()
    }

    /// Any answer of the node interface, filled into a type.
    pub(crate) fn get_json<T: serde::de::DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.get(segments, query)?.json()
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// Opens an answer that has no end; `silence` is the longest time without a byte.
    pub(crate) fn stream(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
        accept: &str,
        header: Option<(&str, &str)>,
        silence: Duration,
    ) -> Result<Box<dyn Read + Send + Sync>, ClientError> {
        self.http.stream(&self.http.url(segments, query), accept, header, silence)
    }

    fn get(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Answer, ClientError> {
        self.http.get(&self.http.url(segments, query), JSON)
    }
}
