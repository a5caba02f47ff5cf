//! `avald start`: runs a node until it is told to stop.
//!
//! What can be wrong with a folder is looked at first, in an order that leaves everything as it was: configuration,
//! genesis, key, ports, then the ledger, which checks its own folder before it opens it. Then the engine, and last the
//! REST interface. Stopping goes the other way.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aval_did::PublicKey;
use aval_store::Ledger;
use clap::Args;

use super::ENGINE_NETWORK_FILE;
use super::log::LogControl;
use crate::access::Gate;
use crate::access::log::AccessLog;
use crate::api::admin::Controls;
use crate::api::connections::Bounds;
use crate::api::server::{self, Server};
use crate::api::{self, NodeInfo, Parts};
use crate::backup::{Control, WorkingCopy};
use crate::clock;
use crate::config::{Home, Sync};
use crate::core::{Core, CoreOptions, Network};
use crate::descriptors;
use crate::engine::{EngineError, ProductionOptions, Settings, run as run_engine};
use crate::executor::install_genesis;
use crate::fault::{Fault, file_fault};
use crate::genesis_file::GenesisFile;
use crate::join::{self, Doubt, Joined, Sources};
use crate::key_file::{self, NodeKey};
use crate::metrics::Metrics;
use crate::roster::Roster;
use crate::stop::Stop;

/// Threads that drive consensus; its heavy work is done elsewhere.
const ENGINE_THREADS: usize = 2;
/// Threads of the interface for the operator.
const ADMIN_THREADS: usize = 1;
/// Bytes that a disk which is not full has left: the database reserves about as much when it begins a file.
const ROOM_MIN: u64 = 64 * 1024 * 1024;
/// Connections to the interface for the operator.
const ADMIN_CONNECTIONS: Bounds = Bounds { all: 64, per_address: 64 };

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The node's folder, made by `avald init` or `avald devnet`.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// First fetch what is missing here from this node, http://HOST:PORT of any node of the network; several are asked
    /// one after the other. What they send is verified from the genesis file on. Goes before `peers.join` of the
    /// configuration.
    #[arg(long, value_name = "URL")]
    join: Vec<String>,
    /// Whether a node without blocks begins with a snapshot or with the first block. Goes before `peers.sync`.
    #[arg(long, value_name = "WAY")]
    sync: Option<Sync>,
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
    let peers = &setup.home.config.peers;
    let named = if arguments.join.is_empty() { &peers.join } else { &arguments.join };
    let mut sources = Sources::parse(named)?;
    require_way_in(&setup, !sources.is_empty())?;
    claim_engine_folder(&setup.home.engine_folder(), &setup.genesis)?;
    let config = setup.home.config.ledger.store(setup.network.epoch_blocks().get());
    let ledger = Ledger::open(&setup.home.ledger_folder(), &setup.genesis.hash, config)?;
    let stop = Stop::on_signals(arguments.exit_with_parent)?;
    let sync = arguments.sync.or(peers.sync).unwrap_or_else(|| setup.home.config.ledger.sync());
    install(&setup, sync, &mut sources, &ledger, &stop)?;
    if stop.is_requested() {
        return Ok(());
    }
    install_genesis(&ledger, &setup.genesis.genesis, setup.genesis.hash)
        .map_err(|error| Fault::invalid(error.to_string()))?;
    let log = AccessLog::open(&setup.home.access_log()).map_err(|error| {
        Fault::invalid(format!(
            "{error}: keep {} for whoever looks into it, and move it away",
            setup.home.access_log().display()
        ))
    })?;
    let gate = Arc::new(Gate::new(setup.node.key.clone(), log));
    join(&setup, &mut sources, &ledger, &stop)?;
    if stop.is_requested() {
        return Ok(());
    }
    require_admission(&setup, &ledger)?;
    let joined = settled(&setup, &ledger)?;
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
    let _control = Control::listen(setup.home.path(), ledger.clone(), setup.genesis.clone());
    // The engine panics on what it takes for a defect, damaged journals among them. That ends the node, in order.
    let (watch, folder) = (clock::Watch::start(&stop)?, setup.home.path().to_owned());
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| drive(setup, ledger, gate, joined, &stop)));
    if let Some(seconds) = watch.jump() {
        return Err(Fault::try_later(format!(
            "the clock of this machine jumped by {seconds} s, and everything that waits for a time was wrong with it: set \
             the clock right and start again"
        )));
    }
    match outcome {
        Ok(Err(_)) | Err(_) if is_full(&folder) => Err(Fault::failed(format!(
            "the disk of {} is full or nearly so: make room there and start again; nothing that was acknowledged is lost",
            folder.display()
        ))),
        Ok(Ok(())) => {
            tracing::info!("stopped");
            Ok(())
        }
        Ok(Err(_)) | Err(_) if let Err(error) = try_to_write(&engine_folder) => Err(Fault::failed(format!(
            "the disk of {} does not keep what is written ({error}): mend or replace it, with the files that are there, and \
             start again; nothing that was acknowledged is lost",
            folder.display()
        ))),
        Ok(Err(error)) => Err(engine_fault(&error, &engine_folder)),
        Err(_) => Err(Fault::failed(format!(
            "the consensus engine gave up (see the log above): start again, and if that does not help, restore {} from a \
             backup or remove it while the other validators run",
            engine_folder.display()
        ))),
    }
}

/// Whether the file system of a folder has no room for another block.
fn is_full(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM_MIN)
}

