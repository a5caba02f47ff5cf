//! What happens when a disk lies: files of a node's folder cut short or with a bit changed.
//!
//! A node either says which file is damaged and what to do, and ends; or it mends itself from what the others have.
//! It never answers with something else than the others.

use anyhow::{Context, Result, ensure};
use aval_machine::testkit::Party;
use aval_tests::files;
use aval_tests::network::{Network, PATIENCE};
use aval_tests::process::eventually;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
