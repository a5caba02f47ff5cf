//! Which URLs a wallet goes to. A credential offer is a text that anyone can print on a wall, so that a URL in it,
//! or in the metadata it leads to, must not make the wallet knock at doors inside its own network.

use crate::OpenIdError;
use aval_codec::address::is_public;
use std::net::IpAddr;
use url::{Host, Url};

const URL_BYTES_MAX: usize = 2048;

/// What is allowed besides `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UrlPolicy {
    /// `http` to this very machine, for local networks of developers.
    pub loopback: bool,
}

impl UrlPolicy {
    /// Only `https`.
    pub const HTTPS: Self = Self { loopback: false };

    /// `https`, and `http` to this very machine.
    pub const LOOPBACK: Self = Self { loopback: true };

    /// Checks a URL on its own: the issuer's identifier, or the reference to an offer.
    pub fn check(&self, what: &'static str, text: &str) -> Result<Url, OpenIdError> {
        let refuse = |reason| Err(OpenIdError::Url { what, url: text.chars().take(200).collect(), reason });
        if text.len() > URL_BYTES_MAX || text.chars().any(|letter| letter.is_control() || letter == ' ') {
            return refuse("it is too long or has characters that no URL has");
        }
        let Ok(url) = Url::parse(text) else { return refuse("it is not a URL") };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it has a user name");
        }
        if url.fragment().is_some() {
            return refuse("it has a fragment");
        }
        match url.scheme() {
            "https" | "http" if place(&url) == Place::Private => refuse("it leads into a private network"),
            "https" => match place(&url) {
                Place::Public => Ok(url),
                _ if self.loopback => Ok(url),
                _ => refuse("it leads to this machine"),
            },
            "http" => match place(&url) {
                Place::Loopback if self.loopback => Ok(url),
                _ => refuse("it must be https"),
            },
            _ => refuse("it must be https"),
        }
    }

    /// Checks the identifier of an issuer or authorization server: no query either.
    pub fn check_issuer(&self, what: &'static str, text: &str) -> Result<Url, OpenIdError> {
        let url = self.check(what, text)?;
        if url.query().is_some() {
            return Err(OpenIdError::Url { what, url: text.to_owned(), reason: "it has a query" });
        }
        Ok(url)
    }

    /// Checks a URL that someone named in its metadata: only who is on this machine may point to this machine.
    pub fn check_named_by(&self, issuer: &Url, what: &'static str, text: &str) -> Result<Url, OpenIdError> {
        let url = self.check(what, text)?;
        if place(&url) != Place::Public && place(issuer) == Place::Public {
            return Err(OpenIdError::Url { what, url: text.to_owned(), reason: "it leads to this machine" });
        }
        Ok(url)
    }
}

/// The metadata URL of an identifier: the well-known string goes between host and path (OpenID4VCI 1.0 section
/// 12.2.2, RFC 8414 section 3.1).
pub fn well_known(identifier: &Url, name: &str) -> String {
    let path = identifier.path().trim_end_matches('/');
    format!("{}/.well-known/{name}{path}", identifier.origin().ascii_serialization())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Public,
    Private,
    Loopback,
}

/// Where a URL leads, as far as its text tells.
fn place(url: &Url) -> Place {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if name == "localhost" || name.ends_with(".localhost") { Place::Loopback } else { Place::Public }
        }
        Some(Host::Ipv4(address)) => place_of(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => place_of(IpAddr::V6(address)),
        None => Place::Private,
    }
}

/// As [`is_public`] says; what is neither public nor this machine is private.
fn place_of(address: IpAddr) -> Place {
    match address.to_canonical() {
        address if address.is_loopback() => Place::Loopback,
        address if is_public(address) => Place::Public,
        _ => Place::Private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: UrlPolicy, url: &str) -> bool {
        policy.check("test", url).is_ok()
    }

    #[test]
    fn only_https_is_allowed_except_to_this_machine_when_asked() {
        assert!(allowed(UrlPolicy::HTTPS, "https://issuer.example/tenant"));
        assert!(!allowed(UrlPolicy::HTTPS, "http://issuer.example/"));
        assert!(!allowed(UrlPolicy::LOOPBACK, "http://issuer.example/"));
        for url in
            ["http://127.0.0.1:8080/", "http://localhost:8080", "http://[::1]:80/", "https://localhost/"]
        {
            assert!(allowed(UrlPolicy::LOOPBACK, url), "{url}");
            assert!(!allowed(UrlPolicy::HTTPS, url), "{url}");
        }
    }

    #[test]
    fn urls_into_private_networks_are_refused() {
        for url in [
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://172.16.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[::]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://0x0a000001/",
        ] {
            assert!(!allowed(UrlPolicy::LOOPBACK, url), "{url}");
        }
    }

    #[test]
    fn other_schemes_and_odd_urls_are_refused() {
        for url in [
            "file:///etc/passwd",
            "ftp://issuer.example/",
            "javascript:alert(1)",
            "data:application/json,{}",
            "https://user@issuer.example/",
            "https://user:secret@issuer.example/",
            "https://issuer.example/#fragment",
            "https://issuer.example/\n",
            "https:// issuer.example/",
            "https://",
            "issuer.example",
            "",
        ] {
            assert!(!allowed(UrlPolicy::LOOPBACK, url), "{url:?}");
        }
        assert!(!allowed(UrlPolicy::HTTPS, &format!("https://issuer.example/{}", "a".repeat(3000))));
    }

    #[test]
    fn an_issuer_elsewhere_may_not_point_to_this_machine() {
        let far = Url::parse("https://issuer.example").unwrap();
        let here = Url::parse("http://127.0.0.1:8080").unwrap();
        let policy = UrlPolicy::LOOPBACK;
        assert!(policy.check_named_by(&far, "test", "http://127.0.0.1:9000/token").is_err());
        assert!(policy.check_named_by(&here, "test", "http://127.0.0.1:9000/token").is_ok());
        assert!(policy.check_named_by(&far, "test", "https://login.example/token").is_ok());
    }

    #[test]
    fn the_well_known_string_goes_between_host_and_path() {
        for (identifier, url) in [
            ("https://issuer.example.com", "https://issuer.example.com/.well-known/openid-credential-issuer"),
            (
                "https://issuer.example.com/",
                "https://issuer.example.com/.well-known/openid-credential-issuer",
            ),
            (
                "https://issuer.example.com/tenant",
                "https://issuer.example.com/.well-known/openid-credential-issuer/tenant",
            ),
            (
                "https://issuer.example.com:8443/a/b/",
                "https://issuer.example.com:8443/.well-known/openid-credential-issuer/a/b",
            ),
        ] {
            assert_eq!(well_known(&Url::parse(identifier).unwrap(), "openid-credential-issuer"), url);
        }
    }
}
