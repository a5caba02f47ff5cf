//! The credential request and response (OpenID4VCI 1.0 section 8).

use crate::{ErrorResponse, OpenIdError};
use aval_codec::json::{self, Json};
use serde::{Deserialize, Serialize};
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

    /// The one proof of type `jwt`. This issuer makes one credential per request, so that there is no use for more.
    pub fn jwt_proof(&self) -> Result<&str, ErrorResponse> {
        let proofs =
            self.proofs.as_ref().ok_or(ErrorResponse::invalid_proof("there is no proof of possession"))?;
        let proofs = match (proofs.len(), proofs.get("jwt")) {
            (1, Some(Json::Array(proofs))) => proofs,
            _ => return Err(ErrorResponse::invalid_proof("there must be proofs of type jwt and no other")),
        };
        match proofs.as_slice() {
            [Json::String(proof)] => Ok(proof),
            [] => Err(ErrorResponse::invalid_proof("there is no proof of possession")),
            [_] => Err(ErrorResponse::invalid_proof("a proof is not a string")),
            _ => Err(ErrorResponse::invalid_proof("there is more than one proof")),
        }
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
}

/// One credential of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCredential {
    /// In `vc+sd-jwt` a string.
    pub credential: Json,
}

impl CredentialResponse {
    /// A response with one credential.
    pub fn of(credential: String) -> Self {
        let credential = Json::String(credential);
        Self { credentials: Some(vec![IssuedCredential { credential }]), transaction_id: None }
    }

    /// As JSON, to be sent with `Cache-Control: no-store`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the answer down to the one credential that was asked for.
    pub fn parse_one(body: &[u8]) -> Result<String, OpenIdError> {
        let limits = json::Limits { bytes_max: RESPONSE_BYTES_MAX, depth_max: 16 };
        let response: Self = json::from_slice(body, limits)
            .map_err(|error| OpenIdError::malformed("credential response", error))?;
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
            Ok([IssuedCredential { credential: Json::String(credential) }]) => Ok(credential),
            Ok(_) => Err(OpenIdError::WrongCredential("it is not a string")),
            Err(_) => Err(OpenIdError::WrongCredential("there is not exactly one")),
        }
    }
}
