//! The engine's parts and how they are wired, the same on every runtime and network.
//!
//! ```text
//!   votes, certificates, resolver ── simplex ──> deferred ──> adapter ──> Application
//!   blocks ── buffer ─┐                 │                                     ^
//!   backfill ── resolver ── marshal <───┘ finalizations ── deliver ───────────┘
//!   messages ── Links
//! ```
//!
//! There is one epoch, 0, with the validators of genesis. What depends on the epoch goes through [`Schemes`] and an
//! epocher already, so that later epochs add entries and engines instead of changing the wiring.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use commonware_broadcast::buffered;
use commonware_codec::DecodeExt as _;
use commonware_consensus::marshal::core::{Actor as MarshalActor, Mailbox as MarshalMailbox};
use commonware_consensus::marshal::resolver::p2p as marshal_resolver;
use commonware_consensus::marshal::standard::{Deferred, Standard};
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::simplex::config::{Floor, ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::{self};
use commonware_consensus::types::{Epoch, FixedEpocher, ViewDelta};
use commonware_cryptography::certificate::{Provider, Scoped};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::{Sha256, Signer as _};
use commonware_p2p::{Blocker, Provider as PeerProvider, Receiver, Recipients, Sender, max_message_size};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Handle, Metrics, Quota, Spawner, Storage};
use commonware_utils::NonZeroDuration;
use commonware_utils::ordered::Set;
use rand::CryptoRng;

use super::adapter::{Adapter, FinalizedReporter, SharedApplication, deliver};
use super::archive::{BlockArchive, CertificateArchive, JournalOptions};
use super::block::{self, EngineBlock, digest};
use super::certificate::namespace;
use super::{EngineError, Fatal, History, MESSAGE_BYTES_MAX, Settings};

/// Channels on the network between validators. The numbers are part of the protocol.
pub(super) mod channel {
    pub(in super::super) const VOTES: u64 = 0;
    pub(in super::super) const CERTIFICATES: u64 = 1;
    pub(in super::super) const RESOLVER: u64 = 2;
    pub(in super::super) const BACKFILL: u64 = 3;
    pub(in super::super) const BLOCKS: u64 = 4;
    pub(in super::super) const MESSAGES: u64 = 5;
}

/// Blocks that the application may have under way; also how far its store can be ahead of the engine's record of it.
const PENDING_ACKNOWLEDGEMENTS: u64 = 16;
/// Views behind the newest finalized one whose votes and blocks are kept for validators that are a little behind.
const VIEWS_KEPT: u64 = 128;
/// Messages that may wait inside a part of the engine.
const MAILBOX: NonZeroUsize = nonzero(512);
/// Bytes buffered before a journal is written, and while it is read at the start.
const JOURNAL_BUFFER: NonZeroUsize = nonzero(256 * 1024);
/// Pages of the cache under the journals: 8 MiB.
const CACHE_PAGES: NonZeroUsize = nonzero(2048);

const fn nonzero(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("the constants of this file are not zero")
}

/// Messages per second and peer on the engine's own channels.
pub(super) fn engine_quota() -> Quota {
    Quota::per_second(const { NonZeroU32::new(512).expect("not zero") })
}

/// Messages per second and peer of [`super::Links`]; more would be dropped.
pub(super) fn message_quota() -> Quota {
    Quota::per_second(const { NonZeroU32::new(256).expect("not zero") })
}

/// The bound on a network message that admits everything the engine and the node send.
pub(super) fn message_bytes_max(settings: &Settings) -> u32 {
    let validators = u32::try_from(settings.validators.len()).unwrap_or(u32::MAX);
    let votes = simplex::max_payload_size::<Scheme, commonware_cryptography::sha256::Digest>(validators);
    let blocks =
        marshal::max_payload_size::<Standard<EngineBlock>, Scheme>(validators, &settings.block_bytes_max);
    max_message_size(&[votes, blocks, MESSAGE_BYTES_MAX])
}

