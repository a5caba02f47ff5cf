//! A node without sockets and without RocksDB: what production and simulation have in common.
//!
//! ```text
//!  ingress ──> mempool ──> executor ──> ledger
//!     │  ^                    ^
//!     v  │                    v
//!    gossip <── links ───  engine
//! ```
//!
//! Around it, production puts the REST interface and a ledger on disk, and the simulation a ledger in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aval_codec::Hash;
use aval_machine::Checked;
use aval_store::Ledger;
use aval_types::{Genesis, NetworkId};
use tracing::{debug, warn};

use crate::engine::{Built, EngineError, Fatal, Links, SealedBlock, Settings};
use crate::executor::{
    Executor, ExecutorOptions, LedgerHistory, PROTOCOL_VERSION, install_genesis, reason_to_stop,
};
use crate::gossip::Gossip;
use crate::ingress::{Complain, Gate, Ingress, Publish};
use crate::mempool::{Limits, Mempool};
use crate::metrics::Metrics;
use crate::roster::Roster;
use crate::runtime::{SharedRuntime, offload};
use crate::snapshots::{Schedule, Snapshots};

/// Heights that one call of the ledger's housekeeping looks at when it erases witnesses.
const ERASING_HEIGHTS_MAX: usize = 512;
/// Heights that one call of pruning looks at: a few milliseconds of work, between which blocks are committed.
const PRUNING_HEIGHTS_MAX: usize = 32;
/// How often pruning begins, how long it pauses between two calls, and how many calls it makes.
const PRUNING_INTERVAL: Duration = Duration::from_secs(5);
const PRUNING_PAUSE: Duration = Duration::from_millis(20);
const PRUNING_CALLS_MAX: usize = 64;
/// Witnesses of so many of the newest blocks stay, however old: who makes or judges the next block needs the
/// ones below.
pub const WITNESS_BLOCKS_KEPT: u64 = 64;
/// How often a node that makes no blocks hands what waits on again, and how much of it.
const REPUBLISH_INTERVAL: Duration = Duration::from_secs(3);
const REPUBLISH_TRANSACTIONS_MAX: usize = 256;
const REPUBLISH_BYTES_MAX: usize = 1 << 20;

/// A network as its genesis file defines it.
#[derive(Clone, Debug)]
pub struct Network {
    /// The file's content.
    pub genesis: Genesis,
    /// The hash of its bytes.
    pub hash: Hash,
    /// The network's name.
    pub id: NetworkId,
}

impl Network {
    /// Reads a genesis file.
    pub fn parse(bytes: &[u8]) -> Result<Self, aval_types::GenesisError> {
        let genesis = Genesis::parse(bytes)?;
        let hash = Genesis::hash_of(bytes);
        Self::new(genesis, hash)
    }

    /// The network of a genesis whose file has this hash.
    pub fn new(genesis: Genesis, hash: Hash) -> Result<Self, aval_types::GenesisError> {
        let id = genesis.network_id(hash)?;
        Ok(Self { genesis, hash, id })
    }

    /// Blocks of an epoch: fixed for good by the genesis file.
    pub fn epoch_blocks(&self) -> NonZeroU64 {
        // A genesis file with another value than one above zero is not read.
        NonZeroU64::new(self.genesis.parameters.validators.epoch_blocks).unwrap_or(NonZeroU64::MIN)
    }

    /// What the executor goes by. See [`ExecutorOptions::block_interval`].
    pub fn executor_options(&self, block_interval: Duration) -> ExecutorOptions {
        ExecutorOptions {
            network: self.id.clone(),
            parameters: self.genesis.parameters.clone(),
            protocol_version: PROTOCOL_VERSION,
            block_interval,
            faults_file: None,
        }
    }

    /// What the engine must know, for the node whose key has this seed.
    pub fn engine_settings(&self, genesis_block: SealedBlock, key_seed: [u8; 32]) -> Settings {
        Settings {
            genesis: genesis_block,
            network: self.hash,
            epoch_blocks: self.epoch_blocks(),
            key_seed,
            joined_height: None,
            doubt: None,
            block_bytes_max: aval_types::limits::BLOCK_BYTES_MAX,
            partition_prefix: String::new(),
        }
    }
}

/// What a node decides for itself.
#[derive(Clone, Debug)]
pub struct CoreOptions {
    /// Bounds of the pool of waiting transactions.
    pub mempool: Limits,
    /// See [`ExecutorOptions::block_interval`].
    pub block_interval: Duration,
    /// Addresses of nodes by key, which go before the registered ones.
    pub addresses: BTreeMap<[u8; 32], SocketAddr>,
    /// When snapshots are offered.
    pub snapshots: Schedule,
    /// Where proofs of others' faults outlive the node, if anywhere.
    pub faults_file: Option<PathBuf>,
    /// The newest version of the protocol that is known: another one than the program's in tests alone.
    pub protocol_version: u32,
}

impl Default for CoreOptions {
    fn default() -> Self {
        Self {
            mempool: Limits::default(),
            block_interval: Duration::from_millis(100),
            addresses: BTreeMap::new(),
            snapshots: Schedule::default(),
            faults_file: None,
            protocol_version: PROTOCOL_VERSION,
        }
    }
}

/// The parts of a node.
pub struct Core {
    /// The network.
    pub network: Network,
    /// Clock, tasks and randomness.
    pub runtime: SharedRuntime,
    /// Finalized blocks and their state.
    pub ledger: Ledger,
    /// Waiting transactions.
    pub mempool: Arc<Mempool<Checked>>,
    /// The way in.
    pub ingress: Ingress,
    /// The way to the other nodes.
    pub gossip: Arc<Gossip>,
    /// Who takes part.
    pub roster: Arc<Roster>,
    /// Blocks.
    pub executor: Arc<Executor>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Which heights are offered as snapshots.
    pub snapshots: Snapshots,
}

