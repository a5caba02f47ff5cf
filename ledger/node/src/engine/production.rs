//! The engine on tokio and real sockets.
//!
//! Validators hold one encrypted connection to each other. The handshake proves both Ed25519 keys, and only keys of the
//! validator set are let in; addresses come from the genesis file or the node's configuration.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use commonware_cryptography::ChaCha20Poly1305;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::authenticated::lookup;
use commonware_p2p::{Address, AddressableManager as _, AddressableTrackedPeers};
use commonware_runtime::{Metrics as _, Runner as _, Supervisor as _, tokio as engine_tokio};
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::NZUsize;
use commonware_utils::ordered::Map;
use futures::future::{Either, select};

use super::runtime::EngineRuntime;
use super::stack::{self, Channels, channel, engine_quota, message_quota};
use super::{Application, EngineError, History, Links, Settings};
use crate::runtime::SharedRuntime;

/// Another validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its Ed25519 key.
    pub key: [u8; 32],
    /// Where it listens.
    pub address: SocketAddr,
}

/// What this node decides for itself.
#[derive(Debug)]
pub struct ProductionOptions {
    /// What all validators agree on.
    pub settings: Settings,
    /// Where to listen for other validators.
    pub listen: SocketAddr,
    /// The validators of the set, this one too.
    pub peers: Vec<Peer>,
    /// The folder of the engine's journals.
    pub journal_folder: PathBuf,
    /// Threads that drive consensus.
    pub worker_threads: usize,
}

/// The node around the engine: the application, and the committed blocks.
pub type Built<A> = (Arc<A>, Arc<dyn History>);

/// Runs the engine on the calling thread until `shutdown` completes or a part of it fails.
///
/// `build` makes the node on the runtime and the links it is given; it is called once, before anything is started.
pub fn run<A, F, S>(options: ProductionOptions, shutdown: S, build: F) -> Result<(), EngineError>
where
    A: Application,
    F: FnOnce(SharedRuntime, Links) -> Result<Built<A>, EngineError>,
    S: Future<Output = ()> + Send + 'static,
{
    // The engine would panic on a taken port long after the start, so it is tried before anything else.
    drop(
        TcpListener::bind(options.listen)
            .map_err(|reason| EngineError::Listen { address: options.listen, reason })?,
    );
    let config = engine_tokio::Config::new()
        .with_worker_threads(options.worker_threads.max(1))
        .with_max_blocking_threads(16)
        .with_storage_directory(&options.journal_folder)
        .with_tcp_nodelay(Some(true));
    engine_tokio::Runner::new(config).start(|context| async move {
        let metrics = context.child("metrics");
        let (links, outgoing) = Links::new(move || metrics.encode());
        let runtime: SharedRuntime = Arc::new(EngineRuntime::new(&context));
        let (application, history) = build(runtime, links)?;
        let (channels, oracle) = connect(&context, &options)?;
        let running = stack::start(
            context.child("engine"),
            &options.settings,
            channels,
            oracle.clone(),
            oracle,
            application,
            history,
            outgoing,
        )
        .await?;
        let failed = running.failed();
        futures::pin_mut!(failed, shutdown);
        match select(failed, shutdown).await {
            Either::Left((error, _)) => Err(error),
            Either::Right(_) => Ok(()),
        }
    })
}

type TokioSender = lookup::Sender<PublicKey, engine_tokio::Context>;
type TokioReceiver = lookup::Receiver<PublicKey>;

fn connect(
    context: &engine_tokio::Context,
    options: &ProductionOptions,
) -> Result<(Channels<TokioSender, TokioReceiver>, lookup::Oracle<PublicKey>), EngineError> {
    let settings = &options.settings;
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: stack::private_key(settings)?,
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let namespace = format!("aval-network/1/{}", settings.network);
    // The engine reserves a queue for as many peers as there may be, so this is the number there are.
    let peers_max = NonZeroUsize::new(options.peers.len()).unwrap_or(NonZeroUsize::MIN);
    let mut config = lookup::Config::local(
        handshake,
        namespace.as_bytes(),
        options.listen,
        peers_max,
        stack::message_bytes_max(settings),
        NZUsize!(512),
    );
    // The handshake key admits a validator, not the address it comes from: behind address translation these differ.
    config.bypass_ip_check = true;
    config.tracked_peer_sets = NZUsize!(1);
    config.block_duration = Duration::from_secs(600);
    let (mut network, mut oracle) = lookup::Network::new(context.child("network"), config);
    let channels = Channels {
        votes: network.register(channel::VOTES, engine_quota()),
        certificates: network.register(channel::CERTIFICATES, engine_quota()),
        resolver: network.register(channel::RESOLVER, engine_quota()),
        backfill: network.register(channel::BACKFILL, engine_quota()),
        blocks: network.register(channel::BLOCKS, engine_quota()),
        messages: network.register(channel::MESSAGES, message_quota()),
    };
    network.start();
    let addresses = options
        .peers
        .iter()
        .map(|peer| Ok((stack::public_key(&peer.key)?, Address::from(peer.address))))
        .collect::<Result<Vec<_>, EngineError>>()?;
    let _ = oracle
        .track(0, AddressableTrackedPeers::new(Map::from_iter_dedup(addresses), Map::from_iter_dedup([])));
    Ok((channels, oracle))
}
