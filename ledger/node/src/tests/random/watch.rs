//! What must hold of a network at every moment, whatever goes wrong, and what must hold of it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use aval_codec::Hash;
use aval_machine::testkit::model::{FinalBlock, Model};
use aval_machine::testkit::workload::Dice;
use aval_proof::TrustAnchor;
use aval_store::{Ledger, PENDING_BLOCKS_MAX, StoreError};
use aval_types::block::validators_hash;
use aval_types::{Outcome, Receipt, Reject, SubmittedTransaction, TransactionId};

use crate::core::Core;
use crate::mempool::PoolStatus;

use super::byzantine::Loot;
use super::nodes::{LIMITS, Nodes};

/// Every so many looks, states and proofs are compared in full.
const IN_FULL_EVERY: u64 = 20;

/// Something that must not be: the invariant and what was seen.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) invariant: &'static str,
    pub(super) seen: String,
}

fn must(fact: bool, invariant: &'static str, seen: impl FnOnce() -> String) -> Result<(), Violation> {
    if fact { Ok(()) } else { Err(Violation { invariant, seen: seen() }) }
}

fn sound<T, E: std::fmt::Display>(invariant: &'static str, result: Result<T, E>) -> Result<T, Violation> {
    result.map_err(|error| Violation { invariant, seen: error.to_string() })
}

const AGREEMENT: &str = "agreement";
const AUTHORIZATION: &str = "authorization";
const DURABILITY: &str = "durability";
const PROOFS: &str = "proofs";
const BOUNDS: &str = "bounds";
const FATE: &str = "one fate for each transaction";
const HEALTH: &str = "no honest node stops or shuts out another";
const PROGRESS: &str = "progress";

/// A transaction that a node took in.
pub(super) struct Acknowledged {
    submitted: SubmittedTransaction,
    node: usize,
    /// Which start of the node took it in: its pool does not survive a crash.
    start: u64,
}

/// What is known of a run.
pub(super) struct Watch {
    nodes: Rc<Nodes>,
    pub(super) model: Model,
    digests: Vec<Hash>,
    newest_ms: u64,
    heights: BTreeMap<usize, u64>,
    acknowledged: BTreeMap<TransactionId, Acknowledged>,
    /// Height, and whether it took effect.
    pub(super) finals: BTreeMap<TransactionId, (u64, bool)>,
    expired: BTreeSet<TransactionId>,
    /// Acknowledged at first and refused later, with a code for whoever asks: something came in between.
    pub(super) answered: BTreeSet<TransactionId>,
    pub(super) applied: BTreeMap<&'static str, usize>,
    loot: Loot,
    looks: u64,
    dice: Dice,
}

impl Watch {
    pub(super) fn new(nodes: Rc<Nodes>, loot: Loot) -> Self {
        let network = &nodes.network;
        let model = Model::new(&network.genesis, network.id.clone());
        let dice = Dice::new(nodes.plan.seed ^ 0x3a7c);
        Self {
            nodes,
            model,
            digests: Vec::new(),
            newest_ms: 0,
            heights: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            finals: BTreeMap::new(),
            expired: BTreeSet::new(),
            answered: BTreeSet::new(),
            applied: BTreeMap::new(),
            loot,
            looks: 0,
            dice,
        }
    }

    /// Notes that a node took a transaction in.
    pub(super) fn acknowledge(&mut self, node: usize, submitted: &SubmittedTransaction) {
        if !self.nodes.is_liar(node) {
            let start = self.nodes.starts(node);
            let one = Acknowledged { submitted: submitted.clone(), node, start };
            self.acknowledged.insert(submitted.transaction.id(), one);
        }
    }

    /// The height up to which the network agrees.
    pub(super) fn height(&self) -> u64 {
        self.digests.len() as u64
    }

