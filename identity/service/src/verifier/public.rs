//! The HTTP side: the VC-API of a verifier, its description and page, health and metrics.
//!
//! Answers about a credential or presentation are in the form of VCALM 1.0, all other errors are problem details. What
//! was presented is neither kept nor logged.

use super::config::Config;
use super::sources::{Sources, expectation, limits};
use crate::clock::now_s;
use crate::layers::{self, InForm, Side, has_media_type};
use crate::metrics::{self, Metrics};
use crate::problem::Problem;
use crate::swagger;
use aval_formats::vc_api::{Reply, RequestError, VerifyRequest};
use aval_formats::verifier::Expectation;
use aval_openid::vci::token::bearer_token;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const BODY_BYTES_MAX: usize = 1024 * 1024;
const REQUESTS_MAX: usize = 256;
/// Longer than several hosts that do not answer.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "aval-identityd: verifier",
        description = "The VC-API of a verifier (VCALM 1.0). Unless the verifier is open, requests want \
                       `Authorization: Bearer <token>`; the token is in the file `token` of the home folder.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The verifier's listener")),
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

/// Labels of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    /// `credential` or `presentation`.
    kind: &'static str,
    /// `verified`, `invalid` or `undecided`.
    outcome: &'static str,
}

/// What the verifier counts beside requests.
#[derive(Debug, Default)]
struct Counters {
    verifications: Family<OutcomeLabels, Counter>,
}

impl Counters {
    fn register(registry: &mut Registry) -> Self {
        let counters = Self::default();
        registry.register("verifications", "What was verified, by outcome", counters.verifications.clone());
        counters
    }
}

/// What the routes share.
#[derive(Clone)]
pub struct Public {
    sources: Arc<Sources>,
    expected: Expectation,
    token: Option<Arc<str>>,
    metrics: Arc<Metrics>,
    counters: Arc<Counters>,
}

impl Public {
    /// The side of a configuration. Without a token anybody may ask.
    pub fn new(sources: Sources, config: &Config, token: Option<&str>) -> Self {
        let (metrics, counters) = Metrics::new("aval_verifier", Counters::register);
        let expected = Expectation {
            accreditation: config.accreditation.policy(),
            issuer_keys: config.issuer_keys.clone(),
            ..expectation(0, config.domain.as_deref())
        };
        Self {
            sources: Arc::new(sources),
            expected,
            token: token.map(Arc::from),
            metrics,
            counters: Arc::new(counters),
        }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

fn routes() -> OpenApiRouter<Public> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(credential))
        .routes(routes!(presentation))
        .routes(routes!(scrape))
}

/// The API's description, as `specs/openapi/aval-identityd-verifier.json` holds it.
pub fn openapi_json() -> String {
    let mut text = routes().split_for_parts().1.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The routes.
pub fn router(side: Public) -> Router {
    let layers = Side {
        name: "public",
        body_bytes_max: BODY_BYTES_MAX,
        requests_max: REQUESTS_MAX,
        timeout: TIMEOUT,
        error: |status| Problem::of_status(status).into_response(),
        metrics: side.metrics.clone(),
    };
    let (guarded, document) = routes().split_for_parts();
    let router = guarded
        .route_layer(middleware::from_fn_with_state(side.clone(), authorize))
        .route("/health", get(async || "ok"))
        .with_state(side);
    layers::around(router.merge(swagger::router(document)), &layers)
}

async fn authorize(State(side): State<Public>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = bearer_token(header).unwrap_or_default();
    let may_ask = side
        .token
        .as_ref()
        .is_none_or(|token| !token.is_empty() && bool::from(given.as_bytes().ct_eq(token.as_bytes())));
    if may_ask { next.run(request).await } else { Problem::unauthorized().into_response() }
}

type Body = Result<Bytes, BytesRejection>;

/// Verify a credential
///
/// In any format: Data Integrity, `vc+jwt`, `vc+sd-jwt`, `dc+sd-jwt`, JWT VC 1.1. Every check is in the
/// answer, with what it looked at.
#[utoipa::path(
    post, path = "/credentials/verify", tag = "verify", security(("token" = [])), request_body = Object,
    responses(
        (status = 200, description = "It is verified: `verified`, `checks`, `warnings`", body = Object),
        (status = 400, description = "It is not, or the request cannot be read: `errors`", body = Object),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is no JSON", body = Problem),
        (status = 422, description = "It could not be checked: something could not be reached", body = Object),
    )
)]
async fn credential(State(side): State<Public>, headers: HeaderMap, body: Body) -> Response {
    verify(side, "credential", VerifyRequest::credential, &headers, body).await
}

/// Verify a presentation with the credentials in it
///
/// `options.challenge` and `options.domain` are what its proof must be for.
#[utoipa::path(
    post, path = "/presentations/verify", tag = "verify", security(("token" = [])), request_body = Object,
    responses(
        (status = 200, description = "The verdict: `verified`, `checks`, `warnings`, `errors`", body = Object),
        (status = 400, description = "The request or the presentation cannot be read", body = Object),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is no JSON", body = Problem),
    )
)]
async fn presentation(State(side): State<Public>, headers: HeaderMap, body: Body) -> Response {
    verify(side, "presentation", VerifyRequest::presentation, &headers, body).await
}

/// Metrics in the text format of Prometheus
#[utoipa::path(get, path = "/metrics", tag = "operation", security(("token" = [])),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn scrape(State(side): State<Public>) -> Response {
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], side.metrics.text()).into_response()
}

type Read = fn(&[u8], aval_formats::json::Limits) -> Result<VerifyRequest, RequestError>;

async fn verify(side: Public, kind: &'static str, read: Read, headers: &HeaderMap, body: Body) -> Response {
    if !has_media_type(headers, "application/json") {
        return Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response();
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return Problem::of_status(rejection.status()).into_response(),
    };
    let (sources, now_s) = (side.sources.clone(), now_s());
    let expected = Expectation { now_s, ..side.expected.clone() };
    let judged = tokio::task::spawn_blocking(move || {
        let request = read(&body, limits()).map_err(|error| error.reply())?;
        let answer = sources.judge(request.start(expected), now_s);
        Ok::<_, Reply>((answer.outcome(), request.reply(&answer)))
    });
    match judged.await {
        Ok(Ok((outcome, reply))) => {
            side.counters.verifications.get_or_create(&OutcomeLabels { kind, outcome }).inc();
            answer(reply)
        }
        Ok(Err(reply)) => answer(reply),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(reply.body)).into_response();
    response.extensions_mut().insert(InForm);
    response
}
