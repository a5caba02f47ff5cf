//! What happens when a disk lies: files of a node's folder cut short or with a bit changed.
//!
//! A node either says which file is damaged and what to do, and ends; or it mends itself from what the others have.
//! It never answers with something else than the others.

use anyhow::{Context, Result, ensure};
use aval_machine::testkit::Party;
use aval_tests::files;
use aval_tests::network::{Network, PATIENCE};
use aval_tests::process::{Finished, eventually, program};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The node whose files are damaged.
const VICTIM: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    /// One bit in the middle.
    Flip,
    /// The second half.
    Cut,
}

impl Damage {
    fn to(self, file: &Path) -> Result<()> {
        let mut bytes = std::fs::read(file)?;
        let middle = bytes.len() / 2;
        match self {
            Self::Flip => bytes[middle] ^= 0x10,
            Self::Cut => bytes.truncate(middle),
        }
        Ok(std::fs::write(file, bytes)?)
    }
}

/// The files below a folder that hold something, by their path.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.metadata()?.len() > 0 {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// What kind of file it is, so that one of each is damaged and not all: the last part of the name in the ledger's
/// folder, the journal in the engine's.
fn kind(sound: &Path, file: &Path) -> String {
    let name = file.strip_prefix(sound).unwrap_or(file).display().to_string();
    match name.strip_prefix("engine/") {
        Some(journal) => journal.split('-').take(2).filter(|word| !word.contains('/')).collect(),
        None => name
            .rsplit(['/', '.', '-'])
            .next()
            .unwrap_or_default()
            .replace(|digit: char| digit.is_ascii_digit(), ""),
    }
}

/// What became of a node that was started on a damaged folder.
#[derive(Debug)]
enum Outcome {
    /// It ended, with this sentence.
    Refused(String),
    /// It runs and has caught up.
    Mended,
}

fn start(network: &mut Network, height: u64) -> Result<Outcome> {
    let log = network.folder().join(format!("node-{VICTIM}.log"));
    let before = std::fs::read_to_string(&log).unwrap_or_default().len();
    network.start_node(VICTIM)?;
    eventually("the damaged node ends, or catches up", PATIENCE, || {
        if let Some(status) = network.ended(VICTIM)? {
            let text = std::fs::read_to_string(&log)?;
            let text = &text[before..];
            ensure!(status.code().is_some_and(|code| code != 0), "it ended with {status}: {text}");
            let sentence = text.lines().rev().find(|line| line.starts_with("avald: "));
            return Ok(Some(Outcome::Refused(sentence.context("it said nothing")?.to_owned())));
        }
        let is_there = network.head(VICTIM).is_ok_and(|(reached, _)| reached >= height);
        Ok(is_there.then_some(Outcome::Mended))
    })
}

/// Whatever the node answers about these DIDs is proven, and what the others have.
fn ensure_truth(network: &Network, companies: &[Party], height: u64) -> Result<()> {
    let verifying = network.verifying(VICTIM)?;
    for company in companies {
        // A node that cannot read something says so; that is no lie.
        if let Ok(answer) = verifying.did_record(&company.did) {
            let record = answer.value.context("the DID is on the ledger")?;
            ensure!(record.version_id == company.version, "{} is at {}", company.did, record.version_id);
        }
    }
    for at in 1..=height {
        if let Ok(digest) = network.block_digest(VICTIM, at) {
            ensure!(digest == network.block_digest(0, at)?, "another block {at}");
        }
    }
    Ok(())
}

/// Whether a sentence names what is damaged and what helps.
fn says_what_to_do(sentence: &str, home: &Path) -> bool {
    let names_it = sentence.contains("is damaged")
        || sentence.contains("do not belong together")
        || sentence.contains(&home.display().to_string());
    let helps = ["restore", "remove", "choose", "use ", "move it"];
    names_it && helps.iter().any(|word| sentence.contains(word))
}

#[test]
fn a_damaged_file_is_named_or_mended_and_nothing_wrong_is_ever_served() -> Result<()> {
    let is_soak = std::env::var_os("AVAL_SOAK_SECONDS").is_some();
    let mut network = Network::start(208)?;
    let mut companies = network.enrol_members(0..6)?;
    // Restarts leave tables on disk, and not only the log of RocksDB.
    for revision in 2..4 {
        network.stop(VICTIM)?;
        network.start_node(VICTIM)?;
        network.wait_node_ready(VICTIM)?;
        for company in &mut companies {
            let update = company.update(&network.kit, network.kit.document(company, revision));
            network.finalize(VICTIM, &update)?;
        }
    }
    network.stop(VICTIM)?;
    let (home, sound) = (network.home(VICTIM), network.folder().join("sound"));
    files::copy(&home, &sound)?;
    let (mut seen, mut outcomes) = (BTreeMap::new(), Vec::new());
    for file in ["ledger", "engine"]
        .iter()
        .map(|folder| files(&sound.join(folder)))
        .collect::<Result<Vec<_>>>()?
        .concat()
    {
        let name = file.strip_prefix(&sound)?.to_owned();
        for damage in [Damage::Flip, Damage::Cut] {
            if !is_soak && seen.insert((kind(&sound, &file), damage), ()).is_some() {
                continue;
            }
            std::fs::remove_dir_all(&home)?;
            files::copy(&sound, &home)?;
            damage.to(&home.join(&name))?;
            let (height, _) = network.head(0)?;
            let outcome =
                start(&mut network, height).with_context(|| format!("{damage:?} {}", name.display()))?;
            match &outcome {
                Outcome::Refused(sentence) => {
                    ensure!(says_what_to_do(sentence, &home), "{damage:?} {}: {sentence}", name.display())
                }
                Outcome::Mended => {
                    ensure_truth(&network, &companies, height)
                        .with_context(|| format!("{damage:?} {}", name.display()))?;
                    network.kill(VICTIM);
                }
            }
            outcomes.push(format!("{damage:?} {}: {outcome:?}", name.display()));
        }
    }
    println!("{}", outcomes.join("\n"));
    ensure!(outcomes.len() >= 8, "so few files?");
    std::fs::remove_dir_all(&home)?;
    files::copy(&sound, &home)?;
    network.start_node(VICTIM)?;
    std::thread::sleep(Duration::from_millis(100));
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)
}