/// Whether a file can be written to a folder so that a power failure leaves it there. The engine does not tell why it
/// gave up, and a disk that fails once mostly fails again.
fn try_to_write(folder: &Path) -> std::io::Result<()> {
    let path = folder.join("probe");
    let mut probe = std::fs::File::create(&path)?;
    // Its name goes first, so that nothing is left however the rest ends.
    std::fs::remove_file(&path)?;
    probe.write_all(b"probe")?;
    probe.sync_data()?;
    probe.sync_all()
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

/// Gives a ledger without blocks the state of a snapshot, if that is the way and somebody offers one.
fn install(
    setup: &Setup,
    sync: Sync,
    sources: &mut Sources,
    ledger: &Ledger,
    stop: &Stop,
) -> Result<(), Fault> {
    let begun = ledger.installation()?.is_some();
    if ledger.head().is_some() || sources.is_empty() || (sync == Sync::Replay && !begun) {
        return Ok(());
    }
    let mut asked = sources.clone();
    let (bytes, folder) = (&setup.genesis.bytes, setup.home.engine_folder());
    if join::install(ledger, &setup.network, bytes, &mut asked, &folder, || stop.is_requested())? {
        *sources = asked;
    } else {
        tracing::info!("nobody offers a snapshot: every block is fetched");
    }
    Ok(())
}

/// What the folder says of how the ledger came here. A key that is none of the validators has signed nothing that
/// counts, so there is no doubt about it.
fn settled(setup: &Setup, ledger: &Ledger) -> Result<Option<Joined>, Fault> {
    let folder = setup.home.engine_folder();
    let Some(joined) = Joined::read(&folder)? else { return Ok(None) };
    let PublicKey::Ed25519(key) = setup.key.public() else { return Ok(Some(joined)) };
    let may_have_voted = || -> Result<bool, Fault> {
        let newest = ledger.require_head()?.height();
        let first = newest.min(joined.height).saturating_sub(1);
        Ok(ledger.validators_after(first.max(ledger.base()))?.contains(&key)
            || ledger.validators_after(newest)?.contains(&key))
    };
    if joined.doubt == Doubt::Joined && !may_have_voted()? {
        let joined = Joined { doubt: Doubt::Settled, ..joined };
        joined.write(&folder)?;
        return Ok(Some(joined));
    }
    Ok(Some(joined))
}

/// Fetches the blocks that are missing here, if there is somebody to ask and the other nodes could not give them.
fn join(setup: &Setup, sources: &mut Sources, ledger: &Ledger, stop: &Stop) -> Result<(), Fault> {
    let restored =
        Joined::read(&setup.home.engine_folder())?.is_some_and(|joined| joined.doubt == Doubt::Restored);
    if sources.is_empty() {
        return Ok(());
    }
    // Other nodes give blocks as long as these have their witnesses. A short absence is theirs, because who fetched
    // blocks otherwise does not vote until the next epoch.
    let head = ledger.require_head()?;
    let age_ms = crate::clock::now_ms().saturating_sub(head.header().time_ms);
    let is_short = age_ms < setup.network.genesis.parameters.witness_retention_ms / 2;
    if is_short && !restored && head.height() > 0 && require_admission(setup, ledger).is_ok() {
        return Ok(());
    }
    join::catch_up(ledger, &setup.network, sources, &setup.home.engine_folder(), || stop.is_requested())
}

/// Refuses a node that is not in the genesis file and has no blocks and nobody to ask for them, before it
/// leaves anything behind.
fn require_way_in(setup: &Setup, can_ask: bool) -> Result<(), Fault> {
    let is_new = !setup.home.ledger_folder().exists();
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
    WorkingCopy::forget(folder)?;
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
    joined: Option<Joined>,
    stop: &Stop,
) -> Result<(), EngineError> {
    let genesis_block = install_genesis(&ledger, &setup.genesis.genesis, setup.genesis.hash)?;
    let addresses = setup.addresses;
    let settings = setup.network.engine_settings(genesis_block, *setup.key.seed());
    let options = ProductionOptions {
        settings: Settings {
            joined_height: joined.map(|joined| joined.height),
            doubt: joined.filter(|joined| joined.doubt != Doubt::Settled).map(|_| {
                let folder = setup.home.engine_folder();
                Arc::new(move |height| {
                    let settled = Joined { height, doubt: Doubt::Settled };
                    if let Err(fault) = settled.write(&folder) {
                        // Nothing is wrong but that the next start waits again.
                        tracing::warn!(%fault, "it could not be noted that this node may vote again");
                    }
                }) as Arc<dyn Fn(u64) + Send + std::marker::Sync>
            }),
            ..settings
        },
        listen: setup.listen,
        connections_max: NonZeroUsize::new(setup.home.config.peers.connections_max)
            .unwrap_or(NonZeroUsize::MIN),
        journal_folder: setup.home.engine_folder(),
        worker_threads: ENGINE_THREADS,
    };
    let servers: Arc<Mutex<Vec<Server>>> = Arc::default();
    let running = servers.clone();
    let faults_file = Some(setup.home.faults_file());
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
        let core_options = CoreOptions {
            mempool: config.mempool.limits(),
            addresses,
            snapshots: config.ledger.snapshots(),
            faults_file,
            ..CoreOptions::default()
        };
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
        let bounds = descriptors::within(configured, descriptors::raise());
        let router = move || api::router(parts, &config.api);
        started.push(Server::start(api, threads, bounds, metrics, router).map_err(build)?);
        running.lock().unwrap_or_else(PoisonError::into_inner).extend(started);
        Ok(core.built(core.executor.clone()))
    });
    drop(std::mem::take(&mut *servers.lock().unwrap_or_else(PoisonError::into_inner)));
    result
}
