//! JWT and SD-JWT: headers, claims, disclosures.

use super::super::world::*;
use super::Case;
use crate::SigningKey;
use crate::jose;
use crate::verifier::{Input, Kind};
use aval_codec::{b64u, sha256};
use serde_json::{Value, json};

fn case(name: &'static str, wrong: &'static str, text: String, code: &'static str) -> Case {
    Case::new(name, wrong, Kind::Credential, Input::Text(text), code)
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "vc+jwt", "kid": method(ISSUER)})
}

/// A token with any header and payload as text, signed by a key over exactly that.
fn raw(header: &str, payload: &str, key: &SigningKey) -> String {
    let input = format!("{}.{}", b64u::encode(header), b64u::encode(payload));
    format!("{input}.{}", b64u::encode(key.sign(input.as_bytes())))
}

fn with_header(name: &str, value: Value) -> String {
    raw(&with(header(), &format!("/{name}"), value).to_string(), &credential().to_string(), &key(ISSUER))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = headers();
    cases.extend(payloads());
    cases.extend(older());
    cases.extend(sd_jwts());
    cases
}

fn headers() -> Vec<Case> {
    let none = format!(
        "{}.{}.",
        b64u::encode(with(header(), "/alg", json!("none")).to_string()),
        b64u::encode(credential().to_string())
    );
    let own = with(header(), "/jwk", key(STRANGER).public().to_jwk());
    vec![
        case("alg-none", "the token says that it is not signed", none, "jose.algorithm"),
        case(
            "alg-hmac",
            "the token says that the public key is a shared secret",
            with_header("alg", json!("HS256")),
            "jose.algorithm",
        ),
        case(
            "alg-of-another-key",
            "the token says ES256, and the key is an Ed25519 key",
            with_header("alg", json!("ES256")),
            "jose.algorithm",
        ),
        case(
            "critical-extension",
            "the token demands an extension that nobody understands",
            with_header("crit", json!(["exp"])),
            "jose.critical",
        ),
        case(
            "unencoded-payload",
            "the token says that its payload is not encoded",
            with_header("b64", json!(false)),
            "jose.header",
        ),
        case(
            "old-media-type",
            "the token is typed `vc-ld+jwt`, a name that was given up",
            with_header("typ", json!("vc-ld+jwt")),
            "jose.type",
        ),
        case(
            "typed-as-another-token",
            "a token that was signed to be something else: an access token",
            with_header("typ", json!("at+jwt")),
            "jose.type",
        ),
        case(
            "key-in-the-header",
            "the token brings its own key, and names the issuer's",
            raw(&own.to_string(), &credential().to_string(), &key(STRANGER)),
            "signature",
        ),
        case(
            "key-from-a-url-in-the-header",
            "the token says where to fetch its key, and names the issuer's",
            raw(
                &with(header(), "/jku", json!("https://stranger.example/keys")).to_string(),
                &credential().to_string(),
                &key(STRANGER),
            ),
            "signature",
        ),
    ]
}

