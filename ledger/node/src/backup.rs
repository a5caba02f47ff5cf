//! Backups of the ledger, made beside a running node, and ledgers made from backups.
//!
//! ```text
//! <backup>/BACKUP.json   network, height, digest, and the hash of every file; written last
//! <backup>/genesis.json  the network's genesis file
//! <backup>/ledger/       the ledger as it was after one block
//! ```
//! A backup holds nothing of this node: no key, no journal of votes, no log; so one node's backup serves another. It
//! holds no witness either, however young: a backup lies somewhere for years, where nobody would erase them. It is
//! believed as little as a stranger's answer: the hashes say whether it is whole, and every block and every entry is
//! verified from the genesis file before a node starts on it.
//!
//! A running node has the ledger open, so it makes the copy itself: it is asked over a socket in its home, which only
//! the owner of the folder may use.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aval_codec::{Hash, sha256};
use aval_proof::TrustAnchor;
use aval_store::{Ledger, StoreConfig, Verification};
use serde::{Deserialize, Serialize};

use crate::config::{GENESIS_FILE, Home, LEDGER_FOLDER};
use crate::fault::{Fault, file_fault};
use crate::genesis_file::GenesisFile;
use crate::join::{Doubt, Joined};

/// What a backup is, in its folder.
const MANIFEST_FILE: &str = "BACKUP.json";
/// Where a running node is asked.
pub const SOCKET_FILE: &str = "control.sock";
const FORMAT: u32 = 1;
/// Bytes of a request.
const REQUEST_BYTES_MAX: u64 = 8 * 1024;
/// How long a client of the socket may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// The ledger of a home while it is made.
const UNFINISHED: &str = "ledger.unfinished";

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupFile {
    /// Its path in the backup.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Hash,
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of this file.
    pub format: u32,
    /// The network's name.
    pub network: String,
    /// The hash of its genesis file.
    pub genesis: Hash,
    /// The newest height in the backup.
    pub height: u64,
    /// The oldest height whose state is whole: the lowest that can be restored.
    pub oldest: u64,
    /// The digest of the newest block.
    pub digest: Hash,
    /// That block's time, milliseconds since 1970.
    pub time: u64,
    /// All files but this one.
    pub files: Vec<BackupFile>,
}

impl Manifest {
    /// Reads a backup's.
    pub fn read(backup: &Path) -> Result<Self, Fault> {
        let file = backup.join(MANIFEST_FILE);
        let bytes = fs::read(&file).map_err(|error| file_fault("restoring a backup", &file, &error))?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Fault::invalid(format!("{} is damaged ({error}): take another backup", file.display()))
        })?;
        if manifest.format != FORMAT {
            return Err(Fault::failed(format!("{} is of another release", file.display())));
        }
        Ok(manifest)
    }
}

/// Writes a backup of a ledger into a new folder.
pub fn write(ledger: &Ledger, genesis: &GenesisFile, to: &Path) -> Result<Manifest, Fault> {
    fs::create_dir(to).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Fault::failed(format!("{} exists already and is left as it is: name a new folder", to.display()))
        }
        _ => file_fault("a backup", to, &error),
    })?;
    let failed = |error: std::io::Error| file_fault("a backup", to, &error);
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    fs::write(to.join(GENESIS_FILE), &genesis.bytes).map_err(failed)?;
    let folder = to.join(LEDGER_FOLDER);
    ledger.copy_to(&folder)?;
    let (head, oldest) = {
        let copy = Ledger::open(&folder, &genesis.hash, StoreConfig::default())?;
        (copy.require_head()?, copy.oldest_height())
    };
    let mut files = Vec::new();
    list(to, to, &mut files)?;
    let manifest = Manifest {
        format: FORMAT,
        network: genesis.network.to_string(),
        genesis: genesis.hash,
        height: head.height(),
        oldest,
        digest: head.digest(),
        time: head.header().time_ms,
        files,
    };
    let mut text = serde_json::to_vec_pretty(&manifest).map_err(|error| Fault::failed(error.to_string()))?;
    text.push(b'\n');
    crate::config::write_new(&to.join(MANIFEST_FILE), &text, 0o600)?;
    Ok(manifest)
}

