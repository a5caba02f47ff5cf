//! The HTTP side: resolving for everybody, registering and metrics for those who have the token.
//!
//! Errors of resolution and registration are in the form of their specifications, all others are problem details.

use super::metrics::Counters;
use super::service::Parts;
use crate::layers::{self, InForm, Side, has_media_type};
use crate::metrics::{self, Metrics};
use crate::problem::Problem;
use aval_openid::vci::token::bearer_token;
use aval_resolver::binding::{self, Question};
use aval_resolver::registrar::Kind;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{OriginalUri, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const BODY_BYTES_MAX: usize = 64 * 1024;
const REQUESTS_MAX: usize = 256;
/// Longer than a registration waits for the ledger, and a resolution for the web.
const TIMEOUT: Duration = Duration::from_secs(45);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "aval-identityd: resolver and registrar",
        description = "DID Resolution 1.0 by its HTTP(S) binding, and the DIF's DID Registration interface for did:aval \
                       in client-managed secret mode. Registration and metrics want `Authorization: Bearer <token>`; \
                       the token is in the file `admin-token` of the resolver's home folder.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The resolver's listener")),
    components(schemas(Problem)),
    modifiers(&Security),
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

/// What the routes share.
#[derive(Clone)]
pub struct Public {
    parts: Arc<Parts>,
    token: Arc<str>,
    metrics: Arc<Metrics>,
    counters: Arc<Counters>,
}

impl Public {
    /// The side of these parts, with the token of the registrar.
    pub fn new(parts: Parts, token: &str) -> Self {
        let (metrics, counters) = Metrics::new("aval_resolver", Counters::register);
        Self { parts: Arc::new(parts), token: token.into(), metrics, counters: Arc::new(counters) }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

fn open_routes() -> OpenApiRouter<Public> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(identifier, identifier_with_options))
        .routes(routes!(methods))
}

fn guarded_routes() -> OpenApiRouter<Public> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(update))
        .routes(routes!(deactivate))
        .routes(routes!(scrape))
}

/// The wildcard is axum's; the description has a plain parameter, for a client finds no `*identifier` among them.
const WILDCARD: &str = "/1.0/identifiers/{*identifier}";

/// The API's description, as `specs/openapi/aval-identityd-resolver.json` holds it.
pub fn openapi_json() -> String {
    let mut document = open_routes().merge(guarded_routes()).split_for_parts().1;
    let paths = &mut document.paths.paths;
    if let Some(item) = paths.remove(WILDCARD) {
        paths.insert(WILDCARD.replace('*', ""), item);
    }
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The routes.
pub fn router(side: Public) -> Router {
    let layers = Side {
        name: "public",
        body_bytes_max: BODY_BYTES_MAX,
        announced_bytes_max: BODY_BYTES_MAX,
        requests_max: REQUESTS_MAX,
        timeout: TIMEOUT,
        error: |status| Problem::of_status(status).into_response(),
        metrics: side.metrics.clone(),
    };
    let guarded = guarded_routes().split_for_parts().0;
    let guarded = guarded.route_layer(middleware::from_fn_with_state(side.clone(), authorize));
    let router = open_routes()
        .split_for_parts()
        .0
        // An empty identifier is one that is not valid.
        .route("/1.0/identifiers/", get(identifier))
        .route("/openapi.json", get(async || ([(header::CONTENT_TYPE, "application/json")], openapi_json())))
        .route("/health", get(async || "ok"))
        .merge(guarded)
        .with_state(side);
    layers::around(router, &layers)
}

async fn authorize(State(side): State<Public>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = bearer_token(header).unwrap_or_default();
    if !side.token.is_empty() && bool::from(given.as_bytes().ct_eq(side.token.as_bytes())) {
        next.run(request).await
    } else {
        Problem::unauthorized().into_response()
    }
}

/// Resolve a DID, or dereference a DID URL
///
/// As DID Resolution 1.0 says in its HTTP(S) binding. For `did:aval` the result has a member `proof`: a ledger proof of
/// the DID's record, or of its absence. A path names an entry of the ledger: `/accreditation`, `/registry/<name>`,
/// `/service/<name>`, `/schema/<type>`, `/schema/<type>/<hash>`.
#[utoipa::path(
    get, path = "/1.0/identifiers/{*identifier}", tag = "identifiers",
    params(
        ("identifier" = String, Path, description = "A DID or DID URL, percent-encoded if it has a query or fragment"),
        ("versionId" = Option<String>, Query, description = "The version with this id"),
        ("versionTime" = Option<String>, Query, description = "The version in force at this time: `2026-11-22T10:00:00Z`"),
        ("expandRelativeUrls" = Option<bool>, Query, description = "Make relative DID URLs of the document absolute"),
        ("noCache" = Option<bool>, Query, description = "Ask again, whatever is remembered"),
        ("verificationRelationship" = Option<String>, Query, description = "What a dereferenced method must be for"),
        ("service" = Option<String>, Query, description = "Select the service with this id"),
        ("serviceType" = Option<String>, Query, description = "Select the services of this type"),
        ("relativeRef" = Option<String>, Query, description = "A reference below the selected service's endpoint"),
    ),
    responses(
        (status = 200, description = "The result, or the document or resource alone, as `Accept` chooses", content(
            (Object = "application/did-resolution"), (Object = "application/did"),
            (Object = "application/did-url-dereferencing"))),
        (status = 303, description = "The selected service endpoint is in `Location`"),
        (status = 400, description = "INVALID_DID, INVALID_DID_URL, INVALID_OPTIONS", body = Object,
            content_type = "application/did-resolution"),
        (status = 404, description = "NOT_FOUND", body = Object, content_type = "application/did-resolution"),
        (status = 406, description = "REPRESENTATION_NOT_SUPPORTED", body = Object,
            content_type = "application/did-resolution"),
        (status = 410, description = "The DID is deactivated", body = Object,
            content_type = "application/did-resolution"),
        (status = 500, description = "INVALID_DID_DOCUMENT; INTERNAL_ERROR if ledger or host could not be asked",
            body = Object, content_type = "application/did-resolution"),
        (status = 501, description = "METHOD_NOT_SUPPORTED, FEATURE_NOT_SUPPORTED", body = Object,
            content_type = "application/did-resolution"),
    )
)]
async fn identifier(
    State(side): State<Public>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    resolve(side, uri, headers, None).await
}

