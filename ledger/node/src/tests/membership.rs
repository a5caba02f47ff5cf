//! Nodes that join by the rules of the ledger: their operators come with a credential.

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

/// Registers newcomer `number` and starts it; returns its key and its index.
async fn join(nodes: &Validators, number: u64, kind: NodeKind) -> ([u8; 32], usize) {
    let kit = &nodes.kit;
    let operator = kit.company(1_000 + number);
    let credential = kit.credential(&operator, &["member", "observer", "operator"]);
    nodes.submit(0, &operator.create_with(kit, &credential)).await;
    let node = kit.registration(&operator, number, kind, ("public", "north"));
    let key = key_bytes(&node.key).expect("an Ed25519 key");
    nodes.submit(1, &operator.register(kit, node)).await;
    let index = VALIDATORS + usize::try_from(number).expect("a small number") - 1;
    nodes.start(index).await;
    (key, index)
}

#[test]
fn simulation_an_observer_follows_and_relays() {
    run(32, async |nodes| {
        let (key, observer) = join(&nodes, 1, NodeKind::Observer).await;
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
