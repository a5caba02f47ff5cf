//! The register of nodes and the trust chain.

use aval_machine::state_key;
use aval_proof::TrustChain;
use aval_types::node::{NodeRecord, key_bytes};
use aval_types::{NodeKind, VoteKind};
use axum::http::StatusCode;

use super::lab::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_listed_with_how_they_stand_and_why() {
    let mut lab = Lab::ready(31).await;
    let (member, _) = lab.member(1).await;
    let credential = lab.kit.credential(&member, &["observer"]);
    let transaction = member.present(&lab.kit, &credential);
    lab.finalize(&transaction).await;
    let node = lab.kit.registration(&member, 1, NodeKind::Observer, ("health", "south"));
    let key = node.key;
    let transaction = member.register(&lab.kit, node);
    lab.finalize(&transaction).await;

    let all = lab.get("/v1/nodes").await.json();
    assert_eq!(all["nodes"].as_array().unwrap().len(), 5);
    assert_eq!(all["epoch"], 0);
    let first = &all["nodes"][0];
    assert_eq!((&first["status"], &first["why"]), (&"validating".into(), &"genesis".into()));
    let observers = lab.get("/v1/nodes?kind=observer").await.json();
    assert_eq!(observers["nodes"].as_array().unwrap().len(), 1);
    let observer = &observers["nodes"][0];
    assert_eq!(observer["key"], key.to_multikey());
    assert_eq!(observer["operator"], member.did.to_string());
    assert_eq!((&observer["status"], &observer["why"]), (&"observing".into(), &"grant".into()));
    assert_eq!((&observer["sector"], &observer["admitted"]), (&"health".into(), &true.into()));

    let transaction = lab.kit.revoke(&credential);
    lab.finalize(&transaction).await;
    let observer = lab.get("/v1/nodes?kind=observer").await.json()["nodes"][0].clone();
    assert_eq!((&observer["status"], &observer["why"]), (&"refused".into(), &"grant.revoked".into()));
    assert_eq!(observer["admitted"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_given_with_its_fault_proof_and_the_proof_of_its_record() {
    let mut lab = Lab::ready(32).await;
    let (member, _) = lab.member(1).await;
    let key = lab.kit.validator_keys()[2].clone();
    let vote = |view, block| lab.kit.vote(&key, VoteKind::Finalize, view, block);
    let show = member.show(&lab.kit, key.public(), vote(5, 1), vote(5, 2));
    let transaction = show;
    lab.finalize(&transaction).await;
    let answer = lab.get(&format!("/v1/nodes/{}", key.public().to_multikey())).await.json();
    assert_eq!(
        (&answer["node"]["status"], &answer["node"]["why"]),
        (&"cut-off".into(), &"node.barred".into())
    );
    assert_eq!(answer["evidence"]["submitter"], member.did.to_string());
    assert_eq!(answer["evidence"]["first"]["view"], 5);
    let verified = lab.verify(&answer["proof"]);
    let state_key = state_key::node(&key_bytes(&key.public()).unwrap());
    let record: NodeRecord = serde_json::from_slice(verified.value(&state_key).unwrap().unwrap()).unwrap();
    assert_eq!(record.key, key.public());
    assert!(record.suspended.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_nodes_that_make_no_sense_have_their_codes() {
    let lab = Lab::ready(33).await;
    let stranger = lab.kit.key("stranger").public().to_multikey();
    assert_eq!(lab.get(&format!("/v1/nodes/{stranger}")).await.problem(), (404, "node.not_found".into()));
    for path in ["/v1/nodes/x", "/v1/nodes?kind=other", "/v1/nodes?x=1", "/v1/trust-chain?from=-1"] {
        assert_eq!(lab.get(path).await.problem(), (400, "request.malformed".into()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_never_changed_its_set_has_an_empty_trust_chain() {
    let lab = Lab::ready(34).await;
    let answer = lab.get("/v1/trust-chain").await;
    assert_eq!(answer.status, StatusCode::OK);
    let chain = TrustChain::from_json(&answer.body).unwrap();
    assert!(chain.links.is_empty() && !chain.more);
    assert_eq!(chain.network, *lab.kit.network());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_the_engine_saw_is_shown_as_an_action_that_the_ledger_takes() {
    use crate::engine::Application as _;
    use aval_types::action::NodeEvidence;
    let mut lab = Lab::ready(35).await;
    let (member, _) = lab.member(1).await;
    assert_eq!(lab.get("/v1/faults").await.json()["faults"], serde_json::json!([]));
    let key = lab.kit.validator_keys()[1].clone();
    let (first, second) =
        (lab.kit.vote(&key, VoteKind::Notarize, 3, 1), lab.kit.vote(&key, VoteKind::Notarize, 3, 2));
    lab.core.executor.fault(NodeEvidence { key: key.public(), first, second });
    let shown = lab.get("/v1/faults").await.json()["faults"][0].to_string();
    let shown = aval_codec::json::parse(shown.as_bytes(), aval_codec::Limits::default()).unwrap();
    let action = aval_types::Action::from_json(shown).unwrap();
    let transaction = aval_machine::testkit::Draft::new(&lab.kit, action).sender(&member).submit();
    lab.finalize(&transaction).await;
    let node = lab.get(&format!("/v1/nodes/{}", key.public().to_multikey())).await.json();
    assert_eq!(node["node"]["status"], "cut-off");
}
