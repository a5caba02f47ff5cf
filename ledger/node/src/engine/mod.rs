//! The port to the consensus engine: what the node needs of it and what it needs of the node.
//!
//! This folder is the only place that names the engine (R-GEN-10). The rest of the node sees the types of
//! this file: an [`Application`] that proposes, verifies and commits blocks, a [`History`] that lends the
//! engine the blocks that are committed already, a [`Membership`] that says who votes and who may connect, and
//! [`Links`] to the other nodes. Replacing the engine means rewriting this folder.
//!
//! Invariants the engine keeps for the node:
//! - [`Application::verify`] is asked only about blocks whose body matches their header and carries full witnesses;
//! - no block is finalized that a quorum's `verify` did not accept (after a vote on availability alone, the
//!   second round of votes waits for the verdict);
//! - [`Application::finalized`] sees every block once or more, in the order of heights, after a quorum
//!   certified it or a descendant of it; a block counts as delivered only when the call has returned;
//! - a node votes in an epoch only if its key is in that epoch's set, which is read from the state after the last block
//!   of the epoch before; whoever is not in it follows without voting;
//! - connections are held with the nodes that the newest committed state admits, and with no others.
//!
//! The wiring follows specs/decisions/0003-engine-wiring.md; what validators sign is in specs/wire.md, "Certificate".

mod adapter;
mod archive;
mod block;
mod certificate;
mod epochs;
mod faults;
mod journals;
mod peers;
mod production;
mod runtime;
mod schemes;
#[cfg(test)]
pub mod simulation;
mod stack;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;

use aval_codec::Hash;
use aval_machine::sabotage::{self, Sabotage};
use aval_proof::Certificate;
use aval_types::action::NodeEvidence;
use aval_types::block::{Block, BlockError, Mode};
use bytes::Bytes;
use futures::stream::BoxStream;

pub use journals::Journals;
pub use production::{ProductionOptions, run};

/// The place in the order that a proposal is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The consensus epoch.
    pub epoch: u64,
    /// The view inside the epoch.
    pub view: u64,
    /// The view of the parent block.
    pub parent_view: u64,
    /// The Ed25519 key of the proposer.
    pub leader: [u8; 32],
    /// The digest of the parent block.
    pub parent: Hash,
}

/// A block together with what is worth computing only once: its digest and its bytes.
///
/// Both ways to make one keep the three in agreement, so a cache keyed by digest never holds another body.
#[derive(Clone, Debug)]
pub struct SealedBlock {
    block: Block,
    digest: Hash,
    encoded: Bytes,
}

impl SealedBlock {
    /// Seals a block of our own making, whose roots the caller computed from this very body.
    pub fn new(block: Block) -> Self {
        let encoded = Bytes::from(block.encode());
        Self { digest: block.digest(), block, encoded }
    }

    /// Reads a live block: the body must match the header, and every witness must be there in full.
    pub fn decode(encoded: Bytes) -> Result<Self, BlockError> {
        let mode = if sabotage::is(Sabotage::AcceptStripped) { Mode::Any } else { Mode::Full };
        let block = Block::decode(&encoded, mode)?;
        Ok(Self { digest: block.digest(), block, encoded })
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The digest of its header.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// Its distance from genesis.
    pub fn height(&self) -> u64 {
        self.block.header.height
    }

    /// The bytes it is sent and stored as.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }
}

/// The ancestors of a block, its parent first. Ends early when an ancestor cannot be had any more.
pub type Ancestry = BoxStream<'static, Arc<SealedBlock>>;

/// The node cannot go on: its disk failed, or it computed another outcome than the quorum.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

/// What the node does for the engine.
///
/// `propose` and `verify` may be dropped at any point. None of the calls may block its thread for long.
pub trait Application: Send + Sync + 'static {
    /// Builds a block for the slot, or gives the slot up.
    fn propose(
        &self,
        slot: Slot,
        ancestry: Ancestry,
    ) -> impl Future<Output = Option<Arc<SealedBlock>>> + Send;