/// The files below a folder, with their hashes.
fn list(root: &Path, folder: &Path, files: &mut Vec<BackupFile>) -> Result<(), Fault> {
    let failed = |error: std::io::Error| file_fault("a backup", folder, &error);
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            list(root, &path, files)?;
            continue;
        }
        let (sha256, bytes) = hash_file(&path)?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        files.push(BackupFile { path: name, bytes, sha256 });
    }
    Ok(())
}

/// The SHA-256 and the length of a file. Files of a ledger have some megabytes.
fn hash_file(path: &Path) -> Result<(Hash, u64), Fault> {
    let bytes = fs::read(path).map_err(|error| file_fault("a backup", path, &error))?;
    Ok((sha256(&bytes), bytes.len() as u64))
}

/// Makes a home's ledger from a backup, as it was at a height or at its newest. The home has a configuration, a genesis
/// file and a key, and neither a ledger nor journals. `tell` hears of each step.
pub fn restore(
    home: &Home,
    backup: &Path,
    height: Option<u64>,
    tell: &mut dyn FnMut(&str),
) -> Result<Verification, Fault> {
    let genesis = GenesisFile::read(&home.genesis_file())?;
    let manifest = Manifest::read(backup)?;
    if manifest.genesis != genesis.hash {
        return Err(Fault::invalid(format!(
            "{} is a backup of {}, this home is set up for {}: take the matching backup",
            backup.display(),
            manifest.network,
            genesis.network
        )));
    }
    let wanted = height.unwrap_or(manifest.height);
    if wanted < manifest.oldest || wanted > manifest.height {
        return Err(Fault::not_found(format!(
            "{} has heights {} to {}, not {wanted}",
            backup.display(),
            manifest.oldest,
            manifest.height
        )));
    }
    require_empty(home)?;
    let unfinished = home.path().join(UNFINISHED);
    if unfinished.exists() {
        // Left by a restore that was interrupted: nothing was started on it.
        fs::remove_dir_all(&unfinished)
            .map_err(|error| file_fault("restoring a backup", &unfinished, &error))?;
    }
    tell("copying");
    let copied = unfinished.join("whole");
    copy(&manifest, backup, &copied)?;
    let whole = copied.join(LEDGER_FOLDER);
    let finished = if wanted == manifest.height {
        whole
    } else {
        tell("going back to the height");
        let target = unfinished.join("at");
        let config = StoreConfig::default();
        let source = Ledger::open(&whole, &genesis.hash, config.clone())?;
        Ledger::open(&target, &genesis.hash, config)?.install_from(&source, wanted)?;
        target
    };
    let report = {
        let ledger = Ledger::open(&finished, &genesis.hash, StoreConfig::default())?;
        let anchor =
            TrustAnchor::from_genesis(&genesis.bytes).map_err(|error| Fault::invalid(error.to_string()))?;
        ledger.verify(&anchor, u64::MAX, 0, &mut |part| tell(part))?
    };
    if let Some(first) = report.damages.first() {
        return Err(Fault::invalid(format!(
            "{} is not to be believed: {} ({}); take another backup. Nothing was changed in {}",
            backup.display(),
            first.what,
            first.code,
            home.path().display()
        )));
    }
    // What this key voted above the backup is not known, so that is written down before there is a ledger to start on.
    let engine = home.engine_folder();
    fs::create_dir_all(&engine).map_err(|error| file_fault("restoring a backup", &engine, &error))?;
    let network = engine.join(crate::cli::ENGINE_NETWORK_FILE);
    if !network.exists() {
        crate::config::write_new(&network, format!("{}\n", genesis.hash).as_bytes(), 0o644)?;
    }
    Joined { height: wanted, doubt: Doubt::Restored }.write(&engine)?;
    let ledger = home.ledger_folder();
    let moved = fs::rename(&finished, &ledger).and_then(|()| fs::remove_dir_all(&unfinished));
    moved.map_err(|error| file_fault("restoring a backup", &ledger, &error))?;
    Ok(report)
}

