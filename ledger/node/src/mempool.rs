//! The transactions that wait for a block, and what became of those that did not get into one.
//!
//! The pool does no I/O and reads no clock: the caller says what time it is. It holds these invariants:
//!
//! - Nothing enters but [`Checked`] transactions, whose signatures are known to verify.
//! - Entries are told apart by [`EnvelopeKey`], the hashes of envelope and witness, so that a copy with other
//!   signatures or another witness cannot shadow the good one. Only inclusion in a finalized block uses an id up.
//! - Bytes and number of entries are bounded, in total and for each *payer*: the one whose standing lets the
//!   transaction in (the endorser, the presented credential, else the first signer). Nobody can fill the pool for all
//!   others.
//! - An entry leaves at the end of its validity window at the latest.
//! - Clients bring in no more than what the network finalizes in a few seconds, so that what is taken in does not wait
//!   for long, however much is offered. What other validators took in has the larger bounds above.
//! - Candidates come in the order of their arrival, so that a transaction is not overtaken forever.
//! - What is remembered of refused and of finalized transactions is bounded in number and in time.
//!
//! See the way of a transaction in `ARCHITECTURE.md`, step 5.

mod flow;
mod statuses;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aval_codec::Hash;
use aval_machine::Checked;
use aval_machine::sabotage::{self, Sabotage};
use aval_types::{BlockTransaction, Reject, TransactionId};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use flow::Flow;
use statuses::Statuses;

/// Signed copies of one transaction that may wait at the same time.
///
/// Only the signers themselves can make a second valid copy (a signature scheme with randomness, another key binding),
/// so a handful is generous.
pub const COPIES_MAX: usize = 4;

/// What tells two signed copies of a transaction apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvelopeKey {
    /// Hash of the envelope: payload, headers and signatures.
    envelope: Hash,
    /// Hash of the witness; zero if there is none.
    witness: Hash,
}

impl EnvelopeKey {
    /// The key of a transaction as a block carries it, checked or not.
    pub fn of(transaction: &BlockTransaction) -> Self {
        let envelope = aval_codec::hash(aval_codec::tag::ENVELOPE, &[&transaction.envelope]);
        Self { envelope, witness: transaction.witness.hash() }
    }
}

/// What the pool must know of an entry. [`Checked`] is the one implementation outside of tests.
pub trait Pooled: Send + Sync + 'static {
    /// The transaction's id, over its payload.
    fn id(&self) -> TransactionId;
    /// What tells this signed copy from another.
    fn key(&self) -> EnvelopeKey;
    /// Bytes that the entry takes in a block.
    fn size_bytes(&self) -> usize;
    /// A hash that names who pays for the place.
    fn payer(&self) -> Hash;
    /// First millisecond at which the transaction is no longer valid.
    fn expires_ms(&self) -> u64;
}

impl Pooled for Checked {
    fn id(&self) -> TransactionId {
        Checked::id(self)
    }

    fn key(&self) -> EnvelopeKey {
        EnvelopeKey { envelope: self.envelope_hash(), witness: self.witness_hash() }
    }

    fn size_bytes(&self) -> usize {
        self.block_bytes()
    }

    /// Who pays: an endorser for what it vouches for, a credential for what is presented with it, else the first
    /// signer.
    fn payer(&self) -> Hash {
        let payload = self.payload();
        if let Some(endorser) = payload.endorser() {
            return aval_codec::sha256(endorser.did().as_str().as_bytes());
        }
        if let Some(grant) = payload.action.grant() {
            return grant.id().0;
        }
        // A transaction has a signer; its shape was checked.
        payload
            .signers
            .first()
            .map_or(Hash::ZERO, |signer| aval_codec::sha256(signer.kid.did().as_str().as_bytes()))
    }

    fn expires_ms(&self) -> u64 {
        self.payload().exp.saturating_mul(1000)
    }
}

