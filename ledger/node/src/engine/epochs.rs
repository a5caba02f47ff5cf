//! From one epoch to the next: commits what is final, and runs one consensus engine per epoch.
//!
//! What holds:
//! - The engine of an epoch starts when the last block of the epoch before is committed, with the set that the state
//!   after that block names, and with that block as the one to build on. Until then the old engine proposes the last
//!   block again and makes no other.
//! - An engine that ended is stopped for good, and its journal of votes is deleted: no vote of an epoch can count any
//!   more once its last block is final.
//! - Who is a little ahead is heard: messages of the next epoch wait until this node enters it. Who is further ahead is
//!   asked for the last block of this node's epoch, from which everything below follows.
//! - After every block, connections follow the committed state before the next block is taken up.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aval_codec::Hash;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::standard::{Deferred, Standard};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::{self};
use commonware_consensus::types::{Epoch, Epocher as _, FixedEpocher, Height};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::utils::mux::{self, Builder as _, MuxHandle, SubReceiver, SubSender};
use commonware_p2p::{Blocker, Message, Receiver, Sender};
use commonware_runtime::{Clock, Error as RuntimeError, Handle, Storage};
use commonware_utils::Acknowledgement as _;
use commonware_utils::acknowledgement::Exact;
use commonware_utils::vec::NonEmptyVec;
use futures::StreamExt as _;
use futures::channel::mpsc;
use tracing::{info, warn};

use super::adapter::{Adapter, SharedApplication, commit};
use super::block::EngineBlock;
use super::peers::{Connections, Following};
use super::schemes::{self, Schemes};
use super::stack::{EngineContext, Place, SimplexOptions};
use super::{EngineError, Fatal, Membership, SealedBlock};

/// How long messages of a later epoch may come in before this node asks for what it must have missed. Validators pass
/// from one epoch to the next within milliseconds, and then nobody has to ask.
const LAG_PATIENCE: Duration = Duration::from_millis(500);
/// How long an answer may take before others are asked as well.
const LAG_RETRY: Duration = Duration::from_secs(1);
/// Ended epochs whose journals are looked for when the node starts, in case it was stopped before deleting them.
const ENDED_EPOCHS_MAX: u64 = 64;

pub(super) type EngineMailbox = Mailbox<Scheme, Standard<EngineBlock>>;
pub(super) type Verification<E> = Deferred<E, Scheme, Adapter, EngineBlock, FixedEpocher>;

/// A channel whose messages are sorted by epoch.
pub(super) struct ByEpoch<S: Sender> {
    handle: MuxHandle<S>,
    /// Messages of epochs that nobody listens to: the number of the epoch, the sender and the message.
    strays: tokio::sync::mpsc::Receiver<(u64, Message<PublicKey>)>,
}

impl<S: Sender<PublicKey = PublicKey>> ByEpoch<S> {
    pub(super) fn new<E, R>(context: E, (sender, receiver): (S, R)) -> Self
    where
        E: EngineContext,
        R: Receiver<PublicKey = PublicKey>,
    {
        let (muxer, handle, strays) = mux::Muxer::builder(context, sender, receiver).with_backup().build();
        muxer.start();
        Self { handle, strays }
    }

    async fn open(&mut self, epoch: Epoch) -> Result<End<S>, EngineError> {
        let (sender, receiver) = self.handle.register(epoch.get()).await.map_err(|_| EngineError::Stopped)?;
        Ok((sender, Early { early: VecDeque::new(), receiver }))
    }
}

type End<S> = (SubSender<S>, Early);

/// The receiving end of an epoch that has not begun here: what comes in early is kept for its engine.
#[derive(Debug)]
struct Early {
    early: VecDeque<Message<PublicKey>>,
    receiver: SubReceiver<PublicKey>,
}