fn payloads() -> Vec<Case> {
    let text = credential().to_string();
    let twice = format!("{{\"issuer\":\"{STRANGER}\",{}", &text[1..]);
    let good = jwt(&credential(), ISSUER);
    let (start, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let flipped = format!("{start}.{flipped}{}", &signature[1..]);
    let wrapped = json!({"vc": credential(), "issuer": ISSUER});
    let other = jwt(&with(credential(), "/iss", json!(STRANGER)), ISSUER);
    vec![
        case(
            "duplicate-key",
            "the payload has `issuer` twice: two readers see two issuers",
            raw(&header().to_string(), &twice, &key(ISSUER)),
            "format.duplicate_key",
        ),
        case("token-signature-changed", "the signature of the token was changed", flipped, "signature"),
        case("token-cut-short", "the token has lost its signature", start.to_owned(), "format.malformed"),
        case(
            "iss-is-not-the-issuer",
            "the claim `iss` and the issuer of the credential are two",
            other,
            "jose.claims",
        ),
        case(
            "vc-claim-in-a-new-token",
            "the token is of the new kind and wraps its credential in the old way",
            raw(&header().to_string(), &wrapped.to_string(), &key(ISSUER)),
            "jose.claims",
        ),
        case(
            "token-expired",
            "the credential goes on, the token it came in has expired",
            jwt(&with(credential(), "/exp", json!(NOW_S - 3600)), ISSUER),
            "credential.expired",
        ),
        case(
            "token-issued-in-the-future",
            "the token says that it was issued tomorrow",
            raw(
                &header().to_string(),
                &with(credential(), "/iat", json!(NOW_S + 86_400)).to_string(),
                &key(ISSUER),
            ),
            "credential.not_yet_valid",
        ),
        case(
            "number-that-nobody-holds",
            "a number of the payload is beyond what every reader holds exactly",
            raw(&header().to_string(), &format!("{{\"n\":9007199254740993,{}", &text[1..]), &key(ISSUER)),
            "format.number",
        ),
    ]
}

fn older() -> Vec<Case> {
    let vc = json!({
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": ["VerifiableCredential", TYPE],
        "issuer": ISSUER,
        "credentialSubject": {"id": HOLDER, "degree": "Bachelor of Science"},
    });
    let sign = |claims: Value| token("JWT", &json!({"kid": method(ISSUER)}), &claims, ISSUER);
    let claims = json!({"iss": ISSUER, "sub": HOLDER, "nbf": SIGNED_S, "exp": NOW_S - 86_400, "vc": vc});
    vec![
        case(
            "jwt-of-1-1-expired",
            "the credential itself says no end, its token ended yesterday",
            sign(claims.clone()),
            "credential.expired",
        ),
        case(
            "jwt-of-1-1-with-another-issuer",
            "the token and the credential in it name two issuers",
            sign(with(with(claims.clone(), "/exp", Value::Null), "/iss", json!(STRANGER))),
            "jose.claims",
        ),
        case(
            "jwt-of-1-1-with-another-subject",
            "the token and the credential in it name two subjects",
            sign(with(with(claims, "/exp", Value::Null), "/sub", json!(STRANGER))),
            "jose.claims",
        ),
    ]
}

/// A signed payload with one digest, and its disclosure.
fn with_disclosure(name: &str, value: &Value, mut claims: Value) -> (String, String) {
    let disclosure = b64u::encode(json!(["2GLC42sKQveCfGfryNRN9w", name, value]).to_string());
    claims["_sd"] = json!([b64u::encode(sha256(disclosure.as_bytes()))]);
    claims["_sd_alg"] = json!("sha-256");
    (token("dc+sd-jwt", &json!({"kid": method(ISSUER)}), &claims, ISSUER), disclosure)
}

fn sd_jwts() -> Vec<Case> {
    let untyped = json!({"kid": method(ISSUER), "alg": "EdDSA"});
    let untyped = format!("{}~", raw(&untyped.to_string(), &claims().to_string(), &key(ISSUER)));
    let (jwt, disclosure) = with_disclosure("thesis", &json!("On Status"), claims());
    let foreign = b64u::encode(json!(["2GLC42sKQveCfGfryNRN9w", "thesis", "On Nothing"]).to_string());
    let (concealed, of_exp) = with_disclosure("exp", &json!(NOW_S + 60), with(claims(), "/exp", Value::Null));
    let header = jose::key_id_header(&method(STRANGER));
    let header = Value::Object(header);
    vec![
        case("sd-jwt-without-type", "the token has no `typ`: it could be anything", untyped, "jose.type"),
        case(
            "disclosure-twice",
            "one disclosure is there twice",
            format!("{jwt}~{disclosure}~{disclosure}~"),
            "sd_jwt.disclosure",
        ),
        case(
            "disclosure-of-another",
            "a disclosure that the issuer did not sign for",
            format!("{jwt}~{foreign}~"),
            "sd_jwt.disclosure",
        ),
        case(
            "expiry-concealed",
            "the end of validity is selectively disclosed",
            format!("{concealed}~{of_exp}~"),
            "sd_jwt.disclosure",
        ),
        case(
            "sd-jwt-expired",
            "the SD-JWT expired yesterday",
            sd_jwt(&with(claims(), "/exp", json!(NOW_S - 86_400))),
            "credential.expired",
        ),
        case(
            "sd-jwt-without-type-of-credential",
            "the SD-JWT VC has no `vct`",
            sd_jwt(&with(claims(), "/vct", Value::Null)),
            "jose.claims",
        ),
        case(
            "sd-jwt-by-a-stranger",
            "the SD-JWT names its issuer and is signed by somebody else",
            format!("{}~", token("dc+sd-jwt", &header, &claims(), STRANGER)),
            "issuer.key",
        ),
    ]
}
