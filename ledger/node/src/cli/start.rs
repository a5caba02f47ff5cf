//! `avald start`: runs a node until it is told to stop.
//!
//! What can be wrong with a folder is looked at first, in an order that leaves everything as it was: configuration,
//! genesis, key, ports, then the ledger, which checks its own folder before it opens it. Then the engine, and last the
//! REST interface. Stopping goes the other way.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aval_did::PublicKey;
use aval_store::{Ledger, StoreConfig};
use clap::Args;

use super::log::LogControl;
use crate::access::Gate;
use crate::access::log::AccessLog;
use crate::api::admin::Controls;
use crate::api::connections::Bounds;
use crate::api::server::{self, Server};
use crate::api::{self, NodeInfo, Parts};
use crate::config::Home;
use crate::core::{Core, CoreOptions, Network};
use crate::descriptors;
use crate::engine::{EngineError, ProductionOptions, Settings, run as run_engine};
use crate::executor::install_genesis;
use crate::fault::{Fault, file_fault};
use crate::genesis_file::GenesisFile;
use crate::join::{self, Source};
use crate::key_file::{self, NodeKey};
use crate::metrics::Metrics;
use crate::roster::Roster;
use crate::stop::Stop;

/// Threads that drive consensus; its heavy work is done elsewhere.
const ENGINE_THREADS: usize = 2;
/// Threads of the interface for the operator.
const ADMIN_THREADS: usize = 1;
/// Connections to the interface for the operator.
const ADMIN_CONNECTIONS: Bounds = Bounds { all: 64, per_address: 64 };
/// In the engine's folder: the genesis hash of the network that its journals belong to.
const ENGINE_NETWORK_FILE: &str = "NETWORK";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The node's folder, made by `avald init` or `avald devnet`.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// First fetch the blocks that are missing here from this node, http://HOST:PORT of any node of the
    /// network. They are verified from the genesis file on. Goes before `peers.join` of the configuration.
    #[arg(long, value_name = "URL")]
    join: Option<String>,
    /// Stop when standard input closes, as it does when the program that started this one ends, however it ends.
    #[arg(long)]
    exit_with_parent: bool,
}

/// Everything that was read and is sound.
struct Setup {
    home: Home,
    genesis: Arc<GenesisFile>,
    network: Network,
    key: NodeKey,
    node: NodeInfo,
    listen: SocketAddr,
    addresses: BTreeMap<[u8; 32], SocketAddr>,
    api: TcpListener,
    admin: Option<TcpListener>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let setup = Setup::read(&arguments.home)?;
    require_way_in(&setup, arguments.join.as_deref())?;
    claim_engine_folder(&setup.home.engine_folder(), &setup.genesis)?;
    let config =
        StoreConfig { history_heights: setup.home.config.ledger.history_heights, ..StoreConfig::default() };
    let ledger = Ledger::open(&setup.home.ledger_folder(), &setup.genesis.hash, config)?;
    install_genesis(&ledger, &setup.genesis.genesis, setup.genesis.hash)
        .map_err(|error| Fault::invalid(error.to_string()))?;
    let log = AccessLog::open(&setup.home.access_log()).map_err(|error| {
        Fault::invalid(format!(
            "{error}: keep {} for whoever looks into it, and move it away",
            setup.home.access_log().display()
        ))
    })?;
    let gate = Arc::new(Gate::new(setup.node.key.clone(), log));
    let stop = Stop::on_signals(arguments.exit_with_parent)?;
    join(&setup, arguments.join.as_deref(), &ledger, &stop)?;
    if stop.is_requested() {
        return Ok(());
    }
    require_admission(&setup, &ledger)?;
    let joined_height = join::joined_height(&setup.home.engine_folder())?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        network = %setup.network.id,
        key = %setup.node.key,
        height = ledger.head().map_or(0, |head| head.height()),
        api = %setup.home.config.api.listen,
        peers = %setup.listen,
        "starting"
    );
    let engine_folder = setup.home.engine_folder();
    // The engine panics on what it takes for a defect, damaged journals among them. That ends the node, in order.
    match std::panic::catch_unwind(AssertUnwindSafe(|| drive(setup, ledger, gate, joined_height, &stop))) {
        Ok(Ok(())) => {
            tracing::info!("stopped");
            Ok(())
        }
        Ok(Err(error)) => Err(engine_fault(&error, &engine_folder)),
        Err(_) => Err(Fault::failed(format!(
            "the consensus engine gave up (see the log above): start again, and if that does not help, restore {} from a \
             backup or remove it while the other validators run",
            engine_folder.display()
        ))),
    }
}

