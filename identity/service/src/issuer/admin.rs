//! The back office: offers, issuance records, revocation. On a listener of its own, with a token from the home folder.

use super::decisions::{Issuer, NewOffer};
use crate::layers::{self, Side, has_media_type};
use crate::metrics;
use crate::problem::Problem;
use crate::storage::IssuanceRow;
use aval_codec::{Json as Strict, json};
use aval_openid::vci::token::bearer_token;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const BODY_BYTES_MAX: usize = 16 * 1024;
const LIST_MAX: u32 = 1_000;
/// Longer than the service waits for the ledger.
const TIMEOUT: Duration = Duration::from_secs(90);
const REQUESTS_MAX: usize = 64;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "aval-identityd: the issuer's back office",
        description = "Offers, issuance records and revocation. Every request carries `Authorization: Bearer <token>`; \
                       the token is in the file `admin-token` of the issuer's home folder. Errors are problem details \
                       (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The issuer's admin listener")),
    components(schemas(Problem)),
    modifiers(&Security),
    security(("token" = [])),
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

#[derive(Clone)]
struct Office {
    issuer: Arc<Issuer>,
    token: Arc<str>,
}

/// What an offer is made for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OfferRequest {
    /// Claims of the subject; `role` is a list of role names.
    #[schema(value_type = Object, example = json!({"role": ["member"], "legalName": "Example Ltd"}))]
    subject: BTreeMap<String, Strict>,
}

/// An issued credential, without its claims.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Issuance {
    id: String,
    #[serde(rename = "type")]
    credential_type: String,
    status_list: String,
    status_index: i64,
    issued_s: i64,
    expires_s: i64,
    /// `valid`, `revoking` or `revoked`.
    state: String,
    /// The ledger transaction that revoked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation: Option<String>,
}

impl From<IssuanceRow> for Issuance {
    fn from(row: IssuanceRow) -> Self {
        Self {
            id: row.id,
            credential_type: row.credential_type,
            status_list: row.list,
            status_index: row.list_index,
            issued_s: row.issued_s,
            expires_s: row.expires_s,
            state: row.state,
            revocation: row.revocation,
        }
    }
}

fn routes() -> OpenApiRouter<Office> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(create_offer))
        .routes(routes!(list))
        .routes(routes!(revoke))
        .routes(routes!(scrape))
}

/// The API's description, as `specs/openapi/aval-identityd-issuer.json` holds it.
pub fn openapi_json() -> String {
    let mut text = routes().split_for_parts().1.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The routes behind the token.
pub fn router(issuer: Arc<Issuer>, token: &str) -> Router {
    let side = Side {
        name: "admin",
        body_bytes_max: BODY_BYTES_MAX,
        requests_max: REQUESTS_MAX,
        timeout: TIMEOUT,
        error: |status| Problem::of_status(status).into_response(),
        metrics: issuer.metrics().clone(),
    };
    let office = Office { issuer, token: token.into() };
    let (router, document) = routes().split_for_parts();
    let document = Arc::new(document);
    let router = router
        .route("/openapi.json", axum::routing::get(move || async move { Json((*document).clone()) }))
        .route_layer(middleware::from_fn_with_state(office.clone(), authorize))
        .with_state(office);
    layers::around(router, &side)
}

async fn authorize(State(office): State<Office>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = bearer_token(header).unwrap_or_default();
    if !office.token.is_empty() && bool::from(given.as_bytes().ct_eq(office.token.as_bytes())) {
        next.run(request).await
    } else {
        Problem::unauthorized().into_response()
    }
}

/// Offer a credential
///
/// The offer goes to the wallet as a link or QR code; the transaction code goes to its holder another way.
#[utoipa::path(post, path = "/offers", request_body = OfferRequest, responses(
    (status = 200, description = "The offer", body = NewOffer),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 413, description = "The body is too large", body = Problem),
    (status = 415, description = "The body is not application/json", body = Problem),
    (status = 422, description = "No credential can be made of this", body = Problem),
    (status = 502, description = "The ledger's answer cannot be used", body = Problem),
    (status = 503, description = "The ledger cannot be reached", body = Problem)))]
async fn create_offer(
    State(office): State<Office>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<NewOffer>, Problem> {
    if !has_media_type(&headers, "application/json") {
        return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = body.map_err(|rejection| Problem::of_status(rejection.status()))?;
    let limits = json::Limits { bytes_max: BODY_BYTES_MAX, depth_max: 10 };
    let request: OfferRequest = json::from_slice(&body, limits)
        .map_err(|error| Problem::invalid(format!("the body is not an offer request: {error}")))?;
    office.issuer.offer(request.subject).await.map(Json)
}

/// List what was issued
///
/// The newest first, at most 1,000.
#[utoipa::path(get, path = "/issuances", responses(
    (status = 200, description = "Issuances", body = [Issuance]),
    (status = 401, description = "The token is missing or wrong", body = Problem)))]
async fn list(State(office): State<Office>) -> Result<Json<Vec<Issuance>>, Problem> {
    let rows = office.issuer.records().issuances(LIST_MAX).await?;
    Ok(Json(rows.into_iter().map(Issuance::from).collect()))
}

/// Revoke a credential
///
/// Answers when the revocation is final on the ledger. Doing it again changes nothing. Once begun it goes on, also
/// when the answer is an error that tells to try later or nobody waits for the answer.
#[utoipa::path(post, path = "/issuances/{id}/revoke", params(("id" = String, Path, description = "The issuance")),
    responses((status = 200, description = "It is revoked", body = Issuance),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 404, description = "No credential was issued under this id", body = Problem),
    (status = 409, description = "The ledger refused", body = Problem),
    (status = 502, description = "The ledger's answer cannot be used", body = Problem),
    (status = 503, description = "The ledger cannot be reached or is not done yet", body = Problem)))]
async fn revoke(State(office): State<Office>, Path(id): Path<String>) -> Result<Json<Issuance>, Problem> {
    office.issuer.revoke(&id).await.map(|row| Json(row.into()))
}

/// Metrics in the Prometheus text format
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "Counters and gauges", content_type = "application/openmetrics-text"),
    (status = 401, description = "The token is missing or wrong", body = Problem)))]
async fn scrape(State(office): State<Office>) -> Response {
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], office.issuer.metrics().text()).into_response()
}