/// The ends of the channels.
pub(super) struct Channels<S, R> {
    pub(super) votes: (S, R),
    pub(super) certificates: (S, R),
    pub(super) resolver: (S, R),
    pub(super) backfill: (S, R),
    pub(super) blocks: (S, R),
    pub(super) messages: (S, R),
}

/// The certificate schemes by epoch.
#[derive(Clone, Default)]
struct Schemes(Arc<Mutex<BTreeMap<Epoch, Arc<Scheme>>>>);

impl Schemes {
    fn insert(&self, epoch: Epoch, scheme: Scheme) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(epoch, Arc::new(scheme));
    }
}

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned().map(Scoped::scheme)
    }
}

/// The validators of the settings, in the order of their keys.
pub(super) fn validator_set(settings: &Settings) -> Result<Set<PublicKey>, EngineError> {
    let keys = settings.validators.iter().map(public_key).collect::<Result<Vec<_>, _>>()?;
    Ok(Set::from_iter_dedup(keys))
}

/// A validator's key.
pub(super) fn public_key(bytes: &[u8; 32]) -> Result<PublicKey, EngineError> {
    block::public_key(bytes).map_err(|_| EngineError::ValidatorKey(aval_codec::Hash::new(*bytes).to_hex()))
}

/// This validator's key.
pub(super) fn private_key(settings: &Settings) -> Result<PrivateKey, EngineError> {
    PrivateKey::decode(Bytes::copy_from_slice(&settings.key_seed))
        .map_err(|_| EngineError::Build("the node's key is unusable".into()))
}

/// What the engine needs of a runtime.
pub(super) trait EngineContext: Clock + CryptoRng + Metrics + Spawner + Storage {}
impl<E: Clock + CryptoRng + Metrics + Spawner + Storage> EngineContext for E {}

/// Everything that runs once the engine is started; dropping it does not stop it, ending its context does.
pub(super) struct Running {
    consensus: Handle<()>,
    marshal: Handle<()>,
    delivery: Handle<Result<(), Fatal>>,
}

impl Running {
    /// Waits until a part of the engine stops, which none does by itself while the node is healthy.
    pub(super) async fn failed(self) -> EngineError {
        let Self { consensus, marshal, delivery } = self;
        futures::pin_mut!(consensus, marshal, delivery);
        let stopped = futures::future::select(consensus, marshal);
        match futures::future::select(delivery, stopped).await {
            futures::future::Either::Left((Ok(Err(fatal)), _)) => EngineError::Fatal(fatal),
            // The cause of a stopped marshal may be a commit that failed a moment earlier.
            futures::future::Either::Right((_, delivery)) => match futures::FutureExt::now_or_never(delivery)
            {
                Some(Ok(Err(fatal))) => EngineError::Fatal(fatal),
                _ => EngineError::Stopped,
            },
            futures::future::Either::Left(_) => EngineError::Stopped,
        }
    }
}

