//! Metadata of the credential issuer (OpenID4VCI 1.0 section 12.2) and of its authorization server (RFC 8414).

use crate::OpenIdError;
use crate::http::{HttpRequest, HttpResponse};
use crate::url_rules::{UrlPolicy, well_known};
use crate::vci::{FORMAT, PRE_AUTHORIZED_CODE};
use aval_codec::json::{self, Json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest metadata that a wallet reads.
pub const METADATA_BYTES_MAX: usize = 256 * 1024;

const LIMITS: json::Limits = json::Limits { bytes_max: METADATA_BYTES_MAX, depth_max: 24 };

/// What a credential issuer says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerMetadata {
    /// Its identifier.
    pub credential_issuer: String,
    /// Authorization servers, if the issuer is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_servers: Option<Vec<String>>,
    /// Where credentials are requested.
    pub credential_endpoint: String,
    /// Where nonces are had; without it, proofs need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce_endpoint: Option<String>,
    /// Encryption of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_request_encryption: Option<Encryption>,
    /// Encryption of responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_response_encryption: Option<Encryption>,
    /// Names and logos, in several languages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<Vec<Display>>,
    /// What can be issued.
    pub credential_configurations_supported: BTreeMap<String, CredentialConfiguration>,
}

/// Whether messages must be encrypted besides TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// Must they?
    pub encryption_required: bool,
}

/// How something is shown. Foreign text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Display {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// One kind of credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialConfiguration {
    /// The format identifier.
    pub format: String,
    /// The OAuth scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Algorithms of the issuer's signature; names here, numbers in formats that are not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_signing_alg_values_supported: Option<Vec<Json>>,
    /// How the holder's key may be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cryptographic_binding_methods_supported: Option<Vec<String>>,
    /// Proofs of possession by type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_types_supported: Option<BTreeMap<String, ProofType>>,
    /// The types of the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_definition: Option<CredentialDefinition>,
    /// How it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_metadata: Option<CredentialMetadata>,
}

/// What a proof of possession must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofType {
    /// Algorithms of the proof.
    pub proof_signing_alg_values_supported: Vec<Json>,
    /// There if the wallet's key must be attested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_attestations_required: Option<Json>,
}

/// The types of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialDefinition {
    /// All types, `VerifiableCredential` among them.
    #[serde(rename = "type")]
    pub types: Vec<String>,
}

/// How a credential is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialMetadata {
    /// In several languages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<Vec<Display>>,
    /// Descriptions of the claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<Json>>,
}

impl CredentialConfiguration {
    /// A `vc+sd-jwt` credential of this type, bound to a key of the holder.
    pub fn vc_sd_jwt(credential_type: &str, name: &str) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| Json::from(*name)).collect::<Vec<_>>();
        let proof_type = ProofType {
            proof_signing_alg_values_supported: names(&["ES256", "EdDSA"]),
            key_attestations_required: None,
        };
        let display = Display { name: Some(name.to_owned()), locale: Some("en".to_owned()) };
        Self {
            format: FORMAT.to_owned(),
            scope: Some(credential_type.to_owned()),
            credential_signing_alg_values_supported: Some(names(&["EdDSA", "ES256"])),
            cryptographic_binding_methods_supported: Some(
                ["jwk", "did:key", "did:jwk"].map(str::to_owned).to_vec(),
            ),
            proof_types_supported: Some(BTreeMap::from([("jwt".to_owned(), proof_type)])),
            credential_definition: Some(CredentialDefinition {
                types: vec!["VerifiableCredential".to_owned(), credential_type.to_owned()],
            }),
            credential_metadata: Some(CredentialMetadata { display: Some(vec![display]), claims: None }),
        }
    }

    /// The proof of type `jwt`, if the configuration wants one.
    pub fn jwt_proof(&self) -> Option<&ProofType> {
        self.proof_types_supported.as_ref()?.get("jwt")
    }

    /// All types.
    pub fn types(&self) -> &[String] {
        self.credential_definition.as_ref().map_or(&[], |definition| &definition.types)
    }

    /// The first name that is given for showing.
    pub fn name(&self) -> Option<&str> {
        self.credential_metadata.as_ref()?.display.as_ref()?.first()?.name.as_deref()
    }
}

impl ProofType {
    /// Whether an algorithm is accepted.
    pub fn accepts(&self, algorithm: &str) -> bool {
        self.proof_signing_alg_values_supported.iter().any(|one| one.as_str() == Some(algorithm))
    }
}

impl IssuerMetadata {
    /// Metadata of an issuer with the endpoints `<issuer>/nonce` and `<issuer>/credential`, which is its own
    /// authorization server.
    pub fn new(issuer: &str) -> Self {
        let base = issuer.trim_end_matches('/');
        Self {
            credential_issuer: issuer.to_owned(),
            authorization_servers: None,
            credential_endpoint: format!("{base}/credential"),
            nonce_endpoint: Some(format!("{base}/nonce")),
            credential_request_encryption: None,
            credential_response_encryption: None,
            display: None,
            credential_configurations_supported: BTreeMap::new(),
        }
    }

    /// Adds a configuration.
    pub fn with_configuration(mut self, id: &str, configuration: CredentialConfiguration) -> Self {
        self.credential_configurations_supported.insert(id.to_owned(), configuration);
        self
    }

    /// Where it is served: path and host of this URL.
    pub fn url(issuer: &str, policy: UrlPolicy) -> Result<String, OpenIdError> {
        Ok(well_known(&policy.check_issuer("issuer", issuer)?, "openid-credential-issuer"))
    }

