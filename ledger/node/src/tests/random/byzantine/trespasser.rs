//! Proposes what nobody may do, and more than fits: transactions that honest nodes have refused, and blocks beyond the
//! limits of the network.

use std::sync::{Arc, Mutex};

use aval_machine::testkit::workload::Dice;
use futures::future::BoxFuture;

use super::super::super::tampered::with_body;
use super::{Behaviour, Cast, Loot, Proposing, ancestry};
use crate::engine::SealedBlock;

pub(super) struct Trespasser {
    cast: Cast,
    dice: Mutex<Dice>,
}

impl Trespasser {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { cast: cast.clone(), dice: cast.dice() }
    }
}

impl Behaviour for Trespasser {
    fn propose<'a>(&'a self, proposing: Proposing<'a>) -> BoxFuture<'a, Option<Arc<SealedBlock>>> {
        let Proposing { executor, slot, parent, block } = proposing;
        Box::pin(async move {
            let (wanted, by_force) = {
                let mut dice = self.dice.lock().unwrap();
                let count = if dice.chance(50) { 4 } else { 60 };
                (Loot::some(&self.cast.loot.refused, &mut dice, count), dice.chance(30))
            };
            if by_force {
                return Some(Arc::new(with_body(&block, |block| block.transactions.extend(wanted))));
            }
            // By its own program, in case that one has a hole.
            executor.build_with(slot, ancestry(&parent), wanted).await.or(Some(block))
        })
    }
}
