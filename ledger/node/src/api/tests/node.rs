//! The node itself, and what holds for every request.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};

use super::lab::Lab;
use crate::config::ApiConfig;
use crate::core::CoreOptions;
use crate::engine::Application;

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_who_and_how_far_the_node_is() {
    let lab = Lab::ready(1).await;
    let status = lab.get("/v1/status").await.json();
    assert_eq!(status["network"], lab.kit.network().to_string());
    assert_eq!(status["genesis"], lab.kit.network().genesis().to_string());
    assert_eq!((status["height"].as_u64(), status["sync"].as_str()), (Some(1), Some("in-step")));
    assert_eq!((status["role"].as_str(), status["name"].as_str()), (Some("validator"), Some("validator-0")));
    let peers = status["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 3);
    assert!(peers.iter().all(|peer| peer["connected"] == false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_ready_when_it_can_prove_the_present_and_healthy_before() {
    let mut lab = Lab::new(2);
    assert_eq!(lab.get("/health").await.status, StatusCode::OK);
    assert_eq!(lab.get("/ready").await.problem(), (503, "node.not_ready".into()));
    lab.make_block(true).await;
    assert_eq!(lab.get("/ready").await.status, StatusCode::OK);
    lab.advance_s(60);
    assert_eq!(lab.get("/ready").await.problem(), (503, "node.not_ready".into()));
    assert_eq!(lab.get("/v1/status").await.json()["sync"], "cut-off");
    lab.make_block(true).await;
    lab.core.executor.observe_tip(100);
    assert_eq!(lab.get("/ready").await.problem(), (503, "node.not_ready".into()));
    assert_eq!(lab.get("/v1/status").await.json()["sync"], "catching-up");
    assert_eq!(lab.get("/health").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem_with_an_id_and_safe_headers() {
    let lab = Lab::new(3);
    let cases = [
        (Method::GET, "/nothing", 404, "request.not_found"),
        (Method::GET, "/1.0/identifiers/", 404, "request.not_found"),
        (Method::DELETE, "/v1/status", 405, "request.method_not_allowed"),
        (Method::GET, "/v1/transactions", 405, "request.method_not_allowed"),
        (Method::PUT, "/v1/genesis", 405, "request.method_not_allowed"),
    ];
    let mut ids = Vec::new();
    for (method, path, status, code) in cases {
        let answer = lab.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{path}");
        assert_eq!(answer.headers.contains_key(header::ALLOW), status == 405, "{path}");
        ids.push(answer.headers["x-request-id"].clone());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    for path in ["/v1/status", "/nothing", "/1.0/identifiers/x"] {
        let headers = lab.get(path).await.headers;
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_handler_is_a_problem_and_not_the_end() {
    use axum::{Router, routing};
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;
    async fn defect() -> StatusCode {
        panic!("a defect that the test wants")
    }
    let router = Router::<()>::new()
        .route("/", routing::get(defect))
        .layer(CatchPanicLayer::custom(crate::api::layers::panicked));
    let response = router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_above_the_limit_are_shed_and_neither_waiting_ones_nor_health_are_among_them() {
    let api = ApiConfig { requests_max: 1, ..ApiConfig::default() };
    let lab = Lab::with(4, CoreOptions::default(), api);
    let id = "0".repeat(64);
    let wait = Request::get(format!("/v1/transactions/{id}?wait_ms=600")).body(Body::empty()).unwrap();
    let waiting = lab.spawn(wait);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(lab.get("/v1/genesis").await.status, StatusCode::OK);
    // A body that does not end holds the one place until the timeout.
    let (_sender, body) = unending_body();
    let slow = Request::post("/v1/transactions")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap();
    let slow = lab.spawn(slow);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let shed = lab.get("/v1/genesis").await;
    assert_eq!(shed.problem(), (503, "node.overloaded".into()));
    assert!(shed.headers.contains_key(header::RETRY_AFTER));
    for about_the_node in ["/health", "/v1/status", "/metrics"] {
        assert_eq!(lab.get(about_the_node).await.status, StatusCode::OK, "{about_the_node}");
    }
    assert_eq!(waiting.await.unwrap().json()["status"], "unknown");
    slow.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_takes_too_long_is_given_up() {
    let lab = Lab::with(5, CoreOptions::default(), ApiConfig { timeout_ms: 100, ..ApiConfig::default() });
    let (_sender, body) = unending_body();
    let slow = Request::post("/v1/transactions")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap();
    assert_eq!(lab.send(slow).await.problem(), (408, "request.timeout".into()));
}

fn unending_body() -> (futures::channel::mpsc::Sender<Result<bytes::Bytes, std::io::Error>>, Body) {
    let (sender, receiver) = futures::channel::mpsc::channel(1);
    (sender, Body::from_stream(receiver))
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_by_route_and_by_code_and_never_by_what_was_sent() {
    let lab = Lab::ready(6).await;
    lab.get("/v1/blocks/secret-input").await;
    lab.get("/secret-path").await;
    lab.post("application/json", "{}").await;
    let answer = lab.get("/metrics").await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        text.contains("aval_http_requests_total{route=\"/v1/blocks/{height}\",status=\"400\"} 1"),
        "{text}"
    );
    assert!(text.contains("aval_transactions_refused_total{code=\"transaction.malformed\"} 1"));
    assert!(text.contains("aval_transactions_admitted_total 1"));
    assert!(text.contains("aval_ledger_height 1"));
    assert!(!text.contains("secret"));
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_lists_every_route_and_its_copy_is_up_to_date() {
    let lab = Lab::new(7);
    let served = lab.get("/openapi.json").await.json();
    for path in [
        "/v1/transactions",
        "/v1/transactions/{id}",
        "/v1/transactions/{id}/receipt",
        "/1.0/identifiers/{identifier}",
        "/v1/state",
        "/v1/blocks/{height}",
        "/v1/blocks/{height}/header",
        "/v1/checkpoint",
        "/v1/genesis",
        "/v1/status",
        "/health",
        "/ready",
        "/metrics",
    ] {
        assert!(served["paths"].get(path).is_some(), "{path}");
    }
    let copy = "../../specs/openapi/avald.json";
    let text = crate::api::openapi_json();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), served);
    if std::env::var_os("AVAL_GENERATE").is_some() {
        std::fs::write(copy, &text).unwrap();
    }
    let kept = std::fs::read_to_string(copy).unwrap_or_default();
    assert!(kept == text, "specs/openapi/avald.json is not up to date: run this test with AVAL_GENERATE=1");
}
