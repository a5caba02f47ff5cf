//! The node itself: what it is, how far it is, whether it is well.

use std::sync::Arc;

use aval_codec::Hash;
use aval_did::PublicKey;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::{Context, Shared};
use crate::clock;
use crate::engine::Membership as _;
use crate::roster::{Admission, RegisteredNode};

/// A node counts as connected if it was heard within this time; each tells its height every 2 s.
const PEER_SILENCE_MS: u64 = 10_000;
/// Heights that a node may be behind and still count as in step.
const LAG_MAX: u64 = 8;
/// Heartbeats that may be missing before a node counts as cut off.
const HEARTBEATS_MISSED_MAX: u64 = 5;

/// What a node says of itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// The network's full name, as transactions state it.
    #[schema(example = "aval:demo:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    network: String,
    /// The network's label, as DIDs carry it.
    label: String,
    /// The genesis hash: the trust anchor.
    #[schema(value_type = String)]
    genesis: Hash,
    /// Height of the newest final block.
    height: u64,
    /// Digest of its header.
    #[schema(value_type = String)]
    digest: Hash,
    /// Root of the state after it.
    #[schema(value_type = String)]
    state_root: Hash,
    /// Its time, milliseconds since 1970.
    time: u64,
    /// The same in UTC.
    time_utc: String,
    /// The node's clock, milliseconds since 1970.
    clock: u64,
    /// `in-step`, `catching-up` or `cut-off`.
    sync: &'static str,
    /// The newest final height that the node knows of.
    tip: u64,
    /// Oldest height whose state can be asked.
    oldest_height: u64,
    /// `validator`: votes in this epoch. `candidate`: registered to, but not in this epoch's set. `observer`: follows.
    /// `stranger`: not admitted any more.
    role: &'static str,
    /// The name under which the node is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The node's network key.
    key: String,
    /// The epoch that this node takes part in.
    epoch: EpochView,
    /// The other nodes that are admitted.
    peers: Vec<PeerView>,
    /// Transactions waiting.
    waiting: usize,
    /// The program's version.
    version: &'static str,
}

/// An epoch: blocks with one validator set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EpochView {
    number: u64,
    /// Height of its last block, after which the set may be another.
    last_height: u64,
    /// Keys of its validators, in the order of signer indices.
    validators: Vec<String>,
    /// Whether this node votes in it.
    votes: bool,
}

/// Another node that is admitted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PeerView {
    name: String,
    key: String,
    /// The DID of who operates it.
    operator: String,
    /// `validator`, `candidate` or `observer`.
    role: &'static str,
    /// How it stands: `validating`, `leaving`, `candidate`, `suspended` or `observing`.
    status: &'static str,
    /// Why it is admitted: `genesis` (it stands on the genesis file), `grant` (its operator has a live one),
    /// or the code of what speaks against a validator that stays until the end of the epoch.
    reason: &'static str,
    /// Where it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Whether it was heard in the last seconds.
    connected: bool,
    /// The height it told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
}

/// A word on health.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
    /// Height of the newest final block.
    height: u64,
}

/// What the node is and how far it is.
#[utoipa::path(get, path = "/v1/status", tag = "node", responses((status = 200, description = "The status", body = Status)))]
pub(super) async fn status(State(context): Shared) -> Result<Json<Status>, Problem> {
    status_of(&context).map(Json)
}

