//! VC-API (VCALM 1.0) for issuers: `POST /credentials/issue` and `POST /credentials/status`, for operators.
//!
//! The client brings a credential without proof; the issuer decides whether it may be issued: it has to be its own, of
//! types that the ledger accredits it for. Then it gets status entries at random indices, a record, and a Data
//! Integrity proof by the active key. An [`instance`](super::instance) does the same under
//! `/instances/{name}/credentials/issue` in its own way.

use super::access::{Office, Operator};
use super::admin::EMPTY;
use super::decisions::Issuer;
use super::instance::{Instance, Securing};
use super::make::status_entries;
use super::status::Change;
use crate::clock::now_s;
use crate::layers::{InForm, has_media_type};
use crate::problem::Problem;
use crate::storage::{Entry, IssuanceRow, RecordsError};
use aval_did::key::Algorithm;
use aval_formats::data_integrity::{self, ProofOptions, Suite};
use aval_formats::date::{self, Rounding};
use aval_formats::jose;
use aval_formats::json::Limits;
use aval_formats::vc_api::{IssueRequest, Reply, RequestError, StatusRequest, issued};
use aval_formats::vcdm::{self, Version};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use rand::RngExt as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 128 * 1024;
/// The format in the records.
const FORMAT: &str = "ldp_vc";

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, Json(reply.body)).into_response();
    response.extensions_mut().insert(InForm);
    response
}

fn body_of(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Bytes, StatusCode> {
    if !has_media_type(headers, "application/json") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    body.map_err(|rejection| rejection.status())
}

/// Issue a credential (VC-API)
///
/// Role: issuer.
#[utoipa::path(post, path = "/credentials/issue", request_body(content = Object, example = json!({"credential": {}})),
    responses((status = 201, description = "`verifiableCredential`", body = Object),
    (status = 400, description = "It is no credential that this issuer can issue", body = Object),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 413, description = "The body is too large", body = Object),
    (status = 422, description = "The ledger does not accredit the issuer for it", body = Problem),
    (status = 503, description = "The ledger cannot be reached", body = Problem)))]
pub async fn issue(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body_of(&headers, body) {
        Ok(body) => body,
        Err(status) => return Problem::of_status(status).into_response(),
    };
    let request = match IssueRequest::read(&body, now_s(), Limits::default()) {
        Ok(request) => request,
        Err(error) => return answer(error.reply()),
    };
    answered(issue_one(&office.issuer, None, request, &operator.name).await)
}

/// Issue a credential as an instance (VC-API)
///
/// Role: issuer.
#[utoipa::path(post, path = "/instances/{name}/credentials/issue",
    params(("name" = String, Path, description = "The instance")),
    request_body(content = Object, example = json!({"credential": {}})),
    responses((status = 201, description = "`verifiableCredential`", body = Object),
    (status = 400, description = "It is no credential that this issuer can issue", body = Object),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "There is no such instance", body = Problem),
    (status = 413, description = "The body is too large", body = Object),
    (status = 422, description = "The ledger does not accredit the issuer for it", body = Problem),
    (status = 503, description = "The ledger cannot be reached", body = Problem)))]
pub async fn issue_as(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(instance) = office.issuer.instances().get(&name) else {
        return Problem::not_found("there is no such instance").into_response();
    };
    let body = match body_of(&headers, body) {
        Ok(body) => body,
        Err(status) => return Problem::of_status(status).into_response(),
    };
    match IssueRequest::read(&body, now_s(), Limits::default()) {
        Ok(request) => answered(issue_one(&office.issuer, Some(instance), request, &operator.name).await),
        Err(error) => answer(error.reply()),
    }
}

fn answered(outcome: Result<Value, Refusal>) -> Response {
    match outcome {
        Ok(credential) => answer(issued(credential)),
        Err(Refusal::Request(error)) => answer(error.reply()),
        Err(Refusal::Problem(problem)) => problem.into_response(),
    }
}

enum Refusal {
    Request(RequestError),
    Problem(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// Who issues: the issuer itself, or an instance.
struct Author<'a> {
    did: &'a str,
    key_id: &'a str,
    signer: &'a (dyn aval_formats::Signer + Sync),
    securing: Securing,
    instance: Option<&'a Instance>,
}

impl Author<'_> {
    /// The credential as it is given out.
    fn secure(&self, credential: &Value, mandatory: &[String], now_s: i64) -> Result<Value, String> {
        let secured = match self.securing {
            Securing::Proof(suite) => {
                let options = ProofOptions {
                    created: date::format(now_s),
                    mandatory_pointers: mandatory.to_vec(),
                    ..ProofOptions::new(suite, self.key_id, "assertionMethod")
                };
                data_integrity::secure(credential, &options, self.signer)
            }
            Securing::Jwt => jose::sign_credential(credential, self.key_id, self.signer).map(|jwt| {
                json!({
                    "@context": vcdm::CONTEXT_2_0,
                    "id": format!("data:application/vc+jwt,{jwt}"),
                    "type": "EnvelopedVerifiableCredential",
                })
            }),
        };
        secured.map_err(|error| error.to_string())
    }

