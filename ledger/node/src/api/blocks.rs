//! Blocks and headers, to read or byte for byte.

use aval_codec::{Hash, b64u};
use aval_types::{Block, Header, Receipt, TransactionId, Witness};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::transactions::IMMUTABLE;
use super::{Context, Shared, proofs};
use crate::block_run;
use crate::clock;

/// Media type of a block's bytes.
const BINARY_MEDIA_TYPE: &str = "application/octet-stream";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BlockQuery {
    /// `json` (default) to read, `binary` for the exact bytes.
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Binary,
}

/// A header to read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeaderView {
    height: u64,
    /// Milliseconds since 1970.
    time: u64,
    /// The same in UTC.
    time_utc: String,
    epoch: u64,
    view: u64,
    parent_view: u64,
    /// Key of the validator that proposed the block, hexadecimal.
    leader: String,
    #[schema(value_type = String)]
    parent: Hash,
    #[schema(value_type = String)]
    transactions_root: Hash,
    #[schema(value_type = String)]
    witnesses_root: Hash,
    #[schema(value_type = String)]
    receipts_root: Hash,
    #[schema(value_type = String)]
    state_root: Hash,
    #[schema(value_type = String)]
    validators_hash: Hash,
    #[schema(value_type = String)]
    next_validators_hash: Hash,
    last_set_change: u64,
    /// The exact bytes, base64url.
    bytes: String,
}

/// A block to read. Presentations are never shown: only their hash is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BlockView {
    /// The header's digest, by which everybody names the block.
    #[schema(value_type = String)]
    digest: Hash,
    header: HeaderView,
    /// Bytes of the block as validators exchange it.
    bytes: usize,
    transactions: Vec<TransactionView>,
}

/// A transaction of a block.
#[derive(Debug, Serialize, ToSchema)]
struct TransactionView {
    #[schema(value_type = String)]
    id: TransactionId,
    /// The action's type.
    action: &'static str,
    /// The transaction as a JWS.
    #[schema(value_type = Object)]
    transaction: serde_json::Value,
    /// Hash of the presentation beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    witness: Option<Hash>,
    /// `applied` or `rejected`.
    outcome: &'static str,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl HeaderView {
    fn of(header: &Header) -> Self {
        Self {
            height: header.height,
            time: header.time_ms,
            time_utc: clock::rfc3339(header.time_ms),
            epoch: header.epoch,
            view: header.view,
            parent_view: header.parent_view,
            leader: Hash::new(header.leader).to_hex(),
            parent: header.parent,
            transactions_root: header.transactions_root,
            witnesses_root: header.witnesses_root,
            receipts_root: header.receipts_root,
            state_root: header.state_root,
            validators_hash: header.validators_hash,
            next_validators_hash: header.next_validators_hash,
            last_set_change: header.last_set_change,
            bytes: b64u::encode(header.encode()),
        }
    }
}

