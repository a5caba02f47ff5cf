//! Errors of the programs' own interfaces, as problem details (RFC 9457) with a stable `code`.

use crate::layers::InForm;
use crate::storage::RecordsError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A problem document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:aval:error:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line, the same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// About this occurrence: what to do.
    pub detail: String,
    /// The stable code.
    pub code: String,
}

impl Problem {
    /// A problem with this status and code.
    pub fn new(status: StatusCode, code: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:aval:error:{code}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
        }
    }

    /// The request's content cannot be used.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "request.invalid",
            "The request cannot be carried out",
            detail,
        )
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "request.not_found", "Not found", detail)
    }

    /// The token is missing or wrong.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "admin.unauthorized",
            "The back office token is missing or wrong",
            "send `Authorization: Bearer <content of the admin-token file>`",
        )
    }

    /// An error that is known by its status alone.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, title) = match status {
            StatusCode::NOT_FOUND => ("request.not_found", "Not found"),
            StatusCode::METHOD_NOT_ALLOWED => ("request.method", "This address does not take this method"),
            StatusCode::PAYLOAD_TOO_LARGE => ("request.oversized", "The request is larger than allowed"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("request.media_type", "The body must be application/json"),
            StatusCode::REQUEST_TIMEOUT => ("request.timeout", "The request took too long"),
            StatusCode::SERVICE_UNAVAILABLE => ("service.overloaded", "Too many requests are under way"),
            status if status.is_server_error() => ("service.failed", "The service failed"),
            _ => ("request.invalid", "The request cannot be carried out"),
        };
        let detail = match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "see /openapi.json",
            StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => "try again later",
            status if status.is_server_error() => "the reason is in the service's log",
            _ => "the request is not what /openapi.json describes",
        };
        Self::new(status, code, title, detail)
    }

    /// The service failed; the reason goes to the log, not to the client.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "service.failed",
            "The service failed",
            "the reason is in the service's log",
        )
    }
}

impl From<RecordsError> for Problem {
    fn from(error: RecordsError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(InForm);
        response
    }
}
