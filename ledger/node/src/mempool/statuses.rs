//! What is remembered of transactions that left the pool: refusals, so that their sender can ask for the reason, and
//! finalized ids, so that a late copy from a slow peer does not come in again.
//!
//! Bounded in number by forgetting the oldest, and in time. Nothing here is needed for safety: a forgotten refusal
//! reads as unknown, and a finalized transaction that comes in again is refused by the ledger itself.

use std::collections::{HashMap, VecDeque};

use aval_types::{Reject, TransactionId};

enum Fate {
    Refused(Reject),
    Finalized,
}

struct Remembered {
    fate: Fate,
    /// Tells an entry of the queue that is still current from one that was overwritten since.
    serial: u64,
}

pub(super) struct Statuses {
    fates: HashMap<TransactionId, Remembered>,
    /// `(when, serial, id)` by time of arrival. May name entries that are overwritten or forgotten since.
    order: VecDeque<(u64, u64, TransactionId)>,
    serial: u64,
    count_max: usize,
    retention_ms: u64,
}

impl Statuses {
    pub(super) fn new(count_max: usize, retention_ms: u64) -> Self {
        Self { fates: HashMap::new(), order: VecDeque::new(), serial: 0, count_max, retention_ms }
    }

    pub(super) fn refused(&mut self, id: TransactionId, reject: Reject, now_ms: u64) {
        // Inclusion is final: a refusal of a late copy says nothing against it.
        if !self.is_finalized(&id, now_ms) {
            self.remember(id, Fate::Refused(reject), now_ms);
        }
    }

    pub(super) fn finalized(&mut self, id: TransactionId, now_ms: u64) {
        self.remember(id, Fate::Finalized, now_ms);
    }

    pub(super) fn forget_refusal(&mut self, id: &TransactionId) {
        if let Some(Remembered { fate: Fate::Refused(_), .. }) = self.fates.get(id) {
            self.fates.remove(id);
        }
    }

    pub(super) fn refusal(&mut self, id: &TransactionId, now_ms: u64) -> Option<Reject> {
        self.forget_old(now_ms);
        match &self.fates.get(id)?.fate {
            Fate::Refused(reject) => Some(reject.clone()),
            Fate::Finalized => None,
        }
    }

    pub(super) fn is_finalized(&mut self, id: &TransactionId, now_ms: u64) -> bool {
        self.forget_old(now_ms);
        matches!(self.fates.get(id), Some(Remembered { fate: Fate::Finalized, .. }))
    }

    fn remember(&mut self, id: TransactionId, fate: Fate, now_ms: u64) {
        self.serial += 1;
        self.fates.insert(id, Remembered { fate, serial: self.serial });
        self.order.push_back((now_ms, self.serial, id));
        self.forget_old(now_ms);
    }

    fn forget_old(&mut self, now_ms: u64) {
        while let Some((when_ms, serial, id)) = self.order.front().copied() {
            let old = when_ms.saturating_add(self.retention_ms) <= now_ms;
            if !old && self.order.len() <= self.count_max {
                break;
            }
            self.order.pop_front();
            if self.fates.get(&id).is_some_and(|remembered| remembered.serial == serial) {
                self.fates.remove(&id);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.fates.len().max(self.order.len())
    }
}
