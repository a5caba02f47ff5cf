//! OpenID4VP for relying parties: they ask a question, show its link, and fetch the outcome; wallets come in between.
//!
//! The protocol's rules are `aval-openid`'s. Here its sessions meet the records, where one answer of several wins, and
//! a [`Judge`], which decides about each presentation. What the judge could not find out is an outcome of its own, and
//! never a yes.

use crate::clock::now_s;
use crate::layers::InForm;
use crate::problem::Problem;
use crate::storage::{Records, RecordsError};
use aval_codec::{Json as Strict, b64u};
use aval_did::key::Signer;
use aval_openid::http::{FORM, JSON};
use aval_openid::jwe::DecryptionKey;
use aval_openid::jwt::KeyName;
use aval_openid::vp::dcql::{Candidate, Presented, Query};
use aval_openid::vp::request::MEDIA_TYPE;
use aval_openid::vp::verifier::{ANSWER_BYTES_MAX, wallet_nonce};
use aval_openid::vp::{
    Answer, ClientId, Conclusion, Node, Secrets, Session, SessionDraft, SessionState, TransactionData, sd_jwt,
};
use aval_openid::{ErrorResponse, UrlPolicy};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{DefaultBodyLimit, Path, Query as Parameters, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a question is open, where the relying party does not say.
const LIFE_S: i64 = 300;
/// The longest that it may say.
const LIFE_MAX_S: i64 = 3600;
/// The longest that a request for an outcome waits for it.
const WAIT_MAX_S: u64 = 25;
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often a step is tried again when another request was faster.
const RACES_MAX: usize = 4;

/// How the verifier is known to wallets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By a DID, with the id of the signing key.
    Did {
        /// The DID.
        did: String,
        /// The DID URL of its key.
        key_id: String,
    },
    /// By certificates, the leaf first, as DER; the leaf is for this DNS name, which is that of the public URL.
    Dns {
        /// The name.
        name: String,
        /// The chain, without its root.
        chain: Vec<Vec<u8>>,
    },
    /// By the hash of its certificate (HAIP 1.0).
    Hash {
        /// The chain, without its root.
        chain: Vec<Vec<u8>>,
    },
}

impl Identity {
    fn client_id(&self) -> ClientId {
        match self {
            Self::Did { did, .. } => ClientId::Did(did.clone()),
            Self::Dns { name, .. } => ClientId::X509SanDns(name.clone()),
            Self::Hash { chain } => {
                let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
                ClientId::X509Hash(aval_openid::x509::leaf_hash(leaf))
            }
        }
    }

    fn key_name(&self) -> KeyName<'_> {
        match self {
            Self::Did { key_id, .. } => KeyName::Id(key_id),
            Self::Dns { chain, .. } | Self::Hash { chain } => KeyName::Certificates(chain),
        }
    }
}

/// One presentation to decide about.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The format that was asked for.
    pub format: &'a str,
    /// What the wallet sent.
    pub presentation: &'a Value,
    /// The nonce that it must be bound to.
    pub nonce: &'a str,
    /// Whom it must be made for.
    pub audience: &'a str,
    /// The time, Unix seconds.
    pub now_s: i64,
}

/// What the judge found.
#[derive(Clone)]
pub struct Judgement {
    /// Yes, no, or not to be found out.
    pub verified: Option<bool>,
    /// Checks, warnings and errors, for the relying party; holds no claim.
    pub report: Value,
    /// The credential's content, once verified.
    pub claims: Value,
    /// The `vct` of a `dc+sd-jwt` credential.
    pub vct: Option<String>,
    /// The types of a W3C credential.
    pub types: Vec<String>,
    /// Whether its holder proved possession of a key.
    pub holder_bound: bool,
    /// Who stands behind its issuer, as pairs of `trusted_authorities`.
    pub authorities: Vec<(String, String)>,
}

/// Decides about presentations: signature, issuer, dates, status, accreditation and the holder's binding to nonce and
/// audience. May ask others and take its time; it runs on a thread of its own.
pub trait Judge: Send + Sync + 'static {
    /// Decides.
    fn judge(&self, case: &Case<'_>) -> Judgement;
}

/// A verifier that answers wallets and relying parties.
pub struct Presentations {
    /// The address of the public side, without a slash at the end.
    pub public_url: String,
    /// How wallets know it.
    pub identity: Identity,
    /// Its key.
    pub signer: Arc<dyn Signer + Send + Sync>,
    /// Where sessions are kept.
    pub records: Records,
    /// Who decides.
    pub judge: Arc<dyn Judge>,
    /// Which addresses may be named.
    pub policy: UrlPolicy,
}