/// Refuses a home that has a ledger, or journals of votes of another one.
fn require_empty(home: &Home) -> Result<(), Fault> {
    let ledger = home.ledger_folder();
    let has_ledger = fs::read_dir(&ledger).is_ok_and(|mut entries| entries.next().is_some());
    let engine = home.engine_folder();
    let names: Vec<_> = fs::read_dir(&engine)
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    let has_journals = names.iter().any(|name| name != crate::cli::ENGINE_NETWORK_FILE && name != "JOINED");
    if !has_ledger && !has_journals {
        return Ok(());
    }
    Err(Fault::failed(format!(
        "{} has a ledger or journals of votes: move {} and {} away, both, and keep them until the node is back",
        home.path().display(),
        ledger.display(),
        engine.display()
    )))
}

/// Copies the files of a backup and checks each.
fn copy(manifest: &Manifest, backup: &Path, to: &Path) -> Result<(), Fault> {
    for file in &manifest.files {
        let name = Path::new(&file.path);
        let is_inside = name.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !is_inside {
            return Err(Fault::invalid(format!("the backup names a file outside of it: {}", file.path)));
        }
        let (source, target) = (backup.join(name), to.join(name));
        let folder = target.parent().unwrap_or(to);
        fs::create_dir_all(folder).map_err(|error| file_fault("restoring a backup", folder, &error))?;
        fs::copy(&source, &target).map_err(|error| file_fault("restoring a backup", &source, &error))?;
        if hash_file(&target)? != (file.sha256, file.bytes) {
            return Err(Fault::invalid(format!("{} is damaged: take another backup", source.display())));
        }
        let synced = fs::File::open(&target).and_then(|file| file.sync_all());
        synced.map_err(|error| file_fault("restoring a backup", &target, &error))?;
    }
    Ok(())
}

/// A copy of a folder beside it, to be opened: opening writes, and what is checked stays as it is. Gone when it is
/// dropped.
#[derive(Debug)]
pub struct WorkingCopy {
    folder: PathBuf,
}

impl WorkingCopy {
    /// Copies a backup, and checks every file on the way. Tables, which are never written to, are linked where that is
    /// possible.
    pub fn of(backup: &Path) -> Result<Self, Fault> {
        let manifest = Manifest::read(backup)?;
        let copy = Self::beside(backup)?;
        for file in &manifest.files {
            let (source, target) = (backup.join(&file.path), copy.folder.join(&file.path));
            if hash_file(&source)? != (file.sha256, file.bytes) {
                return Err(Fault::invalid(format!("{} is damaged: take another backup", source.display())));
            }
            let parent = target.parent().unwrap_or(&copy.folder);
            fs::create_dir_all(parent).map_err(|error| file_fault("checking a backup", parent, &error))?;
            let is_table = source.extension().is_some_and(|extension| extension == "sst");
            if !is_table || fs::hard_link(&source, &target).is_err() {
                fs::copy(&source, &target)
                    .map_err(|error| file_fault("checking a backup", &source, &error))?;
            }
        }
        Ok(copy)
    }

    /// Copies the engine's folder of a node: opening its journals mends them.
    pub fn of_engine(engine: &Path) -> Result<Self, Fault> {
        Self::forget(engine)?;
        let copy = Self::beside(engine)?;
        copy_all(engine, &copy.folder)?;
        Ok(copy)
    }

