//! Says everything twice: messages of all channels once more when they are old, and final transactions in new blocks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aval_machine::testkit::workload::Dice;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::super::super::tampered::with_body;
use super::{Behaviour, Cast, Loot, Proposing, ancestry};
use crate::engine::SealedBlock;
use crate::engine::simulation::{Parcel, To, Wire};

pub(super) struct Replayer {
    cast: Cast,
    dice: Mutex<Dice>,
    heard: Mutex<VecDeque<(Wire, Bytes)>>,
}

impl Replayer {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { cast: cast.clone(), dice: cast.dice(), heard: Mutex::default() }
    }
}

impl Behaviour for Replayer {
    fn propose<'a>(&'a self, proposing: Proposing<'a>) -> BoxFuture<'a, Option<Arc<SealedBlock>>> {
        let Proposing { executor, slot, parent, block } = proposing;
        Box::pin(async move {
            let (again, by_force) = {
                let mut dice = self.dice.lock().unwrap();
                (Loot::some(&self.cast.loot.finals, &mut dice, 6), dice.chance(20))
            };
            if by_force {
                return Some(Arc::new(with_body(&block, |block| block.transactions.extend(again))));
            }
            executor.build_with(slot, ancestry(&parent), again).await.or(Some(block))
        })
    }

    fn outgoing(&self, wire: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        let mut heard = self.heard.lock().unwrap();
        heard.push_back((wire, message.clone()));
        if heard.len() > 256 {
            heard.pop_front();
        }
        let mut parcels = vec![Parcel::now(to, message.clone())];
        let mut dice = self.dice.lock().unwrap();
        if dice.chance(20) {
            let old: Vec<&Bytes> = heard.iter().filter(|(own, _)| *own == wire).map(|(_, old)| old).collect();
            if let Some(old) = dice.pick(&old) {
                let after = Duration::from_millis(dice.between(1, 5_000));
                parcels.push(Parcel { to: To::All, message: old.clone(), after });
            }
        }
        parcels
    }
}
