//! What a node keeps on disk, by profile: the figures of `specs/storage.md`.
//!
//! Three ledgers, one of each profile, get the same blocks. Bytes are those of the files once everything is pruned,
//! erased and compacted that the profile says; beside them stands what lay there before compaction, as a node
//! has it in the middle of its work.

use anyhow::{Context, Result};
use aval_machine::Changes;
use aval_machine::testkit::{Kit, Options, Party};
use aval_proof::TrustAnchor;
use aval_store::{Ledger, StoreConfig};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::chain::{Chain, ensure_same};
use crate::report::Report;

/// Blocks without work, a second apart, after which a light ledger has only such blocks.
const SETTLING_BLOCKS: u64 = 2_200;
/// Transactions of a block.
const BLOCK: usize = 200;

/// Measures what a ledger takes on disk.
#[derive(Debug, Args)]
pub(crate) struct Storage {
    /// Where the report goes
    #[arg(long, default_value = "bench-storage.json")]
    report: PathBuf,
    /// DIDs on the ledger
    #[arg(long, default_value_t = 100_000)]
    dids: u64,
    /// Members that write
    #[arg(long, default_value_t = 1_000)]
    members: u64,
    /// Updates of documents
    #[arg(long, default_value_t = 20_000)]
    updates: u64,
    /// Blocks without work
    #[arg(long, default_value_t = 5_000)]
    idle_blocks: u64,
    /// Seed of all keys
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the ledgers are made; a folder of the system's for such things if left out
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// The profiles, as `avald` has them with epochs of 300 blocks.
fn profiles() -> [(&'static str, StoreConfig); 3] {
    let store = |history_heights, block_heights| StoreConfig {
        history_heights,
        block_heights,
        ..StoreConfig::default()
    };
    [
        ("archive", store(None, None)),
        ("full", store(Some(1_000), None)),
        ("light", store(Some(256), Some(2_048))),
    ]
}

struct Bench<'kit> {
    chain: Chain<'kit>,
    folders: Vec<PathBuf>,
    report: Report,
}

impl Bench<'_> {
    /// Bytes of each profile now, at rest.
    fn sizes(&mut self) -> Result<Vec<f64>> {
        let mut sizes = Vec::new();
        for (ledger, folder) in self.chain.ledgers.iter().zip(&self.folders) {
            while !ledger.erase_witnesses(u64::MAX, 100_000)?.is_done {}
            while !ledger.prune(100_000)?.is_done {}
            ledger.compact()?;
            sizes.push(folder_bytes(folder) as f64);
        }
        Ok(sizes)
    }

