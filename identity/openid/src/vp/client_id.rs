//! Who a verifier is (OpenID4VP 1.0 section 5.9): the prefix of its client identifier says how that is shown.

use crate::OpenIdError;
use crate::url_rules::UrlPolicy;

const TEXT_BYTES_MAX: usize = 2048;

/// A client identifier with a prefix that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientId {
    /// `decentralized_identifier:`: the request is signed with a key of this DID.
    Did(String),
    /// `x509_san_dns:`: the request is signed by a certificate for this DNS name.
    X509SanDns(String),
    /// `x509_hash:`: the request is signed by the certificate with this SHA-256, in base64url.
    X509Hash(String),
    /// `redirect_uri:`: the request is not signed, and the answer goes to this address and no other.
    RedirectUri(String),
}

impl ClientId {
    /// Reads an identifier. One without a prefix would be that of a registered client, of which a wallet has none.
    pub fn parse(text: &str) -> Result<Self, OpenIdError> {
        let unsupported = |reason: &str| Err(OpenIdError::Unsupported(format!("a verifier that {reason}")));
        if text.len() > TEXT_BYTES_MAX || text.chars().any(|letter| letter.is_control() || letter == ' ') {
            return Err(OpenIdError::Request(
                "the verifier's identifier is too long or has odd characters".to_owned(),
            ));
        }
        match text.split_once(':') {
            Some((_, "")) | None => unsupported("names no way to know it"),
            Some(("decentralized_identifier", did))
                if did.starts_with("did:") && !did.contains(['#', '?']) =>
            {
                Ok(Self::Did(did.to_owned()))
            }
            Some(("x509_san_dns", name)) => Ok(Self::X509SanDns(name.to_owned())),
            Some(("x509_hash", hash)) => Ok(Self::X509Hash(hash.to_owned())),
            Some(("redirect_uri", uri)) => Ok(Self::RedirectUri(uri.to_owned())),
            Some((prefix, _)) => {
                let prefix: String = prefix.chars().take(40).collect();
                unsupported(&format!("is known by `{prefix}`"))
            }
        }
    }

    /// The identifier with its prefix: the audience of every presentation.
    pub fn text(&self) -> String {
        match self {
            Self::Did(did) => format!("decentralized_identifier:{did}"),
            Self::X509SanDns(name) => format!("x509_san_dns:{name}"),
            Self::X509Hash(hash) => format!("x509_hash:{hash}"),
            Self::RedirectUri(uri) => format!("redirect_uri:{uri}"),
        }
    }

    /// Whether a request of this client must be signed; of the others it cannot be.
    pub fn signs(&self) -> bool {
        !matches!(self, Self::RedirectUri(_))
    }

    /// Whether an answer may go to this address: the very one that names the client, or a host that its certificate is
    /// for.
    pub(crate) fn check_response_uri(&self, uri: &str, policy: UrlPolicy) -> Result<(), OpenIdError> {
        let url = policy.check("response address", uri)?;
        let refuse = |reason| Err(OpenIdError::Url { what: "response address", url: uri.to_owned(), reason });
        match self {
            Self::RedirectUri(named) if named != uri => refuse("it is not the one that names the verifier"),
            Self::X509SanDns(name) if !url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(name)) => {
                refuse("it is on another host than the verifier's certificate is for")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_with_a_known_prefix_are_read_and_written_alike() {
        for text in [
            "decentralized_identifier:did:aval:test:abc",
            "x509_san_dns:verifier.example",
            "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk",
            "redirect_uri:https://verifier.example/answer",
        ] {
            assert_eq!(ClientId::parse(text).unwrap().text(), text);
        }
    }

    #[test]
    fn other_identifiers_are_refused() {
        for text in [
            "verifier",
            "",
            "https://verifier.example",
            "did:aval:test:abc",
            "decentralized_identifier:",
            "decentralized_identifier:verifier.example",
            "decentralized_identifier:did:aval:test:abc#key-1",
            "openid_federation:https://verifier.example",
            "verifier_attestation:me",
            "origin:https://verifier.example",
            "x509_san_dns:a b",
        ] {
            assert!(ClientId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_answer_goes_only_where_the_client_may_have_it() {
        let policy = UrlPolicy::HTTPS;
        let allowed =
            |id: &str, uri: &str| ClientId::parse(id).unwrap().check_response_uri(uri, policy).is_ok();
        assert!(allowed("x509_san_dns:verifier.example", "https://verifier.example/answer"));
        assert!(!allowed("x509_san_dns:verifier.example", "https://thief.example/answer"));
        assert!(!allowed("x509_san_dns:verifier.example", "https://verifier.example.thief.example/"));
        assert!(allowed("redirect_uri:https://verifier.example/answer", "https://verifier.example/answer"));
        assert!(!allowed("redirect_uri:https://verifier.example/answer", "https://verifier.example/other"));
        assert!(allowed("decentralized_identifier:did:web:verifier.example", "https://other.example/answer"));
        assert!(!allowed("decentralized_identifier:did:web:verifier.example", "https://10.0.0.1/answer"));
        assert!(!allowed("decentralized_identifier:did:web:verifier.example", "http://other.example/answer"));
    }
}