impl Core {
    /// Puts a node together and starts its tasks. The ledger gets its genesis block if it has none.
    pub fn start(
        network: Network,
        ledger: Ledger,
        runtime: SharedRuntime,
        links: Links,
        metrics: Arc<Metrics>,
        options: CoreOptions,
    ) -> Result<Arc<Self>, EngineError> {
        install_genesis(&ledger, &network.genesis, network.hash)?;
        let unsupported = reason_to_stop(&ledger, options.protocol_version)
            .map_err(|error| EngineError::Build(error.to_string()))?;
        if let Some(reason) = unsupported {
            return Err(Fatal(reason).into());
        }
        let mempool = Arc::new(Mempool::new(options.mempool));
        let gossip = Gossip::new(runtime.clone(), links);
        let gate = Arc::new(Gate::new(ledger.clone(), mempool.clone(), network.id.clone(), metrics.clone()));
        let publisher = gossip.clone();
        let publish: Publish = Arc::new(move |checked: &Arc<Checked>| {
            publisher.publish(checked.block_transaction().clone());
        });
        let listener = gossip.clone();
        let complain: Complain = Arc::new(move |sender, forged| listener.complain(sender, forged));
        let ingress = Ingress::start(runtime.clone(), gate, publish, complain);
        metrics.with_registry(|registry| {
            let help = "Other nodes shut out for a while, by what they did";
            registry.register("peers_blocked", help, gossip.blocked());
        });
        let roster = Roster::new(ledger.clone(), network.epoch_blocks(), options.addresses);
        let executor = Executor::new(
            runtime.clone(),
            ledger.clone(),
            mempool.clone(),
            gossip.clone(),
            Arc::new(ingress.clone()),
            roster.clone(),
            ExecutorOptions {
                protocol_version: options.protocol_version,
                faults_file: options.faults_file,
                ..network.executor_options(options.block_interval)
            },
        )
        .map_err(|error| EngineError::Build(error.to_string()))?;
        let told = executor.clone();
        gossip.start(move || told.newest().height);
        let snapshots = Snapshots::new(options.snapshots, network.epoch_blocks());
        let core = Arc::new(Self {
            network,
            runtime,
            ledger,
            mempool,
            ingress,
            gossip,
            roster,
            executor,
            metrics,
            snapshots,
        });
        core.clone().spawn_erasing();
        core.clone().spawn_pruning();
        core.clone().spawn_republishing();
        Ok(core)
    }

    /// What the engine works with. `application` is the executor, but in tests of faults.
    pub fn built<A>(&self, application: Arc<A>) -> Built<A> {
        let history = Arc::new(LedgerHistory::new(self.ledger.clone()));
        Built { application, history, membership: self.roster.clone() }
    }

    /// A node that does not vote never makes a block, so what it took in must not depend on one message
    /// getting through.
    fn spawn_republishing(self: Arc<Self>) {
        let runtime = self.runtime.clone();
        runtime.spawn(
            "republishing",
            Box::pin(async move {
                loop {
                    self.runtime.sleep(REPUBLISH_INTERVAL).await;
                    if self.roster.place().votes {
                        continue;
                    }
                    for waiting in self.mempool.candidates(REPUBLISH_BYTES_MAX, REPUBLISH_TRANSACTIONS_MAX) {
                        self.gossip.publish(waiting.block_transaction().clone());
                    }
                }
            }),
        );
    }

    /// Prunes what is not kept, in short calls beside the normal work.
    fn spawn_pruning(self: Arc<Self>) {
        let runtime = self.runtime.clone();
        runtime.spawn(
            "pruning",
            Box::pin(async move {
                loop {
                    self.runtime.sleep(PRUNING_INTERVAL).await;
                    for _ in 0..PRUNING_CALLS_MAX {
                        let newest = self.executor.newest().height;
                        let held = self.snapshots.held(newest, self.runtime.now_ms());
                        let ledger = self.ledger.clone();
                        let prune = move || ledger.prune_below(held, PRUNING_HEIGHTS_MAX);
                        match offload(&*self.runtime, prune).await {
                            Some(Ok(pruned)) if pruned.is_done => break,
                            Some(Ok(_)) => self.runtime.sleep(PRUNING_PAUSE).await,
                            Some(Err(error)) => {
                                warn!(code = error.code(), %error, "pruning failed and will be tried again");
                                break;
                            }
                            None => return,
                        }
                    }
                }
            }),
        );
    }

    /// Erases witnesses whose retention is over, now and then.
    fn spawn_erasing(self: Arc<Self>) {
        let retention_ms = self.network.genesis.parameters.witness_retention_ms;
        let interval = Duration::from_millis((retention_ms / 10).clamp(1_000, 60_000));
        let runtime = self.runtime.clone();
        runtime.spawn(
            "erasing",
            Box::pin(async move {
                loop {
                    self.runtime.sleep(interval).await;
                    let before_ms = self.runtime.now_ms().saturating_sub(retention_ms);
                    let ledger = self.ledger.clone();
                    let done = offload(&*self.runtime, move || {
                        let newest = ledger.require_head()?.height();
                        let oldest = newest.saturating_sub(WITNESS_BLOCKS_KEPT).max(ledger.base());
                        let kept = ledger.header(oldest)?.time_ms;
                        ledger.erase_witnesses(before_ms.min(kept), ERASING_HEIGHTS_MAX)
                    })
                    .await;
                    match done {
                        Some(Ok(erased)) => debug!(?erased, "witnesses"),
                        Some(Err(error)) => {
                            warn!(code = error.code(), %error, "witnesses could not be erased; it will be tried again")
                        }
                        None => return,
                    }
                }
            }),
        );
    }
}
