//! The wallet's side: one type per step, so that no step can be left out.
//!
//! ```text
//! Invitation -> (fetch) -> Unverified -> Verified -> the user decides -> HttpRequest
//!  link, QR      signed      whose key    query, evaluate                  vp_token, or a refusal
//! ```
//!
//! A request that is not signed goes the short way: what the link says is the whole request, and the only
//! thing known of the verifier is where the answer goes.

use crate::http::{FORM, HttpRequest, HttpResponse};
use crate::jwt::Jwt;
use crate::url_rules::UrlPolicy;
use crate::vp::client_id::ClientId;
use crate::vp::request::{MEDIA_TYPE, REQUEST_BYTES_MAX, Request, ResponseMode, parameter};
use crate::x509::{self, Anchors, Certified};
use crate::{OpenIdError, jwt};
use aval_codec::json::{self, Json};
use aval_did::key::PublicKey;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use url::{Url, form_urlencoded};

/// The longest link that is read.
pub const LINK_BYTES_MAX: usize = 64 * 1024;

/// The largest answer of a verifier that is read.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How far the verifier's clock may be off.
const CLOCK_SKEW_S: i64 = 300;

/// How a request object is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestUriMethod {
    /// `get`
    Get,
    /// `post`: the wallet sends a nonce of its own along.
    Post,
}

/// What a link says.
#[derive(Debug, Clone, PartialEq)]
pub enum Invitation {
    /// The request is to be fetched.
    Reference(Reference),
    /// The request itself, which nobody has signed.
    Value(Box<Verified>),
}

/// A request that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    client_id: ClientId,
    request_uri: Url,
    method: RequestUriMethod,
    policy: UrlPolicy,
}

impl Invitation {
    /// Reads a link of any scheme that wallets are called by: `openid4vp://`, `haip-vp://`, `https://`.
    pub fn parse(link: &str, policy: UrlPolicy) -> Result<Self, OpenIdError> {
        if link.len() > LINK_BYTES_MAX {
            return Err(OpenIdError::Oversized("link"));
        }
        let query = link.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
        let query = query.ok_or_else(|| OpenIdError::Request("the link has no parameters".to_owned()))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OpenIdError::Request("the link has a parameter twice".to_owned()));
            }
        }
        if parameters.contains_key("request") {
            return Err(OpenIdError::Unsupported("a signed request inside of a link".to_owned()));
        }
        let client_id = ClientId::parse(parameters.get("client_id").map(String::as_str).unwrap_or_default())?;
        let Some(request_uri) = parameters.get("request_uri") else {
            return Self::by_value(&client_id, parameters, policy);
        };
        if !client_id.signs() {
            return Err(OpenIdError::Request(
                "a request of this kind of verifier cannot be signed".to_owned(),
            ));
        }
        let request_uri = policy.check("address of the request", request_uri)?;
        let method = match parameters.get("request_uri_method").map(String::as_str) {
            None | Some("get") => RequestUriMethod::Get,
            Some("post") => RequestUriMethod::Post,
            Some(_) => return Err(OpenIdError::Request("the link names an unknown method".to_owned())),
        };
        Ok(Self::Reference(Reference { client_id, request_uri, method, policy }))
    }

    fn by_value(
        client_id: &ClientId,
        parameters: BTreeMap<String, String>,
        policy: UrlPolicy,
    ) -> Result<Self, OpenIdError> {
        if client_id.signs() {
            return Err(OpenIdError::Untrusted(
                "the request is not signed, and this verifier signs".to_owned(),
            ));
        }
        let mut members = BTreeMap::new();
        for (name, text) in parameters {
            let value = match name.as_str() {
                "dcql_query" => parameter("query", &text)?,
                "client_metadata" => parameter("client metadata", &text)?,
                "transaction_data" => parameter("transaction data", &text)?,
                _ => Json::String(text),
            };
            members.insert(name, value);
        }
        let request = Request::of_members(&members, policy)?;
        Ok(Self::Value(Box::new(Verified { request, identity: Identity::Address, policy })))
    }
}

impl Reference {
    /// The verifier, as the link names it; nothing is proven yet.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// How the request is fetched.
    pub fn method(&self) -> RequestUriMethod {
        self.method
    }

    /// Asks for the request. `wallet_nonce` is fresh and random; it is sent where the method is `post`, and
    /// must then be given to [`Self::on_response`] as well.
    pub fn request(&self, wallet_nonce: &str) -> HttpRequest {
        let url = self.request_uri.to_string();
        let mut request = match self.method {
            RequestUriMethod::Get => HttpRequest::get(url, REQUEST_BYTES_MAX),
            RequestUriMethod::Post => {
                let metadata = wallet_metadata().to_string();
                let form = form_urlencoded::Serializer::new(String::new())
                    .append_pair("wallet_metadata", &metadata)
                    .append_pair("wallet_nonce", wallet_nonce)
                    .finish();
                HttpRequest::post(url, FORM, form.into_bytes(), REQUEST_BYTES_MAX)
            }
        };
        request.headers.push(("Accept", MEDIA_TYPE.to_owned()));
        request
    }

