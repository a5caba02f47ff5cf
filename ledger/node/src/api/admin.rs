//! The interface for the node's operator, on a listener of its own (specs/rest.md, "Administration").
//!
//! | path | what it does |
//! |---|---|
//! | `GET /v1/node` | the node's key and operator, for who wants to sign a token; open to all |
//! | `GET /v1/status` | height, epoch and validator set, sync, log filter, disk, memory |
//! | `GET /v1/peers` | the members of the network, why each is admitted, and whether it is connected |
//! | `GET`, `PUT /v1/log-level` | the log's filter, changed at once and until the next start |
//! | `GET /v1/access-log?last=` | who asked for what is not for everybody |
//! | `POST /v1/stop` | stops the node in order |
//!
//! Everything but the first wants an access token of the DID that operates the node by the ledger: who takes over the
//! operator's DID takes over the node, and who loses it loses it, with no file to change. Every request is in the
//! access log before it is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aval_codec::Hash;
use aval_did::Did;
use aval_store::StoreError;
use aval_types::{NetworkId, Witness};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::{Json, Router, middleware, routing};
use serde::{Deserialize, Serialize};
use tower_http::catch_panic::CatchPanicLayer;

use super::problem::Problem;
use super::{Context, Parts, layers, members, node, openapi};
use crate::access::Needed;
use crate::access::log::Line;
use crate::cli::log::LogControl;
use crate::config::ApiConfig;
use crate::metrics::process_usage;
use crate::stop::Stop;

/// Requests at the same time: one person administers a node.
const REQUESTS_MAX: usize = 16;
/// Time of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 4096;
/// Entries of the access log that are shown unless more are asked for.
const LOG_ENTRIES: usize = 50;

/// What the interface steers.
#[derive(Debug, Clone)]
pub struct Controls {
    /// Stops the node.
    pub stop: Stop,
    /// The log.
    pub log: Arc<LogControl>,
}

struct Admin {
    context: Context,
    controls: Controls,
    started: Instant,
}

type Shared = State<Arc<Admin>>;

/// The routes with all their layers.
pub fn router(parts: Parts, controls: Controls) -> Router {
    let metrics = parts.core.metrics.clone();
    let context = Context::new(parts, &ApiConfig::default());
    let admin = Arc::new(Admin { context, controls, started: Instant::now() });
    Router::new()
        .route("/v1/node", routing::get(identity))
        .route("/v1/status", routing::get(status))
        .route("/v1/peers", routing::get(peers))
        .route("/v1/log-level", routing::get(log_level).put(set_log_level))
        .route("/v1/access-log", routing::get(access_log))
        .route("/v1/stop", routing::post(stop))
        .fallback(openapi::no_route)
        .with_state(admin)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(layers::Limit::new(REQUESTS_MAX, TIMEOUT), layers::limit))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(middleware::from_fn_with_state(metrics, layers::observe))
}

/// A request before it is allowed.
struct Asked<'a> {
    method: &'a Method,
    uri: &'a axum::http::Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl Admin {
    /// The DID that operates this node, by the ledger.
    fn operator(&self) -> Result<Option<Did>, Problem> {
        Ok(self.context.operator()?)
    }

    fn admit(&self, asked: &Asked<'_>) -> Result<(), Problem> {
        let operator = self.operator()?;
        let Asked { method, uri, headers, body } = asked;
        self.context.admit("admin", method, uri, headers, body, Needed::Did(operator.as_ref()))?;
        Ok(())
    }
}

/// What a token for this node names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    network: NetworkId,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<Did>,
}

async fn identity(State(admin): Shared) -> Result<Json<Identity>, Problem> {
    Ok(Json(Identity {
        network: admin.context.network().clone(),
        key: admin.context.parts.gate.node_key().to_owned(),
        operator: admin.operator()?,
    }))
}

/// How the node is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdminStatus {
    #[serde(flatten)]
    node: node::Status,
    view: u64,
    validators: Hash,
    next_validators: Hash,
    last_set_change: u64,
    newest_certified: Option<u64>,
    witnesses_kept: bool,
    ledger_bytes: Option<u64>,
    memory_bytes: Option<u64>,
    uptime_seconds: u64,
    log: String,
    access_log_entries: u64,
}

