//! The `Accept` header of a request, read as every resolver of ours reads it.

use aval_did::resolution::Accept;
use axum::http::{HeaderMap, header};

/// What a client accepts. A value that is no text is skipped; a request without the header accepts everything.
pub fn accept(headers: &HeaderMap) -> Accept {
    let values = headers.get_all(header::ACCEPT).iter();
    Accept::read(values.map(|value| value.to_str().unwrap_or_default()))
}