/// The same with the options in the body
#[utoipa::path(
    post, path = "/1.0/identifiers/{*identifier}", tag = "identifiers",
    params(("identifier" = String, Path, description = "A DID or DID URL")),
    request_body(content = Object, description = "An object of options"),
    responses((status = 200, description = "As for GET", body = Object, content_type = "application/did-resolution"))
)]
async fn identifier_with_options(
    State(side): State<Public>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match body {
        Ok(body) => resolve(side, uri, headers, Some(body)).await,
        Err(rejection) => rejection.status().into_response(),
    }
}

async fn resolve(side: Public, uri: axum::http::Uri, headers: HeaderMap, body: Option<Bytes>) -> Response {
    let parts = side.parts.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let values = headers.get_all(header::ACCEPT).iter();
        let accept: Vec<&str> = values.map(|value| value.to_str().unwrap_or_default()).collect();
        let question =
            Question { path: uri.path(), query: uri.query(), accept: &accept, body: body.as_deref() };
        binding::respond(&parts.resolver, &question)
    });
    let Ok(answer) = answer.await else {
        return Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    };
    if let Some(error) = &answer.error {
        side.counters.error("resolve", error);
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(media_type) = answer.media_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    if let Some(location) = answer.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    // Anybody may read what anybody may ask.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response.extensions_mut().insert(InForm);
    response
}

/// The DID methods that are resolved here
#[utoipa::path(get, path = "/1.0/methods", tag = "identifiers", responses((status = 200, body = Vec<String>)))]
async fn methods(State(side): State<Public>) -> Json<Vec<&'static str>> {
    Json(side.parts.resolver.methods())
}

#[derive(Deserialize)]
struct Parameters {
    method: Option<String>,
}

type Body = Result<Bytes, BytesRejection>;

/// Create a DID
///
/// The first request names control keys and the document; the answer asks for signatures (`action: signPayload`), which
/// the second request brings with the job's id.
#[utoipa::path(
    post, path = "/1.0/create", tag = "registrar", security(("token" = [])), request_body = Object,
    params(("method" = Option<String>, Query, description = "aval")),
    responses(
        (status = 200, description = "The next step: `action` or `wait`", body = Object),
        (status = 201, description = "The DID was created", body = Object),
        (status = 400, description = "The client has to change something", body = Object),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 503, description = "The ledger could not be asked, or too many jobs wait", body = Object),
    )
)]
async fn create(
    side: State<Public>,
    parameters: Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    register(side.0, Kind::Create, parameters.0.method, headers, body).await
}

/// Replace a DID's document or control keys
#[utoipa::path(
    post, path = "/1.0/update", tag = "registrar", security(("token" = [])), request_body = Object,
    responses(
        (status = 200, description = "The next step, or done: `finished`", body = Object),
        (status = 400, description = "The client has to change something", body = Object),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 503, description = "The ledger could not be asked, or too many jobs wait", body = Object),
    )
)]
async fn update(side: State<Public>, headers: HeaderMap, body: Body) -> Response {
    register(side.0, Kind::Update, None, headers, body).await
}

/// End a DID for good
#[utoipa::path(
    post, path = "/1.0/deactivate", tag = "registrar", security(("token" = [])), request_body = Object,
    responses(
        (status = 200, description = "The next step, or done: `finished`", body = Object),
        (status = 400, description = "The client has to change something", body = Object),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 503, description = "The ledger could not be asked, or too many jobs wait", body = Object),
    )
)]
async fn deactivate(side: State<Public>, headers: HeaderMap, body: Body) -> Response {
    register(side.0, Kind::Deactivate, None, headers, body).await
}

async fn register(
    side: Public,
    kind: Kind,
    method: Option<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if side.parts.registrar.is_none() {
        return Problem::of_status(StatusCode::NOT_FOUND).into_response();
    }
    if !has_media_type(&headers, "application/json") {
        return Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response();
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.status().into_response(),
    };
    let parts = side.parts.clone();
    let reply = tokio::task::spawn_blocking(move || {
        let registrar = parts.registrar.as_ref()?;
        Some(registrar.respond(kind, method.as_deref(), &body))
    });
    let Ok(Some(reply)) = reply.await else {
        return Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    };
    if let Some(error) = &reply.error {
        side.counters.error("register", error);
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(reply.body)).into_response();
    response.extensions_mut().insert(InForm);
    response
}

/// Counters in the Prometheus text format
#[utoipa::path(
    get, path = "/metrics", tag = "operation", security(("token" = [])),
    responses((status = 200, body = String), (status = 401, body = Problem))
)]
async fn scrape(State(side): State<Public>) -> Response {
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], side.metrics.text()).into_response()
}