pub(super) fn status_of(context: &Context) -> Result<Status, Problem> {
    let core = &context.parts.core;
    let head = context.ledger().require_head()?;
    let now_ms = context.now_ms();
    let sync = sync(context, head.header().time_ms, head.height(), now_ms);
    let node = &context.parts.node;
    let admission = core.roster.admission()?;
    let own = admission.nodes.iter().find(|admitted| multikey(&admitted.key) == node.key);
    Ok(Status {
        network: context.network().to_string(),
        label: context.network().label().to_owned(),
        genesis: context.parts.genesis.hash,
        height: head.height(),
        digest: head.digest(),
        state_root: head.header().state_root,
        time: head.header().time_ms,
        time_utc: clock::rfc3339(head.header().time_ms),
        clock: now_ms,
        sync: sync.word(),
        tip: core.executor.tip().max(head.height()),
        oldest_height: context.ledger().oldest_height(),
        role: own.map_or("stranger", RegisteredNode::role),
        name: own.map(|own| own.name.clone()),
        key: node.key.clone(),
        epoch: epoch(context)?,
        peers: peers(context, &admission, now_ms),
        waiting: core.mempool.usage().entries,
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn multikey(key: &[u8; 32]) -> String {
    PublicKey::Ed25519(*key).to_multikey()
}

fn epoch(context: &Context) -> Result<EpochView, Problem> {
    let roster = &context.parts.core.roster;
    let place = roster.place();
    let validators = roster.validators(place.epoch)?.unwrap_or_default();
    Ok(EpochView {
        number: place.epoch,
        last_height: (place.epoch + 1).saturating_mul(roster.epoch_blocks().get()).saturating_sub(1),
        validators: validators.iter().map(multikey).collect(),
        votes: place.votes,
    })
}

fn peers(context: &Context, admission: &Admission, now_ms: u64) -> Vec<PeerView> {
    let heard = context.parts.core.gossip.peers();
    let view = |node: &RegisteredNode| {
        let peer = heard.iter().find(|peer| peer.key == node.key);
        PeerView {
            name: node.name.clone(),
            key: multikey(&node.key),
            operator: node.operator.to_string(),
            role: node.role(),
            status: node.status.name(),
            reason: node.why,
            address: node.address.map(|address| address.to_string()),
            connected: peer.is_some_and(|peer| now_ms.saturating_sub(peer.heard_ms) < PEER_SILENCE_MS),
            height: peer.map(|peer| peer.height),
        }
    };
    admission.nodes.iter().map(view).filter(|peer| peer.key != context.parts.node.key).collect()
}

/// How a node stands to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    InStep,
    CatchingUp,
    CutOff,
}

impl Sync {
    fn word(self) -> &'static str {
        match self {
            Self::InStep => "in-step",
            Self::CatchingUp => "catching-up",
            Self::CutOff => "cut-off",
        }
    }
}

fn sync(context: &Context, head_time_ms: u64, height: u64, now_ms: u64) -> Sync {
    let core = &context.parts.core;
    let heartbeat_ms = context.parts.genesis.genesis.parameters.heartbeat_ms;
    if core.executor.tip().saturating_sub(height) > LAG_MAX {
        return Sync::CatchingUp;
    }
    // An idle network still makes a block per heartbeat, so silence for several means that this node is out of touch,
    // or that the network stands still.
    let silence_ms = heartbeat_ms.saturating_mul(HEARTBEATS_MISSED_MAX).max(PEER_SILENCE_MS);
    if now_ms.saturating_sub(head_time_ms) > silence_ms { Sync::CutOff } else { Sync::InStep }
}

/// Whether the process lives and can read its ledger.
#[utoipa::path(
    get, path = "/health", tag = "node",
    responses(
        (status = 200, description = "It does", body = Health),
        (status = 500, description = "It cannot read its ledger", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn health(State(context): Shared) -> Result<Json<Health>, Problem> {
    let head = context.ledger().require_head()?;
    context.ledger().header(head.height())?;
    Ok(Json(Health { status: "ok", height: head.height() }))
}

/// Whether the node answers for the present: it is in step with the network and can prove it.
#[utoipa::path(
    get, path = "/ready", tag = "node",
    responses(
        (status = 200, description = "It does", body = Health),
        (status = 503, description = "It is starting, catching up or cut off", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn ready(State(context): Shared) -> Result<Json<Health>, Problem> {
    let head = context.ledger().require_head()?;
    context.finality.newest(context.ledger())?;
    match sync(&context, head.header().time_ms, head.height(), context.now_ms()) {
        Sync::InStep => Ok(Json(Health { status: "ok", height: head.height() })),
        Sync::CatchingUp => Err(Problem::not_ready("The node is catching up.")),
        Sync::CutOff => Err(Problem::not_ready("No block became final for several heartbeats.")),
    }
}

/// Measurements in the Prometheus text format.
#[utoipa::path(
    get, path = "/metrics", tag = "node",
    responses((status = 200, description = "The measurements", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(State(context): Shared) -> Response {
    let text = measure(&context);
    let media_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

fn measure(context: &Arc<Context>) -> String {
    let core = &context.parts.core;
    let metrics = &core.metrics;
    let usage = core.mempool.usage();
    metrics.pool_entries.set(usage.entries as u64);
    metrics.pool_bytes.set(usage.bytes as u64);
    let newest = core.executor.newest();
    metrics.height.set(newest.height);
    metrics.block_time_s.set(newest.time_ms / 1000);
    let now_ms = context.now_ms();
    if let Ok(admission) = core.roster.admission() {
        let peers = peers(context, &admission, now_ms);
        metrics.peers.set(peers.iter().filter(|peer| peer.connected).count() as u64);
        metrics.peers_admitted.set(peers.len() as u64);
    }
    let place = core.roster.place();
    metrics.epoch.set(place.epoch);
    metrics.votes.set(place.votes.into());
    if let Ok(Some(validators)) = core.roster.validators(place.epoch) {
        metrics.validators.set(validators.len() as u64);
    }
    metrics.encode(&core.gossip.engine_metrics())
}
