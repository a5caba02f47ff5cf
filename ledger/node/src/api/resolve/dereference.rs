//! Dereferencing a DID URL to a verification method, a service or a service's URL (DID Resolution 1.0, section 5).
//!
//! The section is still at risk in the specification. What is settled is followed; where a service is selected together
//! with a `relativeRef` and no DID document is asked for, the URL is the answer (303), since nothing else uses a
//! reference.

use aval_did::DidDocument;
use aval_did::resolution::{DocumentMetadata, ResolutionError, ResolutionProblem};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::request::{Request, Target};
use super::{DEREFERENCING, DOCUMENT, Form, Found, Proof, json as write, refuse};
use crate::api::problem::Problem;

/// Errors about verification methods are named by Controlled Identifiers 1.0.
const CONTROLLED_IDENTIFIERS: &str = "https://w3id.org/security#";

/// A dereferencing result with its proof.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DereferencingBody {
    dereferencing_metadata: DereferencingMetadata,
    content_stream: Option<Value>,
    content_metadata: Option<DocumentMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Proof,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct DereferencingMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ResolutionProblem>,
}

/// The answer to a request for something inside of a document.
pub(super) fn answer(found: Found, request: &Request, form: Form) -> Result<Response, Problem> {
    let metadata = found.result.did_document_metadata;
    let Some(document) = found.result.did_document else {
        // Deactivated: there is nothing to look into.
        let body = DereferencingBody {
            dereferencing_metadata: DereferencingMetadata::default(),
            content_stream: None,
            content_metadata: Some(metadata),
            proof: found.proof,
        };
        return write(StatusCode::GONE, DEREFERENCING, &body);
    };
    let content = match &request.target {
        Target::Document if form == Form::UriList => {
            return Ok(refuse(&ResolutionError::RepresentationNotSupported, Some(form), None));
        }
        Target::Document => to_value(&document)?,
        Target::Fragment { fragment, relationship } => {
            match fragment_of(&document, &format!("{}#{fragment}", request.did), relationship.as_deref()) {
                Ok(content) => content,
                Err(Missing::Resolution(error)) => return Ok(refuse(&error, Some(form), found.proof)),
                Err(Missing::Other(name)) => {
                    let problem = ResolutionProblem {
                        problem_type: format!("{CONTROLLED_IDENTIFIERS}{name}"),
                        title: name.to_lowercase().replace('_', " "),
                        detail: None,
                    };
                    return refused(StatusCode::INTERNAL_SERVER_ERROR, problem, found.proof);
                }
            }
        }
        Target::Services { relative_ref, fragment, .. } => {
            let selected = select_services(document, &request.target, request.did.as_str());
            let wants_url =
                form == Form::UriList || (relative_ref.is_some() && !matches!(form, Form::Content(_)));
            if wants_url {
                return Ok(match endpoint(&selected, relative_ref.as_deref(), fragment.as_deref()) {
                    Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
                    Err(error) => refuse(&error, Some(form), found.proof),
                });
            }
            to_value(&selected)?
        }
    };
    match form {
        Form::Content(media_type) => write(StatusCode::OK, media_type, &content),
        _ => {
            let body = DereferencingBody {
                dereferencing_metadata: DereferencingMetadata { content_type: Some(DOCUMENT), error: None },
                content_stream: Some(content),
                content_metadata: Some(metadata),
                proof: found.proof,
            };
            write(StatusCode::OK, DEREFERENCING, &body)
        }
    }
}

/// An error as a dereferencing result.
pub(super) fn refused(
    status: StatusCode,
    problem: ResolutionProblem,
    proof: Proof,
) -> Result<Response, Problem> {
    let body = DereferencingBody {
        dereferencing_metadata: DereferencingMetadata { content_type: None, error: Some(problem) },
        content_stream: None,
        content_metadata: Some(DocumentMetadata::default()),
        proof,
    };
    write(status, DEREFERENCING, &body)
}

enum Missing {
    Resolution(ResolutionError),
    Other(&'static str),
}

fn fragment_of(document: &DidDocument, id: &str, relationship: Option<&str>) -> Result<Value, Missing> {
    let internal = |_| Missing::Resolution(ResolutionError::InternalError);
    let method = document.verification_method.iter().find(|method| method.id == id);
    if let Some(relationship) = relationship {
        if method.is_none() {
            return Err(Missing::Other("INVALID_VERIFICATION_METHOD"));
        }
        let members = match relationship {
            "authentication" => &document.authentication,
            "assertionMethod" => &document.assertion_method,
            "keyAgreement" => &document.key_agreement,
            "capabilityInvocation" => &document.capability_invocation,
            "capabilityDelegation" => &document.capability_delegation,
            _ => return Err(Missing::Other("INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD")),
        };
        if !members.iter().any(|member| member == id) {
            return Err(Missing::Other("INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD"));
        }
    }
    let mut content = match method {
        Some(method) => to_value(method).map_err(internal)?,
        None => {
            let service = document.service.iter().find(|service| service.id == id);
            let service = service.ok_or(Missing::Resolution(ResolutionError::NotFound))?;
            to_value(service).map_err(internal)?
        }
    };
    if let Value::Object(members) = &mut content {
        members.insert("@context".to_owned(), json!(document.context));
    }
    Ok(content)
}

fn select_services(mut document: DidDocument, target: &Target, did: &str) -> DidDocument {
    if let Target::Services { service, service_type, .. } = target {
        document.service.retain(|candidate| {
            let by_id = service.as_deref().is_none_or(|id| {
                let relative = candidate.id.strip_prefix(did).unwrap_or(&candidate.id);
                id == candidate.id || id == relative || Some(id) == relative.strip_prefix('#')
            });
            by_id && service_type.as_deref().is_none_or(|wanted| wanted == candidate.service_type)
        });
    }
    document
}

/// The URL of the one selected service. Only http and https are sent anywhere, and a reference stays below the
/// endpoint.
fn endpoint(
    selected: &DidDocument,
    relative_ref: Option<&str>,
    fragment: Option<&str>,
) -> Result<HeaderValue, ResolutionError> {
    let service = selected.service.first().ok_or(ResolutionError::NotFound)?;
    let base = Url::parse(&service.service_endpoint).map_err(|_| ResolutionError::InvalidDidDocument)?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(ResolutionError::FeatureNotSupported("a service endpoint that is not http or https"));
    }
    let mut location = match relative_ref {
        None => base.clone(),
        Some(reference) => base.join(reference).map_err(|_| ResolutionError::InvalidDidUrl)?,
    };
    // The folder of the endpoint, as RFC 3986 resolves against it.
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let stays_below =
        location.origin() == base.origin() && location.path().starts_with(&format!("{folder}/"));
    let is_plain = relative_ref.is_none_or(|text| !text.contains(['\\', '%']));
    if !stays_below || !is_plain {
        return Err(ResolutionError::InvalidDidUrl);
    }
    match (location.fragment(), fragment) {
        (Some(_), Some(_)) => return Err(ResolutionError::InvalidDidUrl),
        (None, Some(_)) => location.set_fragment(fragment),
        (_, None) => {}
    }
    HeaderValue::from_str(location.as_str()).map_err(|_| ResolutionError::InvalidDidDocument)
}

fn to_value(content: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(content).map_err(|error| {
        tracing::error!(%error, "a document could not be written");
        Problem::internal()
    })
}
