//! The course of a run: the network comes up, people use it while things go wrong, and then it has to recover.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use aval_machine::testkit::workload::{Dice, Workload};
use aval_types::{SubmittedTransaction, TransactionId};
use futures::future::{Either, select};

use crate::engine::simulation::{World, simulate};
use crate::ingress::Refusal;

use super::byzantine::Loot;
use super::nodes::Nodes;
use super::plan::{Fault, LINK, Plan};
use super::watch::{Violation, Watch};

/// Simulated time that a run may take before it is given up.
const LIMIT: Duration = Duration::from_secs(580);
/// How long recovering may take, milliseconds of simulated time.
const RECOVERY_MS: u64 = 90_000;
/// How often the invariants are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What a run left behind.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) fingerprint: String,
    pub(super) height: u64,
    /// How many transactions of each kind took effect.
    pub(super) applied: BTreeMap<&'static str, usize>,
    /// How often each fault came about, liars among them.
    pub(super) faults: BTreeMap<&'static str, usize>,
    pub(super) violation: Option<Violation>,
}

/// Runs a plan. With a folder, ledgers are in RocksDB there.
pub(super) fn run(plan: &Plan, folder: Option<PathBuf>) -> Report {
    let keys = plan.key_seeds(&plan.kit());
    let seed = plan.seed;
    let outcome = simulate(seed, LIMIT, &keys, async |world| {
        Story::new(world, plan.clone(), folder).await.tell().await
    });
    Report { fingerprint: outcome.fingerprint, ..outcome.result }
}

struct Story {
    nodes: Rc<Nodes>,
    watch: Rc<RefCell<Watch>>,
    workload: RefCell<Workload>,
    loot: Loot,
    faults: RefCell<BTreeMap<&'static str, usize>>,
    /// What waits to be submitted besides what people do.
    errands: RefCell<VecDeque<SubmittedTransaction>>,
    unsettled: RefCell<Vec<TransactionId>>,
    dice: RefCell<Dice>,
}

/// What the world does at a time.
#[derive(Clone, Debug)]
enum Turn {
    Begin(Fault),
    End(Fault),
    /// Looks whether the plug of a node is out, at the latest by this time.
    Plug {
        node: usize,
        power: bool,
        down_ms: u64,
        until: u64,
    },
    Restart(usize),
}

impl Story {
    async fn new(world: World, plan: Plan, folder: Option<PathBuf>) -> Self {
        let loot = Loot::default();
        let workload = Workload::new(plan.kit(), plan.seed);
        let dice = Dice::new(plan.seed ^ 0xc11e);
        let nodes = Nodes::new(world, plan, &loot, folder).await;
        let watch = Rc::new(RefCell::new(Watch::new(nodes.clone(), loot.clone())));
        Self {
            nodes,
            watch,
            workload: RefCell::new(workload),
            loot,
            faults: RefCell::default(),
            errands: RefCell::default(),
            unsettled: RefCell::default(),
            dice: RefCell::new(dice),
        }
    }

    async fn tell(self) -> Report {
        for kind in self.nodes.plan.byzantine.values() {
            self.count(kind.name());
        }
        let story = self.chapters();
        let watching = async {
            loop {
                self.nodes.world.sleep(LOOK).await;
                if let Err(violation) = self.look().await {
                    break violation;
                }
            }
        };
        futures::pin_mut!(story, watching);
        let violation = match select(story, watching).await {
            Either::Left((told, _)) => told.err(),
            Either::Right((violation, _)) => Some(violation),
        };
        let watch = self.watch.borrow();
        Report {
            fingerprint: String::new(),
            height: watch.height(),
            applied: watch.applied.clone(),
            faults: self.faults.borrow().clone(),
            violation,
        }
    }

