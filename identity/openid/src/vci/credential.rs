//! The credential request and response (OpenID4VCI 1.0 section 8).

use crate::{ErrorResponse, OpenIdError};
use aval_codec::json::{self, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The largest credential request that an issuer reads.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The largest credential response that a wallet reads.
pub const RESPONSE_BYTES_MAX: usize = 512 * 1024;

/// A request for a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRequest {
    /// The configuration; or else the identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_configuration_id: Option<String>,
    /// An identifier that the token response gave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_identifier: Option<String>,
    /// Proofs of possession: one type, one or more of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proofs: Option<BTreeMap<String, Json>>,
    /// How to encrypt the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_response_encryption: Option<Json>,
}

impl CredentialRequest {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        let limits = json::Limits { bytes_max: REQUEST_BYTES_MAX, depth_max: 12 };
        json::from_slice(body, limits)
            .map_err(|_| ErrorResponse::invalid_credential_request("the request cannot be read"))
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The one proof of type `jwt`.
    pub fn jwt_proof(&self) -> Result<&str, ErrorResponse> {
        match self.jwt_proofs(1)?.as_slice() {
            [proof] => Ok(proof),
            _ => Err(ErrorResponse::invalid_proof("there is not exactly one proof")),
        }
    }

    /// The proofs of type `jwt`, at most this many.
    pub fn jwt_proofs(&self, count_max: usize) -> Result<Vec<&str>, ErrorResponse> {
        let proofs =
            self.proofs.as_ref().ok_or(ErrorResponse::invalid_proof("there is no proof of possession"))?;
        let proofs = match (proofs.len(), proofs.get("jwt")) {
            (1, Some(Json::Array(proofs))) => proofs,
            _ => return Err(ErrorResponse::invalid_proof("there must be proofs of type jwt and no other")),
        };
        if proofs.is_empty() {
            return Err(ErrorResponse::invalid_proof("there is no proof of possession"));
        }
        if proofs.len() > count_max {
            return Err(ErrorResponse::invalid_proof("there are more proofs than are taken at once"));
        }
        let texts: Option<Vec<&str>> = proofs.iter().map(Json::as_str).collect();
        texts.ok_or(ErrorResponse::invalid_proof("a proof is not a string"))
    }
}

/// Credentials, or a promise of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialResponse {
    /// The credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Vec<IssuedCredential>>,
    /// The name under which to ask again later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// How long to wait before asking, in seconds; there with a transaction id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    /// The name under which the wallet says what became of the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<String>,
}

/// One credential of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCredential {
    /// A string, or with Data Integrity an object.
    pub credential: Value,
}

impl CredentialResponse {
    /// A response with one credential.
    pub fn of(credential: String) -> Self {
        Self::of_all(vec![Value::String(credential)], None)
    }

    /// A response with credentials, one for each key.
    pub fn of_all(credentials: Vec<Value>, notification_id: Option<String>) -> Self {
        let credentials = credentials.into_iter().map(|credential| IssuedCredential { credential }).collect();
        Self { credentials: Some(credentials), transaction_id: None, interval: None, notification_id }
    }

    /// A promise, to be sent with status 202.
    pub fn deferred(transaction_id: String, interval_s: u64) -> Self {
        let transaction_id = Some(transaction_id);
        Self { credentials: None, transaction_id, interval: Some(interval_s), notification_id: None }
    }

    /// As JSON, to be sent with `Cache-Control: no-store`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the answer down to the one credential that was asked for.
    pub fn parse_one(body: &[u8]) -> Result<String, OpenIdError> {
        let malformed = |error: String| OpenIdError::malformed("credential response", error);
        let body = crate::value::parse(body, RESPONSE_BYTES_MAX).map_err(malformed)?;
        let response: Self = serde_json::from_value(body).map_err(|error| malformed(error.to_string()))?;
        let credentials = match (response.credentials, response.transaction_id) {
            (Some(credentials), None) => credentials,
            (None, Some(_)) => return Err(OpenIdError::Deferred),
            _ => {
                return Err(OpenIdError::malformed(
                    "credential response",
                    "it must have either credentials or a transaction id",
                ));
            }
        };
        match <[IssuedCredential; 1]>::try_from(credentials) {
            Ok([IssuedCredential { credential: Value::String(credential) }]) => Ok(credential),
            Ok(_) => Err(OpenIdError::WrongCredential("it is not a string")),
            Err(_) => Err(OpenIdError::WrongCredential("there is not exactly one")),
        }
    }
}
