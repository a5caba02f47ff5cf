//! What happens when links fail: validators on hosts of their own, in namespaces, with links that are slow, lose
//! packets or are cut.

use anyhow::{Context, Result, ensure};
use aval_client::TransactionStatus;
use aval_machine::testkit::Party;
use aval_tests::hosts::Link;
use aval_tests::network::{Network, PATIENCE, now_s};
use aval_types::TransactionId;
use std::time::{Duration, Instant};

/// How long a partition lasts: some timeouts of leaders.
const CUT: Duration = Duration::from_secs(5);

/// Whether to walk all shapes of the large network: `AVAL_SOAK_SECONDS` is set.
fn is_soak() -> bool {
    std::env::var_os("AVAL_SOAK_SECONDS").is_some()
}

fn start(seed: u64, validators: usize) -> Result<(Network, Vec<Party>)> {
    let mut network = Network::prepare_on_hosts(seed, validators, |options| {
        // Short, since a leader on the other side of a cut costs this much.
        options.parameters.leader_timeout_ms = 1_000;
        // A validator that is cut off for a test is not at fault.
        options.parameters.validators.service_level_percent = 0;
    })?;
    for index in 0..network.size() {
        network.start_node(index)?;
    }
    network.wait_ready()?;
    let members = network.enrol_members(0..4)?;
    Ok((network, members))
}

/// Submits an update of a member to a node, which acknowledges it.
fn submit(network: &Network, node: usize, member: &mut Party, revision: u64) -> Result<TransactionId> {
    let client = network.client(node)?;
    let update = member.update(&network.kit, network.kit.document(member, revision));
    Ok(client.submit(&update)?)
}

fn wait_final(network: &Network, node: usize, id: TransactionId) -> Result<()> {
    let client = network.client(node)?;
    let status = client.wait(id, PATIENCE)?;
    ensure!(matches!(status, TransactionStatus::Final { .. }), "{id} is {status:?} at node {node}");
    Ok(())
}

/// Every way to cut a network of `count` into groups, up to the names of its members: `[3, 1]`, `[2, 2]`, and so on.
fn shapes(count: usize, largest: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    (1..=count.min(largest))
        .rev()
        .flat_map(|first| {
            shapes(count - first, first).into_iter().map(move |rest| [vec![first], rest].concat())
        })
        .collect()
}

/// The members of the groups of a shape; `turn` says who is in which.
fn groups(shape: &[usize], count: usize, turn: usize) -> Vec<Vec<usize>> {
    let mut members = (0..count).map(|index| (index + turn) % count);
    shape.iter().map(|size| members.by_ref().take(*size).collect()).collect()
}

/// The heights of all nodes.
fn heights(network: &Network) -> Result<Vec<u64>> {
    (0..network.size()).map(|index| Ok(network.head(index)?.0)).collect()
}

/// Waits until no node has finalized anything for a second: a vote that came through just before a cut may still be
/// in a queue of a busy machine.
fn wait_still(network: &Network, nodes: &[usize]) -> Result<Vec<u64>> {
    let started = Instant::now();
    let mut before = heights(network)?;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let after = heights(network)?;
        if nodes.iter().all(|node| before[*node] == after[*node]) {
            return Ok(after);
        }
        ensure!(started.elapsed() < PATIENCE, "{nodes:?} go on without a quorum: {before:?}, {after:?}");
        before = after;
    }
}

/// Cuts the network into groups while a member writes, and heals it.
fn survive(network: &mut Network, member: &mut Party, shape: &[usize], turn: usize) -> Result<()> {
    let count = network.size();
    let quorum = count - (count - 1) / 3;
    let groups = groups(shape, count, turn);
    let largest = groups[0].clone();
    let without_quorum: Vec<usize> =
        groups.iter().filter(|group| group.len() < quorum).flatten().copied().collect();
    // Transactions are valid for ten minutes of the kit's time, and all shapes take longer.
    network.kit.now_s = now_s();
    network.hosts()?.partition(&groups)?;
    let before = wait_still(network, &without_quorum)?;
    let highest = before.iter().copied().max().unwrap_or(0);
    let revision = 100 + u64::try_from(turn)?;
    let id = submit(network, largest[0], member, revision)?;
    std::thread::sleep(CUT);
    if largest.len() >= quorum {
        for index in &largest {
            // One that lags catches up with its group; only a height that nobody had yet is newly decided.
            network
                .wait_height(*index, highest + 1)
                .with_context(|| format!("{shape:?}: a quorum stood still"))?;
        }
    }
    let after = heights(network)?;
    for index in without_quorum {
        // One that lacked a block may still get it from its group; more than anybody had, no group decides.
        let (was, is) = (before[index], after[index]);
        ensure!(is <= highest, "{shape:?}: node {index} went from {was} to {is} without a quorum");
    }
    let healed = Instant::now();
    network.hosts()?.link_all(Link::default())?;
    for index in 0..count {
        wait_final(network, index, id)?;
    }
    println!("{shape:?}: all have it {:.1} s after the links were whole", healed.elapsed().as_secs_f64());
    network.ensure_agreement(network.head(0)?.0)
}

#[test]
fn four_validators_survive_partitions_of_every_shape() -> Result<()> {
    let (mut network, mut members) = start(501, 4)?;
    for (turn, shape) in shapes(4, 4).iter().enumerate() {
        survive(&mut network, &mut members[0], shape, turn)?;
    }
    Ok(())
}

/// An ordinary run walks the shapes on both sides of a quorum; a soak all of them.
#[test]
fn seven_validators_survive_partitions_of_every_shape() -> Result<()> {
    let (mut network, mut members) = start(502, 7)?;
    let mut shapes = shapes(7, 7);
    if !is_soak() {
        shapes.retain(|shape| matches!(shape[..], [5, 2] | [4, 3] | [5, 1, 1]));
    }
    for (turn, shape) in shapes.iter().enumerate() {
        survive(&mut network, &mut members[0], shape, turn)?;
    }
    Ok(())
}

#[test]
fn a_validator_that_hears_and_is_not_heard_does_not_stop_the_others_and_comes_back() -> Result<()> {
    let (mut network, mut members) = start(503, 4)?;
    network.hosts()?.silence(0)?;
    for (revision, member) in (10..).zip(&mut members) {
        let id = submit(&network, 1, member, revision)?;
        wait_final(&network, 2, id)?;
    }
    network.hosts()?.link_all(Link::default())?;
    let (height, _) = network.head(1)?;
    network.wait_height(0, height)?;
    network.ensure_agreement(height)
}

#[test]
fn slow_links_that_lose_packets_cost_time_and_nothing_else() -> Result<()> {
    let (mut network, mut members) = start(504, 4)?;
    let link =
        Link { delay: Duration::from_millis(40), jitter: Duration::from_millis(20), loss_permille: 20 };
    network.hosts()?.link_all(link)?;
    let mut slowest = Duration::ZERO;
    for revision in 20..23 {
        for (node, member) in members.iter_mut().enumerate() {
            let started = Instant::now();
            let id = submit(&network, node, member, revision)?;
            wait_final(&network, node, id)?;
            slowest = slowest.max(started.elapsed());
        }
    }
    println!("40 to 60 ms each way, 2 % lost: the slowest write took {:.2} s", slowest.as_secs_f64());
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)
}
