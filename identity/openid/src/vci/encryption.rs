//! Encryption of credential requests and responses besides TLS (OpenID4VCI 1.0 sections 8.2, 8.3, 10 and 12.2.4).

use crate::ErrorResponse;
use crate::OpenIdError;
use crate::http::{HttpRequest, HttpResponse, JSON};
use crate::jwe::{ALGORITHM, DecryptionKey, ENCRYPTIONS, EncryptionKey};
use crate::vci::credential::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use aval_codec::json::Json;
use serde::{Deserialize, Serialize};

/// The media type of encrypted requests and responses.
pub const MEDIA_TYPE: &str = "application/jwt";

/// What an issuer says of encryption in its metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// The keys to encrypt requests to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Json>,
    /// Key agreements for responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg_values_supported: Option<Vec<String>>,
    /// Content encryptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enc_values_supported: Option<Vec<String>>,
    /// Must they be encrypted?
    pub encryption_required: bool,
}

impl Encryption {
    /// For requests to a key of the issuer.
    pub fn of_requests(key: &DecryptionKey, required: bool) -> Self {
        Self {
            jwks: Some(Json::from([("keys", Json::Array(vec![key.public_jwk()]))])),
            alg_values_supported: None,
            enc_values_supported: Some(ENCRYPTIONS.map(str::to_owned).to_vec()),
            encryption_required: required,
        }
    }

    /// For responses.
    pub fn of_responses(required: bool) -> Self {
        Self {
            jwks: None,
            alg_values_supported: Some(vec![ALGORITHM.to_owned()]),
            enc_values_supported: Some(ENCRYPTIONS.map(str::to_owned).to_vec()),
            encryption_required: required,
        }
    }

    /// The content encryption to use: the first of ours that is supported.
    pub(crate) fn content_encryption(&self) -> Option<&'static str> {
        let supported = self.enc_values_supported.as_deref().unwrap_or_default();
        ENCRYPTIONS.into_iter().find(|name| supported.iter().any(|one| one == name))
    }
}

/// The body of a credential or deferred credential request: decrypted if it came encrypted. `key` is the
/// issuer's, where it has one; `required` is what its metadata say.
pub fn open_request(
    media_type: &str,
    body: &[u8],
    key: Option<&DecryptionKey>,
    required: bool,
) -> Result<OpenedRequest, ErrorResponse> {
    let refused = ErrorResponse::invalid_encryption_parameters();
    if media_type.eq_ignore_ascii_case(JSON) {
        return if required {
            Err(refused)
        } else {
            Ok(OpenedRequest { body: body.to_vec(), encrypted: false })
        };
    }
    let (true, Some(key)) = (media_type.eq_ignore_ascii_case(MEDIA_TYPE), key) else { return Err(refused) };
    let text = std::str::from_utf8(body).map_err(|_| refused.clone())?;
    let body = key.decrypt(text.trim_end(), REQUEST_BYTES_MAX.saturating_mul(2)).map_err(|_| refused)?;
    Ok(OpenedRequest { body, encrypted: true })
}

/// A request as it was meant.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedRequest {
    /// The JSON.
    pub body: Vec<u8>,
    /// Whether it came encrypted.
    pub encrypted: bool,
}

/// How a wallet wants its response encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseEncryption {
    key: EncryptionKey,
    encryption: &'static str,
}

impl ResponseEncryption {
    /// Reads the member of a request. The request itself must have come encrypted (section 8.2), or someone on the way
    /// could put a key of their own in.
    pub fn read(
        member: Option<&Json>,
        encrypted: bool,
        required: bool,
    ) -> Result<Option<Self>, ErrorResponse> {
        let refused = || ErrorResponse::invalid_encryption_parameters();
        let Some(member) = member else { return if required { Err(refused()) } else { Ok(None) } };
        if !encrypted || member.get("zip").is_some() {
            return Err(refused());
        }
        let key = member.get("jwk").and_then(|jwk| EncryptionKey::from_jwk(jwk).ok()).ok_or_else(refused)?;
        let name = member.get("enc").and_then(Json::as_str);
        let encryption = ENCRYPTIONS.into_iter().find(|one| Some(*one) == name).ok_or_else(refused)?;
        Ok(Some(Self { key, encryption }))
    }

    /// The member of a request that asks for this.
    pub(crate) fn ask(key: &DecryptionKey, encryption: &str) -> Json {
        Json::from([("jwk", key.public_jwk()), ("enc", encryption.into())])
    }

    /// Encrypts a response, to be sent with [`MEDIA_TYPE`].
    pub fn seal(&self, body: &[u8]) -> Result<String, ErrorResponse> {
        self.key
            .encrypt(self.encryption, body, None)
            .map_err(|_| ErrorResponse::invalid_encryption_parameters())
    }
}

/// Encrypts a request of the wallet to the issuer's key.
pub(crate) fn seal_request(request: &mut HttpRequest, metadata: &Encryption) -> Result<(), OpenIdError> {
    let unusable = || OpenIdError::Unsupported("the issuer's way of encrypting requests".to_owned());
    let key = EncryptionKey::of_set(metadata.jwks.as_ref().unwrap_or(&Json::Null)).map_err(|_| unusable())?;
    let encryption = metadata.content_encryption().ok_or_else(unusable)?;
    let sealed = key.encrypt(encryption, &request.body, None).map_err(|_| unusable())?;
    request.body = sealed.into_bytes();
    request.content_type = Some(MEDIA_TYPE);
    Ok(())
}

/// The JSON of a response. One that must be encrypted is not taken in plain text.
pub(crate) fn open_response(
    response: &HttpResponse<'_>,
    key: Option<&DecryptionKey>,
) -> Result<Vec<u8>, OpenIdError> {
    const WHAT: &str = "credential response";
    let Some(key) = key else { return response.json(WHAT, RESPONSE_BYTES_MAX).map(<[u8]>::to_vec) };
    let body = response.of_type(WHAT, MEDIA_TYPE, RESPONSE_BYTES_MAX.saturating_mul(2))?;
    let text = std::str::from_utf8(body).map_err(|error| OpenIdError::malformed(WHAT, error))?;
    key.decrypt(text.trim_end(), RESPONSE_BYTES_MAX.saturating_mul(2))
        .map_err(|error| OpenIdError::malformed(WHAT, error))
}
