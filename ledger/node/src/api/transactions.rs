//! Submitting and tracking transactions.
//!
//! The status moves `unknown → pending → final`, `pending → refused → pending` (a refused one may be sent again), and
//! never leaves `final`. `unknown` is what a node answers that never saw the transaction, lost it in a restart, or
//! forgot a refusal: sending it again is always safe, because only one copy can become final.

use std::time::Duration;

use aval_store::TransactionPlace;
use aval_types::submission::{SUBMISSION_MEDIA_TYPE, TRANSACTION_MEDIA_TYPE};
use aval_types::{Outcome, Receipt, Reject, TransactionId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::{Context, Shared, proofs};
use crate::explain::{self, ExplainError};
use crate::ingress::Refusal;
use crate::mempool::PoolStatus;

/// How long a request may wait for a transaction to become final.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);

/// A transaction was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The transaction's id.
    #[schema(value_type = String, example = "5f2b…", min_length = 64, max_length = 64)]
    id: TransactionId,
    /// Always `pending`.
    #[schema(example = "pending")]
    status: &'static str,
    links: Links,
}

/// Where to go on.
#[derive(Debug, Serialize, ToSchema)]
struct Links {
    /// The transaction's status.
    status: String,
    /// The receipt, once the transaction is final.
    receipt: String,
}

impl Links {
    fn of(id: &TransactionId) -> Self {
        Self { status: format!("/v1/transactions/{id}"), receipt: format!("/v1/transactions/{id}/receipt") }
    }
}

/// What became of a transaction.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// The transaction's id.
    #[schema(value_type = String)]
    id: TransactionId,
    /// `unknown`, `pending`, `refused` or `final`.
    status: &'static str,
    /// Why it was refused, or why it had no effect although it is final (`outcome` is `rejected`).
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What the code means.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// What exactly did not fit, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// `applied` or `rejected`, once final.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// The height of its block, once final.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    /// Its place in the block, once final.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// The block's time, milliseconds since 1970, once final.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<u64>,
    links: Links,
}

