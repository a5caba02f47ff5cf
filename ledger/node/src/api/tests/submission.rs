//! What the interface says to a transaction.

use aval_machine::testkit::{Draft, Kit, Party};
use aval_types::action::CredentialPresent;
use aval_types::{Action, Reject, SubmittedTransaction};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;

use super::lab::Lab;
use crate::api::BODY_BYTES_MAX;
use crate::config::ApiConfig;
use crate::core::CoreOptions;
use crate::mempool::Limits;

/// The refusal of a submission, whose HTTP status must be the one of specs/errors.md.
async fn refusal(lab: &Lab, submitted: &SubmittedTransaction) -> String {
    let (status, code) = lab.submit(submitted).await.problem();
    assert_eq!(Some(status), Reject::from_code(&code).map(|reject| reject.http_status()), "{code}");
    code
}

/// The body of a submission whose signature is that of nobody.
fn with_forged_signature(submitted: &SubmittedTransaction) -> String {
    let jws = submitted.transaction.to_jws();
    let (signed, _) = jws.rsplit_once('.').unwrap();
    json!({"transaction": format!("{signed}.{}", "A".repeat(86))}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_transaction_is_taken_in_under_its_id_and_twice_is_as_good_as_once() {
    let lab = Lab::new(1);
    let registry = lab.kit.create_registry();
    for _ in 0..2 {
        let answer = lab.submit(&registry).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.json()["id"], registry.transaction.id().to_string());
        assert_eq!(answer.json()["status"], "pending");
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        assert_eq!(location, format!("/v1/transactions/{}", registry.transaction.id()));
        assert_eq!(answer.json()["links"]["status"], location);
    }
    assert_eq!(lab.core.mempool.usage().entries, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compact_jws_alone_is_taken_in_under_its_own_media_type() {
    let lab = Lab::new(2);
    let jws = lab.kit.create_registry().transaction.to_jws();
    assert_eq!(lab.post("application/aval-tx+jwt", jws.clone()).await.status, StatusCode::ACCEPTED);
    assert_eq!(
        lab.post("application/json", jws.clone()).await.problem(),
        (400, "transaction.malformed".into())
    );
    assert_eq!(
        lab.post("application/aval-tx+jwt", "{}").await.problem(),
        (400, "transaction.malformed".into())
    );
    assert_eq!(lab.post("text/plain", jws.clone()).await.problem(), (415, "request.media_type".into()));
    let untyped = Request::post("/v1/transactions").body(Body::from(jws)).unwrap();
    assert_eq!(lab.send(untyped).await.problem(), (415, "request.media_type".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_wrong_has_its_code() {
    let mut lab = Lab::ready(3).await;
    let (member, credential) = lab.member(1).await;
    let kit = &lab.kit;
    fn update<'kit>(kit: &'kit Kit, member: &Party) -> Draft<'kit> {
        member.clone().update_draft(kit, kit.document(member, 2))
    }

    assert_eq!(lab.post("application/json", "").await.problem().1, "transaction.malformed");
    assert_eq!(
        lab.post("application/json", "{\"transaction\":1}").await.problem().1,
        "transaction.malformed"
    );
    let deep = format!("{{\"transaction\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    assert_eq!(lab.post("application/json", deep).await.problem().1, "transaction.malformed");
    let long = format!("{{\"transaction\":\"{}\"}}", "a".repeat(100_000));
    assert_eq!(lab.post("application/json", long).await.problem(), (413, "transaction.oversized".into()));
    let huge = vec![b' '; BODY_BYTES_MAX + 1];
    assert_eq!(lab.post("application/json", huge).await.problem(), (413, "request.oversized".into()));

    let other = Kit::new(99).network().clone();
    let elsewhere = update(kit, &member).network(other).submit();
    assert_eq!(refusal(&lab, &elsewhere).await, "transaction.network");
    let past = update(kit, &member).window(kit.now_s - 100, kit.now_s - 50).submit();
    assert_eq!(refusal(&lab, &past).await, "transaction.expired");
    let future = update(kit, &member).window(kit.now_s + 60, kit.now_s + 100).submit();
    assert_eq!(refusal(&lab, &future).await, "transaction.not_yet_valid");
    let soon = update(kit, &member).window(kit.now_s + 1, kit.now_s + 100).submit();
    assert_eq!(lab.submit(&soon).await.status, StatusCode::ACCEPTED);

    let forged = with_forged_signature(&update(kit, &member).submit());
    assert_eq!(lab.post("application/json", forged).await.problem(), (401, "transaction.signature".into()));

    let stranger = kit.company(7);
    let again = stranger.create_with(kit, &credential);
    assert_eq!(refusal(&lab, &again).await, "presentation.key_binding");
    let grant = Action::CredentialPresent(CredentialPresent { grant: credential.grant(&member.did) });
    let replayed = Draft::new(kit, grant).sender(&member).presenting(&credential, &member.authentication);
    assert_eq!(
        refusal(&lab, &replayed.clone().nonce("another transaction").submit()).await,
        "presentation.replayed"
    );
    assert_eq!(refusal(&lab, &replayed.submit()).await, "grant.exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_member_is_refused_at_once_and_may_still_rotate_its_keys() {
    let mut lab = Lab::ready(4).await;
    let (mut member, credential) = lab.member(1).await;
    let revoke = lab.kit.revoke(&credential);
    lab.finalize(&revoke).await;
    let update = member.clone().update(&lab.kit, lab.kit.document(&member, 2));
    assert_eq!(refusal(&lab, &update).await, "grant.revoked");
    let rotate = member.rotate(&lab.kit);
    lab.finalize(&rotate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_the_ledger_is_a_duplicate_before_any_signature_is_looked_at() {
    let mut lab = Lab::new(5);
    let registry = lab.kit.create_registry();
    lab.finalize(&registry).await;
    assert_eq!(refusal(&lab, &registry).await, "transaction.duplicate");
    assert!(lab.core.mempool.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_sheds_load_with_a_time_to_come_back() {
    let limits = Limits { entries_max: 2, payer_entries_max: 2, ..Limits::default() };
    let lab = Lab::with(6, CoreOptions { mempool: limits, ..CoreOptions::default() }, ApiConfig::default());
    for _ in 0..2 {
        lab.accept(&lab.kit.create_registry()).await;
    }
    let answer = lab.submit(&lab.kit.create_registry()).await;
    assert_eq!(answer.problem(), (503, "node.overloaded".into()));
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    assert_eq!(answer.json()["retryable"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sender_cannot_take_more_than_its_share() {
    let limits = Limits { entries_max: 100, payer_entries_max: 2, ..Limits::default() };
    let lab = Lab::with(7, CoreOptions { mempool: limits, ..CoreOptions::default() }, ApiConfig::default());
    for _ in 0..2 {
        lab.accept(&lab.kit.create_registry()).await;
    }
    let answer = lab.submit(&lab.kit.create_registry()).await;
    assert_eq!(answer.problem(), (429, "sender.share".into()));
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_checked_in_batches_and_each_gets_its_own_answer() {
    let mut lab = Lab::ready(8).await;
    let (member, _) = lab.member(1).await;
    let good: Vec<_> =
        (0..40).map(|number| member.clone().update(&lab.kit, lab.kit.document(&member, number))).collect();
    let bad: Vec<_> = (0..40)
        .map(|number| {
            with_forged_signature(&member.clone().update(&lab.kit, lab.kit.document(&member, number)))
        })
        .collect();
    let good = futures::future::join_all(good.iter().map(|good| lab.submit(good)));
    let bad = futures::future::join_all(bad.into_iter().map(|bad| lab.post("application/json", bad)));
    let (good, bad) = futures::future::join(good, bad).await;
    assert!(good.iter().all(|answer| answer.status == StatusCode::ACCEPTED));
    assert!(bad.iter().all(|answer| answer.problem() == (401, "transaction.signature".into())));
    assert_eq!(lab.core.mempool.usage().entries, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_builds_on_a_version_that_the_node_has_not_seen_is_put_off_and_not_decided() {
    let mut lab = Lab::ready(8).await;
    let (mut member, _) = lab.member(1).await;
    let first = member.update(&lab.kit, lab.kit.document(&member, 2));
    let stale = member.clone();
    let second = member.update(&lab.kit, lab.kit.document(&member, 3));
    let answer = lab.submit(&second).await;
    assert_eq!(answer.problem(), (503, "node.behind".into()));
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    assert_eq!(answer.json()["retryable"], true);
    lab.finalize(&first).await;
    lab.finalize(&second).await;
    // What builds on an older version than the newest is decided: no.
    let third = stale.clone().update(&lab.kit, lab.kit.document(&stale, 4));
    assert_eq!(refusal(&lab, &third).await, "did.stale_version");
}