/// A final block.
///
/// As bytes it is stripped: each presentation is replaced by its hash, which changes nothing that the header commits
/// to.
#[utoipa::path(
    get, path = "/v1/blocks/{height}", tag = "ledger",
    params(("height" = String, Path, description = "A height, or `latest`"), BlockQuery),
    responses(
        (status = 200, description = "The block", content(
            (BlockView = "application/json"), (String = "application/octet-stream"))),
        (status = 400, description = "The height or query cannot be read", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "The height is not final yet", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn block(
    State(context): Shared,
    Path(height): Path<String>,
    Query(query): Query<BlockQuery>,
) -> Result<Response, Problem> {
    let (height, is_fixed) = parse_height(&context, &height)?;
    let block = context.ledger().stripped_block(height)?;
    let response = match query.format {
        Format::Binary => binary(block.encode()),
        Format::Json => Json(view(&context, &block)?).into_response(),
    };
    Ok(cacheable(response, is_fixed))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunQuery {
    /// Height of the first block.
    from: u64,
    /// Blocks at most, up to 512.
    count: Option<u64>,
}

/// Consecutive final blocks, for a node that joins.
///
/// As bytes (specs/wire.md, "Run of blocks"), stripped, each with its certificate. Ends early when it gets
/// long, or at the newest final block; empty if that is below `from`.
#[utoipa::path(
    get, path = "/v1/blocks", tag = "ledger", params(RunQuery),
    responses(
        (status = 200, description = "The blocks", body = String, content_type = "application/octet-stream"),
        (status = 400, description = "The query cannot be read", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn run(State(context): Shared, Query(query): Query<RunQuery>) -> Result<Response, Problem> {
    let count = query.count.unwrap_or(block_run::BLOCKS_MAX);
    let ledger = context.ledger().clone();
    // Up to some megabytes from the disk.
    let bytes = tokio::task::spawn_blocking(move || block_run::encode(&ledger, query.from, count)).await;
    Ok(binary(bytes.map_err(|_| Problem::internal())??))
}

/// A final header with the proof that it is final.
///
/// The answer is a ledger proof without a claim: the header, headers above it if need be, and a certificate.
#[utoipa::path(
    get, path = "/v1/blocks/{height}/header", tag = "ledger",
    params(("height" = String, Path, description = "A height, or `latest`")),
    responses(
        (status = 200, description = "A ledger proof (specs/wire.md) of the header alone", body = Object),
        (status = 404, description = "The height is not final yet", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Nothing is certified yet", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn block_header(
    State(context): Shared,
    Path(height): Path<String>,
) -> Result<Response, Problem> {
    let (height, is_fixed) = parse_height(&context, &height)?;
    let proof = context.ledger().header_proof(context.network(), height)?;
    Ok(cacheable(proofs::answer(&proof), is_fixed))
}

/// What a block did on its own: decisions of governance that were due, the end of an epoch.
#[utoipa::path(
    get, path = "/v1/blocks/{height}/receipt", tag = "ledger",
    params(("height" = String, Path, description = "A height, or `latest`")),
    responses(
        (status = 200, description = "A ledger proof (specs/wire.md) that holds the block's receipt", body = Object),
        (status = 404, description = "The height is not final yet, or the block did nothing on its own",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing is certified yet", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn block_receipt(
    State(context): Shared,
    Path(height): Path<String>,
) -> Result<Response, Problem> {
    let (height, is_fixed) = parse_height(&context, &height)?;
    let Some(proof) = context.ledger().block_receipt_proof(context.network(), height)? else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "receipt.not_found",
            "The block has no receipt of its own",
            "Most blocks do nothing but their transactions, which have receipts.",
        ));
    };
    Ok(cacheable(proofs::answer(&proof), is_fixed))
}

/// The newest certified header: what a wallet keeps as its checkpoint.
#[utoipa::path(
    get, path = "/v1/checkpoint", tag = "ledger",
    responses(
        (status = 200, description = "A ledger proof (specs/wire.md) of the header alone", body = Object),
        (status = 503, description = "Nothing is certified yet", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn checkpoint(State(context): Shared) -> Result<Response, Problem> {
    let certified = context.finality.newest(context.ledger())?;
    Ok(proofs::answer(&certified.checkpoint(context.network())))
}

/// The genesis file, byte for byte: its SHA-256 is the network's trust anchor.
#[utoipa::path(
    get, path = "/v1/genesis", tag = "ledger",
    responses((status = 200, description = "The file", body = Object))
)]
pub(super) async fn genesis(State(context): Shared) -> Response {
    let file = &context.parts.genesis;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (
            header::ETAG,
            HeaderValue::from_str(&format!("\"{}\"", file.hash)).unwrap_or(HeaderValue::from_static("\"\"")),
        ),
    ];
    (headers, [IMMUTABLE], file.bytes.clone()).into_response()
}

fn view(context: &Context, block: &Block) -> Result<BlockView, Problem> {
    let receipts = context.ledger().receipts(block.header.height)?;
    let damaged = |what: &str| {
        tracing::error!(height = block.header.height, what, "a stored block is damaged");
        Problem::internal()
    };
    let mut transactions = Vec::with_capacity(block.transactions.len());
    for (index, in_block) in block.transactions.iter().enumerate() {
        let transaction = in_block.transaction().map_err(|_| damaged("envelope"))?;
        let receipt = receipts
            .get(index)
            .and_then(|bytes| Receipt::decode(bytes).ok())
            .ok_or_else(|| damaged("receipt"))?;
        let jws = transaction.to_jws();
        let (outcome, code) = match &receipt.outcome {
            aval_types::Outcome::Applied(_) => ("applied", None),
            aval_types::Outcome::Rejected(reject) => ("rejected", Some(reject.code())),
        };
        transactions.push(TransactionView {
            id: transaction.id(),
            action: transaction.action().kind(),
            // General JSON is an object, the compact form is text.
            transaction: serde_json::from_str(&jws).unwrap_or(serde_json::Value::String(jws)),
            witness: (in_block.witness != Witness::None).then(|| in_block.witness.hash()),
            outcome,
            code,
        });
    }
    Ok(BlockView {
        digest: block.digest(),
        header: HeaderView::of(&block.header),
        bytes: block.encoded_length(),
        transactions,
    })
}

fn parse_height(context: &Context, text: &str) -> Result<(u64, bool), Problem> {
    if text == "latest" {
        return Ok((context.ledger().require_head()?.height(), false));
    }
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(height) if is_decimal => Ok((height, true)),
        _ => Err(Problem::malformed("A height is a decimal number, or `latest`.")),
    }
}

fn binary(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(BINARY_MEDIA_TYPE))], bytes).into_response()
}

fn cacheable(response: Response, is_fixed: bool) -> Response {
    if is_fixed { ([IMMUTABLE], response).into_response() } else { response }
}
