//! The REST interface: submit, track, prove, resolve (`/openapi.json` describes it, `specs/openapi/avald.json` is a
//! copy).
//!
//! | path | what it gives |
//! |---|---|
//! | `POST /v1/transactions` | 202 with the id, or why it was refused |
//! | `GET /v1/transactions/{id}` | unknown, pending, refused or final; `wait_ms` waits for final |
//! | `GET /v1/transactions/{id}/receipt` | the receipt, inside of its proof |
//! | `GET /v1/transactions/{id}/policy` | which policy allowed it, or did not |
//! | `GET /1.0/identifiers/{did}` | DID Resolution 1.0, HTTP binding, with a ledger proof |
//! | `GET /v1/accreditations/{did}?type=&at=` | who was accredited when, by which chain, with proofs |
//! | `GET /v1/services?kind=` | the directory of services |
//! | `GET /v1/state?key=` | an entry of the state or its absence, inside of its proof |
//! | `GET /v1/blocks/{height}` | a block; `…/header` with its certificate; `…/receipt`: what it did on its own |
//! | `GET /v1/nodes`, `GET /v1/nodes/{key}` | the nodes of the network, how each stands and why |
//! | `GET /v1/faults` | fault proofs that this node has seen, ready for the ledger |
//! | `GET /v1/trust-chain` | the changes of the validator set, each with its certificate |
//! | `GET /v1/blocks?from=` | a run of blocks with certificates, for a node that joins |
//! | `GET /v1/snapshots`, `…/{height}/chunks`, `…/blocks` | the state of a height in chunks that verify by themselves |
//! | `GET /v1/events` | what changed, as server-sent events from any height on |
//! | `GET /v1/proposals`, `/v1/holds`, and `…/{id}` | what governors and supervisors decide, with proof |
//! | `GET /v1/audit` | a range of the ledger as a bundle that is checked offline, for auditors |
//! | `GET /v1/checkpoint` | the newest certified header |
//! | `GET /v1/genesis` | the genesis file, byte for byte |
//! | `GET /v1/status`, `/health`, `/ready`, `/metrics`, `/openapi.json` | the node itself |
//!
//! Every error is a problem ([`problem`]); a resolution answers in the form of its own specification. Nothing here
//! decides: the gate does, and what is read comes with a proof, so that nobody has to trust the node that answers.
//! Reads go to the ledger on the interface's own threads; no request does more than a bounded number of them.

pub mod accept;
mod accreditations;
pub mod admin;
mod audit;
mod blocks;
pub mod connections;
mod events;
mod governance;
mod layers;
mod members;
mod node;
mod nodes;
mod openapi;
pub mod problem;
mod proofs;
mod receipts;
mod resolve;
pub mod server;
mod services;
mod snapshots;
mod state;
#[cfg(test)]
mod tests;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use aval_did::Did;
use aval_store::Ledger;
use aval_types::NetworkId;
use aval_types::access::AccessRequest;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware;
use axum::{Json, Router, routing};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::{Denial, Gate, Needed};
use crate::config::{ApiConfig, EventsConfig};
use crate::core::Core;
use crate::genesis_file::GenesisFile;

pub use openapi::openapi_json;

/// Requests about the node itself at the same time: places that no other request can take.
const OWN_REQUESTS_MAX: usize = 64;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// What the interface tells of the node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The node's network key, as a multikey.
    pub key: String,
}

/// Everything that the interface needs.
#[derive(Clone)]
pub struct Parts {
    /// The node.
    pub core: Arc<Core>,
    /// The genesis file.
    pub genesis: Arc<GenesisFile>,
    /// Who this node is.
    pub node: NodeInfo,
    /// Who may ask for what is not for everybody.
    pub gate: Arc<Gate>,
}

/// The parts with what handlers share.
struct Context {
    parts: Parts,
    finality: proofs::FinalityCache,
    waiting: Semaphore,
    events: EventsConfig,
    event_readers: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    snapshot_readers: Arc<Semaphore>,
}

impl Context {
    fn new(parts: Parts, config: &ApiConfig) -> Self {
        let places = |count: usize| Semaphore::new(count.min(Semaphore::MAX_PERMITS));
        Self {
            parts,
            finality: proofs::FinalityCache::default(),
            waiting: places(config.waiting_max),
            events: config.events.clone(),
            event_readers: Arc::new(places(config.events.readers_max)),
            exports: Arc::new(places(audit::EXPORTS_MAX)),
            snapshot_readers: Arc::new(places(config.snapshot_readers_max)),
        }
    }

    fn ledger(&self) -> &Ledger {
        &self.parts.core.ledger
    }

    fn network(&self) -> &NetworkId {
        &self.parts.genesis.network
    }

    fn now_ms(&self) -> u64 {
        self.parts.core.runtime.now_ms()
    }

    /// Lets a request with an access token through, or says why not; either is in the log by then.
    fn admit(
        &self,
        interface: &'static str,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
        needed: Needed<'_>,
    ) -> Result<Did, Denial> {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let request = AccessRequest::new(method.as_str(), path, body);
        self.parts.gate.admit(interface, self.ledger(), self.now_ms(), token, &request, needed)
    }
}

type Shared = axum::extract::State<Arc<Context>>;

/// The routes with all their layers.
pub fn router(parts: Parts, config: &ApiConfig) -> Router {
    let metrics = parts.core.metrics.clone();
    let context = Arc::new(Context::new(parts, config));
    let timeout = Duration::from_millis(config.timeout_ms);
    let limit = layers::Limit::new(config.requests_max, timeout);
    // Waiting for a transaction has a bound of its own, so that it cannot take the places of other requests.
    let waiting = layers::Limit::new(config.waiting_max, timeout + transactions::WAIT_MAX);
    // How the node is has to be known most when everything else is refused.
    let of_node = layers::Limit::new(OWN_REQUESTS_MAX, timeout);
    let (own, quick, slow, document) = openapi::routes();
    let document = Arc::new(document);
    let quick = quick
        .route("/openapi.json", routing::get(move || async move { Json((*document).clone()) }))
        .fallback(openapi::no_route)
        .layer(middleware::from_fn_with_state(limit, layers::limit));
    let slow = slow.layer(middleware::from_fn_with_state(waiting, layers::limit));
    let own = own.layer(middleware::from_fn_with_state(of_node, layers::limit));
    quick
        .merge(slow)
        .merge(own)
        .with_state(context)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(middleware::from_fn_with_state(metrics, layers::observe))
}
