//! The authorization request (OpenID4VP 1.0 section 5): what the verifier asks, how it is to be answered, and
//! the signed object that carries it (RFC 9101).

use crate::OpenIdError;
use crate::jwe::{ENCRYPTIONS, EncryptionKey};
use crate::jwt::Jwt;
use crate::url_rules::UrlPolicy;
use crate::vp::client_id::ClientId;
use crate::vp::dcql::Query;
use crate::vp::transaction_data::{OBJECTS_MAX, TransactionData};
use aval_codec::json::{self, Json};
use serde_json::Value;
use std::collections::BTreeMap;

/// The `typ` of a request object.
pub const TYPE: &str = "oauth-authz-req+jwt";

/// The media type of a request object.
pub const MEDIA_TYPE: &str = "application/oauth-authz-req+jwt";

/// The audience of a request object for a wallet that was not discovered.
pub const AUDIENCE: &str = "https://self-issued.me/v2";

/// The largest request object that is read.
pub const REQUEST_BYTES_MAX: usize = 128 * 1024;

const NONCE_BYTES_MAX: usize = 512;
const STATE_BYTES_MAX: usize = 1024;

/// How the answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// Posted to the verifier.
    DirectPost,
    /// Posted to the verifier, encrypted.
    DirectPostJwt,
}

impl ResponseMode {
    /// The name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectPost => "direct_post",
            Self::DirectPostJwt => "direct_post.jwt",
        }
    }
}

/// A request, read and checked for itself. Who sent it is another question.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The verifier.
    pub client_id: ClientId,
    /// How the answer comes.
    pub response_mode: ResponseMode,
    /// Where the answer goes.
    pub response_uri: String,
    /// What every presentation is bound to.
    pub nonce: String,
    /// What the answer carries back.
    pub state: Option<String>,
    /// What is asked.
    pub query: Query,
    /// What the verifier says of itself; never its word alone.
    pub client_metadata: BTreeMap<String, Json>,
    /// What the user is to agree to.
    pub transaction_data: Vec<TransactionData>,
}

fn refuse<T>(reason: &str) -> Result<T, OpenIdError> {
    Err(OpenIdError::Request(reason.to_owned()))
}

impl Request {
    /// Reads a signed request object. Its signature is checked by whoever knows the key that its client identifier
    /// calls for; see [`crate::vp::holder`].
    pub fn of_object(
        text: &str,
        policy: UrlPolicy,
        now_s: i64,
        skew_s: i64,
    ) -> Result<(Self, Jwt), OpenIdError> {
        let jwt = Jwt::parse(text, TYPE, REQUEST_BYTES_MAX)
            .map_err(|error| OpenIdError::malformed("request object", error))?;
        if jwt.payload().contains_key("aud") && !jwt.is_for(AUDIENCE) {
            return refuse("the request object is for someone else");
        }
        for (name, ahead) in [("exp", false), ("nbf", true), ("iat", true)] {
            let Some(value) = jwt.payload().get(name) else { continue };
            let Some(seconds) = value.as_i64() else {
                return refuse("a time of the request object is not a number");
            };
            let out_of_time = match ahead {
                true => seconds > now_s.saturating_add(skew_s),
                false => seconds <= now_s.saturating_sub(skew_s),
            };
            if out_of_time {
                return refuse("the request object has expired, or is from the future");
            }
        }
        let request = Self::of_members(jwt.payload(), policy)?;
        if !request.client_id.signs() {
            return refuse("a request of this kind of verifier cannot be signed");
        }
        Ok((request, jwt))
    }