    /// Checks what this way of securing cannot do.
    fn check(&self, request: &IssueRequest) -> Result<(), RequestError> {
        let is_selective = self.securing == Securing::Proof(Suite::EcdsaSd2023);
        if !request.mandatory_pointers.is_empty() && !is_selective {
            return Err(RequestError::UnknownOption);
        }
        if self.securing == Securing::Jwt && request.version == Version::V1 {
            return Err(RequestError::Member("a credential of version 1.1 is not secured as vc+jwt"));
        }
        if request.issuer() != Some(self.did) {
            return Err(RequestError::Member("`credential.issuer` is not this issuer"));
        }
        Ok(())
    }
}

async fn issue_one(
    issuer: &Arc<Issuer>,
    instance: Option<&Instance>,
    request: IssueRequest,
    operator: &str,
) -> Result<Value, Refusal> {
    let key = issuer.keys().active();
    let own = instance.and_then(|instance| instance.own.as_ref());
    let securing = instance.map_or_else(|| Securing::Proof(usual(key.algorithm())), |one| one.securing);
    let author = match own {
        Some(own) => Author { did: &own.did, key_id: &own.id, signer: &own.key, securing, instance },
        None => {
            Author { did: issuer.keys().did().as_str(), key_id: key.id(), signer: &*key, securing, instance }
        }
    };
    author.check(&request)?;
    let types: Vec<String> = vcdm::types_of(&request.credential)
        .into_iter()
        .filter(|name| *name != "VerifiableCredential")
        .map(str::to_owned)
        .collect();
    let credential_type = match (types.first(), own) {
        (Some(first), _) => first.clone(),
        (None, Some(_)) => "VerifiableCredential".to_owned(),
        (None, None) => {
            let reason = "`credential.type` names no type that could be accredited";
            return Err(RequestError::Member(reason).into());
        }
    };
    if own.is_none() {
        let roles = roles_of(&request.credential);
        for name in &types {
            issuer.check_accreditation(name, &roles).await?;
        }
    }
    let (id, now_s) = (Uuid::new_v4().to_string(), now_s());
    let mut credential = request.credential;
    let expires_s = complete(issuer, &mut credential, request.version, &id, now_s)?;
    let text = |name: &str| credential.get(name).and_then(Value::as_str).map(str::to_owned);
    let given = request.credential_id.or_else(|| text("id"));
    let wanted = IssuanceRow {
        credential_id: given.unwrap_or_else(|| format!("urn:uuid:{id}")),
        id,
        credential_type,
        format: if securing == Securing::Jwt { "vc+jwt" } else { FORMAT }.to_owned(),
        subject: EMPTY.to_owned(),
        key_id: author.key_id.to_owned(),
        issued_s: now_s,
        expires_s,
        state: "valid".to_owned(),
        ..IssuanceRow::default()
    };
    let make = |row: &IssuanceRow| {
        let mut credential = credential.clone();
        add_status(issuer, &mut credential, row, author.instance);
        author.secure(&credential, &request.mandatory_pointers, now_s)
    };
    let slots = if instance.is_none_or(|one| one.status) { issuer.config().slots() } else { Vec::new() };
    let entry = Entry::of(operator, "credential.issued", &wanted.id, now_s);
    let draw = |size| rand::rng().random_range(0..size);
    let made = issuer.records().issue_directly(&wanted, &slots, draw, make, &entry).await;
    let made = made.map_err(|error| match error {
        RecordsError::NotMade(reason) => Problem::invalid(reason),
        other => other.into(),
    })?;
    issuer.counters().issued.inc();
    tracing::info!(issuance = wanted.id, "issued");
    Ok(made)
}

/// The suite that nobody asked for in particular.
fn usual(algorithm: Algorithm) -> Suite {
    match algorithm {
        Algorithm::EdDsa => Suite::EddsaJcs2022,
        Algorithm::Es256 => Suite::EcdsaJcs2019,
    }
}

