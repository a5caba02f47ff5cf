//! The port to the consensus engine: what the node needs of it and what it needs of the node.
//!
//! This folder is the only place that names the engine (R-GEN-10). The rest of the node sees the types of
//! this file: an [`Application`] that proposes, verifies and commits blocks, a [`History`] that lends the
//! engine the blocks that are committed already, and [`Links`] to the other validators. Replacing the engine
//! means rewriting this folder.
//!
//! Invariants the engine keeps for the node:
//! - [`Application::verify`] is asked only about blocks whose body matches their header and carries full witnesses;
//! - no block is finalized that a quorum's `verify` did not accept (after a vote on availability alone, the
//!   second round of votes waits for the verdict);
//! - [`Application::finalized`] sees every block once or more, in the order of heights, after a quorum
//!   certified it or a descendant of it; a block counts as delivered only when the call has returned.
//!
//! The wiring follows specs/decisions/0003-engine-wiring.md; what validators sign is in specs/wire.md, "Certificate".

mod adapter;
mod archive;
mod block;
mod certificate;
mod production;
mod runtime;
#[cfg(test)]
pub mod simulation;
mod stack;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

use aval_codec::Hash;
use aval_proof::Certificate;
use aval_types::block::{Block, BlockError, Mode};
use bytes::Bytes;
use futures::stream::BoxStream;

pub use production::{Built, Peer, ProductionOptions, run};

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
        let block = Block::decode(&encoded, Mode::Full)?;
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

/// The way to the other validators for messages that are not the engine's own.
#[derive(Clone)]
pub struct Links {
    outgoing: tokio::sync::mpsc::Sender<Bytes>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Bytes of one message of [`Links::broadcast`].
pub const MESSAGE_BYTES_MAX: usize = 512 * 1024;

/// Messages that may wait for the network before further ones are dropped.
const MESSAGES_QUEUED: usize = 64;

impl Links {
    fn new(
        metrics: impl Fn() -> String + Send + Sync + 'static,
    ) -> (Self, tokio::sync::mpsc::Receiver<Bytes>) {
        let (outgoing, receiver) = tokio::sync::mpsc::channel(MESSAGES_QUEUED);
        (Self { outgoing, metrics: Arc::new(metrics) }, receiver)
    }

    /// Links to nowhere, for tests of what stands on them.
    #[cfg(test)]
    pub fn disconnected() -> (Self, tokio::sync::mpsc::Receiver<Bytes>) {
        Self::new(String::new)
    }

    /// Sends a message to all validators that are connected; nobody acknowledges it. False if it was dropped because it
    /// is too large or the queue is full.
    pub fn broadcast(&self, message: Bytes) -> bool {
        message.len() <= MESSAGE_BYTES_MAX && self.outgoing.try_send(message).is_ok()
    }

    /// The engine's own measurements in the Prometheus text format.
    pub fn engine_metrics(&self) -> String {
        (self.metrics)()
    }
}

/// What all validators of a network must agree on, and this validator's key.
pub struct Settings {
    /// The genesis block.
    pub genesis: SealedBlock,
    /// The hash of the genesis file: it separates this network's votes and connections from every other's.
    pub network: Hash,
    /// The Ed25519 keys of the validators.
    pub validators: Vec<[u8; 32]>,
    /// The 32-byte seed of this validator's Ed25519 key.
    pub key_seed: [u8; 32],
    /// Bytes of a block at most.
    pub block_bytes_max: usize,
    /// Put before the names of the engine's files, where several nodes share a place for them; empty otherwise.
    pub partition_prefix: String,
    /// How long to wait for a leader's block; above the heartbeat, or an idle network would change leaders for nothing.
    pub leader_timeout_ms: u64,
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
