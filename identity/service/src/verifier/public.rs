//! The HTTP side: the VC-API of a verifier and sessions for relying parties, their description and page, health and
//! metrics; and the side of wallets.
//!
//! Answers about a credential or presentation are in the form of VCALM 1.0, all other errors are problem details. What
//! was presented is neither kept nor logged.

use super::config::Config;
use super::judge::StrictJudge;
use super::metrics::Counters;
use super::presentations::{self, Identity, Presentations};
use super::sources::{Sources, expectation, limits};
use crate::access::{self, Gate};
use crate::clock::now_s;
use crate::layers::{self, InForm, Side, has_media_type};
use crate::metrics::{self, Metrics};
use crate::problem::Problem;
use crate::storage::Records;
use crate::swagger;
use aval_did::key::Signer;
use aval_formats::vc_api::{Reply, RequestError, VerifyRequest};
use aval_formats::verifier::Expectation;
use aval_openid::UrlPolicy;
use aval_openid::vp::verifier::ANSWER_BYTES_MAX;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;
use std::time::Duration;
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
        description = "The VC-API of a verifier (VCALM 1.0), and questions to wallets over OpenID4VP 1.0. Requests \
                       want `Authorization: Bearer <token>` with the token of an operator, made by \
                       `aval-identityd verifier operator add`, or that in the file `token` of the home folder. \
                       Roles: verifier verifies and asks, viewer sees metrics, admin does everything. A verifier that \
                       was made with `--open` verifies for anybody; questions to wallets want a token all the same.",
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

/// What the routes share.
#[derive(Clone)]
pub struct Public {
    sources: Arc<Sources>,
    expected: Expectation,
    open: bool,
    gate: Gate,
    records: Records,
    metrics: Arc<Metrics>,
    counters: Arc<Counters>,
    wallets: Option<Wallets>,
}

/// What wallets are asked with.
#[derive(Clone)]
struct Wallets {
    presentations: Arc<Presentations>,
    path: String,
}

impl Public {
    /// The side of a configuration, with the token of the home folder and, if wallets are asked, who asks.
    pub fn new(
        sources: Arc<Sources>,
        records: Records,
        config: &Config,
        token: &str,
        identity: Option<(Identity, Arc<dyn Signer + Send + Sync>)>,
    ) -> Self {
        let (metrics, counters) = Metrics::new("aval_verifier", Counters::register);
        let counters = Arc::new(counters);
        let expected = Expectation {
            accreditation: config.accreditation.policy(),
            issuer_keys: config.issuer_keys.clone(),
            ..expectation(0, config.domain.as_deref())
        };
        let wallets = config.wallets.as_ref().zip(identity).map(|(wallets, (identity, signer))| Wallets {
            presentations: Arc::new(Presentations {
                public_url: wallets.public_url.clone(),
                identity,
                signer,
                records: records.clone(),
                judge: Arc::new(StrictJudge::new(sources.clone(), expected.clone(), counters.clone())),
                policy: UrlPolicy::LOOPBACK,
            }),
            path: wallets.public_path(),
        });
        let gate = Gate::new(records.clone(), token, counters.denied.clone());
        Self { sources, expected, open: config.open, gate, records, metrics, counters, wallets }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What is kept.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// What wallets are asked with, if they are.
    pub fn presentations(&self) -> Option<&Arc<Presentations>> {
        self.wallets.as_ref().map(|wallets| &wallets.presentations)
    }
}

fn verify_routes() -> OpenApiRouter<Public> {
    OpenApiRouter::new().routes(routes!(credential)).routes(routes!(presentation))
}

fn operation_routes() -> OpenApiRouter<Public> {
    OpenApiRouter::new().routes(routes!(scrape))
}

/// The API's description with everything that a verifier can serve, as `specs/openapi/aval-identityd-verifier.json`
/// holds it.
pub fn openapi_json() -> String {
    let routes = OpenApiRouter::<Public>::with_openapi(Document::openapi()).merge(verify_routes());
    let routes = routes.merge(operation_routes()).split_for_parts().1;
    let mut document = routes;
    document.merge(presentations::relying_party_routes().split_for_parts().1);
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The routes of relying parties and operators.
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
    let mut guarded =
        operation_routes().route_layer(middleware::from_fn(access::viewer)).with_state(side.clone());
    let for_verifiers = middleware::from_fn(access::verifier);
    let verify = verify_routes().with_state(side.clone());
    let mut routes = OpenApiRouter::with_openapi(Document::openapi());
    if side.open {
        routes = routes.merge(verify);
    } else {
        guarded = guarded.merge(verify.route_layer(for_verifiers.clone()));
    }
    if let Some(presentations) = side.presentations() {
        let ask = presentations::relying_party_routes().with_state(presentations.clone());
        guarded = guarded.merge(ask.route_layer(for_verifiers));
    }
    let authenticate = middleware::from_fn_with_state(side.gate.clone(), access::authenticate);
    let (router, document) = routes.merge(guarded.route_layer(authenticate)).split_for_parts();
    let router = router.route("/health", get(async || "ok"));
    layers::around(router.merge(swagger::router(document)), &layers)
}

/// The routes of wallets, if they are asked.
pub fn wallet_router(side: &Public) -> Option<Router> {
    let wallets = side.wallets.as_ref()?;
    let layers = Side {
        name: "wallets",
        body_bytes_max: ANSWER_BYTES_MAX,
        announced_bytes_max: ANSWER_BYTES_MAX,
        requests_max: REQUESTS_MAX,
        timeout: TIMEOUT,
        error: presentations::error_of_status,
        metrics: side.metrics.clone(),
    };
    let router = presentations::wallet_router(wallets.presentations.clone(), &wallets.path);
    Some(layers::around(router.route("/health", get(async || "ok")), &layers))
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
            side.counters.count(kind, outcome);
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
