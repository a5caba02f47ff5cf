//! The directory of services (specs/trust.md, section 7).
//!
//! A list is the node's word; each entry has the state key under which `GET /v1/state?key=` proves it.

use aval_machine::state_key;
use aval_types::ServiceRecord;
use aval_types::service::is_service_kind;
use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::problem::Problem;

/// Entries of one answer.
const ENTRIES_MAX: usize = 100;
/// Entries that one request looks at: a filter must not make it read the whole directory.
const LOOKED_AT_MAX: usize = 2000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ServicesQuery {
    /// Only services of this kind.
    kind: Option<String>,
    /// Only services of this DID.
    operator: Option<String>,
    /// Go on after the entry with this key: `next` of the answer before.
    after: Option<String>,
}

/// A part of the directory, ordered by operator and name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServicesView {
    services: Vec<ServiceView>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServiceView {
    /// The state key, for `GET /v1/state?key=`.
    key: String,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    record: ServiceRecord,
}

/// Services with their endpoints, operators and kinds.
#[utoipa::path(
    get, path = "/v1/services", tag = "trust", params(ServicesQuery),
    responses(
        (status = 200, description = "Up to 100 entries", body = ServicesView),
        (status = 400, description = "The query cannot be read", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn services(
    State(context): Shared,
    Query(query): Query<ServicesQuery>,
) -> Result<Json<ServicesView>, Problem> {
    if query.kind.as_deref().is_some_and(|kind| !is_service_kind(kind)) {
        return Err(Problem::malformed("A kind is a lowercase letter, then up to 31 of a-z, 0-9 and -."));
    }
    let prefix = match &query.operator {
        None => state_key::SERVICES.to_owned(),
        Some(operator) => {
            let did: aval_did::Did =
                operator.parse().map_err(|_| Problem::malformed("`operator` is not a did:aval."))?;
            format!("{}{did}/", state_key::SERVICES)
        }
    };
    if query.after.as_ref().is_some_and(|after| !after.starts_with(&prefix)) {
        return Err(Problem::malformed("`after` is no key of this list."));
    }
    let after = query.after.as_deref().map(str::as_bytes);
    let rows = context.ledger().state_after(prefix.as_bytes(), after, LOOKED_AT_MAX)?;
    let looked_at = rows.len();
    let mut view = ServicesView { services: Vec::new(), next: None };
    for (number, (key, value)) in rows.into_iter().enumerate() {
        let damaged = || {
            tracing::error!(key = %String::from_utf8_lossy(&key), "an entry of the directory is damaged");
            Problem::internal()
        };
        let record: ServiceRecord = serde_json::from_slice(&value).map_err(|_| damaged())?;
        let key = String::from_utf8(key.clone()).map_err(|_| damaged())?;
        let is_last = number + 1 == LOOKED_AT_MAX;
        if query.kind.as_ref().is_none_or(|kind| record.kind == *kind) {
            view.services.push(ServiceView { key: key.clone(), record });
        }
        if (view.services.len() == ENTRIES_MAX && number + 1 < looked_at) || is_last {
            view.next = Some(key);
            break;
        }
    }
    Ok(Json(view))
}
