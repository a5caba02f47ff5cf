//! OpenID4VP for relying parties: they ask a question, show its link, and fetch the outcome; wallets come in between.
//!
//! The protocol's rules are `aval-openid`'s. Here its sessions meet the records, where one answer of several wins, and
//! a [`Judge`], which decides about each presentation. What the judge could not find out is an outcome of its own, and
//! never a yes. An outcome holds claims: it is kept for a day, or until the relying party removes it.

use crate::clock::now_s;
use crate::layers::{InForm, has_media_type};
use crate::problem::Problem;
use crate::storage::{Records, RecordsError};
use aval_codec::{Json as Strict, b64u};
use aval_did::key::Signer;
use aval_formats::json::{self as strict, Limits};
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
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Query as Parameters, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a question is open, where the relying party does not say.
const LIFE_S: i64 = 300;
/// The longest that it may say.
const LIFE_MAX_S: i64 = 3600;
/// The longest that a request for an outcome waits for it.
const WAIT_MAX_S: u64 = 25;
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The longest that a stream of events lasts; who listens comes back, as browsers do by themselves.
const EVENTS_MAX: Duration = Duration::from_secs(100);
/// How long an answer that came in time is judged at most, in seconds.
const JUDGED_S: i64 = 120;
/// Questions that may be open at a time, on all instances.
const OPEN_MAX: i64 = 10_000;
/// The longest name that wallets are to show.
const NAME_LENGTH_MAX: usize = 256;
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
    /// Whether the holder must prove possession of a key.
    pub holder_binding: bool,
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
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPresentation {
    /// The query (DCQL, OpenID4VP 1.0 section 6).
    #[schema(value_type = Object, example = json!({"credentials": [{
        "id": "diploma", "format": "vc+sd-jwt", "meta": {"type_values": [["Diploma"]]},
        "claims": [{"path": ["credentialSubject", "name"]}]}]}))]
    pub query: Value,
    /// What the user is to agree to: objects with `type`, `credential_ids` and what belongs to the type.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub transaction_data: Vec<Map<String, Value>>,
    /// Whether the answer travels encrypted; it does, if nothing is said.
    pub encrypted: Option<bool>,
    /// Where the user's browser goes on, if wallet and browser are on one device.
    pub redirect_uri: Option<String>,
    /// The name that wallets show.
    pub client_name: Option<String>,
    /// How long the question is open, in seconds: 300 if nothing is said, at most 3,600.
    pub life_s: Option<i64>,
}

/// A question that is open.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenPresentation {
    /// Its name.
    pub id: String,
    /// What the wallet takes: as a link or a QR code.
    pub link: String,
    /// Until when an answer is waited for, Unix seconds.
    pub expires_s: i64,
}

/// How an outcome is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Fetch {
    /// The code with which the user's browser came back, if the question has a `redirectUri`.
    response_code: Option<String>,
    /// How long the answer may wait for the outcome, in seconds, at most 25.
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

/// What relying parties see, with its description. Whoever mounts it puts it behind their authentication.
pub fn relying_party_routes() -> OpenApiRouter<Arc<Presentations>> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(outcome, forget)).routes(routes!(events))
}

/// [`relying_party_routes`] without the description.
pub fn relying_party_router(presentations: Arc<Presentations>) -> Router {
    relying_party_routes().split_for_parts().0.with_state(presentations)
}

type Shared = State<Arc<Presentations>>;
type Body = Result<Bytes, BytesRejection>;

