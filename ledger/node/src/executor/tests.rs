//! The executor against itself: what one proposes another accepts, and what must wait or stop does.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use aval_machine::testkit::Kit;
use aval_machine::{Checked, check};
use aval_store::{Ledger, MemoryStorage, StoreConfig};
use aval_types::block::BlockTransaction;
use aval_types::{Block, Reject};
use futures::{FutureExt as _, StreamExt as _, stream};

use super::{Executor, ExecutorOptions, install_genesis};
use crate::engine::{Ancestry, Application as _, Links, SealedBlock, Slot};
use crate::gossip::{Gossip, TransactionSink};
use crate::mempool::{Limits, Mempool, PoolStatus};
use crate::roster::Roster;
use crate::runtime::{ManualRuntime, SharedRuntime};

struct Nowhere;

impl TransactionSink for Nowhere {
    fn receive(&self, _: [u8; 32], _: Vec<BlockTransaction>) {}
}

struct Node {
    executor: Arc<Executor>,
    mempool: Arc<Mempool<Checked>>,
    clock: Arc<ManualRuntime>,
    genesis: Arc<SealedBlock>,
}

fn node(kit: &Kit) -> Node {
    let hash = kit.network().genesis();
    let ledger = Ledger::open_memory(&MemoryStorage::default(), &hash, StoreConfig::default()).unwrap();
    let genesis = Arc::new(install_genesis(&ledger, kit.genesis(), hash).unwrap());
    let clock = ManualRuntime::at(kit.now_s * 1000);
    let runtime: SharedRuntime = clock.clone();
    let mempool = Arc::new(Mempool::new(Limits::default()));
    let (links, _) = Links::disconnected();
    let options = ExecutorOptions {
        network: kit.network().clone(),
        parameters: kit.genesis().parameters.clone(),
        protocol_version: super::PROTOCOL_VERSION,
        block_interval: Duration::ZERO,
        faults_file: None,
    };
    let gossip = Gossip::new(runtime.clone(), links);
    let roster = Roster::new(ledger.clone(), NonZeroU64::new(300).unwrap(), BTreeMap::new());
    let executor =
        Executor::new(runtime, ledger, mempool.clone(), gossip, Arc::new(Nowhere), roster, options).unwrap();
    Node { executor, mempool, clock, genesis }
}

impl Node {
    /// Proposes a block on `parent`, whose own ancestors are committed.
    fn propose(&self, parent: &Arc<SealedBlock>) -> Arc<SealedBlock> {
        let view = parent.block().header.view + 1;
        let slot = Slot { epoch: 0, view, parent_view: view - 1, leader: [1; 32], parent: parent.digest() };
        self.executor.propose(slot, ancestry(&[parent])).now_or_never().unwrap().unwrap()
    }

    fn verify(&self, block: &Arc<SealedBlock>, parent: &Arc<SealedBlock>) -> Option<bool> {
        self.executor.verify(block.clone(), ancestry(&[parent])).now_or_never()
    }

    fn commit(&self, block: &Arc<SealedBlock>) -> Result<(), crate::engine::Fatal> {
        self.executor.finalized(block.clone(), None).now_or_never().unwrap()
    }
}

fn ancestry(blocks: &[&Arc<SealedBlock>]) -> Ancestry {
    stream::iter(blocks.iter().map(|block| (*block).clone()).collect::<Vec<_>>()).boxed()
}

fn changed(block: &SealedBlock, change: impl FnOnce(&mut Block)) -> Arc<SealedBlock> {
    let mut block = block.block().clone();
    change(&mut block);
    Arc::new(SealedBlock::new(block))
}

fn advance(node: &Node, kit: &Kit, seconds: u64) {
    node.clock.set_now_ms((kit.now_s + seconds) * 1000);
}

#[test]
fn what_one_node_proposes_another_accepts_and_both_commit() {
    let kit = Kit::new(1);
    let (proposer, voter) = (node(&kit), node(&kit));
    let mut parent = proposer.genesis.clone();
    let registry = check(kit.create_registry(), &kit.rules()).unwrap();
    let company = kit.company(1);
    let create = check(company.create_with(&kit, &kit.membership(&company)), &kit.rules()).unwrap();
    for (seconds, transaction) in [(0, registry), (1, create)] {
        advance(&proposer, &kit, seconds);
        advance(&voter, &kit, seconds);
        let id = transaction.id();
        proposer.mempool.insert(Arc::new(transaction), kit.now_s * 1000).unwrap();
        let block = proposer.propose(&parent);
        assert_eq!(block.block().transactions.len(), 1);
        assert_eq!(voter.verify(&block, &parent), Some(true));
        for node in [&proposer, &voter] {
            node.commit(&block).unwrap();
            // The engine may deliver a block again after a restart.
            node.commit(&block).unwrap();
            assert_eq!(node.executor.newest().height, block.height());
            assert!(node.executor.ledger().transaction(&id).unwrap().is_some());
        }
        assert!(proposer.mempool.is_empty());
        parent = block;
    }
}

