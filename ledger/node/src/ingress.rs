//! The way in for transactions: from clients and from other validators to the pool.
//!
//! ```text
//! client ─ decode ─┐                                              ┌─ pool ─ gossip (what clients brought)
//!                  ├─ queue ─ batch: clock, known, check, authorize ┤
//! validator ───────┘                                              └─ refused, with a code
//! ```
//!
//! [`Gate`] decides and does no waiting: it is given a batch and the time. [`Ingress`] makes batches of what arrives at
//! about the same time, because signatures are cheaper to check together, and runs them away from the threads that
//! serve requests or drive consensus.
//!
//! - Room in pool and queue is asked for before any signature is checked, so that overload costs little.
//! - The answer is advice: it is given on the newest final state by this node's clock, and the block that takes a
//!   transaction in decides again. A transaction of another validator that is refused for a reason that may pass is
//!   kept: that validator may have seen a block that this one has not.
//! - Nothing here panics, whatever arrives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aval_did::{Deactivate, DidRecord, Rotate, Update};
use aval_machine::policy::Explanation;
use aval_machine::{
    BlockContext, Checked, Constitution, Rules, StateRead, authorize_under, check_all, explain, state_key,
};
use aval_store::Ledger;
use aval_types::{Action, BlockTransaction, NetworkId, Reject, SubmittedTransaction, TransactionId};
use rayon::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::gossip::TransactionSink;
use crate::mempool::{EnvelopeKey, InsertError, Inserted, Mempool};
use crate::metrics::Metrics;
use crate::runtime::{SharedRuntime, offload};

/// Transactions that are checked together at most.
const BATCH_TRANSACTIONS_MAX: usize = 512;
/// How long a batch waits for more transactions while the node is busy.
const BATCH_DELAY: Duration = Duration::from_millis(2);
/// Transactions from clients that wait to be checked.
const CLIENT_QUEUE_MAX: usize = 4096;
/// Messages from validators that wait to be checked; each is bounded by the gossip itself.
const VALIDATOR_QUEUE_MAX: usize = 256;
/// A transaction whose window begins within this time is taken in: it waits in the pool. As far as block time may be
/// ahead of a clock (D11).
const CLOCK_TOLERANCE_MS: u64 = 2_000;
/// From so many transactions on, authorization is spread over the processor's cores.
const PARALLEL_FROM: usize = 16;

/// Why a transaction was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is wrong, or not allowed as the ledger stands.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// It is not allowed as the ledger stands, and this is what its policies say.
    #[error("{0}")]
    Denied(Reject, Box<Explanation>),
    /// The node has as much work as it can take.
    #[error("the node has as much work as it can take")]
    Full,
    /// The sender has too much work waiting.
    #[error("the sender has too many transactions waiting")]
    Share,
    /// It builds on a version of its DID that this node does not know yet: what is later decides.
    #[error("the node has not come to the state that the transaction builds on")]
    Behind,
    /// The node could not decide.
    #[error("the node could not decide")]
    Undecided,
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reject(reject) | Self::Denied(reject, _) => reject.code(),
            Self::Full => "node.overloaded",
            Self::Share => "sender.share",
            Self::Behind => "node.behind",
            Self::Undecided => "node.internal",
        }
    }
}

impl From<InsertError> for Refusal {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::Full => Self::Full,
            InsertError::Share | InsertError::Copies => Self::Share,
            InsertError::Expired => Self::Reject(Reject::TransactionExpired),
            InsertError::Finalized => Self::Reject(Reject::TransactionDuplicate),
        }
    }
}

/// Who brought a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client: it gets an answer, and what is new goes on to the other validators.
    Client,
    /// A validator: it took the transaction in itself.
    Validator,
}

/// A transaction that was taken in.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its id.
    pub id: TransactionId,
    /// The transaction, if it was not in the pool before.
    pub new: Option<Arc<Checked>>,
}

/// Decides which transactions come into the pool. Without I/O but for reading the ledger.
pub struct Gate {
    ledger: Ledger,
    mempool: Arc<Mempool>,
    rules: Rules,
    network: NetworkId,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// A gate between the network and this pool.
    pub fn new(ledger: Ledger, mempool: Arc<Mempool>, network: NetworkId, metrics: Arc<Metrics>) -> Self {
        Self { ledger, mempool, rules: Rules::live(network.clone()), network, metrics }
    }

    /// Whether there is room for a client's body of this size, by what is known before it is read.
    pub fn has_room(&self, body_bytes: usize) -> bool {
        self.mempool.has_room_for_client(body_bytes)
    }

