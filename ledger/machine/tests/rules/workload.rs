//! The rules and the independent model of [`aval_machine::testkit::model`] judge the same random days of a network.

use std::collections::BTreeMap;

use aval_machine::testkit::model::{FinalBlock, Model};
use aval_machine::testkit::workload::{Dice, Workload};
use aval_machine::testkit::{Kit, Options};
use aval_machine::{Checked, check, propose_block};
use aval_types::genesis::Parameters;
use aval_types::{Action, Outcome, SubmittedTransaction};

/// A network's ledger with its people, and the model beside.
struct Pair {
    workload: Workload,
    model: Model,
    dice: Dice,
    /// How many transactions of each kind were applied.
    applied: BTreeMap<&'static str, usize>,
    refused: BTreeMap<&'static str, usize>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut parameters = Parameters { block_transactions_max: 64, ..Parameters::default() };
        parameters.governance.notice_blocks = 3;
        parameters.validators.epoch_blocks = 20;
        parameters.quota.per_grant = 40;
        let kit = Kit::with(Options { seed, parameters, ..Options::default() });
        let model = Model::new(kit.genesis(), kit.network().clone());
        let workload = Workload::new(kit, seed);
        Self { workload, model, dice: Dice::new(seed), applied: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// One block of these transactions, as a proposer makes it, judged by both.
    fn block(&mut self, submitted: Vec<SubmittedTransaction>) {
        let (rules, context) = (self.workload.kit.rules(), self.workload.kit.next_context());
        let mut checked: Vec<(SubmittedTransaction, Checked)> = Vec::new();
        for one in submitted {
            match check(one.clone(), &rules) {
                Ok(passed) => checked.push((one, passed)),
                Err(reject) => {
                    assert!(self.model.verdict(&one, context.time_ms).is_err(), "{reject} {one:?}");
                    *self.refused.entry(reject.code()).or_default() += 1;
                    self.workload.settle(&one.transaction.id(), false);
                    continue;
                }
            }
        }
        let kit = &mut self.workload.kit;
        let candidates: Vec<&Checked> = checked.iter().map(|(_, passed)| passed).collect();
        let proposal = propose_block(kit.state(), &context, &candidates, kit.block_limits()).unwrap();
        for dropped in &proposal.dropped {
            *self.refused.entry(dropped.reject.code()).or_default() += 1;
        }
        // One that was dropped could only have been dropped for what the model sees as well, before the block or in it.
        let kept: Vec<Checked> = proposal.kept.iter().map(|index| checked[*index].1.clone()).collect();
        let executed = kit.apply_block(&kept).unwrap();
        let outcomes = executed.receipts.iter().map(|receipt| matches!(receipt.outcome, Outcome::Applied(_)));
        let transactions: Vec<_> =
            proposal.kept.iter().map(|index| checked[*index].0.clone()).zip(outcomes).collect();
        for dropped in &proposal.dropped {
            let (one, _) = &checked[dropped.index];
            let mut with: Vec<_> = transactions.clone();
            let place = proposal.kept.partition_point(|index| *index < dropped.index);
            with.insert(place, (one.clone(), true));
            let block =
                final_block(&context, with, &executed, self.model.validators().iter().copied().collect());
            let judged = self.model.clone().block(&block);
            assert!(
                judged.is_err(),
                "{} is refused with {}",
                one.transaction.action().kind(),
                dropped.reject
            );
        }
        let validators = aval_machine::membership::validators(kit.state()).unwrap();
        let block = final_block(&context, transactions.clone(), &executed, validators);
        self.model.block(&block).unwrap();
        for (index, (one, _)) in checked.iter().enumerate() {
            let place = proposal.kept.iter().position(|kept| *kept == index);
            let applied = place.is_some_and(|place| transactions[place].1);
            if applied {
                *self.applied.entry(one.transaction.action().kind()).or_default() += 1;
            }
            self.workload.settle(&one.transaction.id(), applied);
        }
        self.compare();
    }

    fn compare(&self) {
        let state = self.workload.kit.state();
        let list = |prefix: &str| {
            let own = |(key, value): (&[u8], &[u8])| {
                key.starts_with(prefix.as_bytes()).then(|| (key.to_vec(), value.to_vec()))
            };
            state.entries().filter_map(own).collect()
        };
        assert_eq!(self.model.differences(&list), Vec::<String>::new());
    }

    fn day(&mut self, blocks: usize) {
        let opening = self.workload.opening();
        self.block(vec![opening]);
        self.pass();
        let regulars = self.workload.regulars();
        self.block(regulars);
        for _ in 0..blocks {
            self.pass();
            let (now_s, height) = (self.workload.kit.now_s, self.workload.kit.ledger().height);
            let count = self.dice.below(7);
            let submitted = (0..count).map(|_| self.workload.next(now_s, height)).collect();
            self.block(submitted);
        }
    }

    fn pass(&mut self) {
        self.workload.kit.now_s += self.dice.between(1, 4);
    }
}

fn final_block(
    context: &aval_machine::BlockContext,
    transactions: Vec<(SubmittedTransaction, bool)>,
    executed: &aval_machine::Executed,
    validators: Vec<[u8; 32]>,
) -> FinalBlock {
    let events = executed.block_receipt.iter().flat_map(|receipt| receipt.events.clone()).collect();
    FinalBlock { height: context.height, time_ms: context.time_ms, transactions, events, validators }
}

#[test]
fn the_rules_and_the_independent_model_agree_on_every_day_of_a_network() {
    let mut applied: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut refused: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in 0..12 {
        let mut pair = Pair::new(seed);
        pair.day(120);
        for (into, from) in [(&mut applied, &pair.applied), (&mut refused, &pair.refused)] {
            for (kind, count) in from {
                *into.entry(kind).or_default() += count;
            }
        }
    }
    println!("applied: {applied:?}\nrefused: {refused:?}");
    for kind in Action::KINDS {
        assert!(applied.contains_key(kind), "no {kind} was ever applied: {applied:?}");
    }
    assert!(refused.len() >= 12, "too little was refused: {refused:?}");
}
