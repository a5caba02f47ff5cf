//! `avald devnet`: a whole network on this machine, for development and for the demo.
//!
//! ```text
//! <home>/genesis.json          the network's genesis file
//! <home>/devnet.json           what was made: label, ports
//! <home>: root/keys.json       the DID and keys of the root of trust, for `aval accreditation grant --keys`
//! <home>/issuer/keys.json      the DID and keys of the issuer that it accredits, for aval-identityd
//! <home>/<name>/keys.json      a further DID that was asked for (`--did`), which nobody has accredited
//! <home>/node-<i>/             a validator: config.json, node.key, ledger/, engine/, node.log
//! <home>/node-<i>/operator.json  the DID and keys of its operator, who is a governor as well
//! ```
//!
//! Secrets of a development network lie in files of mode 0600 and are worth nothing outside of it.
//!
//! The key files of root, issuer and operators have one form ([`layout::Identity`]):
//!
//! ```json
//! {"did": "did:aval:devnet:Qm…",
//!  "documentKeys": {"#key-1": {"algorithm": "EdDSA", "seed": "<base64url>"}},
//!  "controlKeys": [{"algorithm": "EdDSA", "seed": "<base64url>"}],
//!  "nextControlKeys": [{"algorithm": "EdDSA", "seed": "<base64url>"}]}
//! ```
//!
//! `documentKeys` are the document's authentication and assertion keys by method id; `controlKeys` change the DID;
//! `nextControlKeys` are those that the record commits to for the next rotation.
//!
//! Each validator is a process of its own that stops when its standard input closes. The operating system closes it
//! when this process ends, however it ends, so that nothing is left behind.

mod layout;
mod processes;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aval_did::syntax::is_network_label;
use clap::Args;
use serde_json::json;

use crate::cli::output;
use crate::fault::{Fault, file_fault};
use crate::probe;
use crate::stop::Stop;

use layout::{Extras, Layout, Plan};
use processes::Processes;

/// How long the network may take to make its first blocks.
const READY_PATIENCE: Duration = Duration::from_secs(60);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The arguments of `avald devnet`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many validators, 1 to 16; from 4 on, one may fail. Only for a new network.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,
    /// The network's folder; made if it does not exist, continued if it does.
    #[arg(long, value_name = "DIR", default_value = "devnet")]
    home: PathBuf,
    /// The first of the ports: node i serves its REST interface at this plus i, and other validators 100 above.
    #[arg(long, value_name = "PORT", default_value_t = 4700, value_parser = clap::value_parser!(u16).range(1024..=65000))]
    base_port: u16,
    /// The network's label, part of its DIDs. Only for a new network.
    #[arg(long, value_name = "LABEL", default_value = "devnet")]
    network: String,
    /// Milliseconds between blocks while there is nothing to do. Only for a new network.
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    heartbeat_ms: u64,
    /// JSON file with parameters of the network that differ from the usual ones (specs/wire.md, "Parameters"). Only for
    /// a new network.
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// A further DID that exists from the start, with its keys in a folder of this name; may be repeated. Only for a
    /// new network.
    #[arg(long = "did", value_name = "NAME", value_parser = name)]
    dids: Vec<String>,
    /// A further credential type that the root and the issuer are accredited for; may be repeated. Only for a new
    /// network.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Make the folder, print what was made, and start nothing.
    #[arg(long)]
    prepare: bool,
    /// Stop when standard input closes.
    #[arg(long)]
    exit_with_parent: bool,
    /// Print JSON once the network is up.
    #[arg(long)]
    json: bool,
}

/// Makes or continues a network and runs it until told to stop.
pub fn run(arguments: &Arguments, log: &str, log_json: bool) -> Result<(), Fault> {
    let plan = Plan {
        nodes: arguments.nodes,
        base_port: arguments.base_port,
        network: arguments.network.clone(),
        heartbeat_ms: arguments.heartbeat_ms,
    };
    let extras = Extras {
        parameters: read_parameters(arguments)?,
        dids: arguments.dids.clone(),
        types: arguments.types.clone(),
    };
    let layout = Layout::open_or_make(&arguments.home, &plan, &extras)?;
    if arguments.prepare {
        announce(&layout, arguments.json, false);
        return Ok(());
    }
    let stop = Stop::on_signals(arguments.exit_with_parent)?;
    let mut processes = Processes::start(&layout, log, log_json)?;
    let ended = until_ready(&layout, &mut processes, &stop).and_then(|is_ready| {
        if is_ready {
            announce(&layout, arguments.json, true);
            watch(&mut processes, &stop)?;
        }
        Ok(())
    });
    output::talk("Stopping the network.");
    processes.stop();
    ended
}

