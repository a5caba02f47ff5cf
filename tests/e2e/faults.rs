//! What happens when validators die: nothing acknowledged is lost, nothing differs, and work goes on when
//! enough are back.

use anyhow::{Context, Result, ensure};
use aval_client::TransactionStatus;
use aval_machine::testkit::Party;
use aval_tests::network::{Network, PATIENCE, now_s};
use aval_tests::process::eventually;
use aval_types::TransactionId;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Submits one update of each company to a node.
pub(crate) fn update_all(
    network: &Network,
    companies: &mut [Party],
    node: usize,
    revision: u64,
) -> Result<Vec<TransactionId>> {
    // A node that has not yet caught up would refuse, in good faith, what builds on newer state.
    let heights = (0..network.size()).filter_map(|index| network.head(index).ok());
    let height = heights.map(|(height, _)| height).max().context("no node answers")?;
    network.wait_height(node, height)?;
    let client = network.client(node)?;
    companies
        .iter_mut()
        .map(|company| {
            let document = network.kit.document(company, revision);
            Ok(client.submit(&company.update(&network.kit, document))?)
        })
        .collect()
}

/// Waits until a node knows that all of them are final.
pub(crate) fn wait_final(network: &Network, node: usize, ids: &[TransactionId]) -> Result<()> {
    let client = network.client(node)?;
    for id in ids {
        let status = client.wait(*id, PATIENCE)?;
        ensure!(matches!(status, TransactionStatus::Final { .. }), "{id} is {status:?}");
    }
    Ok(())
}

#[test]
fn a_validator_killed_under_load_catches_up_to_the_same_roots() -> Result<()> {
    let mut network = Network::start(201)?;
    let mut companies = network.enrol_members(0..40)?;
    let mut submitted = Vec::new();
    for round in 0..6 {
        submitted.extend(update_all(&network, &mut companies, round % 3, 100 + round as u64)?);
        if round == 1 {
            network.kill(3);
        }
        if round == 3 {
            network.start_node(3)?;
        }
        wait_final(&network, 0, &submitted)?;
    }
    network.wait_node_ready(3)?;
    wait_final(&network, 3, &submitted)?;
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)?;
    let verifying = network.verifying(3)?;
    for company in &companies {
        let record = verifying.did_record(&company.did)?.value.context("the DID is on the ledger")?;
        ensure!(record.version_id == company.version, "{} is at {}", company.did, record.version_id);
    }
    Ok(())
}

/// One round in an ordinary run; a soak (`AVAL_SOAK_SECONDS`) goes on for as long as it says.
#[test]
fn validators_killed_in_turn_under_load_lose_nothing() -> Result<()> {
    let seconds = std::env::var("AVAL_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (started, length) = (Instant::now(), Duration::from_secs(seconds));
    let mut network = Network::start(205)?;
    let mut companies = network.enrol_members(0..20)?;
    let (mut kills, mut revision) = (0, 1000);
    while kills < network.size() || started.elapsed() < length {
        // Transactions are valid for ten minutes of the kit's time, and a soak is longer.
        network.kit.now_s = now_s();
        let victim = kills % network.size();
        let (before, after) = ((victim + 1) % network.size(), (victim + 2) % network.size());
        let mut submitted = update_all(&network, &mut companies, before, revision)?;
        network.kill(victim);
        wait_final(&network, before, &submitted)?;
        submitted.extend(update_all(&network, &mut companies, after, revision + 1)?);
        network.start_node(victim)?;
        wait_final(&network, after, &submitted)?;
        network.wait_node_ready(victim)?;
        wait_final(&network, victim, &submitted)?;
        (kills, revision) = (kills + 1, revision + 2);
    }
    println!("{kills} kills in {} s", started.elapsed().as_secs());
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)
}