/// What `avald verify-data` says about a folder, and whether it ends without complaint.
fn verify_data(home: &Path) -> Result<(bool, Value)> {
    let mut command = Command::new(program("avald")?);
    let ended = Finished::of(command.args(["verify-data", "--json", "--home"]).arg(home))?;
    let report = serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))?;
    Ok((ended.code == 0, report))
}

/// Whether a report names a file, or the journal that it belongs to.
fn names(report: &Value, file: &Path) -> bool {
    let file = file.to_string_lossy();
    let unfinished =
        report["journals"]["unfinished"].as_array().into_iter().flatten().map(|one| &one["file"]);
    let damaged = report["damages"].as_array().into_iter().flatten().map(|one| &one["what"]);
    unfinished.chain(damaged).filter_map(Value::as_str).any(|said| {
        let name = said.split([':', '*']).next().unwrap_or_default();
        file.starts_with(name)
    })
}

/// The files with records in the engine's folder, by the name of their journal, oldest first.
fn journals(engine: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files(engine)? {
        let is_written = file.metadata()?.len() > JOURNAL_HEAD as u64;
        if let (Some(journal), true) = (file.parent().and_then(Path::file_name), is_written) {
            found.entry(journal.to_string_lossy().into_owned()).or_default().push(file);
        }
    }
    Ok(found)
}

/// What a file of the engine has before its first record.
const JOURNAL_HEAD: usize = 4096;

#[test]
fn checking_a_folder_finds_whatever_does_not_read_in_the_engines_journals() -> Result<()> {
    let mut network = Network::start(209)?;
    network.enrol_members(0..6)?;
    network.wait_height(VICTIM, 12)?;
    let home = network.home(VICTIM);
    // What a check that was killed left behind has witnesses in it: the next check and the next start erase it.
    let left = home.join("engine.checking");
    std::fs::create_dir(&left)?;
    // A kill leaves nothing that is called damaged, and an end in order nothing unfinished.
    network.kill(VICTIM);
    let (is_sound, report) = verify_data(&home)?;
    ensure!(is_sound && report["damaged"] == 0, "after a kill: {report}");
    ensure!(!left.exists(), "the check left its copy behind");
    std::fs::create_dir(&left)?;
    network.start_node(VICTIM)?;
    network.wait_node_ready(VICTIM)?;
    ensure!(!left.exists(), "a copy of the engine's folder outlived the start");
    network.stop(VICTIM)?;
    let (is_sound, report) = verify_data(&home)?;
    ensure!(is_sound && report["journals"]["unfinished"] == json!([]), "after an end in order: {report}");
    ensure!(report["journals"]["records"].as_u64() > Some(40), "{report}");
    let engine = home.join("engine");
    let (journals, before) = (journals(&engine)?, files(&engine)?);
    ensure!(journals.len() > 10, "so few journals? {:?}", journals.keys());
    for (journal, files) in &journals {
        let (oldest, newest) = (files.first().context("a file")?, files.last().context("a file")?);
        for (file, is_cut) in [(oldest, false), (oldest, true), (newest, false)] {
            let sound = std::fs::read(file)?;
            let mut bytes = sound.clone();
            if is_cut {
                // Not at the end of a record, which nobody could see in this file alone.
                bytes.truncate(sound.len() - 5);
            } else {
                bytes[JOURNAL_HEAD + 9] ^= 0x10;
            }
            std::fs::write(file, &bytes)?;
            let (is_sound, report) = verify_data(&home)?;
            ensure!(names(&report, file), "{journal}, cut {is_cut}: {report}");
            ensure!(is_sound == (report["damaged"] == 0), "{journal}: {report}");
            // No write that was interrupted is as old as the oldest of so many.
            let is_old = files.len() > 8 && file == oldest;
            ensure!(!(is_old && is_sound), "{journal}, cut {is_cut}: {report}");
            ensure!(std::fs::read(file)? == bytes, "the check wrote to {}", file.display());
            std::fs::write(file, &sound)?;
        }
    }
    let votes = journals.iter().find(|(name, _)| name.starts_with("consensus-")).context("votes")?;
    ensure!(votes.1.len() > 8, "so few views? {}", votes.1.len());
    std::fs::create_dir(engine.join("of-another-version"))?;
    let (is_sound, report) = verify_data(&home)?;
    ensure!(!is_sound && report.to_string().contains("of-another-version"), "{report}");
    std::fs::remove_dir(engine.join("of-another-version"))?;
    ensure!(files(&engine)? == before, "the check wrote to the engine's folder");
    ensure!(!left.exists(), "the check left its copy behind");
    ensure!(verify_data(&home)?.0, "nothing is damaged any more");
    Ok(())
}
