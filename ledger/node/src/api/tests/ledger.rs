//! State, blocks and trust.

use aval_machine::state_key;
use aval_types::{Block, Mode};
use axum::http::StatusCode;

use super::lab::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_and_an_absence_are_proven() {
    let lab = Lab::ready(1).await;
    let key = state_key::did(&lab.kit.issuer.did);
    let answer = lab.get(&format!("/v1/state?key={key}")).await;
    assert_eq!((answer.status, answer.media_type()), (StatusCode::OK, "application/json"));
    let verified = lab.verify(&answer.json());
    assert_eq!(verified.did_record(&lab.kit.issuer.did).unwrap().unwrap().did, lab.kit.issuer.did);
    let absent = lab.get("/v1/state?key=did/nobody").await.json();
    assert!(absent["state"]["value"].is_null());
    assert_eq!(lab.verify(&absent).value("did/nobody").unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_height_is_proven_as_it_was() {
    let mut lab = Lab::ready(2).await;
    let (member, _) = lab.member(1).await;
    let key = state_key::did(&member.did);
    let before = lab.verify(&lab.get(&format!("/v1/state?key={key}&height=1")).await.json());
    assert_eq!((before.height(), before.value(&key).unwrap()), (1, None));
    let after = lab.verify(&lab.get(&format!("/v1/state?key={key}&height=2")).await.json());
    assert!(after.value(&key).unwrap().is_some());
    let genesis = lab.verify(&lab.get("/v1/state?key=validators&height=0").await.json());
    assert_eq!(genesis.height(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_queries_that_make_no_sense_have_their_codes() {
    let lab = Lab::ready(3).await;
    let long = "k".repeat(2000);
    for path in [
        "/v1/state".to_owned(),
        "/v1/state?key=".to_owned(),
        "/v1/state?key=%00".to_owned(),
        "/v1/state?key=a&height=x".to_owned(),
        "/v1/state?key=a&key=b".to_owned(),
        format!("/v1/state?key={long}"),
    ] {
        assert_eq!(lab.get(&path).await.problem(), (400, "request.malformed".into()), "{path}");
    }
    assert_eq!(lab.get("/v1/state?key=a&height=9").await.problem(), (404, "ledger.not_yet".into()));
    let fresh = Lab::new(3);
    assert_eq!(fresh.get("/v1/state?key=a").await.problem(), (503, "node.not_ready".into()));
    assert_eq!(fresh.get("/v1/checkpoint").await.problem(), (503, "node.not_ready".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_given_to_read_and_byte_for_byte_without_presentations() {
    let mut lab = Lab::ready(4).await;
    lab.member(1).await;
    let view = lab.get("/v1/blocks/2").await.json();
    assert_eq!(view["header"]["height"], 2);
    assert_eq!(view["transactions"][0]["action"], "did.create");
    assert_eq!(view["transactions"][0]["outcome"], "applied");
    assert_eq!(view["transactions"][0]["witness"].as_str().unwrap().len(), 64);
    let binary = lab.get("/v1/blocks/2?format=binary").await;
    assert_eq!(binary.media_type(), "application/octet-stream");
    let block = Block::decode(&binary.body, Mode::Any).unwrap();
    assert_eq!(view["digest"], block.digest().to_string());
    assert!(Block::decode(&binary.body, Mode::Full).is_err());
    let latest = lab.get("/v1/blocks/latest").await;
    assert_eq!(latest.json()["digest"], view["digest"]);
    assert!(!latest.headers["cache-control"].to_str().unwrap().contains("immutable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_are_not_there_have_their_codes() {
    let lab = Lab::ready(5).await;
    for height in ["x", "-1", "1.0", "%20", "99999999999999999999999"] {
        let path = format!("/v1/blocks/{height}");
        assert_eq!(lab.get(&path).await.problem(), (400, "request.malformed".into()), "{path}");
    }
    assert_eq!(lab.get("/v1/blocks/1?format=xml").await.problem(), (400, "request.malformed".into()));
    assert_eq!(lab.get("/v1/blocks/2").await.problem(), (404, "ledger.not_yet".into()));
    assert_eq!(lab.get("/v1/blocks/2/header").await.problem(), (404, "ledger.not_yet".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_and_header_are_proven_and_genesis_is_the_file() {
    let mut lab = Lab::ready(6).await;
    lab.make_block(false).await;
    let checkpoint = lab.verify(&lab.get("/v1/checkpoint").await.json());
    assert_eq!(checkpoint.height(), 1, "the newest block has no certificate yet");
    lab.make_block(true).await;
    assert_eq!(lab.verify(&lab.get("/v1/checkpoint").await.json()).height(), 3);
    assert_eq!(lab.verify(&lab.get("/v1/blocks/2/header").await.json()).height(), 2);
    let genesis = lab.get("/v1/genesis").await;
    assert_eq!(genesis.body, lab.kit.genesis_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_governors_and_supervisors_have_open_is_proven_as_is_that_there_is_nothing() {
    let lab = Lab::ready(7).await;
    let id = "0".repeat(64);
    for (path, key) in [
        ("/v1/proposals".to_owned(), "proposals".to_owned()),
        ("/v1/holds".to_owned(), "holds".to_owned()),
        (format!("/v1/proposals/{id}"), format!("proposal/{id}")),
        (format!("/v1/holds/{id}"), format!("hold/{id}")),
    ] {
        let verified = lab.verify(&lab.get(&path).await.json());
        let value = verified.value(&key).unwrap();
        assert!(value.is_none_or(|value| value == b"[]"), "{path}");
    }
    for path in ["/v1/proposals/x", "/v1/holds/x"] {
        assert_eq!(lab.get(path).await.problem(), (400, "request.malformed".into()));
    }
}