impl Setup {
    fn read(home: &Path) -> Result<Self, Fault> {
        let home = Home::open(home)?;
        let genesis = Arc::new(GenesisFile::read(&home.genesis_file())?);
        let key = key_file::read(&home.key_file())?;
        let public = key.public().to_multikey();
        let in_genesis = genesis.validator(&key.public()).map(|validator| validator.address);
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listen = home.config.peers.listen.or(in_genesis).unwrap_or(anywhere);
        let node = NodeInfo { key: public };
        let addresses = addresses(&home)?;
        let network = Network::new(genesis.genesis.clone(), genesis.hash)
            .map_err(|error| Fault::invalid(error.to_string()))?;
        let api = server::bind("api.listen", home.config.api.listen)?;
        let admin =
            home.config.admin.listen.map(|address| server::bind("admin.listen", address)).transpose()?;
        // Taken for a moment only, so that a used port is known before any folder is touched.
        drop(TcpListener::bind(listen).map_err(|error| {
            Fault::failed(format!(
                "{listen} cannot be listened on for other nodes ({error}): stop the program that uses it, or set \
                 another peers.listen in config.json"
            ))
        })?);
        Ok(Self { genesis, network, key, node, listen, addresses, api, admin, home })
    }
}

/// The addresses of the configuration by key.
fn addresses(home: &Home) -> Result<BTreeMap<[u8; 32], SocketAddr>, Fault> {
    let configured = home.config.peers.addresses.iter();
    configured
        .map(|(text, address)| match PublicKey::from_multikey(text) {
            Ok(PublicKey::Ed25519(key)) => Ok((key, *address)),
            _ => Err(Fault::failed(format!(
                "peers.addresses in config.json names {text}, which is no Ed25519 multikey: correct it"
            ))),
        })
        .collect()
}

/// Fetches the blocks that are missing here, if there is somebody to ask and the other nodes could not give them.
fn join(setup: &Setup, url: Option<&str>, ledger: &Ledger, stop: &Stop) -> Result<(), Fault> {
    let Some(url) = url.or(setup.home.config.peers.join.as_deref()) else { return Ok(()) };
    let source = Source::parse(url)?;
    // Other nodes give blocks as long as these have their witnesses. A short absence is theirs, because who fetched
    // blocks otherwise does not vote until the next epoch.
    let head = ledger.require_head()?;
    let age_ms = crate::clock::now_ms().saturating_sub(head.header().time_ms);
    let is_short = age_ms < setup.network.genesis.parameters.witness_retention_ms / 2;
    if is_short && head.height() > 0 && require_admission(setup, ledger).is_ok() {
        return Ok(());
    }
    join::catch_up(ledger, &setup.network, &source, &setup.home.engine_folder(), || stop.is_requested())
}

/// Refuses a node that is not in the genesis file and has no blocks and nobody to ask for them, before it
/// leaves anything behind.
fn require_way_in(setup: &Setup, url: Option<&str>) -> Result<(), Fault> {
    let is_new = !setup.home.ledger_folder().exists();
    let can_ask = url.or(setup.home.config.peers.join.as_deref()).is_some();
    if is_new && !can_ask && setup.genesis.validator(&setup.key.public()).is_none() {
        return Err(stranger(setup, 0));
    }
    Ok(())
}

fn stranger(setup: &Setup, height: u64) -> Fault {
    Fault::invalid(format!(
        "the key in {} ({}) is not admitted to the network of {} as of block {height}: its operator has to register it \
         there; then start with --join URL of any node",
        setup.home.key_file().display(),
        setup.node.key,
        setup.home.genesis_file().display(),
    ))
}

/// Refuses to start a node that nobody would let in.
fn require_admission(setup: &Setup, ledger: &Ledger) -> Result<(), Fault> {
    let PublicKey::Ed25519(key) = setup.key.public() else {
        return Err(Fault::invalid("the node's key is not an Ed25519 key".to_owned()));
    };
    let roster = Roster::new(ledger.clone(), setup.network.epoch_blocks(), BTreeMap::new());
    let admission = roster.admission().map_err(|error| Fault::failed(error.to_string()))?;
    if admission.nodes.iter().any(|node| node.key == key) {
        return Ok(());
    }
    Err(stranger(setup, ledger.head().map_or(0, |head| head.height())))
}

