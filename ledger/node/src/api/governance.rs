//! What governors and supervisors have open, each with its proof.
//!
//! The list of open proposals and the list of holds are one entry of the state each, so a node cannot leave one out
//! unnoticed. What is decided stays under its id.

use aval_machine::state_key;
use aval_types::TransactionId;
use axum::extract::{Path, State};
use axum::response::Response;

use super::problem::Problem;
use super::{Context, Shared, proofs};

/// The proposals that have no outcome yet.
#[utoipa::path(
    get, path = "/v1/proposals", tag = "governance",
    responses((status = 200, description = "A ledger proof (specs/wire.md) of the list, or of its absence", body = Object))
)]
pub(super) async fn proposals(State(context): Shared) -> Result<Response, Problem> {
    entry(&context, state_key::PROPOSALS)
}

/// A proposal: the change, the votes, and what became of it.
#[utoipa::path(
    get, path = "/v1/proposals/{id}", tag = "governance",
    params(("id" = String, Path, description = "The id of the transaction that made it")),
    responses(
        (status = 200, description = "A ledger proof (specs/wire.md) of the proposal, or of its absence", body = Object),
        (status = 400, description = "The id cannot be read", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn proposal(State(context): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    entry(&context, &state_key::proposal(&parse(&id)?))
}

/// The holds of supervisors that were not released.
#[utoipa::path(
    get, path = "/v1/holds", tag = "governance",
    responses((status = 200, description = "A ledger proof (specs/wire.md) of the list, or of its absence", body = Object))
)]
pub(super) async fn holds(State(context): Shared) -> Result<Response, Problem> {
    entry(&context, state_key::HOLDS)
}

/// A hold: whom or what it stops, why, by which law, until when, and how it ended.
#[utoipa::path(
    get, path = "/v1/holds/{id}", tag = "governance",
    params(("id" = String, Path, description = "The id of the transaction that placed it")),
    responses(
        (status = 200, description = "A ledger proof (specs/wire.md) of the hold, or of its absence", body = Object),
        (status = 400, description = "The id cannot be read", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn hold(State(context): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    entry(&context, &state_key::hold(&parse(&id)?))
}

fn parse(text: &str) -> Result<TransactionId, Problem> {
    text.parse().map_err(|_| Problem::malformed("An id is 64 lowercase hexadecimal digits."))
}

fn entry(context: &Context, key: &str) -> Result<Response, Problem> {
    let ledger = context.ledger();
    let proof = context.finality.newest(ledger)?.state(ledger, context.network(), key)?;
    Ok(proofs::answer(&proof))
}
