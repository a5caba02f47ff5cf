//! `did:web`: the document is a file on a host, and true as far as the host and its certificate are.
//!
//! There is one version: the one that is served now. The host decides how long it may be kept, within bounds.

use std::time::Duration;

use aval_client::web::{WebAnswer, WebClient};
use aval_did::resolution::ResolutionError;
use aval_formats::json::{self, Limits};
use serde_json::Map;
use url::Url;

use crate::methods::location;
use crate::resolved::{Resolved, Version};
use crate::{ResolveError, document};

/// Largest document that is read, in bytes.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 128 * 1024;
/// Deepest nesting of a document.
pub(crate) const DEPTH_MAX: usize = 16;
/// How long a document is kept of which the host says nothing.
const KEEP: Duration = Duration::from_secs(60);
const ACCEPT: &str = "application/did+json, application/did+ld+json, application/did, application/json";

/// Resolves a `did:web` by its method-specific id.
pub(crate) fn resolve(
    client: &WebClient,
    did: &str,
    id: &str,
    version: &Version,
) -> Result<Resolved, ResolveError> {
    let url = location::url_of(id, "did.json", |host| client.is_allowed(host))?;
    if *version != Version::Latest {
        let error = ResolutionError::FeatureNotSupported("versions of a did:web");
        return Err(ResolveError::because(error, "a did:web has no versions but the one that is served now"));
    }
    let answer = fetch(client, &url, ACCEPT, DOCUMENT_BYTES_MAX)?;
    let limits = Limits { bytes_max: DOCUMENT_BYTES_MAX, depth_max: DEPTH_MAX };
    let document = json::parse(&answer.body, "DID document", limits)
        .map_err(|error| ResolveError::document(format!("{url}: {error}")))?;
    document::check(&document, did)?;
    let keep = answer.max_age_s.map_or(KEEP, Duration::from_secs);
    Ok(Resolved { document: Some(document), metadata: Map::new(), proof: None, keep })
}

/// A file of a host. That it is not there is a decision; that the host fails is none.
pub(crate) fn fetch(
    client: &WebClient,
    url: &Url,
    accept: &str,
    bytes_max: usize,
) -> Result<WebAnswer, ResolveError> {
    let answer = client.get(url, accept, bytes_max as u64)?;
    match answer.status {
        200 => Ok(answer),
        404 | 410 => Err(ResolveError::because(ResolutionError::NotFound, format!("there is no {url}"))),
        status => Err(ResolveError::Unavailable {
            code: "web.status".to_owned(),
            detail: format!("{url} was answered with status {status}"),
        }),
    }
}