/// Bounds of the pool. [`Limits::default`] suits a validator with 4 GiB of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all entries together.
    pub bytes_max: usize,
    /// Number of all entries together.
    pub entries_max: usize,
    /// Bytes of one payer's entries.
    pub payer_bytes_max: usize,
    /// Number of one payer's entries.
    pub payer_entries_max: usize,
    /// Entries above which clients have to wait, if the network finalizes fewer than that in [`Self::patience_ms`].
    pub patient_entries: usize,
    /// How long an entry that a client brings may have to wait, at the rate of the last blocks.
    pub patience_ms: u64,
    /// Refused and finalized transactions remembered.
    pub statuses_max: usize,
    /// Milliseconds for which a refusal is remembered.
    pub status_retention_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 20,
            entries_max: 50_000,
            payer_bytes_max: 16 << 20,
            payer_entries_max: 12_500,
            patient_entries: 5_000,
            patience_ms: 4_000,
            statuses_max: 100_000,
            status_retention_ms: 10 * 60 * 1000,
        }
    }
}

/// What an insertion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// The entry is new: hand it on to the other validators.
    New,
    /// This very copy waits already.
    Known,
}

/// Why a transaction does not get a place. None of these says anything about the transaction itself but `Expired`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The pool is full.
    #[error("the pool of waiting transactions is full")]
    Full,
    /// The payer has as many transactions waiting as one payer may have.
    #[error("too many transactions of the same sender are waiting")]
    Share,
    /// As many signed copies of this transaction wait as may.
    #[error("too many signed copies of the same transaction are waiting")]
    Copies,
    /// The validity window is over.
    #[error("the validity window is over")]
    Expired,
    /// The transaction is in a finalized block.
    #[error("the transaction is on the ledger already")]
    Finalized,
}

/// What the pool knows of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolStatus {
    /// Nothing. It may be final for long.
    Unknown,
    /// It waits for a block.
    Pending,
    /// It was refused, for this reason, and may be sent again.
    Refused(Reject),
}

/// How full the pool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all entries.
    pub bytes: usize,
    /// Number of entries.
    pub entries: usize,
}

/// The pool. Shared by reference; every method locks for a short time and none waits.
pub struct Mempool<T: Pooled = Checked> {
    pool: Mutex<Pool<T>>,
    limits: Limits,
    arrival: Notify,
}

struct Entry<T> {
    item: Arc<T>,
    key: EnvelopeKey,
    id: TransactionId,
    payer: Hash,
    size_bytes: usize,
    expires_ms: u64,
}

struct Pool<T> {
    /// By arrival.
    entries: BTreeMap<u64, Entry<T>>,
    arrivals: u64,
    bytes: usize,
    by_key: HashMap<EnvelopeKey, u64>,
    by_id: HashMap<TransactionId, Vec<u64>>,
    by_payer: HashMap<Hash, Usage>,
    by_expiry: BTreeSet<(u64, u64)>,
    statuses: Statuses,
    flow: Flow,
}

impl<T: Pooled> Mempool<T> {
    /// An empty pool.
    pub fn new(limits: Limits) -> Self {
        let pool = Pool {
            entries: BTreeMap::new(),
            arrivals: 0,
            bytes: 0,
            by_key: HashMap::new(),
            by_id: HashMap::new(),
            by_payer: HashMap::new(),
            by_expiry: BTreeSet::new(),
            statuses: Statuses::new(limits.statuses_max, limits.status_retention_ms),
            flow: Flow::new(limits.patience_ms),
        };
        Self { pool: Mutex::new(pool), limits, arrival: Notify::new() }
    }

    /// A panic while the lock is held would be a defect; the pool's content is advice, so going on with it is safe.
    fn lock(&self) -> MutexGuard<'_, Pool<T>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a checked transaction in and wakes who waits in [`notified`](Self::notified).
    ///
    /// A refusal of the same id that is still remembered is forgotten: it may have become valid since.
    pub fn insert(&self, item: Arc<T>, now_ms: u64) -> Result<Inserted, InsertError> {
        let mut pool = self.lock();
        pool.expire(now_ms);
        let inserted = pool.insert(item, &self.limits, now_ms)?;
        drop(pool);
        if inserted == Inserted::New {
            self.arrival.notify_waiters();
        }
        Ok(inserted)
    }