/// A question of a relying party.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPresentation {
    /// The query (DCQL).
    pub query: Value,
    /// What the user is to agree to: objects with `type`, `credential_ids` and what belongs to the type.
    #[serde(default)]
    pub transaction_data: Vec<Map<String, Value>>,
    /// Whether the answer travels encrypted; it does, if nothing is said.
    pub encrypted: Option<bool>,
    /// Where the user's browser goes on, if wallet and browser are on one device.
    pub redirect_uri: Option<String>,
    /// The name that wallets show.
    pub client_name: Option<String>,
    /// How long the question is open, in seconds.
    pub life_s: Option<i64>,
}

/// A question that is open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenPresentation {
    /// Its name.
    pub id: String,
    /// What the wallet takes: as a link or a QR code.
    pub link: String,
    /// Until when an answer is waited for, Unix seconds.
    pub expires_s: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fetch {
    response_code: Option<String>,
    wait_s: Option<u64>,
}

/// Fresh random bytes in base64url.
fn secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    b64u::encode(bytes)
}

/// What wallets see, below this path of the public side.
pub fn wallet_router(presentations: Arc<Presentations>, path: &str) -> Router {
    Router::new()
        .route(&format!("{path}/presentations/{{id}}/request"), get(object).post(object_for_wallet))
        .route(&format!("{path}/presentations/{{id}}/answer"), post(answer))
        .layer(DefaultBodyLimit::max(ANSWER_BYTES_MAX))
        .with_state(presentations)
}

/// What relying parties see. Whoever mounts it puts it behind their authentication.
pub fn relying_party_router(presentations: Arc<Presentations>) -> Router {
    Router::new()
        .route("/v1/presentations", post(create))
        .route("/v1/presentations/{id}", get(outcome))
        .with_state(presentations)
}

type Shared = State<Arc<Presentations>>;

