//! The HTTP side of the sandbox: VC-API (VCALM 1.0) below the name of each instance.
//!
//! | | |
//! |---|---|
//! | `GET /` | the instances |
//! | `POST /<name>/credentials/issue` | issue |
//! | `POST /<name>/credentials/derive` | show a part, where the format can |
//! | `POST /<name>/credentials/status` | revoke, suspend, where it has lists |
//! | `GET /<name>/status/<purpose>` | a status list credential |

use super::Instance;
use crate::clock::now_s;
use crate::layers::{self, InForm, Side, has_media_type};
use crate::metrics::Metrics;
use crate::problem::Problem;
use aval_formats::json::Limits;
use aval_formats::vc_api::{DeriveRequest, IssueRequest, Reply, RequestError, StatusRequest, issued};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const BODY_BYTES_MAX: usize = 1024 * 1024;
const REQUESTS_MAX: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(10);

type Instances = Arc<Vec<Instance>>;
type Body = Result<Bytes, BytesRejection>;

/// The routes.
pub fn router(instances: Vec<Instance>, metrics: Arc<Metrics>) -> Router {
    let layers = Side {
        name: "sandbox",
        body_bytes_max: BODY_BYTES_MAX,
        announced_bytes_max: BODY_BYTES_MAX,
        requests_max: REQUESTS_MAX,
        timeout: TIMEOUT,
        error: |status| Problem::of_status(status).into_response(),
        metrics,
    };
    let router = Router::new()
        .route("/", get(index))
        .route("/health", get(async || "ok"))
        .route("/{name}/credentials/issue", post(issue))
        .route("/{name}/credentials/derive", post(derive))
        .route("/{name}/credentials/status", post(status))
        .route("/{name}/status/{purpose}", get(list))
        .with_state(Instances::new(instances));
    layers::around(router, &layers)
}

async fn index(State(instances): State<Instances>) -> Json<Value> {
    Json(json!({"instances": instances.iter().map(Instance::summary).collect::<Vec<_>>()}))
}

/// Reads the request and does what it says at the instance, apart from the threads that serve.
async fn at(
    instances: Instances,
    name: String,
    headers: &HeaderMap,
    body: Body,
    work: fn(&Instance, &[u8]) -> Result<Response, RequestError>,
) -> Response {
    if !has_media_type(headers, "application/json") {
        return Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response();
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return Problem::of_status(rejection.status()).into_response(),
    };
    let done = tokio::task::spawn_blocking(move || {
        let instance = instances.iter().find(|instance| instance.name() == name)?;
        Some(work(instance, &body).unwrap_or_else(|error| answer(error.reply())))
    });
    match done.await {
        Ok(Some(response)) => response,
        Ok(None) => Problem::not_found("the sandbox has no instance of this name").into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, Json(reply.body)).into_response();
    response.extensions_mut().insert(InForm);
    response
}

async fn issue(
    State(instances): State<Instances>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = |instance: &Instance, body: &[u8]| {
        let request = IssueRequest::read(body, now_s(), Limits::default())?;
        Ok(answer(issued(instance.issue(request)?)))
    };
    at(instances, name, &headers, body, work).await
}

async fn derive(
    State(instances): State<Instances>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = |instance: &Instance, body: &[u8]| {
        let request = DeriveRequest::read(body, Limits::default())?;
        Ok(answer(issued(instance.derive(&request)?)))
    };
    at(instances, name, &headers, body, work).await
}

async fn status(
    State(instances): State<Instances>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = |instance: &Instance, body: &[u8]| {
        let request = StatusRequest::read(body, Limits::default())?;
        Ok(match instance.change(&request) {
            Some(Ok(())) => StatusCode::OK.into_response(),
            Some(Err(error)) => answer(RequestError::from(error).reply()),
            None => Problem::not_found("this issuer issued no such credential").into_response(),
        })
    };
    at(instances, name, &headers, body, work).await
}

async fn list(
    State(instances): State<Instances>,
    Path((name, purpose)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants_vc = accepted.split([',', ';']).any(|range| range.trim() == "application/vc");
    // Clients that do not ask for the type by its name read JSON.
    let kind = if wants_vc { "application/vc" } else { "application/json" };
    let made = tokio::task::spawn_blocking(move || {
        instances.iter().find(|instance| instance.name() == name)?.list(&purpose)
    });
    match made.await {
        Ok(Some(Ok(list))) => ([(header::CONTENT_TYPE, kind)], list.to_string()).into_response(),
        Ok(Some(Err(error))) => Problem::internal(&error).into_response(),
        Ok(None) => Problem::not_found("there is no such list").into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}