    /// Whether a transaction of this size would find a place, before anything is known of its payer. Ingress asks this
    /// before it spends time on signatures.
    pub fn has_room(&self, size_bytes: usize) -> bool {
        let pool = self.lock();
        sabotage::is(Sabotage::UnboundedPool)
            || (pool.entries.len() < self.limits.entries_max
                && pool.bytes.saturating_add(size_bytes) <= self.limits.bytes_max)
    }

    /// As [`Self::has_room`], for what a client brings: whether it would be final in a while.
    pub fn has_room_for_client(&self, size_bytes: usize) -> bool {
        let pool = self.lock();
        let entries_max = self.limits.patient_entries.max(pool.flow.sum()).min(self.limits.entries_max);
        sabotage::is(Sabotage::UnboundedPool)
            || (pool.entries.len() < entries_max
                && pool.bytes.saturating_add(size_bytes) <= self.limits.bytes_max)
    }

    /// Transactions for a block, in the order of arrival, as many as fit.
    pub fn candidates(&self, bytes_max: usize, count_max: usize) -> Vec<Arc<T>> {
        self.candidates_where(bytes_max, count_max, |_| true)
    }

    /// As [`candidates`](Self::candidates), without the ids that `wanted` refuses: those in blocks that are proposed or
    /// notarized but not final. They stay in the pool, since such a block may still be dropped.
    ///
    /// Of several signed copies of one transaction the oldest is taken.
    pub fn candidates_where(
        &self,
        bytes_max: usize,
        count_max: usize,
        wanted: impl Fn(&TransactionId) -> bool,
    ) -> Vec<Arc<T>> {
        let mut pool = self.lock();
        let mut taken = Vec::new();
        let mut bytes = 0_usize;
        for (arrival, entry) in &pool.entries {
            if taken.len() >= count_max || bytes >= bytes_max {
                break;
            }
            let oldest = pool.by_id.get(&entry.id).and_then(|copies| copies.first()) == Some(arrival);
            let fits = bytes.saturating_add(entry.size_bytes) <= bytes_max;
            if oldest && fits && wanted(&entry.id) {
                bytes += entry.size_bytes;
                taken.push(entry.item.clone());
            }
        }
        if sabotage::is(Sabotage::ForgetCandidates) {
            let ids: Vec<TransactionId> = taken.iter().map(|item| item.id()).collect();
            ids.iter().for_each(|id| pool.remove_all(id));
        }
        taken
    }

    /// The checked form of this very copy, so that a block that carries it need not be checked a second time.
    pub fn checked(&self, key: &EnvelopeKey) -> Option<Arc<T>> {
        let pool = self.lock();
        let arrival = pool.by_key.get(key)?;
        pool.entries.get(arrival).map(|entry| entry.item.clone())
    }

    /// Removes every copy of transactions that a finalized block contains, and what has expired by `now_ms`.
    pub fn finalized(&self, ids: &[TransactionId], now_ms: u64) {
        let mut pool = self.lock();
        pool.flow.add(ids.len(), now_ms);
        for id in ids {
            pool.remove_all(id);
            pool.statuses.finalized(*id, now_ms);
        }
        pool.expire(now_ms);
    }

    /// Removes every copy of a transaction that can no longer be admitted, and remembers why.
    ///
    /// All copies share payload and issuer-signed presentation, so what one is refused for holds for each.
    /// A duplicate or a not yet valid transaction is left in place: the block that holds the first may not become
    /// final, and the second only has to wait.
    pub fn refuse(&self, id: TransactionId, reject: Reject, now_ms: u64) {
        if matches!(reject, Reject::TransactionDuplicate | Reject::TransactionNotYetValid) {
            return;
        }
        let mut pool = self.lock();
        pool.remove_all(&id);
        pool.statuses.refused(id, reject, now_ms);
    }

    /// Remembers why a transaction was not taken in, unless a copy of it waits.
    pub fn note_refusal(&self, id: TransactionId, reject: Reject, now_ms: u64) {
        let mut pool = self.lock();
        if !pool.by_id.contains_key(&id) {
            pool.statuses.refused(id, reject, now_ms);
        }
    }

