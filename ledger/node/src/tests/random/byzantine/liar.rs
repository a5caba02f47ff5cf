//! Lies about state: headers with another root, time or set than executing the block gives, answers to those who catch
//! up with other bytes in them, and a height that it has not reached.

use std::sync::{Arc, Mutex};

use aval_codec::Hash;
use aval_machine::testkit::workload::Dice;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::{Behaviour, Cast, Proposing};
use crate::engine::SealedBlock;
use crate::engine::simulation::{Parcel, To, Wire};

pub(super) struct Liar {
    dice: Mutex<Dice>,
}

impl Liar {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { dice: cast.dice() }
    }
}

impl Behaviour for Liar {
    fn propose<'a>(&'a self, proposing: Proposing<'a>) -> BoxFuture<'a, Option<Arc<SealedBlock>>> {
        let Proposing { parent, block, .. } = proposing;
        let choice = self.dice.lock().unwrap().below(6);
        let mut lie = block.block().clone();
        let header = &mut lie.header;
        match choice {
            0 => header.state_root = Hash::ZERO,
            1 => header.receipts_root = Hash::ZERO,
            2 => header.time_ms = parent.block().header.time_ms,
            3 => {
                header.next_validators_hash = Hash::ZERO;
                header.last_set_change = header.height;
            }
            4 => header.last_set_change = header.height,
            _ => {}
        }
        Box::pin(async move { Some(Arc::new(SealedBlock::new(lie))) })
    }

    fn outgoing(&self, wire: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        let mut dice = self.dice.lock().unwrap();
        let mut lie = message.to_vec();
        match wire {
            Wire::Backfill | Wire::Resolver if dice.chance(30) && !lie.is_empty() => {
                let place = dice.below(lie.len());
                lie[place] ^= 1 << dice.below(8);
            }
            // The kind of a height, and a height.
            Wire::Messages if lie.first() == Some(&2) => lie[1..].fill(0x7f),
            _ => {}
        }
        vec![Parcel::now(to, Bytes::from(lie))]
    }
}