    /// Says whether the block is valid. `false` only if it can never become valid; while that is open (its time lies
    /// ahead, something is missing) the answer waits.
    fn verify(&self, block: Arc<SealedBlock>, ancestry: Ancestry) -> impl Future<Output = bool> + Send;

    /// Commits a finalized block, durably before it returns. A block that is committed already is accepted silently.
    /// The certificate is absent if the block was finalized through a descendant.
    fn finalized(
        &self,
        block: Arc<SealedBlock>,
        certificate: Option<Certificate>,
    ) -> impl Future<Output = Result<(), Fatal>> + Send;

    /// Takes note of the highest finalized height that is known, whether or not the blocks up to it have arrived.
    fn observe_tip(&self, height: u64);

    /// Takes a message that another validator sent through [`Links::broadcast`]. Must not wait; may drop.
    fn message(&self, sender: [u8; 32], message: Bytes);

    /// Whether this node has heard so much, or so little sense, from another one that it wants to hear no more for a
    /// while. Asked after each of its messages.
    fn is_fed_up_with(&self, sender: [u8; 32]) -> bool {
        let _ = sender;
        false
    }

    /// Takes note of two votes with which a validator contradicts itself. Their signatures are not checked yet.
    fn fault(&self, evidence: NodeEvidence);
}

/// The committed blocks, which the engine reads to serve validators that are behind.
pub trait History: Send + Sync + 'static {
    /// The height of the newest committed block.
    fn height(&self) -> u64;

    /// The committed block at a height, if its witnesses are still there in full.
    fn block(&self, height: u64) -> Result<Option<SealedBlock>, Fatal>;

    /// The digest of the committed block at a height.
    fn digest(&self, height: u64) -> Result<Hash, Fatal>;

    /// The height of the committed block with this digest.
    fn height_of(&self, digest: &Hash) -> Result<Option<u64>, Fatal>;

    /// The certificate at a height, if the block has one of its own.
    fn certificate(&self, height: u64) -> Result<Option<Certificate>, Fatal>;
}

/// Another node that may be connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its Ed25519 key, which the handshake proves.
    pub key: [u8; 32],
    /// Where it listens; nothing for a node that only calls others.
    pub address: Option<SocketAddr>,
}

/// The nodes that may be connected. This node may be among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Nodes that validate or could: everybody calls them. The more important ones come first.
    pub validators: Vec<Peer>,
    /// Nodes that follow: they call, and are let in.
    pub observers: Vec<Peer>,
}

/// Who takes part, by what is committed.
pub trait Membership: Send + Sync + 'static {
    /// The keys of the validators of an epoch, ascending. `None` if the block that decides it is not committed yet, or
    /// if it is so old that the set is not known any more.
    fn validators(&self, epoch: u64) -> Result<Option<Arc<Vec<[u8; 32]>>>, Fatal>;

    /// Who may be connected after the newest committed block. Asked after every block; the same answer is the same
    /// allocation.
    fn peers(&self) -> Result<Arc<Peers>, Fatal>;

    /// How long to wait for a leader's block, from the newest committed block on; above the heartbeat, or an
    /// idle network would change leaders for nothing.
    fn leader_timeout_ms(&self) -> Result<u64, Fatal>;

    /// Told which epoch the node takes part in from now on, and whether it votes there.
    fn entered(&self, epoch: u64, votes: bool);
}

/// The node around the engine.
pub struct Built<A> {
    /// Proposes, verifies and commits.
    pub application: Arc<A>,
    /// The committed blocks.
    pub history: Arc<dyn History>,
    /// Who takes part.
    pub membership: Arc<dyn Membership>,
}

/// To whom a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All nodes that are connected.
    Everybody,
    /// Those that validate, or could from the next epoch on.
    Validators,
}

