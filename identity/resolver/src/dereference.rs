//! What a DID URL names (DID Resolution 1.0, section 5): a verification method or service of the document, the document
//! with some of its services, the URL of a service, or an entry of the ledger.
//!
//! The section is still at risk in the specification. What is settled is followed; where a service is selected together
//! with a `relativeRef` and no DID document is asked for, the URL is the answer, since nothing else uses a reference.

use aval_did::resolution::{ResolutionError, ResolutionProblem};
use serde_json::{Map, Value};
use url::Url;

use crate::document::{RELATIONSHIPS, absolute};
use crate::request::Target;
use crate::{ResolveError, Resolved};

/// Errors about verification methods are named by Controlled Identifiers 1.0.
const CONTROLLED_IDENTIFIERS: &str = "https://w3id.org/security#";

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A document, a method or a service: a resource of the media type `application/did`.
    Document(Value),
    /// An entry of the ledger, as JSON.
    Entry(Value),
    /// The URL of a service.
    Url(String),
}

/// Why nothing was found in a document that is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Missing {
    /// By DID Resolution's vocabulary.
    Resolution(ResolveError),
    /// By that of Controlled Identifiers.
    Identifier(&'static str),
}

impl Missing {
    pub(crate) fn problem(&self) -> ResolutionProblem {
        match self {
            Self::Resolution(error) => error.problem(),
            Self::Identifier(name) => ResolutionProblem {
                problem_type: format!("{CONTROLLED_IDENTIFIERS}{name}"),
                title: name.to_lowercase().replace('_', " "),
                detail: None,
            },
        }
    }

    pub(crate) fn http_status(&self) -> u16 {
        match self {
            Self::Resolution(error) => error.kind().http_status(),
            // "Any other error URI" in the table of the binding.
            Self::Identifier(_) => 500,
        }
    }
}

impl From<ResolveError> for Missing {
    fn from(error: ResolveError) -> Self {
        Self::Resolution(error)
    }
}

fn refused(error: ResolutionError) -> Missing {
    Missing::Resolution(ResolveError::refused(error))
}

/// Looks into a document. `wants_url` is whether the caller accepts the URL of a service and not the document.
pub(crate) fn look_into(
    resolved: &Resolved,
    did: &str,
    target: &Target,
    wants_url: bool,
) -> Result<Content, Missing> {
    let document = resolved.document.as_ref().ok_or_else(|| refused(ResolutionError::NotFound))?;
    match target {
        Target::Document if wants_url => Err(refused(ResolutionError::RepresentationNotSupported)),
        Target::Document => Ok(Content::Document(document.clone())),
        Target::Fragment { fragment, relationship } => {
            let id = format!("{did}#{fragment}");
            find(document, did, &id, relationship.as_deref()).map(Content::Document)
        }
        Target::Services { service, service_type, relative_ref, fragment } => {
            let selected = services(document, did, service.as_deref(), service_type.as_deref());
            if wants_url {
                return endpoint(&selected, relative_ref.as_deref(), fragment.as_deref()).map(Content::Url);
            }
            let mut reduced = document.clone();
            if let Some(members) = reduced.as_object_mut().filter(|members| members.contains_key("service")) {
                members.insert("service".to_owned(), selected.into_iter().cloned().collect());
            }
            Ok(Content::Document(reduced))
        }
        // Paths are the method's, not the document's.
        Target::Path(_) => Err(refused(ResolutionError::NotFound)),
    }
}

fn items<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    document.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn has_id(item: &Value, did: &str, id: &str) -> bool {
    item.get("id").and_then(Value::as_str).is_some_and(|own| absolute(did, own) == id)
}

/// The method or service with an absolute id.
fn find(document: &Value, did: &str, id: &str, relationship: Option<&str>) -> Result<Value, Missing> {
    let embedded =
        RELATIONSHIPS.iter().flat_map(|name| items(document, name)).filter(|item| item.is_object());
    let method = items(document, "verificationMethod").chain(embedded).find(|item| has_id(item, did, id));
    if let Some(relationship) = relationship {
        if method.is_none() {
            return Err(Missing::Identifier("INVALID_VERIFICATION_METHOD"));
        }
        let mut members = RELATIONSHIPS
            .into_iter()
            .filter(|name| *name == relationship)
            .flat_map(|name| items(document, name));
        let named = members.any(|member| match member.as_str() {
            Some(reference) => absolute(did, reference) == id,
            None => has_id(member, did, id),
        });
        if !named {
            return Err(Missing::Identifier("INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD"));
        }
    }
    let found = method.or_else(|| items(document, "service").find(|item| has_id(item, did, id)));
    let found = found.and_then(Value::as_object).ok_or_else(|| refused(ResolutionError::NotFound))?;
    let mut content: Map<String, Value> = found.clone();
    if let Some(context) = document.get("@context") {
        content.insert("@context".to_owned(), context.clone());
    }
    Ok(Value::Object(content))
}

fn services<'a>(
    document: &'a Value,
    did: &str,
    service: Option<&str>,
    service_type: Option<&str>,
) -> Vec<&'a Value> {
    let selected = |item: &&Value| {
        // An id is compared as an absolute URL; a bare name stands for the fragment.
        let by_id = service.is_none_or(|wanted| {
            has_id(item, did, &absolute(did, wanted)) || has_id(item, did, &format!("{did}#{wanted}"))
        });
        let kinds = item.get("type");
        let by_type = service_type.is_none_or(|wanted| match kinds {
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind.as_str() == Some(wanted)),
            kind => kind.and_then(Value::as_str) == Some(wanted),
        });
        by_id && by_type
    };
    items(document, "service").filter(selected).collect()
}

/// The first URL of the selected services. Only http and https are sent anywhere, and a reference stays below the
/// endpoint, so that a link in somebody's hand leads nowhere that the DID's controller did not choose.
fn endpoint(
    selected: &[&Value],
    relative_ref: Option<&str>,
    fragment: Option<&str>,
) -> Result<String, Missing> {
    let texts = selected.iter().filter_map(|service| match service.get("serviceEndpoint") {
        Some(Value::Array(several)) => several.iter().find_map(Value::as_str),
        endpoint => endpoint.and_then(Value::as_str),
    });
    let text = texts.into_iter().next().ok_or_else(|| match selected.is_empty() {
        true => refused(ResolutionError::NotFound),
        false => refused(ResolutionError::FeatureNotSupported("a service endpoint that is no URL")),
    })?;
    let base = Url::parse(text).map_err(|_| refused(ResolutionError::InvalidDidDocument))?;
    if !matches!(base.scheme(), "http" | "https") {
        let error = ResolutionError::FeatureNotSupported("a service endpoint that is not http or https");
        return Err(refused(error));
    }
    let invalid = || refused(ResolutionError::InvalidDidUrl);
    let mut location = match relative_ref {
        None => base.clone(),
        Some(reference) => base.join(reference).map_err(|_| invalid())?,
    };
    // The folder of the endpoint, as RFC 3986 resolves against it.
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let stays_below =
        location.origin() == base.origin() && location.path().starts_with(&format!("{folder}/"));
    let is_plain = relative_ref.is_none_or(|text| !text.contains(['\\', '%']));
    if !stays_below || !is_plain {
        return Err(invalid());
    }
    match (location.fragment(), fragment) {
        (Some(_), Some(_)) => return Err(invalid()),
        (None, Some(_)) => location.set_fragment(fragment),
        (_, None) => {}
    }
    Ok(location.into())
}
