//! One reader's stream: a task that reads the ledger and hands on messages, and the body that takes them.
//!
//! Between the two is a queue of a few messages. A reader that leaves it full for too long is cut off: what waits is
//! still its own, then comes a comment that says why, then the end. Nothing waits without a bound, and the reader's
//! place is free for another.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aval_proof::{Claim, LedgerProof, ReceiptTree};
use aval_store::{Finality, Ledger, StoreError};
use aval_types::{Header, TransactionId};
use axum::response::sse::Event as Message;
use futures::Stream;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::cursor::Cursor;
use super::filter::Filter;
use crate::api::receipts::{self, Leaf};
use crate::api::server::Stopping;
use crate::api::{Context, proofs};
use crate::executor::Finalized;

/// Messages that wait for a reader. One has at most a receipt and its proof.
const QUEUE_LENGTH: usize = 32;
/// Blocks that are read before others have their turn on this thread.
const BLOCKS_PER_TURN: u64 = 64;

/// What is told of an event.
#[derive(Debug, Serialize)]
struct Told<'a> {
    id: String,
    height: u64,
    time: u64,
    /// The transaction that made the change; a change that the block itself made has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a TransactionId>,
    /// Where the receipt is, inside of its proof.
    receipt: String,
    event: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Box<RawValue>>,
}

/// Why a stream ends before its reader leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The reader has left.
    Left,
    /// The reader does not read.
    Slow,
    /// The node stops.
    Stopping,
    /// The ledger could not be read.
    Failed,
}

impl End {
    fn sentence(self) -> &'static str {
        match self {
            Self::Left => "",
            Self::Slow => "cut off: nothing was read for too long; come back with the last id",
            Self::Stopping => "the node stops; come back with the last id, or go to another node",
            Self::Failed => {
                "the node could not read its ledger; come back with the last id, or go to another node"
            }
        }
    }
}

/// The way to the reader.
struct Outlet {
    sender: Sender<Message>,
    last: Arc<Mutex<Option<End>>>,
    stall: Duration,
    sent: Instant,
}

impl Outlet {
    async fn send(&mut self, message: Message) -> Result<(), End> {
        match tokio::time::timeout(self.stall, self.sender.send(message)).await {
            Ok(Ok(())) => {
                self.sent = Instant::now();
                Ok(())
            }
            Ok(Err(_)) => Err(End::Left),
            Err(_) => Err(End::Slow),
        }
    }
}

/// A reader's stream before and while it runs.
pub(super) struct Feed {
    context: Arc<Context>,
    filter: Filter,
    cursor: Cursor,
    with_proof: bool,
}

impl Feed {
    pub(super) fn new(context: Arc<Context>, filter: Filter, cursor: Cursor, with_proof: bool) -> Self {
        Self { context, filter, cursor, with_proof }
    }

    /// Starts the task; gives the body. `place` is kept until the task ends.
    pub(super) fn start(
        mut self,
        place: OwnedSemaphorePermit,
        stopping: Option<Stopping>,
    ) -> impl Stream<Item = Result<Message, Infallible>> + use<> {
        let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
        let last = Arc::new(Mutex::new(None));
        let stall = Duration::from_millis(self.context.events.stall_ms);
        let mut outlet = Outlet { sender, last: last.clone(), stall, sent: Instant::now() };
        let readers = self.context.parts.core.metrics.event_readers.clone();
        tokio::spawn(async move {
            readers.inc();
            let end = self.run(&mut outlet, stopping).await.err().unwrap_or(End::Left);
            tracing::debug!(?end, at = %self.cursor, "a reader's stream of events ended");
            *outlet.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
            readers.dec();
            drop(place);
        });
        body(receiver, last)
    }

    async fn run(&mut self, outlet: &mut Outlet, stopping: Option<Stopping>) -> Result<(), End> {
        let mut heights = self.context.parts.core.executor.subscribe();
        let heartbeat = Duration::from_millis(self.context.events.heartbeat_ms);
        // The head of the answer goes out with its first byte: a reader learns at once that it is connected.
        outlet.send(Message::default().comment("events of the ledger")).await?;
        loop {
            heights.mark_unchanged();
            let readable = self.readable().map_err(|error| fail(&error))?;
            while readable.is_some_and(|newest| self.cursor.height <= newest) {
                self.send_block(outlet).await?;
                self.cursor = Cursor::at(self.cursor.height.saturating_add(1));
                if self.cursor.height.is_multiple_of(BLOCKS_PER_TURN) {
                    tokio::task::yield_now().await;
                    if outlet.sender.is_closed() {
                        return Err(End::Left);
                    }
                }
                if outlet.sent.elapsed() >= heartbeat {
                    outlet.send(self.progress()).await?;
                }
                if stopping.as_ref().is_some_and(Stopping::is_requested) {
                    return Err(End::Stopping);
                }
            }
            self.wait(outlet, &mut heights, stopping.as_ref(), heartbeat).await?;
        }
    }