#[test]
fn with_two_validators_dead_nothing_finalizes_and_nothing_is_lost_when_one_returns() -> Result<()> {
    let mut network = Network::start(202)?;
    let mut companies = network.enrol_members(0..10)?;
    network.kill(2);
    network.kill(3);
    // A block whose votes were under way may still become final; after that the ledger stands still.
    std::thread::sleep(Duration::from_secs(2));
    let (before, _) = network.head(0)?;
    let ids = update_all(&network, &mut companies, 0, 7)?;
    std::thread::sleep(Duration::from_secs(4));
    let (after, _) = network.head(0)?;
    ensure!(before == after, "finalized without a quorum: {before} -> {after}");
    network.start_node(2)?;
    network.wait_node_ready(2)?;
    wait_final(&network, 0, &ids)?;
    network.start_node(3)?;
    network.wait_node_ready(3)?;
    let height = eventually("a common height", PATIENCE, || Ok(Some(network.head(0)?.0)))?;
    network.ensure_agreement(height)
}

#[test]
fn all_validators_killed_at_once_resume_where_they_were() -> Result<()> {
    let mut network = Network::start(203)?;
    let mut companies = network.enrol_members(0..10)?;
    let ids = update_all(&network, &mut companies, 1, 3)?;
    wait_final(&network, 1, &ids)?;
    let (height, _) = network.head(1)?;
    for index in 0..network.size() {
        network.kill(index);
    }
    for index in 0..network.size() {
        network.start_node(index)?;
    }
    network.wait_ready()?;
    ensure!(network.head(1)?.0 >= height, "node 1 forgot finalized blocks");
    let ids = update_all(&network, &mut companies, 2, 4)?;
    wait_final(&network, 2, &ids)?;
    let (height, _) = network.head(2)?;
    network.ensure_agreement(height)
}

#[test]
fn a_validator_stops_in_order_when_told_to() -> Result<()> {
    let mut network = Network::start(204)?;
    network.stop(3)?;
    let mut companies = network.enrol_members(0..2)?;
    let ids = update_all(&network, &mut companies, 0, 2)?;
    wait_final(&network, 0, &ids)
}

/// The library that stands between a program and its wall clock (Debian package `faketime`).
fn clock_library() -> Result<PathBuf> {
    let folder = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
    let library = PathBuf::from(folder);
    ensure!(library.exists(), "{} is missing: `make setup` installs it", library.display());
    Ok(library)
}

/// Starts a node again that ended because its clock jumped.
fn restart_after_jump(network: &mut Network, index: usize) -> Result<()> {
    let ended = eventually("the node notices that its clock jumped", PATIENCE, || network.ended(index))?;
    ensure!(ended.code() == Some(6), "{ended}");
    network.start_node(index)
}

#[test]
fn a_wall_clock_that_jumps_an_hour_ahead_and_back_stops_nobody_else_and_its_node_follows_again() -> Result<()>
{
    let mut network = Network::prepare(207, |options| {
        options.parameters.leader_timeout_ms = 500;
        // A validator whose clock is wrong proposes nothing that others take.
        options.parameters.validators.service_level_percent = 0;
    })?;
    let (library, clock) = (clock_library()?, network.folder().join("clock"));
    let set = |offset: &str| std::fs::write(&clock, offset);
    set("+0")?;
    let path = |path: &std::path::Path| path.to_str().map(str::to_owned).context("a UTF-8 path");
    network.set_environment(
        3,
        &[
            ("LD_PRELOAD", &path(&library)?),
            ("FAKETIME_TIMESTAMP_FILE", &path(&clock)?),
            ("FAKETIME_CACHE_DURATION", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ],
    );
    for index in 0..network.size() {
        network.start_node(index)?;
    }
    network.wait_ready()?;
    let mut companies = network.enrol_members(0..6)?;
    for (revision, offset) in (60..).zip(["+3600", "-3600", "+0"]) {
        set(offset)?;
        restart_after_jump(&mut network, 3)?;
        let ids = update_all(&network, &mut companies, 0, revision)?;
        for node in 0..3 {
            wait_final(&network, node, &ids)?;
        }
    }
    network.wait_node_ready(3)?;
    let (height, _) = network.head(0)?;
    network.wait_height(3, height)?;
    let ids = update_all(&network, &mut companies, 3, 70)?;
    wait_final(&network, 3, &ids)?;
    network.ensure_agreement(network.head(0)?.0)
}
