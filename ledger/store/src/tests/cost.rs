//! What a write costs. Not a test of anything: run it with
//! `cargo nextest run --release -p aval-store --run-ignored only --no-capture cost`.

use std::time::Instant;

use aval_machine::Changes;

use super::fixture::*;
use crate::StoreConfig;

/// Keys that exist before anything is measured.
const KEYS: u64 = 200_000;
/// Keys that one block changes.
const KEYS_PER_BLOCK: u64 = 500;
/// Reads and proofs that are measured.
const READS: u64 = 10_000;
/// Blocks that are measured.
const BLOCKS: u64 = 200;

/// A number that is as good as random and the same in each run.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A record about as long as that of a DID with two keys and a service.
fn record(number: u64, version: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let did = format!("did:aval:demo:Qm{:016x}{:016x}{:010}", mixed(number), mixed(number + 1), number);
    let noise: String =
        (0..16).map(|part| format!("{:016x}", mixed(number * 977 + version * 31 + part))).collect();
    let control = format!(r#"{{"threshold":1,"keys":["z6Mk{noise}"]}}"#);
    let method = format!(r#"{{"id":"key-1","type":"Multikey","publicKeyMultibase":"z6Mk{noise}"}}"#);
    let value = format!(
        r#"{{"did":"{did}","versionId":"{version}-Qm{noise}","control":{control},"document":{{"methods":[{method}]}}}}"#
    );
    (format!("did/{did}").into_bytes(), Some(value.into_bytes()))
}

/// Time that passed, and processor time of this thread.
#[derive(Clone, Copy, Default)]
struct Spent {
    wall_us: f64,
    processor_us: f64,
}

/// Adds what `work` takes to `spent`.
fn measured<T>(spent: &mut Spent, work: impl FnOnce() -> T) -> T {
    let (started, processor) = (Instant::now(), processor_us());
    let result = work();
    spent.wall_us += started.elapsed().as_secs_f64() * 1e6;
    spent.processor_us += processor_us() - processor;
    result
}

fn processor_us() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e3
}

fn report(what: &str, spent: Spent, times: u64) {
    let each = |us: f64| us / times as f64;
    println!("{what}: {:.1} us, {:.1} us of processor", each(spent.wall_us), each(spent.processor_us));
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn folder_bytes(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            if entry.path().is_dir() { folder_bytes(&entry.path()) } else { entry.metadata().unwrap().len() }
        })
        .sum()
}

fn disk_bytes(disk: &Disk) -> u64 {
    match disk {
        Disk::Memory(_) => 0,
        Disk::Rocks(folder) => folder_bytes(folder.path()),
    }
}

fn transactions(first: u64, count: u64) -> Vec<aval_types::BlockTransaction> {
    (first..first + count)
        .map(|number| {
            let noise: String =
                (0..40).map(|part| format!("{:016x}", mixed(number * 1_009 + part))).collect();
            transaction(&noise)
        })
        .collect()
}

#[test]
#[ignore = "a measurement"]
fn cost_on_rocks() {
    cost(&Disk::rocks());
}

#[test]
#[ignore = "a measurement"]
fn cost_on_memory() {
    cost(&Disk::memory());
}

fn cost(disk: &Disk) {
    let config = StoreConfig { history_heights: Some(256), ..StoreConfig::default() };
    let ledger = disk.open_with(&genesis(), config).unwrap();
    println!("resident after open: {} MiB", resident_bytes() >> 20);
    let start = Instant::now();
    for first in (0..KEYS).step_by(2_000) {
        extend(&ledger, (first..first + 2_000).map(|number| record(number, 1)).collect(), Vec::new());
    }
    println!("{KEYS} keys written in {:?}; resident {} MiB", start.elapsed(), resident_bytes() >> 20);

    let before = disk_bytes(disk);
    let (mut tree, mut commit, mut idle) = (Spent::default(), Spent::default(), Spent::default());
    for block in 0..BLOCKS {
        let first = block * KEYS_PER_BLOCK;
        let changes: Changes =
            (first..first + KEYS_PER_BLOCK).map(|number| record(mixed(number) % KEYS, 2 + block)).collect();
        let transactions = transactions(first, KEYS_PER_BLOCK);
        let view = ledger.view(&tip(&ledger)).unwrap();
        measured(&mut tree, || view.tree(&changes).unwrap());
        let own = execute(&ledger, &tip(&ledger), changes, transactions);
        measured(&mut commit, || ledger.commit(&own, Some(&certificate(own.height()))).unwrap());
    }
    let written = disk_bytes(disk) - before;
    for _ in 0..BLOCKS {
        let own = execute(&ledger, &tip(&ledger), Changes::new(), Vec::new());
        measured(&mut idle, || ledger.commit(&own, Some(&certificate(own.height()))).unwrap());
    }
    report("tree, a key", tree, BLOCKS * KEYS_PER_BLOCK);
    report("commit, a key", commit, BLOCKS * KEYS_PER_BLOCK);
    report("an empty block", idle, BLOCKS);
    println!("{} bytes on disk per update", written / (BLOCKS * KEYS_PER_BLOCK));

    let height = ledger.require_head().unwrap().height();
    let (mut read, mut proof) = (Spent::default(), Spent::default());
    for number in 0..READS {
        let (key, _) = record(mixed(number) % KEYS, 1);
        measured(&mut read, || assert!(ledger.state(&key).unwrap().is_some()));
        measured(&mut proof, || assert!(ledger.prove(&key, height).unwrap().value.is_some()));
    }
    report("a read", read, READS);
    report("a proof after it", proof, READS);
    let started = Instant::now();
    let pruned = ledger.prune(usize::MAX).unwrap();
    println!(
        "pruned {} rows in {:?}; resident {} MiB",
        pruned.rows,
        started.elapsed(),
        resident_bytes() >> 20
    );
}
