//! What a wallet does not answer.

use super::world::*;
use crate::http::HttpResponse;
use crate::jwt::{self, KeyName};
use crate::url_rules::UrlPolicy;
use crate::vp::holder::{Invitation, Reference, RequestUriMethod};
use crate::vp::request::{AUDIENCE, MEDIA_TYPE, TYPE};
use crate::x509::Anchors;
use aval_codec::json::Json;
use aval_did::key::SigningKey;
use std::collections::BTreeMap;
use url::form_urlencoded;

fn reference(world: &World) -> Reference {
    match Invitation::parse(&world.link(), UrlPolicy::HTTPS).unwrap() {
        Invitation::Reference(reference) => reference,
        Invitation::Value(_) => panic!("the request is to be fetched"),
    }
}

/// A request object of the world with its members changed, signed well.
fn changed(world: &mut World, change: impl FnOnce(&mut BTreeMap<String, Json>)) -> String {
    let object = world.sign(Some(WALLET_NONCE));
    let mut members = jwt::Jwt::parse(&object, TYPE, 100_000).unwrap().payload().clone();
    change(&mut members);
    let key_id = format!("{VERIFIER_DID}#key-1");
    jwt::sign(&world.signer, TYPE, KeyName::Id(&key_id), members).unwrap()
}

fn code(world: &World, object: &str) -> &'static str {
    match fetched(&reference(world), object).and_then(|unverified| world.trust(unverified)) {
        Ok(_) => "taken",
        Err(error) => error.code(),
    }
}

#[test]
fn a_request_of_another_verifier_or_for_another_wallet_is_refused() {
    let mut world = World::new(Kind::Did, &draft());
    let good = changed(&mut world, |_| ());
    assert_eq!(code(&world, &good), "taken");
    let other = changed(&mut world, |members| {
        members.insert("client_id".to_owned(), "decentralized_identifier:did:key:z6Mkother".into());
    });
    assert_eq!(code(&world, &other), "openid.untrusted");
    let replayed = changed(&mut world, |members| {
        members.insert("wallet_nonce".to_owned(), "of another wallet".into());
    });
    assert_eq!(code(&world, &replayed), "openid.untrusted");
    let without = changed(&mut world, |members| drop(members.remove("wallet_nonce")));
    assert_eq!(code(&world, &without), "openid.untrusted");
    let elsewhere = changed(&mut world, |members| {
        members.insert("aud".to_owned(), "https://other.example".into());
    });
    assert_eq!(code(&world, &elsewhere), "openid.request");
}

#[test]
fn a_request_that_is_signed_by_another_key_is_refused() {
    let mut world = World::new(Kind::Did, &draft());
    let object = world.sign(Some(WALLET_NONCE));
    world.signer = SigningKey::from_seed(&[77; 32]);
    assert_eq!(code(&world, &object), "openid.untrusted");
    // A key id of another DID never gets as far as a key.
    let members = jwt::Jwt::parse(&object, TYPE, 100_000).unwrap().payload().clone();
    let foreign = jwt::sign(&world.signer, TYPE, KeyName::Id("did:key:z6Mk#z6Mk"), members.clone()).unwrap();
    assert_eq!(code(&world, &foreign), "openid.untrusted");
    let own = jwt::sign(&world.signer, TYPE, KeyName::Own, members.clone()).unwrap();
    assert_eq!(code(&world, &own), "openid.untrusted");
    let typed = jwt::sign(&world.signer, "JWT", KeyName::Own, members).unwrap();
    assert_eq!(code(&world, &typed), "openid.malformed");
}

