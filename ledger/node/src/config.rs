//! A node's home folder and its configuration file.
//!
//! ```text
//! <home>/config.json   this file; everything in it has a default but `genesis` and `keyFile`
//! <home>/genesis.json  the network's genesis file, or elsewhere as `genesis` says
//! <home>/node.key      the node's network key, mode 0600
//! <home>/ledger/       state and finalized blocks
//! <home>/engine/       journals of votes and blocks that are not final
//! <home>/access.log    who administered the node and who read as an auditor
//! ```
//!
//! Relative paths are relative to the home. Addresses are on the loopback interface unless the file says otherwise.
//! Unknown members are refused, so that a misspelt setting is not silently ignored.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Name of the configuration file in a home.
pub const CONFIG_FILE: &str = "config.json";
/// Name of the genesis file.
pub const GENESIS_FILE: &str = "genesis.json";
/// Name of the key file.
pub const KEY_FILE: &str = "node.key";
/// Folder of state and finalized blocks.
pub const LEDGER_FOLDER: &str = "ledger";
/// The log of access.
pub const ACCESS_LOG_FILE: &str = "access.log";
/// Folder of the consensus engine's journals.
pub const ENGINE_FOLDER: &str = "engine";
/// Proofs of faults of other nodes, one a line.
const FAULTS_FILE: &str = "faults.jsonl";

/// The content of `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where the genesis file is.
    #[serde(default = "default_genesis")]
    pub genesis: PathBuf,
    /// Where the node's key is.
    #[serde(default = "default_key_file")]
    pub key_file: PathBuf,
    /// The REST interface.
    #[serde(default)]
    pub api: ApiConfig,
    /// The interface for the operator.
    #[serde(default)]
    pub admin: AdminConfig,
    /// The connections between nodes.
    #[serde(default)]
    pub peers: PeersConfig,
    /// The pool of waiting transactions.
    #[serde(default)]
    pub mempool: MempoolConfig,
    /// State and finalized blocks.
    #[serde(default)]
    pub ledger: LedgerConfig,
}

/// The REST interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Address and port. TLS is the business of a reverse proxy.
    pub listen: SocketAddr,
    /// Threads that serve requests; consensus has its own.
    pub threads: usize,
    /// Open connections. At the bound, one that is idle makes room for the next.
    pub connections_max: usize,
    /// Open connections of one address; more are answered 429. To be raised behind a reverse proxy, which is one
    /// address.
    pub connections_per_address_max: usize,
    /// Requests under way at the same time; more are answered 503.
    pub requests_max: usize,
    /// Requests of these that may wait for a transaction to become final.
    pub waiting_max: usize,
    /// Milliseconds that a request may take, waiting apart.
    pub timeout_ms: u64,
    /// The stream of events.
    pub events: EventsConfig,
    /// Requests for chunks and blocks of snapshots at the same time; more are answered 503.
    pub snapshot_readers_max: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8001)),
            threads: 2,
            connections_max: 8192,
            connections_per_address_max: 512,
            requests_max: 1024,
            waiting_max: 4096,
            timeout_ms: 10_000,
            events: EventsConfig::default(),
            snapshot_readers_max: 4,
        }
    }
}

/// The stream of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EventsConfig {
    /// Readers at the same time; more are answered 503.
    pub readers_max: usize,
    /// Milliseconds after which a reader that takes nothing is cut off.
    pub stall_ms: u64,
    /// Milliseconds of silence after which a reader is told that the stream lives.
    pub heartbeat_ms: u64,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { readers_max: 256, stall_ms: 30_000, heartbeat_ms: 15_000 }
    }
}

/// The interface for the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Address and port, best on the loopback interface; without one there is no such interface.
    pub listen: Option<SocketAddr>,
}

/// The connections between nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PeersConfig {
    /// Address and port; by default those that the genesis file gives for this node's key, and for a node
    /// that is not in that file any free port of the loopback interface, which is enough for who only calls
    /// others.
    pub listen: Option<SocketAddr>,
    /// Addresses by node key (multikey) that go before those on the ledger. They admit nobody.
    pub addresses: BTreeMap<String, SocketAddr>,
    /// Nodes, as `http://HOST:PORT`, from which what is missing is fetched before the start: one, or a list
    /// in the order in which they are asked. What they send is verified.
    #[serde(deserialize_with = "one_or_many")]
    pub join: Vec<String>,
    /// Whether a node without blocks begins with a snapshot or with the first block; by the profile if left out.
    pub sync: Option<Sync>,
    /// Nodes that may be connected at the same time, validators before observers. Each takes about half a megabyte.
    pub connections_max: usize,
}

