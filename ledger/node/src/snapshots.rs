//! Which heights this node offers as snapshots, and how long it holds them.
//!
//! A snapshot costs nothing but history: it is the state of a past height, read when it is asked for. So offering
//! one is a promise not to prune that height yet. Heights are ends of epochs, because those blocks have a
//! certificate of their own and the next epoch begins right above. The newest one is held until the next; one that
//! is being fetched is held as long as somebody keeps asking, within a bound.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aval_store::{Ledger, StoreError};
use aval_types::Header;

/// Milliseconds after the last request for a snapshot until it may go.
const HELD_MS: u64 = 60_000;
/// Snapshots that are listed.
const LISTED: usize = 2;

/// When snapshots are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Heights from one to the next, rounded up to whole epochs; 0 for none.
    pub every_heights: u64,
    /// Heights that one is held at most while it is being fetched.
    pub held_heights: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { every_heights: 600, held_heights: 20_000 }
    }
}

/// The snapshots of a ledger.
#[derive(Debug)]
pub struct Snapshots {
    every: Option<NonZeroU64>,
    held_heights: u64,
    /// When each was asked for last.
    asked: Mutex<BTreeMap<u64, u64>>,
}

impl Snapshots {
    /// The snapshots by a schedule.
    pub fn new(schedule: Schedule, epoch_blocks: NonZeroU64) -> Self {
        let epochs = schedule.every_heights.div_ceil(epoch_blocks.get());
        let every = NonZeroU64::new(epochs.saturating_mul(epoch_blocks.get()));
        Self { every, held_heights: schedule.held_heights, asked: Mutex::default() }
    }

    /// The newest scheduled height at or below one.
    fn scheduled(&self, height: u64) -> Option<u64> {
        let every = self.every?.get();
        ((height.saturating_add(1)) / every).checked_mul(every)?.checked_sub(1)
    }

    /// The headers of the snapshots that are offered now, the newest first.
    pub fn offered(&self, ledger: &Ledger) -> Result<Vec<Header>, StoreError> {
        let mut offered = Vec::new();
        let mut next = self.scheduled(ledger.require_head()?.height());
        while let Some(height) = next.filter(|height| *height >= ledger.oldest_height()) {
            // The newest one may wait for its certificate still.
            if ledger.certificate(height)?.is_some() {
                offered.push(ledger.header(height)?);
            }
            if offered.len() == LISTED || height == 0 {
                break;
            }
            next = self.scheduled(height - 1);
        }
        Ok(offered)
    }

    /// Notes that a snapshot is asked for; false if this height is none that is offered.
    pub fn ask(&self, ledger: &Ledger, height: u64, now_ms: u64) -> Result<bool, StoreError> {
        let newest = ledger.require_head()?.height();
        let is_offered =
            self.scheduled(height) == Some(height) && height <= newest && height >= ledger.oldest_height();
        if is_offered {
            self.lock().insert(height, now_ms);
        }
        Ok(is_offered)
    }

    /// The oldest height whose state has to stay.
    pub fn held(&self, newest: u64, now_ms: u64) -> u64 {
        let mut asked = self.lock();
        let lowest = newest.saturating_sub(self.held_heights);
        asked.retain(|height, at| *height >= lowest && at.saturating_add(HELD_MS) >= now_ms);
        let held = self.scheduled(newest).filter(|height| *height >= lowest);
        let oldest = asked.keys().next().copied().into_iter().chain(held).min();
        oldest.unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: NonZeroU64 = NonZeroU64::new(10).unwrap();

    #[test]
    fn heights_are_ends_of_epochs_and_held_while_somebody_asks() {
        let snapshots = Snapshots::new(Schedule { every_heights: 25, held_heights: 100 }, EPOCH);
        assert_eq!(snapshots.scheduled(28), None);
        assert_eq!(snapshots.scheduled(29), Some(29));
        assert_eq!(snapshots.scheduled(88), Some(59));
        assert_eq!(snapshots.held(20, 0), u64::MAX);
        assert_eq!(snapshots.held(95, 0), 89);
        snapshots.lock().insert(59, 1_000);
        assert_eq!(snapshots.held(95, 50_000), 59);
        assert_eq!(snapshots.held(95, 70_000), 89, "nobody asked for a minute");
        snapshots.lock().insert(59, 70_000);
        assert_eq!(snapshots.held(160, 70_001), 149, "held for too long");
    }

    #[test]
    fn none_are_offered_where_none_are_wanted() {
        let snapshots = Snapshots::new(Schedule { every_heights: 0, held_heights: 100 }, EPOCH);
        assert_eq!((snapshots.scheduled(1_000), snapshots.held(1_000, 0)), (None, u64::MAX));
    }
}
