//! What wallets and verifiers see: OpenID4VCI 1.0 metadata, token, nonce and credential endpoints, and the status list.
//!
//! Errors are in the words of the specifications (RFC 6749, RFC 6750, OpenID4VCI 1.0), not problem details.

use super::access_token::Access;
use super::decisions::{Issuer, Refusal};
use super::instance::Securing;
use super::issuing::Delivered;
use super::page;
use super::status_list::{self, Form};
use crate::clock::now_s;
use crate::layers::{self, InForm, Side, has_media_type};
use aval_formats::data_integrity::{self, ProofOptions, Suite};
use aval_formats::{date, jose};
use aval_openid::ErrorResponse;
use aval_openid::http::{FORM, JSON};
use aval_openid::jwt::KeyName;
use aval_openid::oauth::{Credentials, dpop};
use aval_openid::vci::AuthorizationServerMetadata;
use aval_openid::vci::credential::REQUEST_BYTES_MAX;
use aval_openid::vci::encryption;
use aval_openid::vci::signed_metadata;
use aval_openid::vci::token::nonce_response;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
const REQUESTS_MAX: usize = 256;
/// How long signed metadata are good for, seconds.
const METADATA_LIFE_S: i64 = 86_400;

/// The routes. If the public URL has a path, it stands in front of the endpoints and behind the well-known strings.
pub fn router(issuer: Arc<Issuer>) -> Router {
    let side = Side {
        name: "public",
        body_bytes_max: REQUEST_BYTES_MAX,
        announced_bytes_max: REQUEST_BYTES_MAX,
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
        .route(&format!("{path}/par"), post(push))
        .route(&format!("{path}/authorize"), get(authorize).post(decide))
        .route(&format!("{path}/offer/{{reference}}"), get(offer))
        .route(&format!("{path}/credential"), post(credential))
        .route(&format!("{path}/deferred_credential"), post(deferred))
        .route(&format!("{path}/notification"), post(notification))
        .route(&format!("{path}/status/{{registry}}"), get(status_list))
        .route(&format!("{path}/instances/{{name}}/status/{{registry}}"), get(status_of_instance))
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
    refuse(&counted(issuer, endpoint, refusal))
}

fn counted(issuer: &Issuer, endpoint: &'static str, refusal: Refusal) -> ErrorResponse {
    let error = match refusal {
        Refusal::Protocol(error) => error,
        Refusal::Failed(reason) => {
            tracing::error!(reason, "the request failed");
            ErrorResponse { status: 500, error: "server_error", description: "the service failed" }
        }
    };
    issuer.counters().refuse(endpoint, error.error);
    tracing::debug!(endpoint, error = error.error, reason = error.description, "refused");
    error
}

/// The metadata, signed for who takes nothing else (OpenID4VCI 1.0 section 12.2.2).
async fn issuer_metadata(State(issuer): State<Arc<Issuer>>, headers: HeaderMap) -> Response {
    let metadata = match issuer.metadata().await {
        Ok(metadata) => metadata,
        Err(error) => return refused(&issuer, "metadata", error.into()),
    };
    let takes = |media_type: &str| {
        let wishes = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges = wishes.flat_map(|wishes| wishes.split(','));
        ranges.any(|range| range.split(';').next().unwrap_or_default().trim() == media_type)
    };
    let vary = [(header::VARY, HeaderValue::from_static("accept"))];
    if !takes(signed_metadata::MEDIA_TYPE) || takes(JSON) {
        return (vary, json(metadata.to_json())).into_response();
    }
    let key = issuer.keys().active();
    let signed = signed_metadata::sign(&metadata, &*key, KeyName::Id(key.id()), now_s(), METADATA_LIFE_S);
    match signed {
        Ok(signed) => (vary, [(header::CONTENT_TYPE, signed_metadata::MEDIA_TYPE)], signed).into_response(),
        Err(error) => refused(&issuer, "metadata", Refusal::Failed(error.to_string())),
    }
}

async fn server_metadata(State(issuer): State<Arc<Issuer>>) -> Response {
    let metadata = AuthorizationServerMetadata::new(&issuer.protocol().metadata.credential_issuer);
    json(metadata.with_authorization_code().to_json())
}

/// An offer that a link refers to.
async fn offer(State(issuer): State<Arc<Issuer>>, Path(reference): Path<String>) -> Response {
    match issuer.offered(&reference).await {
        Ok(Some(offer)) => json(offer.to_json()),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(refusal) => refused(&issuer, "offer", refusal),
    }
}

/// The headers that say who comes.
fn access_of(headers: &HeaderMap) -> Access<'_> {
    let mut proofs = headers.get_all(dpop::HEADER).iter();
    Access {
        authorization: headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()),
        // One that is no text is a wrong one.
        proof: proofs.next().map(|value| value.to_str().unwrap_or_default()),
        has_several: proofs.next().is_some(),
    }
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