    /// The request for it.
    pub fn request(issuer: &str, policy: UrlPolicy) -> Result<HttpRequest, OpenIdError> {
        Ok(HttpRequest::get(Self::url(issuer, policy)?, METADATA_BYTES_MAX))
    }

    /// As JSON, to be served with the media type `application/json`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the answer. The identifier in it must be the very text that was asked for, and all URLs must be allowed.
    pub fn on_response(
        response: &HttpResponse<'_>,
        issuer: &str,
        policy: UrlPolicy,
    ) -> Result<Self, OpenIdError> {
        let body = response.json("metadata", METADATA_BYTES_MAX)?;
        let metadata: Self =
            json::from_slice(body, LIMITS).map_err(|error| OpenIdError::malformed("metadata", error))?;
        if metadata.credential_issuer != issuer {
            return Err(foreign(issuer, &metadata.credential_issuer));
        }
        let identifier = policy.check_issuer("issuer", issuer)?;
        policy.check_named_by(&identifier, "credential endpoint", &metadata.credential_endpoint)?;
        if let Some(endpoint) = &metadata.nonce_endpoint {
            policy.check_named_by(&identifier, "nonce endpoint", endpoint)?;
        }
        for server in metadata.authorization_servers.iter().flatten() {
            policy.check_named_by(&identifier, "authorization server", server)?;
        }
        let encryptions = [&metadata.credential_request_encryption, &metadata.credential_response_encryption];
        if encryptions.into_iter().flatten().any(|one| one.encryption_required) {
            return Err(OpenIdError::Unsupported(
                "the issuer wants messages encrypted besides TLS".to_owned(),
            ));
        }
        Ok(metadata)
    }

    /// The authorization server to use: the issuer itself, the only one, or the one that the offer names.
    pub fn authorization_server(&self, named: Option<&str>) -> Result<&str, OpenIdError> {
        let servers = self.authorization_servers.as_deref().unwrap_or_default();
        match (servers, named) {
            ([], None) => Ok(&self.credential_issuer),
            ([only], None) => Ok(only),
            (servers, Some(named)) => {
                servers.iter().find(|server| *server == named).map(String::as_str).ok_or_else(|| {
                    OpenIdError::Offer("its authorization server is not one of the issuer".to_owned())
                })
            }
            (_, None) => {
                Err(OpenIdError::Unsupported("the issuer has several authorization servers".to_owned()))
            }
        }
    }
}

/// What an authorization server says of itself, as far as the pre-authorized code needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServerMetadata {
    /// Its identifier.
    pub issuer: String,
    /// Where tokens are had.
    pub token_endpoint: String,
    /// Grants that it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_types_supported: Option<Vec<String>>,
    /// How clients authenticate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether a wallet that nobody has registered may redeem a pre-authorized code.
    #[serde(
        rename = "pre-authorized_grant_anonymous_access_supported",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub anonymous_access_supported: Option<bool>,
}

impl AuthorizationServerMetadata {
    /// Metadata of an issuer that is its own authorization server, with the endpoint `<issuer>/token`.
    pub fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            token_endpoint: format!("{}/token", issuer.trim_end_matches('/')),
            grant_types_supported: Some(vec![PRE_AUTHORIZED_CODE.to_owned()]),
            token_endpoint_auth_methods_supported: Some(vec!["none".to_owned()]),
            anonymous_access_supported: Some(true),
        }
    }

    /// Where it is served.
    pub fn url(issuer: &str, policy: UrlPolicy) -> Result<String, OpenIdError> {
        Ok(well_known(&policy.check_issuer("authorization server", issuer)?, "oauth-authorization-server"))
    }

    /// The request for it.
    pub fn request(issuer: &str, policy: UrlPolicy) -> Result<HttpRequest, OpenIdError> {
        Ok(HttpRequest::get(Self::url(issuer, policy)?, METADATA_BYTES_MAX))
    }

    /// As JSON, to be served with the media type `application/json`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the answer: the identifier must match, and the pre-authorized code must be usable without being
    /// registered. Servers often leave out what the specification has a default for, so that only an explicit "no"
    /// counts.
    pub fn on_response(
        response: &HttpResponse<'_>,
        issuer: &str,
        policy: UrlPolicy,
    ) -> Result<Self, OpenIdError> {
        let body = response.json("authorization server metadata", METADATA_BYTES_MAX)?;
        let metadata: Self = json::from_slice(body, LIMITS)
            .map_err(|error| OpenIdError::malformed("authorization server metadata", error))?;
        if metadata.issuer != issuer {
            return Err(foreign(issuer, &metadata.issuer));
        }
        let identifier = policy.check_issuer("authorization server", issuer)?;
        policy.check_named_by(&identifier, "token endpoint", &metadata.token_endpoint)?;
        let grants = metadata.grant_types_supported.as_ref();
        if grants.is_some_and(|grants| !grants.iter().any(|grant| grant == PRE_AUTHORIZED_CODE)) {
            return Err(OpenIdError::Unsupported(
                "the issuer does not redeem pre-authorized codes".to_owned(),
            ));
        }
        if metadata.anonymous_access_supported == Some(false) {
            return Err(OpenIdError::Unsupported("the issuer wants wallets to be registered".to_owned()));
        }
        Ok(metadata)
    }
}

fn foreign(expected: &str, found: &str) -> OpenIdError {
    OpenIdError::ForeignMetadata { expected: expected.to_owned(), found: found.chars().take(200).collect() }
}
