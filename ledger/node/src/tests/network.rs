//! Four validators of a test network and some more nodes in a simulated world, and what must hold of their ledgers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aval_codec::Hash;
use aval_machine::testkit::{Kit, Options, Party};
use aval_machine::{BlockContext, Rules, check_all, execute_block};
use aval_proof::ValidatorSet;
use aval_store::{Ledger, MemoryStorage, PendingBlock, StoreConfig};
use aval_types::genesis::Parameters;
use aval_types::parameters::ValidatorParameters;
use aval_types::{SubmittedTransaction, TransactionId};

use crate::core::{Core, CoreOptions, Network};
use crate::engine::simulation::{Quality, START, World};
use crate::engine::{Application, Links, Membership as _};
use crate::executor::{PROTOCOL_VERSION, block_leaders, install_genesis};
use crate::metrics::Metrics;
use crate::runtime::SharedRuntime;

/// Validators of the genesis file.
pub(super) const VALIDATORS: usize = 4;
/// Further nodes that may be registered and started; the first of them has index [`VALIDATORS`].
pub(super) const NEWCOMERS: usize = 4;
/// Blocks of an epoch.
pub(super) const EPOCH_BLOCKS: u64 = 20;

/// A kit whose clock is the world's.
pub(super) fn kit(seed: u64) -> Kit {
    let parameters = Parameters {
        block_bytes_max: 256 * 1024,
        block_transactions_max: 64,
        heartbeat_ms: 500,
        witness_retention_ms: 3_600_000,
        leader_timeout_ms: 1000,
        validators: ValidatorParameters { epoch_blocks: EPOCH_BLOCKS, ..ValidatorParameters::default() },
        ..Parameters::default()
    };
    Kit::with(Options {
        seed,
        validators: VALIDATORS,
        time_s: START.as_secs() - 1,
        parameters,
        ..Options::default()
    })
}

/// The seeds of the nodes' keys: the validators in the order of genesis, then the newcomers.
pub(super) fn key_seeds(kit: &Kit) -> Vec<[u8; 32]> {
    let newcomers = (1..=NEWCOMERS as u64).map(|number| kit.key(&format!("node/{number}")));
    kit.validator_keys().iter().map(|key| *key.to_seed()).chain(newcomers.map(|key| *key.to_seed())).collect()
}

/// The validators, running or crashed.
#[derive(Clone)]
pub(super) struct Validators {
    pub(super) world: World,
    pub(super) kit: Rc<Kit>,
    network: Network,
    storages: Rc<RefCell<Vec<MemoryStorage>>>,
    running: Rc<RefCell<BTreeMap<usize, Arc<Core>>>>,
    /// The newest version of the protocol that a validator knows, where it is another than the program's.
    versions: Rc<RefCell<BTreeMap<usize, u32>>>,
}

impl Validators {
    /// All validators, none started, connected by links of this quality.
    pub(super) async fn new(world: World, kit: Kit, quality: Quality) -> Self {
        let network = Network::parse(kit.genesis_bytes()).expect("the kit's genesis is valid");
        world.link_all(|_, _| Some(quality)).await;
        Self {
            world,
            kit: Rc::new(kit),
            network,
            storages: Rc::new(RefCell::new(
                (0..VALIDATORS + NEWCOMERS).map(|_| MemoryStorage::default()).collect(),
            )),
            running: Rc::default(),
            versions: Rc::default(),
        }
    }

    /// Starts an honest validator.
    pub(super) async fn start(&self, index: usize) {
        self.start_as(index, |core| core.executor.clone()).await;
    }

    /// Starts an honest validator whose program knows versions of the protocol up to this one.
    pub(super) async fn start_knowing(&self, index: usize, version: u32) {
        self.versions.borrow_mut().insert(index, version);
        self.start(index).await;
    }

    /// Starts a validator whose engine asks another application than the executor.
    pub(super) async fn start_as<A: Application>(
        &self,
        index: usize,
        application: impl FnOnce(&Core) -> Arc<A>,
    ) {
        let ledger = self.open_ledger(index);
        let block = install_genesis(&ledger, &self.network.genesis, self.network.hash).expect("a new ledger");
        let settings = self.network.engine_settings(block, key_seeds(&self.kit)[index]);
        let (network, running) = (self.network.clone(), self.running.clone());
        let protocol_version = self.versions.borrow().get(&index).copied().unwrap_or(PROTOCOL_VERSION);
        let build = |runtime: SharedRuntime, links: Links| {
            let options = CoreOptions {
                block_interval: Duration::from_millis(100),
                protocol_version,
                ..CoreOptions::default()
            };
            let core = Core::start(network, ledger, runtime, links, Arc::new(Metrics::new()), options)
                .expect("the ledger has its genesis block");
            let built = core.built(application(&core));
            running.borrow_mut().insert(index, core);
            built
        };
        self.world.start(index, settings, build).await;
    }