#[test]
fn a_certificate_must_lead_to_a_root_and_be_for_the_name() {
    let mut world = World::new(Kind::Dns, &draft());
    let object = world.sign(Some(WALLET_NONCE));
    assert_eq!(code(&world, &object), "taken");
    world.anchors = Anchors::default();
    assert_eq!(code(&world, &object), "openid.untrusted");

    // The certificate is for `verifier.example`, so that its hash is right and another name is not.
    let mut world = World::new(Kind::Hash, &draft());
    let object = world.sign(Some(WALLET_NONCE));
    assert_eq!(code(&world, &object), "taken");
    world.signer = SigningKey::p256_from_seed(&[3; 32]).unwrap();
    let object = world.sign(Some(WALLET_NONCE));
    assert_eq!(code(&world, &object), "openid.untrusted");
}

#[test]
fn requests_that_ask_in_an_unknown_or_dangerous_way_are_refused() {
    let mut world = World::new(Kind::Did, &draft());
    for (name, value, expected) in [
        ("response_type", Some(Json::from("code")), "openid.unsupported"),
        ("response_type", None, "openid.unsupported"),
        ("response_mode", Some("fragment".into()), "openid.unsupported"),
        ("response_mode", Some("query".into()), "openid.unsupported"),
        ("redirect_uri", Some("https://thief.example".into()), "openid.request"),
        ("response_uri", None, "openid.url"),
        ("response_uri", Some("http://verifier.example/a".into()), "openid.url"),
        ("response_uri", Some("https://10.0.0.1/a".into()), "openid.url"),
        ("response_uri", Some("https://localhost/a".into()), "openid.url"),
        ("nonce", None, "openid.request"),
        ("nonce", Some("".into()), "openid.request"),
        ("nonce", Some("a b".into()), "openid.request"),
        ("state", Some(Json::Int(5)), "openid.request"),
        ("dcql_query", None, "openid.request"),
        ("dcql_query", Some(Json::Object(BTreeMap::new())), "openid.request"),
        ("client_metadata", Some("text".into()), "openid.request"),
        ("client_metadata", None, "openid.request"),
        ("transaction_data", Some(Json::Array(Vec::new())), "openid.request"),
        ("transaction_data", Some(Json::Array(vec!["e30".into()])), "openid.request"),
        ("exp", Some(Json::Int(NOW_S - 301)), "openid.request"),
        ("iat", Some(Json::Int(NOW_S + 301)), "openid.request"),
        ("nbf", Some(Json::Int(NOW_S + 301)), "openid.request"),
        ("exp", Some("soon".into()), "openid.request"),
    ] {
        let object = changed(&mut world, |members| {
            members.remove(name);
            members.extend(value.clone().map(|value| (name.to_owned(), value)));
        });
        assert_eq!(code(&world, &object), expected, "{name}: {value:?}");
    }
}

#[test]
fn what_is_not_a_request_object_is_refused() {
    let mut world = World::new(Kind::Did, &draft());
    let reference = reference(&world);
    let object = world.sign(Some(WALLET_NONCE));
    let answer = |status, content_type, body: &[u8]| {
        let response = HttpResponse { status, content_type, body };
        reference.on_response(&response, WALLET_NONCE, NOW_S).map(drop)
    };
    assert!(answer(200, Some(MEDIA_TYPE), object.as_bytes()).is_ok());
    assert!(answer(200, Some("application/jwt"), object.as_bytes()).is_err());
    assert!(answer(200, None, object.as_bytes()).is_err());
    assert!(answer(302, Some(MEDIA_TYPE), object.as_bytes()).is_err());
    assert!(answer(200, Some(MEDIA_TYPE), b"").is_err());
    assert!(answer(200, Some(MEDIA_TYPE), &vec![b'a'; 200_000]).is_err());
}

fn link(parameters: &[(&str, &str)]) -> Result<Invitation, &'static str> {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    Invitation::parse(&format!("openid4vp://?{query}"), UrlPolicy::HTTPS).map_err(|error| error.code())
}