    /// Decides on transactions, in their order.
    pub fn admit(
        &self,
        submitted: Vec<SubmittedTransaction>,
        origin: Origin,
        now_ms: u64,
    ) -> Vec<Result<Taken, Refusal>> {
        let count = submitted.len();
        self.metrics.batch_transactions.observe(count as f64);
        let mut answers: Vec<Option<Result<Taken, Refusal>>> = Vec::with_capacity(count);
        let mut open = Vec::with_capacity(count);
        let view = self.ledger.require_head().and_then(|head| Ok((self.ledger.view(&head.digest())?, head)));
        let (view, head) = match view {
            Ok(view) => view,
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the ledger could not be read");
                return (0..count).map(|_| Err(Refusal::Undecided)).collect();
            }
        };
        let context = BlockContext {
            network: self.network.clone(),
            height: head.height() + 1,
            time_ms: now_ms.max(head.header().time_ms + 1),
            leaders: Vec::new(),
        };
        for submitted in submitted {
            match self.before_signatures(&submitted, &view, origin, now_ms) {
                Some(answer) => answers.push(Some(answer)),
                None => {
                    answers.push(None);
                    open.push(submitted);
                }
            }
        }
        let checked = check_all(open, &self.rules);
        // Read once for all of them.
        let constitution = match Constitution::of(&view) {
            Ok(constitution) => constitution,
            Err(error) => return (0..count).map(|_| Err(undecided(&error))).collect(),
        };
        let decide =
            |checked: Result<Checked, Reject>| self.decide(checked?, &view, &constitution, &context, origin);
        let mut decided = if checked.len() < PARALLEL_FROM {
            checked.into_iter().map(decide).collect::<Vec<_>>()
        } else {
            checked.into_par_iter().map(decide).collect::<Vec<_>>()
        }
        .into_iter();
        let answers = answers.into_iter().map(|answer| match answer {
            Some(answer) => answer,
            // In the order of arrival, so that the pool has them in that order.
            None => match decided.next() {
                Some(Ok(checked)) => self.insert(checked, now_ms),
                Some(Err(refusal)) => Err(refusal),
                None => Err(Refusal::Undecided),
            },
        });
        answers.inspect(|answer| self.count(answer)).collect()
    }

    /// What can be answered without looking at signatures.
    fn before_signatures(
        &self,
        submitted: &SubmittedTransaction,
        view: &impl StateRead,
        origin: Origin,
        now_ms: u64,
    ) -> Option<Result<Taken, Refusal>> {
        let transaction = &submitted.transaction;
        let (id, payload) = (transaction.id(), transaction.payload());
        let refuse = |reject: Reject| Some(Err(Refusal::Reject(reject)));
        if payload.network != self.network {
            return refuse(Reject::TransactionNetwork);
        }
        if payload.exp.saturating_mul(1000) <= now_ms {
            return refuse(Reject::TransactionExpired);
        }
        if payload.nbf.saturating_mul(1000) > now_ms.saturating_add(CLOCK_TOLERANCE_MS) {
            return refuse(Reject::TransactionNotYetValid);
        }
        let in_block =
            BlockTransaction { envelope: transaction.to_envelope(), witness: submitted.witness.clone() };
        if self.mempool.checked(&EnvelopeKey::of(&in_block)).is_some() {
            return Some(Ok(Taken { id, new: None }));
        }
        let has_room = match origin {
            Origin::Client => self.mempool.has_room_for_client(in_block.envelope.len()),
            Origin::Validator => self.mempool.has_room(in_block.envelope.len()),
        };
        match view.contains_transaction(&id) {
            Ok(false) if has_room => None,
            Ok(false) => Some(Err(Refusal::Full)),
            Ok(true) => refuse(Reject::TransactionDuplicate),
            Err(error) => Some(Err(undecided(&error))),
        }
    }

    /// Asks the ledger for advice.
    fn decide(
        &self,
        checked: Checked,
        view: &impl StateRead,
        constitution: &Constitution,
        context: &BlockContext,
        origin: Origin,
    ) -> Result<Checked, Refusal> {
        match authorize_under(view, constitution, &checked, context) {
            Ok(Ok(_)) => Ok(checked),
            // It only has to wait: the clock was asked before.
            Ok(Err(Reject::TransactionNotYetValid)) => Ok(checked),
            Ok(Err(reject)) if origin == Origin::Validator && reject.is_retryable() => Ok(checked),
            // Somebody who has seen a newer block may go on from it; where this node is behind it decides nothing.
            Ok(Err(Reject::DidStaleVersion)) if builds_on_later(view, &checked)? => match origin {
                Origin::Client => Err(Refusal::Behind),
                Origin::Validator => Ok(checked),
            },
            Ok(Err(reject)) => {
                if origin == Origin::Client {
                    self.mempool.note_refusal(checked.id(), reject.clone(), context.time_ms);
                }
                // Whom it is refused is told what would have been asked; nobody else waits for an answer.
                let explanation = (origin == Origin::Client && is_about_permission(&reject))
                    .then(|| explain(view, &checked, context));
                match explanation {
                    Some(Ok(Some(explanation))) => Err(Refusal::Denied(reject, Box::new(explanation))),
                    _ => Err(Refusal::Reject(reject)),
                }
            }
            Err(error) => Err(undecided(&error)),
        }
    }

    fn insert(&self, checked: Checked, now_ms: u64) -> Result<Taken, Refusal> {
        let id = checked.id();
        let checked = Arc::new(checked);
        let inserted = self.mempool.insert(checked.clone(), now_ms)?;
        Ok(Taken { id, new: (inserted == Inserted::New).then_some(checked) })
    }

    fn count(&self, answer: &Result<Taken, Refusal>) {
        match answer {
            Ok(Taken { new: Some(_), .. }) => {
                self.metrics.admitted.inc();
            }
            Ok(_) => {}
            Err(refusal) => self.metrics.count_refusal(refusal.code()),
        }
    }
}

