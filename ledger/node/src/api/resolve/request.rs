//! Reading a resolution request: the identifier in the path, the options in the query.
//!
//! By the HTTP binding the identifier is percent-encoded when it has a query or fragment of its own. An identifier that
//! is not encoded loses its query to the request's; since DID parameters are passed on as resolution options anyway,
//! both are read together. A parameter that comes twice is refused, because no answer would be the right one.

use std::collections::BTreeMap;

use aval_did::resolution::{ResolutionError, ResolutionOptions, VersionSelector, parse_identifier};
use aval_did::syntax::percent_decode;
use aval_did::{Did, DidUrl};

/// Everything before the identifier.
const PREFIX: &str = "/1.0/identifiers/";
/// Parameters of a request.
const PARAMETERS_MAX: usize = 16;

/// What is asked for inside of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// All of it.
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
}

/// A request that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) did: Did,
    pub(super) version: VersionSelector,
    pub(super) target: Target,
}

impl Request {
    /// Reads path and query of a request to the resolver of this network.
    pub(super) fn read(path: &str, query: Option<&str>, network: &str) -> Result<Self, ResolutionError> {
        let identifier =
            path.strip_prefix(PREFIX).and_then(percent_decode).ok_or(ResolutionError::InvalidDid)?;
        let is_url = identifier.contains(['/', '?', '#']);
        let url: DidUrl = identifier.parse().map_err(|_| match is_url {
            true => ResolutionError::InvalidDidUrl,
            false => ResolutionError::InvalidDid,
        })?;
        let did = parse_identifier(&url.did, network)?;
        if url.path.as_ref().is_some_and(|path| !path.is_empty()) {
            // The method gives paths no meaning.
            return Err(ResolutionError::NotFound);
        }
        let mut parameters = BTreeMap::new();
        for pairs in [url.query.as_deref(), query].into_iter().flatten() {
            read_pairs(pairs, &mut parameters)?;
        }
        let mut take = |name: &str| parameters.remove(name);
        let (version_id, version_time) = (take("versionId"), take("versionTime"));
        for name in ["expandRelativeUrls", "noCache"] {
            if !matches!(take(name).as_deref(), None | Some("true" | "false")) {
                return Err(ResolutionError::InvalidOptions(
                    "expandRelativeUrls and noCache are true or false",
                ));
            }
        }
        let relationship = take("verificationRelationship");
        let (service, service_type, relative_ref) =
            (take("service"), take("serviceType"), take("relativeRef"));
        if !parameters.is_empty() {
            return Err(ResolutionError::FeatureNotSupported("an option of the request"));
        }
        let options = ResolutionOptions::parse(version_id.as_deref(), version_time.as_deref())?;
        let fragment = url.fragment;
        let target = if service.is_some() || service_type.is_some() {
            Target::Services { service, service_type, relative_ref, fragment }
        } else if relative_ref.is_some() {
            return Err(ResolutionError::InvalidOptions("relativeRef needs a service"));
        } else if let Some(fragment) = fragment {
            Target::Fragment { fragment, relationship }
        } else if relationship.is_some() {
            return Err(ResolutionError::InvalidOptions("verificationRelationship needs a fragment"));
        } else {
            Target::Document
        };
        Ok(Self { did, version: options.version, target })
    }
}

fn read_pairs(text: &str, parameters: &mut BTreeMap<String, String>) -> Result<(), ResolutionError> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A plus stays a plus: version times and references hold it, and no parameter of ours holds a space.
        let decoded = percent_decode(name).zip(percent_decode(value));
        let (name, value) =
            decoded.ok_or(ResolutionError::InvalidOptions("a parameter is not well encoded"))?;
        if parameters.len() >= PARAMETERS_MAX || parameters.insert(name, value).is_some() {
            return Err(ResolutionError::InvalidOptions("a parameter comes twice, or there are too many"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DID: &str = "did:aval:demo:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";

    fn read(rest: &str, query: Option<&str>) -> Result<Request, ResolutionError> {
        Request::read(&format!("{PREFIX}{rest}"), query, "demo")
    }

    #[test]
    fn a_did_is_read_plain_and_percent_encoded() {
        let encoded = DID.replace(':', "%3A");
        for text in [DID, encoded.as_str()] {
            let request = read(text, None).unwrap();
            assert_eq!((request.did.as_str(), request.target), (DID, Target::Document));
        }
    }

    #[test]
    fn a_fragment_and_parameters_come_from_the_encoded_url_or_from_the_query() {
        let request =
            read(&format!("{DID}%23key-1"), Some("verificationRelationship=authentication")).unwrap();
        let relationship = Some("authentication".to_owned());
        assert_eq!(request.target, Target::Fragment { fragment: "key-1".to_owned(), relationship });
        let inside = read(&format!("{DID}%3Fservice%3Dhub%26relativeRef%3D%252Fa"), None).unwrap();
        let beside = read(DID, Some("service=hub&relativeRef=/a")).unwrap();
        assert_eq!(inside, beside);
    }

    #[test]
    fn what_is_wrong_has_the_error_of_the_specification() {
        use ResolutionError::*;
        assert_eq!(read("not-a-did", None), Err(InvalidDid));
        assert_eq!(read("did:example", None), Err(InvalidDid));
        assert_eq!(read("%ff", None), Err(InvalidDid));
        assert_eq!(read("did:aval:demo:nonsense", None), Err(InvalidDid));
        assert_eq!(read("did:unsupported:123456789abcdefghi", None), Err(MethodNotSupported));
        assert_eq!(read(&DID.replace("demo", "other"), None), Err(MethodNotSupported));
        assert_eq!(read(&format!("{DID}%23a%20b"), None), Err(InvalidDidUrl));
        assert_eq!(read(&format!("{DID}/path"), None), Err(NotFound));
        assert!(matches!(read(DID, Some("unknown=1")), Err(FeatureNotSupported(_))));
        assert!(matches!(read(DID, Some("versionTime=yesterday")), Err(InvalidOptions(_))));
        assert!(matches!(read(DID, Some("noCache=maybe")), Err(InvalidOptions(_))));
        assert!(matches!(read(DID, Some("versionId=1-a&versionId=1-a")), Err(InvalidOptions(_))));
        assert!(matches!(read(DID, Some("noCache=%zz")), Err(InvalidOptions(_))));
        assert!(matches!(read(DID, Some("relativeRef=/a")), Err(InvalidOptions(_))));
    }
}
