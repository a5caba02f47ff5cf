//! Following a transaction to its receipt.

use std::time::{Duration, Instant};

use aval_proof::Proven;
use aval_types::{Outcome, TransactionId};

use axum::body::Body;
use axum::http::Request;

use super::lab::Lab;

async fn status(lab: &Lab, id: &TransactionId) -> serde_json::Value {
    lab.get(&format!("/v1/transactions/{id}")).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_goes_from_unknown_over_pending_to_final() {
    let mut lab = Lab::new(1);
    let registry = lab.kit.create_registry();
    let id = registry.transaction.id();
    assert_eq!(status(&lab, &id).await["status"], "unknown");
    lab.accept(&registry).await;
    assert_eq!(status(&lab, &id).await["status"], "pending");
    lab.make_block(true).await;
    let done = status(&lab, &id).await;
    assert_eq!((&done["status"], &done["outcome"]), (&"final".into(), &"applied".into()));
    assert_eq!((done["height"].as_u64(), done["index"].as_u64()), (Some(1), Some(0)));
    assert_eq!(done["time"], lab.kit.now_s * 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_remembered_with_its_code_until_the_transaction_is_sent_again() {
    let mut lab = Lab::new(2);
    // The registry that the credential needs is not there yet.
    let company = lab.kit.company(1);
    let create = company.create_with(&lab.kit, &lab.kit.membership(&company));
    let answer = lab.submit(&create).await;
    assert_eq!(answer.problem().1, "credential.registry_unknown");
    assert_eq!(answer.json()["retryable"], true);
    let id = create.transaction.id();
    let refused = status(&lab, &id).await;
    assert_eq!(
        (&refused["status"], &refused["code"]),
        (&"refused".into(), &"credential.registry_unknown".into())
    );
    assert!(!refused["detail"].as_str().unwrap().is_empty());
    let registry = lab.kit.create_registry();
    lab.finalize(&registry).await;
    lab.accept(&create).await;
    assert_eq!(status(&lab, &id).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_transaction_is_refused_when_its_turn_comes() {
    let mut lab = Lab::ready(3).await;
    let (member, _) = lab.member(1).await;
    let first = member.clone().update(&lab.kit, lab.kit.document(&member, 2));
    let second = member.clone().update(&lab.kit, lab.kit.document(&member, 3));
    let first = lab.accept(&first).await;
    let second = lab.accept(&second).await;
    lab.make_block(true).await;
    assert_eq!(status(&lab, &first).await["status"], "final");
    let refused = status(&lab, &second).await;
    assert_eq!((&refused["status"], &refused["code"]), (&"refused".into(), &"did.stale_version".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_the_block_and_not_before() {
    let mut lab = Lab::new(4);
    let registry = lab.kit.create_registry();
    let id = lab.accept(&registry).await;
    let path = format!("/v1/transactions/{id}?wait_ms=20000");
    let started = Instant::now();
    let still = lab.get(&format!("/v1/transactions/{id}?wait_ms=100")).await.json();
    assert_eq!(still["status"], "pending");
    assert!(started.elapsed() >= Duration::from_millis(100));
    let waiting = lab.spawn(Request::get(&path).body(Body::empty()).unwrap());
    tokio::time::sleep(Duration::from_millis(50)).await;
    lab.make_block(true).await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.json()["status"], "final");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_id_or_no_query_is_malformed() {
    let lab = Lab::new(5);
    let id = "0".repeat(64);
    let upper = "A".repeat(64);
    for path in [
        "/v1/transactions/abc".to_owned(),
        format!("/v1/transactions/{upper}"),
        format!("/v1/transactions/{id}?wait_ms=soon"),
        format!("/v1/transactions/{id}?wait_ms=-1"),
        format!("/v1/transactions/{id}?unknown=1"),
        "/v1/transactions/%ff".to_owned(),
        "/v1/transactions/abc/receipt".to_owned(),
    ] {
        assert_eq!(lab.get(&path).await.problem(), (400, "request.malformed".into()), "{path}");
    }
    assert_eq!(
        lab.get(&format!("/v1/transactions/{id}/receipt")).await.problem(),
        (404, "receipt.not_found".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_proven_from_the_genesis_file_alone_with_and_without_an_own_certificate() {
    let mut lab = Lab::ready(6).await;
    let company = lab.kit.company(1);
    let create = company.create_with(&lab.kit, &lab.kit.membership(&company));
    let id = lab.accept(&create).await;
    lab.make_block(false).await;
    let path = format!("/v1/transactions/{id}/receipt");
    // Final by a later block, whose certificate is still to come.
    assert_eq!(lab.get(&path).await.problem(), (503, "node.not_ready".into()));
    lab.make_block(true).await;
    let answer = lab.get(&path).await;
    assert!(answer.headers["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(answer.json()["path"].as_array().unwrap().len(), 1);
    let verified = lab.verify(&answer.json());
    let Proven::Receipt(receipt) = verified.proven() else { panic!("it proves a receipt") };
    assert_eq!((receipt.transaction, receipt.height), (id, 2));
    assert!(matches!(receipt.outcome, Outcome::Applied(_)));
}
