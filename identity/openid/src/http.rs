//! HTTP as data: what the caller is asked to send and what it got. The caller must not follow redirects, because
//! every URL here was checked and the one behind a redirect was not, and it must stop reading at
//! `response_bytes_max`.

use crate::OpenIdError;
use std::fmt;

/// The media type of everything but forms.
pub const JSON: &str = "application/json";

/// The media type of token requests.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The methods that occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
}

/// A request for the caller to send.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The URL, checked against the [`crate::UrlPolicy`].
    pub url: String,
    /// The access token for `Authorization: Bearer …`.
    pub bearer: Option<String>,
    /// The media type of the body, if there is one.
    pub content_type: Option<&'static str>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How much of the answer to read at most.
    pub response_bytes_max: usize,
}

impl HttpRequest {
    pub(crate) fn get(url: String, response_bytes_max: usize) -> Self {
        let body = Vec::new();
        Self {
            method: Method::Get,
            url,
            bearer: None,
            content_type: None,
            headers: Vec::new(),
            body,
            response_bytes_max,
        }
    }

    pub(crate) fn post(
        url: String,
        content_type: &'static str,
        body: Vec<u8>,
        response_bytes_max: usize,
    ) -> Self {
        let content_type = Some(content_type);
        Self {
            method: Method::Post,
            url,
            bearer: None,
            content_type,
            headers: Vec::new(),
            body,
            response_bytes_max,
        }
    }
}

/// Shows neither token nor body: both hold secrets.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An answer as the caller received it.
#[derive(Debug, Clone, Copy)]
pub struct HttpResponse<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> HttpResponse<'a> {
    /// The body of a JSON answer with status 200; everything else is an error. Some issuers answer a nonce with 201.
    pub(crate) fn json(&self, what: &'static str, bytes_max: usize) -> Result<&'a [u8], OpenIdError> {
        self.of_type(what, JSON, bytes_max)
    }

    /// The same for another media type.
    pub(crate) fn of_type(
        &self,
        what: &'static str,
        expected: &'static str,
        bytes_max: usize,
    ) -> Result<&'a [u8], OpenIdError> {
        if self.body.len() > bytes_max {
            return Err(OpenIdError::Oversized(what));
        }
        if !(200..300).contains(&self.status) {
            return Err(OpenIdError::of_response(self));
        }
        let media_type = self.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case(expected) {
            return Err(OpenIdError::malformed(what, format!("it is not {expected}")));
        }
        Ok(self.body)
    }
}
