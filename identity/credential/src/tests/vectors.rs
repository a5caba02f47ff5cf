//! `specs/vectors/sd-jwt/presentations.json`: made here, and read back as somebody else's code would read it.

use super::support::*;
use crate::present::{Selection, disclose};
use aval_codec::json::{self, Json};
use std::{env, fs};

const PATH: &str = "../../specs/vectors/sd-jwt/presentations.json";

const ABOUT: &str = "Presentations of a vc+sd-jwt credential to a verifier that knows the issuer's key, gave out the \
    nonce, has the name `audience`, the time `now`, a clock skew of 60 s, and takes key bindings of at most 300 s. \
    `code` is null if the presentation is valid, and else the code of its first problem.";

fn cases() -> Vec<(&'static str, String)> {
    let mut cases =
        vec![("everything disclosed", presented()), ("no key binding", issued().as_str().to_owned())];
    let some = disclose(&issued(), &Selection::names(["legalName"])).unwrap();
    cases.push(("one claim disclosed", some.bind(&holder(), &binding()).unwrap()));
    let (_, other) = cases[0].1.rsplit_once('~').unwrap();
    cases.push(("key binding of another selection", format!("{}{other}", some.sd_jwt().as_str())));
    cases.extend(bad_headers());
    cases.extend(bad_disclosures());
    cases.extend(bad_claims());
    cases.extend(bad_key_bindings());
    cases
}

