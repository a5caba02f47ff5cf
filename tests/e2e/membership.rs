//! The set of validators changes while the network runs and is written to: nobody is restarted, nothing differs.

use anyhow::{Context, Result, ensure};
use aval_client::TransactionStatus;
use aval_machine::testkit::Options;
use aval_tests::network::{Enrolled, Network, PATIENCE, consecutive_ports, finalize_by};
use aval_tests::process::eventually;
use aval_tests::writers::Writers;
use aval_types::NodeKind;
use aval_types::governance::Change;
use aval_types::parameters::{ParametersChange, ValidatorChange};
use serde_json::Value;
use std::time::{Duration, Instant};

const EPOCH_BLOCKS: u64 = 15;
/// How long a change of the set may take: some epochs of some seconds, on a loaded machine.
const CHANGE_PATIENCE: Duration = Duration::from_secs(120);

fn short_epochs(options: &mut Options) {
    options.parameters.heartbeat_ms = 500;
    options.parameters.validators.epoch_blocks = EPOCH_BLOCKS;
    options.parameters.governance.notice_blocks = 1;
    options.governor_threshold = 3;
    // On a loaded machine a validator may be slow without being at fault, and this is not what is tested here.
    options.parameters.validators.service_level_percent = 0;
}

/// Registers a node, and starts it.
fn join(network: &mut Network, number: u64, kind: NodeKind, region: &str) -> Result<Enrolled> {
    let newcomer = network.enrol_node(number, kind, region)?;
    network.start_node(newcomer.index)?;
    network.wait_node_ready(newcomer.index)?;
    Ok(newcomer)
}

