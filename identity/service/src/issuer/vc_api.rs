//! VC-API (VCALM 1.0) for issuers: `POST /credentials/issue` and `POST /credentials/status`, for operators.
//!
//! The client brings a credential without proof; the issuer decides whether it may be issued: it has to be its own, of
//! types that the ledger accredits it for. Then it gets status entries at random indices, a record, and a Data
//! Integrity proof by the active key.

use super::access::{Office, Operator};
use super::admin::EMPTY;
use super::decisions::Issuer;
use super::status::Change;
use crate::clock::now_s;
use crate::layers::{InForm, has_media_type};
use crate::problem::Problem;
use crate::storage::{Entry, IssuanceRow, RecordsError};
use aval_did::key::Algorithm;
use aval_formats::data_integrity::{self, ProofOptions, Suite};
use aval_formats::date::{self, Rounding};
use aval_formats::json::Limits;
use aval_formats::status::BitstringEntry;
use aval_formats::vc_api::{IssueRequest, Reply, RequestError, StatusRequest, issued};
use aval_formats::vcdm::{self, Version};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
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
    match issue_one(&office.issuer, request, &operator.name).await {
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

async fn issue_one(issuer: &Arc<Issuer>, request: IssueRequest, operator: &str) -> Result<Value, Refusal> {
    let did = issuer.keys().did().as_str();
    if request.issuer() != Some(did) {
        return Err(RequestError::Member("`credential.issuer` is not this issuer").into());
    }
    if !request.mandatory_pointers.is_empty() {
        return Err(RequestError::UnknownOption.into());
    }
    let types: Vec<String> = vcdm::types_of(&request.credential)
        .into_iter()
        .filter(|name| *name != "VerifiableCredential")
        .map(str::to_owned)
        .collect();
    let Some(credential_type) = types.first().cloned() else {
        return Err(RequestError::Member("`credential.type` names no type that could be accredited").into());
    };
    let roles = roles_of(&request.credential);
    for name in &types {
        issuer.check_accreditation(name, &roles).await?;
    }
    let now_s = now_s();
    let (id, key) = (Uuid::new_v4().to_string(), issuer.keys().active());
    let mut credential = request.credential;
    let expires_s = complete(issuer, &mut credential, request.version, &id, now_s)?;
    let text = |name: &str| credential.get(name).and_then(Value::as_str).map(str::to_owned);
    let wanted = IssuanceRow {
        credential_id: request
            .credential_id
            .or_else(|| text("id"))
            .unwrap_or_else(|| format!("urn:uuid:{id}")),
        id,
        credential_type,
        format: FORMAT.to_owned(),
        subject: EMPTY.to_owned(),
        key_id: key.id().to_owned(),
        issued_s: now_s,
        expires_s,
        state: "valid".to_owned(),
        ..IssuanceRow::default()
    };
    let suite = match key.algorithm() {
        Algorithm::EdDsa => Suite::EddsaJcs2022,
        Algorithm::Es256 => Suite::EcdsaJcs2019,
    };
    let options = ProofOptions {
        created: date::format(now_s),
        ..ProofOptions::new(suite, key.id(), "assertionMethod")
    };
    let make = |row: &IssuanceRow| {
        let mut credential = credential.clone();
        add_status(&mut credential, row);
        data_integrity::secure(&credential, &options, &*key).map_err(|error| error.to_string())
    };
    let entry = Entry::of(operator, "credential.issued", &wanted.id, now_s);
    let draw = |size| rand::rng().random_range(0..size);
    let made = issuer.records().issue_directly(&wanted, &issuer.config().slots(), draw, make, &entry).await;
    let made = made.map_err(|error| match error {
        RecordsError::NotMade(reason) => Problem::invalid(reason),
        other => other.into(),
    })?;
    issuer.counters().issued.inc();
    tracing::info!(issuance = wanted.id, "issued");
    Ok(made)
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
fn add_status(credential: &mut Value, row: &IssuanceRow) {
    let entries = row.status.iter().map(|entry| {
        let mut value = json!({
            "id": format!("{}#{}", entry.list, entry.list_index),
            "type": aval_formats::status::bitstring::ENTRY_TYPE,
            "statusPurpose": entry.purpose,
            "statusListIndex": entry.list_index.to_string(),
            "statusListCredential": entry.list,
        });
        if let Ok(read) = BitstringEntry::read(&value) {
            value = read.to_value();
        }
        value
    });
    let Some(members) = credential.as_object_mut() else { return };
    let mut all = match members.remove("credentialStatus") {
        Some(Value::Array(given)) => given,
        Some(given) => vec![given],
        None => Vec::new(),
    };
    all.extend(entries);
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
            records.issuance_at(list, index).await?
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
