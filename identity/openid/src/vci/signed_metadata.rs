//! Signed metadata (OpenID4VCI 1.0 section 12.2.3): the issuer's metadata as a JWS, for wallets that ask for
//! `application/jwt`.

use crate::OpenIdError;
use crate::http::{HttpRequest, HttpResponse};
use crate::jwt::{self, Jwt, JwtError, KeyName, Signer};
use crate::url_rules::UrlPolicy;
use crate::vci::metadata::{IssuerMetadata, METADATA_BYTES_MAX};
use crate::x509::{self, Anchors};
use aval_codec::json::Json;
use aval_did::key::PublicKey;

/// The `typ`.
pub const TYPE: &str = "openidvci-issuer-metadata+jwt";

/// The media type.
pub const MEDIA_TYPE: &str = "application/jwt";

const CLOCK_SKEW_S: i64 = 300;

/// Signs metadata.
pub fn sign(
    metadata: &IssuerMetadata,
    signer: &dyn Signer,
    name: KeyName<'_>,
    now_s: i64,
    life_s: i64,
) -> Result<String, JwtError> {
    let Ok(Json::Object(mut members)) = aval_codec::json::to_json(metadata) else {
        return Err(JwtError::Malformed("the metadata cannot be written"));
    };
    members.insert("sub".to_owned(), Json::from(metadata.credential_issuer.as_str()));
    members.insert("iat".to_owned(), Json::Int(now_s));
    members.insert("exp".to_owned(), Json::Int(now_s.saturating_add(life_s)));
    jwt::sign(signer, TYPE, name, members)
}

/// Signed metadata whose signature nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMetadata {
    jwt: Jwt,
    metadata: IssuerMetadata,
}

impl SignedMetadata {
    /// The request for it.
    pub fn request(issuer: &str, policy: UrlPolicy) -> Result<HttpRequest, OpenIdError> {
        let mut request = IssuerMetadata::request(issuer, policy)?;
        request.headers.push(("Accept", MEDIA_TYPE.to_owned()));
        Ok(request)
    }

    /// Reads the answer: of this issuer, and in time.
    pub fn on_response(
        response: &HttpResponse<'_>,
        issuer: &str,
        policy: UrlPolicy,
        now_s: i64,
    ) -> Result<Self, OpenIdError> {
        const WHAT: &str = "signed metadata";
        let malformed = |error: &dyn std::fmt::Display| OpenIdError::malformed(WHAT, error);
        let body = response.of_type(WHAT, MEDIA_TYPE, METADATA_BYTES_MAX)?;
        let text = std::str::from_utf8(body).map_err(|error| malformed(&error))?;
        let jwt = Jwt::parse(text.trim_end(), TYPE, METADATA_BYTES_MAX).map_err(|error| malformed(&error))?;
        if jwt.text("sub") != Some(issuer) {
            let found = jwt.text("sub").unwrap_or_default().chars().take(200).collect();
            return Err(OpenIdError::ForeignMetadata { expected: issuer.to_owned(), found });
        }
        let issued = jwt.seconds("iat").ok_or_else(|| malformed(&"it has no time"))?;
        let expires = match jwt.payload().get("exp") {
            None => None,
            Some(_) => Some(jwt.seconds("exp").ok_or_else(|| malformed(&"its end is no time"))?),
        };
        let ended = expires.is_some_and(|expires| expires <= now_s.saturating_sub(CLOCK_SKEW_S));
        if issued > now_s.saturating_add(CLOCK_SKEW_S) || ended {
            return Err(malformed(&"it has expired, or is from the future"));
        }
        let bytes = Json::Object(jwt.payload().clone()).to_jcs();
        let metadata = IssuerMetadata::read(&bytes, issuer, policy)?;
        Ok(Self { jwt, metadata })
    }

    /// The DID URL of the key that signed, if it is named so. The caller finds out whether it is the issuer's.
    pub fn key_id(&self) -> Option<&str> {
        self.jwt.header_text("kid")
    }

    /// Checks the signature with the key that [`Self::key_id`] names.
    pub fn verify_with_key(self, key: &PublicKey) -> Result<IssuerMetadata, OpenIdError> {
        self.jwt.verify(key).map_err(|error| OpenIdError::Untrusted(error.to_string()))?;
        Ok(self.metadata)
    }

    /// Checks the certificates, which must be for the issuer's host or for its identifier, and the signature.
    pub fn verify_with_certificates(
        self,
        anchors: &Anchors,
        now_s: i64,
    ) -> Result<IssuerMetadata, OpenIdError> {
        let untrusted = |error: &dyn std::fmt::Display| OpenIdError::Untrusted(error.to_string());
        let chain = self.jwt.certificates().map_err(|error| untrusted(&error))?.unwrap_or_default();
        let certified = x509::verify(&chain, anchors, now_s).map_err(|error| untrusted(&error))?;
        let issuer = &self.metadata.credential_issuer;
        let host = url::Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let named = host.is_some_and(|host| certified.is_for(&host)) || certified.uris.contains(issuer);
        if !named {
            return Err(untrusted(&x509::CertificateError::Name));
        }
        self.jwt.verify(&certified.key).map_err(|error| untrusted(&error))?;
        Ok(self.metadata)
    }
}
