//! Two instances behind a balancer, on one PostgreSQL database: what may happen once happens once across them.

use super::world::{TestChain, World};
use crate::storage::tests::postgres::Server;
use crate::tests::request;
use aval_machine::testkit::MEMBERSHIP;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn what_may_happen_once_happens_once_across_two_instances() {
    let Some(server) = Server::start(1) else { return };
    let database = server.database().await;
    let chain = TestChain::new();
    let one = World::instance(&chain, &database).await;
    let other = World::instance(&chain, &database).await;

    // An offer made on one instance is redeemed on the other, at most once over both.
    for _ in 0..5 {
        let (link, tx_code) = one.offer().await;
        let redeemable = one.discover(&link).await;
        let asked = redeemable.token_request(Some(&tx_code)).unwrap();
        let answers = tokio::join!(one.send(&asked), other.send_here(&asked));
        let mut statuses = [answers.0.status, answers.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);

        // A code that is used twice ends its session, so the credential is one of another offer.
        let mut first = other.authorize().await;
        let mut second = first.clone();
        one.fetch_nonce(&mut first).await;
        one.fetch_nonce(&mut second).await;
        let requests = [&first, &second].map(|authorized| {
            authorized
                .credential_request(MEMBERSHIP, &super::world::holder_key(), crate::clock::now_s())
                .unwrap()
        });
        let answers = tokio::join!(one.send(&requests[0]), other.send_here(&requests[1]));
        let mut statuses = [answers.0.status, answers.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
    }
    let rows = other.office("GET", "/issuances", "").await.json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 5);
    let mut indices: Vec<i64> = rows.iter().map(|row| row["status"][0]["index"].as_i64().unwrap()).collect();
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), 5, "no index is given out twice");

    // A revocation on one instance, asked for on both, is one transaction; the list of the other shows it at once.
    let id = rows[0]["id"].as_str().unwrap().to_owned();
    let list = other.here("/status/membership");
    let ones = async || {
        let answer = request("GET", list.clone(), &[], b"").await;
        super::status_list::bits(&answer).iter().map(|byte| byte.count_ones()).sum::<u32>()
    };
    assert_eq!(ones().await, 0);
    let path = format!("/issuances/{id}/revoke");
    let answers = tokio::join!(one.office("POST", &path, ""), other.office("POST", &path, ""));
    assert_eq!((answers.0.status, answers.1.status), (200, 200), "{} {}", answers.0.text(), answers.1.text());
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(ones().await, 1);
    let lines = one.issuer.records().audit(&id, i64::MAX, 100).await.unwrap();
    assert_eq!(lines.iter().filter(|line| line.event == "credential.revoked").count(), 1);

    // A template made on one is offered by the other.
    let template =
        format!(r#"{{"id":"gold","credentialType":"{MEMBERSHIP}","displayName":"Gold","validityDays":7}}"#);
    assert_eq!(one.office("POST", "/templates", &template).await.status, 201);
    let offer = r#"{"template":"gold","subject":{"role":["member"]}}"#;
    let answer = other.office("POST", "/offers", offer).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    // What one left open while the ledger could not be reached, the other finishes.
    let id = rows[1]["id"].as_str().unwrap().to_owned();
    chain.reachable.store(false, Ordering::SeqCst);
    one.office("POST", &format!("/issuances/{id}/revoke"), "")
        .await
        .assert_problem(503, "client.unreachable");
    chain.reachable.store(true, Ordering::SeqCst);
    one.stop().await;
    other.issuer.finish_changes().await;
    assert_eq!(other.issuer.records().issuance(&id).await.unwrap().unwrap().state, "revoked");
    other.stop().await;
}
