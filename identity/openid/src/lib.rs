//! OpenID for Verifiable Credentials, without any input or output of its own.
//!
//! Tier T1, sans-io: the caller owns HTTP, time and randomness. Functions take what arrived
//! ([`http::HttpResponse`], a form, a body) and the current time, and answer with what to send
//! ([`http::HttpRequest`], an [`ErrorResponse`], a body). Everything that arrives is bounded in size and read by
//! the one strict JSON reader; members that are not known are ignored, as the specifications demand.
//!
//! [`vci`] is OpenID4VCI 1.0, the issuance of credentials, and [`vp`] is OpenID4VP 1.0, their presentation;
//! both for both sides; [`oauth`] is what they stand on. Encryption is `josekit`'s, behind [`jwe`], which
//! looks at everything first.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod error;
pub mod http;
pub mod jwe;
pub mod jwt;
pub mod oauth;
pub mod url_rules;
pub mod value;
pub mod vci;
pub mod vp;
pub mod x509;

pub use error::{ErrorResponse, OpenIdError};
pub use http::{HttpRequest, HttpResponse, Method};
pub use url_rules::UrlPolicy;
