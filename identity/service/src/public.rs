//! What wallets see: OpenID4VCI 1.0 metadata, token, nonce and credential endpoints.
//!
//! Errors are in the words of the specifications (RFC 6749, RFC 6750, OpenID4VCI 1.0), not problem details.

use crate::issuer::{Issuer, Refusal};
use aval_openid::ErrorResponse;
use aval_openid::vci::credential::REQUEST_BYTES_MAX;
use aval_openid::vci::token::{bearer_token, nonce_response};
use aval_openid::vci::AuthorizationServerMetadata;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// The routes.
pub fn router(issuer: Arc<Issuer>) -> Router {
    Router::new()
        .route("/.well-known/openid-credential-issuer", get(issuer_metadata))
        .route("/.well-known/oauth-authorization-server", get(server_metadata))
        .route("/token", post(token))
        .route("/nonce", post(nonce))
        .route("/credential", post(credential))
        .route("/health", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(30)))
        .layer(CatchPanicLayer::new())
        .with_state(issuer)
}

fn json(body: Vec<u8>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

fn refuse(refusal: Refusal) -> Response {
    let error = match refusal {
        Refusal::Protocol(error) => error,
        Refusal::Failed(reason) => {
            tracing::error!(reason, "request failed");
            ErrorResponse { status: 500, error: "server_error", description: "the service failed" }
        }
    };
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, json(error.body())).into_response();
    if let Some(value) = error.www_authenticate().and_then(|text| text.parse().ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

async fn issuer_metadata(State(issuer): State<Arc<Issuer>>) -> Response {
    json(issuer.protocol.metadata.to_json())
}

async fn server_metadata(State(issuer): State<Arc<Issuer>>) -> Response {
    json(AuthorizationServerMetadata::new(&issuer.protocol.metadata.credential_issuer).to_json())
}

async fn token(State(issuer): State<Arc<Issuer>>, form: Bytes) -> Response {
    match issuer.redeem(&form).await {
        Ok(token) => json(token.to_json()),
        Err(refusal) => refuse(refusal),
    }
}

async fn nonce(State(issuer): State<Arc<Issuer>>) -> Response {
    match issuer.nonce().await {
        Ok(nonce) => json(nonce_response(&nonce)),
        Err(error) => refuse(error.into()),
    }
}

async fn credential(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = match bearer_token(header) {
        Ok(token) => token,
        Err(error) => return refuse(error.into()),
    };
    match issuer.issue(token, &body).await {
        Ok(response) => json(response.to_json()),
        Err(refusal) => refuse(refusal),
    }
}
