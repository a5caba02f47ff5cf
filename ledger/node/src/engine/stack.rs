//! The engine's parts and how they are wired, the same on every runtime and network.
//!
//! ```text
//!   votes, certificates, resolver ── by epoch ── simplex ──> deferred ──> adapter ──> Application
//!   blocks ── buffer ─┐                             │                                     ^
//!   backfill ── resolver ── marshal <───────────────┘ finalizations ── epochs ────────────┘
//!   messages ── Links
//! ```
//!
//! One simplex engine runs at a time, that of the epoch ([`super::epochs`]); everything else lasts as long as the node.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use aval_codec::Hash;
use bytes::Bytes;
use commonware_broadcast::buffered;
use commonware_codec::DecodeExt as _;
use commonware_consensus::Reporters;
use commonware_consensus::marshal::core::{Actor as MarshalActor, Mailbox as MarshalMailbox};
use commonware_consensus::marshal::resolver::p2p as marshal_resolver;
use commonware_consensus::marshal::standard::{Deferred, Standard};
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::simplex::config::{Floor, ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::{self};
use commonware_consensus::types::{Epoch, FixedEpocher, ViewDelta};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::{Sha256, Signer as _};
use commonware_p2p::utils::mux;
use commonware_p2p::{Blocker, Provider as PeerProvider, Receiver, Recipients, Sender, max_message_size};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Handle, Metrics, Quota, Spawner, Storage};
use commonware_utils::NonZeroDuration;
use futures::stream::FuturesUnordered;
use rand::CryptoRng;

use super::adapter::{Adapter, FinalizedReporter, SharedApplication};
use super::archive::{BlockArchive, CertificateArchive, JournalOptions, KEPT_HEIGHTS};
use super::block::{self, EngineBlock, digest};
use super::certificate::{BlockFinalization, to_engine};
use super::epochs::{ByEpoch, EpochChannels, Epochs, Verification};
use super::faults::FaultReporter;
use super::peers::{Connections, Following, SharedKeys};
use super::schemes::Schemes;
use super::{
    Application, Audience, Built, EngineError, History, MESSAGE_BYTES_MAX, Membership, Outgoing, Settings,
};

/// Channels on the network between validators. The numbers are part of the protocol.
pub(super) mod channel {
    pub(in super::super) const VOTES: u64 = 0;
    pub(in super::super) const CERTIFICATES: u64 = 1;
    pub(in super::super) const RESOLVER: u64 = 2;
    pub(in super::super) const BACKFILL: u64 = 3;
    pub(in super::super) const BLOCKS: u64 = 4;
    pub(in super::super) const MESSAGES: u64 = 5;
}

/// Newest blocks of each sender that are kept in memory. A full block takes some 10 MiB there; what is older
/// is read from the archive or asked for again.
const BLOCKS_KEPT: usize = 2;
/// Blocks that the application may have under way; also how far its store can be ahead of the engine's record of it.
const PENDING_ACKNOWLEDGEMENTS: u64 = 16;
/// Views behind the newest finalized one whose votes and blocks are kept for validators that are a little behind.
const VIEWS_KEPT: u64 = 128;
/// Messages that may wait inside a part of the engine.
const MAILBOX: NonZeroUsize = nonzero(512);
/// Bytes buffered before a journal is written, and while it is read at the start.
pub(super) const JOURNAL_BUFFER: NonZeroUsize = nonzero(256 * 1024);
/// Pages of the cache under the journals: 8 MiB.
const CACHE_PAGES: NonZeroUsize = nonzero(2048);

const fn nonzero(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("the constants of this file are not zero")
}

/// Messages per second and peer on a channel; more are dropped. The network reserves room for as many of
/// every peer that there may be.
pub(super) fn quota() -> Quota {
    Quota::per_second(const { NonZeroU32::new(256).expect("not zero") })
}

