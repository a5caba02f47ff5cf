//! Answers that may be repeated: bounded in number, size and time. What was refused or could not be had is not kept, so
//! that whoever mends a DID is seen at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Resolved;

/// Bounds of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheBounds {
    /// Most answers.
    pub answers_max: usize,
    /// Most bytes, as JSON.
    pub bytes_max: usize,
    /// Longest time for which an answer is repeated, whatever it says itself.
    pub keep_max: Duration,
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self { answers_max: 4096, bytes_max: 32 * 1024 * 1024, keep_max: Duration::from_secs(300) }
    }
}

/// A bounded memory; the answer that was asked for longest ago goes first.
#[derive(Debug)]
pub(crate) struct Cache {
    bounds: CacheBounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<String, Entry>,
    /// Keys by when they were used last.
    order: BTreeMap<u64, String>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    resolved: Arc<Resolved>,
    until: Instant,
    bytes: usize,
    used: u64,
}

impl Cache {
    pub(crate) fn new(bounds: CacheBounds) -> Self {
        Self { bounds, state: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &str, now: Instant) -> Option<Arc<Resolved>> {
        let mut state = self.lock();
        let state = &mut *state;
        let entry = state.entries.get_mut(key)?;
        if entry.until <= now {
            state.remove(key);
            return None;
        }
        state.clock += 1;
        state.order.remove(&entry.used);
        entry.used = state.clock;
        state.order.insert(entry.used, key.to_owned());
        Some(entry.resolved.clone())
    }

    pub(crate) fn put(&self, key: String, resolved: &Arc<Resolved>, now: Instant) {
        let keep = resolved.keep.min(self.bounds.keep_max);
        let bytes = key.len() + size(resolved);
        if keep.is_zero() || bytes > self.bounds.bytes_max || self.bounds.answers_max == 0 {
            return;
        }
        let mut state = self.lock();
        state.remove(&key);
        while state.entries.len() >= self.bounds.answers_max || state.bytes + bytes > self.bounds.bytes_max {
            let Some((_, oldest)) = state.order.pop_first() else { break };
            state.remove(&oldest);
        }
        state.clock += 1;
        let used = state.clock;
        state.order.insert(used, key.clone());
        state.bytes += bytes;
        state.entries.insert(key, Entry { resolved: resolved.clone(), until: now + keep, bytes, used });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves at most an answer too few.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

fn size(resolved: &Resolved) -> usize {
    let length = |value: &dyn Fn() -> serde_json::Result<Vec<u8>>| value().map_or(0, |bytes| bytes.len());
    length(&|| serde_json::to_vec(&resolved.document))
        + length(&|| serde_json::to_vec(&resolved.metadata))
        + length(&|| serde_json::to_vec(&resolved.proof))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolved(text: &str, keep_s: u64) -> Arc<Resolved> {
        let mut resolved = Resolved::of_document(json!({ "id": text }));
        resolved.keep = Duration::from_secs(keep_s);
        Arc::new(resolved)
    }

    fn cache(answers_max: usize, bytes_max: usize) -> Cache {
        Cache::new(CacheBounds { answers_max, bytes_max, keep_max: Duration::from_secs(10) })
    }

    #[test]
    fn an_answer_is_repeated_until_its_time_is_over() {
        let (cache, now) = (cache(10, 10_000), Instant::now());
        cache.put("a".into(), &resolved("a", 5), now);
        cache.put("b".into(), &resolved("b", 1_000_000), now);
        cache.put("c".into(), &resolved("c", 0), now);
        assert!(cache.get("a", now + Duration::from_secs(4)).is_some());
        assert!(cache.get("a", now + Duration::from_secs(5)).is_none());
        assert!(cache.get("b", now + Duration::from_secs(9)).is_some());
        assert!(cache.get("b", now + Duration::from_secs(10)).is_none(), "no longer than the bound");
        assert!(cache.get("c", now).is_none());
        assert_eq!(cache.lock().bytes, 0);
    }

    #[test]
    fn the_answer_that_was_used_longest_ago_gives_way() {
        let (cache, now) = (cache(2, 10_000), Instant::now());
        cache.put("a".into(), &resolved("a", 5), now);
        cache.put("b".into(), &resolved("b", 5), now);
        assert!(cache.get("a", now).is_some());
        cache.put("c".into(), &resolved("c", 5), now);
        assert!(cache.get("b", now).is_none());
        assert!(cache.get("a", now).is_some() && cache.get("c", now).is_some());
    }

    #[test]
    fn no_more_bytes_are_kept_than_allowed() {
        let (cache, now) = (cache(1000, 400), Instant::now());
        for number in 0..100 {
            cache.put(format!("key {number}"), &resolved(&"x".repeat(100), 5), now);
            let state = cache.lock();
            assert!(state.bytes <= 400 && state.entries.len() == state.order.len());
        }
        assert!(!cache.lock().entries.is_empty());
        cache.put("huge".into(), &resolved(&"x".repeat(1000), 5), now);
        assert!(cache.get("huge", now).is_none());
    }
}
