//! The benchmark: four validators as processes on this machine, and the workload of a national registry in small.
//!
//! A write is a signed transaction that replaces a DID document of about 450 bytes; its sender is authorized
//! by a live grant, whose credential was verified when it was granted and whose status is checked every time.
//! A read resolves a random DID; *proved* means with state proof and certificate. Nodes sync every block to
//! disk, and the load generator shares the machine with them.
//!
//! Every figure is the median of several runs, which are in the report as well. Nothing here asserts a time.

mod chain;
mod join;
mod load;
mod measure;
mod overload;
mod reads;
mod report;
mod storage;

use anyhow::{Context, Result};
use aval_tests::network::Network;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

use load::{Load, Pace};
use measure::Machine;
use report::Report;

/// As the nodes have it, so that the load takes as little of the machine as it can.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a network of four validators on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Where the report goes
    #[arg(long, default_value = "bench-report.json")]
    report: PathBuf,
    /// Seconds of each run at saturation
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds of each run at a fixed rate
    #[arg(long, default_value_t = 20)]
    paced_seconds: u64,
    /// Runs of each kind
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Members who write: each has at most one write under way
    #[arg(long, default_value_t = 4_000)]
    members: u64,
    /// Further members who write all at once when more is offered than can be done; 0 leaves this out
    #[arg(long, default_value_t = 12_000)]
    overload_members: u64,
    /// Seed of all keys
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is measured apart from the network under load.
#[derive(Debug, Subcommand)]
enum Part {
    /// What a ledger takes on disk, by profile: the figures of specs/storage.md.
    Storage(storage::Storage),
    /// How long a new node takes to join, while others write.
    Join(join::Join),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Storage(storage)) => storage::run(storage),
        Some(Part::Join(join)) => join::run(join),
        None => network(&arguments),
    }
}

fn network(arguments: &Arguments) -> Result<()> {
    let mut network = Network::start(arguments.seed)?;
    let mut report = Report::new(&arguments_text(arguments), arguments.seed);
    std::thread::sleep(Duration::from_secs(5));
    report.push("rss_mib_idle", Machine::of(&network)?.rss_mib_max);

    eprintln!("bench: {} members join", arguments.members);
    let mut load = Load::join(&network, 0..arguments.members)?;
    for run in 1..=arguments.runs {
        let before = Machine::of(&network)?;
        let outcome = load.run(&network, Pace::Saturation, Duration::from_secs(arguments.seconds))?;
        let after = Machine::of(&network)?;
        let writes = outcome.finalized.max(1) as f64;
        report.push("writes_per_second", outcome.per_second());
        report.push("saturated_p50_ms", outcome.percentile_ms(50));
        report.push("saturated_p99_ms", outcome.percentile_ms(99));
        report.push("cpu_ms_per_write", (after.cpu_ms - before.cpu_ms) / writes);
        report.push("disk_bytes_per_write", (after.disk_bytes - before.disk_bytes) / writes / 4.0);
        report.push("rss_mib_saturated", after.rss_mib_max);
        report.push("failures", outcome.failures as f64);
        eprintln!("bench: run {run}: {:.0} writes/s, {} failures", outcome.per_second(), outcome.failures);
    }
    let half = (report.median("writes_per_second").unwrap_or(200.0) / 2.0).max(1.0);
    for (name, rate) in [("100", 100.0), ("1000", 1_000.0), ("half", half)] {
        for _ in 0..arguments.runs {
            let pace = Pace::PerSecond(rate);
            let outcome = load.run(&network, pace, Duration::from_secs(arguments.paced_seconds))?;
            let p50 = outcome.percentile_ms(50);
            let p99 = outcome.percentile_ms(99);
            report.push(&format!("write_p50_ms_at_{name}"), p50);
            report.push(&format!("write_p99_ms_at_{name}"), p99);
            if name == "half" {
                report.push("write_p50_ms", p50);
                report.push("write_p99_ms", p99);
            }
            report.push("failures", outcome.failures as f64);
        }
        eprintln!("bench: latency at {name} measured");
    }
    let dids = load.dids();
    for _ in 0..arguments.runs {
        let window = Duration::from_secs(arguments.paced_seconds.min(10));
        let plain = reads::resolve(&network, &dids, reads::Kind::Plain, window)?;
        let proved = reads::resolve(&network, &dids, reads::Kind::Proved, window)?;
        report.push("reads_per_second", plain.per_second);
        report.push("proved_reads_per_second", proved.per_second);
        report.push("proof_bytes", proved.proof_bytes);
    }
    // Last, since it leaves work behind.
    measure_overload(&mut network, arguments, &mut report)?;
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height).context("the nodes agree after the load")?;
    let text = report.finish()?;
    std::fs::write(&arguments.report, &text).with_context(|| arguments.report.display().to_string())?;
    println!("{text}");
    Ok(())
}

/// Offers far more than the runs at saturation have shown to be possible.
fn measure_overload(network: &mut Network, arguments: &Arguments, report: &mut Report) -> Result<()> {
    if arguments.overload_members == 0 {
        return Ok(());
    }
    // The other measurements may have taken longer than a transaction is valid.
    network.kit.now_s = aval_tests::network::now_s();
    let network = &*network;
    let numbers = arguments.members..arguments.members + arguments.overload_members;
    let outcome =
        overload::run(network, Load::join(network, numbers)?, Duration::from_secs(arguments.seconds))?;
    let percentile = |sorted: &[f64], percent: usize| {
        sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN)
    };
    let peak = report.median("writes_per_second").unwrap_or(f64::NAN);
    report.push("overload_offered_of_peak", outcome.offered_per_second / peak);
    report.push("overload_writes_of_peak", outcome.finalized_per_second / peak);
    report.push("overload_refused_share", outcome.refused);
    report.push("overload_p50_ms", percentile(&outcome.latencies_ms, 50));
    report.push("overload_p99_ms", percentile(&outcome.latencies_ms, 99));
    report.push("overload_health_p99_ms", percentile(&outcome.health_ms, 99));
    report.push("overload_rss_mib", Machine::of(network)?.rss_mib_max);
    eprintln!(
        "bench: overload: {:.1} times the peak offered, {:.2} of the peak done",
        outcome.offered_per_second / peak,
        outcome.finalized_per_second / peak
    );
    Ok(())
}

fn arguments_text(arguments: &Arguments) -> String {
    format!(
        "4 validators, {} members, did.update of about 450 bytes by a live grant, {} s at saturation, {} s paced, {} runs",
        arguments.members, arguments.seconds, arguments.paced_seconds, arguments.runs
    )
}
