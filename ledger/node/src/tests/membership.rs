//! Sets that change by the rules of the ledger: operators come with a credential, leave, and lose it.

use std::time::Duration;

use aval_codec::Hash;
use aval_types::NodeKind;
use aval_types::node::key_bytes;

use super::network::{EPOCH_BLOCKS, VALIDATORS, Validators, key_seeds, kit};
use crate::engine::simulation::{Quality, simulate};

/// Simulated time that a scenario may take.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs a scenario twice with one seed.
fn run<Fut: Future<Output = (u64, Hash)>>(seed: u64, scenario: impl Fn(Validators) -> Fut) {
    let once = || {
        let keys = key_seeds(&kit(seed));
        let outcome = simulate(seed, LIMIT, &keys, async |world| {
            let nodes = Validators::new(world, kit(seed), Quality::GOOD).await;
            nodes.start_all().await;
            nodes.submit(0, &nodes.kit.create_registry()).await;
            scenario(nodes).await
        });
        (outcome.result, outcome.fingerprint)
    };
    assert_eq!(once(), once(), "seed {seed} did not give the same history twice");
}

/// Registers newcomer `number` and starts it; returns its credential, its key and its index.
async fn join(
    nodes: &Validators,
    number: u64,
    kind: NodeKind,
) -> (aval_machine::testkit::Credential, [u8; 32], usize) {
    let kit = &nodes.kit;
    let operator = kit.company(1_000 + number);
    let credential = kit.credential(&operator, &["member", "observer", "operator"]);
    nodes.submit(0, &operator.create_with(kit, &credential)).await;
    let node = kit.registration(&operator, number, kind, ("public", "north"));
    let key = key_bytes(&node.key).expect("an Ed25519 key");
    nodes.submit(1, &operator.register(kit, node)).await;
    let index = VALIDATORS + usize::try_from(number).expect("a small number") - 1;
    nodes.start(index).await;
    (credential, key, index)
}

#[test]
fn simulation_sets_follow_credentials_over_crashes() {
    run(31, async |nodes| {
        let mut newcomers = Vec::new();
        for number in 1..=3 {
            newcomers.push(join(&nodes, number, NodeKind::Validator).await);
        }
        nodes.reach_set(0, |keys| keys.len() == 7).await;
        // A crash over the end of an epoch, of one that was in the set before and one that is new; not for so long
        // that their service level falls.
        let (second, newcomer) = (1, newcomers[0].2);
        let end = (nodes.height(0) / EPOCH_BLOCKS + 2) * EPOCH_BLOCKS;
        nodes.reach_on(&[0], end - 5).await;
        nodes.crash(second).await;
        nodes.crash(newcomer).await;
        nodes.reach_on(&[0], end + 2).await;
        nodes.start(second).await;
        nodes.start(newcomer).await;
        nodes.reach_on(&[second, newcomer], nodes.height(0)).await;

        for founder in [2, 3] {
            let key = nodes.kit.validator_keys()[founder].public();
            nodes.submit(0, &nodes.kit.operators[founder].leave(&nodes.kit, key)).await;
        }
        nodes.reach_set(0, |keys| keys.len() == 5).await;

        // A credential is revoked: the connection goes with the block, the seat with the epoch.
        let (credential, key, revoked) = &newcomers[2];
        nodes.submit(0, &nodes.kit.revoke(credential)).await;
        let at = nodes.height(0);
        nodes.reach_on(&[0, 1], at + 1).await;
        assert!(!nodes.world.is_linked(0, *revoked) && !nodes.world.is_linked(*revoked, 1));
        nodes.reach_set(0, |keys| !keys.contains(key)).await;
        assert!(nodes.height(0) <= at + EPOCH_BLOCKS + 1, "it stayed for more than an epoch");
        let heard = nodes.height(*revoked);
        let (_, replacement, index) = join(&nodes, 4, NodeKind::Validator).await;
        nodes.reach_set(0, |keys| keys.len() == 5 && keys.contains(&replacement)).await;
        nodes.reach_on(&[0, 1, newcomer, newcomers[1].2, index], nodes.height(0) + 5).await;
        assert_eq!(nodes.height(*revoked), heard, "the revoked node heard of further blocks");
        nodes.check()
    });
}

#[test]
fn simulation_an_observer_follows_and_relays() {
    run(32, async |nodes| {
        let (_, key, observer) = join(&nodes, 1, NodeKind::Observer).await;
        nodes.reach_on(&[observer], nodes.height(0)).await;
        let company = nodes.kit.company(1);
        let create = company.create_with(&nodes.kit, &nodes.kit.membership(&company));
        let core = nodes.core(observer).expect("it runs");
        core.ingress.submit(&create.to_body()).await.expect("a member's transaction is taken in");
        let id = create.transaction.id();
        while core.ledger.transaction(&id).expect("the ledger can be read").is_none() {
            nodes.world.sleep(Duration::from_millis(100)).await;
        }
        // Over two changes of epoch it stays what it is.
        nodes.reach_on(&[observer], nodes.height(0) + 2 * EPOCH_BLOCKS).await;
        assert!(!nodes.set(0).contains(&key) && !core.roster.place().votes);
        assert_eq!(core.roster.place().epoch, nodes.height(observer) / EPOCH_BLOCKS);
        nodes.check()
    });
}
