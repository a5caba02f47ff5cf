//! The REST interface: submit, track, prove, resolve (`/openapi.json` describes it, `specs/openapi/avald.json` is a
//! copy).
//!
//! | path | what it gives |
//! |---|---|
//! | `POST /v1/transactions` | 202 with the id, or why it was refused |
//! | `GET /v1/transactions/{id}` | unknown, pending, refused or final; `wait_ms` waits for final |
//! | `GET /v1/transactions/{id}/receipt` | the receipt, inside of its proof |
//! | `GET /1.0/identifiers/{did}` | DID Resolution 1.0, HTTP binding, with a ledger proof |
//! | `GET /v1/state?key=` | an entry of the state or its absence, inside of its proof |
//! | `GET /v1/blocks/{height}` | a block; `…/header` with its certificate; `…/receipt`: what it did on its own |
//! | `GET /v1/nodes`, `GET /v1/nodes/{key}` | the nodes of the network, how each stands and why |
//! | `GET /v1/trust-chain` | the changes of the validator set, each with its certificate |
//! | `GET /v1/checkpoint` | the newest certified header |
//! | `GET /v1/genesis` | the genesis file, byte for byte |
//! | `GET /v1/status`, `/health`, `/ready`, `/metrics`, `/openapi.json` | the node itself |
//!
//! Every error is a problem ([`problem`]); a resolution answers in the form of its own specification. Nothing here
//! decides: the gate does, and what is read comes with a proof, so that nobody has to trust the node that answers.
//! Reads go to the ledger on the interface's own threads; no request does more than a bounded number of them.

pub mod accept;
mod blocks;
mod layers;
mod node;
mod nodes;
mod openapi;
pub mod problem;
mod proofs;
mod resolve;
pub mod server;
mod state;
#[cfg(test)]
mod tests;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use aval_store::Ledger;
use aval_types::NetworkId;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::{Json, Router, routing};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::ApiConfig;
use crate::core::Core;
use crate::genesis_file::GenesisFile;

pub use openapi::openapi_json;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// What the interface tells of the node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The node's network key, as a multikey.
    pub key: String,
    /// The name that the genesis file gives it, if it is a validator.
    pub name: Option<String>,
}

/// Everything that the interface needs.
pub struct Parts {
    /// The node.
    pub core: Arc<Core>,
    /// The genesis file.
    pub genesis: Arc<GenesisFile>,
    /// Who this node is.
    pub node: NodeInfo,
}

/// The parts with what handlers share.
struct Context {
    parts: Parts,
    finality: proofs::FinalityCache,
    waiting: Semaphore,
}

impl Context {
    fn ledger(&self) -> &Ledger {
        &self.parts.core.ledger
    }

    fn network(&self) -> &NetworkId {
        &self.parts.genesis.network
    }

    fn now_ms(&self) -> u64 {
        self.parts.core.runtime.now_ms()
    }
}

type Shared = axum::extract::State<Arc<Context>>;

/// The routes with all their layers.
pub fn router(parts: Parts, config: &ApiConfig) -> Router {
    let metrics = parts.core.metrics.clone();
    let context = Arc::new(Context {
        parts,
        finality: proofs::FinalityCache::default(),
        waiting: Semaphore::new(config.waiting_max.min(Semaphore::MAX_PERMITS)),
    });
    let timeout = Duration::from_millis(config.timeout_ms);
    let limit = layers::Limit::new(config.requests_max, timeout);
    // Waiting for a transaction has a bound of its own, so that it cannot take the places of other requests.
    let waiting = layers::Limit::new(config.waiting_max, timeout + transactions::WAIT_MAX);
    let (quick, slow, document) = openapi::routes();
    let document = Arc::new(document);
    let quick = quick
        .route("/openapi.json", routing::get(move || async move { Json((*document).clone()) }))
        .fallback(openapi::no_route)
        .layer(middleware::from_fn_with_state(limit, layers::limit));
    let slow = slow.layer(middleware::from_fn_with_state(waiting, layers::limit));
    quick
        .merge(slow)
        .with_state(context)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(middleware::from_fn_with_state(metrics, layers::observe))
}