    /// Waits for the next block, and tells the reader now and then that the stream lives.
    async fn wait(
        &self,
        outlet: &mut Outlet,
        heights: &mut watch::Receiver<Finalized>,
        stopping: Option<&Stopping>,
        heartbeat: Duration,
    ) -> Result<(), End> {
        let stopped = async {
            match stopping {
                Some(stopping) => stopping.requested().await,
                None => std::future::pending().await,
            }
        };
        let due = heartbeat.saturating_sub(outlet.sent.elapsed());
        tokio::select! {
            changed = heights.changed() => changed.map_err(|_| End::Stopping),
            () = outlet.sender.closed() => Err(End::Left),
            () = stopped => Err(End::Stopping),
            () = tokio::time::sleep(due) => outlet.send(self.progress()).await,
        }
    }

    /// The newest height that can be told: final, and with proofs also provable.
    fn readable(&self) -> Result<Option<u64>, StoreError> {
        let ledger = self.context.ledger();
        if !self.with_proof {
            return Ok(Some(ledger.require_head()?.height()));
        }
        match ledger.newest_certified() {
            Ok(height) => Ok(Some(height)),
            Err(StoreError::NotCertified(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says how far the stream is, so that a reader who has seen no event for long resumes here.
    fn progress(&self) -> Message {
        match self.cursor {
            Cursor { height, leaf: 0, event: 0 } if height > 0 => {
                Message::default().id((height - 1).to_string()).comment("so far")
            }
            _ => Message::default().comment("so far"),
        }
    }

    /// Sends the wanted events of the block at the cursor, from the cursor on, one receipt after the other.
    async fn send_block(&self, outlet: &mut Outlet) -> Result<(), End> {
        let height = self.cursor.height;
        let leaves = self.context.ledger().receipts(height).map_err(|error| fail(&error))?;
        let mut prover = None;
        let first = usize::try_from(self.cursor.leaf).unwrap_or(usize::MAX);
        for (index, bytes) in leaves.iter().enumerate().skip(first) {
            let receipt = receipts::decode(height, bytes).map_err(|error| fail(&error))?;
            for (event, change) in (0u64..).zip(receipt.events()) {
                let place = Cursor { height, leaf: index as u64, event };
                if place < self.cursor {
                    continue;
                }
                let Some(written) = self.filter.select(change) else { continue };
                let proof = match self.with_proof {
                    true => Some(self.prove(&leaves, index, &mut prover).map_err(|error| fail(&error))?),
                    false => None,
                };
                outlet.send(message(place, &receipt, written, proof)).await?;
            }
        }
        Ok(())
    }

    /// The ledger proof of a receipt. What all receipts of a block share is put together once.
    fn prove(
        &self,
        leaves: &[Vec<u8>],
        index: usize,
        prover: &mut Option<Prover>,
    ) -> Result<Box<RawValue>, StoreError> {
        let height = self.cursor.height;
        let damaged =
            || StoreError::Corrupt { what: format!("the receipts of block {height} are incomplete") };
        let shared = match prover {
            Some(shared) => shared,
            None => prover.insert(Prover::new(self.context.ledger(), height, leaves)?),
        };
        let claim = shared.tree.proof(leaves, index).ok_or_else(damaged)?;
        let proof = LedgerProof {
            network: self.context.network().clone(),
            header: shared.header.clone(),
            path: shared.finality.path.clone(),
            certificate: shared.finality.certificate.clone(),
            claim: Claim::Receipt(claim),
        };
        proofs::to_raw(&proof).map_err(|_| damaged())
    }
}

/// What the proofs of a block's receipts have in common.
struct Prover {
    tree: ReceiptTree,
    header: Header,
    finality: Finality,
}

impl Prover {
    fn new(ledger: &Ledger, height: u64, leaves: &[Vec<u8>]) -> Result<Self, StoreError> {
        Ok(Self {
            tree: ReceiptTree::of(leaves),
            header: ledger.header(height)?,
            finality: ledger.finality(height)?,
        })
    }
}

fn message(place: Cursor, receipt: &Leaf, event: Value, proof: Option<Box<RawValue>>) -> Message {
    let id = place.to_string();
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let told = Told {
        id: id.clone(),
        height: place.height,
        time: receipt.time_ms(),
        transaction: receipt.transaction(),
        receipt: receipt.path(),
        event,
        proof,
    };
    // Strings and numbers alone: this cannot fail.
    let data = serde_json::to_string(&told).unwrap_or_default();
    Message::default().id(id).event(kind).data(data)
}

fn fail(error: &StoreError) -> End {
    tracing::error!(code = error.code(), %error, "events could not be read");
    End::Failed
}

/// What waits, then the last comment.
fn body(
    receiver: Receiver<Message>,
    last: Arc<Mutex<Option<End>>>,
) -> impl Stream<Item = Result<Message, Infallible>> {
    futures::stream::unfold(Some(receiver), move |receiver| {
        let last = last.clone();
        async move {
            let mut receiver = receiver?;
            if let Some(message) = receiver.recv().await {
                return Some((Ok(message), Some(receiver)));
            }
            let end = last.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            Some((Ok(Message::default().comment(end.sentence())), None))
        }
    })
}
