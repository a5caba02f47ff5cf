//! Whether the simulation would notice: each deliberate fault of the program ([`Sabotage`]) is compiled in,
//! and chosen, and has to be caught by one of a few seeds. `AVAL_FAULT=<name>` tries one alone.

use aval_machine::sabotage::{self, Sabotage};

use super::try_seed;

/// Seeds that a fault has at most before it counts as not caught.
const SEEDS_MAX: u64 = 60;

#[test]
fn simulation_catches_every_deliberate_fault() {
    let mut missed = Vec::new();
    println!("{:<24}{:>6}  caught by", "fault", "seed");
    let only = std::env::var("AVAL_FAULT").ok();
    for fault in Sabotage::ALL {
        if only.as_ref().is_some_and(|name| *name != format!("{fault:?}")) {
            continue;
        }
        sabotage::choose(Some(*fault));
        let caught = (1..=SEEDS_MAX).find_map(|seed| Some((seed, try_seed(seed).err()?)));
        sabotage::choose(None);
        match caught {
            Some((seed, told)) => {
                let line = told.lines().next().unwrap_or_default();
                let line = line.split_once(": ").map_or(line, |(_, rest)| rest);
                let short: String = line.chars().take(100).collect();
                println!("{:<24}{seed:>6}  {short}", format!("{fault:?}"));
            }
            None => {
                println!("{:<24}{:>6}", format!("{fault:?}"), "-");
                missed.push(fault);
            }
        }
    }
    assert!(missed.is_empty(), "not caught within {SEEDS_MAX} seeds: {missed:?}");
}
