//! Does not send: blocks to some, answers to nobody, votes now and then, and transactions never.

use std::sync::Mutex;

use aval_machine::testkit::workload::Dice;
use bytes::Bytes;

use super::{Behaviour, Cast};
use crate::engine::simulation::{Parcel, To, Wire};

pub(super) struct Withholder {
    cast: Cast,
    dice: Mutex<Dice>,
}

impl Withholder {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { cast: cast.clone(), dice: cast.dice() }
    }
}

impl Behaviour for Withholder {
    fn outgoing(&self, wire: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        let mut dice = self.dice.lock().unwrap();
        match wire {
            // One more than nobody has the block: whoever wants to vote has to ask for it.
            Wire::Blocks => {
                let favoured = dice.pick(&self.cast.others).into_iter().collect();
                vec![Parcel::now(To::Some(favoured), message)]
            }
            Wire::Votes if dice.chance(50) => Vec::new(),
            Wire::Backfill | Wire::Resolver if dice.chance(90) => Vec::new(),
            Wire::Messages => Vec::new(),
            _ => vec![Parcel::now(to, message)],
        }
    }
}
