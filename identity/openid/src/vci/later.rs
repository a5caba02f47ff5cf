//! What may follow a credential request: credentials that come later (OpenID4VCI 1.0 section 9), and what
//! became of them in the wallet (section 11).

use crate::{ErrorResponse, OpenIdError};
use aval_codec::json;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const REQUEST_BYTES_MAX: usize = 8 * 1024;
const ID_BYTES_MAX: usize = 512;
const CREDENTIALS_MAX: usize = 64;
const LIMITS: json::Limits = json::Limits { bytes_max: REQUEST_BYTES_MAX, depth_max: 12 };

/// The longest wait that an issuer may ask for, in seconds: a year.
const INTERVAL_MAX_S: u64 = 366 * 86_400;

/// A request for credentials that were not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeferredRequest {
    /// The name that the issuer gave.
    pub transaction_id: String,
    /// How to encrypt the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_response_encryption: Option<aval_codec::Json>,
}

impl DeferredRequest {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        let request: Self = json::from_slice(body, LIMITS)
            .map_err(|_| ErrorResponse::invalid_credential_request("the request cannot be read"))?;
        if request.transaction_id.is_empty() || request.transaction_id.len() > ID_BYTES_MAX {
            return Err(ErrorResponse::invalid_transaction_id());
        }
        Ok(request)
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What became of credentials in the wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationEvent {
    /// They are stored.
    CredentialAccepted,
    /// They could not be stored.
    CredentialFailure,
    /// The user did not want them.
    CredentialDeleted,
}

/// A message about credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The name that the issuer gave.
    pub notification_id: String,
    /// What became of them.
    pub event: NotificationEvent,
    /// For developers. Foreign text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_description: Option<String>,
}

impl Notification {
    /// Reads the body. It is answered with status 204; the same message may come again.
    pub fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        let notification: Self =
            json::from_slice(body, LIMITS).map_err(|_| ErrorResponse::invalid_notification_request())?;
        if notification.notification_id.is_empty() || notification.notification_id.len() > ID_BYTES_MAX {
            return Err(ErrorResponse::invalid_notification_id());
        }
        Ok(notification)
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What a wallet got.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// Credentials, each a text or, with Data Integrity, an object. Nothing about them is verified.
    Credentials {
        /// One for each key.
        credentials: Vec<Value>,
        /// The name for [`Notification`], if the issuer wants one.
        notification_id: Option<String>,
    },
    /// They come later.
    Deferred {
        /// The name to ask with.
        transaction_id: String,
        /// How long to wait before asking, in seconds.
        interval_s: u64,
    },
}

impl Delivery {
    /// Reads a response. `wanted` is how many keys there were proofs for.
    pub fn parse(body: &[u8], wanted: usize) -> Result<Self, OpenIdError> {
        let malformed = |reason: &str| OpenIdError::malformed("credential response", reason);
        let body = crate::value::parse(body, super::credential::RESPONSE_BYTES_MAX)
            .map_err(|text| malformed(&text))?;
        let name = |member: &str| match body.get(member) {
            None => Ok(None),
            Some(Value::String(id)) if !id.is_empty() && id.len() <= ID_BYTES_MAX => Ok(Some(id.clone())),
            Some(_) => Err(malformed("a name in it is no short text")),
        };
        match (body.get("credentials"), name("transaction_id")?) {
            (Some(Value::Array(list)), None) => {
                if list.is_empty() || list.len() > CREDENTIALS_MAX || list.len() > wanted {
                    return Err(OpenIdError::WrongCredential("there are none, or more than were asked for"));
                }
                let credentials: Option<Vec<Value>> =
                    list.iter().map(|one| one.get("credential").cloned()).collect();
                let credentials = credentials.ok_or_else(|| malformed("an entry has no credential"))?;
                if !credentials.iter().all(|one| one.is_string() || one.is_object()) {
                    return Err(OpenIdError::WrongCredential("it is neither text nor an object"));
                }
                Ok(Self::Credentials { credentials, notification_id: name("notification_id")? })
            }
            (None, Some(transaction_id)) => {
                let interval_s = body.get("interval").and_then(Value::as_u64);
                let interval_s = interval_s.filter(|seconds| (1..=INTERVAL_MAX_S).contains(seconds));
                let interval_s = interval_s.ok_or_else(|| malformed("it does not say how long to wait"))?;
                Ok(Self::Deferred { transaction_id, interval_s })
            }
            _ => Err(malformed("it must have either credentials or a transaction id")),
        }
    }
}