/// Whether a refusal is about who may do what, so that the policies have a say in it.
fn is_about_permission(reject: &Reject) -> bool {
    let (family, _) = reject.code().split_once('.').unwrap_or_default();
    matches!(reject.http_status(), 403 | 429)
        && matches!(
            family,
            "policy" | "grant" | "endorser" | "credential" | "governance" | "supervision" | "deny" | "quota"
        )
}

/// Whether an operation on a DID names a version that comes after the one in this state.
fn builds_on_later(view: &impl StateRead, checked: &Checked) -> Result<bool, Refusal> {
    let (did, previous) = match checked.action() {
        Action::DidUpdate(Update { did, previous, .. }) | Action::DidRotate(Rotate { did, previous, .. }) => {
            (did, previous)
        }
        Action::DidDeactivate(Deactivate { did, previous }) => (did, previous),
        _ => return Ok(false),
    };
    let record = view.read(state_key::did(did).as_bytes()).map_err(|error| undecided(&error))?;
    let record = record.and_then(|bytes| DidRecord::from_bytes(&bytes).ok());
    Ok(record.is_some_and(|record| record.version_id.number < previous.number))
}

fn undecided(error: &aval_machine::StateError) -> Refusal {
    tracing::error!(code = error.code(), %error, "a transaction could not be decided on");
    Refusal::Undecided
}

/// Hands what clients brought on to the other validators.
pub type Publish = Arc<dyn Fn(&Arc<Checked>) + Send + Sync>;

/// Told which node sent how many transactions that no working node would have sent.
pub type Complain = Arc<dyn Fn([u8; 32], u32) + Send + Sync>;

/// Transactions with the key of the node that sent them.
type Gossiped = ([u8; 32], Vec<BlockTransaction>);

/// Where a client's answer goes.
type Answer = oneshot::Sender<Result<TransactionId, Refusal>>;

/// The queue before the gate.
#[derive(Clone)]
pub struct Ingress {
    gate: Arc<Gate>,
    clients: mpsc::Sender<(SubmittedTransaction, Answer)>,
    validators: mpsc::Sender<Gossiped>,
}

impl Ingress {
    /// Starts the worker on this runtime.
    pub fn start(runtime: SharedRuntime, gate: Arc<Gate>, publish: Publish, complain: Complain) -> Self {
        let (clients, client_queue) = mpsc::channel(CLIENT_QUEUE_MAX);
        let (validators, validator_queue) = mpsc::channel(VALIDATOR_QUEUE_MAX);
        let worker = Worker {
            runtime: runtime.clone(),
            gate: gate.clone(),
            publish,
            complain,
            clients: client_queue,
            validators: validator_queue,
        };
        runtime.spawn("ingress", Box::pin(worker.run()));
        Self { gate, clients, validators }
    }

    /// Decodes a client's body, and decides on it with others that arrive at about the same time.
    pub async fn submit(&self, body: &[u8]) -> Result<TransactionId, Refusal> {
        let result = self.enqueue(body);
        if let Err(refusal) = &result {
            self.gate.metrics.count_refusal(refusal.code());
        }
        result?.await.unwrap_or(Err(Refusal::Undecided))
    }

    fn enqueue(&self, body: &[u8]) -> Result<oneshot::Receiver<Result<TransactionId, Refusal>>, Refusal> {
        if !self.gate.has_room(body.len()) || self.clients.capacity() == 0 {
            return Err(Refusal::Full);
        }
        let submitted = SubmittedTransaction::from_body(body)?;
        let (answer, answered) = oneshot::channel();
        self.clients.try_send((submitted, answer)).map_err(|_| Refusal::Full)?;
        Ok(answered)
    }
}

