//! The client that checks every answer before it hands it out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aval_did::{Did, DidRecord};
use aval_proof::{LedgerProof, ProofError, Proven, TrustAnchor, did_state_key};
use aval_types::{Receipt, SubmittedTransaction, TransactionId};

use crate::checkpoint::{CheckpointStore, TrustedGenesis};
use crate::error::{ClientError, Problem};
use crate::events::{EventQuery, VerifiedEvents};
use crate::node::{NodeClient, TransactionStatus};

/// An answer that was proven, and as of when it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<T> {
    /// The answer, rebuilt from the proven value.
    pub value: T,
    /// The height of the block that it holds as of.
    pub height: u64,
    /// The time of that block, milliseconds since 1970.
    pub time_ms: u64,
    /// The proof, for keeping and for showing to others.
    pub proof: LedgerProof,
}

impl<T> Verified<T> {
    /// The same proof, seen as something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Verified<U> {
        Verified { value: change(self.value), height: self.height, time_ms: self.time_ms, proof: self.proof }
    }
}

/// What became of a submitted transaction, proven where the ledger has decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is in a final block; the receipt says whether it was applied or overtaken.
    Final(Box<Verified<Receipt>>),
    /// The node refused it. There is no proof of a refusal: another node may take the transaction.
    Refused(Problem),
}

/// A client that verifies.
#[derive(Debug, Clone)]
pub struct VerifyingClient {
    node: NodeClient,
    anchor: Arc<Mutex<TrustAnchor>>,
    checkpoints: Arc<dyn CheckpointStore>,
}

impl VerifyingClient {
    /// Trusts a genesis, and goes on from the checkpoint that was kept for it.
    pub fn new(
        node: NodeClient,
        genesis: &TrustedGenesis,
        checkpoints: Arc<dyn CheckpointStore>,
    ) -> Result<Self, ClientError> {
        let mut anchor = genesis.anchor().clone();
        if let Some(checkpoint) = checkpoints.load()? {
            anchor = anchor.with_checkpoint(checkpoint).map_err(ClientError::Unproven)?;
        }
        Ok(Self { node, anchor: Arc::new(Mutex::new(anchor)), checkpoints })
    }

    /// The connection, for questions whose answers need no proof.
    pub fn node(&self) -> &NodeClient {
        &self.node
    }

    /// What is trusted now.
    pub fn anchor(&self) -> TrustAnchor {
        self.lock().clone()
    }

    /// Submits a transaction. `Ok` means that the node took it, not that it is final.
    pub fn submit(&self, submitted: &SubmittedTransaction) -> Result<TransactionId, ClientError> {
        self.node.submit(submitted)
    }

    /// Submits a transaction and waits for its outcome. A repetition of a transaction that is on the ledger already
    /// gives that one's outcome.
    pub fn submit_and_wait(
        &self,
        submitted: &SubmittedTransaction,
        patience: Duration,
    ) -> Result<Outcome, ClientError> {
        match self.node.submit(submitted) {
            Ok(_) => self.wait(submitted.transaction.id(), patience),
            Err(ClientError::Refused(problem)) if problem.code == "transaction.duplicate" => {
                self.wait(submitted.transaction.id(), patience)
            }
            Err(ClientError::Refused(problem)) => Ok(Outcome::Refused(problem)),
            Err(error) => Err(error),
        }
    }

    /// Waits for the outcome of a transaction and proves it.
    pub fn wait(&self, id: TransactionId, patience: Duration) -> Result<Outcome, ClientError> {
        match self.node.wait(id, patience)? {
            TransactionStatus::Refused { code, title } => {
                Ok(Outcome::Refused(Problem { code, title, ..Problem::default() }))
            }
            _ => Ok(Outcome::Final(Box::new(self.receipt(id)?))),
        }
    }

    /// The receipt of a transaction, proven. A receipt never goes out of date.
    pub fn receipt(&self, id: TransactionId) -> Result<Verified<Receipt>, ClientError> {
        let proof = self.node.receipt(id)?;
        let verified = self.verify(&proof)?;
        let receipt = verified.receipt().map_err(ClientError::Unproven)?.clone();
        if receipt.transaction != id {
            return Err(ClientError::Contradiction("the receipt is of another transaction"));
        }
        Ok(Verified { value: receipt, height: verified.height(), time_ms: verified.time_ms(), proof })
    }

