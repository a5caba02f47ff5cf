//! The nodes of a run: their disks, their programs, and which of them run.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aval_machine::testkit::workload::Dice;
use aval_store::{Ledger, MemoryStorage, StoreConfig};
use bytes::Bytes;

use crate::core::{Core, CoreOptions, Network};
use crate::engine::simulation::{Courier, Parcel, Quality, To, Wire, World};
use crate::executor::install_genesis;
use crate::mempool::Limits;
use crate::metrics::Metrics;

use super::super::tampered::Tampered;
use super::byzantine::{Cast, Citizen, Liar, Loot};
use super::plan::{LINK, Plan};

/// Bounds of the pools of a run: small, so that they are reached.
pub(super) const LIMITS: Limits = Limits {
    bytes_max: 1 << 20,
    entries_max: 60,
    payer_bytes_max: 128 << 10,
    payer_entries_max: 20,
    patient_entries: 40,
    patience_ms: 4_000,
    statuses_max: 400,
    status_retention_ms: 600_000,
};

/// A network that lets some messages be overtaken by others, and delivers some twice.
#[derive(Default)]
pub(super) struct Jumble {
    percent: AtomicU64,
    dice: Mutex<Option<Dice>>,
}

impl Courier for Jumble {
    fn outgoing(&self, _: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        let percent = self.percent.load(Ordering::Relaxed);
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(dice) = dice.as_mut().filter(|_| percent > 0) else { return vec![Parcel::now(to, message)] };
        let mut parcels = Vec::new();
        for _ in 0..1 + usize::from(dice.chance(percent / 4)) {
            let late = if dice.chance(percent) { dice.between(1, 300) } else { 0 };
            let after = Duration::from_millis(late);
            parcels.push(Parcel { to: to.clone(), message: message.clone(), after });
        }
        parcels
    }
}

/// Where a node keeps its ledger.
pub(super) enum Disk {
    Memory(MemoryStorage),
    Folder(PathBuf),
}

/// The nodes, running or not.
pub(super) struct Nodes {
    pub(super) world: World,
    pub(super) plan: Plan,
    pub(super) network: Network,
    key_seeds: Vec<[u8; 32]>,
    keys: Vec<[u8; 32]>,
    disks: Vec<Disk>,
    liars: BTreeMap<usize, Liar>,
    jumbles: BTreeMap<usize, Arc<Jumble>>,
    running: RefCell<BTreeMap<usize, Arc<Core>>>,
    /// How often each node was started.
    starts: RefCell<BTreeMap<usize, u64>>,
    cut: RefCell<Vec<Vec<usize>>>,
    quality: RefCell<Quality>,
    /// Nodes that were crashed and come back later.
    pub(super) down: RefCell<BTreeSet<usize>>,
}

impl Nodes {
    /// All nodes, none started. With a folder, their ledgers are in RocksDB there.
    pub(super) async fn new(world: World, plan: Plan, loot: &Loot, folder: Option<PathBuf>) -> Rc<Self> {
        let kit = plan.kit();
        let network = Network::parse(kit.genesis_bytes()).expect("the kit's genesis is valid");
        let key_seeds = plan.key_seeds(&kit);
        let signing = |node: usize| match node < plan.validators {
            true => kit.validator_keys()[node].clone(),
            false => kit.node_key(plan.number(node)),
        };
        let key_of = |node: usize| {
            aval_types::node::key_bytes(&signing(node).public()).expect("nodes have Ed25519 keys")
        };
        let keys: Vec<[u8; 32]> = (0..plan.nodes).map(key_of).collect();
        let mut liars = BTreeMap::new();
        let mut jumbles = BTreeMap::new();
        for node in 0..plan.nodes {
            let seed = plan.seed.wrapping_add(node as u64);
            if let Some(kind) = plan.byzantine.get(&node) {
                let others = keys.iter().filter(|key| **key != keys[node]).copied().collect();
                let genesis = network.hash;
                let cast = Cast { seed, genesis, key: signing(node), others, loot: loot.clone() };
                let liar = Liar::new(*kind, &cast);
                world.set_courier(node, Arc::new(liar.clone()));
                liars.insert(node, liar);
            } else {
                let jumble = Arc::new(Jumble::default());
                *jumble.dice.lock().unwrap() = Some(Dice::new(seed));
                world.set_courier(node, jumble.clone());
                jumbles.insert(node, jumble);
            }
        }
        let disk = |node: usize| match &folder {
            None => Disk::Memory(MemoryStorage::default()),
            Some(folder) => Disk::Folder(folder.join(format!("node-{node}"))),
        };
        let disks = (0..plan.nodes).map(disk).collect();
        let nodes = Self {
            world,
            network,
            key_seeds,
            keys,
            disks,
            liars,
            jumbles,
            running: RefCell::default(),
            starts: RefCell::default(),
            cut: RefCell::default(),
            quality: RefCell::new(LINK),
            down: RefCell::default(),
            plan,
        };
        nodes.relink().await;
        Rc::new(nodes)
    }