    /// Looks at every honest node; `blocked` says who shuts out whom.
    pub(super) fn look(&mut self, blocked: &[(usize, usize)]) -> Result<(), Violation> {
        self.looks += 1;
        for node in 0..self.nodes.plan.nodes {
            if let Some(why) = self.nodes.world.stopped(node) {
                must(self.nodes.is_liar(node), HEALTH, || format!("node {node} stopped: {why}"))?;
            }
        }
        for (from, to) in blocked {
            let among_honest = !self.nodes.is_liar(*from) && !self.nodes.is_liar(*to);
            must(!among_honest, HEALTH, || format!("node {from} shut out node {to}"))?;
        }
        for (node, core) in self.nodes.honest() {
            self.follow(node, &core.ledger)?;
            self.bounds(node, &core)?;
        }
        self.fates()?;
        if self.looks.is_multiple_of(IN_FULL_EVERY) {
            self.in_full(false)?;
        }
        Ok(())
    }

    /// Takes note of what a node has committed since the last look.
    fn follow(&mut self, node: usize, ledger: &Ledger) -> Result<(), Violation> {
        let height = ledger.head().map_or(0, |head| head.height());
        let before = self.heights.insert(node, height).unwrap_or(0);
        must(height >= before, DURABILITY, || {
            format!("node {node} had committed block {before} and now ends at {height}")
        })?;
        for at in before + 1..=height {
            let header = sound(DURABILITY, ledger.header(at))?;
            let digest = header.digest();
            match self.digests.get(at as usize - 1) {
                Some(known) => must(*known == digest, AGREEMENT, || {
                    format!("node {node} committed another block {at} than the others")
                })?,
                None => {
                    self.judge(ledger, at)?;
                    self.digests.push(digest);
                    self.newest_ms = header.time_ms;
                }
            }
            let set = sound(DURABILITY, ledger.validators_after(at))?;
            must(validators_hash(&set) == header.next_validators_hash, AGREEMENT, || {
                format!("block {at} names another set than its state")
            })?;
        }
        Ok(())
    }

    /// Has a final block judged by the independent rules.
    fn judge(&mut self, ledger: &Ledger, height: u64) -> Result<(), Violation> {
        let block = sound(DURABILITY, ledger.block(height))?;
        let receipts = sound(DURABILITY, ledger.receipts(height))?;
        let receipts: Vec<Receipt> =
            receipts.iter().filter_map(|bytes| Receipt::decode(bytes).ok()).collect();
        must(receipts.len() == block.transactions.len(), AUTHORIZATION, || {
            format!("block {height} has {} receipts", receipts.len())
        })?;
        let mut transactions = Vec::new();
        for (one, receipt) in block.transactions.iter().zip(&receipts) {
            let transaction = sound(AUTHORIZATION, one.transaction())?;
            must(receipt.transaction == transaction.id(), AUTHORIZATION, || {
                format!("a receipt of block {height} is another transaction's")
            })?;
            let applied = matches!(receipt.outcome, Outcome::Applied(_));
            transactions.push((SubmittedTransaction { transaction, witness: one.witness.clone() }, applied));
        }
        let own = sound(DURABILITY, ledger.block_receipt(height))?;
        let judged = FinalBlock {
            height,
            time_ms: block.header.time_ms,
            transactions,
            events: own.map(|receipt| receipt.events).unwrap_or_default(),
            validators: sound(DURABILITY, ledger.validators_after(height))?,
        };
        sound(AUTHORIZATION, self.model.block(&judged))?;
        for (submitted, applied) in judged.transactions {
            let id = submitted.transaction.id();
            must(!self.expired.contains(&id), FATE, || format!("{id} had expired and is final"))?;
            self.finals.insert(id, (height, applied));
            self.loot.became_final(&submitted);
            if applied {
                *self.applied.entry(submitted.transaction.action().kind()).or_default() += 1;
            }
        }
        Ok(())
    }

