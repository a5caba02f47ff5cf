//! The engine on tokio and real sockets.
//!
//! Nodes hold one encrypted connection with each other. The handshake proves both Ed25519 keys, and only keys that the
//! newest committed state admits are let in; validators are called at their addresses, observers call.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use commonware_cryptography::ChaCha20Poly1305;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::authenticated::lookup;
use commonware_p2p::{Address, AddressableManager as _, AddressableTrackedPeers};
use commonware_runtime::{
    Metrics as _, Network, Resolver, Runner as _, Supervisor as _, tokio as engine_tokio,
};
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::NZUsize;
use commonware_utils::ordered::Map;
use futures::future::{Either, select};

use tracing::warn;

use super::peers::{Connections, Tracked};
use super::runtime::EngineRuntime;
use super::stack::{self, Channels, EngineContext, Node, channel, quota};
use super::{Application, Built, EngineError, Links, Peer, Settings};
use crate::runtime::SharedRuntime;

/// What this node decides for itself.
#[derive(Debug)]
pub struct ProductionOptions {
    /// What all validators agree on.
    pub settings: Settings,
    /// Where to listen for other nodes.
    pub listen: SocketAddr,
    /// Nodes that may be connected at the same time. Each takes memory whether it is connected or not.
    pub connections_max: NonZeroUsize,
    /// The folder of the engine's journals.
    pub journal_folder: PathBuf,
    /// Threads that drive consensus.
    pub worker_threads: usize,
}

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
        let built = build(runtime, links)?;
        let (channels, oracle) = connect(&context, &options)?;
        let running = stack::start(
            context.child("engine"),
            &options.settings,
            channels,
            oracle.clone(),
            oracle.clone(),
            LookupConnections { oracle, maximum: options.connections_max.get() },
            Node::new(built, outgoing),
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

/// Tells the network whom to be connected with.
pub(super) struct LookupConnections {
    pub(super) oracle: lookup::Oracle<PublicKey>,
    pub(super) maximum: usize,
}

impl Connections for LookupConnections {
    fn track(&mut self, id: u64, peers: Tracked) {
        // The network counts this node in even if it is not in the set.
        let room = self.maximum.saturating_sub(1);
        let named = peers.validators.len() + peers.observers.len();
        if named > room {
            warn!(
                named,
                room, "more nodes are admitted than this node may be connected with: peers.connectionsMax"
            );
        }
        let observers = room.saturating_sub(peers.validators.len());
        let validators = peers.validators.into_iter().take(room).map(addressed);
        let observers = peers.observers.into_iter().take(observers).map(addressed);
        let peers =
            AddressableTrackedPeers::new(Map::from_iter_dedup(validators), Map::from_iter_dedup(observers));
        let _ = self.oracle.track(id, peers);
    }
}

fn addressed((key, peer): (PublicKey, Peer)) -> (PublicKey, Address) {
    // Port 0 cannot be called, and nobody calls a node without an address.
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    (key, Address::from(peer.address.unwrap_or(nowhere)))
}

type LookupSender<E> = lookup::Sender<PublicKey, E>;
type LookupReceiver = lookup::Receiver<PublicKey>;

/// Opens the network of a node. Nobody is let in before the first set of peers is tracked.
pub(super) fn connect<E>(
    context: &E,
    options: &ProductionOptions,
) -> Result<(Channels<LookupSender<E>, LookupReceiver>, lookup::Oracle<PublicKey>), EngineError>
where
    E: EngineContext + Network + Resolver,
{
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
    let mut config = lookup::Config::local(
        handshake,
        namespace.as_bytes(),
        options.listen,
        options.connections_max,
        stack::message_bytes_max(settings),
        NZUsize!(512),
    );
    // The handshake key admits a node, not the address it comes from: behind address translation these differ.
    config.bypass_ip_check = true;
    // Connections are held with everybody in any tracked set, so a second one would let a revoked node stay.
    config.tracked_peer_sets = NZUsize!(1);
    config.block_duration = Duration::from_secs(600);
    let (mut network, oracle) = lookup::Network::new(context.child("network"), config);
    let channels = Channels {
        votes: network.register(channel::VOTES, quota()),
        certificates: network.register(channel::CERTIFICATES, quota()),
        resolver: network.register(channel::RESOLVER, quota()),
        backfill: network.register(channel::BACKFILL, quota()),
        blocks: network.register(channel::BLOCKS, quota()),
        messages: network.register(channel::MESSAGES, quota()),
    };
    network.start();
    Ok((channels, oracle))
}
