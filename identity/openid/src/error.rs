//! Two kinds of error. [`OpenIdError`] is what a wallet tells its user: whose fault it was and whether to try again.
//! [`ErrorResponse`] is what an issuer answers over HTTP, in the vocabulary of the specifications.

use crate::http::HttpResponse;
use aval_codec::json;
use aval_credential::CredentialError;
use serde::{Deserialize, Serialize};

/// Why a step of an issuance did not succeed, seen from the wallet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenIdError {
    /// Not an offer, or one that is out of bounds.
    #[error("the credential offer cannot be used: {0}")]
    Offer(String),
    /// A URL that is not allowed here.
    #[error("the {what} `{url}` is not allowed: {reason}")]
    Url {
        /// What the URL is for.
        what: &'static str,
        /// The URL.
        url: String,
        /// Why.
        reason: &'static str,
    },
    /// The issuer speaks in another name than its own.
    #[error("the metadata belongs to `{found}` and not to `{expected}`")]
    ForeignMetadata {
        /// Whose metadata was asked for.
        expected: String,
        /// Whose metadata came.
        found: String,
    },
    /// A configuration that the issuer offers but does not describe.
    #[error("the issuer does not know the credential configuration `{0}`")]
    UnknownConfiguration(String),
    /// Something that this wallet cannot do.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The answer is not what the specification describes.
    #[error("the issuer's {what} cannot be read: {reason}")]
    Malformed {
        /// Which answer.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The answer is larger than a wallet reads.
    #[error("the issuer's {0} is larger than allowed")]
    Oversized(&'static str),
    /// The issuer refused, and said why in the specification's words.
    #[error("the issuer refused: {error}{}", shown(description))]
    Refused {
        /// The error code of the specification.
        error: String,
        /// What the issuer added.
        description: Option<String>,
    },
    /// The issuer's server failed.
    #[error("the issuer answered with HTTP status {0}")]
    Status(u16),
    /// The offer asks for a transaction code and none, or one of another form, was given.
    #[error("{0}")]
    TransactionCode(String),
    /// The issuer will deliver later, which this wallet does not wait for.
    #[error("the issuer will deliver later, which is not supported")]
    Deferred,
    /// The credential that came is not the one that was asked for.
    #[error("the credential that came is not the one that was asked for: {0}")]
    WrongCredential(&'static str),
    /// The credential that came does not verify.
    #[error("the credential that came is not valid: {0}")]
    InvalidCredential(#[from] CredentialError),
    /// A presentation request that cannot be used.
    #[error("the presentation request cannot be used: {0}")]
    Request(String),
    /// The other side could not show that it is who it says.
    #[error("the other side is not who it says it is: {0}")]
    Untrusted(String),
    /// The issuer's keys could not be had, so that nothing can be said of the credential.
    #[error("the credential could not be checked: {0}")]
    Undecided(String),
}

impl OpenIdError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Offer(_) => "openid.offer",
            Self::Url { .. } => "openid.url",
            Self::ForeignMetadata { .. } => "openid.foreign_metadata",
            Self::UnknownConfiguration(_) => "openid.unknown_configuration",
            Self::Unsupported(_) => "openid.unsupported",
            Self::Malformed { .. } => "openid.malformed",
            Self::Oversized(_) => "openid.oversized",
            Self::Refused { .. } => "openid.refused",
            Self::Status(_) => "openid.status",
            Self::TransactionCode(_) => "openid.transaction_code",
            Self::Deferred => "openid.deferred",
            Self::WrongCredential(_) => "openid.wrong_credential",
            Self::InvalidCredential(_) => "openid.invalid_credential",
            Self::Request(_) => "openid.request",
            Self::Untrusted(_) => "openid.untrusted",
            Self::Undecided(_) => "openid.undecided",
        }
    }

    /// Whether the same step may succeed later without anything else being changed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500 || *status == 429,
            Self::Undecided(_) => true,
            Self::Refused { error, .. } => error == "invalid_nonce" || error == "temporarily_unavailable",
            _ => false,
        }
    }

    /// The error code of the specification, if the issuer gave one.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }

    pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> Self {
        Self::Malformed { what, reason: reason.to_string() }
    }

    /// What an answer that is no success means.
    pub(crate) fn of_response(response: &HttpResponse<'_>) -> Self {
        let limits = json::Limits { bytes_max: 16 * 1024, depth_max: 8 };
        match json::from_slice::<ErrorBody>(response.body, limits) {
            Ok(body) if (400..500).contains(&response.status) => {
                let tame =
                    |text: String| text.chars().filter(|letter| !letter.is_control()).take(300).collect();
                Self::Refused { error: tame(body.error), description: body.error_description.map(tame) }
            }
            _ => Self::Status(response.status),
        }
    }
}