    /// Starts all validators.
    pub(super) async fn start_all(&self) {
        for index in 0..VALIDATORS {
            self.start(index).await;
        }
    }

    /// Ends a validator in the middle of whatever it does.
    pub(super) async fn crash(&self, index: usize) {
        self.running.borrow_mut().remove(&index);
        self.world.crash(index).await;
    }

    /// Gives a crashed validator an empty ledger.
    pub(super) fn lose_ledger(&self, index: usize) {
        self.storages.borrow_mut()[index] = MemoryStorage::default();
    }

    fn open_ledger(&self, index: usize) -> Ledger {
        let storage = self.storages.borrow()[index].clone();
        Ledger::open_memory(&storage, &self.network.hash, StoreConfig::default()).expect("a sound ledger")
    }

    /// A running validator's parts.
    pub(super) fn core(&self, index: usize) -> Option<Arc<Core>> {
        self.running.borrow().get(&index).cloned()
    }

    /// The committed height of a running validator.
    pub(super) fn height(&self, index: usize) -> u64 {
        self.core(index).map_or(0, |core| core.executor.newest().height)
    }

    /// Waits until all running validators have committed this height.
    pub(super) async fn reach(&self, height: u64) {
        while (0..VALIDATORS).any(|index| self.core(index).is_some() && self.height(index) < height) {
            self.world.sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until these nodes have committed this height.
    pub(super) async fn reach_on(&self, nodes: &[usize], height: u64) {
        while nodes.iter().any(|index| self.height(*index) < height) {
            self.world.sleep(Duration::from_millis(100)).await;
        }
    }

    /// The keys of the set that a running node is in or follows.
    pub(super) fn set(&self, index: usize) -> Vec<[u8; 32]> {
        let Some(core) = self.core(index) else { return Vec::new() };
        let keys = core.roster.validators(core.roster.place().epoch).expect("the ledger can be read");
        keys.map(|keys| keys.to_vec()).unwrap_or_default()
    }

    /// Waits until the set that a node is in or follows is as wanted.
    pub(super) async fn reach_set(&self, index: usize, wanted: impl Fn(&[[u8; 32]]) -> bool) {
        while !wanted(&self.set(index)) {
            self.world.sleep(Duration::from_millis(100)).await;
        }
    }

    /// Submits a transaction to one validator after the other until one has it in a block.
    pub(super) async fn submit(&self, first: usize, transaction: &SubmittedTransaction) {
        let (id, body) = (transaction.transaction.id(), transaction.to_body());
        for attempt in 0_usize.. {
            let index = (first + attempt) % VALIDATORS;
            let ingress = self.core(index).map(|core| core.ingress.clone());
            if let Some(ingress) = ingress {
                // A validator that crashes on the way never answers; one that has it already says so.
                let submit = ingress.submit(&body);
                let patience = self.world.sleep(Duration::from_secs(2));
                futures::pin_mut!(submit, patience);
                let _ = futures::future::select(submit, patience).await;
                if self.wait_for(index, &id).await {
                    return;
                }
            } else {
                self.world.sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Whether a transaction gets into a block that this validator commits within a while.
    async fn wait_for(&self, index: usize, id: &TransactionId) -> bool {
        for _ in 0..100 {
            let Some(core) = self.core(index) else { return false };
            if core.ledger.transaction(id).expect("the ledger can be read").is_some() {
                return true;
            }
            drop(core);
            self.world.sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// What a simulated population does: the issuer makes its registry, companies get onto the ledger and change their
    /// documents, one is revoked, and strangers try to.
    pub(super) async fn work(&self, companies: u64, updates: u64) -> Vec<Party> {
        let kit = &self.kit;
        self.submit(0, &kit.create_registry()).await;
        let workers = (1..=companies).map(|number| async move {
            let mut company = kit.company(number);
            let via = usize::try_from(number).expect("few companies") % VALIDATORS;
            let credential = kit.membership(&company);
            self.submit(via, &company.create_with(kit, &credential)).await;
            for revision in 1..=updates {
                let update = company.update(kit, kit.document(&company, revision));
                self.submit(via, &update).await;
            }
            if number == companies {
                self.submit(via, &kit.revoke(&credential)).await;
                self.refused(via, &company.clone().update(kit, kit.document(&company, 99))).await;
            }
            company
        });
        let companies = futures::future::join_all(workers).await;
        let stranger = kit.company(1_000_000);
        self.refused(0, &stranger.create_with(kit, &kit.issue(&stranger, kit.terms(&stranger)))).await;
        companies
    }

    /// Submits what must be refused, to the first running validator from `first` on.
    async fn refused(&self, first: usize, transaction: &SubmittedTransaction) {
        let core =
            (first..first + VALIDATORS).find_map(|index| self.core(index % VALIDATORS)).expect("one runs");
        let answer = core.ingress.submit(&transaction.to_body()).await;
        assert!(answer.is_err(), "{answer:?}");
    }

    /// Checks all ledgers against each other and against an execution from genesis that shares nothing with
    /// them; returns height and state root of the highest block.
    pub(super) fn check(&self) -> (u64, Hash) {
        let ledgers: Vec<Ledger> = (0..VALIDATORS + NEWCOMERS).map(|index| self.open_ledger(index)).collect();
        let highest = ledgers.iter().max_by_key(|ledger| ledger.head().map_or(0, |head| head.height()));
        let highest = highest.expect("there are ledgers");
        let head = highest.head().expect("the genesis block is there");
        let replay =
            Ledger::open_memory(&MemoryStorage::default(), &self.network.hash, StoreConfig::default())
                .expect("a new ledger");
        install_genesis(&replay, &self.network.genesis, self.network.hash).expect("a new ledger");
        for height in 1..=head.height() {
            let digest = self.replay_block(&replay, highest, height);
            for ledger in &ledgers {
                if ledger.head().is_some_and(|head| head.height() >= height) {
                    assert_eq!(ledger.header(height).expect("no gaps").digest(), digest, "height {height}");
                }
            }
        }
        self.check_certificates(&ledgers, head.height());
        (head.height(), head.header().state_root)
    }

    /// Executes a committed block again by the rules of those who vote: an unauthorized transaction would show here.
    fn replay_block(&self, replay: &Ledger, from: &Ledger, height: u64) -> Hash {
        let block = from.block(height).expect("no gaps");
        let submitted = block
            .transactions
            .iter()
            .map(|transaction| SubmittedTransaction {
                transaction: transaction.transaction().expect("a committed transaction can be read"),
                witness: transaction.witness.clone(),
            })
            .collect();
        let rules = Rules::live(self.network.id.clone());
        let checked: Vec<_> = check_all(submitted, &rules)
            .into_iter()
            .map(|checked| checked.expect("committed, so checked"))
            .collect();
        let view = replay.view(&block.header.parent).expect("the parent was replayed");
        let leaders = block_leaders(replay, &view, block.header.leader).expect("the headers are there");
        let context =
            BlockContext { network: self.network.id.clone(), height, time_ms: block.header.time_ms, leaders };
        let executed = execute_block(&view, &context, &checked).expect("committed, so authorized");
        assert_eq!(executed.receipts_root, block.header.receipts_root);
        let tree = view.tree(&executed.changes).expect("the tree is sound");
        let pending = PendingBlock::new(block, executed, tree).expect("the state root is the header's");
        replay.commit(&pending, None).expect("heights follow each other");
        pending.digest()
    }

    /// Every certificate verifies without the engine, and nearly every block has one.
    fn check_certificates(&self, ledgers: &[Ledger], height: u64) {
        let mut certified = 0;
        for ledger in ledgers {
            for height in 1..=ledger.head().map_or(0, |head| head.height()) {
                if let Some(certificate) = ledger.certificate(height).expect("the ledger can be read") {
                    let digest = ledger.header(height).expect("no gaps").digest();
                    assert_eq!(certificate.epoch, height / EPOCH_BLOCKS);
                    let decided = (certificate.epoch * EPOCH_BLOCKS).saturating_sub(1);
                    let validators = ledger.validators_after(decided).expect("sets are kept");
                    let validators = ValidatorSet::new(validators);
                    certificate.verify(&self.network.hash, &digest, &validators).expect("a quorum signed it");
                    certified += 1;
                }
            }
        }
        assert!(certified > 0 || height == 0, "no block has a certificate");
    }
}