/// Ask holders of credentials
///
/// The answer has a link, which wallets take as a link or a QR code. The wallet gets a signed request from this
/// verifier and posts what its user agreed to; whoever asked learns what came of it under the `id`.
///
/// Role: verifier.
#[utoipa::path(
    post, path = "/v1/presentations", tag = "ask", security(("token" = [])), request_body = NewPresentation,
    responses(
        (status = 201, description = "The question is open", body = OpenPresentation),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 403, description = "The operator's role does not allow it", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is not application/json", body = Problem),
        (status = 422, description = "It is no question that wallets would take", body = Problem),
        (status = 503, description = "Too many questions are open", body = Problem),
    )
)]
async fn create(State(service): Shared, headers: HeaderMap, body: Body) -> Response {
    let asked = match read(&headers, body) {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    match service.ask(asked).await {
        Ok(open) => (StatusCode::CREATED, Json(open)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Reads a question by the strict rules: a member that occurs twice could mean something else to somebody else.
fn read(headers: &HeaderMap, body: Body) -> Result<NewPresentation, Problem> {
    if !has_media_type(headers, JSON) {
        return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = body.map_err(|rejection| Problem::of_status(rejection.status()))?;
    let members = strict::parse_object(&body, "question", Limits::default());
    let members = members.map_err(|error| Problem::invalid(error.to_string()))?;
    serde_json::from_value(Value::Object(members)).map_err(|error| Problem::invalid(error.to_string()))
}

fn missing() -> Problem {
    Problem::not_found("there is no presentation of this name")
}

/// What came of a question
///
/// `state` is `waiting`, `fetched` (a wallet has the request), `answered`, `concluded` or `expired`. Once concluded,
/// `conclusion.outcome` is `verified`, `rejected`, `undecided` (it could not be checked: neither yes nor no) or
/// `declined` by the wallet. Only what was verified is shown, with its claims.
///
/// Role: verifier.
#[utoipa::path(
    get, path = "/v1/presentations/{id}", tag = "ask", security(("token" = [])),
    params(("id" = String, Path, description = "The question"), Fetch),
    responses(
        (status = 200, description = "`id`, `state`, `conclusion`", body = Object),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 403, description = "The response code is missing or wrong", body = Problem),
        (status = 404, description = "There is no such question", body = Problem),
    )
)]
async fn outcome(
    State(service): Shared,
    Path(id): Path<String>,
    Parameters(fetch): Parameters<Fetch>,
) -> Response {
    let wait = Duration::from_secs(fetch.wait_s.unwrap_or_default().min(WAIT_MAX_S));
    let until = Instant::now() + wait;
    loop {
        let session = match service.read(&id).await {
            Ok(Some((_, session))) => session,
            Ok(None) => return missing().into_response(),
            Err(error) => return Problem::internal(&error).into_response(),
        };
        let state = state_of(&session);
        if !is_last(state) && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
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

/// Remove a question and what came of it
///
/// A wallet that comes later finds nothing. Role: verifier.
#[utoipa::path(
    delete, path = "/v1/presentations/{id}", tag = "ask", security(("token" = [])),
    params(("id" = String, Path, description = "The question")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 404, description = "There is no such question", body = Problem),
    )
)]
async fn forget(State(service): Shared, Path(id): Path<String>) -> Response {
    match service.records.remove_presentation(&id).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => missing().into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

/// Follow a question
///
/// Server-sent events named `state`, each with `{"id", "state"}` and no claim; the stream ends with the question. The
/// outcome itself is then asked for. Role: verifier.
#[utoipa::path(
    get, path = "/v1/presentations/{id}/events", tag = "ask", security(("token" = [])),
    params(("id" = String, Path, description = "The question")),
    responses(
        (status = 200, description = "Events", content_type = "text/event-stream", body = String),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 404, description = "There is no such question", body = Problem),
    )
)]
async fn events(State(service): Shared, Path(id): Path<String>) -> Response {
    match service.read(&id).await {
        Ok(Some(_)) => {}
        Ok(None) => return missing().into_response(),
        Err(error) => return Problem::internal(&error).into_response(),
    }
    let until = Instant::now() + EVENTS_MAX;
    let begin = (service, id, None::<&'static str>);
    let changes = stream::unfold(begin, move |(service, id, mut told)| async move {
        loop {
            if told.is_some_and(is_last) || Instant::now() >= until {
                return None;
            }
            // One that was removed has nothing more to tell, and one that cannot be read is asked for again.
            let session = service.read(&id).await.ok()?.map(|(_, session)| session)?;
            let state = state_of(&session);
            if told != Some(state) {
                told = Some(state);
                let event =
                    Event::default().event("state").data(json!({"id": id, "state": state}).to_string());
                return Some((Ok::<_, Infallible>(event), (service, id, told)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    Sse::new(changes).keep_alive(KeepAlive::default()).into_response()
}

/// Where a question stands, in a word.
fn state_of(session: &Session) -> &'static str {
    let late_s = now_s().saturating_sub(session.expires_s());
    match session.state() {
        SessionState::Concluded => "concluded",
        SessionState::Answered if late_s < JUDGED_S => "answered",
        _ if late_s >= 0 => "expired",
        // A service that ended while it judged does not come back to it.
        SessionState::Answered => "answered",
        SessionState::Waiting => "waiting",
        SessionState::Fetched => "fetched",
    }
}

/// Whether nothing comes after this.
fn is_last(state: &str) -> bool {
    matches!(state, "concluded" | "expired")
}

fn refuse(error: &ErrorResponse) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = [(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-store")];
    let mut response = (status, headers, error.body()).into_response();
    response.extensions_mut().insert(InForm);
    response
}

/// An error that no handler made, in the words of the specifications.
pub fn error_of_status(status: StatusCode) -> Response {
    let (error, description) = match status {
        StatusCode::NOT_FOUND => ("invalid_request", "there is nothing here"),
        StatusCode::METHOD_NOT_ALLOWED => ("invalid_request", "this endpoint does not take this method"),
        StatusCode::REQUEST_TIMEOUT => ("invalid_request", "the request took too long"),
        StatusCode::PAYLOAD_TOO_LARGE => ("invalid_request", "the request is too large"),
        StatusCode::SERVICE_UNAVAILABLE => ("temporarily_unavailable", "try again later"),
        status if status.is_server_error() => ("server_error", "the service failed"),
        _ => ("invalid_request", "the request cannot be read"),
    };
    refuse(&ErrorResponse { status: status.as_u16(), error, description })
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
    body: Body,
) -> Response {
    let nonce = form_of(&headers, body).and_then(|form| wallet_nonce(&form));
    match nonce {
        Ok(nonce) => service.object(&id, nonce.as_deref()).await.unwrap_or_else(|error| refuse(&error)),
        Err(error) => refuse(&error),
    }
}

async fn answer(State(service): Shared, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
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

fn form_of(headers: &HeaderMap, body: Body) -> Result<Bytes, ErrorResponse> {
    if !has_media_type(headers, FORM) {
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
        if asked.client_name.as_ref().is_some_and(|name| name.len() > NAME_LENGTH_MAX) {
            return Err(Problem::invalid(format!("clientName has at most {NAME_LENGTH_MAX} bytes")));
        }
        if self.records.open_presentations(now_s()).await? >= OPEN_MAX {
            let detail = "try again when some of them are answered or have expired";
            let title = "Too many questions are open";
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "presentation.too_many",
                title,
                detail,
            ));
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
        // What the reader says could quote a claim.
        let unreadable = |_| RecordsError::NotMade("a kept presentation cannot be read".to_owned());
        let session = serde_json::from_str(&text).map_err(unreadable)?;
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
            // The words of a panic could quote a claim.
            tracing::error!(panicked = error.is_panic(), "the judge failed");
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
            let asked = query.credential(id);
            let format = asked.map(|asked| asked.format.as_str()).unwrap_or_default();
            let case = Case {
                format,
                holder_binding: asked.is_none_or(|asked| asked.require_cryptographic_holder_binding),
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
