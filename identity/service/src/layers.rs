//! What happens around every request of both sides: an id, bounds on concurrency and time, headers, metrics, and one
//! form for errors.
//!
//! From the outside in: [`observe`] gives the request its id, counts it, and puts an error that no handler made (by the
//! router, a limit or a panic) into the side's form; panics are caught; [`limit`] sheds load before anything is read.

use crate::metrics::{Metrics, RequestLabels};
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;
use uuid::Uuid;

/// Names a request in the answer and in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers on every answer that does not say otherwise: nothing may be loaded, framed or guessed. The one page says
/// what it needs.
const SECURITY_HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// One of the two sides.
#[derive(Clone)]
pub struct Side {
    /// `public` or `admin`.
    pub name: &'static str,
    /// Bytes of a request's body, where its route says nothing else.
    pub body_bytes_max: usize,
    /// Bytes of the largest body that any route takes. A request that announces more is refused before it is sent, if
    /// its client asked first (`Expect: 100-continue`, RFC 9110 section 10.1.1).
    pub announced_bytes_max: usize,
    /// How many requests may be under way.
    pub requests_max: usize,
    /// For how long.
    pub timeout: Duration,
    /// An error of this status in the side's form.
    pub error: fn(StatusCode) -> Response,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
}

/// Puts the layers around routes.
pub fn around(router: Router, side: &Side) -> Router {
    let limits = Limits {
        places: Arc::new(Semaphore::new(side.requests_max)),
        announced_bytes_max: side.announced_bytes_max as u64,
        timeout: side.timeout,
    };
    router
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::from_fn_with_state(limits, limit))
        .layer(DefaultBodyLimit::max(side.body_bytes_max))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(side.clone(), observe))
}

/// Marks an error that is in its side's form already.
#[derive(Debug, Clone, Copy)]
pub struct InForm;

async fn observe(State(side): State<Side>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = Uuid::new_v4().to_string();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", id, side = side.name, method = %request.method(), route);
    let response = next.run(request).instrument(span.clone()).await;
    let mut response = in_form(response, &side);
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let elapsed_ms = started.elapsed().as_millis();
    span.in_scope(|| tracing::debug!(status = status.as_u16(), elapsed_ms, "answered"));
    side.metrics
        .requests
        .get_or_create(&RequestLabels { side: side.name, route, status: status.as_u16() })
        .inc();
    response
}

/// Replaces an error that no handler made by one in the side's form.
fn in_form(response: Response, side: &Side) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.extensions().get::<InForm>().is_some() {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut error = (side.error)(status);
    if let Some(allow) = allow {
        error.headers_mut().insert(header::ALLOW, allow);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        error.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    error
}

#[derive(Clone)]
struct Limits {
    places: Arc<Semaphore>,
    announced_bytes_max: u64,
    timeout: Duration,
}

async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let Ok(_place) = limits.places.try_acquire() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    // Whoever does not ask is sending already, and hears better when it has been read as far as the route allows.
    let is_asking = request.headers().contains_key(header::EXPECT);
    if is_asking && request.body().size_hint().lower() > limits.announced_bytes_max {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    match tokio::time::timeout(limits.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// The panic hook has written the place to the log.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    tracing::error!("a request handler panicked; this is a defect");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Whether the body is said to be of this media type; parameters do not matter.
pub fn has_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}