    fn bounds(&self, node: usize, core: &Arc<Core>) -> Result<(), Violation> {
        let usage = core.mempool.usage();
        let is_bounded = usage.entries <= LIMITS.entries_max && usage.bytes <= LIMITS.bytes_max;
        must(is_bounded, BOUNDS, || format!("the pool of node {node} holds {usage:?}"))?;
        let remembered = core.mempool.remembered();
        must(remembered <= LIMITS.statuses_max, BOUNDS, || {
            format!("the pool of node {node} remembers {remembered} fates")
        })?;
        let pending = core.ledger.pending_count();
        must(pending <= PENDING_BLOCKS_MAX, BOUNDS, || {
            format!("node {node} holds {pending} pending blocks")
        })?;
        let peers = core.gossip.peers().len();
        must(peers < self.nodes.plan.nodes + 1, BOUNDS, || format!("node {node} knows {peers} peers"))
    }

    /// No transaction is final in one place and something else in another.
    fn fates(&mut self) -> Result<(), Violation> {
        let now_ms = self.nodes.now_ms();
        for (id, one) in &self.acknowledged {
            let exp_ms = one.submitted.transaction.payload().exp.saturating_mul(1000);
            if self.newest_ms >= exp_ms && !self.finals.contains_key(id) {
                self.expired.insert(*id);
            }
            if let Some(core) = self.nodes.core(one.node)
                && matches!(core.mempool.status(id, now_ms), PoolStatus::Refused(_))
            {
                self.answered.insert(*id);
            }
        }
        for (node, core) in self.nodes.honest() {
            let height = core.executor.newest().height;
            for (id, (at, _)) in self.finals.iter().filter(|(_, (at, _))| *at <= height && *at + 20 > height)
            {
                let is_there = sound(DURABILITY, core.ledger.transaction(id))?.is_some();
                must(is_there, DURABILITY, || format!("node {node} has lost {id} of block {at}"))?;
                let status = core.mempool.status(id, now_ms);
                let other =
                    matches!(status, PoolStatus::Pending | PoolStatus::Refused(Reject::TransactionExpired));
                must(!other, FATE, || format!("node {node} says of final {id}: {status:?}"))?;
            }
        }
        Ok(())
    }

    /// Compares states, and verifies proofs from genesis as a wallet does.
    pub(super) fn in_full(&mut self, at_the_end: bool) -> Result<(), Violation> {
        let honest = self.nodes.honest();
        let newest: Vec<_> =
            honest.iter().filter(|(_, core)| core.executor.newest().height == self.height()).collect();
        let Some((node, core)) = self.dice.pick(&newest) else { return Ok(()) };
        let ledger = &core.ledger;
        let list = |prefix: &str| ledger.state_after(prefix.as_bytes(), None, 1_000_000).unwrap_or_default();
        let found = if self.height() == 0 { Vec::new() } else { self.model.differences(&list) };
        must(found.is_empty(), AUTHORIZATION, || format!("node {node}: {}", found.join("; ")))?;
        match self.proofs(ledger) {
            // The newest certificates may be on their way, and many blocks may have become final at once.
            Err(ProofFailure::Store(StoreError::NotCertified(_))) if !at_the_end => Ok(()),
            Err(ProofFailure::Store(error)) => Err(Violation { invariant: PROOFS, seen: error.to_string() }),
            Err(ProofFailure::Wrong(seen)) => Err(Violation { invariant: PROOFS, seen }),
            Ok(()) => Ok(()),
        }
    }

