//! Snapshots of the state, for nodes that join (specs/wire.md, "Snapshot").
//!
//! Nobody has to believe what is given here: each chunk is verified against a certified state root by whoever takes
//! it. A chunk costs some thousand reads, so only a few requests are answered at a time; more are sent away at
//! once.

use aval_codec::Hash;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::{Context, Shared};
use crate::block_run;

/// A snapshot that is offered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SnapshotView {
    /// The height after whose block the state is like this.
    height: u64,
    /// The digest of that block's header.
    #[schema(value_type = String)]
    digest: Hash,
    /// The root that every chunk is verified against.
    #[schema(value_type = String)]
    state_root: Hash,
    /// Milliseconds since 1970.
    time: u64,
}

/// The snapshots that a node offers, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SnapshotList {
    snapshots: Vec<SnapshotView>,
}

/// The snapshots that this node offers, for nodes that join.
#[utoipa::path(
    get, path = "/v1/snapshots", tag = "ledger",
    responses((status = 200, description = "The newest first; none if this node offers none", body = SnapshotList))
)]
pub(super) async fn list(State(context): Shared) -> Result<Json<SnapshotList>, Problem> {
    let offered = context.parts.core.snapshots.offered(context.ledger())?;
    let view = |header: &aval_types::Header| SnapshotView {
        height: header.height,
        digest: header.digest(),
        state_root: header.state_root,
        time: header.time_ms,
    };
    Ok(Json(SnapshotList { snapshots: offered.iter().map(view).collect() }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChunkQuery {
    /// Where the chunk begins: the key hash behind the chunk before it, 64 hexadecimal digits; zeros for the first.
    from: String,
}

/// A part of the state at a snapshot's height, with its proof.
#[utoipa::path(
    get, path = "/v1/snapshots/{height}/chunks", tag = "ledger",
    params(("height" = u64, Path, description = "The height of an offered snapshot"), ChunkQuery),
    responses(
        (status = 200, description = "A chunk (specs/wire.md)", body = String,
            content_type = "application/octet-stream"),
        (status = 400, description = "No chunk begins there", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "This height is not offered", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many ask for snapshots", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn chunk(
    State(context): Shared,
    Path(height): Path<u64>,
    Query(query): Query<ChunkQuery>,
) -> Result<Response, Problem> {
    let from: Hash =
        query.from.parse().map_err(|_| Problem::malformed("from is 64 lowercase hexadecimal digits."))?;
    let bytes = answered(&context, height, move |ledger| {
        let chunk = ledger.snapshot_chunk(height, &from)?;
        Ok(chunk.map(|chunk| chunk.encode().unwrap_or_default()).filter(|bytes| !bytes.is_empty()))
    })
    .await?;
    bytes.map(binary).ok_or_else(|| {
        Problem::malformed(
            "No chunk of this snapshot begins there: begin with zeros, and go on behind each chunk.",
        )
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BlocksQuery {
    /// The height above the first block that is wanted.
    below: u64,
}

/// The blocks at and below a snapshot's height, downwards, with receipts: what a node needs to go on from it.
#[utoipa::path(
    get, path = "/v1/snapshots/{height}/blocks", tag = "ledger",
    params(("height" = u64, Path, description = "The height of an offered snapshot"), BlocksQuery),
    responses(
        (status = 200, description = "A run of blocks downwards (specs/wire.md)", body = String,
            content_type = "application/octet-stream"),
        (status = 404, description = "This height is not offered", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many ask for snapshots", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn blocks(
    State(context): Shared,
    Path(height): Path<u64>,
    Query(query): Query<BlocksQuery>,
) -> Result<Response, Problem> {
    let below = query.below.min(height.saturating_add(1));
    let bytes = answered(&context, height, move |ledger| {
        block_run::encode_downwards(ledger, below, block_run::BLOCKS_MAX)
    })
    .await?;
    Ok(binary(bytes))
}

/// Reads from the disk for one of the few that may ask at a time.
async fn answered<T: Send + 'static>(
    context: &Context,
    height: u64,
    read: impl FnOnce(&aval_store::Ledger) -> Result<T, aval_store::StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let Ok(place) = context.snapshot_readers.clone().try_acquire_owned() else {
        return Err(Problem::overloaded("Too many ask for snapshots: ask another node, or again shortly."));
    };
    if !context.parts.core.snapshots.ask(context.ledger(), height, context.now_ms())? {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "snapshot.not_offered",
            "This height is not offered as a snapshot",
            "GET /v1/snapshots lists those that are.",
        ));
    }
    let ledger = context.ledger().clone();
    let read = tokio::task::spawn_blocking(move || {
        let _place = place;
        read(&ledger)
    });
    Ok(read.await.map_err(|_| Problem::internal())??)
}

fn binary(bytes: Vec<u8>) -> Response {
    let media_type = HeaderValue::from_static("application/octet-stream");
    (StatusCode::OK, [(header::CONTENT_TYPE, media_type)], bytes).into_response()
}
