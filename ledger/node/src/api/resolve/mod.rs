//! DID Resolution 1.0 by its HTTP(S) binding (`specs/did-method.md`, section 8).
//!
//! A plain DID is resolved; a DID URL with a fragment or a service is dereferenced. What is answered:
//!
//! | `Accept` | body |
//! |---|---|
//! | none, `application/did-resolution`, `application/json` | the resolution result, with a sibling member `proof` |
//! | `application/did`, `application/did+ld+json`, `application/did+json` | the DID document alone |
//! | `application/did-url-dereferencing` | the dereferencing result, with a sibling member `proof` |
//! | `text/uri-list` | 303 to the selected service endpoint |
//!
//! `proof` is a ledger proof of the DID's record at the height that the answer is as of, or of its absence: a wallet
//! verifies it offline and rebuilds the document from the record inside. Whatever has no document (an error, a
//! deactivated DID) is answered as a result, whichever representation was asked for.
//!
//! A past version is answered as of the time when it was current: `nextVersionId` says that it no longer is, and a
//! deactivation that came later does not show.

mod dereference;
mod request;

use std::sync::Arc;

use aval_did::resolution::{
    DocumentMetadata, NextVersion, ResolutionError, ResolutionMetadata, ResolutionResult, VersionSelector,
};
use aval_did::{Did, DidDocument, DidRecord};
use aval_store::{Ledger, StoreError};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use super::accept::accept;
use super::problem::Problem;
use super::proofs;
use super::{Context, Shared};
use request::{Request, Target};

/// What a client wants to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A complete resolution result, under this media type.
    Result(&'static str),
    /// The document or resource alone, under this media type.
    Content(&'static str),
    /// A complete dereferencing result.
    Dereferencing,
    /// The URL of a service.
    UriList,
}

const RESULT: &str = "application/did-resolution";
const DEREFERENCING: &str = "application/did-url-dereferencing";
const DOCUMENT: &str = "application/did";
/// A resolution result for a DID, the resource itself for a DID URL.
const PLAIN_JSON: &str = "application/json";

/// The first stands for a wildcard and for no header at all.
const OFFERS: &[(&str, Option<&str>, Form)] = &[
    (RESULT, None, Form::Result(RESULT)),
    (DOCUMENT, None, Form::Content(DOCUMENT)),
    ("application/did+ld+json", None, Form::Content("application/did+ld+json")),
    ("application/did+json", None, Form::Content("application/did+json")),
    (DEREFERENCING, None, Form::Dereferencing),
    ("text/uri-list", None, Form::UriList),
    (PLAIN_JSON, None, Form::Result(PLAIN_JSON)),
    (
        "application/ld+json",
        Some("https://w3id.org/did-resolution"),
        Form::Result("application/ld+json;profile=\"https://w3id.org/did-resolution\""),
    ),
];

/// A resolution result with its proof.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultBody {
    did_document: Option<DidDocument>,
    did_resolution_metadata: ResolutionMetadata,
    did_document_metadata: DocumentMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Proof,
}

/// A ledger proof as it is written, if there is one.
type Proof = Option<Box<RawValue>>;

/// What was found: a result, and the proof for it.
struct Found {
    result: ResolutionResult,
    proof: Proof,
}