/// The way to the other nodes for messages that are not the engine's own.
#[derive(Clone)]
pub struct Links {
    outgoing: tokio::sync::mpsc::Sender<(Audience, Bytes)>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Bytes of one message of [`Links::broadcast`].
pub const MESSAGE_BYTES_MAX: usize = 512 * 1024;

/// Messages that may wait for the network before further ones are dropped.
const MESSAGES_QUEUED: usize = 64;

/// The queue behind [`Links::broadcast`].
pub type Outgoing = tokio::sync::mpsc::Receiver<(Audience, Bytes)>;

impl Links {
    fn new(metrics: impl Fn() -> String + Send + Sync + 'static) -> (Self, Outgoing) {
        let (outgoing, receiver) = tokio::sync::mpsc::channel(MESSAGES_QUEUED);
        (Self { outgoing, metrics: Arc::new(metrics) }, receiver)
    }

    /// Links to nowhere, for tests of what stands on them.
    #[cfg(test)]
    pub fn disconnected() -> (Self, Outgoing) {
        Self::new(String::new)
    }

    /// Sends a message to everybody of the audience who is connected; nobody acknowledges it. False if it was dropped
    /// because it is too large or the queue is full.
    pub fn broadcast(&self, audience: Audience, message: Bytes) -> bool {
        message.len() <= MESSAGE_BYTES_MAX && self.outgoing.try_send((audience, message)).is_ok()
    }

    /// The engine's own measurements in the Prometheus text format.
    pub fn engine_metrics(&self) -> String {
        (self.metrics)()
    }
}

/// What all nodes of a network must agree on, and this node's key.
pub struct Settings {
    /// The genesis block.
    pub genesis: SealedBlock,
    /// The hash of the genesis file: it separates this network's votes and connections from every other's.
    pub network: Hash,
    /// Blocks of an epoch: epoch `e` is the heights from `e * epoch_blocks` on.
    pub epoch_blocks: NonZeroU64,
    /// The 32-byte seed of this node's Ed25519 key.
    pub key_seed: [u8; 32],
    /// The height that the ledger reached without the engine, if it did: the node votes only in epochs after that
    /// height's, since it may have voted in earlier ones and forgotten it.
    pub joined_height: Option<u64>,
    /// Set if the key may have voted above that height as well: the node does not vote until it has committed a block
    /// that was made after its start, and that block's epoch has ended. Called with that block's height.
    pub doubt: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    /// Bytes of a block that are read at most, whatever the parameters in force say.
    pub block_bytes_max: usize,
    /// Put before the names of the engine's files, where several nodes share a place for them; empty otherwise.
    pub partition_prefix: String,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Settings").field("network", &self.network).finish_non_exhaustive()
    }
}

/// Why the engine could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A validator's key is not an Ed25519 public key.
    #[error("validator key {0} is not a valid Ed25519 public key")]
    ValidatorKey(String),
    /// The address to listen on is taken.
    #[error("cannot listen on {address}: {reason}; stop the program that uses this port or change it")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The engine's journals cannot be opened.
    #[error("cannot open the engine's journals: {0}")]
    Journal(String),
    /// The journals and the ledger are not of one time.
    #[error(
        "the ledger ends at block {committed}, but the engine's journals end at block {delivered}: these folders do not \
         belong together; restore both as they were, or remove both while the other validators run, and the node \
         fetches the blocks again"
    )]
    FoldersApart {
        /// The ledger's height.
        committed: u64,
        /// The height that the journals say was delivered.
        delivered: u64,
    },
    /// The node around the engine could not be built.
    #[error("{0}")]
    Build(String),
    /// The application cannot go on.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// A part of the engine stopped by itself.
    #[error("the consensus engine stopped unexpectedly")]
    Stopped,
}

impl EngineError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ValidatorKey(_) => "engine.validator_key",
            Self::Listen { .. } => "engine.listen",
            Self::Journal(_) => "engine.journal",
            Self::FoldersApart { .. } => "engine.folders_apart",
            Self::Build(_) => "engine.build",
            Self::Fatal(_) => "engine.fatal",
            Self::Stopped => "engine.stopped",
        }
    }
}
