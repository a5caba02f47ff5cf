//! `avald doctor`: looks at a node's folder, ports, disk and clock, and says what to do about what it finds.
//!
//! It changes nothing and works beside a running node.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::output;
use crate::clock;
use crate::config::Home;
use crate::fault::Fault;
use crate::genesis_file::GenesisFile;
use crate::{key_file, probe};

/// Free disk below which a warning is given.
const DISK_FREE_BYTES_MIN: u64 = 2 << 30;
/// As far as a block's time may be ahead of a validator's clock (D11).
const CLOCK_AHEAD_MS_MAX: u64 = 2_000;
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The arguments of `avald doctor`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The node's folder.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Verdict,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: &'static str, status: Verdict, detail: impl Into<String>) {
        self.0.push(Check { name, status, detail: detail.into() });
    }

    fn of<T>(
        &mut self,
        name: &'static str,
        result: Result<T, Fault>,
        good: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                let detail = good(&value);
                self.add(name, Verdict::Ok, detail);
                Some(value)
            }
            Err(fault) => {
                self.add(name, Verdict::Failed, fault.to_string());
                None
            }
        }
    }
}

/// Runs the checks; a failed one makes the command fail.
pub fn run(arguments: &Arguments) -> Result<(), Fault> {
    let checks = examine(&arguments.home);
    let failed = checks.iter().filter(|check| check.status == Verdict::Failed).count();
    if arguments.json {
        output::json(&Report { ok: failed == 0, checks });
    } else {
        for check in &checks {
            let mark = match check.status {
                Verdict::Ok => "ok      ",
                Verdict::Warning => "warning ",
                Verdict::Failed => "FAILED  ",
            };
            output::data(&format!("{mark}{:<10}{}", check.name, check.detail));
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(Fault::failed("one check failed: do what it says, then run the doctor again")),
        count => Err(Fault::failed(format!("{count} checks failed: begin with the first one"))),
    }
}

fn examine(path: &Path) -> Vec<Check> {
    let mut checks = Checks::default();
    let home = checks.of("config", Home::open(path), |home| format!("{} is sound", home.path().display()));
    let Some(home) = home else { return checks.0 };
    let genesis = checks.of("genesis", GenesisFile::read(&home.genesis_file()), |genesis| {
        format!("{} with {} validators", genesis.network, genesis.genesis.validators.len())
    });
    let key = checks.of("key", key_file::read(&home.key_file()), |key| key.public().to_multikey());
    if let (Some(genesis), Some(key)) = (&genesis, &key) {
        match genesis.validator(&key.public()) {
            Some(validator) => {
                checks.add("validator", Verdict::Ok, format!("the key is that of {}", validator.name))
            }
            None => checks.add(
                "validator",
                Verdict::Warning,
                "the key is none of the genesis file's validators: it has to be registered on the ledger",
            ),
        }
    }
    let running = running(&mut checks, &home, genesis.as_ref());
    if let Some(genesis) = &genesis {
        if !running {
            let validator = key.as_ref().and_then(|key| genesis.validator(&key.public()));
            ports(&mut checks, &home, validator.map(|validator| validator.address));
        }
        ledger(&mut checks, &home, genesis);
        clock(&mut checks, &home, genesis, running);
    }
    disk(&mut checks, home.path());
    checks.0
}

/// Whether this node runs already, by its own word.
fn running(checks: &mut Checks, home: &Home, genesis: Option<&GenesisFile>) -> bool {
    let Some(status) = probe::get_json(home.config.api.listen, "/v1/status", PROBE_TIMEOUT) else {
        checks.add("running", Verdict::Ok, "no node runs on this folder's port");
        return false;
    };
    let is_ours = genesis
        .is_some_and(|genesis| status.get("genesis").and_then(Value::as_str) == Some(&genesis.hash.to_hex()));
    let height = status.get("height").and_then(Value::as_u64).unwrap_or_default();
    let sync = status.get("sync").and_then(Value::as_str).unwrap_or("unknown");
    match (is_ours, sync) {
        (true, "in-step") => {
            checks.add("running", Verdict::Ok, format!("the node is in step at height {height}"))
        }
        (true, sync) => checks.add(
            "running",
            Verdict::Warning,
            format!(
                "the node is {sync} at height {height}: see its log, and whether the other validators are up"
            ),
        ),
        (false, _) => checks.add(
            "running",
            Verdict::Failed,
            format!(
                "a node of another network answers on {}: set another api.listen",
                home.config.api.listen
            ),
        ),
    }
    is_ours
}

fn ports(checks: &mut Checks, home: &Home, in_genesis: Option<SocketAddr>) {
    let peers = home.config.peers.listen.or(in_genesis);
    for (name, address) in [("api port", Some(home.config.api.listen)), ("peer port", peers)] {
        let Some(address) = address else { continue };
        match TcpListener::bind(address) {
            Ok(_) => checks.add(name, Verdict::Ok, format!("{address} is free")),
            Err(error) => checks.add(
                name,
                Verdict::Failed,
                format!("{address} cannot be used ({error}): stop the program there, or set another address in config.json"),
            ),
        }
    }
}

/// Looks at the ledger's folder without opening the database, which a running node holds.
fn ledger(checks: &mut Checks, home: &Home, genesis: &GenesisFile) {
    let folder = home.ledger_folder();
    let mark = folder.join("FORMAT");
    let is_empty = std::fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
    let network = std::fs::read(&mark)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .and_then(|format| format.get("genesis")?.as_str().map(str::to_owned));
    match network {
        _ if is_empty => checks.add("ledger", Verdict::Ok, "there is no data yet: the first start makes it"),
        Some(network) if network == genesis.hash.to_hex() => {
            checks.add("ledger", Verdict::Ok, "the data folder belongs to this network");
        }
        Some(network) => checks.add(
            "ledger",
            Verdict::Failed,
            format!(
                "{} belongs to the network with genesis {network}: use the matching genesis file, or another folder",
                folder.display()
            ),
        ),
        None => checks.add(
            "ledger",
            Verdict::Failed,
            format!("{} is no ledger, or a damaged one: restore it from a backup, or use another folder", folder.display()),
        ),
    }
}

fn clock(checks: &mut Checks, home: &Home, genesis: &GenesisFile, running: bool) {
    let now_ms = clock::now_ms();
    if now_ms < genesis.genesis.time {
        checks.add(
            "clock",
            Verdict::Failed,
            format!("it shows {}, which is before the network began: set it", clock::rfc3339(now_ms)),
        );
        return;
    }
    let newest = running
        .then(|| probe::get_json(home.config.api.listen, "/v1/status", PROBE_TIMEOUT))
        .flatten()
        .and_then(|status| status.get("time")?.as_u64());
    match newest {
        Some(time_ms) if time_ms > now_ms + CLOCK_AHEAD_MS_MAX => checks.add(
            "clock",
            Verdict::Failed,
            format!("it is {} ms behind the newest block: synchronize it", time_ms - now_ms),
        ),
        _ => checks.add("clock", Verdict::Ok, clock::rfc3339(now_ms)),
    }
}

fn disk(checks: &mut Checks, path: &Path) {
    match rustix::fs::statvfs(path) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let detail = format!("{} MiB free", free >> 20);
            if free < DISK_FREE_BYTES_MIN {
                checks.add(
                    "disk",
                    Verdict::Warning,
                    format!("{detail}: make room before the ledger needs it"),
                );
            } else {
                checks.add("disk", Verdict::Ok, detail);
            }
        }
        Err(error) => checks.add("disk", Verdict::Warning, format!("free space is not known: {error}")),
    }
}