fn shown(description: &Option<String>) -> String {
    description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default()
}

#[derive(Debug, Serialize, Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_description: Option<String>,
}

/// An answer of refusal: RFC 6749 section 5.2 at the token endpoint, RFC 6750 section 3 for access tokens,
/// OpenID4VCI 1.0 section 8.3.1.2 at the credential endpoint. To be sent with `Content-Type: application/json` and
/// `Cache-Control: no-store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// The error code of the specification.
    pub error: &'static str,
    /// For developers; never holds a secret or a claim.
    pub description: &'static str,
}

impl ErrorResponse {
    pub(crate) const fn bad_request(error: &'static str, description: &'static str) -> Self {
        Self { status: 400, error, description }
    }

    /// The request is malformed (RFC 6749).
    pub const fn invalid_request(description: &'static str) -> Self {
        Self::bad_request("invalid_request", description)
    }

    /// The code is unknown, spent or expired, or the transaction code is wrong: from outside one cannot tell which.
    pub const fn invalid_grant() -> Self {
        Self::bad_request("invalid_grant", "the pre-authorized code or the transaction code is not valid")
    }

    /// A grant type that is not known.
    pub const fn unsupported_grant_type() -> Self {
        Self::bad_request("unsupported_grant_type", "this grant type is not supported")
    }

    /// The authorization code is unknown, spent, expired, of another client, or without its secret.
    pub const fn invalid_code() -> Self {
        Self::bad_request("invalid_grant", "the authorization code is not valid")
    }

    /// The DPoP proof is missing or wrong (RFC 9449 section 5).
    pub const fn invalid_dpop_proof(description: &'static str) -> Self {
        Self::bad_request("invalid_dpop_proof", description)
    }

    /// The DPoP proof has no nonce, or not one that is good; the answer carries another (RFC 9449 section 8).
    pub const fn use_dpop_nonce() -> Self {
        Self::bad_request("use_dpop_nonce", "the proof must have the nonce of this answer")
    }

    /// There is no deferred credential of this name, or no longer.
    pub const fn invalid_transaction_id() -> Self {
        Self::bad_request("invalid_transaction_id", "there is no deferred credential of this name")
    }

    /// There is no notification of this name.
    pub const fn invalid_notification_id() -> Self {
        Self::bad_request("invalid_notification_id", "there is no credential of this name")
    }

    /// The notification is malformed.
    pub const fn invalid_notification_request() -> Self {
        Self::bad_request("invalid_notification_request", "the notification cannot be read")
    }

    /// The access token is unknown, spent or expired (RFC 6750).
    pub const fn invalid_token() -> Self {
        Self { status: 401, error: "invalid_token", description: "the access token is not valid" }
    }

    /// The credential request is malformed.
    pub const fn invalid_credential_request(description: &'static str) -> Self {
        Self::bad_request("invalid_credential_request", description)
    }

    /// The configuration is not one that this access token is for.
    pub const fn unknown_credential_configuration() -> Self {
        Self::bad_request("unknown_credential_configuration", "this credential configuration was not offered")
    }

    /// Credential identifiers are never given out by this issuer.
    pub const fn unknown_credential_identifier() -> Self {
        Self::bad_request("unknown_credential_identifier", "this credential identifier is not known")
    }

    /// The proof of possession is missing or wrong.
    pub const fn invalid_proof(description: &'static str) -> Self {
        Self::bad_request("invalid_proof", description)
    }

    /// The nonce is not one that was given out, or it was used up; the wallet fetches another.
    pub const fn invalid_nonce() -> Self {
        Self::bad_request("invalid_nonce", "the nonce is not valid; fetch another")
    }

    /// A message must be encrypted and is not, cannot be decrypted, or is to be answered in a way that is not known.
    pub const fn invalid_encryption_parameters() -> Self {
        Self::bad_request(
            "invalid_encryption_parameters",
            "the encryption is not one that the metadata describes",
        )
    }

    /// The issuer will not issue this credential; the wallet must not try again.
    pub const fn credential_request_denied(description: &'static str) -> Self {
        Self::bad_request("credential_request_denied", description)
    }

    /// The JSON body.
    pub fn body(&self) -> Vec<u8> {
        format!(r#"{{"error":"{}","error_description":"{}"}}"#, self.error, self.description).into_bytes()
    }

    /// The `WWW-Authenticate` header that goes with a status of 401.
    pub fn www_authenticate(&self) -> Option<String> {
        let scheme = if self.error.ends_with("dpop_proof") { "DPoP" } else { "Bearer" };
        (self.status == 401).then(|| format!(r#"{scheme} error="{}""#, self.error))
    }
}
