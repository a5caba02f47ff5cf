//! Proposes, verifies and commits blocks: the engine's [`Application`] on the state machine and the ledger.
//!
//! A block is executed on the state of its parent, which may not be final yet; the outcome is kept beside its
//! block until the block is final or can no longer become it (D2). Invariants:
//!
//! - A block is accepted only if its header says what executing it gives: receipts root and state root are recomputed.
//! - `verify` answers `false` only for what is wrong for good. A block from the future, a missing ancestor or a failing
//!   disk make it wait, since a vote against a good block could stop the network.
//! - A finalized block with another outcome than computed here stops this node: it never continues on a state
//!   of its own.
//! - A finalized block is committed in one synced write before the engine may forget it, and twice is as good as once.
//! - A block under a version of the protocol that this program does not know is neither made nor judged nor committed.
//! - A proposer leaves out what its own execution refuses, so its block passes everybody else's.
//!
//! Execution and disk run off the threads that drive consensus ([`offload`]). See `ARCHITECTURE.md`, steps 6 to 8.

mod execution;
mod ledger;
mod propose;
mod replay;
#[cfg(test)]
mod tests;
mod verify;
mod version;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aval_machine::sabotage::{self, Sabotage};
use aval_machine::{Checked, Rules};
use aval_proof::Certificate;
use aval_store::{Ledger, StoreError};
use aval_types::action::NodeEvidence;
use aval_types::genesis::Parameters;
use aval_types::{NetworkId, TransactionId};
use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tracing::{debug, error};

use crate::engine::{Ancestry, Application, Fatal, SealedBlock, Slot};
use crate::faults::Faults;
use crate::gossip::{Gossip, TransactionSink};
use crate::mempool::Mempool;
use crate::roster::Roster;
use crate::runtime::{SharedRuntime, offload};

use execution::Rejection;

#[cfg(test)]
pub(crate) use execution::block_leaders;
pub use ledger::{LedgerHistory, install_genesis};
pub use replay::{Replay, ReplayError};
pub use version::{PROTOCOL_VERSION, reason_to_stop};

/// What the executor goes by beside the ledger.
#[derive(Clone, Debug)]
pub struct ExecutorOptions {
    /// The network.
    pub network: NetworkId,
    /// The parameters of genesis.
    pub parameters: Parameters,
    /// The newest version of the protocol that this program knows.
    pub protocol_version: u32,
    /// Where proofs of others' faults outlive the node, if anywhere.
    pub faults_file: Option<PathBuf>,
    /// Time between two blocks while there is little work: a little patience makes blocks fuller, and a
    /// transaction cheaper.
    pub block_interval: Duration,
}

/// A finalized block, as announced to the rest of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finalized {
    /// Its height.
    pub height: u64,
    /// Its time.
    pub time_ms: u64,
}

/// The executor. Shared by the engine and the rest of the node.
pub struct Executor {
    runtime: SharedRuntime,
    ledger: Ledger,
    mempool: Arc<Mempool<Checked>>,
    gossip: Arc<Gossip>,
    sink: Arc<dyn TransactionSink>,
    roster: Arc<Roster>,
    faults: Faults,
    rules: Rules,
    options: ExecutorOptions,
    /// Held while a block is executed: blocks of one chain cannot be executed side by side, and two requests for the
    /// same block should not do the work twice.
    execution: Arc<tokio::sync::Mutex<()>>,
    finalized: watch::Sender<Finalized>,
    /// Wakes those who wait for a height, in the order in which they came: a watch channel wakes in a random
    /// order, and a simulation must take the same turn every time.
    committed: Notify,
    tip: AtomicU64,
}

impl Executor {
    /// Makes the executor of a ledger that has its genesis block ([`install_genesis`]).
    pub fn new(
        runtime: SharedRuntime,
        ledger: Ledger,
        mempool: Arc<Mempool<Checked>>,
        gossip: Arc<Gossip>,
        sink: Arc<dyn TransactionSink>,
        roster: Arc<Roster>,
        options: ExecutorOptions,
    ) -> Result<Arc<Self>, StoreError> {
        let head = ledger.require_head()?;
        let newest = Finalized { height: head.height(), time_ms: head.header().time_ms };
        Ok(Arc::new(Self {
            faults: Faults::open(options.network.genesis(), options.faults_file.clone()),
            rules: match sabotage::is(Sabotage::AcceptStripped) {
                true => Rules::certified(options.network.clone()),
                false => Rules::live(options.network.clone()),
            },
            tip: AtomicU64::new(newest.height),
            finalized: watch::Sender::new(newest),
            committed: Notify::new(),
            execution: Arc::default(),
            runtime,
            ledger,
            mempool,
            gossip,
            sink,
            roster,
            options,
        }))
    }

