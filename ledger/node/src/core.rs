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

use std::sync::Arc;
use std::time::Duration;

use aval_codec::Hash;
use aval_machine::Checked;
use aval_store::Ledger;
use aval_types::{Genesis, NetworkId};
use tracing::{debug, warn};

use crate::engine::{EngineError, Links, SealedBlock, Settings};
use crate::executor::{Executor, ExecutorOptions, LedgerHistory, install_genesis};
use crate::gossip::Gossip;
use crate::ingress::{Gate, Ingress, Publish};
use crate::mempool::{Limits, Mempool};
use crate::metrics::Metrics;
use crate::runtime::{SharedRuntime, offload};

/// Heights that one call of the ledger's housekeeping looks at.
const HOUSEKEEPING_HEIGHTS_MAX: usize = 512;
/// An idle validator may be this much slower than the heartbeat before the others change the leader.
const LEADER_SLACK_MS: u64 = 1_000;

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
        let id = genesis.network_id(hash)?;
        Ok(Self { genesis, hash, id })
    }

    /// What the engine must know, for the validator whose key has this seed.
    pub fn engine_settings(&self, genesis_block: SealedBlock, key_seed: [u8; 32]) -> Settings {
        let parameters = &self.genesis.parameters;
        Settings {
            genesis: genesis_block,
            network: self.hash,
            validators: self.genesis.validator_keys(),
            key_seed,
            block_bytes_max: parameters.block_bytes_max as usize,
            partition_prefix: String::new(),
            leader_timeout_ms: parameters
                .leader_timeout_ms
                .max(parameters.heartbeat_ms.saturating_add(LEADER_SLACK_MS)),
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
}

impl Default for CoreOptions {
    fn default() -> Self {
        Self { mempool: Limits::default(), block_interval: Duration::from_millis(100) }
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
    /// The way to the other validators.
    pub gossip: Arc<Gossip>,
    /// Blocks.
    pub executor: Arc<Executor>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
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
        let mempool = Arc::new(Mempool::new(options.mempool));
        let gossip = Gossip::new(runtime.clone(), links);
        let gate = Arc::new(Gate::new(ledger.clone(), mempool.clone(), network.id.clone(), metrics.clone()));
        let publisher = gossip.clone();
        let publish: Publish = Arc::new(move |checked: &Arc<Checked>| {
            publisher.publish(checked.block_transaction().clone());
        });
        let ingress = Ingress::start(runtime.clone(), gate, publish);
        let executor = Executor::new(
            runtime.clone(),
            ledger.clone(),
            mempool.clone(),
            gossip.clone(),
            Arc::new(ingress.clone()),
            ExecutorOptions {
                network: network.id.clone(),
                parameters: network.genesis.parameters.clone(),
                block_interval: options.block_interval,
            },
        )
        .map_err(|error| EngineError::Build(error.to_string()))?;
        let told = executor.clone();
        gossip.start(move || told.newest().height);
        let core = Arc::new(Self { network, runtime, ledger, mempool, ingress, gossip, executor, metrics });
        core.clone().spawn_housekeeping();
        Ok(core)
    }

    /// The committed blocks, for the engine.
    pub fn history(&self) -> Arc<LedgerHistory> {
        Arc::new(LedgerHistory::new(self.ledger.clone()))
    }

    /// Erases witnesses whose retention is over and prunes what the configured history does not keep, now and then.
    fn spawn_housekeeping(self: Arc<Self>) {
        let retention_ms = self.network.genesis.parameters.witness_retention_ms;
        let interval = Duration::from_millis((retention_ms / 10).clamp(1_000, 60_000));
        let runtime = self.runtime.clone();
        runtime.spawn(
            "housekeeping",
            Box::pin(async move {
                loop {
                    self.runtime.sleep(interval).await;
                    let before_ms = self.runtime.now_ms().saturating_sub(retention_ms);
                    let ledger = self.ledger.clone();
                    let done = offload(&*self.runtime, move || {
                        let erased = ledger.erase_witnesses(before_ms, HOUSEKEEPING_HEIGHTS_MAX)?;
                        Ok::<_, aval_store::StoreError>((erased, ledger.prune(HOUSEKEEPING_HEIGHTS_MAX)?))
                    })
                    .await;
                    match done {
                        Some(Ok((erased, pruned))) => debug!(?erased, ?pruned, "housekeeping"),
                        Some(Err(error)) => {
                            warn!(code = error.code(), %error, "housekeeping failed and will be tried again")
                        }
                        None => return,
                    }
                }
            }),
        );
    }
}