async fn status(
    State(admin): Shared,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Json<AdminStatus>, Problem> {
    admin.admit(&Asked { method: &method, uri: &uri, headers: &headers, body: &[] })?;
    let ledger = admin.context.ledger();
    let head = ledger.require_head()?;
    let header = head.header();
    let block = ledger.block(head.height())?;
    let (lines, _) = admin.context.parts.gate.log().recent(1);
    Ok(Json(AdminStatus {
        node: node::status_of(&admin.context)?,
        view: header.view,
        validators: header.validators_hash,
        next_validators: header.next_validators_hash,
        last_set_change: header.last_set_change,
        newest_certified: ledger.newest_certified().ok(),
        witnesses_kept: !block.transactions.iter().any(|one| matches!(one.witness, Witness::Stripped(_))),
        ledger_bytes: ledger.size_bytes().ok(),
        memory_bytes: process_usage().map(|usage| usage.resident_memory_bytes),
        uptime_seconds: admin.started.elapsed().as_secs(),
        log: admin.controls.log.current(),
        access_log_entries: lines.last().map_or(0, |line| line.number),
    }))
}

async fn peers(
    State(admin): Shared,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Json<Vec<members::Member>>, Problem> {
    admin.admit(&Asked { method: &method, uri: &uri, headers: &headers, body: &[] })?;
    Ok(Json(members::members(&admin.context)?))
}

/// The log's filter.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLevel {
    filter: String,
}

async fn log_level(
    State(admin): Shared,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Json<LogLevel>, Problem> {
    admin.admit(&Asked { method: &method, uri: &uri, headers: &headers, body: &[] })?;
    Ok(Json(LogLevel { filter: admin.controls.log.current() }))
}

async fn set_log_level(
    State(admin): Shared,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<LogLevel>, Problem> {
    admin.admit(&Asked { method: &method, uri: &uri, headers: &headers, body: &body })?;
    let wanted: LogLevel = serde_json::from_slice(&body).map_err(|_| {
        Problem::malformed("The body is {\"filter\":\"…\"}, for example info or warn,aval_node=debug.")
    })?;
    let before = admin.controls.log.current();
    admin
        .controls
        .log
        .change(&wanted.filter)
        .map_err(|reason| Problem::malformed(format!("This is no filter of the log: {reason}.")))?;
    tracing::warn!(%before, after = %wanted.filter, "the log's filter was changed by the operator");
    Ok(Json(wanted))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    last: Option<usize>,
}

/// The newest entries of the access log.
#[derive(Debug, Serialize)]
struct LogView {
    entries: Vec<Line>,
    /// Hash of the last line: who keeps it elsewhere can show later that nothing was cut off.
    hash: Hash,
}

async fn access_log(
    State(admin): Shared,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(query): Query<LogQuery>,
) -> Result<Json<LogView>, Problem> {
    admin.admit(&Asked { method: &method, uri: &uri, headers: &headers, body: &[] })?;
    let (entries, hash) = admin.context.parts.gate.log().recent(query.last.unwrap_or(LOG_ENTRIES));
    Ok(Json(LogView { entries, hash }))
}

async fn stop(
    State(admin): Shared,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    admin.admit(&Asked { method: &method, uri: &uri, headers: &headers, body: &[] })?;
    tracing::warn!("the operator asks the node to stop");
    admin.controls.stop.request();
    Ok(StatusCode::ACCEPTED)
}

impl Context {
    /// The DID that operates this node: by its entry in the registry of nodes, else by the genesis file.
    fn operator(&self) -> Result<Option<Did>, StoreError> {
        let key = self.parts.gate.node_key();
        if let Some(record) = members::record(self, key)? {
            return Ok(Some(record.operator));
        }
        let validators = &self.parts.genesis.genesis.validators;
        Ok(validators.iter().find(|entry| entry.key.to_multikey() == key).map(|entry| entry.operator.clone()))
    }
}