async fn create(State(service): Shared, body: Result<Json<NewPresentation>, JsonRejection>) -> Response {
    let Json(asked) = match body {
        Ok(body) => body,
        Err(rejection) => return Problem::invalid(rejection.body_text()).into_response(),
    };
    match service.ask(asked).await {
        Ok(open) => (StatusCode::CREATED, Json(open)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn outcome(
    State(service): Shared,
    Path(id): Path<String>,
    Parameters(fetch): Parameters<Fetch>,
) -> Response {
    let wait = Duration::from_secs(fetch.wait_s.unwrap_or_default().min(WAIT_MAX_S));
    let until = tokio::time::Instant::now() + wait;
    loop {
        let session = match service.read(&id).await {
            Ok(Some((_, session))) => session,
            Ok(None) => return Problem::not_found("there is no presentation of this name").into_response(),
            Err(error) => return Problem::internal(&error).into_response(),
        };
        if session.state() != SessionState::Concluded && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let expired = session.state() != SessionState::Concluded && session.expires_s() <= now_s();
        let state = if expired { json!("expired") } else { json!(session.state()) };
        return match session.result(fetch.response_code.as_deref()) {
            Ok(conclusion) => {
                Json(json!({"id": id, "state": state, "conclusion": conclusion})).into_response()
            }
            Err(error) => {
                let title = "The response code is missing or wrong";
                Problem::new(StatusCode::FORBIDDEN, "presentation.response_code", title, error.description)
                    .into_response()
            }
        };
    }
}

fn refuse(error: &ErrorResponse) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = [(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-store")];
    let mut response = (status, headers, error.body()).into_response();
    response.extensions_mut().insert(InForm);
    response
}

fn failed(reason: &dyn std::fmt::Display) -> ErrorResponse {
    tracing::error!(%reason, "a presentation failed");
    ErrorResponse { status: 500, error: "server_error", description: "the service failed" }
}

fn unknown() -> ErrorResponse {
    ErrorResponse { status: 404, error: "invalid_request", description: "there is no request of this name" }
}

fn faster() -> ErrorResponse {
    ErrorResponse { status: 409, error: "invalid_request", description: "the request was answered already" }
}

async fn object(State(service): Shared, Path(id): Path<String>) -> Response {
    service.object(&id, None).await.unwrap_or_else(|error| refuse(&error))
}

async fn object_for_wallet(
    State(service): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let nonce = form_of(&headers, body).and_then(|form| wallet_nonce(&form));
    match nonce {
        Ok(nonce) => service.object(&id, nonce.as_deref()).await.unwrap_or_else(|error| refuse(&error)),
        Err(error) => refuse(&error),
    }
}

async fn answer(
    State(service): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let outcome = match form_of(&headers, body) {
        Ok(form) => service.answer(&id, &form).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(reply) => {
            let headers = [(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-store")];
            (headers, reply).into_response()
        }
        Err(error) => refuse(&error),
    }
}

fn form_of(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Bytes, ErrorResponse> {
    if !crate::layers::has_media_type(headers, FORM) {
        return Err(ErrorResponse::invalid_request("the body is not a form"));
    }
    body.map_err(|rejection| {
        let description = "the body is too large or did not arrive";
        ErrorResponse { status: rejection.status().as_u16(), error: "invalid_request", description }
    })
}

impl Presentations {
    /// Begins with a question.
    pub async fn ask(&self, asked: NewPresentation) -> Result<OpenPresentation, Problem> {
        let invalid = |reason: &dyn std::fmt::Display| Problem::invalid(reason.to_string());
        let query = Query::from_value(asked.query).map_err(|error| invalid(&error))?;
        let mut transaction_data = Vec::new();
        for mut members in asked.transaction_data {
            let kind = members.remove("type");
            let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
            let ids = members.remove("credential_ids").unwrap_or_default();
            let ids: Vec<&str> = ids.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            transaction_data
                .push(TransactionData::new(kind, &ids, &members).map_err(|error| invalid(&error))?);
        }
        let life_s = asked.life_s.unwrap_or(LIFE_S);
        if !(1..=LIFE_MAX_S).contains(&life_s) {
            return Err(Problem::invalid(format!("lifeS must be between 1 and {LIFE_MAX_S}")));
        }
        let name = asked.client_name.map(|name| ("client_name".to_owned(), Strict::String(name)));
        let draft = SessionDraft {
            query,
            transaction_data,
            encrypted: asked.encrypted.unwrap_or(true),
            redirect_uri: asked.redirect_uri,
            client_metadata: BTreeMap::from_iter(name),
            life_s,
        };
        let secrets = Secrets {
            nonce: secret(),
            state: secret(),
            response_code: secret(),
            decryption: DecryptionKey::generate(),
        };
        let id = secret();
        let answer = format!("{}/presentations/{id}/answer", self.public_url);
        let session =
            Session::new(&draft, self.identity.client_id(), &answer, &secrets, self.policy, now_s())
                .map_err(|error| invalid(&error))?;
        let text = serde_json::to_string(&session).map_err(|error| Problem::internal(&error))?;
        let stored = self.records.insert_presentation(&id, &text, session.expires_s()).await;
        stored.map_err(|error| Problem::internal(&error))?;
        let object = format!("{}/presentations/{id}/request", self.public_url);
        let link = session.link("openid4vp://", &object, true);
        Ok(OpenPresentation { id, link, expires_s: session.expires_s() })
    }

    async fn read(&self, id: &str) -> Result<Option<(String, Session)>, RecordsError> {
        let Some(text) = self.records.presentation(id).await? else { return Ok(None) };
        let session =
            serde_json::from_str(&text).map_err(|error| RecordsError::NotMade(error.to_string()))?;
        Ok(Some((text, session)))
    }

    /// Takes a step of a session and stores it; another step that was faster makes it look again.
    async fn step<T>(
        &self,
        id: &str,
        mut step: impl FnMut(&mut Session) -> Result<T, ErrorResponse>,
    ) -> Result<(T, Session), ErrorResponse> {
        for _ in 0..RACES_MAX {
            let read = self.read(id).await.map_err(|error| failed(&error))?;
            let (text, mut session) = read.ok_or_else(unknown)?;
            let taken = step(&mut session)?;
            let moved = serde_json::to_string(&session).map_err(|error| failed(&error))?;
            let moved = self.records.move_presentation(id, &text, &moved).await;
            if moved.map_err(|error| failed(&error))? {
                return Ok((taken, session));
            }
        }
        Err(faster())
    }

    /// The signed request for a wallet.
    async fn object(&self, id: &str, nonce: Option<&str>) -> Result<Response, ErrorResponse> {
        let step = |session: &mut Session| {
            session.request_object(self.signer.as_ref(), self.identity.key_name(), nonce, now_s())
        };
        let (object, _) = self.step(id, step).await?;
        let object = object.map_err(|error| failed(&error))?;
        let headers = [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "no-store")];
        Ok((headers, object).into_response())
    }

    /// An answer of a wallet: taken once, judged, and its outcome stored before the wallet hears.
    async fn answer(self: &Arc<Self>, id: &str, form: &[u8]) -> Result<Vec<u8>, ErrorResponse> {
        let (answer, session) = self.step(id, |session| session.accept(form, now_s())).await?;
        let Answer::Presentations(all) = answer else { return Ok(session.reply()) };
        let (service, judged) = (self.clone(), session.clone());
        let conclusion = tokio::task::spawn_blocking(move || service.conclude(&judged, &all)).await;
        let conclusion = conclusion.unwrap_or_else(|error| {
            tracing::error!(%error, "the judge failed");
            Conclusion::Undecided { result: json!({"reason": "the service failed"}) }
        });
        let (_, session) = self
            .step(id, |session| {
                session.conclude(conclusion.clone());
                Ok(())
            })
            .await?;
        Ok(session.reply())
    }

    /// Decides about all presentations of an answer, and whether together they are what was asked.
    fn conclude(&self, session: &Session, all: &BTreeMap<String, Vec<Value>>) -> Conclusion {
        let Ok(query) = session.query() else {
            return Conclusion::Undecided { result: json!({"reason": "the session cannot be read"}) };
        };
        let mut judged = Vec::new();
        for (id, presentation) in
            all.iter().flat_map(|(id, list)| list.iter().map(move |one| (id.as_str(), one)))
        {
            let format = query.credential(id).map(|asked| asked.format.as_str()).unwrap_or_default();
            let case = Case {
                format,
                presentation,
                nonce: session.nonce(),
                audience: session.audience(),
                now_s: now_s(),
            };
            judged.push((id, format, presentation, self.judge.judge(&case)));
        }
        let reports = || -> Vec<Value> {
            let one = |one: &Judged<'_>| {
                let (id, _, _, judgement) = one;
                json!({"id": id, "verified": judgement.verified, "report": judgement.report})
            };
            judged.iter().map(one).collect()
        };
        if judged.iter().any(|(_, _, _, judgement)| judgement.verified == Some(false)) {
            return Conclusion::Rejected { result: json!({"presentations": reports()}) };
        }
        if judged.iter().any(|(_, _, _, judgement)| judgement.verified.is_none()) {
            return Conclusion::Undecided { result: json!({"presentations": reports()}) };
        }
        match check(session, &judged) {
            Ok(()) => {
                let one = |one: &Judged<'_>| {
                    let (id, _, _, judgement) = one;
                    json!({"id": id, "claims": judgement.claims, "report": judgement.report})
                };
                let credentials: Vec<Value> = judged.iter().map(one).collect();
                Conclusion::Verified { result: json!({ "credentials": credentials }) }
            }
            Err(reason) => {
                Conclusion::Rejected { result: json!({"reason": reason, "presentations": reports()}) }
            }
        }
    }
}

/// The id of a credential query, its format, what answers it, and what the judge found.
type Judged<'a> = (&'a str, &'a str, &'a Value, Judgement);

/// Whether verified presentations are what was asked for.
fn check(session: &Session, judged: &[Judged<'_>]) -> Result<(), String> {
    let mut trees = Vec::new();
    let mut bindings = Vec::new();
    for (id, format, presentation, judgement) in judged {
        let sd_jwt = presentation.as_str().filter(|_| format.ends_with("+sd-jwt"));
        trees.push(match sd_jwt {
            Some(text) => Node::of_sd_jwt(text)?,
            None => Node::plain(&judgement.claims),
        });
        if let Some(text) = sd_jwt.filter(|_| judgement.holder_bound) {
            bindings.push((*id, sd_jwt::key_binding_payload(text)?));
        }
    }
    let presented: Vec<_> = judged
        .iter()
        .zip(&trees)
        .map(|((id, format, _, judgement), claims)| Presented {
            id,
            candidate: Candidate {
                format,
                vct: judgement.vct.as_deref(),
                types: &judgement.types,
                claims,
                authorities: &judgement.authorities,
                holder_bound: judgement.holder_bound,
            },
        })
        .collect();
    let bindings: Vec<_> = bindings.iter().map(|(id, payload)| (*id, payload)).collect();
    session.check(&presented, &bindings)
}
