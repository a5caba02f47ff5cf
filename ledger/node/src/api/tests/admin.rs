//! The interface for the operator: whom it lets in, what it does, and what it writes down.

use aval_types::access::{AccessRequest, AccessToken};
use axum::http::StatusCode;
use uuid::Uuid;

use super::lab::Lab;

const STATUS: (&str, &str, &str) = ("GET", "/v1/status", "");

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_and_steers_the_node() {
    let lab = Lab::ready(1).await;
    let operator = lab.kit.operators[0].clone();
    let open = lab.ask(true, ("GET", "/v1/node", ""), None).await.json();
    assert_eq!(
        (&open["key"], &open["operator"]),
        (&lab.gate.node_key().into(), &operator.did.as_str().into())
    );
    let status = lab.administer(&operator, STATUS).await;
    assert_eq!(status.status, StatusCode::OK, "{}", status.json());
    let status = status.json();
    assert_eq!(
        (&status["height"], &status["epoch"]["number"], &status["log"]),
        (&1.into(), &0.into(), &"warn".into())
    );
    let peers = lab.administer(&operator, ("GET", "/v1/peers", "")).await.json();
    assert_eq!(peers.as_array().unwrap().len(), 3);
    assert!(!peers[0]["why"].as_str().unwrap().is_empty());
    let changed = lab.administer(&operator, ("PUT", "/v1/log-level", r#"{"filter":"info"}"#)).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(lab.controls.log.current(), "info");
    for body in [r#"{"filter":"aval=loud"}"#, r#"{"level":"info"}"#, "info", ""] {
        let answer = lab.administer(&operator, ("PUT", "/v1/log-level", body)).await;
        assert_eq!(answer.problem(), (400, "request.malformed".into()), "{body}");
    }
    assert_eq!(lab.controls.log.current(), "info");
    assert!(!lab.controls.stop.is_requested());
    assert_eq!(lab.administer(&operator, ("POST", "/v1/stop", "")).await.status, StatusCode::ACCEPTED);
    assert!(lab.controls.stop.is_requested());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_let_in_and_nothing_happens() {
    let mut lab = Lab::ready(2).await;
    let operator = lab.kit.operators[0].clone();
    let (member, _) = lab.member(1).await;
    let stranger = lab.kit.company(9);
    let stop = ("POST", "/v1/stop", "");
    for (party, problem) in [
        (&lab.kit.operators[1], (403, "access.forbidden")),
        (&member, (403, "access.forbidden")),
        (&stranger, (401, "access.key")),
    ] {
        let answer = lab.administer(party, stop).await.problem();
        assert_eq!(answer, (problem.0, problem.1.to_owned()));
    }
    let request = AccessRequest::new("POST", "/v1/stop", b"");
    let (kid, key, now_s) = (operator.kid(), &operator.authentication, lab.kit.now_s);
    let sign = |node: &str, request: &AccessRequest, now_s: u64| {
        AccessToken::sign(&kid, key, node, request, Uuid::new_v4(), now_s)
    };
    let node = lab.gate.node_key();
    for (token, code) in [
        (None, "access.missing"),
        (Some("x.y.z".to_owned()), "access.malformed"),
        (Some(sign("zOther", &request, now_s)), "access.audience"),
        (Some(sign(node, &request, now_s - 301)), "access.expired"),
        (Some(sign(node, &request, now_s + 60)), "access.expired"),
        (Some(sign(node, &AccessRequest::new("GET", "/v1/status", b""), now_s)), "access.request"),
        (Some(sign(node, &AccessRequest::new("POST", "/v1/stop", b"x"), now_s)), "access.request"),
    ] {
        let answer = lab.ask(true, stop, token.as_deref()).await.problem();
        assert_eq!(answer, (401, code.to_owned()));
    }
    let foreign = AccessToken::sign(&kid, &member.authentication, node, &request, Uuid::new_v4(), now_s);
    assert_eq!(lab.ask(true, stop, Some(&foreign)).await.problem(), (401, "access.signature".into()));
    assert!(!lab.controls.stop.is_requested());
    assert_eq!(lab.ask(true, ("GET", "/v1/nothing", ""), None).await.problem().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_once_and_so_is_a_key_that_left_its_document() {
    let mut lab = Lab::ready(3).await;
    let mut operator = lab.kit.operators[0].clone();
    let token = lab.token(&operator, &AccessRequest::new("GET", "/v1/status", b""));
    assert_eq!(lab.ask(true, STATUS, Some(&token)).await.status, StatusCode::OK);
    assert_eq!(lab.ask(true, STATUS, Some(&token)).await.problem(), (401, "access.replayed".into()));
    let deactivate = operator.clone().deactivate(&lab.kit);
    lab.finalize(&deactivate).await;
    operator.name.clear();
    assert_eq!(lab.administer(&operator, STATUS).await.problem(), (401, "access.key".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_somebody_known_is_in_the_log_and_the_operator_can_read_it() {
    let lab = Lab::ready(4).await;
    let (operator, other) = (lab.kit.operators[0].clone(), lab.kit.operators[1].clone());
    lab.administer(&operator, STATUS).await;
    lab.administer(&other, ("POST", "/v1/stop", "")).await;
    lab.administer(&lab.kit.company(9), STATUS).await;
    let log = lab.administer(&operator, ("GET", "/v1/access-log?last=10", "")).await.json();
    let entries: Vec<(&str, &str, &str)> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| ["did", "request", "decision"].map(|member| entry[member].as_str().unwrap()).into())
        .collect();
    let (operator, other) = (operator.did.as_str(), other.did.as_str());
    assert_eq!(
        entries,
        [
            (operator, "GET /v1/status", "allowed"),
            (other, "POST /v1/stop", "access.forbidden"),
            (operator, "GET /v1/access-log?last=10", "allowed"),
        ]
    );
    assert_eq!(log["hash"].as_str().unwrap().len(), 64);
}