    /// What a stretch of work leaves, for each of `count` things.
    fn stretch(
        &mut self,
        name: &str,
        count: u64,
        work: impl FnOnce(&mut Chain<'_>) -> Result<()>,
    ) -> Result<()> {
        let before = self.sizes()?;
        let started = Instant::now();
        work(&mut self.chain)?;
        let spent = started.elapsed().as_secs_f64();
        let raw: Vec<f64> = self.folders.iter().map(|folder| folder_bytes(folder) as f64).collect();
        let mut after = self.sizes()?;
        // A light ledger forgets blocks, and a full one past state, when they are old enough.
        let interval_ms = std::mem::replace(&mut self.chain.interval_ms, 1_000);
        for _ in 0..SETTLING_BLOCKS {
            self.chain.block(Vec::new(), Changes::new())?;
        }
        self.chain.interval_ms = interval_ms;
        let settled = self.sizes()?;
        if let ([archive, full, light], [archive_then, full_then, light_then]) =
            (after.as_mut_slice(), settled.as_slice())
        {
            // What these blocks themselves take is no part of the stretch.
            *full = full_then - (archive_then - *archive);
            *light = *light_then;
        }
        for (index, (profile, _)) in profiles().iter().enumerate() {
            let each = |bytes: f64| (bytes - before[index]) / count as f64;
            self.report.push(&format!("{profile}_bytes_per_{name}"), each(after[index]));
            self.report.push(&format!("{profile}_bytes_per_{name}_before_compaction"), each(raw[index]));
        }
        eprintln!("bench: {count} of {name} in {spent:.0} s");
        Ok(())
    }
}

pub(crate) fn run(arguments: &Storage) -> Result<()> {
    let mut options = Options { seed: arguments.seed, ..Options::default() };
    options.parameters.block_transactions_max = 4_096;
    let kit = Kit::with(options);
    let temporary = tempfile::tempdir()?;
    let root = arguments.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let (mut ledgers, mut folders) = (Vec::new(), Vec::new());
    for (profile, config) in profiles() {
        let folder = root.join(profile);
        ledgers.push(Ledger::open(&folder, &kit.network().genesis(), config)?);
        folders.push(folder);
    }
    let workload = format!(
        "{} DIDs, {} members, {} updates of documents of about 450 bytes, {} to a block, {} blocks without work; profiles \
         archive, full (1,000 heights of history), light (256, and blocks of 10 minutes or 2,048 heights)",
        arguments.dids, arguments.members, arguments.updates, BLOCK, arguments.idle_blocks
    );
    let time_ms = kit.now_s * 1_000;
    let chain = Chain::begin(&kit, ledgers, time_ms)?;
    let mut bench = Bench { chain, folders, report: Report::new(&workload, arguments.seed) };
    bench.chain.block(vec![kit.create_registry()], Changes::new())?;
    let (pattern, changes) = bench.chain.member(arguments.members)?;
    let did = pattern.did.to_string();

    let mut members: Vec<Party> = (0..arguments.members).map(|number| kit.company(number)).collect();
    bench.stretch("create", arguments.members, |chain| {
        for chunk in members.chunks(BLOCK) {
            let creates = chunk.iter().map(|one| one.create_with(chain.kit, &chain.kit.membership(one)));
            let creates = creates.collect();
            chain.block(creates, Changes::new())?;
        }
        Ok(())
    })?;
    bench.stretch("did", arguments.dids, |chain| chain.bulk(&changes, &did, 0, arguments.dids))?;
    // The time of blocks goes on as it would at some 2,000 writes a second.
    bench.stretch("update", arguments.updates, |chain| {
        let mut revision = 0;
        // The kit's own time stands still.
        let begin = chain.now_s() - 5;
        let mut left = arguments.updates as usize;
        while left > 0 {
            for chunk in members.chunks_mut(BLOCK) {
                revision += 1;
                let count = left.min(chunk.len());
                let updates = chunk[..count].iter_mut().map(|member| {
                    let document = chain.kit.document(member, revision);
                    member.update_draft(chain.kit, document).window(begin, begin + 600).submit()
                });
                let updates = updates.collect();
                chain.block(updates, Changes::new())?;
                left -= count;
                if left == 0 {
                    break;
                }
            }
        }
        Ok(())
    })?;
    bench.chain.interval_ms = 5_000;
    bench.stretch("idle_block", arguments.idle_blocks, |chain| {
        (0..arguments.idle_blocks).try_for_each(|_| chain.block(Vec::new(), Changes::new()).map(drop))
    })?;
    let height = bench.chain.height()?;
    ensure_same(&bench.chain.ledgers)?;
    snapshot(&mut bench, &kit, &root, height)?;
    let text = bench.report.finish()?;
    std::fs::write(&arguments.report, &text).with_context(|| arguments.report.display().to_string())?;
    println!("{text}");
    Ok(())
}

/// Takes the state as a snapshot, without a network, and checks the whole ledger.
fn snapshot(bench: &mut Bench<'_>, kit: &Kit, root: &Path, height: u64) -> Result<()> {
    let full = bench.chain.ledgers.get(1).context("the full ledger")?.clone();
    let folder = root.join("installed");
    let started = Instant::now();
    {
        let copy = Ledger::open(&folder, &kit.network().genesis(), StoreConfig::default())?;
        copy.install_from(&full, height)?;
    }
    bench.report.push("snapshot_install_seconds", started.elapsed().as_secs_f64());
    bench.report.push("snapshot_bytes_on_disk", folder_bytes(&folder) as f64);
    let started = Instant::now();
    let anchor = TrustAnchor::from_genesis(kit.genesis_bytes())?;
    let report = full.verify(&anchor, u64::MAX, 0, &mut |_| ())?;
    // Blocks of the bulk have changes that no transaction made, which is none of the check's business.
    anyhow::ensure!(report.damaged == 0, "{:?}", report.damages);
    bench.report.push("verify_seconds", started.elapsed().as_secs_f64());
    bench.report.push("state_entries", report.entries as f64);
    Ok(())
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
