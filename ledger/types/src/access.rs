//! Tokens with which a DID asks a node for what is not for everybody: reading as an auditor, administering as the
//! operator (specs/rest.md, "Access tokens").
//!
//! A token is a compact JWS over one request: who asks, which node (by its network key), which method and path, which
//! body. It lives for minutes and is good once, so one that is overheard, or shown to another node, opens nothing. That
//! the DID has the key, and may do what it asks for, is for the node to look up in its state.

use std::fmt;

use aval_codec::{Hash, Limits, b64u, json, sha256};
use aval_did::{Did, SigningKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::transaction::KeyId;

/// The `typ` of a token's header.
pub const ACCESS_TYPE: &str = "aval-access+jwt";
/// Seconds that a token may live.
pub const LIFETIME_S_MAX: u64 = 300;
/// Seconds that the clocks of the two sides may differ.
pub const CLOCK_SLACK_S: u64 = 30;
/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// There is none.
    #[error("the request has no access token")]
    Missing,
    /// It is not in the form of a token.
    #[error("the access token cannot be read")]
    Malformed,
    /// Its signature does not verify.
    #[error("the access token's signature does not verify")]
    Signature,
    /// It is for another node.
    #[error("the access token is for another node")]
    Audience,
    /// It is too old, too new, or lives too long.
    #[error("the access token is not valid now")]
    Expired,
    /// It is for another request.
    #[error("the access token is for another request")]
    Request,
    /// It was used before.
    #[error("the access token was used before")]
    Replayed,
    /// Its key is none of the DID's authentication keys.
    #[error("the access token's key is no authentication key of its DID on the ledger")]
    Key,
    /// The DID may not do what it asks for.
    #[error("the DID may not do this")]
    Forbidden,
}

impl AccessError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "access.missing",
            Self::Malformed => "access.malformed",
            Self::Signature => "access.signature",
            Self::Audience => "access.audience",
            Self::Expired => "access.expired",
            Self::Request => "access.request",
            Self::Replayed => "access.replayed",
            Self::Key => "access.key",
            Self::Forbidden => "access.forbidden",
        }
    }
}

/// The request that a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    line: String,
    body: Hash,
}

impl AccessRequest {
    /// A method, a path with its query, and the body's bytes.
    pub fn new(method: &str, path_and_query: &str, body: &[u8]) -> Self {
        Self { line: format!("{method} {path_and_query}"), body: sha256(body) }
    }
}

impl fmt::Display for AccessRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.fmt(formatter)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: KeyId,
    typ: String,
}

/// The claims; `request` and `body` tie the token to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: Did,
    aud: String,
    iat: u64,
    exp: u64,
    jti: Uuid,
    request: String,
    body: Hash,
}

/// A token whose signature verifies by the key it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    kid: KeyId,
    claims: Claims,
}

impl AccessToken {
    /// Makes the text of a token for a request to the node with this network key (a multikey).
    pub fn sign(
        kid: &KeyId,
        key: &SigningKey,
        node_key: &str,
        request: &AccessRequest,
        jti: Uuid,
        now_s: u64,
    ) -> String {
        let header =
            Header { alg: key.algorithm().name().to_owned(), kid: kid.clone(), typ: ACCESS_TYPE.to_owned() };
        let claims = Claims {
            iss: kid.did().clone(),
            aud: node_key.to_owned(),
            iat: now_s,
            exp: now_s.saturating_add(LIFETIME_S_MAX),
            jti,
            request: request.line.clone(),
            body: request.body,
        };
        // Strings and numbers alone: serde_json has no way to fail on them.
        let encode = |bytes: Result<Vec<u8>, serde_json::Error>| b64u::encode(bytes.unwrap_or_default());
        let signed =
            format!("{}.{}", encode(serde_json::to_vec(&header)), encode(serde_json::to_vec(&claims)));
        let signature = key.sign(signed.as_bytes());
        format!("{signed}.{}", b64u::encode(signature))
    }

    /// Reads a token and verifies its signature by the key that it names.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(AccessError::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(AccessError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(AccessError::Malformed)?;
        let header: Header = read(header)?;
        let claims: Claims = read(claims)?;
        let signature = b64u::decode_array(signature).map_err(|_| AccessError::Malformed)?;
        let key = header.kid.key();
        if header.typ != ACCESS_TYPE
            || header.alg != key.algorithm().name()
            || claims.iss != *header.kid.did()
        {
            return Err(AccessError::Malformed);
        }
        key.check().map_err(|_| AccessError::Signature)?;
        key.verify(key.algorithm(), signed.as_bytes(), &signature).map_err(|_| AccessError::Signature)?;
        Ok(Self { kid: header.kid, claims })
    }

    /// Whether it is for this node, this request and this time.
    pub fn expect(&self, node_key: &str, request: &AccessRequest, now_s: u64) -> Result<(), AccessError> {
        let claims = &self.claims;
        if claims.aud != node_key {
            return Err(AccessError::Audience);
        }
        let lives = claims.exp.saturating_sub(claims.iat);
        let is_now = claims.iat <= now_s.saturating_add(CLOCK_SLACK_S) && now_s < claims.exp;
        if !is_now || lives == 0 || lives > LIFETIME_S_MAX {
            return Err(AccessError::Expired);
        }
        if claims.request != request.line || claims.body != request.body {
            return Err(AccessError::Request);
        }
        Ok(())
    }

    /// Who asks.
    pub fn did(&self) -> &Did {
        &self.claims.iss
    }

    /// The key that signed.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// What makes it unique for its DID.
    pub fn jti(&self) -> Uuid {
        self.claims.jti
    }

    /// Seconds since 1970 at which it ends.
    pub fn expires_s(&self) -> u64 {
        self.claims.exp
    }
}

