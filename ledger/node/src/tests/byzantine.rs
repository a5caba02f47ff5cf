//! A validator that proposes what must not become final.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aval_codec::Hash;
use aval_types::block::BlockTransaction;
use bytes::Bytes;

use super::network::{VALIDATORS, Validators, key_seeds, kit};
use super::tampered::{Hands, Tampered, with_body};
use crate::core::Core;
use crate::engine::simulation::{Quality, simulate};
use crate::engine::{Ancestry, Application as _, SealedBlock, Slot};
use crate::executor::Executor;

/// What the faulty validator does to the block it should have proposed.
#[derive(Clone)]
enum Fault {
    /// Adds a transaction that is not authorized; header and body agree.
    Unauthorized(Box<BlockTransaction>),
    /// Sends a body that is not the header's.
    OtherBody(Box<BlockTransaction>),
    /// Sends the block with its witnesses replaced by their hashes.
    Stripped,
    /// Claims another state after the block.
    OtherState,
    /// Claims a time before the parent's.
    OldTime,
    /// Names validators of its own choice for what follows.
    OtherValidators,
    /// Hides the height of the newest change, or invents one.
    OtherChange,
}

impl Fault {
    /// The block to send instead, or `None` if this one gives no occasion.
    fn apply(&self, block: &SealedBlock) -> Option<SealedBlock> {
        let mut faulty = block.block().clone();
        match self {
            Self::Unauthorized(transaction) => {
                return Some(with_body(block, |block| block.transactions.push((**transaction).clone())));
            }
            Self::OtherBody(transaction) => faulty.transactions.push((**transaction).clone()),
            Self::Stripped => faulty = faulty.strip(),
            Self::OtherState => faulty.header.state_root = Hash::ZERO,
            Self::OldTime => faulty.header.time_ms = 1,
            Self::OtherValidators => {
                faulty.header.next_validators_hash = Hash::ZERO;
                faulty.header.last_set_change = faulty.header.height;
            }
            Self::OtherChange => faulty.header.last_set_change = faulty.header.height,
        }
        let faulty = SealedBlock::new(faulty);
        (faulty.encoded() != block.encoded()).then_some(faulty)
    }
}

/// Spoils proposals, and keeps what was made of them.
struct Faulty {
    fault: Fault,
    proposed: Arc<Mutex<Vec<SealedBlock>>>,
}

impl Hands for Faulty {
    async fn propose(&self, executor: &Executor, slot: Slot, ancestry: Ancestry) -> Option<Arc<SealedBlock>> {
        let block = executor.propose(slot, ancestry).await?;
        let Some(faulty) = self.fault.apply(&block) else { return Some(block) };
        self.proposed.lock().unwrap().push(faulty.clone());
        Some(Arc::new(faulty))
    }
}

/// The verdicts of honest validators, by the bytes of the block.
type Verdicts = Arc<Mutex<Vec<(Bytes, bool)>>>;

/// Writes verdicts down.
struct Recorded(Verdicts);

impl Hands for Recorded {
    fn judged(&self, block: &SealedBlock, verdict: bool) {
        self.0.lock().unwrap().push((block.encoded().clone(), verdict));
    }
}

fn tampered<H>(core: &Core, hands: H) -> Arc<Tampered<H>> {
    Arc::new(Tampered { executor: core.executor.clone(), hands })
}

/// Three honest validators and a faulty one do their work. Returns what the honest ones said about the faulty blocks.
fn run(seed: u64, fault: impl Fn(&aval_machine::testkit::Kit) -> Fault) -> Vec<bool> {
    println!("byzantine: seed {seed}");
    let keys = key_seeds(&kit(seed));
    let outcome = simulate(seed, Duration::from_secs(500), &keys, async |world| {
        let validators = Validators::new(world, kit(seed), Quality::GOOD).await;
        let proposed = Arc::<Mutex<Vec<SealedBlock>>>::default();
        let fault = fault(&validators.kit);
        let verdicts = Verdicts::default();
        for index in 0..VALIDATORS - 1 {
            let verdicts = verdicts.clone();
            let recorded = |core: &Core| tampered(core, Recorded(verdicts));
            validators.start_as(index, recorded).await;
        }
        let (tries, spoiled) = (proposed.clone(), fault.clone());
        validators
            .start_as(VALIDATORS - 1, |core| tampered(core, Faulty { fault: spoiled, proposed: tries }))
            .await;
        validators.work(3, 2).await;
        validators.reach(validators.height(0) + 6).await;
        let (height, _) = validators.check();
        let ledger = validators.core(0).unwrap().ledger.clone();
        let finals: Vec<SealedBlock> = (1..=height.min(validators.height(0)))
            .map(|height| SealedBlock::new(ledger.block(height).unwrap()))
            .collect();
        let proposed = proposed.lock().unwrap();
        assert!(!proposed.is_empty(), "the faulty validator never led");
        for faulty in proposed.iter() {
            // A faulty body may carry the digest of a good block, but then it is not the body that became final.
            assert!(
                finals.iter().all(|block| block.encoded() != faulty.encoded()),
                "a faulty block became final"
            );
        }
        let verdicts = verdicts.lock().unwrap();
        let about_faulty =
            verdicts.iter().filter(|(encoded, _)| proposed.iter().any(|faulty| faulty.encoded() == encoded));
        about_faulty.map(|(_, verdict)| *verdict).collect::<Vec<_>>()
    });
    outcome.result
}

fn assert_voted_down(verdicts: &[bool]) {
    assert!(!verdicts.is_empty() && verdicts.iter().all(|verdict| !verdict), "{verdicts:?}");
}

/// A transaction by which a stranger, with a credential of nobody's accreditation, would get onto the ledger.
fn unauthorized(kit: &aval_machine::testkit::Kit) -> Box<BlockTransaction> {
    let (stranger, nobody) = (kit.company(1_000_001), kit.company(1_000_002));
    let credential = kit.issue(&nobody, kit.terms(&stranger));
    let submitted = stranger.create_with(kit, &credential);
    Box::new(BlockTransaction { envelope: submitted.transaction.to_envelope(), witness: submitted.witness })
}

#[test]
fn simulation_a_block_with_an_unauthorized_transaction_is_voted_down() {
    assert_voted_down(&run(11, |kit| Fault::Unauthorized(unauthorized(kit))));
}

#[test]
fn simulation_a_block_with_a_false_state_root_is_voted_down() {
    assert_voted_down(&run(14, |_| Fault::OtherState));
}

#[test]
fn simulation_a_block_that_lies_about_the_validators_is_voted_down() {
    assert_voted_down(&run(16, |_| Fault::OtherValidators));
    assert_voted_down(&run(17, |_| Fault::OtherChange));
}

#[test]
fn simulation_a_block_older_than_its_parent_is_voted_down() {
    assert_voted_down(&run(15, |_| Fault::OldTime));
}

// What does not decode is no block: nobody is even asked for a verdict.

#[test]
fn simulation_a_header_with_another_body_is_refused() {
    assert!(run(12, |kit| Fault::OtherBody(unauthorized(kit))).is_empty());
}

#[test]
fn simulation_a_stripped_block_sent_live_is_refused() {
    assert!(run(13, |_| Fault::Stripped).is_empty());
}