#[test]
fn links_lead_neither_into_private_networks_nor_astray() {
    let id = ("client_id", "decentralized_identifier:did:key:z6Mk");
    let Ok(Invitation::Reference(reference)) = link(&[id, ("request_uri", REQUEST_URI)]) else {
        panic!("it is a reference")
    };
    assert_eq!(reference.method(), RequestUriMethod::Get);
    assert!(reference.request(WALLET_NONCE).body.is_empty());
    for uri in ["http://verifier.example/", "https://10.0.0.1/", "https://[::1]/", "file:///etc/passwd", ""] {
        assert_eq!(link(&[id, ("request_uri", uri)]), Err("openid.url"), "{uri}");
    }
    let method = ("request_uri_method", "put");
    assert_eq!(link(&[id, ("request_uri", REQUEST_URI), method]), Err("openid.request"));
    assert_eq!(link(&[id, id, ("request_uri", REQUEST_URI)]), Err("openid.request"));
    assert_eq!(link(&[("request_uri", REQUEST_URI)]), Err("openid.unsupported"));
    assert_eq!(link(&[id, ("request", "eyJ")]), Err("openid.unsupported"));
    let address = ("client_id", "redirect_uri:https://verifier.example/answers/7");
    assert_eq!(link(&[address, ("request_uri", REQUEST_URI)]), Err("openid.request"));
    assert_eq!(link(&[address]), Err("openid.unsupported"));
    assert!(Invitation::parse("openid4vp://", UrlPolicy::HTTPS).is_err());
    assert!(Invitation::parse(&format!("openid4vp://?{}", "a".repeat(100_000)), UrlPolicy::HTTPS).is_err());
}

#[test]
fn a_verifier_that_signs_cannot_be_impersonated_by_a_request_in_a_link() {
    let world = World::new(Kind::Address, &draft());
    let link = world.link();
    assert!(Invitation::parse(&link, UrlPolicy::HTTPS).is_ok());
    let forged = link.replace("redirect_uri%3Ahttps", "x509_san_dns%3Averifier.example%26");
    let error = Invitation::parse(&forged, UrlPolicy::HTTPS).unwrap_err();
    assert_eq!(error.code(), "openid.untrusted");
    let thief = link.replacen(
        "client_id=redirect_uri%3Ahttps%3A%2F%2Fverifier",
        "client_id=redirect_uri%3Ahttps%3A%2F%2Fthief",
        1,
    );
    assert_ne!(thief, link);
    assert_eq!(Invitation::parse(&thief, UrlPolicy::HTTPS).unwrap_err().code(), "openid.url");
}

#[test]
fn an_incomplete_answer_is_not_sent() {
    let mut world = World::new(Kind::Did, &draft());
    let verified = world.open().unwrap();
    let good = present(&verified);
    assert!(verified.respond(good.clone()).is_ok());
    assert!(verified.respond(BTreeMap::new()).is_err());
    let mut twice = good.clone();
    let one = twice["diploma"][0].clone();
    twice.get_mut("diploma").unwrap().push(one);
    assert!(verified.respond(twice).is_err());
    let mut more = good;
    more.insert("other".to_owned(), vec!["x".into()]);
    assert!(verified.respond(more).is_err());
}

#[test]
fn the_browser_is_not_sent_anywhere() {
    let mut world = World::new(Kind::Did, &draft());
    let verified = world.open().unwrap();
    let answer = |body: &str| {
        verified.on_response(&json_answer(body.as_bytes())).map(|answered| answered.redirect_uri)
    };
    assert_eq!(answer("{}"), Ok(None));
    let there = "https://shop.example/done#part";
    assert_eq!(answer(&format!(r#"{{"redirect_uri":"{there}"}}"#)), Ok(Some(there.to_owned())));
    for uri in ["javascript:alert(1)", "http://shop.example/", "https://192.168.0.1/", ""] {
        assert!(answer(&format!(r#"{{"redirect_uri":"{uri}"}}"#)).is_err(), "{uri}");
    }
    assert!(answer(r#"{"redirect_uri":5}"#).is_err());
    assert!(answer("[").is_err());
    let _ = AUDIENCE;
}
