//! What wallets and verifiers see: OpenID4VCI 1.0 metadata, token, nonce and credential endpoints, and the status list.
//!
//! Errors are in the words of the specifications (RFC 6749, RFC 6750, OpenID4VCI 1.0), not problem details.

use super::decisions::{Issuer, Refusal};
use super::status_list::{self, Form};
use crate::layers::{self, InForm, Side, has_media_type};
use aval_openid::ErrorResponse;
use aval_openid::http::{FORM, JSON};
use aval_openid::vci::AuthorizationServerMetadata;
use aval_openid::vci::credential::REQUEST_BYTES_MAX;
use aval_openid::vci::token::{bearer_token, nonce_response};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
const REQUESTS_MAX: usize = 256;

/// The routes. If the public URL has a path, it stands in front of the endpoints and behind the well-known strings.
pub fn router(issuer: Arc<Issuer>) -> Router {
    let side = Side {
        name: "public",
        body_bytes_max: REQUEST_BYTES_MAX,
        requests_max: REQUESTS_MAX,
        timeout: TIMEOUT,
        error: of_status,
        metrics: issuer.metrics().clone(),
    };
    let path = issuer.config().public_path();
    let router = Router::new()
        .route(&format!("/.well-known/openid-credential-issuer{path}"), get(issuer_metadata))
        .route(&format!("/.well-known/oauth-authorization-server{path}"), get(server_metadata))
        .route(&format!("{path}/token"), post(token))
        .route(&format!("{path}/nonce"), post(nonce))
        .route(&format!("{path}/credential"), post(credential))
        .route(&format!("{path}/status/{{registry}}"), get(status_list))
        .route("/health", get(async || "ok"))
        .with_state(issuer);
    layers::around(router, &side)
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn refuse(error: &ErrorResponse) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, json(error.body())).into_response();
    if let Some(value) = error.www_authenticate().and_then(|text| text.parse().ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response.extensions_mut().insert(InForm);
    response
}

fn of_status(status: StatusCode) -> Response {
    let (error, description) = match status {
        StatusCode::NOT_FOUND => ("invalid_request", "there is nothing here"),
        StatusCode::METHOD_NOT_ALLOWED => ("invalid_request", "this endpoint does not take this method"),
        StatusCode::REQUEST_TIMEOUT => ("invalid_request", "the request took too long"),
        StatusCode::NOT_ACCEPTABLE => ("invalid_request", "there is no form of this that you take"),
        StatusCode::PAYLOAD_TOO_LARGE => ("invalid_request", "the request is too large"),
        StatusCode::SERVICE_UNAVAILABLE => ("temporarily_unavailable", "try again later"),
        status if status.is_server_error() => ("server_error", "the service failed"),
        _ => ("invalid_request", "the request cannot be read"),
    };
    refuse(&ErrorResponse { status: status.as_u16(), error, description })
}

/// Answers a refusal of an endpoint, counted and, where the service is to blame, logged.
fn refused(issuer: &Issuer, endpoint: &'static str, refusal: Refusal) -> Response {
    let error = match refusal {
        Refusal::Protocol(error) => error,
        Refusal::Failed(reason) => {
            tracing::error!(reason, "the request failed");
            ErrorResponse { status: 500, error: "server_error", description: "the service failed" }
        }
    };
    issuer.counters().refuse(endpoint, error.error);
    tracing::debug!(endpoint, error = error.error, reason = error.description, "refused");
    refuse(&error)
}

async fn issuer_metadata(State(issuer): State<Arc<Issuer>>) -> Response {
    json(issuer.protocol().metadata.to_json())
}

async fn server_metadata(State(issuer): State<Arc<Issuer>>) -> Response {
    json(AuthorizationServerMetadata::new(&issuer.protocol().metadata.credential_issuer).to_json())
}

type Body = Result<Bytes, BytesRejection>;

/// The body, if it is of the media type; otherwise an error with this code.
fn body_of(
    headers: &HeaderMap,
    body: Body,
    media_type: &str,
    error: &'static str,
) -> Result<Bytes, ErrorResponse> {
    if !has_media_type(headers, media_type) {
        let description = "the body is of another media type than this endpoint takes";
        return Err(ErrorResponse { status: 400, error, description });
    }
    body.map_err(|rejection| {
        let status = rejection.status().as_u16();
        ErrorResponse { status, error, description: "the body is too large or did not arrive" }
    })
}

async fn token(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Body) -> Response {
    let outcome = match body_of(&headers, body, FORM, "invalid_request") {
        Ok(form) => issuer.redeem(&form).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(token) => json(token.to_json()),
        Err(refusal) => refused(&issuer, "token", refusal),
    }
}

async fn nonce(State(issuer): State<Arc<Issuer>>) -> Response {
    match issuer.nonce().await {
        Ok(nonce) => json(nonce_response(&nonce)),
        Err(error) => refused(&issuer, "nonce", error.into()),
    }
}

async fn credential(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Body) -> Response {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let checked = bearer_token(header)
        .and_then(|token| Ok((token, body_of(&headers, body, JSON, "invalid_credential_request")?)));
    let outcome = match checked {
        Ok((token, body)) => issuer.issue(token, &body).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(response) => json(response.to_json()),
        Err(refusal) => refused(&issuer, "credential", refusal),
    }
}

async fn status_list(
    State(issuer): State<Arc<Issuer>>,
    Path(registry): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(list) = issuer.status_list(&registry) else { return StatusCode::NOT_FOUND.into_response() };
    let wishes = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let wishes = wishes.collect::<Vec<_>>().join(",");
    let Some(form) = Form::accepted(&wishes) else { return StatusCode::NOT_ACCEPTABLE.into_response() };
    let list = match list.current(form).await {
        Ok(list) => list,
        Err(error) => {
            tracing::error!(%error, "the status list could not be read from the ledger");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let caching = format!("public, max-age={}", status_list::MAX_AGE.as_secs());
    let vary = HeaderValue::from_static("accept");
    let common = [(header::ETAG, list.etag.clone()), (header::CACHE_CONTROL, caching)];
    let common = (common, [(header::VARY, vary)]);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|tags| tags.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    if tags.any(|tag| tag == "*" || tag == list.etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, form.media_type())], list.body.clone()).into_response()
}
