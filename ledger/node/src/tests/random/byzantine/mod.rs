//! Nodes that lie, one behaviour a file. A liar runs the honest program for the rest, so that it stays in touch.

mod equivocator;
mod flooder;
mod forger;
mod liar;
mod replayer;
mod trespasser;
mod withholder;

use std::sync::{Arc, Mutex, PoisonError};

use aval_machine::testkit::workload::Dice;
use aval_types::SubmittedTransaction;
use aval_types::block::BlockTransaction;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;

use super::super::tampered::Hands;
use crate::engine::simulation::{Courier, Parcel, To, Wire};
use crate::engine::{Ancestry, Application as _, SealedBlock, Slot};
use crate::executor::Executor;

/// How a node lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Kind {
    Equivocator,
    Withholder,
    Forger,
    Trespasser,
    Liar,
    Replayer,
    Flooder,
}

impl Kind {
    pub(in super::super) const ALL: &'static [Self] = &[
        Self::Equivocator,
        Self::Withholder,
        Self::Forger,
        Self::Trespasser,
        Self::Liar,
        Self::Replayer,
        Self::Flooder,
    ];

    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::Equivocator => "equivocator",
            Self::Withholder => "withholder",
            Self::Forger => "forger",
            Self::Trespasser => "trespasser",
            Self::Liar => "liar",
            Self::Replayer => "replayer",
            Self::Flooder => "flooder",
        }
    }
}

/// What liars find lying about: everything that the network's people sent.
#[derive(Clone, Default)]
pub(in super::super) struct Loot {
    refused: Arc<Mutex<Vec<BlockTransaction>>>,
    finals: Arc<Mutex<Vec<BlockTransaction>>>,
}

impl Loot {
    /// A transaction that an honest node refused.
    pub(in super::super) fn refused(&self, submitted: &SubmittedTransaction) {
        keep(&self.refused, submitted);
    }

    /// A transaction that is final.
    pub(in super::super) fn became_final(&self, submitted: &SubmittedTransaction) {
        keep(&self.finals, submitted);
    }

    fn some(from: &Mutex<Vec<BlockTransaction>>, dice: &mut Dice, count: usize) -> Vec<BlockTransaction> {
        let all = from.lock().unwrap_or_else(PoisonError::into_inner);
        (0..count).filter_map(|_| dice.pick(&all)).collect()
    }
}

fn keep(all: &Mutex<Vec<BlockTransaction>>, submitted: &SubmittedTransaction) {
    let one = BlockTransaction {
        envelope: submitted.transaction.to_envelope(),
        witness: submitted.witness.clone(),
    };
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(one);
    if all.len() > 200 {
        all.remove(0);
    }
}

/// What a liar has before it when it proposes.
pub(in super::super) struct Proposing<'a> {
    executor: &'a Executor,
    slot: Slot,
    parent: Arc<SealedBlock>,
    /// The honest block.
    block: Arc<SealedBlock>,
}

/// What a liar does to its proposals and its messages. The defaults are honest.
pub(super) trait Behaviour: Send + Sync + 'static {
    /// The block to propose.
    fn propose<'a>(&'a self, proposing: Proposing<'a>) -> BoxFuture<'a, Option<Arc<SealedBlock>>> {
        Box::pin(async { Some(proposing.block) })
    }

    /// What to send instead.
    fn outgoing(&self, _wire: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        vec![Parcel::now(to, message)]
    }
}

/// Who a liar is and what it knows.
#[derive(Clone)]
pub(in super::super) struct Cast {
    pub(in super::super) seed: u64,
    pub(in super::super) genesis: aval_codec::Hash,
    pub(in super::super) key: aval_did::SigningKey,
    /// The keys of all other nodes.
    pub(in super::super) others: Vec<[u8; 32]>,
    pub(in super::super) loot: Loot,
}

impl Cast {
    fn dice(&self) -> Mutex<Dice> {
        Mutex::new(Dice::new(self.seed))
    }

    /// One part of the others, and the rest.
    fn halves(&self) -> (Vec<[u8; 32]>, Vec<[u8; 32]>) {
        let middle = self.others.len() / 2;
        (self.others[..middle].to_vec(), self.others[middle..].to_vec())
    }
}

/// A liar, in both of its places: between engine and executor, and between node and network.
#[derive(Clone)]
pub(in super::super) struct Liar(Arc<dyn Behaviour>);

impl Liar {
    pub(in super::super) fn new(kind: Kind, cast: &Cast) -> Self {
        Self(match kind {
            Kind::Equivocator => Arc::new(equivocator::Equivocator::new(cast)),
            Kind::Withholder => Arc::new(withholder::Withholder::new(cast)),
            Kind::Forger => Arc::new(forger::Forger::new(cast)),
            Kind::Trespasser => Arc::new(trespasser::Trespasser::new(cast)),
            Kind::Liar => Arc::new(liar::Liar::new(cast)),
            Kind::Replayer => Arc::new(replayer::Replayer::new(cast)),
            Kind::Flooder => Arc::new(flooder::Flooder::new(cast)),
        })
    }
}

impl Courier for Liar {
    fn outgoing(&self, wire: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        self.0.outgoing(wire, to, message)
    }
}

/// A node, honest or not.
pub(in super::super) struct Citizen(pub(in super::super) Option<Liar>);

impl Hands for Citizen {
    async fn propose(
        &self,
        executor: &Executor,
        slot: Slot,
        mut ancestry: Ancestry,
    ) -> Option<Arc<SealedBlock>> {
        let Some(Liar(behaviour)) = &self.0 else { return executor.propose(slot, ancestry).await };
        let parent = ancestry.next().await?;
        let whole = futures::stream::iter([parent.clone()]).chain(ancestry).boxed();
        let block = executor.propose(slot.clone(), whole).await?;
        behaviour.propose(Proposing { executor, slot, parent, block }).await
    }
}

/// The ancestry of a block whose parent is executed already.
fn ancestry(parent: &Arc<SealedBlock>) -> Ancestry {
    futures::stream::iter([parent.clone()]).boxed()
}