    /// The newest committed block, and a notice of each further one.
    pub fn subscribe(&self) -> watch::Receiver<Finalized> {
        self.finalized.subscribe()
    }

    /// The newest committed block.
    pub fn newest(&self) -> Finalized {
        self.finalized.borrow().clone()
    }

    /// The highest height that is known to be final, whether or not its block has arrived.
    pub fn tip(&self) -> u64 {
        self.tip.load(Ordering::Relaxed)
    }

    /// The fault proofs that this node has seen.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Announces a committed block to the pool and to whoever waits for heights.
    fn announce(&self, newest: Finalized, ids: &[TransactionId]) {
        self.mempool.finalized(ids, self.runtime.now_ms());
        self.tip.fetch_max(newest.height, Ordering::Relaxed);
        self.finalized.send_replace(newest);
        self.committed.notify_waiters();
    }

    async fn commit(&self, block: &Arc<SealedBlock>, certificate: Option<Certificate>) -> Result<(), Fatal> {
        let height = block.height();
        let head = self.ledger.require_head().map_err(fatal)?;
        if height <= head.height() {
            return self.commit_known(block, certificate).await;
        }
        // A block that this node has not voted on, as while it catches up. A quorum has, so there is no clock to ask.
        let pending = match self.ledger.pending(&block.digest()) {
            Some(pending) => pending,
            None => self.execute(block.clone()).await.map_err(|rejection| match rejection {
                Rejection::Invalid(reason) => Fatal(format!(
                    "block {height} is final, but this node finds it invalid ({reason}); its state or its program differs \
                     from the others'"
                )),
                Rejection::Fault(reason) => Fatal(format!("block {height} cannot be executed: {reason}")),
                Rejection::UnknownParent => Fatal(format!("the parent of final block {height} is not committed")),
            })?,
        };
        let ids = pending.executed().ids.clone();
        let time_ms = pending.header().time_ms;
        let (ledger, committed) = (self.ledger.clone(), pending.clone());
        offload(&*self.runtime, move || ledger.commit(&committed, certificate.as_ref()))
            .await
            .ok_or_else(|| Fatal("the node is stopping".to_owned()))?
            .map_err(fatal)?;
        debug!(height, transactions = ids.len(), "committed");
        self.roster.committed(&pending.executed().changes, time_ms);
        self.announce(Finalized { height, time_ms }, &ids);
        match reason_to_stop(&self.ledger, self.options.protocol_version).map_err(fatal)? {
            Some(reason) => Err(Fatal(reason)),
            None => Ok(()),
        }
    }

    /// A block that was committed before a restart and is delivered again.
    async fn commit_known(
        &self,
        block: &Arc<SealedBlock>,
        certificate: Option<Certificate>,
    ) -> Result<(), Fatal> {
        let height = block.height();
        let (ledger, digest) = (self.ledger.clone(), block.digest());
        offload(&*self.runtime, move || {
            let known = ledger.header(height)?.digest();
            if known != digest {
                return Err(StoreError::Conflict { height, offered: digest, known });
            }
            certificate.map_or(Ok(()), |certificate| ledger.put_certificate(height, &certificate))
        })
        .await
        .ok_or_else(|| Fatal("the node is stopping".to_owned()))?
        .map_err(fatal)
    }
}

fn fatal(error: StoreError) -> Fatal {
    Fatal(format!("the ledger cannot be used: {error}"))
}

impl Application for Executor {
    async fn propose(&self, slot: Slot, ancestry: Ancestry) -> Option<Arc<SealedBlock>> {
        let (height, view) = (self.newest().height, slot.view);
        let proposal = self.build(slot, ancestry).await;
        match proposal {
            Ok(block) => Some(block),
            Err(rejection) => {
                error!(height, view, %rejection, "could not make a block");
                None
            }
        }
    }

    async fn verify(&self, block: Arc<SealedBlock>, ancestry: Ancestry) -> bool {
        self.judge(block, ancestry).await
    }

    async fn finalized(
        &self,
        block: Arc<SealedBlock>,
        certificate: Option<Certificate>,
    ) -> Result<(), Fatal> {
        self.commit(&block, certificate).await
    }

    fn observe_tip(&self, height: u64) {
        self.tip.fetch_max(height, Ordering::Relaxed);
    }

    fn message(&self, sender: [u8; 32], message: Bytes) {
        self.gossip.receive(sender, &message, self.sink.as_ref());
    }

    fn is_fed_up_with(&self, sender: [u8; 32]) -> bool {
        self.gossip.is_fed_up_with(sender)
    }

    fn fault(&self, evidence: NodeEvidence) {
        self.faults.note(evidence);
    }
}