fn bad_headers() -> Vec<(&'static str, String)> {
    let with = |header: String| Workshop { header, ..Workshop::new() };
    let jwk = text_of(&stranger().public().to_jwk());
    let own_key = with(format!(r#"{{"alg":"EdDSA","jwk":{jwk},"kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#));
    vec![
        ("alg none", with(format!(r#"{{"alg":"none","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#)).build()),
        ("alg HS256", with(format!(r#"{{"alg":"HS256","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#)).build()),
        (
            "alg of another key type",
            with(format!(r#"{{"alg":"ES256","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#)).build(),
        ),
        ("typ of another kind", with(format!(r#"{{"alg":"EdDSA","kid":"{KEY_ID}","typ":"JWT"}}"#)).build()),
        (
            "critical extension",
            with(format!(r#"{{"alg":"EdDSA","crit":["x"],"kid":"{KEY_ID}","typ":"vc+sd-jwt","x":1}}"#))
                .build(),
        ),
        (
            "kid of another issuer",
            with(r##"{"alg":"EdDSA","kid":"did:example:1#key-1","typ":"vc+sd-jwt"}"##.to_owned()).build(),
        ),
        ("signed by a key in the header", Workshop { signer: stranger(), ..own_key }.build()),
        ("signed by another key", Workshop { signer: stranger(), ..Workshop::new() }.build()),
        (
            "duplicate key in the header",
            with(format!(r#"{{"alg":"EdDSA","kid":"{KEY_ID}","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#)).build(),
        ),
    ]
}

fn bad_disclosures() -> Vec<(&'static str, String)> {
    let mut twice = Workshop::new();
    twice.disclosures.push(twice.disclosures[0].clone());
    let mut foreign = Workshop::new();
    foreign.disclosures.push(disclosure(r#"["salt","role",["governor"]]"#).0);
    let with = |text: &str| {
        let (encoded, digest) = disclosure(text);
        let mut workshop = Workshop::new().subject(|subject| {
            subject.insert("_sd".to_owned(), Json::Array(vec![digest]));
        });
        workshop.disclosures = vec![encoded];
        workshop.build()
    };
    let hash = Workshop::new().payload(|payload| {
        payload.insert("_sd_alg".to_owned(), "sha-512".into());
    });
    vec![
        ("disclosure twice", twice.build()),
        ("disclosure that was not signed", foreign.build()),
        ("disclosure that shadows a claim", with(r#"["salt","role",["governor"]]"#)),
        ("disclosure of a reserved name", with(r#"["salt","_sd","x"]"#)),
        ("disclosure of an array element as a member", with(r#"["salt","x"]"#)),
        ("disclosure with a fraction", with(r#"["salt","height",1.5]"#)),
        ("disclosure with a duplicate key", with(r#"["salt","address",{"a":1,"a":2}]"#)),
        ("other hash algorithm", hash.build()),
    ]
}

fn bad_claims() -> Vec<(&'static str, String)> {
    let with = |name: &str, value: Json| {
        Workshop::new()
            .payload(|payload| {
                payload.insert(name.to_owned(), value);
            })
            .build()
    };
    let (encoded, digest) = disclosure(r#"["salt","validUntil","2099-01-01T00:00:00Z"]"#);
    let mut concealed = Workshop::new().payload(|payload| {
        payload.remove("validUntil");
        payload.insert("_sd".to_owned(), Json::Array(vec![digest]));
    });
    concealed.disclosures.push(encoded);
    vec![
        ("expired", with("validUntil", "2026-11-22T09:00:00Z".into())),
        ("not yet valid", with("validFrom", "2026-11-22T10:00:00Z".into())),
        ("context of version 1", with("@context", strings(&["https://www.w3.org/2018/credentials/v1"]))),
        ("no base type", with("type", strings(&["AvalMembershipCredential"]))),
        ("iss of another issuer", with("iss", "did:example:1".into())),
        ("claim of version 1.1", with("vc", Json::Null)),
        ("unknown status", with("credentialStatus", Json::from([("type", "Other".into())]))),
        ("concealed end of validity", concealed.build()),
    ]
}

fn bad_key_bindings() -> Vec<(&'static str, String)> {
    let header = |header: &str| Workshop { binding_header: header.to_owned(), ..Workshop::new() }.build();
    let binder = aval_did::key::SigningKey::p256_from_seed(&[9; 32]).unwrap();
    let at =
        |offset_s: i64| Workshop::new().binding(&NOW_S.to_string(), &(NOW_S + offset_s).to_string()).build();
    vec![
        ("key binding by another key", Workshop { binder, ..Workshop::new() }.build()),
        ("key binding of another type", header(r#"{"alg":"ES256","typ":"JWT"}"#)),
        ("key binding with alg none", header(r#"{"alg":"none","typ":"kb+jwt"}"#)),
        ("another nonce", Workshop::new().binding(NONCE, "another").build()),
        ("another audience", Workshop::new().binding(AUDIENCE, "another").build()),
        ("iat with a fraction", Workshop::new().binding(&NOW_S.to_string(), "1795339800.5").build()),
        ("iat null", Workshop::new().binding(&NOW_S.to_string(), "null").build()),
        ("as old as allowed", at(-360)),
        ("too old", at(-361)),
        ("from the future", at(61)),
    ]
}

fn file() -> Json {
    let cases = cases().into_iter().map(|(name, text)| {
        let code = codes(&text).first().map_or(Json::Null, |code| (*code).into());
        Json::from([("name", name.into()), ("presentation", text.into()), ("code", code)])
    });
    Json::from([
        ("about", ABOUT.into()),
        ("issuerKey", issuer().public().to_jwk()),
        ("keyId", KEY_ID.into()),
        ("nonce", NONCE.into()),
        ("audience", AUDIENCE.into()),
        ("now", Json::Int(NOW_S)),
        ("cases", Json::Array(cases.collect())),
    ])
}

#[test]
fn the_vectors_in_the_specifications_are_what_the_code_makes_and_decides() {
    let made = file();
    if env::var_os("AVAL_GENERATE").is_some() {
        let text = String::from_utf8(made.to_jcs()).unwrap().replace("},{", "},\n{").replace("[{", "[\n{");
        fs::write(PATH, text + "\n").unwrap();
    }
    let kept = fs::read(PATH).unwrap();
    let kept = json::parse(&kept, json::Limits { bytes_max: 1 << 20, depth_max: 8 }).unwrap();
    assert!(kept == made, "the vectors are out of date; run the tests with AVAL_GENERATE=1");
    let codes: Vec<_> =
        kept.get("cases").unwrap().as_array().unwrap().iter().map(|case| case.get("code")).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(&Json::Null)).count(), 3, "three are valid");
}
