//! Upgrades: a node that does not know the version of the next block stops before it, and one that does goes on.

use std::time::Duration;

use aval_machine::testkit::{Draft, Party};
use aval_types::governance::{Change, GovernancePropose, GovernanceVote, Upgrade};
use aval_types::{Action, Parameters};

use super::network::{VALIDATORS, Validators, key_seeds, kit};
use crate::engine::simulation::{Quality, World, simulate};
use crate::executor::reason_to_stop;

/// Simulated time that a scenario may take.
const LIMIT: Duration = Duration::from_secs(500);

/// Proposes version 2, has it approved, and gives its height.
async fn schedule(validators: &Validators) -> u64 {
    let kit = &validators.kit;
    let governor: &Party = &kit.operators[0];
    let execute_at = validators.height(0) + 20;
    let height = execute_at + 6;
    let change = Change::Upgrade(Upgrade { version: 2, height });
    let action = GovernancePropose { change, execute_at, title: "version 2".to_owned() };
    let proposal = Draft::new(kit, Action::GovernancePropose(action)).sender(governor).submit();
    validators.submit(0, &proposal).await;
    let vote = GovernanceVote { proposal: proposal.transaction.id(), approve: true };
    validators.submit(0, &Draft::new(kit, Action::GovernanceVote(vote)).sender(governor).submit()).await;
    assert!(validators.height(0) < execute_at, "the vote came in time");
    height
}

fn version(validators: &Validators, index: usize) -> u32 {
    let core = validators.core(index).expect("it runs");
    let bytes =
        core.ledger.state(b"parameters").expect("the state can be read").expect("there are parameters");
    serde_json::from_slice::<Parameters>(&bytes).expect("the rules wrote them").version
}

async fn network(world: World, seed: u64, versions: [u32; VALIDATORS]) -> Validators {
    let validators = Validators::new(world, kit(seed), Quality::GOOD).await;
    for (index, version) in versions.into_iter().enumerate() {
        validators.start_knowing(index, version).await;
    }
    validators
}

#[test]
fn a_node_that_does_not_know_the_version_stops_before_its_height_and_the_others_go_on() {
    let seed = 11;
    simulate(seed, LIMIT, &key_seeds(&kit(seed)), async |world| {
        let validators = network(world, seed, [2, 2, 2, 1]).await;
        let height = schedule(&validators).await;
        while validators.height(0) < height + 5 {
            validators.world.sleep(Duration::from_millis(100)).await;
        }
        let failure = validators.world.failure(3).await.expect("it stopped by itself");
        let sentence =
            format!("block {height} is under protocol version 2, and this program knows versions up to 1");
        assert!(failure.contains(&sentence), "{failure}");
        assert_eq!(validators.height(3), height - 1);
        assert!(reason_to_stop(&validators.core(3).expect("kept").ledger, 1).unwrap().is_some());
        assert_eq!((version(&validators, 0), version(&validators, 3)), (2, 1));
        // The same folder with a program that knows the version.
        validators.crash(3).await;
        validators.start_knowing(3, 2).await;
        validators.reach(height + 10).await;
        assert_eq!(version(&validators, 3), 2);
        validators.check()
    });
}

#[test]
fn a_network_that_does_not_know_the_version_makes_no_block_of_it() {
    let seed = 12;
    simulate(seed, LIMIT, &key_seeds(&kit(seed)), async |world| {
        let validators = network(world, seed, [1, 1, 1, 1]).await;
        let height = schedule(&validators).await;
        validators.world.sleep(Duration::from_secs(60)).await;
        for index in 0..VALIDATORS {
            assert_eq!(validators.height(index), height - 1);
        }
        validators.check()
    });
}
