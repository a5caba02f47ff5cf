//! What happens around every request: an id, a bound on concurrency and time, headers, metrics, and one form for
//! errors.
//!
//! From the outside in: [`observe`] gives the request its id, counts it and turns whatever error a lower layer made
//! into a problem; panics are caught; [`limit`] sheds load before anything is read; then comes the handler.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tracing::Instrument;
use uuid::Uuid;

use super::problem::{PROBLEM_MEDIA_TYPE, Problem};
use crate::metrics::{Metrics, RequestLabels, RouteLabel};

/// Names a request in the answer and in the log.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers on every answer. The interface serves no page, so nothing may be loaded, framed or guessed.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// The outermost layer.
pub(super) async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = Uuid::new_v4().to_string();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::debug_span!("request", id = %request_id, method = %request.method(), route);
    metrics.requests_active.inc();
    let response = next.run(request).instrument(span.clone()).await;
    metrics.requests_active.dec();
    let mut response = as_problem(response);
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let elapsed = started.elapsed();
    span.in_scope(|| {
        tracing::debug!(status = status.as_u16(), elapsed_us = elapsed.as_micros() as u64, "answered")
    });
    metrics.requests.get_or_create(&RequestLabels { route: route.clone(), status: status.as_u16() }).inc();
    metrics.request_seconds.get_or_create(&RouteLabel { route }).observe(elapsed.as_secs_f64());
    response
}

/// Replaces the body of an error that did not come from us (an extractor, the router, a limit) by a problem.
fn as_problem(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media_type.is_some_and(|media_type| {
        media_type == PROBLEM_MEDIA_TYPE || media_type.starts_with("application/did")
    }) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut problem = Problem::of_status(status).into_response();
    if let Some(allow) = allow {
        problem.headers_mut().insert(header::ALLOW, allow);
    }
    problem
}

/// How many requests may be under way, and for how long.
#[derive(Clone)]
pub(super) struct Limit {
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl Limit {
    /// A limit of `requests_max` requests of at most `timeout` each.
    pub(super) fn new(requests_max: usize, timeout: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(requests_max.min(Semaphore::MAX_PERMITS))), timeout }
    }
}

/// Sheds requests above the limit, before their body is read, and ends those that take too long.
pub(super) async fn limit(State(limit): State<Limit>, request: Request, next: Next) -> Response {
    let Ok(_place) = limit.places.try_acquire() else {
        return Problem::overloaded("Too many requests are under way.").into_response();
    };
    match tokio::time::timeout(limit.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::of_status(StatusCode::REQUEST_TIMEOUT).into_response(),
    }
}

/// What is answered when a handler panicked. The panic hook has written the place to the log.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked; this is a defect");
    Problem::internal().into_response()
}
