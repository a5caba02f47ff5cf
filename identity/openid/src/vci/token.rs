//! The token endpoint (OpenID4VCI 1.0 section 6) and the nonce endpoint (section 7).

use crate::vci::PRE_AUTHORIZED_CODE;
use crate::{ErrorResponse, OpenIdError};
use aval_codec::json;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use url::form_urlencoded;

/// The largest form that the token endpoint reads.
pub const TOKEN_REQUEST_BYTES_MAX: usize = 8 * 1024;

/// The largest answer of the token or nonce endpoint that a wallet reads.
pub const TOKEN_RESPONSE_BYTES_MAX: usize = 32 * 1024;

const LIMITS: json::Limits = json::Limits { bytes_max: TOKEN_RESPONSE_BYTES_MAX, depth_max: 12 };
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// A request to redeem a pre-authorized code.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The code of the offer.
    pub code: String,
    /// The transaction code that the user entered.
    pub tx_code: Option<String>,
}

impl TokenRequest {
    /// Reads the form. A parameter that occurs twice makes the request malformed (RFC 6749 section 3.2).
    pub fn parse(form: &[u8]) -> Result<Self, ErrorResponse> {
        if form.len() > TOKEN_REQUEST_BYTES_MAX {
            return Err(ErrorResponse::invalid_request("the request is too large"));
        }
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(ErrorResponse::invalid_request("a parameter occurs twice"));
            }
        }
        match parameters.get("grant_type").map(String::as_str) {
            Some(PRE_AUTHORIZED_CODE) => {}
            Some(_) => return Err(ErrorResponse::unsupported_grant_type()),
            None => return Err(ErrorResponse::invalid_request("grant_type is missing")),
        }
        // Whoever sends this expects credential identifiers in return, which are never given out here.
        if parameters.contains_key("authorization_details") {
            return Err(ErrorResponse::invalid_request("authorization_details are not supported"));
        }
        let code = parameters
            .remove("pre-authorized_code")
            .filter(|code| !code.is_empty())
            .ok_or(ErrorResponse::invalid_request("pre-authorized_code is missing"))?;
        Ok(Self { code, tx_code: parameters.remove("tx_code") })
    }

    /// The form.
    pub fn to_form(&self) -> Vec<u8> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", PRE_AUTHORIZED_CODE).append_pair("pre-authorized_code", &self.code);
        if let Some(tx_code) = &self.tx_code {
            form.append_pair("tx_code", tx_code);
        }
        form.finish().into_bytes()
    }
}

/// Shows neither code.
impl fmt::Debug for TokenRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenRequest").finish_non_exhaustive()
    }
}

/// A token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// `Bearer`, or `DPoP`.
    pub token_type: String,
    /// How long it is good for, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// Names of what can be requested; then they must be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<Vec<AuthorizationDetail>>,
}

/// One entry of `authorization_details`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationDetail {
    /// `openid_credential`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_configuration_id: Option<String>,
    /// The identifiers of credentials of that configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_identifiers: Option<Vec<String>>,
}

impl TokenResponse {
    /// A bearer token.
    pub fn bearer(access_token: String, expires_in_s: u64) -> Self {
        Self {
            access_token,
            token_type: "Bearer".to_owned(),
            expires_in: Some(expires_in_s),
            authorization_details: None,
        }
    }

    /// A token that is bound to a key (RFC 9449).
    pub fn dpop(access_token: String, expires_in_s: u64) -> Self {
        Self { token_type: "DPoP".to_owned(), ..Self::bearer(access_token, expires_in_s) }
    }

    /// Whether whoever has it may use it.
    pub fn is_bearer(&self) -> bool {
        self.token_type.eq_ignore_ascii_case("bearer")
    }

    /// Whether it is bound to a key.
    pub fn is_dpop(&self) -> bool {
        self.token_type.eq_ignore_ascii_case("dpop")
    }

    /// As JSON, to be sent with `Cache-Control: no-store`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the answer to a request without a DPoP proof.
    pub fn parse(body: &[u8]) -> Result<Self, OpenIdError> {
        match Self::parse_any(body)? {
            response if response.is_bearer() => Ok(response),
            _ => Err(OpenIdError::Unsupported(
                "the issuer binds the token to a key that nobody showed".to_owned(),
            )),
        }
    }

    /// Reads the answer to a request with a DPoP proof; see [`crate::vci::Authorized::bound`].
    pub fn parse_any(body: &[u8]) -> Result<Self, OpenIdError> {
        let response: Self =
            json::from_slice(body, LIMITS).map_err(|error| OpenIdError::malformed("token", error))?;
        if !response.is_bearer() && !response.is_dpop() {
            return Err(OpenIdError::Unsupported(
                "the issuer gives tokens that are not bearer tokens".to_owned(),
            ));
        }
        let token = &response.access_token;
        if token.is_empty()
            || token.len() > TEXT_BYTES_MAX
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(OpenIdError::malformed("token", "it is empty, too long or has odd characters"));
        }
        Ok(response)
    }

    /// The identifier that must be used for a configuration, if the issuer gave any.
    pub fn credential_identifier(&self, configuration_id: &str) -> Option<&str> {
        let details = self.authorization_details.as_ref()?;
        let detail = details.iter().find(|detail| {
            detail.kind == "openid_credential"
                && detail.credential_configuration_id.as_deref() == Some(configuration_id)
        })?;
        detail.credential_identifiers.as_ref()?.first().map(String::as_str)
    }
}

/// Shows no token.
impl fmt::Debug for TokenResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenResponse").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// The access token of an `Authorization` header.
pub fn bearer_token(header: Option<&str>) -> Result<&str, ErrorResponse> {
    let (scheme, token) =
        header.and_then(|header| header.split_once(' ')).ok_or(ErrorResponse::invalid_token())?;
    let token = token.trim();
    let plain = !token.is_empty()
        && token.len() <= TEXT_BYTES_MAX
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && plain {
        Ok(token)
    } else {
        Err(ErrorResponse::invalid_token())
    }
}

#[derive(Serialize, Deserialize)]
struct NonceBody {
    c_nonce: String,
}

/// The body of the nonce endpoint's answer, to be sent with `Cache-Control: no-store`.
pub fn nonce_response(nonce: &str) -> Vec<u8> {
    serde_json::to_vec(&NonceBody { c_nonce: nonce.to_owned() }).unwrap_or_default()
}

/// Reads the nonce endpoint's answer.
pub fn parse_nonce(body: &[u8]) -> Result<String, OpenIdError> {
    let body: NonceBody =
        json::from_slice(body, LIMITS).map_err(|error| OpenIdError::malformed("nonce", error))?;
    if body.c_nonce.is_empty() || body.c_nonce.len() > TEXT_BYTES_MAX {
        return Err(OpenIdError::malformed("nonce", "it is empty or too long"));
    }
    Ok(body.c_nonce)
}