/// Resolve a DID, or dereference a DID URL.
///
/// As DID Resolution 1.0 says in its HTTP(S) binding. `proof` beside the result's members is a ledger proof
/// (specs/wire.md) of the DID's record, or of its absence.
#[utoipa::path(
    get, path = "/1.0/identifiers/{*identifier}", tag = "identifiers",
    params(
        ("identifier" = String, Path, description = "A DID or DID URL, percent-encoded if it has a query or fragment"),
        ("versionId" = Option<String>, Query, description = "The version with this id"),
        ("versionTime" = Option<String>, Query, description = "The version in force at this time: `2026-11-22T10:00:00Z`"),
        ("expandRelativeUrls" = Option<bool>, Query, description = "Documents are always expanded"),
        ("noCache" = Option<bool>, Query, description = "Answers are never cached"),
        ("verificationRelationship" = Option<String>, Query, description = "What a dereferenced method must be for"),
        ("service" = Option<String>, Query, description = "Select the service with this id"),
        ("serviceType" = Option<String>, Query, description = "Select the services of this type"),
        ("relativeRef" = Option<String>, Query, description = "A reference relative to the selected service endpoint"),
    ),
    responses(
        (status = 200, description = "Resolved", content(
            (Object = "application/did-resolution"), (Object = "application/did"),
            (Object = "application/did-url-dereferencing"))),
        (status = 303, description = "The selected service endpoint is in `Location`"),
        (status = 400, description = "INVALID_DID, INVALID_DID_URL, INVALID_OPTIONS", body = Object,
            content_type = "application/did-resolution"),
        (status = 404, description = "NOT_FOUND, with a proof of absence", body = Object,
            content_type = "application/did-resolution"),
        (status = 406, description = "REPRESENTATION_NOT_SUPPORTED", body = Object,
            content_type = "application/did-resolution"),
        (status = 410, description = "The DID is deactivated", body = Object,
            content_type = "application/did-resolution"),
        (status = 501, description = "METHOD_NOT_SUPPORTED, FEATURE_NOT_SUPPORTED", body = Object,
            content_type = "application/did-resolution"),
    )
)]
pub(super) async fn identifier(
    State(context): Shared,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let form = accept(&headers).choose(OFFERS).copied();
    let mut response = match answer(&context, uri.path(), uri.query(), form) {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn answer(
    context: &Arc<Context>,
    path: &str,
    query: Option<&str>,
    form: Option<Form>,
) -> Result<Response, Problem> {
    let request = match Request::read(path, query, context.network().label()) {
        Ok(request) => request,
        Err(error) => return Ok(refuse(&error, form, None)),
    };
    let Some(form) = form else {
        return Ok(refuse(&ResolutionError::RepresentationNotSupported, form, None));
    };
    let needs_proof = !matches!(form, Form::Content(_) | Form::UriList);
    let found = match resolve(context, &request.did, request.version, needs_proof)? {
        Ok(found) => found,
        Err((error, proof)) => return Ok(refuse(&error, Some(form), proof)),
    };
    if request.target != Target::Document || form == Form::Dereferencing || form == Form::UriList {
        let form = if form == Form::Result(PLAIN_JSON) { Form::Content(PLAIN_JSON) } else { form };
        return dereference::answer(found, &request, form);
    }
    let status = status(found.result.http_status());
    match (form, &found.result.did_document) {
        (Form::Content(media_type), Some(document)) => json(status, media_type, document),
        (Form::Result(media_type), _) => json(status, media_type, &ResultBody::of(found)),
        _ => json(status, RESULT, &ResultBody::of(found)),
    }
}

impl ResultBody {
    fn of(found: Found) -> Self {
        Self {
            did_document: found.result.did_document,
            did_resolution_metadata: found.result.did_resolution_metadata,
            did_document_metadata: found.result.did_document_metadata,
            proof: found.proof,
        }
    }
}

/// An error with the proof that it stands on, if it stands on one.
type Missing = (ResolutionError, Proof);

/// Finds the record of the version that is asked for. The outer error means that this node could not answer.
fn resolve(
    context: &Context,
    did: &Did,
    version: VersionSelector,
    needs_proof: bool,
) -> Result<Result<Found, Missing>, Problem> {
    let ledger = context.ledger();
    let place = match version {
        VersionSelector::Latest => Place::Newest,
        VersionSelector::Id(id) => match ledger.did_version(did.as_str(), &id.to_string())? {
            // The proof says what the newest version is, or that the DID does not exist.
            None => return Ok(Err((ResolutionError::NotFound, prove(context, did, Place::Newest)?.1))),
            Some(version) => Place::At(version.height),
        },
        VersionSelector::Time(seconds) => {
            let until_ms = seconds.saturating_mul(1000).saturating_add(999);
            match ledger.height_at(until_ms)? {
                None => return Ok(Err((ResolutionError::NotFound, None))),
                Some(height) if height >= ledger.require_head()?.height() => Place::Newest,
                Some(height) => Place::At(height),
            }
        }
    };
    let (value, proof) =
        if needs_proof { prove(context, did, place)? } else { (read(ledger, did, place)?, None) };
    let Some(value) = value else { return Ok(Err((ResolutionError::NotFound, proof))) };
    let record = DidRecord::from_bytes(&value).map_err(|error| {
        tracing::error!(%did, %error, "a DID record is damaged");
        Problem::internal()
    })?;
    let next = match version {
        VersionSelector::Latest => None,
        VersionSelector::Id(_) | VersionSelector::Time(_) => next_version(ledger, &record)?,
    };
    Ok(Ok(Found { result: ResolutionResult::of_record(&record, next, Vec::new()), proof }))
}

/// Where a record is read.
#[derive(Clone, Copy)]
enum Place {
    Newest,
    At(u64),
}

fn key(did: &Did) -> String {
    aval_proof::did_state_key(did)
}

fn read(ledger: &Ledger, did: &Did, place: Place) -> Result<Option<Vec<u8>>, Problem> {
    let key = key(did);
    Ok(match place {
        Place::Newest => ledger.state(key.as_bytes())?,
        Place::At(height) => ledger.state_at(key.as_bytes(), height)?,
    })
}

/// The record and its proof. Of a pruned height only the record is left.
fn prove(context: &Context, did: &Did, place: Place) -> Result<(Option<Vec<u8>>, Proof), Problem> {
    let (ledger, network, key) = (context.ledger(), context.network(), key(did));
    let proof = match place {
        Place::Newest => context.finality.newest(ledger)?.state(ledger, network, &key),
        Place::At(height) => ledger.state_proof(network, &key, height),
    };
    match proof {
        Ok(proof) => Ok((proofs::value(&proof).map(<[u8]>::to_vec), Some(proofs::to_raw(&proof)?))),
        Err(StoreError::Pruned { .. }) => Ok((read(ledger, did, place)?, None)),
        Err(error) => Err(error.into()),
    }
}

fn next_version(ledger: &Ledger, record: &DidRecord) -> Result<Option<NextVersion>, Problem> {
    let Some(next) = ledger.did_version_number(record.did.as_str(), record.version_id.number + 1)? else {
        return Ok(None);
    };
    let version_id = next.version_id.parse().map_err(|_| {
        tracing::error!(did = %record.did, "a DID version is damaged");
        Problem::internal()
    })?;
    Ok(Some(NextVersion { version_id, time_ms: ledger.header(next.height)?.time_ms }))
}

/// An error in the form of its specification.
fn refuse(error: &ResolutionError, form: Option<Form>, proof: Proof) -> Response {
    let status = status(error.http_status());
    let result = ResolutionResult::of_error(error);
    let written = match form {
        Some(Form::Dereferencing) => dereference::refused(status, error.problem(), proof),
        Some(Form::Result(media_type)) => json(status, media_type, &ResultBody::of(Found { result, proof })),
        _ => json(status, RESULT, &ResultBody::of(Found { result, proof })),
    };
    written.unwrap_or_else(IntoResponse::into_response)
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn json(status: StatusCode, media_type: &'static str, body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "a resolution could not be written");
        Problem::internal()
    })?;
    Ok((status, [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response())
}
