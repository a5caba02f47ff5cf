//! `avald backup`, `avald restore` and `avald verify-data`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aval_proof::TrustAnchor;
use aval_store::{Damage, Ledger, StoreConfig, StoreError, Verification};
use clap::Args;
use serde_json::json;

use super::output;
use crate::backup::{self, Manifest, WorkingCopy};
use crate::clock;
use crate::config::{GENESIS_FILE, Home};
use crate::core::WITNESS_BLOCKS_KEPT;
use crate::engine::Journals;
use crate::fault::{Fault, file_fault};
use crate::genesis_file::GenesisFile;

/// How much later than the retention witnesses may be erased: housekeeping comes round every minute at least, and the
/// engine drops whole files.
const ERASING_SLACK_MS: u64 = 120_000;
/// What the engine's folders that hold blocks have in their names.
const ENGINE_BLOCKS: [&str; 2] = ["finalized-blocks", "marshal-cache"];

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The node's folder. The node may be running.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn backup(arguments: &BackupArguments) -> Result<(), Fault> {
    let home = Home::open(&arguments.home)?;
    let to =
        std::path::absolute(&arguments.to).map_err(|error| file_fault("a backup", &arguments.to, &error))?;
    let manifest = match backup::ask(home.path(), &to)? {
        Some(manifest) => manifest,
        None => {
            let genesis = GenesisFile::read(&home.genesis_file())?;
            if !home.ledger_folder().exists() {
                let home = home.path().display();
                return Err(Fault::not_found(format!("{home} has no ledger: there is nothing to back up")));
            }
            let ledger = Ledger::open(&home.ledger_folder(), &genesis.hash, StoreConfig::default())?;
            backup::write(&ledger, &genesis, &to)?
        }
    };
    let Manifest { height, oldest, digest, files, .. } = &manifest;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    if arguments.json {
        output::json(
            &json!({ "to": to, "height": height, "oldest": oldest, "digest": digest, "bytes": bytes }),
        );
    } else {
        output::data(&format!(
            "{}: height {height}, {} MiB, no witnesses, no keys",
            to.display(),
            bytes >> 20
        ));
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The node's folder, with configuration, genesis file and key, and without a ledger.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// A backup, of this node or of another one.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The height to restore; the newest of the backup if left out.
    #[arg(long, value_name = "HEIGHT")]
    height: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn restore(arguments: &RestoreArguments) -> Result<(), Fault> {
    let home = Home::open(&arguments.home)?;
    let tell = |step: &str| output::talk(&format!("avald: {step}"));
    let report = backup::restore(&home, &arguments.from, arguments.height, &mut { tell })?;
    if arguments.json {
        output::json(&view(&report, None));
    } else {
        output::data(&format!(
            "restored height {}: {} blocks, {} entries, all verified from the genesis file",
            report.height, report.blocks, report.entries
        ));
        output::talk(
            "Next: avald start --join URL of a node that runs. This node follows without voting until the end of the \
             first epoch that it sees live, because what its key signed after the backup is not known here.",
        );
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// The folder of a node that does not run.
    #[arg(long, value_name = "DIR", required_unless_present = "backup")]
    home: Option<PathBuf>,
    /// A backup instead: the way to check a running node is to check its backup.
    #[arg(long, value_name = "DIR", conflicts_with = "home")]
    backup: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn verify_data(arguments: &VerifyArguments) -> Result<(), Fault> {
    let (genesis, ledger, engine, copy) = match (&arguments.home, &arguments.backup) {
        (_, Some(backup)) => {
            let copy = WorkingCopy::of(backup)?;
            (backup.join(GENESIS_FILE), copy.ledger(), None, Some(copy))
        }
        (Some(home), None) => {
            let home = Home::open(home)?;
            (home.genesis_file(), home.ledger_folder(), Some(home.engine_folder()), None)
        }
        (None, None) => return Err(Fault::usage("name --home or --backup")),
    };
    let genesis = GenesisFile::read(&genesis)?;
    if !ledger.exists() {
        return Err(Fault::not_found(format!(
            "{} does not exist: there is nothing to check",
            ledger.display()
        )));
    }
    let retention_ms = genesis.genesis.parameters.witness_retention_ms;
    let before_ms = clock::now_ms().saturating_sub(retention_ms.saturating_add(ERASING_SLACK_MS));
    // A backup has none at all.
    let (before_ms, kept) = if copy.is_some() { (u64::MAX, 0) } else { (before_ms, WITNESS_BLOCKS_KEPT) };
    let mut journals = None;
    let mut report = match examine(&genesis, &ledger, before_ms, kept) {
        Ok(report) => report,
        // Damage that keeps the ledger from being opened is what was looked for.
        Err(StoreError::Corrupt { what }) => Verification {
            damaged: 1,
            damages: vec![Damage { code: "data.file", what: format!("{}: {what}", ledger.display()) }],
            ..Verification::default()
        },
        Err(error) => return Err(error.into()),
    };
    if let Some(engine) = engine {
        for file in overdue_files(&engine, retention_ms)? {
            report.damaged += 1;
            let what = format!("{} was written before the retention of witnesses began", file.display());
            report.damages.push(Damage { code: "data.witness_overdue", what });
        }
        journals = read_journals(&engine)?;
        for (path, reason) in journals.iter().flat_map(|journals| &journals.damaged) {
            report.damaged += 1;
            let what = format!("{}: {reason}", path.display());
            report.damages.push(Damage { code: "data.journal", what });
        }
    }
    tell(arguments, &ledger, &report, journals.as_ref())
}

/// A node that never started has none.
fn read_journals(engine: &Path) -> Result<Option<Journals>, Fault> {
    if !engine.exists() {
        return Ok(None);
    }
    output::talk("avald: checking the engine's journals");
    let copy = WorkingCopy::of_engine(engine)?;
    let journals = Journals::read(engine, copy.folder());
    journals.map(Some).map_err(|error| file_fault("the check", engine, &error))
}

fn examine(
    genesis: &GenesisFile,
    ledger: &Path,
    before_ms: u64,
    kept: u64,
) -> Result<Verification, StoreError> {
    let ledger = Ledger::open(ledger, &genesis.hash, StoreConfig::default())?;
    let anchor = TrustAnchor::from_genesis(&genesis.bytes)
        .map_err(|error| StoreError::Corrupt { what: error.to_string() })?;
    ledger.verify(&anchor, before_ms, kept, &mut |part| output::talk(&format!("avald: checking {part}")))
}

/// Files of the engine that hold blocks and were last written so long ago that everything in them is older than the
/// retention. The engine drops such files while it runs.
fn overdue_files(engine: &Path, retention_ms: u64) -> Result<Vec<PathBuf>, Fault> {
    let age = Duration::from_millis(retention_ms.saturating_add(ERASING_SLACK_MS));
    let oldest = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut overdue = Vec::new();
    let Ok(folders) = fs::read_dir(engine) else { return Ok(overdue) };
    for folder in folders.flatten().map(|entry| entry.path()) {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let holds_blocks = ENGINE_BLOCKS.iter().any(|mark| name.contains(mark))
            && (name.ends_with("value") || name.ends_with("values"));
        if !folder.is_dir() || !holds_blocks {
            continue;
        }
        let failed = |error: std::io::Error| file_fault("the check", &folder, &error);
        for file in fs::read_dir(&folder).map_err(failed)?.flatten() {
            let about = file.metadata().map_err(failed)?;
            // A file starts with some bytes that are no block.
            if about.len() > ENGINE_HEAD_BYTES && about.modified().map_err(failed)? < oldest {
                overdue.push(file.path());
            }
        }
    }
    overdue.sort();
    Ok(overdue)
}

/// Bytes of an engine's file without content.
const ENGINE_HEAD_BYTES: u64 = 64;

fn view(report: &Verification, journals: Option<&Journals>) -> serde_json::Value {
    let damages: Vec<_> = report
        .damages
        .iter()
        .map(|damage| json!({ "code": damage.code, "what": damage.what, "repair": repair(damage.code) }))
        .collect();
    let journals = journals.map(|journals| {
        let unfinished = journals.unfinished.iter().map(|(file, at)| json!({ "file": file, "from": at }));
        json!({ "records": journals.records, "unfinished": unfinished.collect::<Vec<_>>() })
    });
    json!({
        "ok": report.damaged == 0,
        "height": report.height, "base": report.base, "oldest": report.oldest,
        "rows": report.rows, "blocks": report.blocks, "transactions": report.transactions,
        "certificates": report.certificates, "uncertified": report.uncertified,
        "entries": report.entries, "pastValues": report.past_values, "witnesses": report.witnesses,
        "journals": journals,
        "damaged": report.damaged, "damages": damages,
    })
}

/// What to do about a damage.
fn repair(code: &str) -> &'static str {
    match code {
        "data.witness_overdue" => {
            "start the node: it erases them within minutes; or remove the folder and join again"
        }
        _ => {
            "move the ledger's and the engine's folder away, both, then `avald restore` a backup or `avald start --join \
             URL`; check the disk"
        }
    }
}

fn tell(
    arguments: &VerifyArguments,
    ledger: &Path,
    report: &Verification,
    journals: Option<&Journals>,
) -> Result<(), Fault> {
    if arguments.json {
        output::json(&view(report, journals));
    } else {
        for damage in &report.damages {
            output::data(&format!("DAMAGED {} {}: {}", damage.code, damage.what, repair(damage.code)));
        }
        for (file, at) in journals.iter().flat_map(|journals| &journals.unfinished) {
            output::data(&format!(
                "UNFINISHED {} from byte {at}: a write that was interrupted, or damage. The node leaves it out when it \
                 starts; if the machine did not go down while the node ran, restore a backup instead, and check the disk",
                file.display()
            ));
        }
        output::data(&format!(
            "height {}, blocks from {}, state from {}: {} blocks, {} transactions, {} certificates, {} entries, {} past \
             values, {} witnesses, {} records of the engine; {} damaged",
            report.height,
            report.base,
            report.oldest,
            report.blocks,
            report.transactions,
            report.certificates,
            report.entries,
            report.past_values,
            report.witnesses,
            journals.map_or(0, |journals| journals.records),
            report.damaged
        ));
    }
    match report.damaged {
        0 => Ok(()),
        count => Err(Fault::invalid(format!(
            "{}: {count} damages, named above with their repair",
            ledger.display()
        ))),
    }
}
