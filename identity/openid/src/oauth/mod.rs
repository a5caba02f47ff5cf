//! What OpenID4VC stands on: proof keys for codes (RFC 7636), demonstrated possession (RFC 9449), pushed requests
//! (RFC 9126) and the name of the server in its answer (RFC 9207). Both sides.

pub mod authorization;
pub mod dpop;
pub mod pkce;
#[cfg(test)]
mod tests;

use crate::ErrorResponse;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// The largest form that is read.
pub const FORM_BYTES_MAX: usize = 32 * 1024;

/// The parameters of a form. One that occurs twice makes the request malformed (RFC 6749 section 3.1).
pub fn form(bytes: &[u8]) -> Result<BTreeMap<String, String>, ErrorResponse> {
    if bytes.len() > FORM_BYTES_MAX {
        return Err(ErrorResponse::invalid_request("the request is too large"));
    }
    let mut parameters = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(ErrorResponse::invalid_request("a parameter occurs twice"));
        }
    }
    Ok(parameters)
}

/// How an access token came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Whoever has it may use it (RFC 6750).
    Bearer(&'a str),
    /// It is bound to a key, and a proof of possession comes along (RFC 9449 section 7.1).
    Dpop(&'a str),
}

impl<'a> Credentials<'a> {
    /// Reads an `Authorization` header.
    pub fn parse(header: Option<&'a str>) -> Result<Self, ErrorResponse> {
        let (scheme, token) =
            header.and_then(|header| header.split_once(' ')).ok_or(ErrorResponse::invalid_token())?;
        let token = token.trim();
        let plain =
            !token.is_empty() && token.len() <= 8 * 1024 && token.bytes().all(|byte| byte.is_ascii_graphic());
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" if plain => Ok(Self::Bearer(token)),
            "dpop" if plain => Ok(Self::Dpop(token)),
            _ => Err(ErrorResponse::invalid_token()),
        }
    }

    /// The token.
    pub fn token(&self) -> &'a str {
        match self {
            Self::Bearer(token) | Self::Dpop(token) => token,
        }
    }

    /// Whether the token may be used as it came: one that is bound to a key only with a proof of that key, and a proof
    /// only with a token that is bound to its key. `thumbprint` is that of the proof that came along and was verified,
    /// `bound` that of the token.
    pub fn check(&self, thumbprint: Option<&str>, bound: Option<&str>) -> Result<(), ErrorResponse> {
        match (self, thumbprint, bound) {
            (Self::Bearer(_), None, None) => Ok(()),
            (Self::Dpop(_), Some(thumbprint), Some(bound)) if thumbprint == bound => Ok(()),
            _ => Err(ErrorResponse::invalid_token()),
        }
    }
}
