//! OpenID for Verifiable Credentials, without any input or output of its own.
//!
//! Tier T1, sans-io: the caller owns HTTP, time and randomness. Functions take what arrived
//! ([`http::HttpResponse`], a form, a body) and the current time, and answer with what to send
//! ([`http::HttpRequest`], an [`ErrorResponse`], a body). Everything that arrives is bounded in size and read by
//! the one strict JSON reader; members that are not known are ignored, as the specifications demand.
//!
//! [`vci`] is OpenID4VCI 1.0: the issuance of credentials, both sides.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod error;
pub mod http;
pub mod url_rules;
pub mod vci;

pub use error::{ErrorResponse, OpenIdError};
pub use http::{HttpRequest, HttpResponse, Method};
pub use url_rules::UrlPolicy;
