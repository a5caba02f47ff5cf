//! Any entry of the state, or its absence, with proof.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use super::{Shared, proofs, transactions::IMMUTABLE};

/// Characters of a state key that is looked up. The longest real one names a status list.
const KEY_LENGTH_MAX: usize = 1024;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StateQuery {
    /// The state key (specs/wire.md, "State keys"), for example `did/did:aval:demo:Qm…`.
    key: String,
    /// The height after whose block the state is asked; the newest certified one if left out.
    height: Option<u64>,
}

/// An entry of the state, or its absence, with proof.
///
/// The answer is the ledger proof itself; `state.value` is null if the entry is absent, which is proven as well.
#[utoipa::path(
    get, path = "/v1/state", tag = "ledger", params(StateQuery),
    responses(
        (status = 200, description = "A ledger proof (specs/wire.md) that holds key and value", body = Object),
        (status = 400, description = "The query cannot be read", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "The height is not final yet", body = Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "The height is pruned here", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Nothing is certified yet", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn entry(
    State(context): Shared,
    Query(query): Query<StateQuery>,
) -> Result<Response, Problem> {
    let key = query.key;
    if key.is_empty() || key.len() > KEY_LENGTH_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::malformed(format!(
            "A state key is 1 to {KEY_LENGTH_MAX} visible ASCII characters."
        )));
    }
    let ledger = context.ledger();
    let Some(height) = query.height else {
        let proof = context.finality.newest(ledger)?.state(ledger, context.network(), &key)?;
        return Ok(proofs::answer(&proof));
    };
    let proof = ledger.state_proof(context.network(), &key, height)?;
    Ok(([IMMUTABLE], proofs::answer(&proof)).into_response())
}
