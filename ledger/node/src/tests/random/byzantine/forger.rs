//! Forges: witnesses that are stripped, altered or another's, signatures that do not verify, bodies that are not the
//! header's; in its proposals, and in the transactions that it passes on.

use std::sync::{Arc, Mutex};

use aval_machine::testkit::workload::Dice;
use aval_types::Witness;
use aval_types::block::BlockTransaction;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::super::super::tampered::with_body;
use super::{Behaviour, Cast, Loot, Proposing, ancestry};
use crate::engine::SealedBlock;
use crate::engine::simulation::{Parcel, To, Wire};

pub(super) struct Forger {
    cast: Cast,
    dice: Mutex<Dice>,
}

impl Forger {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { cast: cast.clone(), dice: cast.dice() }
    }

    /// A refused transaction with another signature.
    fn forged(&self) -> Vec<BlockTransaction> {
        let mut dice = self.dice.lock().unwrap();
        let mut some = Loot::some(&self.cast.loot.refused, &mut dice, 2);
        some.extend(Loot::some(&self.cast.loot.finals, &mut dice, 2));
        for one in &mut some {
            // The last bytes of an envelope are those of a signature.
            if let Some(byte) = one.envelope.iter_mut().rev().nth(dice.below(32)) {
                *byte ^= 1 << dice.below(8);
            }
        }
        some
    }
}

impl Behaviour for Forger {
    fn propose<'a>(&'a self, proposing: Proposing<'a>) -> BoxFuture<'a, Option<Arc<SealedBlock>>> {
        let Proposing { executor, slot, parent, block } = proposing;
        Box::pin(async move {
            let choice = self.dice.lock().unwrap().below(5);
            match choice {
                0 => Some(Arc::new(SealedBlock::new(block.block().strip()))),
                1 => Some(Arc::new(with_body(&block, |block| {
                    for one in &mut block.transactions {
                        if let Witness::Full(bytes) = &mut one.witness
                            && let Some(byte) = bytes.last_mut()
                        {
                            *byte ^= 1;
                        }
                    }
                }))),
                2 => {
                    let forged = self.forged();
                    Some(Arc::new(with_body(&block, |block| block.transactions.extend(forged))))
                }
                3 => {
                    let forged = self.forged();
                    executor.build_with(slot, ancestry(&parent), forged).await
                }
                // A body that is not the header's.
                _ => {
                    let mut other = block.block().clone();
                    other.transactions.extend(self.forged());
                    Some(Arc::new(SealedBlock::new(other)))
                }
            }
        })
    }

    fn outgoing(&self, wire: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        if wire != Wire::Messages || message.first() != Some(&1) {
            return vec![Parcel::now(to, message)];
        }
        let mut forged = message.to_vec();
        let place = self.dice.lock().unwrap().below(forged.len());
        forged[place] ^= 0x10;
        vec![Parcel::now(to, Bytes::from(forged))]
    }
}