impl Early {
    /// Keeps the next message, and says who sent it.
    async fn keep(&mut self) -> PublicKey {
        match self.receiver.recv().await {
            Ok((sender, message)) => {
                if self.early.len() < self.receiver.capacity().get() {
                    self.early.push_back((sender.clone(), message));
                }
                sender
            }
            // The network is gone, and with it this node.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Receiver for Early {
    type Error = mux::Error;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, mux::Error> {
        match self.early.pop_front() {
            Some(message) => Ok(message),
            None => self.receiver.recv().await,
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.receiver.capacity()
    }
}

/// The channels of one epoch.
struct Ends<S: Sender> {
    epoch: Epoch,
    votes: End<S>,
    certificates: End<S>,
    resolver: End<S>,
}

/// The channels that are sorted by epoch.
pub(super) struct EpochChannels<S: Sender> {
    pub(super) votes: ByEpoch<S>,
    pub(super) certificates: ByEpoch<S>,
    pub(super) resolver: ByEpoch<S>,
}

impl<S: Sender<PublicKey = PublicKey>> EpochChannels<S> {
    async fn open(&mut self, epoch: Epoch) -> Result<Ends<S>, EngineError> {
        Ok(Ends {
            epoch,
            votes: self.votes.open(epoch).await?,
            certificates: self.certificates.open(epoch).await?,
            resolver: self.resolver.open(epoch).await?,
        })
    }
}

/// Nodes that were heard in a later epoch than this node is in.
#[derive(Default)]
struct Ahead {
    epochs: BTreeMap<PublicKey, u64>,
    ask_at: Option<SystemTime>,
}

impl Ahead {
    fn heard(&mut self, sender: PublicKey, epoch: u64, now: SystemTime) {
        // The sender proved a key that is admitted, so the map is bounded by the admitted keys; keys that are not any
        // more go with the next epoch.
        self.epochs.insert(sender, epoch);
        self.ask_at.get_or_insert(now + LAG_PATIENCE);
    }

    fn entered(&mut self, epoch: u64, now: SystemTime) {
        self.epochs.retain(|_, heard| *heard > epoch);
        // Who is still ahead was ahead by several epochs: there is no point in waiting again.
        self.ask_at = (!self.epochs.is_empty()).then_some(now);
    }
}

/// What a new engine is made of, and what outlives it.
pub(super) struct Epochs<E: EngineContext, S: Sender, B, C> {
    pub(super) context: E,
    pub(super) options: SimplexOptions,
    pub(super) epocher: FixedEpocher,
    pub(super) schemes: Schemes,
    pub(super) membership: Arc<dyn Membership>,
    pub(super) verification: Verification<E>,
    pub(super) marshal: EngineMailbox,
    pub(super) blocker: B,
    pub(super) channels: EpochChannels<S>,
    pub(super) following: Following<C>,
}

async fn ask<E: Clock>(context: &E, at: Option<SystemTime>) {
    match at {
        Some(at) => context.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The engine that runs.
struct Current<S: Sender> {
    epoch: Epoch,
    last: Height,
    engine: Handle<()>,
    next: Ends<S>,
}

impl<E, S, B, C> Epochs<E, S, B, C>
where
    E: EngineContext,
    S: Sender<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    C: Connections,
{
    /// Commits blocks and changes epochs until something stops. `head` is the newest committed block.
    pub(super) async fn run(
        mut self,
        application: SharedApplication,
        mut blocks: mpsc::UnboundedReceiver<(Arc<SealedBlock>, Exact)>,
        head: (u64, Hash),
        genesis: Hash,
    ) -> Result<(), EngineError> {
        let epoch = self.epoch_of(head.0.saturating_add(1))?;
        let floor = self.floor(epoch, head)?;
        for ended in epoch.get().saturating_sub(ENDED_EPOCHS_MAX)..epoch.get() {
            let ended = Epoch::new(ended);
            delete_journal(&self.context, &self.options.partition(ended), ended).await;
        }
        self.following.follow(head.0)?;
        let ends = self.channels.open(epoch).await?;
        let mut current = self.enter(ends, floor).await?;
        let mut ahead = Ahead::default();
        loop {
            let EpochChannels { votes, certificates, resolver } = &mut self.channels;
            let asking = ask(&self.context, ahead.ask_at);
            // In a fixed order, because a simulation must take the same turn every time.
            tokio::select! {
                biased;
                _ = &mut current.engine => return Err(EngineError::Stopped),
                block = blocks.next() => {
                    let Some((block, acknowledgement)) = block else { return Err(EngineError::Stopped) };
                    if block.digest() != genesis {
                        commit(&application, &self.marshal, &block).await?;
                        let time_ms = block.block().header.time_ms;
                        self.schemes.committed(current.epoch.get(), block.height(), time_ms);
                        self.following.follow(block.height())?;
                        if block.height() == current.last.get() {
                            current = self.advance(current, &block).await?;
                            ahead.entered(current.epoch.get(), self.context.current());
                        }
                    }
                    acknowledgement.acknowledge();
                }
                sender = current.next.votes.1.keep() => {
                    ahead.heard(sender, current.next.epoch.get(), self.context.current());
                }
                sender = current.next.certificates.1.keep() => {
                    ahead.heard(sender, current.next.epoch.get(), self.context.current());
                }
                Some((epoch, (sender, _))) = votes.strays.recv() => {
                    if epoch > current.epoch.get() { ahead.heard(sender, epoch, self.context.current()); }
                }
                Some((epoch, (sender, _))) = certificates.strays.recv() => {
                    if epoch > current.epoch.get() { ahead.heard(sender, epoch, self.context.current()); }
                }
                Some(_) = resolver.strays.recv() => {}
                () = asking => {
                    if let Ok(targets) = NonEmptyVec::try_from(ahead.epochs.keys().cloned().collect::<Vec<_>>()) {
                        self.marshal.hint_finalized(current.last, targets);
                    }
                    ahead.ask_at = Some(self.context.current() + LAG_RETRY);
                }
            }
        }
    }

    fn epoch_of(&self, height: u64) -> Result<Epoch, EngineError> {
        let bounds = self.epocher.containing(Height::new(height));
        bounds.map(|bounds| bounds.epoch()).ok_or_else(|| Fatal("the heights are used up".to_owned()).into())
    }

    fn last_of(&self, epoch: Epoch) -> Result<Height, EngineError> {
        let last = self.epocher.last(epoch);
        last.ok_or_else(|| Fatal("the heights are used up".to_owned()).into())
    }

    /// The block that an epoch builds on: the last one of the epoch before, or genesis.
    fn floor(&self, epoch: Epoch, head: (u64, Hash)) -> Result<Hash, EngineError> {
        let Some(before) = epoch.previous() else { return Ok(self.options.genesis) };
        let height = self.last_of(before)?.get();
        if height == head.0 {
            return Ok(head.1);
        }
        Ok(self.options.history.digest(height)?)
    }

    /// Leaves an epoch whose last block is committed.
    async fn advance(&mut self, current: Current<S>, last: &SealedBlock) -> Result<Current<S>, EngineError> {
        let Current { epoch, engine, next, .. } = current;
        engine.abort();
        let _ = engine.await;
        let entered = self.enter(next, last.digest()).await?;
        // Deleting files may take a second, and the next leader waits until this block is acknowledged.
        let partition = self.options.partition(epoch);
        let _ = self.context.child("ended").spawn(move |context| async move {
            delete_journal(&context, &partition, epoch).await;
        });
        Ok(entered)
    }

    /// Starts the engine of an epoch on the block before it.
    async fn enter(&mut self, ends: Ends<S>, floor: Hash) -> Result<Current<S>, EngineError> {
        let epoch = ends.epoch;
        let scheme = self.schemes.open(epoch)?.ok_or_else(|| {
            Fatal(format!("the committed state does not name the validators of epoch {epoch}"))
        })?;
        let votes = schemes::votes(&scheme);
        info!(epoch = epoch.get(), votes, "epoch");
        self.membership.entered(epoch.get(), votes);
        let leader_timeout = Duration::from_millis(self.membership.leader_timeout_ms()?.max(1));
        let place = Place { scheme: (*scheme).clone(), epoch, floor, leader_timeout };
        let config = self.options.config(place, self.verification.clone(), self.blocker.clone());
        let context = self.context.child("consensus").with_attribute("epoch", epoch.get());
        let engine =
            simplex::Engine::new(context, config).start(ends.votes, ends.certificates, ends.resolver);
        let next = self.channels.open(epoch.next()).await?;
        Ok(Current { epoch, last: self.last_of(epoch)?, engine, next })
    }
}

/// Deletes the journal of votes of an epoch that ended.
async fn delete_journal<E: Storage>(context: &E, partition: &str, epoch: Epoch) {
    match context.remove(partition, None).await {
        Ok(()) | Err(RuntimeError::PartitionMissing(_)) => {}
        // Nothing is wrong but a few bytes on disk; the next start tries again.
        Err(error) => {
            warn!(epoch = epoch.get(), %error, "the journal of an ended epoch could not be deleted");
        }
    }
}