/// Refuses journals of another network, whose votes would mean nothing here, and folders that hold something else.
fn claim_engine_folder(folder: &Path, genesis: &GenesisFile) -> Result<(), Fault> {
    std::fs::create_dir_all(folder).map_err(|error| file_fault("the consensus engine", folder, &error))?;
    let marker = folder.join(ENGINE_NETWORK_FILE);
    match std::fs::read_to_string(&marker) {
        Ok(text) if text.trim() == genesis.hash.to_hex() => Ok(()),
        Ok(_) => Err(Fault::invalid(format!(
            "{} belongs to another network than {}: use the genesis file that belongs to this folder, or another folder",
            folder.display(),
            genesis.network
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut entries = std::fs::read_dir(folder)
                .map_err(|error| file_fault("the consensus engine", folder, &error))?;
            if entries.next().is_some() {
                return Err(Fault::failed(format!(
                    "{} is not empty and was not made by this program: choose another folder for the node",
                    folder.display()
                )));
            }
            crate::config::write_new(&marker, format!("{}\n", genesis.hash).as_bytes(), 0o644)
        }
        Err(error) => Err(file_fault("the consensus engine", &marker, &error)),
    }
}

fn engine_fault(error: &EngineError, folder: &Path) -> Fault {
    match error {
        EngineError::Fatal(_) => Fault::invalid(error.to_string()),
        EngineError::Journal(_) => Fault::invalid(format!(
            "{error}: restore {} from a backup, or remove it while the other validators run",
            folder.display()
        )),
        _ => Fault::failed(error.to_string()),
    }
}

/// Runs engine and interface until told to stop.
fn drive(
    setup: Setup,
    ledger: Ledger,
    gate: Arc<Gate>,
    joined_height: Option<u64>,
    stop: &Stop,
) -> Result<(), EngineError> {
    let genesis_block = install_genesis(&ledger, &setup.genesis.genesis, setup.genesis.hash)?;
    let addresses = setup.addresses;
    let settings = setup.network.engine_settings(genesis_block, *setup.key.seed());
    let options = ProductionOptions {
        settings: Settings { joined_height, ..settings },
        listen: setup.listen,
        connections_max: NonZeroUsize::new(setup.home.config.peers.connections_max)
            .unwrap_or(NonZeroUsize::MIN),
        journal_folder: setup.home.engine_folder(),
        worker_threads: ENGINE_THREADS,
    };
    let servers: Arc<Mutex<Vec<Server>>> = Arc::default();
    let running = servers.clone();
    let (api, admin, config) = (setup.api, setup.admin, setup.home.config);
    let controls = LogControl::started().map(|log| Controls { stop: stop.clone(), log });
    let (network, genesis, node) = (setup.network, setup.genesis, setup.node);
    let shutdown = {
        let (servers, stopped) = (servers.clone(), stop.requested());
        async move {
            stopped.await;
            // First the interfaces, so that no client is promised what the engine will not order any more.
            let servers = std::mem::take(&mut *servers.lock().unwrap_or_else(PoisonError::into_inner));
            let (ended, wait) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                drop(servers);
                let _ = ended.send(());
            });
            let _ = wait.await;
        }
    };
    let result = run_engine(options, shutdown, move |runtime, links| {
        let core_options =
            CoreOptions { mempool: config.mempool.limits(), addresses, ..CoreOptions::default() };
        let metrics = Arc::new(Metrics::new());
        let core = Core::start(network, ledger, runtime, links, metrics.clone(), core_options)?;
        let parts = Parts { core: core.clone(), genesis, node, gate };
        let build = |fault: Fault| EngineError::Build(fault.to_string());
        let mut started = Vec::new();
        if let (Some(listener), Some(controls)) = (admin, controls) {
            let (parts, metrics) = (parts.clone(), metrics.clone());
            let router = move || api::admin::router(parts, controls);
            let server = Server::start(listener, ADMIN_THREADS, ADMIN_CONNECTIONS, metrics, router);
            started.push(server.map_err(build)?);
        }
        let threads = config.api.threads;
        let configured =
            Bounds { all: config.api.connections_max, per_address: config.api.connections_per_address_max };
        let bounds = descriptors::within(configured, descriptors::limit());
        let router = move || api::router(parts, &config.api);
        started.push(Server::start(api, threads, bounds, metrics, router).map_err(build)?);
        running.lock().unwrap_or_else(PoisonError::into_inner).extend(started);
        Ok(core.built(core.executor.clone()))
    });
    drop(std::mem::take(&mut *servers.lock().unwrap_or_else(PoisonError::into_inner)));
    result
}