/// The bound on a network message that admits everything the engine and the node send.
pub(super) fn message_bytes_max(settings: &Settings) -> u32 {
    // All nodes must have the same bound, whatever the set is.
    let validators = u32::try_from(aval_types::limits::VALIDATORS_MAX).unwrap_or(u32::MAX);
    let votes = mux::prefixed(simplex::max_payload_size::<Scheme, commonware_cryptography::sha256::Digest>(
        validators,
    ));
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

/// A node's key.
pub(super) fn public_key(bytes: &[u8; 32]) -> Result<PublicKey, EngineError> {
    block::public_key(bytes).map_err(|_| EngineError::ValidatorKey(aval_codec::Hash::new(*bytes).to_hex()))
}

/// This node's key.
pub(super) fn private_key(settings: &Settings) -> Result<PrivateKey, EngineError> {
    PrivateKey::decode(Bytes::copy_from_slice(&settings.key_seed))
        .map_err(|_| EngineError::Build("the node's key is unusable".into()))
}

/// What the engine needs of a runtime.
pub(super) trait EngineContext: Clock + CryptoRng + Metrics + Spawner + Storage {}
impl<E: Clock + CryptoRng + Metrics + Spawner + Storage> EngineContext for E {}

/// Everything that runs once the engine is started; dropping it does not stop it, ending its context does.
pub(super) struct Running {
    marshal: Handle<()>,
    epochs: Handle<Result<(), EngineError>>,
}

impl Running {
    /// Waits until a part of the engine stops, which none does by itself while the node is healthy.
    pub(super) async fn failed(self) -> EngineError {
        let Self { marshal, epochs } = self;
        futures::pin_mut!(marshal, epochs);
        match futures::future::select(epochs, marshal).await {
            futures::future::Either::Left((Ok(Err(error)), _)) => error,
            // The cause of a stopped marshal may be a commit that failed a moment earlier.
            futures::future::Either::Right((_, epochs)) => match futures::FutureExt::now_or_never(epochs) {
                Some(Ok(Err(error))) => error,
                _ => EngineError::Stopped,
            },
            futures::future::Either::Left(_) => EngineError::Stopped,
        }
    }
}

/// The node that the engine serves, and its queue of messages.
pub(super) struct Node {
    pub(super) application: SharedApplication,
    pub(super) history: Arc<dyn History>,
    pub(super) membership: Arc<dyn Membership>,
    pub(super) outgoing: Outgoing,
}

impl Node {
    pub(super) fn new<A: Application>(built: Built<A>, outgoing: Outgoing) -> Self {
        let Built { application, history, membership } = built;
        Self { application, history, membership, outgoing }
    }
}

/// Wires the engine and starts it.
pub(super) async fn start<E, S, R, P, B, C>(
    context: E,
    settings: &Settings,
    channels: Channels<S, R>,
    peers: P,
    blocker: B,
    connections: C,
    node: Node,
) -> Result<Running, EngineError>
where
    E: EngineContext,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    P: PeerProvider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    C: Connections,
{
    let Node { application, history, membership, outgoing } = node;
    let epocher = FixedEpocher::new(settings.epoch_blocks);
    let key = private_key(settings)?;
    let since_1970 = context.current().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    let schemes = Schemes::new(settings, membership.clone(), now_ms)?;
    let committed = history.height();
    let head = (committed, history.digest(committed)?);

    let page_cache = page_cache();
    let storage = Storages { page_cache: &page_cache, history: &history, membership: &membership };
    // A ledger that came by another way than the engine's delivery is where the engine has to go on.
    let floor = match settings.joined_height {
        Some(_) => newest_certified(&history, &membership)?,
        None => None,
    };
    let floor_height = floor.as_ref().map_or(0, |(height, _)| *height);
    let (marshal_actor, marshal, delivered) =
        open_marshal(&context, settings, &schemes, &epocher, storage, floor).await?;
    let delivered = delivered.max(settings.joined_height.unwrap_or(0).min(floor_height));
    check_progress(delivered, committed)?;
    open_schemes(&schemes, settings.epoch_blocks, delivered.min(floor_height.max(1) - 1), committed)?;

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
            deque_size: BLOCKS_KEPT,
            priority: false,
            codec_config: settings.block_bytes_max,
            peer_provider: peers,
            strategy: Sequential,
        },
    );
    buffer_engine.start(channels.blocks);
    let adapter = Adapter::new(application.clone());
    let verification =
        Deferred::new(context.child("verification"), adapter, marshal.clone(), epocher.clone());
    let (reporter, finalized) = FinalizedReporter::new(application.clone());
    let marshal_handle = marshal_actor.start(reporter, buffer, resolver);
    let following = Following::new(connections, membership.clone(), key.public_key());
    let ends = MessageEnds { application: application.clone(), blocker: blocker.clone() };
    spawn_messages(&context, channels.messages, ends, outgoing, following.validators());
    let epochs = Epochs {
        options: SimplexOptions::new(settings, page_cache, history, application.clone()),
        channels: EpochChannels {
            votes: ByEpoch::new(context.child("votes"), channels.votes),
            certificates: ByEpoch::new(context.child("certificates"), channels.certificates),
            resolver: ByEpoch::new(context.child("resolver"), channels.resolver),
        },
        context: context.child("epochs"),
        epocher,
        schemes,
        membership,
        verification,
        marshal,
        blocker,
        following,
        deletions: FuturesUnordered::new(),
    };
    let genesis = settings.genesis.digest();
    let epochs = context.child("delivery").spawn(move |_| epochs.run(application, finalized, head, genesis));
    Ok(Running { marshal: marshal_handle, epochs })
}

