//! Errors of the back office API, as problem details (RFC 9457) with a stable `code`.

use crate::ledger::LedgerError;
use crate::records::RecordsError;
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
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid", "The request cannot be carried out", detail)
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

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let (status, title) = match &error {
            LedgerError::Refused { .. } => (StatusCode::CONFLICT, "The ledger refused the transaction"),
            LedgerError::Client(_) => (StatusCode::BAD_GATEWAY, "The ledger could not be asked"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "The service is not set up for this"),
        };
        Self::new(status, error.code(), title, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
