//! Joining a running network: from genesis to its newest block with nothing but a genesis file and any node's address.
//!
//! The node asked may be anybody, and lie: whatever it sends is verified by certificates of sets that are known here
//! ([`crate::executor::Replay`]), so that the worst it can do is to send nothing. The connection needs no
//! encryption for that, and has none. What becomes final after this comes from the network between nodes.
//!
//! A ledger that grew this way says nothing of how this key voted before. So the height is written down
//! before the first block, in the folder of the journals, and the node votes only in epochs after that
//! height's.

use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aval_store::Ledger;
use url::Url;

use crate::block_run;
use crate::core::Network;
use crate::executor::{Replay, ReplayError};
use crate::fault::{Fault, file_fault};
use crate::probe;

/// In the engine's folder: the height that the ledger reached without the engine.
const JOINED_FILE: &str = "JOINED";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Attempts to get an answer before giving up.
const ATTEMPTS: u32 = 5;

/// A node that is asked for blocks.
pub struct Source {
    url: String,
    address: SocketAddr,
}

impl Source {
    /// The node at a URL such as `http://node.example:8001`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |reason: &dyn std::fmt::Display| {
            Fault::usage(format!("--join {text} cannot be asked ({reason}): give http://HOST:PORT of a node"))
        };
        let url = Url::parse(text).map_err(|error| wrong(&error))?;
        if url.scheme() != "http" || !matches!(url.path(), "" | "/") {
            return Err(wrong(
                &"it is not a plain http URL without a path; what comes is verified, not trusted",
            ));
        }
        let host = url.host_str().ok_or_else(|| wrong(&"there is no host"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut addresses = (host, port).to_socket_addrs().map_err(|error| wrong(&error))?;
        let address = addresses.next().ok_or_else(|| wrong(&"the host has no address"))?;
        Ok(Self { url: text.to_owned(), address })
    }

    fn get(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, Fault> {
        for attempt in 0..ATTEMPTS {
            match probe::get_bounded(self.address, path, PATIENCE, bytes_max) {
                Some((200, body)) => return Ok(body),
                Some((status, _)) if status < 500 && status != 429 => {
                    return Err(Fault::failed(format!(
                        "{} answers {status} to {path}: ask another node",
                        self.url
                    )));
                }
                _ => std::thread::sleep(Duration::from_millis(200 << attempt)),
            }
        }
        Err(Fault::try_later(format!(
            "{} does not answer: start again later, or with another node",
            self.url
        )))
    }

    /// The height of its newest block, as it says.
    fn height(&self) -> Result<u64, Fault> {
        let body = self.get("/v1/status", 4 << 20)?;
        let status: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        status["height"].as_u64().ok_or_else(|| {
            Fault::failed(format!("{} does not say how far it is: is it a node of this network?", self.url))
        })
    }
}

/// The height written down by [`catch_up`], if this folder's ledger ever grew that way.
pub fn joined_height(engine_folder: &Path) -> Result<Option<u64>, Fault> {
    let file = engine_folder.join(JOINED_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| {
            Fault::invalid(format!("{} is damaged: write the ledger's height into it", file.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_fault("the consensus engine", &file, &error)),
    }
}

fn write_joined_height(engine_folder: &Path, height: u64) -> Result<(), Fault> {
    let file = engine_folder.join(JOINED_FILE);
    let new = engine_folder.join(format!("{JOINED_FILE}.new"));
    let write = |path: &PathBuf| -> std::io::Result<()> {
        let mut out = std::fs::File::create(path)?;
        writeln!(out, "{height}")?;
        out.sync_all()?;
        std::fs::rename(path, &file)
    };
    write(&new).map_err(|error| file_fault("the consensus engine", &file, &error))
}

/// Fetches, verifies and commits blocks until the ledger is as far as the source, or `is_stopping` says to stop.
pub fn catch_up(
    ledger: &Ledger,
    network: &Network,
    source: &Source,
    engine_folder: &Path,
    is_stopping: impl Fn() -> bool,
) -> Result<(), Fault> {
    let mut replay =
        Replay::new(ledger.clone(), network.epoch_blocks(), network.executor_options(Duration::ZERO));
    let mut target = source.height()?;
    let mut told = std::time::Instant::now();
    let start = replay.next_height().map_err(|error| refused(source, &error))?;
    if start > target {
        return Ok(());
    }
    tracing::info!(from = start, to = target, source = %source.url, "catching up");
    while !is_stopping() {
        let next = replay.next_height().map_err(|error| refused(source, &error))?;
        write_joined_height(engine_folder, target.max(next + block_run::BLOCKS_MAX))?;
        let path = format!("/v1/blocks?from={next}&count={}", block_run::BLOCKS_MAX);
        let bytes = source.get(&path, block_run::RUN_BYTES_MAX)?;
        let run = block_run::decode(&bytes).map_err(|reason| {
            Fault::failed(format!(
                "{} sends what is no run of blocks ({reason}): ask another node",
                source.url
            ))
        })?;
        let is_empty = run.is_empty();
        let height = replay.take(run).map_err(|error| refused(source, &error))?;
        if told.elapsed() > Duration::from_secs(2) {
            tracing::info!(height, to = target, "catching up");
            told = std::time::Instant::now();
        }
        if is_empty || height >= target {
            // Blocks were made meanwhile; the last few come from the network between nodes.
            let newest = source.height()?;
            if is_empty || newest.saturating_sub(height) < block_run::BLOCKS_MAX / 8 {
                break;
            }
            target = newest;
        }
    }
    let height = ledger.require_head()?.height();
    write_joined_height(engine_folder, height)?;
    tracing::info!(height, "caught up: every block and every set of validators verified from genesis");
    Ok(())
}

fn refused(source: &Source, error: &ReplayError) -> Fault {
    match error {
        ReplayError::Untrusted { .. } => {
            Fault::invalid(format!("{}: {error}; ask another node, or compare the genesis files", source.url))
        }
        ReplayError::Fault(_) => Fault::failed(error.to_string()),
    }
}
