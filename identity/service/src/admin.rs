//! The back office: offers, issuance records, revocation. On a listener of its own, with a token from the home folder.

use crate::issuer::{Issuer, NewOffer};
use crate::problem::Problem;
use crate::records::IssuanceRow;
use aval_codec::{Json as Strict, json};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const BODY_BYTES_MAX: usize = 16 * 1024;
const LIST_MAX: u32 = 1_000;

#[derive(OpenApi)]
#[openapi(info(
    title = "aval-identityd: the issuer's back office",
    description = "Offers, issuance records and revocation. Every request carries `Authorization: Bearer <token>`."
))]
struct Document;

#[derive(Clone)]
struct Office {
    issuer: Arc<Issuer>,
    token: Arc<str>,
}

/// What an offer is made for.
#[derive(Deserialize, ToSchema)]
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
}

/// The API's description, as committed in `specs/openapi`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

/// The routes behind the token.
pub fn router(issuer: Arc<Issuer>, token: &str) -> Router {
    let office = Office { issuer, token: token.into() };
    let (router, document) = routes().split_for_parts();
    let document = Arc::new(document);
    router
        .route("/openapi.json", axum::routing::get(move || async move { Json((*document).clone()) }))
        .route_layer(middleware::from_fn_with_state(office.clone(), authorize))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::new())
        .with_state(office)
}

async fn authorize(State(office): State<Office>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(office.token.as_bytes())) {
        next.run(request).await
    } else {
        Problem::unauthorized().into_response()
    }
}

/// Offer a credential
///
/// The offer goes to the wallet as a link or QR code; the transaction code goes to its holder another way.
#[utoipa::path(post, path = "/offers", request_body = OfferRequest, responses(
    (status = 200, body = NewOffer), (status = 401, body = Problem), (status = 422, body = Problem),
    (status = 502, body = Problem)))]
async fn create_offer(State(office): State<Office>, body: Bytes) -> Result<Json<NewOffer>, Problem> {
    let limits = json::Limits { bytes_max: BODY_BYTES_MAX, depth_max: 10 };
    let request: OfferRequest = json::from_slice(&body, limits)
        .map_err(|error| Problem::invalid(format!("the body is not an offer request: {error}")))?;
    office.issuer.offer(request.subject).await.map(Json)
}

/// List what was issued
///
/// The newest first, at most 1,000.
#[utoipa::path(get, path = "/issuances", responses((status = 200, body = [Issuance]), (status = 401, body = Problem)))]
async fn list(State(office): State<Office>) -> Result<Json<Vec<Issuance>>, Problem> {
    let rows = office.issuer.records().issuances(LIST_MAX).await?;
    Ok(Json(rows.into_iter().map(Issuance::from).collect()))
}

/// Revoke a credential
///
/// Answers when the revocation is final on the ledger. Doing it again changes nothing.
#[utoipa::path(post, path = "/issuances/{id}/revoke", params(("id" = String, Path, description = "The issuance")),
    responses((status = 200, body = Issuance), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 502, body = Problem)))]
async fn revoke(State(office): State<Office>, Path(id): Path<String>) -> Result<Json<Issuance>, Problem> {
    office.issuer.revoke(&id).await.map(|row| Json(row.into()))
}