    /// Takes the request: it must be of the verifier that the link names, and carry the wallet's nonce where
    /// one was sent.
    pub fn on_response(
        &self,
        response: &HttpResponse<'_>,
        wallet_nonce: &str,
        now_s: i64,
    ) -> Result<Unverified, OpenIdError> {
        let body = response.of_type("request object", MEDIA_TYPE, REQUEST_BYTES_MAX)?;
        let text =
            std::str::from_utf8(body).map_err(|error| OpenIdError::malformed("request object", error))?;
        let (request, jwt) = Request::of_object(text.trim_end(), self.policy, now_s, CLOCK_SKEW_S)?;
        if request.client_id != self.client_id {
            return Err(OpenIdError::Untrusted(
                "the request is of another verifier than the link names".to_owned(),
            ));
        }
        self.policy.check_named_by(&self.request_uri, "response address", &request.response_uri)?;
        if self.method == RequestUriMethod::Post && jwt.text("wallet_nonce") != Some(wallet_nonce) {
            return Err(OpenIdError::Untrusted("the request was not made for this wallet".to_owned()));
        }
        Ok(Unverified { request, jwt, policy: self.policy })
    }
}

/// What this wallet can do, for verifiers that ask (OpenID4VP 1.0 section 10).
fn wallet_metadata() -> Value {
    serde_json::json!({
        "vp_formats_supported": {
            "dc+sd-jwt": {"sd-jwt_alg_values": ["EdDSA", "ES256"], "kb-jwt_alg_values": ["EdDSA", "ES256"]},
            "vc+sd-jwt": {"sd-jwt_alg_values": ["EdDSA", "ES256"], "kb-jwt_alg_values": ["EdDSA", "ES256"]},
        },
        "client_id_prefixes_supported":
            ["decentralized_identifier", "x509_san_dns", "x509_hash", "redirect_uri"],
        "request_object_signing_alg_values_supported": ["EdDSA", "ES256"],
        "response_types_supported": ["vp_token"],
        "response_modes_supported": ["direct_post", "direct_post.jwt"],
    })
}

/// A signed request whose signature nobody has checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Unverified {
    request: Request,
    jwt: Jwt,
    policy: UrlPolicy,
}

/// What it takes to check the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The key with this id, which must be an authentication method of this DID now.
    Did {
        /// The DID.
        did: &'a str,
        /// The DID URL of the key.
        key_id: &'a str,
    },
    /// Roots of trust for certificates.
    Certificates,
}

impl Unverified {
    /// What it takes to check the signature.
    pub fn wanted(&self) -> Result<Wanted<'_>, OpenIdError> {
        match &self.request.client_id {
            ClientId::Did(did) => {
                let key_id = self.jwt.header_text("kid").unwrap_or_default();
                let fragment = key_id.strip_prefix(did.as_str()).and_then(|rest| rest.strip_prefix('#'));
                match fragment {
                    Some(fragment) if !fragment.is_empty() => Ok(Wanted::Did { did, key_id }),
                    _ => Err(OpenIdError::Untrusted(
                        "the request is signed by another than its verifier".to_owned(),
                    )),
                }
            }
            ClientId::X509SanDns(_) | ClientId::X509Hash(_) => Ok(Wanted::Certificates),
            ClientId::RedirectUri(_) => {
                Err(OpenIdError::Untrusted("such a request is never signed".to_owned()))
            }
        }
    }

    /// Checks the signature with the key that [`Wanted::Did`] names.
    pub fn verify_with_key(self, key: &PublicKey) -> Result<Verified, OpenIdError> {
        let Wanted::Did { did, .. } = self.wanted()? else {
            return Err(OpenIdError::Untrusted(
                "this verifier is known by its certificate, not by a DID".to_owned(),
            ));
        };
        let identity = Identity::Did(did.to_owned());
        self.jwt.verify(key).map_err(|error| OpenIdError::Untrusted(error.to_string()))?;
        Ok(Verified { request: self.request, identity, policy: self.policy })
    }

    /// Checks the certificates and the signature.
    pub fn verify_with_certificates(self, anchors: &Anchors, now_s: i64) -> Result<Verified, OpenIdError> {
        let untrusted = |error: &dyn std::fmt::Display| OpenIdError::Untrusted(error.to_string());
        let chain = self.jwt.certificates().map_err(|error| untrusted(&error))?;
        let chain =
            chain.ok_or_else(|| OpenIdError::Untrusted("the request has no certificate".to_owned()))?;
        let certified = x509::verify(&chain, anchors, now_s).map_err(|error| untrusted(&error))?;
        let named = match &self.request.client_id {
            ClientId::X509SanDns(name) => certified.is_for(name),
            ClientId::X509Hash(hash) => chain.first().is_some_and(|leaf| x509::leaf_hash(leaf) == *hash),
            ClientId::Did(_) | ClientId::RedirectUri(_) => false,
        };
        if !named {
            return Err(untrusted(&x509::CertificateError::Name));
        }
        self.jwt.verify(&certified.key).map_err(|error: jwt::JwtError| untrusted(&error))?;
        Ok(Verified {
            request: self.request,
            identity: Identity::Certificate(certified),
            policy: self.policy,
        })
    }
}

