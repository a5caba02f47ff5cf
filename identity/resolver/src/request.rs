//! Reading a resolution request: the identifier in the path, the options in the query or, with POST, in the body.
//!
//! By the HTTP binding the identifier is percent-encoded when it has a query or fragment of its own. An identifier that
//! is not encoded loses its query to the request's; since DID parameters are passed on as resolution options anyway,
//! all are read together. A parameter that comes twice is refused, because no answer would be the right one.

use std::collections::BTreeMap;

use aval_did::DidUrl;
use aval_did::resolution::ResolutionError;
use aval_did::syntax::percent_decode;
use aval_formats::json::{self, Limits};
use serde_json::Value;

use crate::{Options, ResolveError};

/// Everything before the identifier.
pub(crate) const PREFIX: &str = "/1.0/identifiers/";
/// Parameters of a request.
const PARAMETERS_MAX: usize = 16;
/// Largest body of options, in bytes.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// What is asked for inside of the document, or beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// All of the document.
    Document,
    /// The method or service with this fragment.
    Fragment { fragment: String, relationship: Option<String> },
    /// Services.
    Services {
        service: Option<String>,
        service_type: Option<String>,
        relative_ref: Option<String>,
        fragment: Option<String>,
    },
    /// What the method has under a path.
    Path(String),
}

/// A request that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) did: String,
    pub(crate) options: Options,
    pub(crate) target: Target,
}

type Parameters = BTreeMap<String, String>;

fn refused(error: ResolutionError) -> ResolveError {
    ResolveError::refused(error)
}

impl Request {
    /// Reads path, query and body of a request.
    pub(crate) fn read(path: &str, query: Option<&str>, body: Option<&[u8]>) -> Result<Self, ResolveError> {
        let identifier = path.strip_prefix(PREFIX).and_then(percent_decode);
        let identifier = identifier.ok_or_else(|| refused(ResolutionError::InvalidDid))?;
        let mut parameters = Parameters::new();
        if let Some(query) = query {
            read_pairs(query, &mut parameters)?;
        }
        if let Some(body) = body {
            read_body(body, &mut parameters)?;
        }
        Self::of(&identifier, parameters)
    }

    /// Reads a DID or DID URL with options beside it.
    pub(crate) fn of(identifier: &str, mut parameters: Parameters) -> Result<Self, ResolveError> {
        let is_url = identifier.contains(['/', '?', '#']);
        let url: DidUrl = identifier.parse().map_err(|_| match is_url {
            true => refused(ResolutionError::InvalidDidUrl),
            false => refused(ResolutionError::InvalidDid),
        })?;
        if let Some(query) = &url.query {
            read_pairs(query, &mut parameters)?;
        }
        let mut take = |name: &str| parameters.remove(name);
        let (version_id, version_time) = (take("versionId"), take("versionTime"));
        let (no_cache, expand) = (take("noCache"), take("expandRelativeUrls"));
        let relationship = take("verificationRelationship");
        let (service, service_type, relative_ref) =
            (take("service"), take("serviceType"), take("relativeRef"));
        if !parameters.is_empty() {
            return Err(refused(ResolutionError::FeatureNotSupported("an option of the request")));
        }
        let options = Options::parse(
            version_id.as_deref(),
            version_time.as_deref(),
            no_cache.as_deref(),
            expand.as_deref(),
        )?;
        let invalid = |reason| Err(refused(ResolutionError::InvalidOptions(reason)));
        let by_service = service.is_some() || service_type.is_some();
        let target = match (url.path.filter(|path| !path.is_empty()), url.fragment) {
            (Some(_), Some(_)) => return Err(refused(ResolutionError::NotFound)),
            (Some(_), None) if by_service || relative_ref.is_some() => {
                return invalid("a path and a service exclude each other");
            }
            (Some(path), None) => Target::Path(path),
            (None, fragment) if by_service => {
                Target::Services { service, service_type, relative_ref, fragment }
            }
            (None, _) if relative_ref.is_some() => return invalid("relativeRef needs a service"),
            (None, Some(fragment)) => Target::Fragment { fragment, relationship: relationship.clone() },
            (None, None) => Target::Document,
        };
        if relationship.is_some() && !matches!(target, Target::Fragment { .. }) {
            return invalid("verificationRelationship needs a fragment");
        }
        Ok(Self { did: url.did, options, target })
    }
}

fn insert(parameters: &mut Parameters, name: String, value: String) -> Result<(), ResolveError> {
    if parameters.len() >= PARAMETERS_MAX || parameters.insert(name, value).is_some() {
        let reason = "a parameter comes twice, or there are too many";
        return Err(refused(ResolutionError::InvalidOptions(reason)));
    }
    Ok(())
}

fn read_pairs(text: &str, parameters: &mut Parameters) -> Result<(), ResolveError> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A plus stays a plus: version times and references hold it, and no parameter of ours holds a space.
        let Some((name, value)) = percent_decode(name).zip(percent_decode(value)) else {
            return Err(refused(ResolutionError::InvalidOptions("a parameter is not well encoded")));
        };
        insert(parameters, name, value)?;
    }
    Ok(())
}

fn read_body(bytes: &[u8], parameters: &mut Parameters) -> Result<(), ResolveError> {
    let invalid = || refused(ResolutionError::InvalidOptions("the body is not a JSON object of options"));
    if bytes.is_empty() {
        return Ok(());
    }
    let limits = Limits { bytes_max: BODY_BYTES_MAX, depth_max: 2 };
    let members = json::parse_object(bytes, "options", limits).map_err(|_| invalid())?;
    for (name, value) in members {
        let text = match value {
            Value::String(text) => text,
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(invalid()),
        };
        insert(parameters, name, text)?;
    }
    Ok(())
}
