//! `avald start`: runs a node until it is told to stop.
//!
//! What can be wrong with a folder is looked at first, in an order that leaves everything as it was: configuration,
//! genesis, key, ports, then the ledger, which checks its own folder before it opens it. Then the engine, and last the
//! REST interface. Stopping goes the other way.

use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aval_store::{Ledger, StoreConfig};
use clap::Args;

use super::log::LogControl;
use crate::access::Gate;
use crate::access::log::AccessLog;
use crate::api::admin::Controls;
use crate::api::server::{self, Server};
use crate::api::{self, NodeInfo, Parts};
use crate::config::Home;
use crate::core::{Core, CoreOptions, Network};
use crate::engine::{EngineError, Peer, ProductionOptions, run as run_engine};
use crate::executor::install_genesis;
use crate::fault::{Fault, file_fault};
use crate::genesis_file::GenesisFile;
use crate::key_file::{self, NodeKey};
use crate::metrics::Metrics;
use crate::stop::Stop;

/// Threads that drive consensus; its heavy work is done elsewhere.
const ENGINE_THREADS: usize = 2;
/// Threads of the interface for the operator.
const ADMIN_THREADS: usize = 1;
/// In the engine's folder: the genesis hash of the network that its journals belong to.
const ENGINE_NETWORK_FILE: &str = "NETWORK";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The node's folder, made by `avald init` or `avald devnet`.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
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
    listen: std::net::SocketAddr,
    peers: Vec<Peer>,
    api: TcpListener,
    admin: Option<TcpListener>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let setup = Setup::read(&arguments.home)?;
    claim_engine_folder(&setup.home.engine_folder(), &setup.genesis)?;
    let config =
        StoreConfig { history_heights: setup.home.config.ledger.history_heights, ..StoreConfig::default() };
    let ledger = Ledger::open(&setup.home.ledger_folder(), &setup.genesis.hash, config)?;
    let log = AccessLog::open(&setup.home.access_log()).map_err(|error| {
        Fault::invalid(format!(
            "{error}: keep {} for whoever looks into it, and move it away",
            setup.home.access_log().display()
        ))
    })?;
    let gate = Arc::new(Gate::new(setup.node.key.clone(), log));
    let stop = Stop::on_signals(arguments.exit_with_parent)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        network = %setup.network.id,
        key = %setup.node.key,
        name = setup.node.name.as_deref().unwrap_or("-"),
        height = ledger.head().map_or(0, |head| head.height()),
        api = %setup.home.config.api.listen,
        peers = %setup.listen,
        "starting"
    );
    let engine_folder = setup.home.engine_folder();
    // The engine panics on what it takes for a defect, damaged journals among them. That ends the node, in order.
    match std::panic::catch_unwind(AssertUnwindSafe(|| drive(setup, ledger, gate, &stop))) {
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
        let Some(validator) = genesis.validator(&key.public()) else {
            return Err(Fault::invalid(format!(
                "the key in {} ({public}) is not one of the validators of {}: use the key or the genesis file that belong \
                 together",
                home.key_file().display(),
                home.genesis_file().display()
            )));
        };
        let node = NodeInfo { key: public, name: Some(validator.name.clone()) };
        let listen = home.config.peers.listen.unwrap_or(validator.address);
        let peers = peers(&home, &genesis)?;
        let network =
            Network { genesis: genesis.genesis.clone(), hash: genesis.hash, id: genesis.network.clone() };
        let api = server::bind("api.listen", home.config.api.listen)?;
        let admin =
            home.config.admin.listen.map(|address| server::bind("admin.listen", address)).transpose()?;
        // Taken for a moment only, so that a used port is known before any folder is touched.
        drop(TcpListener::bind(listen).map_err(|error| {
            Fault::failed(format!(
                "{listen} cannot be listened on for other validators ({error}): stop the program that uses it, or set \
                 another peers.listen in config.json"
            ))
        })?);
        Ok(Self { genesis, network, key, node, listen, peers, api, admin, home })
    }
}

/// The validators with their addresses, those of the configuration before those of the genesis file.
fn peers(home: &Home, genesis: &GenesisFile) -> Result<Vec<Peer>, Fault> {
    let mut overrides = home.config.peers.addresses.clone();
    let mut peers = Vec::new();
    for validator in &genesis.genesis.validators {
        let address = overrides.remove(&validator.key.to_multikey()).unwrap_or(validator.address);
        peers.extend(validator.ed25519_key().map(|key| Peer { key, address }));
    }
    match overrides.keys().next() {
        None => Ok(peers),
        Some(unknown) => Err(Fault::failed(format!(
            "peers.addresses in config.json names {unknown}, which is no validator of this network: correct it"
        ))),
    }
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
fn drive(setup: Setup, ledger: Ledger, gate: Arc<Gate>, stop: &Stop) -> Result<(), EngineError> {
    let genesis_block = install_genesis(&ledger, &setup.genesis.genesis, setup.genesis.hash)?;
    let options = ProductionOptions {
        settings: setup.network.engine_settings(genesis_block, *setup.key.seed()),
        listen: setup.listen,
        peers: setup.peers,
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
        let core_options = CoreOptions { mempool: config.mempool.limits(), ..CoreOptions::default() };
        let metrics = Arc::new(Metrics::new());
        let core = Core::start(network, ledger, runtime, links, metrics.clone(), core_options)?;
        let parts = Parts { core: core.clone(), genesis, node, gate };
        let build = |fault: Fault| EngineError::Build(fault.to_string());
        let mut started = Vec::new();
        if let (Some(listener), Some(controls)) = (admin, controls) {
            let (parts, metrics) = (parts.clone(), metrics.clone());
            let router = move || api::admin::router(parts, controls);
            started.push(Server::start(listener, ADMIN_THREADS, metrics, router).map_err(build)?);
        }
        let threads = config.api.threads;
        let router = move || api::router(parts, &config.api);
        started.push(Server::start(api, threads, metrics, router).map_err(build)?);
        running.lock().unwrap_or_else(PoisonError::into_inner).extend(started);
        Ok((core.executor.clone(), core.history()))
    });
    drop(std::mem::take(&mut *servers.lock().unwrap_or_else(PoisonError::into_inner)));
    result
}