/// The roles that a credential gives its subjects.
fn roles_of(credential: &Value) -> BTreeSet<String> {
    let subjects = match credential.get("credentialSubject") {
        Some(Value::Array(subjects)) => subjects.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let roles = subjects.iter().filter_map(|subject| subject.get("role"));
    let names = roles.flat_map(|role| match role {
        Value::Array(names) => names.as_slice(),
        one => std::slice::from_ref(one),
    });
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Fills in what the issuer owes each credential; gives its end, Unix seconds.
fn complete(
    issuer: &Issuer,
    credential: &mut Value,
    version: Version,
    id: &str,
    now_s: i64,
) -> Result<i64, Refusal> {
    let ours = |entry: &Value| {
        let list = entry.get("statusListCredential").and_then(Value::as_str).unwrap_or_default();
        issuer.config().slots().iter().any(|slot| slot.list == list)
    };
    let given = match credential.get("credentialStatus") {
        Some(Value::Array(entries)) => entries.iter().any(ours),
        Some(entry) => ours(entry),
        None => false,
    };
    if given {
        // An index that somebody chose could be another credential's.
        return Err(RequestError::Member(
            "`credentialStatus` names a list of this issuer: it draws the index",
        )
        .into());
    }
    let until_s = now_s.saturating_add(i64::from(issuer.config().credential.validity_days) * 86_400);
    let (from, until) = match version {
        Version::V2 => ("validFrom", "validUntil"),
        Version::V1 => ("issuanceDate", "expirationDate"),
    };
    let Some(members) = credential.as_object_mut() else {
        return Err(RequestError::Member("`credential` is not an object").into());
    };
    members.entry("id").or_insert_with(|| format!("urn:uuid:{id}").into());
    let dates = date::format(now_s).zip(date::format(until_s));
    let (now, end) = dates.ok_or_else(|| Problem::internal(&"the clock is wrong"))?;
    members.entry(from).or_insert(now.into());
    let end = members.entry(until).or_insert(end.into()).clone();
    let end = end.as_str().and_then(|text| date::parse(text, Rounding::Down));
    end.ok_or_else(|| RequestError::Member("the end of validity is no date").into())
}

/// Adds the status entries of a new issuance to those that the client gave.
fn add_status(issuer: &Issuer, credential: &mut Value, row: &IssuanceRow, instance: Option<&Instance>) {
    let mut row = row.clone();
    if let Some(name) = instance.filter(|one| one.own.is_some()).map(|one| one.name.as_str()) {
        // The same bits in a list that the instance signs.
        row.status.iter_mut().for_each(|entry| entry.list = issuer.config().list_uri_of(name, &entry.list));
    }
    if row.status.is_empty() {
        return;
    }
    let Some(members) = credential.as_object_mut() else { return };
    let mut all = match members.remove("credentialStatus") {
        Some(Value::Array(given)) => given,
        Some(given) => vec![given],
        None => Vec::new(),
    };
    all.extend(status_entries(&row));
    members.insert("credentialStatus".to_owned(), Value::Array(all));
}

/// Change the status of a credential (VC-API)
///
/// Answers when the change is final on the ledger. Role: revoker.
#[utoipa::path(post, path = "/credentials/status", request_body(content = Object), responses(
    (status = 200, description = "It is changed"),
    (status = 400, description = "The request cannot be read", body = Object),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "This issuer issued no such credential", body = Problem),
    (status = 409, description = "The status cannot be changed in this way", body = Problem),
    (status = 503, description = "The ledger cannot be reached or is not done yet", body = Problem)))]
pub async fn status(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body_of(&headers, body) {
        Ok(body) => body,
        Err(status) => return Problem::of_status(status).into_response(),
    };
    let request = match StatusRequest::read(&body, Limits::default()) {
        Ok(request) => request,
        Err(error) => return answer(error.reply()),
    };
    match change_one(&office.issuer, &request, &operator.name).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn change_one(issuer: &Arc<Issuer>, request: &StatusRequest, operator: &str) -> Result<(), Problem> {
    let change = match (request.purpose.as_str(), request.status) {
        ("revocation", true) => Change::Revoke,
        ("suspension", true) => Change::Suspend,
        ("suspension", false) => Change::Resume,
        _ => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "issuance.no_status",
                "The credential cannot be changed in this way",
                "a revocation is set and stays; a suspension is set and lifted",
            ));
        }
    };
    let records = issuer.records();
    let missing = || Problem::not_found("this issuer issued no such credential");
    let found = match (&request.list, request.index) {
        (Some(list), Some(index)) => {
            let index = i64::try_from(index).map_err(|_| missing())?;
            records.issuance_at(&issuer.config().list_behind(list), index).await?
        }
        _ => records.issuance_of(&request.credential_id).await?,
    };
    let id = found.ok_or_else(missing)?;
    let row = records.issuance(&id).await?.ok_or_else(missing)?;
    if row.credential_id != request.credential_id {
        return Err(missing());
    }
    issuer.change(&id, change, operator).await.map(drop)
}