    /// Looks at the invariants, and tells people what became of their transactions.
    async fn look(&self) -> Result<(), Violation> {
        let blocked = self.nodes.world.blocked().await;
        let mut watch = self.watch.borrow_mut();
        watch.look(&blocked)?;
        self.unsettled.borrow_mut().retain(|id| match watch.finals.get(id) {
            Some((_, applied)) => {
                self.workload.borrow_mut().settle(id, *applied);
                false
            }
            None if watch.answered.contains(id) => {
                self.workload.borrow_mut().settle(id, false);
                false
            }
            None => true,
        });
        Ok(())
    }

    fn count(&self, what: &'static str) {
        *self.faults.borrow_mut().entry(what).or_default() += 1;
    }

    async fn chapters(&self) -> Result<(), Violation> {
        for node in 0..self.nodes.plan.validators {
            self.nodes.start(node).await;
        }
        let opening = self.workload.borrow_mut().opening();
        self.until_final(vec![opening]).await?;
        let regulars = self.workload.borrow_mut().regulars();
        self.until_final(regulars).await?;
        let chaos = self.chaos();
        let people = async {
            loop {
                self.person().await;
            }
        };
        futures::pin_mut!(chaos, people);
        let _ = select(chaos, people).await;
        self.nodes.mend().await;
        self.recover().await
    }

    /// After everything is mended, the network goes on and keeps what it acknowledged.
    async fn recover(&self) -> Result<(), Violation> {
        let begun = self.nodes.now_ms();
        let target = self.watch.borrow().height() + 5;
        loop {
            self.nodes.world.sleep(LOOK).await;
            if self.watch.borrow().is_settled(target) {
                break;
            }
            if self.nodes.now_ms() - begun > RECOVERY_MS {
                return Err(self.watch.borrow().stuck(target));
            }
        }
        self.watch.borrow_mut().in_full(true)
    }

    /// Submits what everything else rests on, again and again, until it is final.
    async fn until_final(&self, wanted: Vec<SubmittedTransaction>) -> Result<(), Violation> {
        let begun = self.nodes.now_ms();
        let mut missing = wanted;
        while !missing.is_empty() {
            for submitted in &missing {
                self.submit(submitted).await;
            }
            self.nodes.world.sleep(Duration::from_secs(2)).await;
            let watch = self.watch.borrow();
            missing.retain(|one| !watch.finals.contains_key(&one.transaction.id()));
            if self.nodes.now_ms() - begun > RECOVERY_MS {
                return Err(watch.stuck(watch.height() + 1));
            }
        }
        Ok(())
    }

    /// One transaction of somebody, after a pause.
    async fn person(&self) {
        let pause_ms = self.nodes.plan.pause_ms;
        let pause_ms = self.dice.borrow_mut().between(pause_ms / 4, pause_ms);
        self.nodes.world.sleep(Duration::from_millis(pause_ms.max(1))).await;
        let errand = self.errands.borrow_mut().pop_front();
        if let Some(errand) = errand {
            if !self.submit(&errand).await {
                self.errands.borrow_mut().push_back(errand);
            }
            return;
        }
        let (now_s, height) = (self.nodes.now_ms() / 1000, self.model_height());
        // Now and then somebody is in a hurry.
        let count = if self.dice.borrow_mut().chance(3) { 40 } else { 1 };
        for _ in 0..count {
            let submitted = self.workload.borrow_mut().next(now_s, height);
            self.submit(&submitted).await;
        }
    }

    fn model_height(&self) -> u64 {
        self.watch.borrow().height()
    }