/// Wires the engine and starts it.
pub(super) async fn start<E, S, R, P, B>(
    context: E,
    settings: &Settings,
    channels: Channels<S, R>,
    peers: P,
    blocker: B,
    application: SharedApplication,
    history: Arc<dyn History>,
    outgoing: tokio::sync::mpsc::Receiver<Bytes>,
) -> Result<Running, EngineError>
where
    E: EngineContext,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    P: PeerProvider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    let epoch = Epoch::zero();
    // One epoch without an end: the first landing has a fixed validator set.
    let epocher = FixedEpocher::new(const { NonZeroU64::new(1 << 60).expect("not zero") });
    let key = private_key(settings)?;
    let validators = validator_set(settings)?;
    let namespace = namespace(&settings.network);
    let scheme = Scheme::signer(&namespace, validators.clone(), key.clone())
        .unwrap_or_else(|| Scheme::verifier(&namespace, validators.clone()));
    let schemes = Schemes::default();
    schemes.insert(epoch, scheme.clone());

    let page_cache = CacheRef::new(const { NonZeroU16::new(4096).expect("not zero") }, CACHE_PAGES);
    let (marshal_actor, marshal, delivered) =
        open_marshal(&context, settings, &schemes, &epocher, &page_cache, &history).await?;
    check_progress(delivered, history.height())?;

    let resolver = marshal_resolver::init(
        context.child("backfill"),
        marshal_resolver::Config {
            public_key: key.public_key(),
            peer_provider: peers.clone(),
            blocker: blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: seconds(2),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        channels.backfill,
    );
    let (buffer_engine, buffer) = buffered::Engine::new(
        context.child("blocks"),
        buffered::Config {
            public_key: key.public_key(),
            mailbox_size: MAILBOX,
            deque_size: 8,
            priority: false,
            codec_config: settings.block_bytes_max,
            peer_provider: peers,
            strategy: Sequential,
        },
    );
    buffer_engine.start(channels.blocks);
    let adapter = Adapter::new(application.clone());
    let deferred = Deferred::new(context.child("verification"), adapter, marshal.clone(), epocher);
    let (reporter, finalized) = FinalizedReporter::new(application.clone());
    let marshal_handle = marshal_actor.start(reporter, buffer, resolver);
    let delivery = {
        let (application, genesis) = (application.clone(), settings.genesis.digest());
        context.child("delivery").spawn(move |_| deliver(application, finalized, marshal, genesis))
    };
    spawn_messages(&context, channels.messages, application, outgoing);
    let consensus = simplex::Engine::new(
        context.child("consensus"),
        simplex_config(settings, scheme, blocker, deferred, page_cache, epoch),
    )
    .start(channels.votes, channels.certificates, channels.resolver);
    Ok(Running { consensus, marshal: marshal_handle, delivery })
}

type ArchivedMarshal<E> = MarshalActor<
    E,
    Standard<EngineBlock>,
    Schemes,
    CertificateArchive<E>,
    BlockArchive<E>,
    FixedEpocher,
    Sequential,
>;

async fn open_marshal<E: EngineContext>(
    context: &E,
    settings: &Settings,
    schemes: &Schemes,
    epocher: &FixedEpocher,
    page_cache: &CacheRef,
    history: &Arc<dyn History>,
) -> Result<(ArchivedMarshal<E>, MarshalMailbox<Scheme, Standard<EngineBlock>>, u64), EngineError> {
    let options = JournalOptions {
        prefix: settings.partition_prefix.clone(),
        page_cache: page_cache.clone(),
        write_buffer: JOURNAL_BUFFER,
        replay_buffer: JOURNAL_BUFFER,
    };
    let genesis = Arc::new(settings.genesis.clone());
    let journal = |error: commonware_storage::archive::Error| EngineError::Journal(error.to_string());
    let blocks = BlockArchive::open(
        context.child("finalized_blocks"),
        &options,
        settings.block_bytes_max,
        genesis.clone(),
        history.clone(),
    )
    .await
    .map_err(journal)?;
    let validators = u32::try_from(settings.validators.len()).unwrap_or(u32::MAX);
    let certificates =
        CertificateArchive::open(context.child("finalizations"), &options, validators, history.clone())
            .await
            .map_err(journal)?;
    let genesis = EngineBlock::digested(genesis).map_err(|error| EngineError::Build(error.to_string()))?;
    let config = marshal::Config {
        provider: schemes.clone(),
        epocher: epocher.clone(),
        start: Start::Genesis(genesis),
        partition_prefix: format!("{}marshal", settings.partition_prefix),
        mailbox_size: MAILBOX,
        view_retention: ViewDelta::new(VIEWS_KEPT),
        prunable_items_per_section: const { NonZeroU64::new(64).expect("not zero") },
        page_cache: page_cache.clone(),
        replay_buffer: JOURNAL_BUFFER,
        key_write_buffer: JOURNAL_BUFFER,
        value_write_buffer: JOURNAL_BUFFER,
        block_codec_config: settings.block_bytes_max,
        max_repair: nonzero(16),
        max_pending_acks: nonzero(PENDING_ACKNOWLEDGEMENTS as usize),
        strategy: Sequential,
    };
    let (actor, mailbox, floor) =
        MarshalActor::init(context.child("marshal"), certificates, blocks, config).await;
    Ok((actor, mailbox, floor.processed().map_or(0, |processed| processed.height().get())))
}