impl Status {
    fn explain(&mut self, reject: &Reject) {
        let problem = Problem::from(reject.clone());
        self.code = Some(problem.code);
        self.title = Some(problem.title);
        self.detail = Some(problem.detail);
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatusQuery {
    /// Wait up to so many milliseconds, at most 30000, until the transaction is final or refused.
    wait_ms: Option<u64>,
}

/// Submit a signed transaction.
#[utoipa::path(
    post, path = "/v1/transactions", tag = "transactions",
    request_body(
        description = "A submission (specs/wire.md): the transaction as a JWS and the presentation beside it; \
                       or a compact JWS alone.",
        content((Object = "application/json"), (String = "application/aval-tx+jwt")),
    ),
    responses(
        (status = 202, description = "Taken in; it waits for a block", body = Accepted),
        (status = 400, description = "It cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A signature does not verify", body = Problem,
            content_type = "application/problem+json"),
        (status = 403, description = "Not allowed as the ledger stands", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "Overtaken, or on the ledger already", body = Problem,
            content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not a media type that is read", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Well-formed, and not possible", body = Problem,
            content_type = "application/problem+json"),
        (status = 429, description = "The sender has too much waiting", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The node has too much to do, or has not come to what this builds on", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn submit(
    State(context): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    check_media_type(&headers, &body)?;
    let id = context.parts.core.ingress.submit(&body).await?;
    let accepted = Accepted { id, status: "pending", links: Links::of(&id) };
    let location = [(header::LOCATION, accepted.links.status.clone())];
    Ok((StatusCode::ACCEPTED, location, Json(accepted)).into_response())
}

fn check_media_type(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = body.trim_ascii_start().starts_with(b"{");
    match (media_type.as_str(), is_json) {
        (SUBMISSION_MEDIA_TYPE, true) | (TRANSACTION_MEDIA_TYPE, false) => Ok(()),
        (SUBMISSION_MEDIA_TYPE, false) => {
            Err(Problem::from(Reject::TransactionMalformed("the body is not a JSON object".into())))
        }
        (TRANSACTION_MEDIA_TYPE, true) => {
            Err(Problem::from(Reject::TransactionMalformed("the body is not a compact JWS".into())))
        }
        _ => Err(Problem::media_type(format!("Send {SUBMISSION_MEDIA_TYPE} or {TRANSACTION_MEDIA_TYPE}."))),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Reject(reject) => reject.into(),
            Refusal::Denied(reject, explanation) => Self::from(reject).explained(*explanation),
            Refusal::Full => Self::overloaded("Too many transactions are waiting."),
            Refusal::Share => Self::share(),
            Refusal::Behind => Self::behind(),
            Refusal::Undecided => Self::internal(),
        }
    }
}

/// What became of a transaction.
#[utoipa::path(
    get, path = "/v1/transactions/{id}", tag = "transactions",
    params(("id" = String, Path, description = "The transaction's id"), StatusQuery),
    responses(
        (status = 200, description = "The status, `unknown` included", body = Status),
        (status = 400, description = "The id or the query cannot be read", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn status(
    State(context): Shared,
    Path(id): Path<String>,
    Query(query): Query<StatusQuery>,
) -> Result<Json<Status>, Problem> {
    let id = parse_id(&id)?;
    let wait = Duration::from_millis(query.wait_ms.unwrap_or(0)).min(WAIT_MAX);
    if !wait.is_zero()
        && let Ok(_place) = context.waiting.try_acquire()
    {
        // The answer is the newest status either way.
        let _ = tokio::time::timeout(wait, settled(&context, &id)).await;
    }
    status_of(&context, &id).map(Json)
}

/// Completes when the transaction is final or refused.
async fn settled(context: &Context, id: &TransactionId) -> Result<(), Problem> {
    let mut heights = context.parts.core.executor.subscribe();
    loop {
        heights.mark_unchanged();
        match context.parts.core.mempool.status(id, context.now_ms()) {
            // It leaves the pool before its block is announced, so there is no need to ask the ledger.
            PoolStatus::Pending => {}
            PoolStatus::Refused(_) => return Ok(()),
            PoolStatus::Unknown if context.ledger().transaction(id)?.is_some() => return Ok(()),
            PoolStatus::Unknown => {}
        }
        // Refusals wake nobody, so look again now and then; final blocks do.
        let changed = tokio::time::timeout(Duration::from_millis(500), heights.changed()).await;
        if matches!(changed, Ok(Err(_))) {
            return Ok(());
        }
    }
}

fn status_of(context: &Context, id: &TransactionId) -> Result<Status, Problem> {
    let mut status = Status {
        id: *id,
        status: "unknown",
        code: None,
        title: None,
        detail: None,
        outcome: None,
        height: None,
        index: None,
        time: None,
        links: Links::of(id),
    };
    // The pool first: between pool and ledger a transaction is in both, never in neither.
    let pool = context.parts.core.mempool.status(id, context.now_ms());
    if let Some(place) = context.ledger().transaction(id)? {
        let receipt = receipt_at(context, place)?;
        status.status = "final";
        status.height = Some(place.height);
        status.index = Some(place.index);
        status.time = Some(receipt.time_ms);
        match receipt.outcome {
            Outcome::Applied(_) => status.outcome = Some("applied"),
            Outcome::Rejected(reject) => {
                status.outcome = Some("rejected");
                status.explain(&reject);
            }
        }
        return Ok(status);
    }
    match pool {
        PoolStatus::Unknown => {}
        PoolStatus::Pending => status.status = "pending",
        PoolStatus::Refused(reject) => {
            status.status = "refused";
            status.explain(&reject);
        }
    }
    Ok(status)
}

fn receipt_at(context: &Context, place: TransactionPlace) -> Result<Receipt, Problem> {
    let receipts = context.ledger().receipts(place.height)?;
    let bytes = usize::try_from(place.index).ok().and_then(|index| receipts.get(index));
    bytes.and_then(|bytes| Receipt::decode(bytes).ok()).ok_or_else(|| {
        tracing::error!(height = place.height, index = place.index, "a receipt is missing or damaged");
        Problem::internal()
    })
}

/// The receipt of a final transaction, with its proof.
#[utoipa::path(
    get, path = "/v1/transactions/{id}/receipt", tag = "transactions",
    params(("id" = String, Path, description = "The transaction's id")),
    responses(
        (status = 200, description = "A ledger proof (specs/wire.md) that holds the receipt", body = Object),
        (status = 404, description = "Not final, or not known", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn receipt(State(context): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let Some(proof) = context.ledger().receipt_proof(context.network(), &id)? else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "receipt.not_found",
            "There is no receipt for this transaction",
            "Ask for the transaction's status: it has a receipt once it is final.",
        ));
    };
    Ok(([IMMUTABLE], proofs::answer(&proof)).into_response())
}

/// Which policy allowed or denied a final transaction, and what it asks about, on the state before its block.
#[utoipa::path(
    get, path = "/v1/transactions/{id}/policy", tag = "transactions",
    params(("id" = String, Path, description = "The transaction's id")),
    responses(
        (status = 200, description = "The explanation (specs/rules.md, Policy)", body = Object),
        (status = 404, description = "Not final, or not known", body = Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "The state before its block is pruned", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn policy(State(context): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    match explain::of_final(context.ledger(), context.network(), &id) {
        Ok(Some(explained)) => Ok(([IMMUTABLE], Json(explained)).into_response()),
        Ok(None) => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "receipt.not_found",
            "There is no such transaction on the ledger",
            "A transaction that was refused is explained in the answer that refused it.",
        )),
        Err(ExplainError::Store(error)) => Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "a final transaction could not be explained");
            Err(Problem::internal())
        }
    }
}

/// What is final never changes, so anybody may keep it.
pub(super) const IMMUTABLE: (HeaderName, &str) =
    (header::CACHE_CONTROL, "public, max-age=31536000, immutable");

fn parse_id(text: &str) -> Result<TransactionId, Problem> {
    text.parse().map_err(|_| Problem::malformed("A transaction's id is 64 lowercase hexadecimal digits."))
}