/// The keys of the set, and the epoch, as a node has them.
fn set(network: &Network, index: usize) -> Result<(u64, Vec<String>)> {
    let status = network.get(index, "/v1/status")?;
    let epoch = status["epoch"]["number"].as_u64().with_context(|| format!("no epoch in {status}"))?;
    let keys = status["epoch"]["validators"].as_array().context("no validators")?;
    Ok((epoch, keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
}

fn wait_set(network: &Network, index: usize, what: &str, is_it: impl Fn(&[String]) -> bool) -> Result<u64> {
    eventually(what, CHANGE_PATIENCE, || {
        let (epoch, keys) = set(network, index)?;
        Ok(is_it(&keys).then_some(epoch))
    })
}

/// Whether a node admits the key, as it says.
fn admits(network: &Network, index: usize, key: &str) -> Result<bool> {
    let status = network.get(index, "/v1/status")?;
    let peers = status["peers"].as_array().context("no peers")?;
    Ok(peers.iter().any(|peer| peer["key"] == key))
}

/// What revoking a validator's credential came to.
struct Cut {
    blocks_to_disconnection: u64,
    disconnection: Duration,
    blocks_to_leaving: u64,
    leaving: Duration,
}

/// Revokes the credential of a newcomer's operator and measures what follows on the `honest` nodes.
fn revoke(network: &Network, newcomer: &Enrolled, honest: &[usize]) -> Result<Cut> {
    let started = Instant::now();
    let revoked_at = finalize_by(&network.client(0)?, &network.kit.revoke(&newcomer.credential))?;
    let mut blocks_to_disconnection = 0;
    for index in honest {
        let height = eventually("the revoked node is not admitted any more", PATIENCE, || {
            let (height, _) = network.head(*index)?;
            let is_gone = height >= revoked_at && !admits(network, *index, &newcomer.key)?;
            Ok(is_gone.then_some(height))
        })?;
        blocks_to_disconnection = blocks_to_disconnection.max(height - revoked_at);
    }
    let disconnection = started.elapsed();
    // The sockets are closed: no block that is made from now on reaches the revoked node.
    let heard = network.head(newcomer.index)?.0;
    let epoch =
        wait_set(network, 0, "the revoked node out of the set", |keys| !keys.contains(&newcomer.key))?;
    let leaving = started.elapsed();
    let still = network.head(newcomer.index)?.0;
    ensure!(still <= heard + 1, "the revoked node heard of {} further blocks", still - heard);
    Ok(Cut {
        blocks_to_disconnection,
        disconnection,
        blocks_to_leaving: epoch * EPOCH_BLOCKS - revoked_at,
        leaving,
    })
}

/// The governors vote that the set has so many validators, each of another region.
fn one_of_a_region(network: &Network, size: u32) -> Result<()> {
    let validators = ValidatorChange {
        size_min: Some(size),
        size_max: Some(size),
        per_region_max: Some(1),
        ..ValidatorChange::default()
    };
    let change = ParametersChange { validators: Some(validators), ..ParametersChange::default() };
    let governors = &network.kit.operators;
    let execute_at = network.head(0)?.0 + 2 * EPOCH_BLOCKS;
    let proposal = governors[0].propose(&network.kit, Change::Parameters(change), execute_at);
    let client = network.client(0)?;
    finalize_by(&client, &proposal).context("the proposal")?;
    let votes: Vec<_> = governors
        .iter()
        .take(3)
        .map(|governor| client.submit(&governor.vote(&network.kit, proposal.transaction.id(), true)))
        .collect::<Result<_, _>>()?;
    for vote in votes {
        let status = client.wait(vote, PATIENCE)?;
        ensure!(matches!(status, TransactionStatus::Final { .. }), "a vote is {status:?}");
    }
    network.wait_height(0, execute_at)
}

/// Four validators with short epochs, members that write, and what writes.
fn start(seed: u64) -> Result<(Network, Writers)> {
    let mut network = Network::prepare(seed, short_epochs)?;
    for index in 0..network.size() {
        network.start_node(index)?;
    }
    network.wait_ready()?;
    let members = network.enrol_members(0..8)?;
    let writers = Writers::start(&network, &[0, 1], members)?;
    Ok((network, writers))
}

#[test]
fn sets_change_from_four_to_seven_to_five_and_one_is_replaced_under_load() -> Result<()> {
    let (mut network, writers) = start(301)?;
    let founders: Vec<String> =
        network.kit.validator_keys().iter().map(|key| key.public().to_multikey()).collect();

    let started = Instant::now();
    let mut newcomers = Vec::new();
    for (number, region) in (1..=3).zip(["north", "south", "north"]) {
        newcomers.push(join(&mut network, number, NodeKind::Validator, region)?);
    }
    let epoch = wait_set(&network, 0, "seven validators", |keys| keys.len() == 7)?;
    println!("4 -> 7 validators by epoch {epoch}, {:.1} s", started.elapsed().as_secs_f64());

    let started = Instant::now();
    for (operator, key) in network.kit.operators.iter().zip(network.kit.validator_keys()).skip(2) {
        let leave = operator.leave(&network.kit, key.public());
        finalize_by(&network.client(0)?, &leave).context("a founder leaves")?;
    }
    let epoch = wait_set(&network, 0, "five validators", |keys| keys.len() == 5)?;
    println!("7 -> 5 validators by epoch {epoch}, {:.1} s", started.elapsed().as_secs_f64());
    let (_, keys) = set(&network, 0)?;
    ensure!(founders[..2].iter().all(|key| keys.contains(key)), "{keys:?}");
    ensure!(!founders[2..].iter().any(|key| keys.contains(key)), "{keys:?}");

    // One of the two in the north loses its credential, and one of the west takes its place.
    let honest = [0, 1, newcomers[0].index, newcomers[1].index];
    let cut = revoke(&network, &newcomers[2], &honest)?;
    println!(
        "revoked: disconnected {} blocks and {:.2} s after, out of the set {} blocks and {:.1} s after",
        cut.blocks_to_disconnection,
        cut.disconnection.as_secs_f64(),
        cut.blocks_to_leaving,
        cut.leaving.as_secs_f64()
    );
    ensure!(cut.blocks_to_disconnection <= 1, "disconnected {} blocks late", cut.blocks_to_disconnection);
    ensure!(cut.blocks_to_leaving <= EPOCH_BLOCKS, "left {} blocks late", cut.blocks_to_leaving);
    let replacement = join(&mut network, 4, NodeKind::Validator, "west")?;
    wait_set(&network, 0, "the replacement", |keys| keys.len() == 5 && keys.contains(&replacement.key))?;

    // The governors want five regions in a set of five. Both founders that are left are of one: the junior of them
    // stays until somebody from a fifth region waits, and then gives way.
    ensure!(keys.contains(&founders[1]), "{keys:?}");
    one_of_a_region(&network, 5)?;
    let diverse = join(&mut network, 5, NodeKind::Validator, "east")?;
    let epoch = wait_set(&network, 0, "the one of another region", |keys| keys.contains(&diverse.key))?;
    let (_, keys) = set(&network, 0)?;
    ensure!(keys.len() == 5 && keys.contains(&founders[0]) && !keys.contains(&founders[1]), "{keys:?}");
    println!("replaced for diversity by epoch {epoch}");

    let written = writers.stop()?;
    println!("{written} writes became final meanwhile");
    ensure!(written > 0, "nothing was written");
    let (height, _) = network.head(0)?;
    for index in [replacement.index, diverse.index] {
        network.wait_height(index, height)?;
    }
    for index in [2, 3, newcomers[2].index] {
        // They left or were revoked, and follow no more.
        network.kill(index);
    }
    network.ensure_agreement(height)
}

#[test]
fn an_observer_joins_follows_proves_and_relays_and_a_stranger_is_not_let_in() -> Result<()> {
    let (mut network, writers) = start(302)?;
    // Over at least one change of the set.
    join(&mut network, 1, NodeKind::Validator, "north")?;
    wait_set(&network, 0, "five validators", |keys| keys.len() == 5)?;
    let observer = join(&mut network, 2, NodeKind::Observer, "west")?;
    let written = writers.stop()?;
    ensure!(written > 0, "nothing was written");
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)?;
    // Asked one after the other, they may be a block and with it an epoch apart.
    eventually("the observer has the set of the others", PATIENCE, || {
        Ok((set(&network, observer.index)? == set(&network, 0)?).then_some(()))
    })?;
    let status = network.get(observer.index, "/v1/status")?;
    ensure!(status["role"] == "observer" && status["epoch"]["votes"] == false, "{status}");

    // Its reads verify from genesis, and what it is given becomes final.
    let verifying = network.verifying(observer.index)?;
    let mut member = network.kit.company(0);
    member.version = verifying.did_record(&member.did)?.value.context("the DID is on the ledger")?.version_id;
    let update = member.update(&network.kit, network.kit.document(&member, 1));
    finalize_by(&network.client(observer.index)?, &update).context("a write by the observer")?;

    // It comes back after a crash without being told anything again.
    network.kill(observer.index);
    let (height, _) = network.head(0)?;
    network.start_node(observer.index)?;
    network.wait_height(observer.index, height + 3)?;

    // A key that nobody registered can fetch blocks, which anybody may read, and is refused.
    let stranger = network.add_node(&network.kit.key("a stranger"), consecutive_ports(1)?)?;
    network.start_node(stranger)?;
    eventually("the stranger gives up", PATIENCE, || {
        let log = std::fs::read_to_string(network.folder().join(format!("node-{stranger}.log")))?;
        Ok(log.contains("is not admitted to the network").then_some(()))
    })?;
    network.kill(stranger);
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)
}
