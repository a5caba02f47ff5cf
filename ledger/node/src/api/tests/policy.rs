//! What the interface says of the policy's answers, and of what a block did on its own.

use aval_machine::policy::{DEFAULT_POLICY, Policy};
use aval_proof::Proven;
use aval_types::Event;
use aval_types::governance::Change;
use aval_types::parameters::ParametersChange;
use serde_json::{Value, json};

use super::lab::Lab;

/// The policy of a network that has not decided otherwise, as answers name it.
fn default_policy() -> Value {
    json!(Policy::parse(DEFAULT_POLICY).unwrap().hash())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_policy_names_the_policies_that_could_have_permitted_it_and_no_value() {
    let mut lab = Lab::ready(1).await;
    let (mut member, credential) = lab.member(1).await;
    let revoke = lab.kit.revoke(&credential);
    lab.finalize(&revoke).await;
    let update = member.update(&lab.kit, lab.kit.document(&member, 2));
    let answer = lab.submit(&update).await;
    assert_eq!(answer.problem(), (403, "grant.revoked".into()));
    let policy = &answer.json()["policy"];
    assert_eq!((&policy["allowed"], &policy["policy"]), (&json!(false), &default_policy()));
    assert_eq!((&policy["since"], &policy["code"]), (&json!(0), &json!("grant.revoked")));
    let policies: Vec<&str> =
        policy["policies"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert!(policies.contains(&"members-keep-their-did"), "{policies:?}");
    assert!(!policies.contains(&"governors-govern"), "{policies:?}");
    let said = policy.to_string();
    assert!(!said.contains(member.did.as_str()) && !said.contains("Example"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_no_policy_decided_names_none() {
    let mut lab = Lab::ready(2).await;
    let (mut member, _) = lab.member(1).await;
    let stale = member.clone().update(&lab.kit, lab.kit.document(&member, 2));
    let update = member.update(&lab.kit, lab.kit.document(&member, 3));
    lab.finalize(&update).await;
    let answer = lab.submit(&stale).await;
    assert_eq!(answer.problem().1, "did.stale_version");
    assert!(answer.json().get("policy").is_none(), "{}", answer.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_transaction_is_explained_on_the_state_before_its_block_whatever_came_later() {
    let mut lab = Lab::ready(3).await;
    let (mut member, credential) = lab.member(1).await;
    let update = member.update(&lab.kit, lab.kit.document(&member, 2));
    let id = lab.finalize(&update).await;
    let path = format!("/v1/transactions/{id}/policy");
    let before = lab.get(&path).await.json();
    assert_eq!((&before["outcome"], &before["action"]), (&json!("applied"), &json!("did.update")));
    assert_eq!(before["stateHeight"], 2);
    assert_eq!(before["policy"]["allowed"], true);
    assert_eq!(before["policy"]["policies"], json!(["members-keep-their-did"]));
    // The grant that allowed it is gone by now, and the answer stays.
    let revoke = lab.kit.revoke(&credential);
    lab.finalize(&revoke).await;
    assert_eq!(lab.get(&path).await.json(), before);
    let nothing = format!("/v1/transactions/{}/policy", "0".repeat(64));
    assert_eq!(lab.get(&nothing).await.problem(), (404, "receipt.not_found".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_block_does_on_its_own_has_a_receipt_with_a_proof_and_most_blocks_have_none() {
    let mut lab = Lab::ready(4).await;
    let change = ParametersChange { heartbeat_ms: Some(2_000), ..ParametersChange::default() };
    let notice = lab.kit.genesis().parameters.governance.notice_blocks;
    let execute_at = lab.core.ledger.require_head().unwrap().height() + notice + 2;
    let proposal = lab.kit.operators[0].propose(&lab.kit, Change::Parameters(change), execute_at);
    let proposal = lab.finalize(&proposal).await;
    let vote = lab.kit.operators[0].vote(&lab.kit, proposal, true);
    lab.finalize(&vote).await;
    while lab.core.ledger.require_head().unwrap().height() < execute_at {
        lab.make_block(true).await;
    }
    let answer = lab.get(&format!("/v1/blocks/{execute_at}/receipt")).await;
    let verified = lab.verify(&answer.json());
    let Proven::BlockReceipt(receipt) = verified.proven() else { panic!("{:?}", verified.proven()) };
    assert_eq!(receipt.height, execute_at);
    let executed =
        |event: &Event| matches!(event, Event::GovernanceExecuted { proposal: id, .. } if *id == proposal);
    assert!(receipt.events.iter().any(executed), "{:?}", receipt.events);
    let before = format!("/v1/blocks/{}/receipt", execute_at - 1);
    assert_eq!(lab.get(&before).await.problem(), (404, "receipt.not_found".into()));
    let later = format!("/v1/blocks/{}/receipt", execute_at + 1);
    assert_eq!(lab.get(&later).await.problem(), (404, "ledger.not_yet".into()));
}