/// Journals are written in pages of a size that must not change.
pub(super) fn page_cache() -> CacheRef {
    CacheRef::new(const { NonZeroU16::new(4096).expect("not zero") }, CACHE_PAGES)
}

/// The newest committed block that has a certificate of its own, unless it is genesis.
fn newest_certified(
    history: &Arc<dyn History>,
    membership: &Arc<dyn Membership>,
) -> Result<Option<(u64, BlockFinalization)>, EngineError> {
    for height in (1..=history.height()).rev() {
        let Some(certificate) = history.certificate(height)? else { continue };
        let Some(validators) = membership.validators(certificate.epoch)? else { return Ok(None) };
        let count = u32::try_from(validators.len()).unwrap_or(u32::MAX);
        let finalization = to_engine(&certificate, &history.digest(height)?, count);
        return Ok(finalization.map(|finalization| (height, finalization)));
    }
    Ok(None)
}

/// Makes the schemes of the epochs whose blocks are not delivered yet.
fn open_schemes(
    schemes: &Schemes,
    epoch_blocks: NonZeroU64,
    delivered: u64,
    committed: u64,
) -> Result<(), EngineError> {
    for epoch in delivered.saturating_add(1) / epoch_blocks..=committed.saturating_add(1) / epoch_blocks {
        schemes.open(Epoch::new(epoch))?;
    }
    Ok(())
}