async fn push(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Body) -> Response {
    let outcome = match body_of(&headers, body, FORM, "invalid_request") {
        Ok(form) => issuer.push(&access_of(&headers), &form).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(body) => (StatusCode::CREATED, json(body)).into_response(),
        Err(refusal) => refused(&issuer, "par", refusal),
    }
}

/// An answer to the user's browser.
fn shown(issuer: &Issuer, outcome: Result<Response, Refusal>) -> Response {
    match outcome {
        Ok(response) => response,
        Err(refusal) => {
            let error = counted(issuer, "authorize", refusal);
            page::refused(error.status, error.error, error.description)
        }
    }
}

async fn authorize(State(issuer): State<Arc<Issuer>>, RawQuery(query): RawQuery) -> Response {
    let outcome = issuer.authorize(&query.unwrap_or_default()).await;
    shown(&issuer, outcome)
}

async fn decide(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Body) -> Response {
    let outcome = match body_of(&headers, body, FORM, "invalid_request") {
        Ok(form) => issuer.decided(&form).await,
        Err(error) => Err(error.into()),
    };
    shown(&issuer, outcome)
}

async fn token(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Body) -> Response {
    let outcome = match body_of(&headers, body, FORM, "invalid_request") {
        Ok(form) => issuer.token(&access_of(&headers), &form).await,
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

/// The media type and body of a credential request, which may be encrypted.
fn sealed_or_not(headers: &HeaderMap, body: Body) -> Result<(&'static str, Bytes), ErrorResponse> {
    let sealed = has_media_type(headers, encryption::MEDIA_TYPE);
    let media_type = if sealed { encryption::MEDIA_TYPE } else { JSON };
    Ok((media_type, body_of(headers, body, media_type, "invalid_credential_request")?))
}

fn delivered(issuer: &Issuer, endpoint: &'static str, outcome: Result<Delivered, Refusal>) -> Response {
    match outcome {
        Ok(delivered) => {
            let status = StatusCode::from_u16(delivered.status).unwrap_or(StatusCode::OK);
            let headers = [(header::CONTENT_TYPE, delivered.media_type), (header::CACHE_CONTROL, "no-store")];
            (status, headers, delivered.body).into_response()
        }
        Err(refusal) => refused(issuer, endpoint, refusal),
    }
}

async fn credential(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Body) -> Response {
    let access = access_of(&headers);
    let checked = Credentials::parse(access.authorization).and_then(|_| sealed_or_not(&headers, body));
    let outcome = match checked {
        Ok((media_type, body)) => issuer.issue(&access, media_type, &body).await,
        Err(error) => Err(error.into()),
    };
    delivered(&issuer, "credential", outcome)
}

async fn deferred(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Body) -> Response {
    let access = access_of(&headers);
    let checked = Credentials::parse(access.authorization).and_then(|_| sealed_or_not(&headers, body));
    let outcome = match checked {
        Ok((media_type, body)) => issuer.issue_deferred(&access, media_type, &body).await,
        Err(error) => Err(error.into()),
    };
    delivered(&issuer, "deferred_credential", outcome)
}

async fn notification(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Body) -> Response {
    let access = access_of(&headers);
    let checked = Credentials::parse(access.authorization)
        .and_then(|_| body_of(&headers, body, JSON, "invalid_notification_request"));
    let outcome = match checked {
        Ok(body) => issuer.notified(&access, &body).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refused(&issuer, "notification", refusal),
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

/// A list as an instance signs it, with a proof by its own suite (or as a JWT).
async fn status_of_instance(
    State(issuer): State<Arc<Issuer>>,
    Path((name, registry)): Path<(String, String)>,
) -> Response {
    let instance = issuer.instances().get(&name).filter(|instance| instance.status);
    let (Some(instance), Some(list)) = (instance, issuer.status_list(&registry)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(own) = &instance.own else { return StatusCode::NOT_FOUND.into_response() };
    let uri = issuer.config().list_uri_of(&name, list.uri());
    let credential = match list.copy_for(&uri, &own.did, now_s()).await {
        Ok(credential) => credential,
        Err(error) => {
            tracing::error!(%error, "the status list could not be read from the ledger");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let signed = match instance.securing {
        Securing::Jwt => jose::sign_credential(&credential, &own.id, &own.key)
            .map(|jwt| (Form::VcJwt.media_type(), jwt.into_bytes())),
        Securing::Proof(suite) => {
            // What is disclosed selectively cannot be a list.
            let suite = if suite == Suite::EcdsaSd2023 { Suite::EcdsaRdfc2019 } else { suite };
            let options = ProofOptions {
                created: date::format(now_s()),
                ..ProofOptions::new(suite, &own.id, "assertionMethod")
            };
            data_integrity::secure(&credential, &options, &own.key)
                .map(|secured| (Form::DataIntegrity.media_type(), secured.to_string().into_bytes()))
        }
    };
    match signed {
        Ok((media_type, body)) => ([(header::CONTENT_TYPE, media_type)], body).into_response(),
        Err(error) => refused(&issuer, "status", Refusal::Failed(error.to_string())),
    }
}