    /// Reads the members of a request.
    pub fn of_members(members: &BTreeMap<String, Json>, policy: UrlPolicy) -> Result<Self, OpenIdError> {
        let text = |name: &str| members.get(name).and_then(Json::as_str);
        let client_id = ClientId::parse(text("client_id").unwrap_or_default())?;
        if text("response_type") != Some("vp_token") {
            return Err(OpenIdError::Unsupported("a response type other than `vp_token`".to_owned()));
        }
        let response_mode = match text("response_mode") {
            Some("direct_post") => ResponseMode::DirectPost,
            Some("direct_post.jwt") => ResponseMode::DirectPostJwt,
            _ => return Err(OpenIdError::Unsupported("a response mode other than `direct_post`".to_owned())),
        };
        // Either would send the answer elsewhere, or widen what is asked.
        if members.contains_key("redirect_uri") {
            return refuse("it has a redirect address beside the response mode");
        }
        if members.contains_key("scope") && !members.contains_key("dcql_query") {
            return Err(OpenIdError::Unsupported("a query by the name of a scope".to_owned()));
        }
        let response_uri = text("response_uri").unwrap_or_default().to_owned();
        client_id.check_response_uri(&response_uri, policy)?;
        let nonce = text("nonce").unwrap_or_default().to_owned();
        // Section 5.2: characters that are safe in a URL.
        let plain =
            |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'.' | b'_' | b'~');
        if nonce.is_empty() || nonce.len() > NONCE_BYTES_MAX || !nonce.bytes().all(plain) {
            return refuse("its nonce is missing, too long or has odd characters");
        }
        let state = match members.get("state") {
            None => None,
            Some(Json::String(state)) if !state.is_empty() && state.len() <= STATE_BYTES_MAX => {
                Some(state.clone())
            }
            Some(_) => return refuse("its state is not a short text"),
        };
        let query =
            members.get("dcql_query").ok_or_else(|| OpenIdError::Request("it asks nothing".to_owned()))?;
        let query =
            Query::from_value(to_value(query)).map_err(|error| OpenIdError::Request(error.to_string()))?;
        let client_metadata = match members.get("client_metadata") {
            None => BTreeMap::new(),
            Some(Json::Object(metadata)) => metadata.clone(),
            Some(_) => return refuse("its client metadata is not an object"),
        };
        let transaction_data = read_transaction_data(members.get("transaction_data"), &query)?;
        // Without holder binding nothing ties the answer to this request but the state.
        let unbound = query.credentials().iter().any(|one| !one.require_cryptographic_holder_binding);
        if unbound && state.is_none() {
            return refuse("it asks for a credential without a proof of its holder, and has no state");
        }
        let request = Self {
            client_id,
            response_mode,
            response_uri,
            nonce,
            state,
            query,
            client_metadata,
            transaction_data,
        };
        if response_mode == ResponseMode::DirectPostJwt {
            request.encryption()?;
        }
        Ok(request)
    }

    /// The members, for a request object or a link.
    pub fn to_members(&self) -> BTreeMap<String, Json> {
        let text = |text: &str| Json::String(text.to_owned());
        let mut members = BTreeMap::from([
            ("response_type".to_owned(), text("vp_token")),
            ("client_id".to_owned(), text(&self.client_id.text())),
            ("response_mode".to_owned(), text(self.response_mode.name())),
            ("response_uri".to_owned(), text(&self.response_uri)),
            ("nonce".to_owned(), text(&self.nonce)),
            ("dcql_query".to_owned(), to_json(&self.query.to_value())),
        ]);
        if let Some(state) = &self.state {
            members.insert("state".to_owned(), text(state));
        }
        if !self.client_metadata.is_empty() {
            members.insert("client_metadata".to_owned(), Json::Object(self.client_metadata.clone()));
        }
        if !self.transaction_data.is_empty() {
            let encoded = self.transaction_data.iter().map(|one| text(one.encoded())).collect();
            members.insert("transaction_data".to_owned(), Json::Array(encoded));
        }
        members
    }

    /// The verifier's key for the answer and the content encryption to use: the first of ours that it takes.
    pub fn encryption(&self) -> Result<(EncryptionKey, &'static str), OpenIdError> {
        let set = self.client_metadata.get("jwks").unwrap_or(&Json::Null);
        let key = EncryptionKey::of_set(set).map_err(|error| OpenIdError::Request(error.to_string()))?;
        let offered = match self.client_metadata.get("encrypted_response_enc_values_supported") {
            // Section 5.1: without it, A128GCM.
            None => return Ok((key, "A128GCM")),
            Some(list) => list.as_array().unwrap_or_default(),
        };
        let known = ENCRYPTIONS.into_iter().find(|name| offered.iter().any(|one| one.as_str() == Some(name)));
        known.map(|name| (key, name)).ok_or_else(|| {
            OpenIdError::Unsupported("the verifier takes no content encryption that is known here".to_owned())
        })
    }
}

fn read_transaction_data(member: Option<&Json>, query: &Query) -> Result<Vec<TransactionData>, OpenIdError> {
    let list = match member {
        None => return Ok(Vec::new()),
        Some(Json::Array(list)) if (1..=OBJECTS_MAX).contains(&list.len()) => list,
        Some(_) => return refuse("its transaction data is no list of a few objects"),
    };
    let mut read = Vec::new();
    for one in list {
        let text = one.as_str().unwrap_or_default();
        let data = TransactionData::parse(text).map_err(OpenIdError::Request)?;
        if data.credential_ids().iter().any(|id| query.credential(id).is_none()) {
            return refuse("its transaction data names a credential that is not asked for");
        }
        read.push(data);
    }
    Ok(read)
}

/// The same, for code that reads claims. Both have the same data model but for floats, of which a message has none.
pub(crate) fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(one) => Value::Bool(*one),
        Json::Int(one) => Value::from(*one),
        Json::String(one) => Value::String(one.clone()),
        Json::Array(elements) => Value::Array(elements.iter().map(to_value).collect()),
        Json::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), to_value(member))).collect())
        }
    }
}

/// The same in the other direction; a number that is no integer becomes text, which no validated query has.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(one) => Json::Bool(*one),
        Value::Number(one) => one.as_i64().map_or_else(|| Json::String(one.to_string()), Json::Int),
        Value::String(one) => Json::String(one.clone()),
        Value::Array(elements) => Json::Array(elements.iter().map(to_json).collect()),
        Value::Object(members) => {
            Json::Object(members.iter().map(|(name, member)| (name.clone(), to_json(member))).collect())
        }
    }
}

/// Reads JSON that stands in a parameter of a link.
pub(crate) fn parameter(name: &'static str, text: &str) -> Result<Json, OpenIdError> {
    let limits = json::Limits { bytes_max: REQUEST_BYTES_MAX, depth_max: 32 };
    json::parse(text.as_bytes(), limits).map_err(|error| OpenIdError::malformed(name, error))
}