    /// What the pool knows of a transaction.
    pub fn status(&self, id: &TransactionId, now_ms: u64) -> PoolStatus {
        let mut pool = self.lock();
        if pool.by_id.contains_key(id) {
            return PoolStatus::Pending;
        }
        pool.statuses.refusal(id, now_ms).map_or(PoolStatus::Unknown, PoolStatus::Refused)
    }

    /// How many refused and finalized transactions are remembered.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.lock().statuses.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// How full the pool is.
    pub fn usage(&self) -> Usage {
        let pool = self.lock();
        Usage { bytes: pool.bytes, entries: pool.entries.len() }
    }

    /// Completes at the next arrival after this call.
    pub fn notified(&self) -> Notified<'_> {
        self.arrival.notified()
    }
}

impl<T: Pooled> Pool<T> {
    fn insert(&mut self, item: Arc<T>, limits: &Limits, now_ms: u64) -> Result<Inserted, InsertError> {
        let entry = Entry {
            key: item.key(),
            id: item.id(),
            payer: item.payer(),
            size_bytes: item.size_bytes(),
            expires_ms: item.expires_ms(),
            item,
        };
        if self.by_key.contains_key(&entry.key) {
            return Ok(Inserted::Known);
        }
        if entry.expires_ms <= now_ms {
            return Err(InsertError::Expired);
        }
        if self.statuses.is_finalized(&entry.id, now_ms) {
            return Err(InsertError::Finalized);
        }
        let bounded = !sabotage::is(Sabotage::UnboundedPool);
        let share = self.by_payer.get(&entry.payer).copied().unwrap_or_default();
        let is_over = share.entries >= limits.payer_entries_max
            || share.bytes.saturating_add(entry.size_bytes) > limits.payer_bytes_max;
        if bounded && is_over {
            return Err(InsertError::Share);
        }
        let is_full = self.entries.len() >= limits.entries_max
            || self.bytes.saturating_add(entry.size_bytes) > limits.bytes_max;
        if bounded && is_full {
            return Err(InsertError::Full);
        }
        if self.by_id.get(&entry.id).is_some_and(|copies| copies.len() >= COPIES_MAX) {
            return Err(InsertError::Copies);
        }
        self.place(entry);
        Ok(Inserted::New)
    }

    fn place(&mut self, entry: Entry<T>) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.bytes += entry.size_bytes;
        let share = self.by_payer.entry(entry.payer).or_default();
        share.bytes += entry.size_bytes;
        share.entries += 1;
        self.statuses.forget_refusal(&entry.id);
        self.by_key.insert(entry.key, arrival);
        self.by_id.entry(entry.id).or_default().push(arrival);
        self.by_expiry.insert((entry.expires_ms, arrival));
        self.entries.insert(arrival, entry);
    }

    fn remove(&mut self, arrival: u64) {
        let Some(entry) = self.entries.remove(&arrival) else { return };
        self.bytes -= entry.size_bytes;
        self.by_key.remove(&entry.key);
        self.by_expiry.remove(&(entry.expires_ms, arrival));
        if let Some(copies) = self.by_id.get_mut(&entry.id) {
            copies.retain(|other| *other != arrival);
            if copies.is_empty() {
                self.by_id.remove(&entry.id);
            }
        }
        if let Some(share) = self.by_payer.get_mut(&entry.payer) {
            share.bytes -= entry.size_bytes;
            share.entries -= 1;
            if share.entries == 0 {
                self.by_payer.remove(&entry.payer);
            }
        }
    }

    fn remove_all(&mut self, id: &TransactionId) {
        for arrival in self.by_id.get(id).cloned().unwrap_or_default() {
            self.remove(arrival);
        }
    }

    /// Drops what can no longer be in a block and remembers that its window ran out.
    fn expire(&mut self, now_ms: u64) {
        while let Some((expires_ms, arrival)) = self.by_expiry.first().copied()
            && expires_ms <= now_ms
        {
            let id = self.entries.get(&arrival).map(|entry| entry.id);
            self.remove(arrival);
            if let Some(id) = id
                && !self.by_id.contains_key(&id)
            {
                self.statuses.refused(id, Reject::TransactionExpired, now_ms);
            }
        }
    }
}
