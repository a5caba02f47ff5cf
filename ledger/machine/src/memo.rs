//! What many transactions ask of one state, read and parsed once: accreditations, registries, status lists.
//!
//! Belongs to one state and is passed along with its constitution. A decision still names every key that it rests on.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Entries that are kept. Further ones are read each time.
const ENTRIES_MAX: usize = 4096;

type Entry = Arc<dyn Any + Send + Sync>;

/// Values by state key.
#[derive(Debug, Default)]
pub(crate) struct Memo(RwLock<BTreeMap<String, Entry>>);

/// A copy belongs to who knows what state: it starts with nothing.
impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Memo {
    /// The value under a key as it was read the first time, or what `read` gives now.
    pub(crate) fn get_or_read<T, E>(&self, key: &str, read: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Any + Clone + Send + Sync,
    {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entries.get(key).and_then(|entry| entry.downcast_ref::<T>()) {
            return Ok(known.clone());
        }
        drop(entries);
        let value = read()?;
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() < ENTRIES_MAX {
            entries.insert(key.to_owned(), Arc::new(value.clone()));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_value_is_read_once_and_a_failure_is_not_remembered() {
        let (memo, reads) = (Memo::default(), Cell::new(0));
        let ask = |memo: &Memo, answer: Result<u8, &'static str>| {
            memo.get_or_read("key", || {
                reads.set(reads.get() + 1);
                answer
            })
        };
        assert_eq!(ask(&memo, Err("unreadable")), Err("unreadable"));
        assert_eq!(ask(&memo, Ok(1)), Ok(1));
        assert_eq!(ask(&memo, Ok(2)), Ok(1));
        assert_eq!(reads.get(), 2);
        assert_eq!(ask(&memo.clone(), Ok(3)), Ok(3), "a copy is of another state");
    }

    #[test]
    fn it_keeps_no_more_than_its_bound() {
        let memo = Memo::default();
        for number in 0..ENTRIES_MAX + 10 {
            let _ = memo.get_or_read(&number.to_string(), || Ok::<_, ()>(number));
        }
        assert_eq!(memo.0.read().unwrap().len(), ENTRIES_MAX);
    }
}