impl Default for PeersConfig {
    fn default() -> Self {
        Self { listen: None, addresses: BTreeMap::new(), join: Vec::new(), sync: None, connections_max: 64 }
    }
}

/// Bounds of the pool of waiting transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MempoolConfig {
    /// Bytes of all waiting transactions.
    pub bytes_max: usize,
    /// Number of all waiting transactions.
    pub entries_max: usize,
}

impl Default for MempoolConfig {
    fn default() -> Self {
        let limits = crate::mempool::Limits::default();
        Self { bytes_max: limits.bytes_max, entries_max: limits.entries_max }
    }
}

impl MempoolConfig {
    /// The pool's limits: one payer may have a quarter of it.
    pub fn limits(&self) -> crate::mempool::Limits {
        crate::mempool::Limits {
            bytes_max: self.bytes_max,
            entries_max: self.entries_max,
            payer_bytes_max: self.bytes_max / 4,
            payer_entries_max: self.entries_max.div_ceil(4),
            ..crate::mempool::Limits::default()
        }
    }
}

/// How a node without blocks begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// With the state of a certified height and the blocks that are needed to go on.
    Snapshot,
    /// With the first block: every block is fetched and executed.
    Replay,
}

/// What a node keeps (specs/storage.md).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Everything: all blocks, and the state of every height with proofs.
    Archive,
    /// All blocks, receipts and versions of DIDs; past state with proofs for some heights.
    #[default]
    Full,
    /// The state, and the newest blocks.
    Light,
}

/// State and finalized blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// What the node keeps.
    pub profile: Profile,
    /// Heights for which past state can be asked, with proofs; by the profile if left out.
    pub history_heights: Option<u64>,
    /// Heights whose blocks a light node keeps; more where something needs them.
    pub block_heights: Option<u64>,
    /// Heights from one snapshot that is offered to the next, rounded up to whole epochs; 0 for none; by the profile if
    /// left out.
    pub snapshot_heights: Option<u64>,
    /// Heights that a snapshot is held at most while somebody fetches it.
    pub snapshot_held_heights: Option<u64>,
}

/// Heights of past state that a full node keeps.
const HISTORY_HEIGHTS_FULL: u64 = 1_000;
/// The same of a light node.
const HISTORY_HEIGHTS_LIGHT: u64 = 256;
/// Heights of blocks that a light node keeps.
const BLOCK_HEIGHTS_LIGHT: u64 = 2_048;

impl LedgerConfig {
    /// What the store keeps, in a network with epochs of this length.
    pub fn store(&self, epoch_blocks: u64) -> aval_store::StoreConfig {
        let (history, blocks) = match self.profile {
            Profile::Archive => (None, None),
            Profile::Full => (Some(HISTORY_HEIGHTS_FULL), None),
            Profile::Light => (Some(HISTORY_HEIGHTS_LIGHT), Some(BLOCK_HEIGHTS_LIGHT)),
        };
        // A node that restarts looks up the last block of the epoch before.
        let blocks = blocks.map(|blocks| self.block_heights.unwrap_or(blocks).max(2 * epoch_blocks));
        aval_store::StoreConfig {
            history_heights: self.history_heights.or(history),
            block_heights: blocks,
            ..aval_store::StoreConfig::default()
        }
    }

    /// When snapshots are offered.
    pub fn snapshots(&self) -> crate::snapshots::Schedule {
        let default = crate::snapshots::Schedule::default();
        let every = match self.profile {
            Profile::Light => 0,
            Profile::Archive | Profile::Full => default.every_heights,
        };
        crate::snapshots::Schedule {
            every_heights: self.snapshot_heights.unwrap_or(every),
            held_heights: self.snapshot_held_heights.unwrap_or(default.held_heights),
        }
    }

    /// How a node without blocks begins unless it is told.
    pub fn sync(&self) -> Sync {
        match self.profile {
            Profile::Archive => Sync::Replay,
            Profile::Full | Profile::Light => Sync::Snapshot,
        }
    }
}

/// A text, or a list of texts.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::<OneOrMany>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many,
    })
}

fn default_genesis() -> PathBuf {
    PathBuf::from(GENESIS_FILE)
}