    /// Hands a transaction to some node. True if it was taken in.
    async fn submit(&self, submitted: &SubmittedTransaction) -> bool {
        let id = submitted.transaction.id();
        let node = self.dice.borrow_mut().below(self.nodes.plan.nodes);
        let Some(core) = self.nodes.core(node) else { return false };
        let body = submitted.to_body();
        let answer = {
            let submit = core.ingress.submit(&body);
            let patience = self.nodes.world.sleep(Duration::from_millis(1_500));
            futures::pin_mut!(submit, patience);
            match select(submit, patience).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => return false,
            }
        };
        drop(core);
        match answer {
            Ok(_) => {
                self.watch.borrow_mut().acknowledge(node, submitted);
                self.unsettled.borrow_mut().push(id);
                true
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::Reject(_) | Refusal::Denied(..)) {
                    self.loot.refused(submitted);
                }
                if !self.unsettled.borrow().contains(&id) {
                    self.workload.borrow_mut().settle(&id, false);
                }
                false
            }
        }
    }

    /// Lets everything go wrong that the plan says, in its order.
    async fn chaos(&self) {
        let begun = self.nodes.now_ms();
        let mut turns: BTreeMap<(u64, usize), Turn> = BTreeMap::new();
        for (number, (at, fault)) in self.nodes.plan.faults.iter().enumerate() {
            turns.insert((*at, number), Turn::Begin(fault.clone()));
        }
        let mut number = turns.len();
        while let Some(((at, _), turn)) = turns.pop_first() {
            let gone = self.nodes.now_ms() - begun;
            self.nodes.world.sleep(Duration::from_millis(at.saturating_sub(gone).max(1))).await;
            for (after, next) in self.turn(turn, at).await {
                number += 1;
                turns.insert((at + after, number), next);
            }
        }
        self.nodes.world.sleep(Duration::from_secs(3)).await;
    }

    /// Does one thing, and says what follows from it and when.
    async fn turn(&self, turn: Turn, at: u64) -> Vec<(u64, Turn)> {
        let nodes = &self.nodes;
        match turn {
            Turn::Begin(fault) => self.begin(fault, at).await,
            Turn::End(fault) => {
                match fault {
                    Fault::Links { .. } => nodes.set_quality(LINK).await,
                    Fault::Reorder { node, .. } => nodes.set_jumble(node, 0),
                    Fault::Partition { side, .. } => nodes.join(&side).await,
                    Fault::SlowDisk { node, .. } => nodes.world.machine(node).set_disk_delay(0),
                    Fault::Crash { .. } | Fault::Clock { .. } | Fault::Join { .. } => {}
                }
                Vec::new()
            }
            Turn::Plug { node, power, down_ms, until } => {
                if !nodes.world.machine(node).is_out() && at < until {
                    return vec![(5, Turn::Plug { node, power, down_ms, until })];
                }
                if nodes.core(node).is_none() {
                    return Vec::new();
                }
                nodes.crash(node, power).await;
                vec![(down_ms, Turn::Restart(node))]
            }
            Turn::Restart(node) => {
                if nodes.down.borrow().contains(&node) {
                    nodes.start(node).await;
                }
                Vec::new()
            }
        }
    }

    async fn begin(&self, fault: Fault, at: u64) -> Vec<(u64, Turn)> {
        let nodes = &self.nodes;
        self.count(fault.kind());
        let end = Turn::End(fault.clone());
        match fault {
            Fault::Links { quality, for_ms, .. } => {
                nodes.set_quality(quality).await;
                vec![(for_ms, end)]
            }
            Fault::Reorder { node, percent, for_ms } => {
                nodes.set_jumble(node, percent);
                vec![(for_ms, end)]
            }
            Fault::Partition { side, for_ms } => {
                nodes.cut(side).await;
                vec![(for_ms, end)]
            }
            Fault::SlowDisk { node, delay_ms, for_ms } => {
                nodes.world.machine(node).set_disk_delay(delay_ms);
                vec![(for_ms, end)]
            }
            Fault::Clock { node, offset_ms } => {
                nodes.world.machine(node).set_clock(offset_ms);
                Vec::new()
            }
            Fault::Crash { node, plug, power, down_ms } => {
                if let Some(plug) = plug {
                    nodes.world.machine(node).pull(plug);
                }
                let until = if plug.is_some() { at + 4_000 } else { at };
                vec![(0, Turn::Plug { node, power, down_ms, until })]
            }
            Fault::Join { node, kind } => {
                let number = nodes.plan.number(node);
                let (_, submitted) = self.workload.borrow_mut().register_node(number, kind);
                self.errands.borrow_mut().push_back(submitted);
                nodes.start(node).await;
                Vec::new()
            }
        }
    }
}
