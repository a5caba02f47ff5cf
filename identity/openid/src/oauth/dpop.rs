//! Demonstrated proof of possession (RFC 9449): a token is bound to a key, and each use of it is signed with
//! that key for one method, one address and one time.

use crate::ErrorResponse;
use crate::jwt::{self, Jwt, JwtError, KeyName, Signer};
use aval_codec::json::Json;
use aval_codec::{Hash, b64u, sha256};
use std::collections::BTreeMap;
use url::Url;

/// The `typ` of a proof.
pub const TYPE: &str = "dpop+jwt";

/// The header that carries a proof.
pub const HEADER: &str = "DPoP";

/// The header in which a server gives out a nonce.
pub const NONCE_HEADER: &str = "DPoP-Nonce";

/// The largest proof that is read.
pub const PROOF_BYTES_MAX: usize = 8 * 1024;

const ID_BYTES_MAX: usize = 256;

/// What a proof must have been made for.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The address of the request, as the client knows it.
    pub url: &'a str,
    /// The access token that comes along, if one does.
    pub access_token: Option<&'a str>,
    /// The time, in unix seconds.
    pub now_s: i64,
    /// How old a proof may be.
    pub age_max_s: i64,
    /// How far the client's clock may be off.
    pub skew_s: i64,
}

/// A proof that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of its key (RFC 7638).
    pub thumbprint: String,
    /// The nonce in it; whether it is one that was given out is the server's to say, see
    /// [`ErrorResponse::use_dpop_nonce`].
    pub nonce: Option<String>,
    /// The name under which the server remembers that the proof was used, until [`Self::keep_until_s`]. A
    /// proof that was used before is refused.
    pub replay_key: Hash,
    /// When the proof will be too old to be used again.
    pub keep_until_s: i64,
}

impl Proof {
    /// Reads a proof and checks all that section 4.3 lists but for replay and the nonce.
    pub fn verify(text: &str, expected: &Expectation<'_>) -> Result<Self, ErrorResponse> {
        let refuse = |reason| Err(ErrorResponse::invalid_dpop_proof(reason));
        let Ok(jwt) = Jwt::parse(text, TYPE, PROOF_BYTES_MAX) else {
            return refuse("the proof cannot be read");
        };
        let key = match jwt.own_key() {
            Ok(key) if !jwt.header().contains_key("kid") && !jwt.header().contains_key("x5c") => key,
            _ => return refuse("the proof does not name its key as `jwk` and in no other way"),
        };
        if jwt.verify(&key).is_err() {
            return refuse("the signature of the proof is not valid");
        }
        if jwt.text("htm") != Some(expected.method) {
            return refuse("the proof is for another method");
        }
        let same = jwt.text("htu").and_then(place).is_some_and(|url| place(expected.url) == Some(url));
        if !same {
            return refuse("the proof is for another address");
        }
        let Some(issued_at_s) = jwt.seconds("iat") else { return refuse("the proof has no time") };
        let earliest = expected.now_s.saturating_sub(expected.age_max_s).saturating_sub(expected.skew_s);
        if !(earliest..=expected.now_s.saturating_add(expected.skew_s)).contains(&issued_at_s) {
            return refuse("the proof is old or from the future");
        }
        let Some(id) = jwt.text("jti").filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX) else {
            return refuse("the proof has no id, or a long one");
        };
        let hash = expected.access_token.map(|token| b64u::encode(sha256(token.as_bytes())));
        if jwt.text("ath") != hash.as_deref() || (hash.is_none() && jwt.payload().contains_key("ath")) {
            return refuse("the proof is for another access token");
        }
        let nonce = match jwt.payload().get("nonce") {
            None => None,
            Some(Json::String(nonce)) => Some(nonce.clone()),
            Some(_) => return refuse("the nonce of the proof is not a text"),
        };
        let thumbprint = key.thumbprint();
        let replay_key = sha256(format!("dpop {thumbprint} {id}").as_bytes());
        let keep_until_s =
            issued_at_s.saturating_add(expected.age_max_s).saturating_add(expected.skew_s).saturating_add(1);
        Ok(Self { thumbprint, nonce, replay_key, keep_until_s })
    }
}

/// An address without query and fragment, normalized (section 4.3, item 9).
fn place(text: &str) -> Option<String> {
    if text.len() > 2048 {
        return None;
    }
    let mut url = Url::parse(text).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}

/// Makes a proof. `id` is fresh and random.
pub fn prove(
    signer: &dyn Signer,
    method: &str,
    url: &str,
    id: &str,
    access_token: Option<&str>,
    nonce: Option<&str>,
    now_s: i64,
) -> Result<String, JwtError> {
    let url = place(url).ok_or(JwtError::Malformed("the address is not a URL"))?;
    let mut payload = BTreeMap::from([
        ("jti".to_owned(), Json::from(id)),
        ("htm".to_owned(), Json::from(method)),
        ("htu".to_owned(), Json::String(url)),
        ("iat".to_owned(), Json::Int(now_s)),
    ]);
    if let Some(token) = access_token {
        payload.insert("ath".to_owned(), Json::String(b64u::encode(sha256(token.as_bytes()))));
    }
    if let Some(nonce) = nonce {
        payload.insert("nonce".to_owned(), Json::from(nonce));
    }
    jwt::sign(signer, TYPE, KeyName::Own, payload)
}
