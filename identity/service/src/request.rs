//! Reading requests of the programs' own interfaces: strict bodies, and lists in pages.

use crate::layers::has_media_type;
use crate::problem::Problem;
use aval_codec::json;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Nesting of a body.
const DEPTH_MAX: usize = 10;
/// Rows of a page that nobody asked for.
const LIMIT: i64 = 100;
/// Rows of any page.
const LIMIT_MAX: i64 = 1_000;

/// Reads a body by the strict rules of the ledger: no duplicate members, no fractions.
pub fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    bytes_max: usize,
) -> Result<T, Problem> {
    if !has_media_type(headers, "application/json") {
        return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = body.map_err(|rejection| Problem::of_status(rejection.status()))?;
    json::from_slice(&body, json::Limits { bytes_max, depth_max: DEPTH_MAX })
        .map_err(|error| Problem::invalid(format!("the body cannot be used: {error}")))
}

/// A page of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// At most so many rows.
    pub limit: i64,
}

impl Page {
    /// A page of a wanted size.
    pub fn new(limit: Option<i64>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(LIMIT);
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok(Self { limit });
        }
        Err(Problem::invalid(format!("limit is 1 to {LIMIT_MAX}")))
    }

    /// A cursor that was not taken from a link.
    pub fn bad_cursor() -> Problem {
        Problem::invalid("the cursor is none of a `next` link")
    }

    /// The cursor of the last row, if there may be more.
    pub fn next<T>(&self, rows: &[T], cursor: impl FnOnce(&T) -> String) -> Option<String> {
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == self.limit);
        rows.last().filter(|_| is_full).map(cursor)
    }

    /// The page with the link to the next one.
    pub fn answer<T: Serialize>(&self, rows: Vec<T>, next: Option<String>) -> Response {
        let mut response = Json(rows).into_response();
        if let Some(value) = next.and_then(|next| format!("<{next}>; rel=\"next\"").parse().ok()) {
            response.headers_mut().insert(header::LINK, value);
        }
        response
    }
}
