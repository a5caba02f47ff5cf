//! Epochs whose sets differ, on an application that orders nothing: what is tested is the engine alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aval_codec::Hash;
use aval_did::SigningKey;
use aval_machine::testkit::Kit;
use aval_proof::{Certificate, ValidatorSet};
use aval_types::Block;
use bytes::Bytes;
use futures::StreamExt as _;

use crate::engine::simulation::{Quality, World, simulate};
use crate::engine::{
    Ancestry, Application, Built, Fatal, History, Links, Membership, Peer, Peers, SealedBlock, Settings, Slot,
};
use crate::runtime::SharedRuntime;

const EPOCH_BLOCKS: NonZeroU64 = NonZeroU64::new(10).unwrap();
const NODES: usize = 8;
const LIMIT: Duration = Duration::from_secs(600);

/// Which nodes vote in an epoch: four, seven, five, and one of these replaced.
fn members(epoch: u64) -> &'static [usize] {
    match epoch {
        0 => &[0, 1, 2, 3],
        1 => &[0, 1, 2, 3, 4, 5, 6],
        2 => &[1, 2, 4, 5, 6],
        _ => &[1, 2, 4, 5, 7],
    }
}

pub(super) fn seed_of(node: usize) -> [u8; 32] {
    [u8::try_from(node).unwrap() + 1; 32]
}

pub(super) fn key(node: usize) -> [u8; 32] {
    match SigningKey::from_seed(&seed_of(node)).public() {
        aval_did::PublicKey::Ed25519(key) => key,
        aval_did::PublicKey::P256(_) => panic!("an Ed25519 seed"),
    }
}

fn set(epoch: u64) -> ValidatorSet {
    ValidatorSet::new(members(epoch).iter().map(|node| key(*node)).collect())
}

/// What a node keeps on its disk.
#[derive(Default)]
struct Disk {
    blocks: Vec<SealedBlock>,
    certificates: BTreeMap<u64, Certificate>,
}

/// Who is admitted after a height; this is what the ledger would say.
type Admitted = fn(u64) -> Vec<usize>;

struct Toy {
    runtime: SharedRuntime,
    disk: Arc<Mutex<Disk>>,
    admitted: Admitted,
    entered: Mutex<Vec<(u64, bool)>>,
}

impl Toy {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }
}

impl Application for Toy {
    async fn propose(&self, slot: Slot, mut ancestry: Ancestry) -> Option<Arc<SealedBlock>> {
        let parent = ancestry.next().await?;
        self.runtime.sleep(Duration::from_millis(100)).await;
        let mut header = parent.block().header.clone();
        header.height += 1;
        header.time_ms += 1;
        header.epoch = slot.epoch;
        header.view = slot.view;
        header.parent_view = slot.parent_view;
        header.leader = slot.leader;
        header.parent = slot.parent;
        Some(Arc::new(SealedBlock::new(Block { header, transactions: Vec::new() })))
    }

    async fn verify(&self, _: Arc<SealedBlock>, _: Ancestry) -> bool {
        true
    }

    async fn finalized(
        &self,
        block: Arc<SealedBlock>,
        certificate: Option<Certificate>,
    ) -> Result<(), Fatal> {
        let mut disk = self.disk();
        let next = disk.blocks.len() as u64;
        assert!(block.height() <= next, "a gap");
        if block.height() == next {
            disk.blocks.push((*block).clone());
        }
        if let Some(certificate) = certificate {
            disk.certificates.insert(block.height(), certificate);
        }
        Ok(())
    }

    fn observe_tip(&self, _: u64) {}

    fn message(&self, _: [u8; 32], _: Bytes) {}

    fn fault(&self, _: aval_types::action::NodeEvidence) {}
}

impl History for Toy {
    fn height(&self) -> u64 {
        self.disk().blocks.len() as u64 - 1
    }

    fn block(&self, height: u64) -> Result<Option<SealedBlock>, Fatal> {
        Ok(self.disk().blocks.get(usize::try_from(height).unwrap()).cloned())
    }

    fn digest(&self, height: u64) -> Result<Hash, Fatal> {
        Ok(self.disk().blocks[usize::try_from(height).unwrap()].digest())
    }

    fn height_of(&self, digest: &Hash) -> Result<Option<u64>, Fatal> {
        let disk = self.disk();
        Ok(disk.blocks.iter().find(|block| block.digest() == *digest).map(SealedBlock::height))
    }

