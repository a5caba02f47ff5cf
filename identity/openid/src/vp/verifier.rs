//! The verifier's side: a session from the question to the answer, and the rules of which answers count.
//!
//! ```text
//! Session::new -> link() -> request_object() -> accept() -> the caller verifies -> conclude() -> result()
//!   Waiting                    Fetched            Answered                          Concluded
//! ```
//!
//! A [`Session`] is kept as JSON by the service, which replaces it by compare-and-swap after every step that changes
//! it: so one answer counts, and a second one, even the same, is refused. What [`Session::accept`] gives back is bound
//! to nothing yet: each presentation must be verified for [`Session::nonce`] and [`Session::audience`], then all
//! together by [`Session::check`].

use crate::ErrorResponse;
use crate::jwe::{DecryptionKey, ENCRYPTIONS};
use crate::jwt::{self, JwtError, KeyName, Signer};
use crate::url_rules::UrlPolicy;
use crate::vp::client_id::ClientId;
use crate::vp::dcql::{Presented, Query};
use crate::vp::request::{self, AUDIENCE, Request, ResponseMode};
use crate::vp::transaction_data::{self, TransactionData};
use aval_codec::json::Json;
use aval_codec::{Hash, b64u, sha256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

/// The largest answer of a wallet that is read.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How long a request object is good for by its own word.
const OBJECT_LIFE_S: i64 = 300;

const PRESENTATIONS_MAX: usize = 64;
const WALLET_NONCE_BYTES_MAX: usize = 512;

/// What a relying party wants to know.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionDraft {
    /// The query.
    pub query: Query,
    /// What the user is to agree to.
    pub transaction_data: Vec<TransactionData>,
    /// Whether the answer must be encrypted.
    pub encrypted: bool,
    /// Where the user's browser goes on afterwards, if wallet and browser are on one device.
    pub redirect_uri: Option<String>,
    /// What the verifier says of itself, such as `client_name`.
    pub client_metadata: BTreeMap<String, Json>,
    /// How long an answer is waited for.
    pub life_s: i64,
}

/// Fresh random values for a session, 128 bits each at least.
pub struct Secrets {
    /// The nonce of the presentations.
    pub nonce: String,
    /// The state, by which an answer finds its session.
    pub state: String,
    /// What shows the browser of the user who answered.
    pub response_code: String,
    /// The key for the answer.
    pub decryption: DecryptionKey,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Nobody has come for the request.
    Waiting,
    /// A wallet has the request.
    Fetched,
    /// An answer came and is being verified.
    Answered,
    /// The answer was verified, and is good or not; or the wallet declined.
    Concluded,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Conclusion {
    /// The presentations answer the question.
    Verified {
        /// What the relying party gets, in the service's own words.
        result: Value,
    },
    /// The presentations do not.
    Rejected {
        /// Why, without a claim's value.
        result: Value,
    },
    /// It could not be found out whether they do: neither a yes nor a no.
    Undecided {
        /// What could not be had.
        result: Value,
    },
    /// The wallet or its user declined.
    Declined {
        /// The code of OpenID4VP 1.0 section 8.5.
        error: String,
    },
}

/// One question on its way. Holds the key for the answer, and is to be kept like one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    state: SessionState,
    members: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decryption: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redirect: Option<Redirect>,
    expires_s: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conclusion: Option<Conclusion>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Redirect {
    uri: String,
    response_code: String,
    code_hash: Hash,
}

/// What a wallet sent.
#[derive(Clone, PartialEq)]
pub enum Answer {
    /// Presentations by the id of the credential query that each answers. Nothing about them is verified.
    Presentations(BTreeMap<String, Vec<Value>>),
    /// A refusal, with its code; the session is concluded by it.
    Declined(String),
}

/// Shows no presentation.
impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Presentations(all) => formatter.debug_tuple("Presentations").field(&all.len()).finish(),
            Self::Declined(error) => formatter.debug_tuple("Declined").field(error).finish(),
        }
    }
}