/// A name of a folder that is not one of the network's own.
fn name(text: &str) -> Result<String, String> {
    let is_word = is_network_label(text);
    let is_own = text.starts_with("node-") || matches!(text, "root" | "issuer");
    match is_word && !is_own {
        true => Ok(text.to_owned()),
        false => {
            Err("a name is a lowercase letter, then up to 31 of a-z, 0-9 and -, and not one of ours"
                .to_owned())
        }
    }
}

fn read_parameters(
    arguments: &Arguments,
) -> Result<Option<serde_json::Map<String, serde_json::Value>>, Fault> {
    let Some(path) = &arguments.parameters else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| file_fault("the network", path, &error))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| Fault::usage(format!("{} holds no parameters: {error}", path.display())))
}

/// Waits until every validator is ready; `false` if a stop came first.
fn until_ready(layout: &Layout, processes: &mut Processes, stop: &Stop) -> Result<bool, Fault> {
    let deadline = Instant::now() + READY_PATIENCE;
    let mut waiting: Vec<_> = layout.nodes().iter().map(|node| (node.name.clone(), node.api)).collect();
    while !waiting.is_empty() {
        if stop.is_requested() {
            return Ok(false);
        }
        processes.ensure_running()?;
        waiting.retain(|(_, api)| !matches!(probe::get(*api, "/ready", PROBE_TIMEOUT), Some((200, _))));
        if !waiting.is_empty() && Instant::now() > deadline {
            let names: Vec<_> = waiting.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Fault::try_later(format!(
                "{} not ready after {} s: see node.log in its folder under {}",
                names.join(", "),
                READY_PATIENCE.as_secs(),
                layout.home().display()
            )));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(true)
}

/// Runs on until told to stop. A validator that ends is reported; the network goes on as long as enough are left.
fn watch(processes: &mut Processes, stop: &Stop) -> Result<(), Fault> {
    while !stop.is_requested() {
        for ended in processes.ended() {
            output::talk(&ended);
        }
        if processes.is_empty() {
            return Err(Fault::failed("every validator has ended: see node.log in their folders"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn announce(layout: &Layout, as_json: bool, is_running: bool) {
    let nodes = layout.nodes();
    if as_json {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|node| json!({"name": node.name, "home": node.home, "api": format!("http://{}", node.api)}))
            .collect();
        output::json(&json!({
            "home": layout.home(),
            "network": layout.genesis().network.to_string(),
            "genesis": layout.genesis_path(),
            "genesisHash": layout.genesis().hash,
            "issuer": {"did": layout.issuer_did(), "keys": layout.issuer_keys()},
            "nodes": nodes,
        }));
        return;
    }
    output::data(&format!("network   {}", layout.genesis().network));
    output::data(&format!("genesis   {}", layout.genesis_path().display()));
    output::data(&format!("issuer    {}", layout.issuer_did()));
    output::data(&format!("          {}", layout.issuer_keys().display()));
    for node in nodes {
        output::data(&format!("{:<10}http://{}", node.name, node.api));
    }
    let first = nodes.first().map_or_else(String::new, |node| format!("http://{}", node.api));
    if is_running {
        output::talk("\nThe network is up. Try, in another terminal:");
        output::talk(&format!("  curl {first}/v1/status"));
        output::talk(&format!("  curl {first}/1.0/identifiers/{}", layout.issuer_did()));
        output::talk(&format!("  curl {first}/v1/checkpoint"));
        output::talk("Stop it with Ctrl-C; the same command continues it.");
    } else {
        output::talk(&format!("\nMade. Start it with: avald devnet --home {}", layout.home().display()));
    }
}