    fn proofs(&mut self, ledger: &Ledger) -> Result<(), ProofFailure> {
        let network = self.nodes.network.id.clone();
        let mut anchor = sure(TrustAnchor::from_genesis(&self.nodes.network.genesis.to_bytes()))?;
        let certified = ledger.newest_certified()?;
        loop {
            let chain = ledger.trust_chain(&network, anchor.last_change())?;
            if sure(anchor.extend(&chain))? == 0 {
                break;
            }
        }
        let all: Vec<_> = self.finals.iter().filter(|(_, (at, _))| *at <= certified).collect();
        let some: Vec<_> = (0..4).filter_map(|_| self.dice.pick(&all)).collect();
        for (id, (_, applied)) in some {
            let proof = ledger.receipt_proof(&network, id)?;
            let proof = proof.ok_or_else(|| ProofFailure::Wrong(format!("{id} has no receipt")))?;
            let verified = sure(proof.verify_past(&anchor))?;
            let receipt = sure(verified.receipt())?;
            if receipt.transaction != *id || matches!(receipt.outcome, Outcome::Applied(_)) != *applied {
                return Err(ProofFailure::Wrong(format!("the receipt of {id} says something else")));
            }
        }
        for key in ["parameters", "validators", "governors", "did/nobody"] {
            let proof = ledger.state_proof(&network, key, certified)?;
            let verified = sure(proof.verify_past(&anchor))?;
            let value = sure(verified.value(key))?.map(<[u8]>::to_vec);
            if value != ledger.state_at(key.as_bytes(), certified)? {
                return Err(ProofFailure::Wrong(format!("the proof of {key} says something else")));
            }
        }
        Ok(())
    }

    /// The nodes that belong to the network, by the state of whoever is ahead.
    fn admitted(&self) -> BTreeSet<[u8; 32]> {
        let honest = self.nodes.honest();
        let top = honest.iter().max_by_key(|(_, core)| core.executor.newest().height);
        let admission = top.and_then(|(_, core)| core.roster.admission().ok());
        admission.map(|admission| admission.nodes.iter().map(|node| node.key).collect()).unwrap_or_default()
    }

    /// Transactions that a node owes a place: it took them in, belongs to the network, has not crashed since, refused
    /// nothing, and the rules allow them still.
    fn owed(&self) -> Vec<TransactionId> {
        let (now_ms, admitted) = (self.nodes.now_ms(), self.admitted());
        let owes = |id: &TransactionId, one: &Acknowledged| {
            !self.finals.contains_key(id)
                && !self.answered.contains(id)
                && admitted.contains(&self.nodes.key(one.node))
                && self.nodes.core(one.node).is_some()
                && self.nodes.starts(one.node) == one.start
                && self.model.verdict(&one.submitted, self.newest_ms.max(now_ms)).is_ok()
        };
        self.acknowledged.iter().filter(|(id, one)| owes(id, one)).map(|(id, _)| *id).collect()
    }

    /// Whether everything has caught up: all honest nodes that belong to the network are at a height, and nothing that
    /// was acknowledged still waits.
    pub(super) fn is_settled(&self, height: u64) -> bool {
        !self.nodes.honest().is_empty() && self.behind(height).is_empty() && self.owed().is_empty()
    }

    fn behind(&self, height: u64) -> Vec<usize> {
        let admitted = self.admitted();
        let slow = |(node, core): &(usize, Arc<Core>)| {
            admitted.contains(&self.nodes.key(*node)) && core.executor.newest().height < height
        };
        self.nodes.honest().iter().filter(|one| slow(one)).map(|(node, _)| *node).collect()
    }

    /// The network did not catch up in time.
    pub(super) fn stuck(&self, height: u64) -> Violation {
        let (behind, owed) = (self.behind(height), self.owed());
        let heights: Vec<_> =
            self.nodes.honest().iter().map(|(node, core)| (*node, core.executor.newest().height)).collect();
        let kind = |id: &TransactionId| {
            let one = &self.acknowledged[id];
            let core = self.nodes.core(one.node);
            let status = core.map(|core| core.mempool.status(id, self.nodes.now_ms()));
            format!("{} {id} at node {}: {status:?}", one.submitted.transaction.action().kind(), one.node)
        };
        let owed: Vec<_> = owed.iter().map(kind).collect();
        let seen = format!("{behind:?} are below {height} (heights {heights:?}); waiting: {owed:?}");
        Violation { invariant: PROGRESS, seen }
    }
}

/// Why proofs failed: the store could not make them, or they prove nothing.
enum ProofFailure {
    Store(StoreError),
    Wrong(String),
}

impl From<StoreError> for ProofFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn sure<T>(result: Result<T, aval_proof::ProofError>) -> Result<T, ProofFailure> {
    result.map_err(|error| ProofFailure::Wrong(error.to_string()))
}