/// How the verifier was recognized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It holds a key of this DID.
    Did(String),
    /// It holds the key of this certificate, which leads to a root of trust.
    Certificate(Certified),
    /// Not at all; the answer goes to an address, and whoever is there gets it. To be shown to the user as such.
    Address,
}

/// A request of a verifier that was recognized.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    request: Request,
    identity: Identity,
    policy: UrlPolicy,
}

/// What the verifier said to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Where the user's browser goes on, if it shall.
    pub redirect_uri: Option<String>,
}

impl Verified {
    /// The request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// How the verifier was recognized.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The nonce and audience that every presentation must be bound to.
    pub fn binding(&self) -> (&str, String) {
        (&self.request.nonce, self.request.client_id.text())
    }

    /// Refuses a request with transaction data of a type that the wallet cannot show its user (section 8.4).
    pub fn check_transaction_types(&self, known: &[&str]) -> Result<(), OpenIdError> {
        match self.request.transaction_data.iter().find(|one| !known.contains(&one.kind())) {
            None => Ok(()),
            Some(one) => Err(OpenIdError::Unsupported(format!("transaction data of type `{}`", one.kind()))),
        }
    }

    /// Sends presentations: for each credential query that is answered, one or more of them.
    pub fn respond(&self, vp_token: BTreeMap<String, Vec<Value>>) -> Result<HttpRequest, OpenIdError> {
        let query = &self.request.query;
        for (id, presentations) in &vp_token {
            let asked = query
                .credential(id)
                .ok_or_else(|| OpenIdError::Request(format!("`{id}` was not asked for")))?;
            if presentations.is_empty() || (presentations.len() > 1 && !asked.multiple) {
                return Err(OpenIdError::Request(format!("`{id}` wants one presentation")));
            }
        }
        query.check_complete(|id| vp_token.contains_key(id)).map_err(OpenIdError::Request)?;
        let vp_token =
            serde_json::to_value(vp_token).map_err(|error| OpenIdError::malformed("answer", error))?;
        self.post(Map::from_iter([("vp_token".to_owned(), vp_token)]))
    }

    /// Tells the verifier that there will be no answer. `error` is a code of section 8.5, such as `access_denied`.
    pub fn refuse(&self, error: &str) -> Result<HttpRequest, OpenIdError> {
        self.post(Map::from_iter([("error".to_owned(), Value::from(error))]))
    }

    fn post(&self, mut members: Map<String, Value>) -> Result<HttpRequest, OpenIdError> {
        if let Some(state) = &self.request.state {
            members.insert("state".to_owned(), Value::from(state.as_str()));
        }
        let mut form = form_urlencoded::Serializer::new(String::new());
        if self.request.response_mode == ResponseMode::DirectPostJwt {
            let (key, encryption) = self.request.encryption()?;
            let content = Value::Object(members).to_string();
            let response = key
                .encrypt(encryption, content.as_bytes(), None)
                .map_err(|error| OpenIdError::Request(error.to_string()))?;
            form.append_pair("response", &response);
        } else {
            for (name, value) in &members {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                form.append_pair(name, &text);
            }
        }
        let url = self.request.response_uri.clone();
        Ok(HttpRequest::post(url, FORM, form.finish().into_bytes(), ANSWER_BYTES_MAX))
    }

    /// Takes the verifier's answer. An address to go on to is checked like any other.
    pub fn on_response(&self, response: &HttpResponse<'_>) -> Result<Answered, OpenIdError> {
        if (200..300).contains(&response.status) && response.body.is_empty() {
            return Ok(Answered { redirect_uri: None });
        }
        let body = response.json("answer to the presentation", ANSWER_BYTES_MAX)?;
        let limits = json::Limits { bytes_max: ANSWER_BYTES_MAX, depth_max: 8 };
        let body = json::parse(body, limits).map_err(|error| OpenIdError::malformed("answer", error))?;
        let redirect_uri = match body.get("redirect_uri") {
            None => None,
            Some(Json::String(uri)) => {
                // A fragment is allowed here: the user's browser goes there, not the wallet.
                let checked = uri.split('#').next().unwrap_or_default();
                self.policy.check("address to go on to", checked)?;
                Some(uri.clone())
            }
            Some(_) => return Err(OpenIdError::malformed("answer", "`redirect_uri` is not a text")),
        };
        Ok(Answered { redirect_uri })
    }
}