    /// Opens the ledger of a node that does not run.
    fn open(&self, node: usize) -> Ledger {
        let (hash, config) = (&self.network.hash, StoreConfig::default());
        match &self.disks[node] {
            Disk::Memory(storage) => Ledger::open_memory(storage, hash, config).expect("a sound ledger"),
            Disk::Folder(path) => Ledger::open(path, hash, config).expect("a sound ledger"),
        }
    }

    pub(super) async fn start(&self, node: usize) {
        self.down.borrow_mut().remove(&node);
        let ledger = self.open(node);
        let block = install_genesis(&ledger, &self.network.genesis, self.network.hash).expect("a ledger");
        let settings = self.network.engine_settings(block, self.key_seeds[node]);
        let (network, liar) = (self.network.clone(), self.liars.get(&node).cloned());
        let running = &self.running;
        let build = |runtime, links| {
            let block_interval = Duration::from_millis(100);
            let options = CoreOptions { block_interval, mempool: LIMITS, ..CoreOptions::default() };
            let metrics = Arc::new(Metrics::new());
            let core =
                Core::start(network, ledger, runtime, links, metrics, options).expect("it has a ledger");
            let built =
                core.built(Arc::new(Tampered { executor: core.executor.clone(), hands: Citizen(liar) }));
            running.borrow_mut().insert(node, core);
            built
        };
        *self.starts.borrow_mut().entry(node).or_default() += 1;
        self.world.start(node, settings, build).await;
    }

    /// Ends a node between two of its steps. In a power failure its disk forgets what was not synced.
    pub(super) async fn crash(&self, node: usize, power: bool) {
        self.running.borrow_mut().remove(&node);
        self.world.crash(node).await;
        if let (true, Disk::Memory(storage)) = (power, &self.disks[node]) {
            storage.lose_power();
        }
        self.down.borrow_mut().insert(node);
    }

    pub(super) fn core(&self, node: usize) -> Option<Arc<Core>> {
        self.running.borrow().get(&node).cloned()
    }

    /// The honest nodes that run.
    pub(super) fn honest(&self) -> Vec<(usize, Arc<Core>)> {
        let running = self.running.borrow();
        let honest = running.iter().filter(|(node, _)| !self.is_liar(**node));
        honest.map(|(node, core)| (*node, core.clone())).collect()
    }

    pub(super) fn is_liar(&self, node: usize) -> bool {
        self.liars.contains_key(&node)
    }

    /// How often a node was started.
    pub(super) fn starts(&self, node: usize) -> u64 {
        self.starts.borrow().get(&node).copied().unwrap_or(0)
    }

    pub(super) fn key(&self, node: usize) -> [u8; 32] {
        self.keys[node]
    }

    pub(super) fn set_jumble(&self, node: usize, percent: u64) {
        if let Some(jumble) = self.jumbles.get(&node) {
            jumble.percent.store(percent, Ordering::Relaxed);
        }
    }

    pub(super) async fn set_quality(&self, quality: Quality) {
        *self.quality.borrow_mut() = quality;
        self.relink().await;
    }

    pub(super) async fn cut(&self, side: Vec<usize>) {
        self.cut.borrow_mut().push(side);
        self.relink().await;
    }

    pub(super) async fn join(&self, side: &[usize]) {
        self.cut.borrow_mut().retain(|own| own != side);
        self.relink().await;
    }

    /// Everything that is wrong with the world is mended, but for those who lie in it.
    pub(super) async fn mend(&self) {
        self.cut.borrow_mut().clear();
        self.set_quality(LINK).await;
        for node in 0..self.plan.nodes {
            self.set_jumble(node, 0);
            self.world.machine(node).set_clock(0);
            self.world.machine(node).set_disk_delay(0);
            if self.world.machine(node).is_out() {
                self.crash(node, false).await;
            }
        }
        let down = self.down.borrow().clone();
        for node in down {
            self.start(node).await;
        }
    }

    async fn relink(&self) {
        let (cut, quality) = (self.cut.borrow().clone(), *self.quality.borrow());
        let apart =
            |from: &usize, to: &usize| cut.iter().any(|side| side.contains(from) != side.contains(to));
        self.world.link_all(|from, to| (!apart(&from, &to)).then_some(quality)).await;
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.world.runtime().now_ms()
    }
}
