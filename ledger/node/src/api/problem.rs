//! Errors of the REST interface as problem details (RFC 9457), `application/problem+json`.
//!
//! `type` is `urn:aval:error:<code>`; the code never changes its meaning. Refusals of a transaction have the codes and
//! the HTTP status of `specs/errors.md`. The codes below are the interface's own:
//!
//! | code | HTTP | meaning |
//! |---|---|---|
//! | `request.malformed` | 400 | path, query or header cannot be read |
//! | `request.not_found` | 404 | no such resource |
//! | `request.method_not_allowed` | 405 | the resource does not take this method |
//! | `request.not_acceptable` | 406 | none of the accepted media types can be given |
//! | `request.timeout` | 408 | the body took too long to arrive |
//! | `request.oversized` | 413 | the body is larger than allowed |
//! | `request.media_type` | 415 | the body has a media type that is not read here |
//! | `request.connections` | 429 | the address has too many connections |
//! | `sender.share` | 429 | the sender has too many transactions waiting |
//! | `node.internal` | 500 | a fault of the node; nothing was decided |
//! | `node.overloaded` | 503 | too many requests or waiting transactions |
//! | `node.behind` | 503 | the node has not come to the state that the transaction builds on |
//! | `node.not_ready` | 503 | the node is starting or catching up |
//! | `ledger.pruned` | 410 | the height is older than what this node keeps |
//! | `snapshot.not_offered` | 404 | the height is none that is offered as a snapshot |
//! | `ledger.not_yet` | 404 | the height is not final yet |

use aval_machine::policy::Explanation;
use aval_store::StoreError;
use aval_types::Reject;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::Fatal;

/// Media type of a problem.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// A problem, as it is written to the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:aval:error:<code>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:aval:error:transaction.malformed")]
    pub type_uri: String,
    /// What is wrong, the same for every occurrence of the code.
    pub title: String,
    /// The HTTP status.
    #[schema(example = 400)]
    pub status: u16,
    /// What to do, or what exactly did not fit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The stable code.
    #[schema(example = "transaction.malformed")]
    pub code: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What the policies in force say, if the refusal is about who may do what. No values, only names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub policy: Option<Box<Explanation>>,
    /// Seconds after which to try again.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
    #[serde(skip)]
    is_for_want_of_room: bool,
}

impl Problem {
    /// A problem with a code of this interface.
    pub fn new(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            type_uri: format!("urn:aval:error:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            retryable: false,
            policy: None,
            retry_after_s: None,
            is_for_want_of_room: false,
        }
    }

    /// The same with what the policies say.
    pub fn explained(mut self, explanation: Explanation) -> Self {
        self.policy = Some(Box::new(explanation));
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retryable = true;
        self.retry_after_s = Some(seconds);
        self
    }

    fn for_want_of_room(self) -> Self {
        Self { is_for_want_of_room: true, ..self.retry_after(1) }
    }

    /// Path, query or a header cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.malformed", "The request cannot be read", detail)
    }

    /// There is no such resource.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "request.not_found", "There is no such resource", detail)
    }

    /// None of the accepted media types can be given.
    pub fn not_acceptable(detail: impl Into<String>) -> Self {
        let title = "None of the accepted media types can be given";
        Self::new(StatusCode::NOT_ACCEPTABLE, "request.not_acceptable", title, detail)
    }

    /// The body has another media type than the ones that are read.
    pub fn media_type(detail: impl Into<String>) -> Self {
        let title = "The body's media type is not read here";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request.media_type", title, detail)
    }

    /// The body is too large.
    pub fn oversized() -> Self {
        let title = "The body is larger than allowed";
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request.oversized",
            title,
            "Keep to the limits of specs/wire.md.",
        )
    }

    /// The node has as much work as it can take.
    pub fn overloaded(detail: impl Into<String>) -> Self {
        let title = "The node has as much work as it can take";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "node.overloaded", title, detail).for_want_of_room()
    }

    /// The client's address has as many connections as one may have.
    pub fn connections() -> Self {
        let title = "The address has too many connections";
        let detail = "Use those that are open, one request after the other.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "request.connections", title, detail).retry_after(1)
    }

    /// The sender has too much work waiting.
    pub fn share() -> Self {
        let title = "The sender has too many transactions waiting";
        let detail = "Send the next ones when those are final.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "sender.share", title, detail).for_want_of_room()
    }

    /// The transaction builds on what this node has not seen.
    pub fn behind() -> Self {
        let title = "The node has not come to the state that the transaction builds on";
        let detail =
            "Nothing was decided. Send it again in a moment, or to the node that showed you that state.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "node.behind", title, detail).retry_after(1)
    }

    /// The node is starting or catching up.
    pub fn not_ready(detail: impl Into<String>) -> Self {
        let title = "The node is not ready";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "node.not_ready", title, detail).retry_after(2)
    }

    /// A fault of the node. What it was goes to the log, not to the client.
    pub fn internal() -> Self {
        let title = "The node could not answer";
        let detail = "Nothing was decided. The cause is in the node's log under this answer's x-request-id.";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "node.internal", title, detail);
        problem.retryable = true;
        problem
    }

    /// The problem that stands for a status that some layer answered with.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::malformed("See the description at /openapi.json."),
            StatusCode::NOT_FOUND => Self::not_found("See the description at /openapi.json."),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "request.method_not_allowed",
                "The resource does not take this method",
                "The header Allow lists those it takes.",
            ),
            StatusCode::REQUEST_TIMEOUT => {
                Self::new(status, "request.timeout", "The request took too long to arrive", "Send it again.")
                    .retry_after(1)
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::oversized(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::media_type("See the description at /openapi.json."),
            StatusCode::SERVICE_UNAVAILABLE => Self::overloaded("Try again shortly."),
            status if status.is_client_error() => Self { status: status.as_u16(), ..Self::malformed("") },
            _ => Self::internal(),
        }
    }
}

impl From<Reject> for Problem {
    fn from(reject: Reject) -> Self {
        let status = StatusCode::from_u16(reject.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
        let detail = match reject.detail() {
            "" => reject.help().to_owned(),
            detail => format!("{detail}. {}", reject.help()),
        };
        let mut problem = Self::new(status, reject.code(), reject.title(), detail);
        problem.retryable = reject.is_retryable();
        problem
    }
}

impl From<Fatal> for Problem {
    fn from(error: Fatal) -> Self {
        tracing::error!(%error, "the ledger could not be read");
        Self::internal()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Pruned { oldest, .. } => Self::new(
                StatusCode::GONE,
                "ledger.pruned",
                "The height is older than what this node keeps",
                format!("The oldest height kept is {oldest}; ask for a newer one, or an archive node."),
            ),
            StoreError::NotYet { latest, .. } => Self::new(
                StatusCode::NOT_FOUND,
                "ledger.not_yet",
                "The height is not final yet",
                format!("The newest final height is {latest}."),
            )
            .retry_after(1),
            StoreError::NotCertified(_) | StoreError::Empty => {
                Self::not_ready("Ask again after the next block.")
            }
            error => {
                tracing::error!(code = error.code(), %error, "the ledger could not answer");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A struct of strings and numbers always serializes; an empty body would still carry the status.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.is_for_want_of_room {
            response.extensions_mut().insert(WantOfRoom);
        }
        response
    }
}

/// Marks an answer that refuses for want of room: whoever gets it has to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct WantOfRoom;
