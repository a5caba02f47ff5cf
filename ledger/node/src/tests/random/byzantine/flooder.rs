//! Sends as much as it can: noise on every channel, the same messages many times, and transactions that cost
//! the others a look at their signatures.

use std::sync::Mutex;
use std::time::Duration;

use aval_machine::testkit::workload::Dice;
use aval_types::block::encode_body;
use bytes::Bytes;

use super::{Behaviour, Cast, Loot};
use crate::engine::simulation::{Parcel, To, Wire};

pub(super) struct Flooder {
    cast: Cast,
    dice: Mutex<Dice>,
}

impl Flooder {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { cast: cast.clone(), dice: cast.dice() }
    }
}

impl Behaviour for Flooder {
    fn outgoing(&self, wire: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        let mut dice = self.dice.lock().unwrap();
        let mut parcels = vec![Parcel::now(to, message.clone())];
        for copy in 0..dice.below(6) as u64 {
            let after = Duration::from_millis(copy * 7);
            let flood = match (wire, dice.below(3)) {
                (Wire::Messages, _) => {
                    let some = Loot::some(&self.cast.loot.refused, &mut dice, 16);
                    Bytes::from([vec![1], encode_body(&some)].concat())
                }
                (Wire::Votes | Wire::Certificates, 0) => {
                    // Noise in a later epoch, which nobody can check yet.
                    Bytes::from(vec![u8::try_from(dice.below(100)).unwrap_or(0); 96])
                }
                _ => message.clone(),
            };
            parcels.push(Parcel { to: To::All, message: flood, after });
        }
        parcels
    }
}