fn default_key_file() -> PathBuf {
    PathBuf::from(KEY_FILE)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            genesis: default_genesis(),
            key_file: default_key_file(),
            api: ApiConfig::default(),
            admin: AdminConfig::default(),
            peers: PeersConfig::default(),
            mempool: MempoolConfig::default(),
            ledger: LedgerConfig::default(),
        }
    }
}

/// A home folder with its configuration.
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
    /// The content of `config.json`.
    pub config: Config,
}

impl Home {
    /// Reads `<path>/config.json`.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let file = path.join(CONFIG_FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Fault::not_found(format!(
                    "{} has no {CONFIG_FILE}: make a node's folder with `avald init --home {}`, or name another with --home",
                    path.display(),
                    path.display()
                )));
            }
            Err(error) => return Err(Fault::failed(format!("{} cannot be read: {error}", file.display()))),
        };
        let config: Config = serde_json::from_str(&text).map_err(|error| {
            Fault::failed(format!(
                "{} is not a valid configuration: {error}; correct that line",
                file.display()
            ))
        })?;
        config.check().map_err(|what| {
            Fault::failed(format!("{} is not a valid configuration: {what}", file.display()))
        })?;
        Ok(Self { path: path.to_owned(), config })
    }

    /// A home that is being made.
    pub fn new(path: &Path, config: Config) -> Self {
        Self { path: path.to_owned(), config }
    }

    /// Writes `config.json`; refuses to replace one.
    pub fn write(&self) -> Result<(), Fault> {
        let mut text = serde_json::to_string_pretty(&self.config)
            .map_err(|error| Fault::failed(format!("the configuration cannot be written: {error}")))?;
        text.push('\n');
        write_new(&self.path.join(CONFIG_FILE), text.as_bytes(), 0o644)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The genesis file.
    pub fn genesis_file(&self) -> PathBuf {
        self.path.join(&self.config.genesis)
    }

    /// The key file.
    pub fn key_file(&self) -> PathBuf {
        self.path.join(&self.config.key_file)
    }

    /// The folder of state and finalized blocks.
    pub fn ledger_folder(&self) -> PathBuf {
        self.path.join(LEDGER_FOLDER)
    }

    /// The log of access.
    pub fn access_log(&self) -> PathBuf {
        self.path.join(ACCESS_LOG_FILE)
    }

    /// The folder of the consensus engine's journals.
    pub fn engine_folder(&self) -> PathBuf {
        self.path.join(ENGINE_FOLDER)
    }

    /// Proofs of others' faults that this node has seen.
    pub fn faults_file(&self) -> PathBuf {
        self.path.join(FAULTS_FILE)
    }
}

impl Config {
    fn check(&self) -> Result<(), &'static str> {
        if !(1..=64).contains(&self.api.threads) {
            return Err("api.threads must lie between 1 and 64");
        }
        if !(4..=1024).contains(&self.peers.connections_max) {
            return Err("peers.connectionsMax must lie between 4 and 1024");
        }
        if self.api.requests_max == 0 || self.api.waiting_max == 0 || self.api.timeout_ms == 0 {
            return Err("api.requestsMax, api.waitingMax and api.timeoutMs must not be 0");
        }
        if self.api.events.stall_ms == 0 || self.api.events.heartbeat_ms == 0 {
            return Err("api.events.stallMs and api.events.heartbeatMs must not be 0");
        }
        if self.mempool.bytes_max < (1 << 20) || self.mempool.entries_max < 16 {
            return Err("mempool.bytesMax must be at least 1048576 and mempool.entriesMax at least 16");
        }
        Ok(())
    }
}

/// Writes a file that must not exist yet, with this mode from its first moment on.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            Fault::failed(format!(
                "{} exists already and is left as it is: choose another folder",
                path.display()
            ))
        } else {
            Fault::failed(format!("{} cannot be written: {error}", path.display()))
        }
    };
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gives_the_defaults_on_loopback() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        assert!(config.api.listen.ip().is_loopback());
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"api":{"lisen":"127.0.0.1:1"}}"#).is_err());
    }

    #[test]
    fn what_is_written_is_read_again_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path(), Config::default());
        home.write().unwrap();
        assert_eq!(Home::open(folder.path()).unwrap().config, Config::default());
        assert!(home.write().unwrap_err().to_string().contains("exists already"));
    }

    #[test]
    fn a_missing_file_says_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Home::open(folder.path()).unwrap_err();
        assert!(fault.to_string().contains("avald init"));
        assert_eq!(fault.exit_code(), 5);
    }
}