    fn certificate(&self, height: u64) -> Result<Option<Certificate>, Fatal> {
        Ok(self.disk().certificates.get(&height).cloned())
    }
}

impl Membership for Toy {
    fn validators(&self, epoch: u64) -> Result<Option<Arc<Vec<[u8; 32]>>>, Fatal> {
        let known = (epoch * EPOCH_BLOCKS.get()).saturating_sub(1) <= self.height();
        Ok(known.then(|| Arc::new(set(epoch).keys().to_vec())))
    }

    fn peers(&self) -> Result<Arc<Peers>, Fatal> {
        let admitted = (self.admitted)(self.height());
        let peer = |node: usize| Peer { key: key(node), address: None };
        Ok(Arc::new(Peers { validators: admitted.into_iter().map(peer).collect(), observers: Vec::new() }))
    }

    fn leader_timeout_ms(&self) -> Result<u64, Fatal> {
        Ok(1000)
    }

    fn entered(&self, epoch: u64, votes: bool) {
        self.entered.lock().unwrap().push((epoch, votes));
    }
}

/// All nodes of the world.
#[derive(Clone)]
struct Nodes {
    world: World,
    genesis: SealedBlock,
    admitted: Admitted,
    disks: Rc<Vec<Arc<Mutex<Disk>>>>,
    toys: Rc<RefCell<BTreeMap<usize, Arc<Toy>>>>,
}

impl Nodes {
    async fn new(world: World, admitted: Admitted) -> Self {
        let kit = Kit::new(1);
        let header = kit.genesis().header(kit.network().genesis(), Hash::ZERO);
        let genesis = SealedBlock::new(Block { header, transactions: Vec::new() });
        let disk = || Disk { blocks: vec![genesis.clone()], certificates: BTreeMap::new() };
        world.link_all(|_, _| Some(Quality::GOOD)).await;
        let disks = Rc::new((0..NODES).map(|_| Arc::new(Mutex::new(disk()))).collect());
        Self { world, genesis, admitted, disks, toys: Rc::default() }
    }

    async fn start(&self, index: usize) {
        let settings = Settings {
            genesis: self.genesis.clone(),
            network: self.genesis.block().header.genesis,
            epoch_blocks: EPOCH_BLOCKS,
            key_seed: seed_of(index),
            joined_height: None,
            doubt: None,
            block_bytes_max: 64 * 1024,
            partition_prefix: String::new(),
        };
        let (disk, admitted, toys) = (self.disks[index].clone(), self.admitted, self.toys.clone());
        let build = move |runtime: SharedRuntime, _: Links| {
            let toy = Arc::new(Toy { runtime, disk, admitted, entered: Mutex::default() });
            toys.borrow_mut().insert(index, toy.clone());
            Built { application: toy.clone(), history: toy.clone(), membership: toy }
        };
        self.world.start(index, settings, build).await;
    }

    async fn start_all(&self) {
        for index in 0..NODES {
            self.start(index).await;
        }
    }

    async fn crash(&self, index: usize) {
        self.toys.borrow_mut().remove(&index);
        self.world.crash(index).await;
    }

    fn height(&self, index: usize) -> u64 {
        self.disks[index].lock().unwrap().blocks.len() as u64 - 1
    }

    async fn reach(&self, nodes: &[usize], height: u64) {
        while nodes.iter().any(|index| self.height(*index) < height) {
            self.world.sleep(Duration::from_millis(20)).await;
        }
    }

    /// All disks agree, and every block was led and certified by its epoch's set. Returns the digest at `height`.
    fn check(&self, height: u64) -> Hash {
        let longest = (0..NODES).max_by_key(|index| self.height(*index)).unwrap();
        let longest = self.disks[longest].lock().unwrap().blocks.clone();
        for disk in self.disks.iter() {
            let disk = disk.lock().unwrap();
            for (block, other) in disk.blocks.iter().zip(&longest) {
                assert_eq!(block.digest(), other.digest());
            }
            for (height, certificate) in &disk.certificates {
                let epoch = *height / EPOCH_BLOCKS;
                assert_eq!(certificate.epoch, epoch);
                let digest = longest[usize::try_from(*height).unwrap()].digest();
                let network = self.genesis.block().header.genesis;
                certificate.verify(&network, &digest, &set(epoch)).unwrap();
            }
        }
        for block in longest.iter().skip(1) {
            let header = &block.block().header;
            assert_eq!(header.epoch, header.height / EPOCH_BLOCKS);
            assert!(set(header.epoch).keys().contains(&header.leader), "led by who is not in the set");
        }
        longest[usize::try_from(height).unwrap()].digest()
    }
}

