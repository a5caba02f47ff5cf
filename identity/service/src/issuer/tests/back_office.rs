//! The admin side.

use super::world::{TOKEN, World};
use crate::issuer::admin;
use crate::tests::request;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_without_the_token() {
    let world = World::start().await;
    let wrong = format!("Bearer {TOKEN}x");
    let basic = format!("Basic {TOKEN}");
    for (method, path) in [
        ("POST", "/offers"),
        ("GET", "/issuances"),
        ("POST", "/issuances/x/revoke"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
    ] {
        for authorization in ["", "Bearer", "Bearer ", "Bearer x", wrong.as_str(), basic.as_str(), TOKEN] {
            let headers = [("authorization", authorization)];
            let headers = if authorization.is_empty() { &headers[..0] } else { &headers[..] };
            let answer = request(method, format!("http://{}{path}", world.admin), headers, b"").await;
            answer.assert_problem(401, "admin.unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_token_opens_nothing() {
    let world = World::start().await;
    let router = admin::router(world.issuer.clone(), "");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/issuances", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    request("GET", url.clone(), &[], b"").await.assert_problem(401, "admin.unauthorized");
    request("GET", url, &[("authorization", "Bearer ")], b"").await.assert_problem(401, "admin.unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_router_refuses_is_a_problem() {
    let world = World::start().await;
    world.office("GET", "/nowhere", "").await.assert_problem(404, "request.not_found");
    let answer = world.office("GET", "/offers", "").await;
    answer.assert_problem(405, "request.method");
    assert_eq!(answer.header("allow"), "POST");
    world.office("DELETE", "/issuances", "").await.assert_problem(405, "request.method");
    let large = format!(r#"{{"subject":{{"role":["member"],"a":"{}"}}}}"#, "a".repeat(20_000));
    world.office("POST", "/offers", &large).await.assert_problem(413, "request.oversized");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_request_is_read_strictly() {
    let world = World::start().await;
    for body in [
        "",
        "[]",
        r#"{"subject":1}"#,
        r#"{"subject":{}}"#,
        r#"{"subject":{"role":"member"}}"#,
        r#"{"subject":{"role":[]}}"#,
        r#"{"subject":{"role":["member","member"]}}"#,
        r#"{"subject":{"role":[1]}}"#,
        r#"{"subject":{"role":["governor"]}}"#,
        r#"{"subject":{"role":["member"],"id":"did:example:1"}}"#,
        r#"{"subject":{"role":["member"],"_sd":[]}}"#,
        r#"{"subject":{"role":["member"],"a":1.5}}"#,
        r#"{"subject":{"role":["member"],"a":1,"a":2}}"#,
        r#"{"subject":{"role":["member"]},"more":1}"#,
        "{\"subject\":{\"role\":[\"member\"],\"a\":\"\u{0}\"}}",
    ] {
        world.office("POST", "/offers", body).await.assert_problem(422, "request.invalid");
    }
    let many: Vec<String> = (0..70).map(|number| format!(r#""claim{number}":1"#)).collect();
    let many = format!(r#"{{"subject":{{"role":["member"],{}}}}}"#, many.join(","));
    world.office("POST", "/offers", &many).await.assert_problem(422, "request.invalid");
    assert_eq!(world.office("GET", "/metrics", "").await.text().matches("offers_total 0").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_request_has_to_say_that_it_is_json() {
    let world = World::start().await;
    let authorization = format!("Bearer {TOKEN}");
    let body = br#"{"subject":{"role":["member"]}}"#;
    for media_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let headers = [("authorization", authorization.as_str()), ("content-type", media_type)];
        let answer = request("POST", format!("http://{}/offers", world.admin), &headers, body).await;
        answer.assert_problem(415, "request.media_type");
    }
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "Application/JSON; charset=utf-8")];
    let answer = request("POST", format!("http://{}/offers", world.admin), &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_offered_while_the_ledger_cannot_say_that_the_issuer_is_accredited() {
    let world = World::start().await;
    world.chain.reachable.store(false, Ordering::SeqCst);
    let answer = world.office("POST", "/offers", r#"{"subject":{"role":["member"]}}"#).await;
    answer.assert_problem(503, "client.unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_issuances_holds_no_claims() {
    let world = World::start().await;
    let (_, id) = world.issued().await;
    let answer = world.office("GET", "/issuances", "").await;
    let list = answer.json();
    assert_eq!((list[0]["id"].as_str(), list[0]["state"].as_str()), (Some(id.as_str()), Some("valid")));
    assert!(!answer.text().contains("Example Ltd"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_of_the_interface_is_up_to_date() {
    let world = World::start().await;
    let served = world.office("GET", "/openapi.json", "").await.json();
    for path in ["/offers", "/issuances", "/issuances/{id}/revoke", "/metrics"] {
        assert!(served["paths"].get(path).is_some(), "{path}");
    }
    let copy = "../../specs/openapi/aval-identityd-issuer.json";
    let text = admin::openapi_json();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), served);
    if std::env::var_os("AVAL_GENERATE").is_some() {
        std::fs::write(copy, &text).unwrap();
    }
    let kept = std::fs::read_to_string(copy).unwrap_or_default();
    assert!(kept == text, "{copy} is not up to date: run this test with AVAL_GENERATE=1");
}