fn read<T: serde::de::DeserializeOwned>(segment: &str) -> Result<T, AccessError> {
    let bytes = b64u::decode(segment).map_err(|_| AccessError::Malformed)?;
    json::from_slice(&bytes, Limits::bytes(TOKEN_BYTES_MAX)).map_err(|_| AccessError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[7; 32])
    }

    fn kid() -> KeyId {
        let did = "did:aval:demo:QmTnjfSdRnAsHghQa3vBnWXoMWA9FqydRZUXBcrqopEhN5".parse().unwrap();
        KeyId::new(did, key().public())
    }

    fn request() -> AccessRequest {
        AccessRequest::new("PUT", "/v1/log?x=1", b"debug")
    }

    fn token() -> String {
        AccessToken::sign(&kid(), &key(), "zNode", &request(), Uuid::from_u128(7), NOW_S)
    }

    #[test]
    fn a_token_opens_its_one_request_at_its_one_node_while_it_lives() {
        let token = AccessToken::parse(&token()).unwrap();
        assert_eq!((token.did(), token.jti()), (kid().did(), Uuid::from_u128(7)));
        for now_s in [NOW_S - CLOCK_SLACK_S, NOW_S, NOW_S + LIFETIME_S_MAX - 1] {
            assert_eq!(token.expect("zNode", &request(), now_s), Ok(()));
        }
        assert_eq!(token.expect("zOther", &request(), NOW_S), Err(AccessError::Audience));
        for now_s in [NOW_S - CLOCK_SLACK_S - 1, NOW_S + LIFETIME_S_MAX] {
            assert_eq!(token.expect("zNode", &request(), now_s), Err(AccessError::Expired));
        }
        for other in [
            AccessRequest::new("POST", "/v1/log?x=1", b"debug"),
            AccessRequest::new("PUT", "/v1/log", b"debug"),
            AccessRequest::new("PUT", "/v1/log?x=1", b"trace"),
        ] {
            assert_eq!(token.expect("zNode", &other, NOW_S), Err(AccessError::Request));
        }
    }

    #[test]
    fn a_token_that_lives_too_long_is_refused_however_it_is_signed() {
        let mut token = AccessToken::parse(&token()).unwrap();
        token.claims.exp += 1;
        assert_eq!(token.expect("zNode", &request(), NOW_S), Err(AccessError::Expired));
        token.claims.exp = token.claims.iat;
        assert_eq!(token.expect("zNode", &request(), NOW_S), Err(AccessError::Expired));
    }

    #[test]
    fn no_changed_character_goes_unnoticed() {
        let text = token();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            assert!(AccessToken::parse(std::str::from_utf8(&bytes).unwrap()).is_err(), "place {place}");
        }
    }

    #[test]
    fn other_algorithms_types_and_issuers_are_no_tokens() {
        let good = token();
        let mut segments = good.split('.').map(|segment| b64u::decode(segment).unwrap());
        let header = String::from_utf8(segments.next().unwrap()).unwrap();
        let claims = String::from_utf8(segments.next().unwrap()).unwrap();
        let sign = |header: &str, claims: &str| {
            let signed = format!("{}.{}", b64u::encode(header), b64u::encode(claims));
            let signature = b64u::encode(key().sign(signed.as_bytes()));
            AccessToken::parse(&format!("{signed}.{signature}")).map(|_| ())
        };
        assert_eq!(sign(&header, &claims), Ok(()));
        let malformed = Err(AccessError::Malformed);
        assert_eq!(sign(&header.replace("EdDSA", "none"), &claims), malformed);
        assert_eq!(sign(&header.replace("EdDSA", "ES256"), &claims), malformed);
        assert_eq!(sign(&header.replace(ACCESS_TYPE, "JWT"), &claims), malformed);
        assert_eq!(sign(&header.replace('}', r#","jku":"https://x"}"#), &claims), malformed);
        let other = "did:aval:demo:QmZzjfSdRnAsHghQa3vBnWXoMWA9FqydRZUXBcrqopEhN5";
        let claims = claims.replace(&format!(r#""iss":"{}""#, kid().did()), &format!(r#""iss":"{other}""#));
        assert_eq!(sign(&header, &claims), malformed);
        for text in ["", ".", "..", "a.b", "a.b.c"] {
            assert_eq!(AccessToken::parse(text), Err(AccessError::Malformed), "{text}");
        }
    }
}
