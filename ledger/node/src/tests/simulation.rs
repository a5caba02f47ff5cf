//! The scenarios of R-QA: loss, crash and restart, a partition that heals. Each runs twice with one seed.

use std::time::{Duration, Instant};

use aval_codec::Hash;

use super::network::{VALIDATORS, Validators, key_seeds, kit};
use crate::engine::simulation::{Quality, World, simulate};

/// Simulated time that a scenario may take.
const LIMIT: Duration = Duration::from_secs(500);

/// What a scenario ends with: height and state root.
type End = (u64, Hash);

/// Runs a scenario with the seed of the environment or the fixed one, twice; then with fresh seeds as long as
/// a soak lasts.
fn run<Fut: Future<Output = End>>(name: &str, fixed: u64, scenario: impl Fn(World, u64) -> Fut) {
    let once = |seed: u64| {
        println!("{name}: AVAL_SEED={seed}");
        let keys = key_seeds(&kit(seed));
        let outcome = simulate(seed, LIMIT, &keys, |world| scenario(world, seed));
        println!(
            "{name}: height {} state {} events {}",
            outcome.result.0, outcome.result.1, outcome.fingerprint
        );
        (outcome.result, outcome.fingerprint)
    };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("AVAL_SEED").unwrap_or(fixed);
    assert_eq!(once(seed), once(seed), "{name}: seed {seed} did not give the same history twice");
    let started = Instant::now();
    let soak = Duration::from_secs(number("AVAL_SOAK_SECONDS").unwrap_or(0));
    let fresh =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    for seed in (fresh << 20).. {
        if started.elapsed() >= soak {
            break;
        }
        once(seed);
    }
}

async fn start(world: World, seed: u64, quality: Quality) -> Validators {
    let validators = Validators::new(world, kit(seed), quality).await;
    validators.start_all().await;
    validators
}

#[test]
fn simulation_a_quiet_network_agrees() {
    run("quiet", 1, async |world, seed| {
        let validators = start(world, seed, Quality::GOOD).await;
        validators.work(6, 3).await;
        validators.reach(validators.height(0) + 2).await;
        validators.check()
    });
}

#[test]
fn simulation_an_idle_network_makes_one_block_per_heartbeat() {
    run("idle", 2, async |world, seed| {
        let validators = start(world, seed, Quality::GOOD).await;
        validators.reach(1).await;
        let before = validators.height(0);
        validators.world.sleep(Duration::from_secs(30)).await;
        let made = validators.height(0) - before;
        // A heartbeat is 500 ms; the network adds a few tens of milliseconds to each.
        assert!((45..=60).contains(&made), "{made} blocks in 30 s");
        validators.check()
    });
}

#[test]
fn simulation_a_network_that_loses_messages_agrees() {
    run("loss", 3, async |world, seed| {
        let validators = start(world, seed, Quality::LOSSY).await;
        validators.work(6, 8).await;
        validators.world.link_all(|_, _| Some(Quality::GOOD)).await;
        validators.reach((0..VALIDATORS).map(|index| validators.height(index)).max().unwrap_or(0) + 2).await;
        validators.check()
    });
}

#[test]
fn simulation_a_validator_that_crashes_catches_up() {
    run("crash", 4, async |world, seed| {
        let validators = start(world, seed, Quality::GOOD).await;
        let crash = async {
            validators.world.sleep(Duration::from_secs(3)).await;
            validators.crash(1).await;
            validators.world.sleep(Duration::from_secs(5)).await;
            validators.start(1).await;
        };
        futures::join!(validators.work(8, 24), crash);
        let tip = (0..VALIDATORS).map(|index| validators.height(index)).max().unwrap_or(0);
        validators.reach(tip + 2).await;
        validators.check()
    });
}

#[test]
fn simulation_a_validator_that_was_away_for_long_catches_up_from_the_ledgers_of_the_others() {
    run("away", 5, async |world, seed| {
        let validators = start(world, seed, Quality::GOOD).await;
        validators.reach(2).await;
        validators.crash(2).await;
        validators.work(4, 4).await;
        // Longer than the journals keep blocks, so that the others serve from their ledgers.
        validators.reach(300).await;
        validators.start(2).await;
        validators.reach(302).await;
        validators.check()
    });
}

#[test]
fn simulation_a_partition_stops_the_network_and_heals() {
    run("partition", 6, async |world, seed| {
        let validators = start(world, seed, Quality::GOOD).await;
        let cut = async {
            validators.world.sleep(Duration::from_secs(3)).await;
            let same_side = |from: usize, to: usize| (from < 2) == (to < 2);
            validators.world.link_all(|from, to| same_side(from, to).then_some(Quality::GOOD)).await;
            // What was under way may still become final on one side, then nothing.
            validators.world.sleep(Duration::from_secs(5)).await;
            let height = (0..VALIDATORS).map(|index| validators.height(index)).max();
            validators.world.sleep(Duration::from_secs(20)).await;
            assert_eq!(
                height,
                (0..VALIDATORS).map(|index| validators.height(index)).max(),
                "half a network decided"
            );
            validators.world.link_all(|_, _| Some(Quality::GOOD)).await;
        };
        futures::join!(validators.work(8, 12), cut);
        let tip = (0..VALIDATORS).map(|index| validators.height(index)).max().unwrap_or(0);
        validators.reach(tip + 2).await;
        validators.check()
    });
}

#[test]
fn simulation_all_validators_restart_after_a_power_failure() {
    run("power", 7, async |world, seed| {
        let validators = start(world, seed, Quality::GOOD).await;
        let failure = async {
            validators.world.sleep(Duration::from_secs(3)).await;
            for index in 0..VALIDATORS {
                validators.crash(index).await;
            }
            validators.world.sleep(Duration::from_secs(2)).await;
            validators.start_all().await;
        };
        futures::join!(validators.work(8, 12), failure);
        let tip = (0..VALIDATORS).map(|index| validators.height(index)).max().unwrap_or(0);
        validators.reach(tip + 2).await;
        validators.check()
    });
}

#[test]
fn simulation_a_validator_that_lost_its_ledger_refuses_to_start() {
    run("lost", 8, async |world, seed| {
        let validators = start(world, seed, Quality::GOOD).await;
        validators.reach(3).await;
        validators.crash(3).await;
        validators.lose_ledger(3);
        validators.start(3).await;
        validators.world.sleep(Duration::from_secs(2)).await;
        let failure = validators.world.failure(3).await.unwrap_or_default();
        assert!(failure.contains("FoldersApart"), "{failure}");
        validators.crash(3).await;
        validators.check()
    });
}