#[test]
fn a_pending_block_is_built_upon_and_its_transactions_are_not_proposed_again() {
    let kit = Kit::new(2);
    let node = node(&kit);
    node.mempool.insert(Arc::new(check(kit.create_registry(), &kit.rules()).unwrap()), 0).unwrap();
    let first = node.propose(&node.genesis);
    advance(&node, &kit, 10);
    let second = node.propose(&first);
    assert_eq!((first.block().transactions.len(), second.block().transactions.len()), (1, 0));
    assert!(!node.mempool.is_empty(), "the first block is not final yet");
    node.commit(&first).unwrap();
    node.commit(&second).unwrap();
    assert!(node.mempool.is_empty());
}

#[test]
fn a_transaction_that_is_refused_leaves_the_pool_with_its_reason() {
    let kit = Kit::new(3);
    let node = node(&kit);
    let company = kit.company(1);
    // Without the issuer's registry on the ledger the credential's status cannot be known.
    let create = Arc::new(check(company.create_with(&kit, &kit.membership(&company)), &kit.rules()).unwrap());
    node.mempool.insert(create.clone(), 0).unwrap();
    let block = node.propose(&node.genesis);
    assert!(block.block().transactions.is_empty());
    let status = node.mempool.status(&create.id(), kit.now_s * 1000);
    assert_eq!(status, PoolStatus::Refused(Reject::CredentialRegistryUnknown));
}

#[test]
fn a_block_from_the_future_waits_and_is_never_voted_against() {
    let kit = Kit::new(4);
    let (proposer, voter) = (node(&kit), node(&kit));
    advance(&proposer, &kit, 10);
    let block = proposer.propose(&proposer.genesis);
    let mut verdict = Box::pin(voter.executor.verify(block.clone(), ancestry(&[&voter.genesis])));
    assert_eq!((&mut verdict).now_or_never(), None);
    advance(&voter, &kit, 7);
    assert_eq!((&mut verdict).now_or_never(), None);
    // Two seconds ahead is what clocks may differ by.
    advance(&voter, &kit, 8);
    assert_eq!(verdict.now_or_never(), Some(true));
}

#[test]
fn a_block_whose_parent_is_missing_waits() {
    let kit = Kit::new(5);
    let (proposer, voter) = (node(&kit), node(&kit));
    let first = proposer.propose(&proposer.genesis);
    advance(&proposer, &kit, 1);
    advance(&voter, &kit, 1);
    let second = proposer.propose(&first);
    assert_eq!(voter.executor.verify(second.clone(), ancestry(&[])).now_or_never(), None);
    // With its parent in the ancestry the parent is executed first.
    assert_eq!(voter.verify(&second, &first), Some(true));
}

#[test]
fn a_block_whose_header_is_not_what_executing_it_gives_is_voted_against() {
    let kit = Kit::new(6);
    let (proposer, voter) = (node(&kit), node(&kit));
    proposer.mempool.insert(Arc::new(check(kit.create_registry(), &kit.rules()).unwrap()), 0).unwrap();
    let good = proposer.propose(&proposer.genesis);
    let other = aval_codec::sha256(b"other");
    let faults: [fn(&mut Block, aval_codec::Hash); 10] = [
        |block, other| block.header.state_root = other,
        |block, other| block.header.receipts_root = other,
        |block, other| block.header.genesis = other,
        |block, other| block.header.validators_hash = other,
        |block, other| block.header.next_validators_hash = other,
        |block, _| block.header.last_set_change = 1,
        |block, _| block.header.epoch = 1,
        |block, _| block.header.height += 1,
        |block, _| block.header.time_ms = 0,
        |block, _| block.transactions.clear(),
    ];
    for fault in faults {
        let bad = changed(&good, |block| fault(block, other));
        assert_eq!(voter.verify(&bad, &voter.genesis), Some(false));
    }
    assert_eq!(voter.verify(&good, &voter.genesis), Some(true));
}

#[test]
fn a_final_block_with_another_outcome_or_another_past_stops_the_node() {
    let kit = Kit::new(7);
    let node = node(&kit);
    let block = node.propose(&node.genesis);
    let wrong = changed(&block, |block| block.header.state_root = aval_codec::Hash::ZERO);
    assert!(node.commit(&wrong).is_err());
    node.commit(&block).unwrap();
    let other = changed(&block, |block| block.header.view += 1);
    assert!(node.commit(&other).is_err());
    assert_eq!(node.verify(&other, &node.genesis), Some(false));
    assert_eq!(node.executor.newest().height, 1);
}