fn everybody(_: u64) -> Vec<usize> {
    (0..NODES).collect()
}

fn run<Fut: Future<Output = Hash>>(seed: u64, admitted: Admitted, scenario: impl Fn(Nodes) -> Fut) {
    let keys: Vec<[u8; 32]> = (0..NODES).map(seed_of).collect();
    let once = || {
        let outcome =
            simulate(seed, LIMIT, &keys, async |world| scenario(Nodes::new(world, admitted).await).await);
        (outcome.result, outcome.fingerprint)
    };
    assert_eq!(once(), once(), "seed {seed} did not give the same history twice");
}

const ALL: [usize; NODES] = [0, 1, 2, 3, 4, 5, 6, 7];

#[test]
fn simulation_sets_change_from_four_to_seven_to_five_and_one_is_replaced() {
    run(21, everybody, async |nodes| {
        nodes.start_all().await;
        nodes.reach(&ALL, 45).await;
        for (index, toy) in nodes.toys.borrow().iter() {
            let entered = toy.entered.lock().unwrap().clone();
            let expected: Vec<_> =
                (0..entered.len() as u64).map(|epoch| (epoch, members(epoch).contains(index))).collect();
            assert_eq!(entered, expected, "node {index}");
        }
        for epoch in 0..4 {
            assert!(!nodes.world.has_journal(1, epoch).await, "the journal of epoch {epoch} is left");
        }
        assert!(nodes.world.has_journal(1, 4).await);
        nodes.check(45)
    });
}

#[test]
fn simulation_a_node_that_is_away_over_several_epochs_comes_back_into_the_set() {
    run(22, everybody, async |nodes| {
        nodes.start_all().await;
        nodes.reach(&ALL, 7).await;
        nodes.crash(2).await;
        nodes.reach(&[0, 1, 3, 4], 33).await;
        nodes.start(2).await;
        nodes.reach(&ALL, 50).await;
        let led = |block: &SealedBlock| block.block().header.leader == key(2);
        assert!(nodes.disks[0].lock().unwrap().blocks[35..].iter().any(led), "it never led again");
        nodes.check(50)
    });
}

#[test]
fn simulation_all_nodes_lose_power_at_the_end_of_an_epoch() {
    for (seed, height) in [(23, 8), (24, 9), (25, 10), (26, 19), (27, 20)] {
        run(seed, everybody, async |nodes| {
            nodes.start_all().await;
            nodes.reach(&[0], height).await;
            for index in ALL {
                nodes.crash(index).await;
            }
            nodes.start_all().await;
            nodes.reach(&ALL, 35).await;
            nodes.check(35)
        });
    }
}

#[test]
fn simulation_messages_get_lost_while_sets_change() {
    run(28, everybody, async |nodes| {
        nodes.world.link_all(|_, _| Some(Quality::LOSSY)).await;
        nodes.start_all().await;
        nodes.reach(&ALL, 35).await;
        nodes.check(35)
    });
}

#[test]
fn simulation_a_revoked_node_hears_nothing_from_the_block_on_that_revoked_it() {
    fn admitted(height: u64) -> Vec<usize> {
        (0..NODES).filter(|node| *node != 3 || height < 15).collect()
    }
    run(29, admitted, async |nodes| {
        nodes.start_all().await;
        let others: Vec<usize> = ALL.into_iter().filter(|index| *index != 3).collect();
        nodes.reach(&others, 17).await;
        assert!(others.iter().all(|other| !nodes.world.is_linked(*other, 3)));
        let revoked_at = nodes.height(3);
        assert!(revoked_at <= 17, "{revoked_at}");
        nodes.reach(&others, 30).await;
        nodes.crash(3).await;
        nodes.start(3).await;
        nodes.reach(&others, 40).await;
        assert_eq!(nodes.height(3), revoked_at, "it heard of further blocks");
        nodes.check(40)
    });
}
