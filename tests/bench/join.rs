//! How long a new node takes to join a network with many DIDs, while others write.
//!
//! The ledger of the network is made once ([`crate::chain`]) and handed to four validators as their own; they go on
//! from it. Then a node with nothing but the genesis file joins by a snapshot: the state in chunks, each verified
//! against the certified root, the blocks of the replay window, and what became final meanwhile.

use anyhow::{Context, Result, ensure};
use aval_machine::Changes;
use aval_machine::testkit::Party;
use aval_store::{Ledger, StoreConfig};
use aval_tests::files;
use aval_tests::network::Network;
use aval_tests::process::{Running, eventually, program};
use aval_types::NodeKind;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::chain::Chain;
use crate::load::{Load, Pace};
use crate::report::Report;

const EPOCH_BLOCKS: u64 = 30;
/// How often a snapshot is offered.
const SNAPSHOT_HEIGHTS: u64 = 4 * EPOCH_BLOCKS;
/// How long joining may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Measures how long a new node takes to join.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// Where the report goes
    #[arg(long, default_value = "bench-join.json")]
    report: PathBuf,
    /// DIDs on the ledger
    #[arg(long, default_value_t = 100_000)]
    dids: u64,
    /// Members that write meanwhile
    #[arg(long, default_value_t = 200)]
    members: u64,
    /// Writes a second meanwhile
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Runs: one new node each
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Seed of all keys
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(arguments: &Join) -> Result<()> {
    let mut network = Network::prepare(arguments.seed, |options| {
        options.parameters.heartbeat_ms = 500;
        options.parameters.validators.epoch_blocks = EPOCH_BLOCKS;
        options.parameters.validators.service_level_percent = 0;
    })?;
    let base = network.folder().join("base");
    let (members, height) = make(&network, &base, arguments)?;
    for index in 0..network.size() {
        let home = network.home(index);
        files::copy(&base, &home.join("ledger"))?;
        std::fs::create_dir_all(home.join("engine"))?;
        let genesis = network.kit.network().genesis();
        std::fs::write(home.join("engine/NETWORK"), format!("{genesis}\n"))?;
        std::fs::write(home.join("engine/JOINED"), format!("{height}\n"))?;
        network.configure(index, |config| {
            config["ledger"] = json!({ "snapshotHeights": SNAPSHOT_HEIGHTS });
        })?;
        network.start_node(index)?;
    }
    network.wait_ready()?;
    // Blocks that were made without rules cannot be followed: the first snapshot behind them is what can be joined by.
    let offered = (height / SNAPSHOT_HEIGHTS + 1) * SNAPSHOT_HEIGHTS;
    eventually("a snapshot is offered", PATIENCE, || {
        Ok((network.head(0)?.0 > offered + EPOCH_BLOCKS).then_some(()))
    })?;
    let workload = format!(
        "4 validators, {} DIDs, {} members writing {} a second, epochs of {EPOCH_BLOCKS} blocks",
        arguments.dids, arguments.members, arguments.rate
    );
    let mut report = Report::new(&workload, arguments.seed);
    let mut load = Load::of(members, &network)?;
    for run in 0..arguments.runs {
        let node = add_observer(&mut network, 1 + run)?;
        let home = network.home(node);
        let is_joined = std::sync::atomic::AtomicBool::new(false);
        let network = &network;
        let (seconds, written) = std::thread::scope(|scope| -> Result<(f64, u64)> {
            let joining = scope.spawn(|| {
                let joined = join(network, node, &home);
                is_joined.store(true, std::sync::atomic::Ordering::SeqCst);
                joined
            });
            let mut written = 0;
            while !is_joined.load(std::sync::atomic::Ordering::SeqCst) {
                let pace = Pace::PerSecond(arguments.rate);
                written += load.run(network, pace, Duration::from_secs(5))?.finalized;
            }
            let seconds = joining.join().map_err(|_| anyhow::anyhow!("joining panicked"))??;
            Ok((seconds, written))
        })?;
        report.push("join_seconds", seconds);
        report.push("joined_ledger_mib", files::bytes(&home.join("ledger")) as f64 / 1_048_576.0);
        report.push("writes_meanwhile", written as f64);
        eprintln!("bench: joined in {seconds:.1} s");
    }
    report.push("dids", arguments.dids as f64);
    let text = report.finish()?;
    std::fs::write(&arguments.report, &text).with_context(|| arguments.report.display().to_string())?;
    println!("{text}");
    Ok(())
}

/// Makes the ledger, up to the end of an epoch. Gives its members and its height.
fn make(network: &Network, folder: &Path, arguments: &Join) -> Result<(Vec<Party>, u64)> {
    let kit = &network.kit;
    let ledger = Ledger::open(folder, &kit.network().genesis(), StoreConfig::default())?;
    let mut chain = Chain::begin(kit, vec![ledger], kit.genesis().time)?;
    chain.interval_ms = 10;
    // Transactions are valid from a little before the kit's time on.
    chain.wait_until((kit.now_s - 1) * 1_000);
    chain.block(vec![kit.create_registry()], Changes::new())?;
    let mut members = Vec::new();
    let mut last = None;
    for number in 0..arguments.members.max(1) {
        let (member, changes) = chain.member(number)?;
        last = Some((member.did.to_string(), changes));
        members.push(member);
    }
    let (did, changes) = last.context("a member")?;
    chain.bulk(&changes, &did, 0, arguments.dids)?;
    while !(chain.height()? + 1).is_multiple_of(EPOCH_BLOCKS) {
        chain.block(Vec::new(), Changes::new())?;
    }
    Ok((members, chain.height()?))
}

fn add_observer(network: &mut Network, number: u64) -> Result<usize> {
    // Making the ledger may have taken longer than a transaction is valid.
    network.kit.now_s = aval_tests::network::now_s();
    Ok(network.enrol_node(number, NodeKind::Observer, "north")?.index)
}

/// Starts the node and waits until it is in step; seconds.
fn join(network: &Network, node: usize, home: &Path) -> Result<f64> {
    let mut command = Command::new(program("avald")?);
    command.args(["start", "--home"]).arg(home);
    let log = network.folder().join(format!("node-{node}.log"));
    let started = Instant::now();
    let mut running = Running::start("the new node", command, &log)?;
    let url = format!("{}/ready", network.url(node));
    eventually("the new node is in step", PATIENCE, || {
        running.ensure_alive()?;
        Ok(ureq::get(&url).call().is_ok().then_some(()))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let log = std::fs::read_to_string(&log)?;
    ensure!(log.contains("the snapshot is installed"), "it did not join by a snapshot:\n{log}");
    running.stop(Duration::from_secs(60))?;
    Ok(seconds)
}