    /// The value of a state key now, or its proven absence.
    pub fn state(&self, key: &str) -> Result<Verified<Option<Vec<u8>>>, ClientError> {
        let proof = self.node.state(key, None)?;
        let verified = self.verify(&proof)?;
        let value = verified.value(key).map_err(ClientError::Unproven)?.map(<[u8]>::to_vec);
        Ok(Verified { value, height: verified.height(), time_ms: verified.time_ms(), proof })
    }

    /// The record of a DID now, or its proven absence.
    pub fn did_record(&self, did: &Did) -> Result<Verified<Option<DidRecord>>, ClientError> {
        let proof = self.node.state(&did_state_key(did), None)?;
        let verified = self.verify(&proof)?;
        let record = verified.did_record(did).map_err(ClientError::Unproven)?;
        Ok(Verified { value: record, height: verified.height(), time_ms: verified.time_ms(), proof })
    }

    /// Fetches the newest final header and moves the checkpoint to it.
    pub fn checkpoint(&self) -> Result<Verified<()>, ClientError> {
        let proof = self.node.checkpoint()?;
        let verified = self.verify(&proof)?;
        match verified.proven() {
            Proven::Header => {}
            _ => return Err(ClientError::Contradiction("a checkpoint is a header alone")),
        }
        Ok(Verified { value: (), height: verified.height(), time_ms: verified.time_ms(), proof })
    }

    /// Reads events, each proven before it is handed out.
    pub fn events(&self, query: EventQuery) -> VerifiedEvents {
        VerifiedEvents::new(self.clone(), query)
    }

    /// Checks a proof about the present, and moves the checkpoint.
    pub fn verify(&self, proof: &LedgerProof) -> Result<aval_proof::Verified, ClientError> {
        self.check(proof, LedgerProof::verify)
    }

    /// Checks a proof about the past, and moves the checkpoint if it reaches further than that.
    pub fn verify_past(&self, proof: &LedgerProof) -> Result<aval_proof::Verified, ClientError> {
        self.check(proof, LedgerProof::verify_past)
    }

    fn check(
        &self,
        proof: &LedgerProof,
        verify: fn(&LedgerProof, &TrustAnchor) -> Result<aval_proof::Verified, ProofError>,
    ) -> Result<aval_proof::Verified, ClientError> {
        let first = verify(proof, &self.lock());
        let outcome = match first {
            // The validators may have changed since: only then is the trust chain asked for.
            Err(ProofError::ValidatorSet) if self.follow_changes()? > 0 => verify(proof, &self.lock()),
            other => other,
        };
        let verified = outcome.map_err(|error| explain(error, &self.lock(), proof))?;
        self.advance(&verified)?;
        Ok(verified)
    }

    /// Learns the changes of the validator set that the node knows above those that are known. Says how many.
    pub fn follow_changes(&self) -> Result<usize, ClientError> {
        let mut learned = 0usize;
        loop {
            let known = self.lock().last_change();
            let chain = self.node.trust_chain(known)?;
            let fresh = self.lock().extend(&chain).map_err(|error| match error {
                ProofError::Fork => ClientError::TwoHistories { height: known },
                other => ClientError::Unproven(other),
            })?;
            learned = learned.saturating_add(fresh);
            if fresh > 0 {
                self.keep()?;
            }
            if fresh == 0 || !chain.more {
                return Ok(learned);
            }
        }
    }

    fn advance(&self, verified: &aval_proof::Verified) -> Result<(), ClientError> {
        let moved = self.lock().advance(verified).map_err(|error| match error {
            ProofError::Fork => ClientError::TwoHistories { height: verified.certified().height },
            other => ClientError::Unproven(other),
        })?;
        if moved { self.keep() } else { Ok(()) }
    }

    /// Stores the checkpoint.
    fn keep(&self) -> Result<(), ClientError> {
        let mut anchor = self.lock();
        let Some(checkpoint) = anchor.checkpoint() else { return Ok(()) };
        let kept = self.checkpoints.advance(&checkpoint)?;
        if kept != checkpoint {
            // Another program has seen more in the meantime.
            *anchor = anchor.clone().with_checkpoint(kept).map_err(ClientError::Unproven)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, TrustAnchor> {
        // A panic elsewhere leaves the anchor whole: it is replaced in one step.
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn explain(error: ProofError, anchor: &TrustAnchor, proof: &LedgerProof) -> ClientError {
    let seen = anchor.seen().map(|header| header.height);
    match error {
        ProofError::Behind => {
            ClientError::Behind { seen: seen.unwrap_or_default(), answered: proof.header.height }
        }
        ProofError::Fork => ClientError::TwoHistories { height: seen.unwrap_or(proof.header.height) },
        other => ClientError::Unproven(other),
    }
}