/// Refuses to go on with journals and a store that do not belong together.
///
/// A validator that lost its journal of votes could vote twice in one view, so it must not start over silently.
pub(super) fn check_progress(delivered: u64, committed: u64) -> Result<(), EngineError> {
    // Committing comes before counting as delivered, with a bounded number of blocks in between.
    let in_step = delivered..=delivered.saturating_add(2 * PENDING_ACKNOWLEDGEMENTS);
    if in_step.contains(&committed) {
        Ok(())
    } else {
        Err(EngineError::FoldersApart { committed, delivered })
    }
}

fn simplex_config<E, B>(
    settings: &Settings,
    scheme: Scheme,
    blocker: B,
    deferred: Deferred<E, Scheme, Adapter, EngineBlock, FixedEpocher>,
    page_cache: CacheRef,
    epoch: Epoch,
) -> simplex::Config<
    Scheme,
    RoundRobin<Sha256>,
    B,
    commonware_cryptography::sha256::Digest,
    Deferred<E, Scheme, Adapter, EngineBlock, FixedEpocher>,
    Deferred<E, Scheme, Adapter, EngineBlock, FixedEpocher>,
    Deferred<E, Scheme, Adapter, EngineBlock, FixedEpocher>,
    Sequential,
>
where
    E: EngineContext,
    B: Blocker<PublicKey = PublicKey>,
{
    let leader_timeout = Duration::from_millis(settings.leader_timeout_ms.max(1));
    let certification_timeout = leader_timeout + Duration::from_secs(1);
    simplex::Config {
        scheme,
        elector: RoundRobin::<Sha256>::default(),
        blocker,
        automaton: deferred.clone(),
        relay: deferred.clone(),
        reporter: deferred,
        strategy: Sequential,
        partition: format!("{}consensus-{epoch}", settings.partition_prefix),
        mailbox_size: MAILBOX,
        epoch,
        floor: Floor::Genesis(digest(&settings.genesis.digest())),
        replay_buffer: JOURNAL_BUFFER,
        write_buffer: JOURNAL_BUFFER,
        page_cache,
        leader_timeout,
        certification_timeout,
        timeout_retry: leader_timeout,
        view_retention: ViewDelta::new(VIEWS_KEPT),
        // A validator that was silent for a while is skipped at once when its turn comes, until it is heard again.
        skip: SkipPolicy::Enabled { timeout: certification_timeout * 2, budget: SkipBudget::Participants },
        fetch_timeout: seconds(1),
        fetch_retry_delay: Duration::from_millis(200),
        // The leader sends its block to all, and who misses it fetches it. Sending it again to whoever was a
        // moment slower than the quorum would send every block to the slowest validator several times.
        forward: ForwardPolicy::SilentLeader,
        track_historical_votes: false,
    }
}

/// Moves the node's own messages between its queue and the network.
fn spawn_messages<E, S, R>(
    context: &E,
    (mut sender, mut receiver): (S, R),
    application: SharedApplication,
    mut outgoing: tokio::sync::mpsc::Receiver<Bytes>,
) where
    E: Spawner,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let _ = context.child("messages_out").spawn(move |_| async move {
        while let Some(message) = outgoing.recv().await {
            let _ = sender.send(Recipients::All, message, false);
        }
    });
    let _ = context.child("messages_in").spawn(move |_| async move {
        while let Ok((peer, message)) = receiver.recv().await {
            let mut key = [0; 32];
            key.iter_mut().zip(peer.as_ref()).for_each(|(to, from)| *to = *from);
            application.message(key, Bytes::from(message));
        }
    });
}

fn seconds(seconds: u64) -> NonZeroDuration {
    // Only called with the constants of this file.
    NonZeroDuration::new_panic(Duration::from_secs(seconds))
}