impl TransactionSink for Ingress {
    fn receive(&self, sender: [u8; 32], transactions: Vec<BlockTransaction>) {
        // Dropped if there is no room: the validator that sent them keeps them.
        let _ = self.validators.try_send((sender, transactions));
    }
}

struct Worker {
    runtime: SharedRuntime,
    gate: Arc<Gate>,
    publish: Publish,
    complain: Complain,
    clients: mpsc::Receiver<(SubmittedTransaction, Answer)>,
    validators: mpsc::Receiver<Gossiped>,
}

/// What is decided on together.
#[derive(Default)]
struct Batch {
    clients: Vec<(SubmittedTransaction, Answer)>,
    validators: Vec<([u8; 32], BlockTransaction)>,
}

impl Batch {
    fn len(&self) -> usize {
        self.clients.len() + self.validators.len()
    }

    fn extend(&mut self, (sender, transactions): Gossiped) {
        self.validators.extend(transactions.into_iter().map(|transaction| (sender, transaction)));
    }
}

impl Worker {
    /// Batches form by themselves while the one before is worked on; a busy node waits a moment longer for more.
    async fn run(mut self) {
        let mut is_busy = false;
        loop {
            let mut batch = Batch::default();
            // In a fixed order, because a simulation must take the same turn every time; both queues are drained below.
            tokio::select! {
                biased;
                Some(client) = self.clients.recv() => batch.clients.push(client),
                Some(gossiped) = self.validators.recv() => batch.extend(gossiped),
                else => return,
            }
            self.fill(&mut batch);
            if is_busy && batch.len() < BATCH_TRANSACTIONS_MAX {
                self.runtime.sleep(BATCH_DELAY).await;
                self.fill(&mut batch);
            }
            is_busy = batch.len() > 1;
            let (gate, publish, now_ms) = (self.gate.clone(), self.publish.clone(), self.runtime.now_ms());
            // None if the node is stopping: the answers are dropped with the batch.
            let forged = offload(&*self.runtime, move || work(&gate, &publish, batch, now_ms)).await;
            let Some(forged) = forged else { return };
            for (sender, count) in forged {
                (self.complain)(sender, count);
            }
        }
    }

    fn fill(&mut self, batch: &mut Batch) {
        while batch.len() < BATCH_TRANSACTIONS_MAX
            && let Ok(client) = self.clients.try_recv()
        {
            batch.clients.push(client);
        }
        while batch.len() < BATCH_TRANSACTIONS_MAX
            && let Ok(gossiped) = self.validators.try_recv()
        {
            batch.extend(gossiped);
        }
    }
}

/// Decides on a batch; gives how many transactions of which node no working node would have sent.
fn work(gate: &Gate, publish: &Publish, batch: Batch, now_ms: u64) -> BTreeMap<[u8; 32], u32> {
    let (submitted, answers): (Vec<_>, Vec<_>) = batch.clients.into_iter().unzip();
    if !submitted.is_empty() {
        for (taken, answer) in gate.admit(submitted, Origin::Client, now_ms).into_iter().zip(answers) {
            if let Ok(Taken { new: Some(checked), .. }) = &taken {
                publish(checked);
            }
            // The client may be gone; its transaction is in the pool all the same.
            let _ = answer.send(taken.map(|taken| taken.id));
        }
    }
    // A transaction that cannot be read is not worth an answer: a validator that works passes on none.
    let mut forged: BTreeMap<[u8; 32], u32> = BTreeMap::new();
    let mut complain = |sender: [u8; 32]| *forged.entry(sender).or_default() += 1;
    let (mut senders, mut gossiped) = (Vec::new(), Vec::new());
    for (sender, in_block) in batch.validators {
        match in_block.transaction() {
            Ok(transaction) => {
                senders.push(sender);
                gossiped.push(SubmittedTransaction { transaction, witness: in_block.witness });
            }
            Err(_) => complain(sender),
        }
    }
    if !gossiped.is_empty() {
        let answers = gate.admit(gossiped, Origin::Validator, now_ms);
        let forgers = senders.into_iter().zip(answers).filter(|(_, answer)| is_forged(answer));
        forgers.for_each(|(sender, _)| complain(sender));
    }
    forged
}

/// Whether a transaction is refused for what is wrong with it on every state and at any time.
fn is_forged(answer: &Result<Taken, Refusal>) -> bool {
    matches!(answer, Err(Refusal::Reject(Reject::TransactionSignature | Reject::TransactionNetwork)))
}
