use std::sync::atomic::{AtomicBool, Ordering};

use aval_machine::Changes;

use super::fixture::*;
use super::on_both_back_ends;
use crate::{Ledger, StoreConfig};

on_both_back_ends!(
    readers_see_whole_blocks_while_others_are_written_and_pruned,
    what_memory_keeps_of_the_state_is_what_the_storage_holds,
);

const BLOCKS: u64 = 600;

/// Each block writes its height under every key, so that a mixture of two blocks is noticed.
fn keys() -> impl Iterator<Item = String> {
    (0..8).map(|key| format!("key/{key}"))
}

/// Reads at the newest height as it was a moment ago, through a view, directly and with proof.
fn read_all(ledger: &Ledger) {
    let height = ledger.require_head().unwrap().height();
    let view = ledger.view_at(height).unwrap();
    let expected = Some(height.to_string().into_bytes());
    for key in keys() {
        assert_eq!(view.state(key.as_bytes()).unwrap(), expected);
        assert_eq!(ledger.state_at(key.as_bytes(), height).unwrap(), expected);
        assert_eq!(proven(ledger, &key, height), expected);
    }
    // An older height is either read right or reported as pruned.
    let older = height.saturating_sub(257);
    for key in keys() {
        match ledger.prove(key.as_bytes(), older) {
            Ok(answer) => assert_eq!(answer.value, Some(older.to_string().into_bytes())),
            Err(error) => assert_eq!(error.code(), "store.pruned"),
        }
    }
}

fn readers_see_whole_blocks_while_others_are_written_and_pruned(disk: &Disk) {
    let config = StoreConfig { history_heights: Some(256), ..StoreConfig::default() };
    let ledger = disk.open_with(&genesis(), config).unwrap();
    let changes = |height: u64| -> Changes {
        keys().map(|key| (key.into_bytes(), Some(height.to_string().into_bytes()))).collect()
    };
    extend(&ledger, changes(0), Vec::new());
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    while !is_done.load(Ordering::SeqCst) {
                        read_all(&ledger);
                        rounds += 1;
                    }
                    rounds
                })
            })
            .collect();
        for height in 1..BLOCKS {
            let block =
                ledger.insert_pending(execute(&ledger, &tip(&ledger), changes(height), Vec::new())).unwrap();
            ledger.commit(&block, None).unwrap();
            ledger.prune(5).unwrap();
        }
        is_done.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    assert!(ledger.oldest_height() > 300);
}

/// The value of the n-th key after a block: it changes with every n-th block, and is absent after every seventh change.
fn value_at(number: u64, height: u64) -> Option<Vec<u8>> {
    let changed = height - height % number;
    (changed / number % 7 != 6).then(|| changed.to_string().into_bytes())
}

/// Ends the readers, also when the writer fails.
struct Ends<'test>(&'test AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Some keys change often, some seldom; memory has room for all of them, for a few, or for none.
fn what_memory_keeps_of_the_state_is_what_the_storage_holds(disk: &Disk) {
    const KEYS: u64 = 12;
    const BLOCKS: u64 = 150;
    let key = |number: u64| format!("key/{number}").into_bytes();
    for (round, state_cache_bytes) in [0, 700, 1_000_000].into_iter().enumerate() {
        let config = StoreConfig { state_cache_bytes, ..StoreConfig::default() };
        let disk = disk.empty();
        let ledger = disk.open_with(&genesis(), config).unwrap();
        let changes = |height: u64| -> Changes {
            let changed = (1..=KEYS).filter(|number| height.is_multiple_of(*number));
            changed.map(|number| (key(number), value_at(number, height))).collect()
        };
        extend(&ledger, changes(0), Vec::new());
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _ends = Ends(&is_done);
            scope.spawn(|| {
                for reads in 0_u64.. {
                    let newest = ledger.require_head().unwrap().height();
                    // The newest height as it was a moment ago, and one that is older.
                    let height = newest.saturating_sub(reads % 5);
                    let number = reads % KEYS + 1;
                    let value = ledger.view_at(height).unwrap().state(&key(number)).unwrap();
                    assert_eq!(value, value_at(number, height), "key {number} at {height}, round {round}");
                    if is_done.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
            for height in 1..BLOCKS {
                let block = execute(&ledger, &tip(&ledger), changes(height), Vec::new());
                ledger.commit(&ledger.insert_pending(block).unwrap(), None).unwrap();
                for number in 1..=KEYS {
                    assert_eq!(ledger.state(&key(number)).unwrap(), value_at(number, height));
                }
            }
        });
    }
}