/// Shows no secret.
impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Session {
    /// Begins a session. The draft is refused where a wallet would refuse the request.
    pub fn new(
        draft: &SessionDraft,
        client_id: ClientId,
        response_uri: &str,
        secrets: &Secrets,
        policy: UrlPolicy,
        now_s: i64,
    ) -> Result<Self, crate::OpenIdError> {
        let mut client_metadata = draft.client_metadata.clone();
        let response_mode =
            if draft.encrypted { ResponseMode::DirectPostJwt } else { ResponseMode::DirectPost };
        if draft.encrypted {
            let keys = Json::from([("keys", Json::Array(vec![secrets.decryption.public_jwk()]))]);
            client_metadata.insert("jwks".to_owned(), keys);
            let names = ENCRYPTIONS.into_iter().map(Json::from).collect();
            client_metadata.insert("encrypted_response_enc_values_supported".to_owned(), Json::Array(names));
        }
        client_metadata.entry("vp_formats_supported".to_owned()).or_insert_with(|| formats(&draft.query));
        let request = Request {
            client_id,
            response_mode,
            response_uri: response_uri.to_owned(),
            nonce: secrets.nonce.clone(),
            state: Some(secrets.state.clone()),
            query: draft.query.clone(),
            client_metadata,
            transaction_data: draft.transaction_data.clone(),
        };
        let members = request.to_members();
        // What a wallet of ours would not take is not sent.
        Request::of_members(&members, policy)?;
        let redirect = match &draft.redirect_uri {
            None => None,
            Some(uri) => {
                policy.check("address to go on to", uri)?;
                let response_code = secrets.response_code.clone();
                let code_hash = sha256(response_code.as_bytes());
                Some(Redirect { uri: uri.clone(), response_code, code_hash })
            }
        };
        Ok(Self {
            state: SessionState::Waiting,
            members: Json::Object(members),
            decryption: draft.encrypted.then(|| b64u::encode(secrets.decryption.to_seed().as_ref())),
            redirect,
            expires_s: now_s.saturating_add(draft.life_s),
            conclusion: None,
        })
    }

    /// Where it stands.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// Until when an answer is waited for, in unix seconds.
    pub fn expires_s(&self) -> i64 {
        self.expires_s
    }

    /// What every presentation must be bound to.
    pub fn nonce(&self) -> &str {
        self.text("nonce")
    }

    /// Whom every presentation must be made for.
    pub fn audience(&self) -> &str {
        self.text("client_id")
    }

    /// By what an answer finds its session.
    pub fn state_value(&self) -> &str {
        self.text("state")
    }

    /// The query.
    pub fn query(&self) -> Result<Query, ErrorResponse> {
        let query = self.members.get("dcql_query").unwrap_or(&Json::Null);
        Query::from_value(request::to_value(query)).map_err(|_| damaged())
    }

    fn text(&self, name: &str) -> &str {
        self.members.get(name).and_then(Json::as_str).unwrap_or_default()
    }

    /// The link for the wallet: to the request object at this address, or, where nobody signs, with the request in it.
    /// `scheme` is what wallets are called by, such as `openid4vp://`.
    pub fn link(&self, scheme: &str, request_uri: &str, post: bool) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let signs = ClientId::parse(self.audience()).is_ok_and(|client| client.signs());
        if signs {
            query.append_pair("client_id", self.audience()).append_pair("request_uri", request_uri);
            if post {
                query.append_pair("request_uri_method", "post");
            }
        } else {
            for (name, value) in self.members.as_object().into_iter().flatten() {
                match value {
                    Json::String(text) => query.append_pair(name, text),
                    other => query.append_pair(name, &String::from_utf8_lossy(&other.to_jcs())),
                };
            }
        }
        format!("{scheme}?{}", query.finish().replace('+', "%20"))
    }

    /// The request object for a wallet that came for it, signed. It may come again, until it has answered: networks
    /// lose answers.
    pub fn request_object(
        &mut self,
        signer: &dyn Signer,
        name: KeyName<'_>,
        wallet_nonce: Option<&str>,
        now_s: i64,
    ) -> Result<Result<String, JwtError>, ErrorResponse> {
        self.check_open(now_s)?;
        let mut members = self.members.as_object().cloned().ok_or_else(damaged)?;
        members.insert("aud".to_owned(), Json::from(AUDIENCE));
        members.insert("iat".to_owned(), Json::Int(now_s));
        let end = self.expires_s.min(now_s.saturating_add(OBJECT_LIFE_S));
        members.insert("exp".to_owned(), Json::Int(end));
        if let Some(nonce) = wallet_nonce {
            if nonce.is_empty() || nonce.len() > WALLET_NONCE_BYTES_MAX {
                return Err(ErrorResponse::invalid_request("wallet_nonce is empty or too long"));
            }
            members.insert("wallet_nonce".to_owned(), Json::from(nonce));
        }
        self.state = SessionState::Fetched;
        Ok(jwt::sign(signer, request::TYPE, name, members))
    }

    fn check_open(&self, now_s: i64) -> Result<(), ErrorResponse> {
        match self.state {
            SessionState::Waiting | SessionState::Fetched if now_s < self.expires_s => Ok(()),
            SessionState::Waiting | SessionState::Fetched => {
                Err(ErrorResponse::invalid_request("the request has expired"))
            }
            _ => Err(ErrorResponse::invalid_request("the request was answered already")),
        }
    }

    /// Takes an answer. One that is no answer to this session leaves it as it was; one that is uses it up.
    pub fn accept(&mut self, form: &[u8], now_s: i64) -> Result<Answer, ErrorResponse> {
        self.check_open(now_s)?;
        let answer = self.read(form)?;
        let state = answer.get("state").and_then(Value::as_str).unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(self.state_value().as_bytes())) {
            return Err(ErrorResponse::invalid_request("the state is not the one of the request"));
        }
        match (answer.get("vp_token"), answer.get("error")) {
            (Some(vp_token), None) => {
                let presentations = self.presentations(vp_token)?;
                self.state = SessionState::Answered;
                Ok(Answer::Presentations(presentations))
            }
            (None, Some(Value::String(error))) => {
                let error: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
                self.state = SessionState::Concluded;
                self.conclusion = Some(Conclusion::Declined { error: error.clone() });
                Ok(Answer::Declined(error))
            }
            _ => Err(ErrorResponse::invalid_request("it must have either a vp_token or an error")),
        }
    }

    /// The members of an answer, decrypted if it must be encrypted. One that comes in the other way is refused: a thief
    /// of a plain answer would send it so.
    fn read(&self, form: &[u8]) -> Result<Map<String, Value>, ErrorResponse> {
        if form.len() > ANSWER_BYTES_MAX {
            return Err(ErrorResponse::invalid_request("the answer is too large"));
        }
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(ErrorResponse::invalid_request("a parameter occurs twice"));
            }
        }
        let unreadable = || ErrorResponse::invalid_request("the answer cannot be read");
        let Some(decryption) = &self.decryption else {
            if parameters.contains_key("response") {
                return Err(ErrorResponse::invalid_request("the answer must not be encrypted"));
            }
            let mut members = Map::new();
            for (name, text) in parameters {
                let value = match name.as_str() {
                    "vp_token" => {
                        crate::value::parse(text.as_bytes(), ANSWER_BYTES_MAX).map_err(|_| unreadable())?
                    }
                    _ => Value::String(text),
                };
                members.insert(name, value);
            }
            return Ok(members);
        };
        let response = parameters.get("response");
        // A wallet that cannot encrypt may still say so (section 8.3.1).
        if response.is_none() && parameters.contains_key("error") && !parameters.contains_key("vp_token") {
            return Ok(parameters.into_iter().map(|(name, text)| (name, Value::String(text))).collect());
        }
        let response = response.ok_or(ErrorResponse::invalid_request("the answer must be encrypted"))?;
        let seed = b64u::decode_array(decryption).map_err(|_| damaged())?;
        let key = DecryptionKey::from_seed(&seed).map_err(|_| damaged())?;
        let content = key
            .decrypt(response, ANSWER_BYTES_MAX)
            .map_err(|_| ErrorResponse::invalid_request("the answer cannot be decrypted"))?;
        match crate::value::parse(&content, ANSWER_BYTES_MAX) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(unreadable()),
        }
    }

    /// The presentations of an answer, of the shape of the query (section 8.1).
    fn presentations(&self, vp_token: &Value) -> Result<BTreeMap<String, Vec<Value>>, ErrorResponse> {
        let query = self.query()?;
        let refuse = |reason| Err(ErrorResponse::invalid_request(reason));
        let Value::Object(members) = vp_token else { return refuse("the vp_token is not an object") };
        let mut presentations = BTreeMap::new();
        for (id, list) in members {
            let Some(asked) = query.credential(id) else {
                return refuse("the vp_token answers what was not asked");
            };
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            if list.is_empty() || list.len() > PRESENTATIONS_MAX {
                return refuse("an answer in the vp_token is not a list of presentations");
            }
            if list.len() > 1 && !asked.multiple {
                return refuse("there is more than one presentation where one was asked for");
            }
            if !list.iter().all(|one| one.is_string() || one.is_object()) {
                return refuse("a presentation is neither text nor an object");
            }
            presentations.insert(id.clone(), list.to_vec());
        }
        match query.check_complete(|id| presentations.contains_key(id)) {
            Ok(()) => Ok(presentations),
            Err(_) => refuse("the vp_token does not answer all that is required"),
        }
    }

    /// Whether verified presentations are what was asked for, and agree to the transaction data. `bindings` are the
    /// payloads of their verified key bindings by the id of the credential query.
    pub fn check(
        &self,
        presented: &[Presented<'_>],
        bindings: &[(&str, &Map<String, Value>)],
    ) -> Result<(), String> {
        let query = self.query().map_err(|error| error.description.to_owned())?;
        query.check(presented)?;
        let encoded = self.members.get("transaction_data").and_then(Json::as_array).unwrap_or_default();
        let expected: Result<Vec<_>, String> =
            encoded.iter().map(|one| TransactionData::parse(one.as_str().unwrap_or_default())).collect();
        transaction_data::check(&expected?, bindings)
    }

    /// Ends the session after an answer. A conclusion stays as it is.
    pub fn conclude(&mut self, conclusion: Conclusion) {
        if self.state == SessionState::Answered {
            self.state = SessionState::Concluded;
            self.conclusion = Some(conclusion);
        }
    }

    /// What the wallet is told after its answer: where the browser goes on, with a code that shows that it is the one
    /// (section 8.2).
    pub fn reply(&self) -> Vec<u8> {
        let members = match &self.redirect {
            None => Json::Object(BTreeMap::new()),
            Some(redirect) => {
                let separator = if redirect.uri.contains('?') { '&' } else { '?' };
                let uri = format!("{}{separator}response_code={}", redirect.uri, redirect.response_code);
                Json::from([("redirect_uri", Json::String(uri))])
            }
        };
        members.to_jcs()
    }

    /// How it ended, for the relying party. Where the browser goes on after the answer, its code must come along, so
    /// that the outcome is given to the browser of the user who answered and to no other (section 13.3).
    pub fn result(&self, response_code: Option<&str>) -> Result<Option<&Conclusion>, ErrorResponse> {
        if let Some(redirect) = &self.redirect {
            let hash = sha256(response_code.unwrap_or_default().as_bytes());
            if self.conclusion.is_some() && !bool::from(hash.as_bytes().ct_eq(redirect.code_hash.as_bytes()))
            {
                return Err(ErrorResponse {
                    status: 403,
                    error: "invalid_request",
                    description: "the response code is missing or not the one of this session",
                });
            }
        }
        Ok(self.conclusion.as_ref())
    }
}