/// Where the marshal keeps what it must not lose.
struct Storages<'a> {
    page_cache: &'a CacheRef,
    history: &'a Arc<dyn History>,
    membership: &'a Arc<dyn Membership>,
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
    storages: Storages<'_>,
    floor: Option<(u64, BlockFinalization)>,
) -> Result<(ArchivedMarshal<E>, MarshalMailbox<Scheme, Standard<EngineBlock>>, u64), EngineError> {
    let Storages { page_cache, history, membership } = storages;
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
    let certificates = CertificateArchive::open(
        context.child("finalizations"),
        &options,
        history.clone(),
        membership.clone(),
    )
    .await
    .map_err(journal)?;
    let genesis = EngineBlock::digested(genesis).map_err(|error| EngineError::Build(error.to_string()))?;
    let config = marshal::Config {
        provider: schemes.clone(),
        epocher: epocher.clone(),
        start: match floor {
            Some((_, finalization)) => Start::Floor(finalization),
            None => Start::Genesis(genesis),
        },
        partition_prefix: format!("{}marshal", settings.partition_prefix),
        mailbox_size: MAILBOX,
        // Views of an earlier epoch count as one together, so a window as long as an epoch would never pass one.
        view_retention: ViewDelta::new(VIEWS_KEPT.min(settings.epoch_blocks.get().div_ceil(2))),
        prunable_items_per_section: KEPT_HEIGHTS,
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

/// The place of an engine in the order.
pub(super) struct Place {
    pub(super) scheme: Scheme,
    pub(super) epoch: Epoch,
    /// The block before the epoch's first.
    pub(super) floor: Hash,
    /// How long to wait for a leader's block.
    pub(super) leader_timeout: Duration,
}

/// What the engines of all epochs have in common.
pub(super) struct SimplexOptions {
    pub(super) genesis: Hash,
    pub(super) history: Arc<dyn History>,
    partition_prefix: String,
    page_cache: CacheRef,
    application: SharedApplication,
}

type SimplexConfig<E, B> = simplex::Config<
    Scheme,
    RoundRobin<Sha256>,
    B,
    commonware_cryptography::sha256::Digest,
    Verification<E>,
    Verification<E>,
    Reporters<Verification<E>, FaultReporter>,
    Sequential,
>;

impl SimplexOptions {
    fn new(
        settings: &Settings,
        page_cache: CacheRef,
        history: Arc<dyn History>,
        application: SharedApplication,
    ) -> Self {
        Self {
            genesis: settings.genesis.digest(),
            history,
            partition_prefix: settings.partition_prefix.clone(),
            page_cache,
            application,
        }
    }

    /// The name of an epoch's journal of votes.
    pub(super) fn partition(&self, epoch: Epoch) -> String {
        format!("{}consensus-{epoch}", self.partition_prefix)
    }

    pub(super) fn config<E, B>(
        &self,
        place: Place,
        verification: Verification<E>,
        blocker: B,
    ) -> SimplexConfig<E, B>
    where
        E: EngineContext,
        B: Blocker<PublicKey = PublicKey>,
    {
        let leader_timeout = place.leader_timeout;
        let certification_timeout = leader_timeout + Duration::from_secs(1);
        let faults = FaultReporter::new(self.application.clone(), &place.scheme);
        simplex::Config {
            scheme: place.scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker,
            automaton: verification.clone(),
            relay: verification.clone(),
            reporter: Reporters::from((verification, faults)),
            strategy: Sequential,
            partition: self.partition(place.epoch),
            mailbox_size: MAILBOX,
            epoch: place.epoch,
            floor: Floor::Genesis(digest(&place.floor)),
            replay_buffer: JOURNAL_BUFFER,
            write_buffer: JOURNAL_BUFFER,
            page_cache: self.page_cache.clone(),
            leader_timeout,
            certification_timeout,
            timeout_retry: leader_timeout,
            view_retention: ViewDelta::new(VIEWS_KEPT),
            // A validator that was silent for a while is skipped at once when its turn comes, until it is heard again.
            skip: SkipPolicy::Enabled {
                timeout: certification_timeout * 2,
                budget: SkipBudget::Participants,
            },
            fetch_timeout: seconds(1),
            fetch_retry_delay: Duration::from_millis(200),
            // The leader sends its block to all, and who misses it fetches it. Sending it again to whoever was a
            // moment slower than the quorum would send every block to the slowest validator several times.
            forward: ForwardPolicy::SilentLeader,
            track_historical_votes: false,
        }
    }
}

/// Who hears the messages of other nodes, and what shuts out those that send too many.
pub(super) struct MessageEnds<B> {
    pub(super) application: SharedApplication,
    pub(super) blocker: B,
}

/// Moves the node's own messages between its queue and the network.
pub(super) fn spawn_messages<E, S, R, B>(
    context: &E,
    (mut sender, mut receiver): (S, R),
    ends: MessageEnds<B>,
    mut outgoing: Outgoing,
    validators: SharedKeys,
) where
    E: Spawner,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    let MessageEnds { application, mut blocker } = ends;
    let _ = context.child("messages_out").spawn(move |_| async move {
        while let Some((audience, message)) = outgoing.recv().await {
            let recipients = match audience {
                Audience::Everybody => Recipients::All,
                Audience::Validators => Recipients::Some(validators.get()),
            };
            let _ = sender.send(recipients, message, false);
        }
    });
    let _ = context.child("messages_in").spawn(move |_| async move {
        while let Ok((peer, message)) = receiver.recv().await {
            let mut key = [0; 32];
            key.iter_mut().zip(peer.as_ref()).for_each(|(to, from)| *to = *from);
            application.message(key, Bytes::from(message));
            if application.is_fed_up_with(key) {
                tracing::warn!(
                    ?peer,
                    "a node sends too much, or what no working node sends: it is cut off for a while"
                );
                let _ = blocker.block(peer);
            }
        }
    });
}

fn seconds(seconds: u64) -> NonZeroDuration {
    // Only called with the constants of this file.
    NonZeroDuration::new_panic(Duration::from_secs(seconds))
}
