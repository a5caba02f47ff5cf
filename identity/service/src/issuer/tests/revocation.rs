//! Revocation: on the ledger first, once, and never forgotten.

use super::world::World;
use std::sync::atomic::Ordering;
use std::time::Duration;

async fn state(world: &World, id: &str) -> (String, Option<String>) {
    let row = world.issuer.records().issuance(id).await.unwrap().unwrap();
    let by = row.entry("revocation").unwrap().changed_by.clone();
    (row.state, by)
}

async fn revoke(world: &World, id: &str) -> crate::tests::Answer {
    world.office("POST", &format!("/issuances/{id}/revoke"), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_twice_is_the_same_as_once() {
    let world = World::start().await;
    let (_, id) = world.issued().await;
    let before = world.chain.submissions.load(Ordering::SeqCst);
    let first = revoke(&world, &id).await;
    assert_eq!((first.status, &first.json()["state"]), (200, &"revoked".into()));
    let transaction = first.json()["revocation"].as_str().unwrap().to_owned();
    assert_eq!(revoke(&world, &id).await.json(), first.json());
    assert_eq!(world.chain.submissions.load(Ordering::SeqCst), before + 1);
    assert_eq!(state(&world, &id).await, ("revoked".to_owned(), Some(transaction)));
    assert!(world.office("GET", "/metrics", "").await.text().contains("aval_issuer_revocations_total 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_revocations_at_the_same_moment_both_succeed_with_the_one_transaction() {
    let world = World::start().await;
    let (_, id) = world.issued().await;
    world.chain.delay_ms.store(50, Ordering::SeqCst);
    let (first, second) = tokio::join!(revoke(&world, &id), revoke(&world, &id));
    assert_eq!((first.status, second.status), (200, 200), "{} {}", first.text(), second.text());
    assert_eq!(state(&world, &id).await.0, "revoked");
    assert!(world.office("GET", "/metrics", "").await.text().contains("aval_issuer_revocations_total 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_issued_cannot_be_revoked() {
    let world = World::start().await;
    for id in ["x", "..%2f..", "%ff", "00000000-0000-4000-8000-000000000000"] {
        assert!([400, 404].contains(&revoke(&world, id).await.status), "{id}");
    }
    revoke(&world, "x").await.assert_problem(404, "request.not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_kept_open_while_the_ledger_cannot_be_reached_and_goes_on_afterwards() {
    let world = World::start().await;
    let (_, id) = world.issued().await;
    world.chain.reachable.store(false, Ordering::SeqCst);
    revoke(&world, &id).await.assert_problem(503, "client.unreachable");
    assert_eq!(state(&world, &id).await, ("revoking".to_owned(), None));
    world.issuer.finish_changes().await;
    assert!(world.office("GET", "/metrics", "").await.text().contains("aval_issuer_revocations_open 1"));
    world.chain.reachable.store(true, Ordering::SeqCst);
    world.issuer.finish_changes().await;
    assert_eq!(state(&world, &id).await.0, "revoked");
    assert!(world.office("GET", "/metrics", "").await.text().contains("aval_issuer_revocations_open 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_was_cut_off_between_ledger_and_records_goes_on_at_the_next_start() {
    let world = World::start().await;
    let (_, id) = world.issued().await;
    world.chain.loses_answer.store(true, Ordering::SeqCst);
    revoke(&world, &id).await.assert_problem(503, "client.not_final");
    let (before, transaction) = state(&world, &id).await;
    assert_eq!(before, "revoking");
    assert!(transaction.is_some(), "the transaction was noted before it was sent");
    let submissions = world.chain.submissions.load(Ordering::SeqCst);
    let world = world.restart().await;
    for _ in 0..100 {
        if state(&world, &id).await.0 == "revoked" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(state(&world, &id).await, ("revoked".to_owned(), transaction));
    assert_eq!(world.chain.submissions.load(Ordering::SeqCst), submissions, "the bit was set already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_goes_on_when_its_caller_goes_away() {
    let world = World::start().await;
    let (_, id) = world.issued().await;
    world.chain.delay_ms.store(200, Ordering::SeqCst);
    let waited = tokio::time::timeout(Duration::from_millis(100), world.issuer.revoke(&id, "test")).await;
    assert!(waited.is_err(), "the caller has not waited for the end");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(state(&world, &id).await.0, "revoked");
}
