//! Random runs of whole networks (specs/simulation.md): what happens is made from a seed, what must hold is
//! looked at all along.
//!
//! `AVAL_SEED=<n>` replays one seed, `AVAL_SEEDS=<n>` runs so many fresh ones; without either, a fixed set
//! and a few fresh ones run. `make simulate` is the way to all of it.

mod byzantine;
mod nodes;
mod plan;
mod story;
#[cfg(feature = "sabotage")]
mod teeth;
mod watch;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aval_types::Action;

use byzantine::Kind;
use plan::{FAULTS, Plan};
use story::{Report, run};

/// The seeds that every run of the tests has; together they cover every kind of action, fault and lie.
const FIXED: std::ops::RangeInclusive<u64> = 1..=24;
/// Fresh seeds of an ordinary run of the tests.
const FRESH: u64 = 6;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Seeds that nobody has seen before.
fn fresh(count: u64) -> Vec<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let first = u64::try_from(now).unwrap_or(0) << 10;
    (first..first + count).collect()
}

/// A run that fails in whatever way is told with its seed.
fn try_seed(seed: u64) -> Result<Report, String> {
    let plan = Plan::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&plan, None)));
    let told = match outcome {
        Ok(report) => match &report.violation {
            None => return Ok(report),
            Some(violation) => format!("{}: {}", violation.invariant, violation.seen),
        },
        Err(panic) => match panic.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => panic.downcast_ref::<&str>().unwrap_or(&"it panicked").to_string(),
        },
    };
    Err(format!("seed {seed}: {told}\nthe plan: {plan:?}\nreplay it: AVAL_SEED={seed} make simulate"))
}

/// What many runs have covered.
#[derive(Default)]
struct Coverage {
    runs: u64,
    blocks: u64,
    applied: BTreeMap<&'static str, usize>,
    faults: BTreeMap<&'static str, usize>,
}

impl Coverage {
    fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.blocks += report.height;
        for (into, from) in [(&mut self.applied, &report.applied), (&mut self.faults, &report.faults)] {
            for (what, count) in from {
                *into.entry(what).or_default() += count;
            }
        }
    }

    fn print(&self, took: Duration) {
        let per_minute = self.runs as f64 * 60.0 / took.as_secs_f64().max(0.001);
        println!("simulation: {} seeds, {} blocks, {per_minute:.0} seeds per minute", self.runs, self.blocks);
        println!("faults: {:?}", self.faults);
        println!("actions: {:?}", self.applied);
    }

    /// Kinds of action, fault and lie that never came about.
    fn missing(&self) -> Vec<&'static str> {
        let liars = Kind::ALL.iter().map(|kind| kind.name());
        let faults = FAULTS.iter().copied().chain(liars).filter(|what| !self.faults.contains_key(what));
        Action::KINDS.iter().copied().filter(|kind| !self.applied.contains_key(kind)).chain(faults).collect()
    }
}

/// Runs seeds on all cores; panics with the failures.
fn run_all(seeds: &[u64]) -> Coverage {
    let started = Instant::now();
    let (next, coverage) = (AtomicUsize::new(0), Mutex::new(Coverage::default()));
    let failures = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(seeds.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match try_seed(*seed) {
                        Ok(report) => coverage.lock().unwrap().add(&report),
                        Err(failure) => {
                            println!("{failure}");
                            failures.lock().unwrap().push(failure);
                        }
                    }
                }
            });
        }
    });
    let coverage = coverage.into_inner().unwrap();
    coverage.print(started.elapsed());
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} seeds failed:\n{}",
        failures.len(),
        seeds.len(),
        failures.join("\n")
    );
    coverage
}

#[test]
fn simulation_of_random_networks_keeps_every_promise() {
    if let Some(seed) = number("AVAL_SEED") {
        println!("{:?}", Plan::new(seed));
        let (once, again) = (try_seed(seed), try_seed(seed));
        let report = once.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(
            Some(report.fingerprint),
            again.ok().map(|report| report.fingerprint),
            "not the same twice"
        );
        return;
    }
    if let Some(count) = number("AVAL_SEEDS") {
        run_all(&fresh(count));
        return;
    }
    let seeds: Vec<u64> = FIXED.chain(fresh(FRESH)).collect();
    println!("simulation: fixed seeds {FIXED:?}, fresh seeds {:?}", &seeds[seeds.len() - FRESH as usize..]);
    let coverage = run_all(&seeds);
    assert_eq!(coverage.missing(), Vec::<&str>::new(), "the fixed seeds do not cover everything any more");
}

#[test]
fn simulation_of_a_random_network_has_one_history_for_one_seed() {
    let plan = Plan::new(1);
    let (once, again) = (run(&plan, None), run(&plan, None));
    assert_eq!((once.fingerprint, once.height), (again.fingerprint, again.height));
}

#[test]
fn simulation_of_random_networks_with_ledgers_on_disk_keeps_every_promise() {
    let seeds = if number("AVAL_SOAK_SECONDS").is_some() { 1..=20 } else { 3..=3 };
    for seed in seeds {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let report = run(&Plan::new(seed), Some(folder.path().to_path_buf()));
        assert!(report.violation.is_none(), "seed {seed}: {:?}", report.violation);
    }
}
