//! Where the documents of `did:web` and `did:webvh` are: the way from an identifier to an `https` URL.
//!
//! The host is a name with at least one dot, and a port if need be; addresses and names of this machine are not, unless
//! the deployment allows them by name. A path segment holds no slash, dot segment or anything else that a URL would
//! read otherwise.

use aval_did::resolution::ResolutionError;
use aval_did::syntax::percent_decode;
use url::{Host, Url};

use crate::ResolveError;

/// Most path segments.
const SEGMENTS_MAX: usize = 16;

/// The URL of `file` for a method-specific id (did:web, section 3.2; did:webvh 1.0, "The DID to HTTPS Transformation").
pub(crate) fn url_of(id: &str, file: &str, is_allowed: impl Fn(&str) -> bool) -> Result<Url, ResolveError> {
    let refuse = |reason: &str| {
        Err(ResolveError::because(ResolutionError::InvalidDid, format!("the DID names no place: {reason}")))
    };
    let mut segments = id.split(':');
    let Some(host) = segments.next().and_then(percent_decode) else {
        return refuse("its host is not well encoded");
    };
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte)) {
        return refuse("its host has other characters than a host name");
    }
    let Ok(mut url) = Url::parse(&format!("https://{host}/")) else { return refuse("its host is none") };
    let named = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let public_name = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !name.ends_with(".localhost")
        }
        _ => false,
    };
    if !public_name && !is_allowed(&named) {
        return refuse("its host is an address, or a name of no public host");
    }
    let mut path = Vec::new();
    for segment in segments {
        let plain = percent_decode(segment).filter(|decoded| {
            !decoded.is_empty()
                && decoded != "."
                && decoded != ".."
                && !decoded.contains(['/', '\\', '%', '?', '#'])
                && !decoded.chars().any(char::is_control)
        });
        let Some(plain) = plain else { return refuse("a segment of its path is not one") };
        path.push(plain);
    }
    if path.len() > SEGMENTS_MAX {
        return refuse("its path is too long");
    }
    if path.is_empty() {
        path.push(".well-known".to_owned());
    }
    path.push(file.to_owned());
    match url.path_segments_mut() {
        Ok(mut segments) => {
            segments.clear().extend(&path);
        }
        Err(()) => return refuse("its host is none"),
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(id: &str) -> Result<String, ResolveError> {
        url_of(id, "did.json", |host| host == "127.0.0.1:8443" || host == "issuer").map(String::from)
    }

    #[test]
    fn a_domain_leads_to_its_well_known_folder_and_a_path_to_itself() {
        for (id, expected) in [
            ("issuer.example", "https://issuer.example/.well-known/did.json"),
            ("ISSUER.example", "https://issuer.example/.well-known/did.json"),
            ("issuer.example%3A3000", "https://issuer.example:3000/.well-known/did.json"),
            ("issuer.example%3A443:a", "https://issuer.example/a/did.json"),
            ("issuer.example:dids:one", "https://issuer.example/dids/one/did.json"),
            ("issuer.example:%E7%94%A8", "https://issuer.example/%E7%94%A8/did.json"),
        ] {
            assert_eq!(url(id).as_deref(), Ok(expected), "{id}");
        }
    }

    #[test]
    fn what_is_no_public_host_is_refused_unless_it_is_allowed_by_name() {
        for id in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "10.0.0.1",
            "localhost",
            "a.localhost",
            "intranet",
            "issuer%3A8443",
            "%5B%3A%3A1%5D",
            "127.0.0.1%3A9000",
            "",
        ] {
            let error = url(id).unwrap_err();
            assert_eq!(error.code(), "INVALID_DID", "{id}");
        }
        assert!(url("127.0.0.1%3A8443").is_ok());
        assert!(url("issuer:a").is_ok());
    }

    #[test]
    fn an_identifier_cannot_change_the_meaning_of_its_url() {
        for id in [
            "user%40issuer.example",
            "issuer.example%2Fa",
            "issuer.example%3Fa",
            "issuer.example%23a",
            "issuer.example%5C",
            "issuer.example%00",
            "issuer.example%3A99999",
            "issuer.example%3A80%3A90",
            "issuer.example:..",
            "issuer.example:%2E%2e",
            "issuer.example:.",
            "issuer.example::a",
            "issuer.example:",
            "issuer.example:a%2Fb",
            "issuer.example:a%5Cb",
            "issuer.example:a%252Fb",
            "issuer.example:a%3Fb",
            "issuer.example:a%0Ab",
            "issuer.example:%ff",
        ] {
            assert_eq!(
                url(id).map_err(|error| error.code().to_owned()),
                Err("INVALID_DID".to_owned()),
                "{id}"
            );
        }
        assert!(url(&format!("issuer.example{}", ":a".repeat(SEGMENTS_MAX + 1))).is_err());
    }
}
