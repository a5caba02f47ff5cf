//! The newest values of state entries in memory: what most transactions are checked against.
//!
//! Invariant: an entry's value is the one under its key after each finalized block from `since` to the newest. So it
//! answers for those heights as the storage would, without looking for what was overwritten since.
//!
//! A value that is read from the storage may be written over before it is remembered. So a reader that finds nothing
//! here is told how far the entries have come, and what it reads is remembered only if no block has begun to be written
//! since.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aval_machine::Changes;
use hashlink::LruCache;

/// What an entry takes beside its key and value: links, lengths and the table's slot.
const ENTRY_BYTES: usize = 128;

struct Entry {
    /// `None`: there is nothing under the key.
    value: Option<Vec<u8>>,
    since: u64,
}

fn size(key: &[u8], entry: &Entry) -> usize {
    key.len() + entry.value.as_ref().map_or(0, Vec::len) + ENTRY_BYTES
}

struct Entries {
    by_key: LruCache<Vec<u8>, Entry>,
    /// Heights below this one have put in what they changed.
    settled: u64,
    bytes: usize,
}

impl Entries {
    fn put(&mut self, key: Vec<u8>, entry: Entry, bytes_max: usize) {
        self.bytes += size(&key, &entry);
        let key_bytes = key.len();
        if let Some(old) = self.by_key.insert(key, entry) {
            let old_bytes = key_bytes + old.value.as_ref().map_or(0, Vec::len) + ENTRY_BYTES;
            self.bytes = self.bytes.saturating_sub(old_bytes);
        }
        while self.bytes > bytes_max {
            let Some((key, entry)) = self.by_key.remove_lru() else { break };
            self.bytes = self.bytes.saturating_sub(size(&key, &entry));
        }
    }
}

/// Newest values by key, those that were wanted last, up to a number of bytes.
pub(super) struct NewestValues {
    entries: Mutex<Entries>,
    bytes_max: usize,
}

impl NewestValues {
    pub(super) fn new(bytes_max: usize) -> Self {
        let entries = Entries { by_key: LruCache::new_unbounded(), settled: 0, bytes: 0 };
        NewestValues { entries: Mutex::new(entries), bytes_max }
    }

    /// The value after the finalized block at `height`; or, if it is not here, how far the entries have come.
    pub(super) fn get(&self, key: &[u8], height: u64) -> Result<Option<Vec<u8>>, u64> {
        let mut entries = self.entries();
        let settled = entries.settled;
        let entry = entries.by_key.get(key).filter(|entry| entry.since <= height);
        entry.map(|entry| entry.value.clone()).ok_or(settled)
    }

    /// Remembers a value that was read from the storage: the one after `height` and all finalized blocks since. It was
    /// read after [`Self::get`] said `settled`; `writing` says below which height blocks may be in the storage now.
    pub(super) fn learn(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        height: u64,
        settled: u64,
        writing: impl FnOnce() -> u64,
    ) {
        let mut entries = self.entries();
        let is_newest = entries.settled == settled && writing() == settled;
        if is_newest && entries.by_key.peek(key).is_none_or(|known| known.since > height) {
            let entry = Entry { value: value.map(<[u8]>::to_vec), since: height };
            entries.put(key.to_vec(), entry, self.bytes_max);
        }
    }

    /// Takes over what a block changed, once it is written.
    pub(super) fn advance(&self, changes: &Changes, height: u64) {
        let mut entries = self.entries();
        for (key, value) in changes {
            let entry = Entry { value: value.clone(), since: height };
            entries.put(key.clone(), entry, self.bytes_max);
        }
        entries.settled = height + 1;
    }

    /// Forgets everything: the storage was opened, or written in another way, and holds the heights below `settled`.
    pub(super) fn clear(&self, settled: u64) {
        let mut entries = self.entries();
        entries.by_key.clear();
        entries.bytes = 0;
        entries.settled = settled;
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