    /// Removes what a check that was killed left behind. A copy of the engine's folder has witnesses in it, and nothing
    /// else would erase them.
    pub fn forget(original: &Path) -> Result<(), Fault> {
        let folder = Self::name(original);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(file_fault("erasing what a check left behind", &folder, &error))
            }
            _ => Ok(()),
        }
    }

    fn name(original: &Path) -> PathBuf {
        let mut name = original.file_name().unwrap_or_default().to_os_string();
        name.push(".checking");
        original.with_file_name(name)
    }

    fn beside(original: &Path) -> Result<Self, Fault> {
        let folder = Self::name(original);
        fs::create_dir(&folder).map_err(|error| file_fault("the check", &folder, &error))?;
        Ok(Self { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The ledger in it.
    pub fn ledger(&self) -> PathBuf {
        self.folder.join(LEDGER_FOLDER)
    }
}

impl Drop for WorkingCopy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Copies what is in a folder into another one.
fn copy_all(from: &Path, to: &Path) -> Result<(), Fault> {
    let failed = |error: std::io::Error| file_fault("the check", from, &error);
    for entry in fs::read_dir(from).map_err(failed)? {
        let (entry, target) =
            entry.map(|entry| (entry.path(), to.join(entry.file_name()))).map_err(failed)?;
        if entry.is_dir() {
            fs::create_dir(&target).map_err(|error| file_fault("the check", &target, &error))?;
            copy_all(&entry, &target)?;
        } else {
            fs::copy(&entry, &target).map_err(|error| file_fault("the check", &target, &error))?;
        }
    }
    Ok(())
}

/// Takes requests for backups until it is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
}

impl Control {
    /// Listens in a home. A home whose path is too long for a socket goes without, and says so in the log.
    pub fn listen(home: &Path, ledger: Ledger, genesis: Arc<GenesisFile>) -> Self {
        let path = home.join(SOCKET_FILE);
        let _ = fs::remove_file(&path);
        let bound = UnixListener::bind(&path).and_then(|listener| {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => {
                std::thread::spawn(move || {
                    for stream in listener.incoming() {
                        let Ok(stream) = stream else { return };
                        if let Err(error) = serve(stream, &ledger, &genesis) {
                            tracing::warn!(%error, "a request for a backup could not be answered");
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "no backup can be made while this node runs")
            }
        }
        Self { path }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The answer of a running node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Done(Manifest),
    Failed { exit_code: u8, sentence: String },
}

fn serve(mut stream: UnixStream, ledger: &Ledger, genesis: &GenesisFile) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(REQUEST_BYTES_MAX)).read_line(&mut line)?;
    let answer = match serde_json::from_str::<PathBuf>(&line) {
        Ok(to) if to.is_absolute() => match write(ledger, genesis, &to) {
            Ok(manifest) => Answer::Done(manifest),
            Err(fault) => Answer::Failed { exit_code: fault.exit_code(), sentence: fault.to_string() },
        },
        _ => Answer::Failed { exit_code: 2, sentence: "the request is not the path of a folder".to_owned() },
    };
    stream.write_all(&serde_json::to_vec(&answer).unwrap_or_default())
}

/// Asks the node that runs in a home for a backup; `None` if none runs there.
pub fn ask(home: &Path, to: &Path) -> Result<Option<Manifest>, Fault> {
    let Ok(mut stream) = UnixStream::connect(home.join(SOCKET_FILE)) else { return Ok(None) };
    let failed =
        |error: std::io::Error| Fault::try_later(format!("the running node does not answer: {error}"));
    let mut line = serde_json::to_vec(to).map_err(|error| Fault::usage(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(failed)?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).map_err(failed)?;
    match serde_json::from_slice(&text) {
        Ok(Answer::Done(manifest)) => Ok(Some(manifest)),
        Ok(Answer::Failed { exit_code, sentence }) => Err(Fault::with_exit_code(exit_code, sentence)),
        Err(_) => Err(Fault::try_later("the running node ended before the backup was whole")),
    }
}