/// A stored session that cannot be read is the service's fault.
fn damaged() -> ErrorResponse {
    ErrorResponse { status: 500, error: "server_error", description: "the session cannot be read" }
}

/// What this verifier takes, for the formats that it asks for.
fn formats(query: &Query) -> Json {
    let algorithms = || Json::Array(vec!["EdDSA".into(), "ES256".into()]);
    let suites = ["eddsa-rdfc-2022", "eddsa-jcs-2022", "ecdsa-rdfc-2019", "ecdsa-jcs-2019"];
    let mut formats = BTreeMap::new();
    for one in query.credentials() {
        let details = match one.format.as_str() {
            "dc+sd-jwt" | "vc+sd-jwt" => {
                Json::from([("sd-jwt_alg_values", algorithms()), ("kb-jwt_alg_values", algorithms())])
            }
            "jwt_vc_json" => Json::from([("alg_values", algorithms())]),
            "ldp_vc" => {
                let suites = suites.into_iter().map(Json::from).collect();
                Json::from([
                    ("proof_type_values", Json::Array(vec!["DataIntegrityProof".into()])),
                    ("cryptosuite_values", Json::Array(suites)),
                ])
            }
            _ => Json::Object(BTreeMap::new()),
        };
        formats.insert(one.format.clone(), details);
    }
    Json::Object(formats)
}

/// The wallet's nonce of a form posted to the address of a request object; other parameters are ignored.
pub fn wallet_nonce(form: &[u8]) -> Result<Option<String>, ErrorResponse> {
    if form.len() > 64 * 1024 {
        return Err(ErrorResponse::invalid_request("the request is too large"));
    }
    let mut nonces = form_urlencoded::parse(form).filter(|(name, _)| name == "wallet_nonce");
    match (nonces.next(), nonces.next()) {
        (found, None) => Ok(found.map(|(_, value)| value.into_owned())),
        _ => Err(ErrorResponse::invalid_request("a parameter occurs twice")),
    }
}
