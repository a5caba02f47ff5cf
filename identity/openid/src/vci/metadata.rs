//! Metadata of the credential issuer (OpenID4VCI 1.0 section 12.2) and of its authorization server (RFC 8414).

use crate::OpenIdError;
use crate::http::{HttpRequest, HttpResponse};
use crate::oauth::authorization::CodeRequest;
use crate::oauth::pkce;
use crate::url_rules::{UrlPolicy, well_known};
pub use crate::vci::encryption::Encryption;
use crate::vci::{Format, PRE_AUTHORIZED_CODE};
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
    /// Where credentials are asked for that were not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_credential_endpoint: Option<String>,
    /// Where the issuer is told what became of credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_endpoint: Option<String>,
    /// There if several keys may be proven at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_credential_issuance: Option<Batch>,
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

/// How many keys may be proven at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Two at least.
    pub batch_size: u32,
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
    /// The type of a `dc+sd-jwt` credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vct: Option<String>,
    /// The types of a W3C credential.
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
    /// The contexts of an `ldp_vc` credential.
    #[serde(rename = "@context", default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Vec<Json>>,
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
        Self::of(Format::VcSdJwt, credential_type, name)
    }

    /// A credential of this format and type, bound to a key of the holder. The type of a `dc+sd-jwt` credential is its
    /// `vct`.
    pub fn of(format: Format, credential_type: &str, name: &str) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| Json::from(*name)).collect::<Vec<_>>();
        let proof_type = ProofType {
            proof_signing_alg_values_supported: names(&["ES256", "EdDSA"]),
            key_attestations_required: None,
        };
        let display = Display { name: Some(name.to_owned()), locale: Some("en".to_owned()) };
        let algorithms = match format {
            Format::LdpVc => {
                names(&["eddsa-rdfc-2022", "eddsa-jcs-2022", "ecdsa-rdfc-2019", "ecdsa-jcs-2019"])
            }
            _ => names(&["EdDSA", "ES256"]),
        };
        let context = (format == Format::LdpVc).then(|| names(&["https://www.w3.org/ns/credentials/v2"]));
        let types = vec!["VerifiableCredential".to_owned(), credential_type.to_owned()];
        let by_vct = format == Format::DcSdJwt;
        Self {
            format: format.name().to_owned(),
            scope: Some(credential_type.to_owned()),
            credential_signing_alg_values_supported: Some(algorithms),
            cryptographic_binding_methods_supported: Some(
                ["jwk", "did:key", "did:jwk"].map(str::to_owned).to_vec(),
            ),
            proof_types_supported: Some(BTreeMap::from([("jwt".to_owned(), proof_type)])),
            vct: by_vct.then(|| credential_type.to_owned()),
            credential_definition: (!by_vct).then_some(CredentialDefinition { context, types }),
            credential_metadata: Some(CredentialMetadata { display: Some(vec![display]), claims: None }),
        }
    }

    /// The proof of type `jwt`, if the configuration wants one.
    pub fn jwt_proof(&self) -> Option<&ProofType> {
        self.proof_types_supported.as_ref()?.get("jwt")
    }

    /// All types; of an SD-JWT VC its one `vct`.
    pub fn types(&self) -> &[String] {
        match (&self.vct, &self.credential_definition) {
            (Some(vct), _) => std::slice::from_ref(vct),
            (None, Some(definition)) => &definition.types,
            (None, None) => &[],
        }
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
            deferred_credential_endpoint: None,
            notification_endpoint: None,
            batch_credential_issuance: None,
            credential_request_encryption: None,
            credential_response_encryption: None,
            display: None,
            credential_configurations_supported: BTreeMap::new(),
        }
    }

    /// Adds the endpoints `<issuer>/deferred_credential` and `<issuer>/notification`, and batches of this size.
    pub fn with_later(mut self, batch_size: u32) -> Self {
        let base = self.credential_issuer.trim_end_matches('/');
        self.deferred_credential_endpoint = Some(format!("{base}/deferred_credential"));
        self.notification_endpoint = Some(format!("{base}/notification"));
        self.batch_credential_issuance = (batch_size > 1).then_some(Batch { batch_size });
        self
    }

    /// How many keys may be proven at once.
    pub fn batch_size(&self) -> usize {
        self.batch_credential_issuance
            .map_or(1, |batch| usize::try_from(batch.batch_size).unwrap_or(1).max(1))
    }

    /// The scopes of the configurations, each with the configuration's id.
    pub fn scopes(&self) -> BTreeMap<String, String> {
        let all = self.credential_configurations_supported.iter();
        all.filter_map(|(id, one)| Some((one.scope.clone()?, id.clone()))).collect()
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
        Self::read(response.json("metadata", METADATA_BYTES_MAX)?, issuer, policy)
    }

    /// Reads metadata that may come signed.
    pub(crate) fn read(body: &[u8], issuer: &str, policy: UrlPolicy) -> Result<Self, OpenIdError> {
        let metadata: Self =
            json::from_slice(body, LIMITS).map_err(|error| OpenIdError::malformed("metadata", error))?;
        if metadata.credential_issuer != issuer {
            return Err(foreign(issuer, &metadata.credential_issuer));
        }
        let identifier = policy.check_issuer("issuer", issuer)?;
        policy.check_named_by(&identifier, "credential endpoint", &metadata.credential_endpoint)?;
        for (what, endpoint) in [
            ("nonce endpoint", &metadata.nonce_endpoint),
            ("deferred credential endpoint", &metadata.deferred_credential_endpoint),
            ("notification endpoint", &metadata.notification_endpoint),
        ] {
            if let Some(endpoint) = endpoint {
                policy.check_named_by(&identifier, what, endpoint)?;
            }
        }
        for server in metadata.authorization_servers.iter().flatten() {
            policy.check_named_by(&identifier, "authorization server", server)?;
        }
        let encryptions = [&metadata.credential_request_encryption, &metadata.credential_response_encryption];
        for one in encryptions.into_iter().flatten().filter(|one| one.encryption_required) {
            if one.content_encryption().is_none() {
                return Err(OpenIdError::Unsupported("the issuer's way of encrypting messages".to_owned()));
            }
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

/// What an authorization server says of itself (RFC 8414).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServerMetadata {
    /// Its identifier.
    pub issuer: String,
    /// Where tokens are had.
    pub token_endpoint: String,
    /// Where users are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Where requests are pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// Whether they must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_pushed_authorization_requests: Option<bool>,
    /// What it answers with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_types_supported: Option<Vec<String>>,
    /// Methods of proof keys for codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Whether its answers name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_response_iss_parameter_supported: Option<bool>,
    /// Algorithms of DPoP proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
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
            authorization_endpoint: None,
            pushed_authorization_request_endpoint: None,
            require_pushed_authorization_requests: None,
            response_types_supported: None,
            code_challenge_methods_supported: None,
            authorization_response_iss_parameter_supported: None,
            dpop_signing_alg_values_supported: None,
            grant_types_supported: Some(vec![PRE_AUTHORIZED_CODE.to_owned()]),
            token_endpoint_auth_methods_supported: Some(vec!["none".to_owned()]),
            anonymous_access_supported: Some(true),
        }
    }

    /// Adds the authorization code: the endpoints `<issuer>/authorize` and `<issuer>/par`, and DPoP.
    pub fn with_authorization_code(mut self) -> Self {
        let base = self.issuer.trim_end_matches('/');
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        self.authorization_endpoint = Some(format!("{base}/authorize"));
        self.pushed_authorization_request_endpoint = Some(format!("{base}/par"));
        self.require_pushed_authorization_requests = Some(true);
        self.response_types_supported = names(&["code"]);
        self.code_challenge_methods_supported = names(&[pkce::METHOD]);
        self.authorization_response_iss_parameter_supported = Some(true);
        self.dpop_signing_alg_values_supported = names(&["ES256", "EdDSA"]);
        self.grant_types_supported.get_or_insert_default().push(CodeRequest::GRANT_TYPE.to_owned());
        self
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
        let metadata = Self::read(response, issuer, policy)?;
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

    /// Reads the answer for the authorization code, which takes pushed requests, `S256` and the server's name in its
    /// answers. Gives back the two endpoints: for requests, and for the user.
    pub fn on_response_for_code(
        response: &HttpResponse<'_>,
        issuer: &str,
        policy: UrlPolicy,
    ) -> Result<(Self, String, String), OpenIdError> {
        let metadata = Self::read(response, issuer, policy)?;
        let has = |list: &Option<Vec<String>>, name: &str| list.iter().flatten().any(|one| one == name);
        let fits = has(&metadata.code_challenge_methods_supported, pkce::METHOD)
            && has(&metadata.grant_types_supported, CodeRequest::GRANT_TYPE)
            && metadata.authorization_response_iss_parameter_supported == Some(true);
        let endpoints = (&metadata.pushed_authorization_request_endpoint, &metadata.authorization_endpoint);
        match endpoints {
            (Some(push), Some(authorize)) if fits => {
                let endpoints = (push.clone(), authorize.clone());
                Ok((metadata, endpoints.0, endpoints.1))
            }
            _ => Err(OpenIdError::Unsupported(
                "the issuer has no authorization code with pushed requests, S256 and its name in answers"
                    .to_owned(),
            )),
        }
    }

    fn read(response: &HttpResponse<'_>, issuer: &str, policy: UrlPolicy) -> Result<Self, OpenIdError> {
        let body = response.json("authorization server metadata", METADATA_BYTES_MAX)?;
        let metadata: Self = json::from_slice(body, LIMITS)
            .map_err(|error| OpenIdError::malformed("authorization server metadata", error))?;
        if metadata.issuer != issuer {
            return Err(foreign(issuer, &metadata.issuer));
        }
        let identifier = policy.check_issuer("authorization server", issuer)?;
        policy.check_named_by(&identifier, "token endpoint", &metadata.token_endpoint)?;
        for (what, endpoint) in [
            ("authorization endpoint", &metadata.authorization_endpoint),
            ("endpoint for pushed requests", &metadata.pushed_authorization_request_endpoint),
        ] {
            if let Some(endpoint) = endpoint {
                policy.check_named_by(&identifier, what, endpoint)?;
            }
        }
        Ok(metadata)
    }
}

fn foreign(expected: &str, found: &str) -> OpenIdError {
    OpenIdError::ForeignMetadata { expected: expected.to_owned(), found: found.chars().take(200).collect() }
}
