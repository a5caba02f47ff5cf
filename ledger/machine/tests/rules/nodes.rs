//! The register of nodes: who may be in it, and every refusal.

use aval_machine::membership::{self, Status};
use aval_machine::testkit::{Draft, Kit, Options, Party};
use aval_types::action::NodeRegister;
use aval_types::node::{NodeRecord, SuspensionCause};
use aval_types::{Action, NodeKind, Reject, VoteKind};

use crate::refusal;

const PLACE: (&str, &str) = ("energy", "north");

fn record(kit: &Kit, key: [u8; 32]) -> Option<NodeRecord> {
    use aval_machine::StateRead as _;
    let bytes = kit.state().read(aval_machine::state_key::node(&key).as_bytes()).unwrap();
    bytes.map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

fn status(kit: &Kit, key: [u8; 32]) -> (Status, &'static str) {
    let members = membership::members(kit.state(), kit.now_s * 1000).unwrap();
    let member = members.get(&key).expect("it is registered");
    (member.status, member.why())
}

fn bytes(key: &aval_did::SigningKey) -> [u8; 32] {
    aval_types::node::key_bytes(&key.public()).unwrap()
}

#[track_caller]
fn register_refusal(
    kit: &Kit,
    operator: &Party,
    number: u64,
    change: impl FnOnce(&mut NodeRegister),
) -> &'static str {
    let mut node = kit.registration(operator, number, NodeKind::Validator, PLACE);
    change(&mut node);
    refusal(kit, Draft::new(kit, Action::NodeRegister(node)).sender(operator).try_submit())
}

#[test]
fn an_operator_with_a_grant_registers_a_validator_and_an_observer() {
    let mut kit = Kit::ready(1);
    let (operator, _) = kit.operator(1);
    let validator = kit.register(&operator, 1, NodeKind::Validator, PLACE);
    let observer = kit.register(&operator, 2, NodeKind::Observer, PLACE);
    assert_eq!(status(&kit, validator), (Status::Candidate, "grant"));
    assert_eq!(status(&kit, observer), (Status::Observing, "grant"));
    let record = record(&kit, validator).unwrap();
    assert_eq!((record.operator, record.registered, record.sector.as_str()), (operator.did, 3, "energy"));
    for key in kit.validator_keys() {
        assert_eq!(status(&kit, bytes(key)), (Status::Validating, "genesis"));
    }
}

#[test]
fn nobody_registers_the_key_of_another() {
    let mut kit = Kit::ready(1);
    let (operator, _) = kit.operator(1);
    let (thief, _) = kit.operator(2);
    // The thief repeats the proof that the operator made, signs with a key of its own, or claims a validator's key.
    let stolen = kit.registration(&operator, 1, NodeKind::Validator, PLACE).proof;
    assert_eq!(register_refusal(&kit, &thief, 1, |node| node.proof = stolen), "node.possession");
    let own = kit.possession(&thief, &kit.node_key(2));
    assert_eq!(register_refusal(&kit, &thief, 1, |node| node.proof = own), "node.possession");
    let genesis = kit.validator_keys()[0].public();
    assert_eq!(register_refusal(&kit, &thief, 1, |node| node.key = genesis), "node.possession");
    // With the real key's signature, but for another network.
    let elsewhere = Kit::with(Options { seed: 1, network: "other".to_owned(), ..Options::default() });
    let foreign = elsewhere.possession(&thief, &kit.node_key(1));
    assert_eq!(register_refusal(&kit, &thief, 1, |node| node.proof = foreign), "node.possession");
}

#[test]
fn registering_needs_a_live_grant_with_the_role_of_the_kind() {
    let mut kit = Kit::ready(1);
    let (member, _) = kit.member(1);
    assert_eq!(register_refusal(&kit, &member, 1, |_| ()), "grant.role");
    let observer = kit.credential(&member, &["observer"]);
    kit.expect_applied(member.present(&kit, &observer));
    assert_eq!(register_refusal(&kit, &member, 1, |_| ()), "grant.role");
    kit.register(&member, 2, NodeKind::Observer, PLACE);
    let (operator, credential) = kit.operator(2);
    kit.expect_applied(kit.revoke(&credential));
    assert_eq!(register_refusal(&kit, &operator, 1, |_| ()), "grant.revoked");
    let stranger = kit.company(9);
    assert_eq!(register_refusal(&kit, &stranger, 1, |_| ()), "did.not_found");
}

#[test]
fn what_is_said_about_a_node_has_bounds() {
    let mut kit = Kit::ready(1);
    let (operator, _) = kit.operator(1);
    let invalid = |change: fn(&mut NodeRegister)| register_refusal(&kit, &operator, 1, change);
    assert_eq!(invalid(|node| node.name = "No label".to_owned()), "node.invalid");
    assert_eq!(invalid(|node| node.sector = String::new()), "node.invalid");
    assert_eq!(invalid(|node| node.region = "x".repeat(33)), "node.invalid");
    assert_eq!(invalid(|node| node.addresses.clear()), "node.invalid");
    assert_eq!(invalid(|node| node.addresses.push(node.addresses[0])), "node.invalid");
    assert_eq!(invalid(|node| node.addresses[0].set_port(0)), "node.invalid");
    assert_eq!(invalid(|node| node.addresses[0].set_ip([0, 0, 0, 0].into())), "node.invalid");
    let p256 = kit.company_p256(5).authentication.public();
    assert_eq!(register_refusal(&kit, &operator, 1, |node| node.key = p256), "node.invalid");
}

#[test]
fn key_name_and_addresses_are_registered_once() {
    let mut kit = Kit::ready(1);
    let (operator, _) = kit.operator(1);
    kit.register(&operator, 1, NodeKind::Validator, PLACE);
    assert_eq!(register_refusal(&kit, &operator, 1, |_| ()), "node.exists");
    assert_eq!(register_refusal(&kit, &operator, 2, |node| node.name = "node-1".to_owned()), "node.exists");
    assert_eq!(register_refusal(&kit, &operator, 2, |node| node.addresses[0].set_port(9001)), "node.exists");
    kit.register(&operator, 2, NodeKind::Validator, PLACE);
    let second = kit.node_key(2).public();
    assert_eq!(refusal(&kit, Ok(operator.update_node(&kit, second, 9001))), "node.exists");
    kit.expect_applied(operator.update_node(&kit, second, 9100));
    assert_eq!(record(&kit, bytes(&kit.node_key(2))).unwrap().addresses[0].port(), 9100);
}

#[test]
fn an_operator_has_sixteen_nodes_at_most() {
    let mut kit = Kit::ready(1);
    let (operator, _) = kit.operator(1);
    for number in 1..=16 {
        kit.register(&operator, number, NodeKind::Observer, PLACE);
    }
    assert_eq!(register_refusal(&kit, &operator, 17, |_| ()), "node.full");
}

#[test]
fn only_its_operator_changes_a_node() {
    let mut kit = Kit::ready(1);
    let (operator, _) = kit.operator(1);
    let (other, _) = kit.operator(2);
    kit.register(&operator, 1, NodeKind::Validator, PLACE);
    let key = kit.node_key(1).public();
    assert_eq!(refusal(&kit, Ok(other.update_node(&kit, key, 9100))), "node.operator");
    assert_eq!(refusal(&kit, Ok(other.leave(&kit, key))), "node.operator");
    let unknown = kit.node_key(7).public();
    assert_eq!(refusal(&kit, Ok(operator.update_node(&kit, unknown, 9100))), "node.not_found");
    assert_eq!(refusal(&kit, Ok(operator.leave(&kit, unknown))), "node.not_found");
    kit.expect_applied(operator.leave(&kit, key));
    assert_eq!(record(&kit, bytes(&kit.node_key(1))), None);
    // The key is free again, with a new proof.
    kit.register(&other, 1, NodeKind::Validator, PLACE);
}

#[test]
fn an_observer_without_its_grant_is_out_in_the_revoking_block() {
    let mut kit = Kit::ready(1);
    let (operator, credential) = kit.operator(1);
    let observer = kit.register(&operator, 1, NodeKind::Observer, PLACE);
    kit.expect_applied(kit.revoke(&credential));
    assert_eq!(status(&kit, observer), (Status::Refused, "grant.revoked"));
    // Another address changes nothing: the key is what is refused.
    kit.expect_applied(operator.update_node(&kit, kit.node_key(1).public(), 9100));
    assert_eq!(status(&kit, observer), (Status::Refused, "grant.revoked"));
    let renewed = kit.credential(&operator, &["observer"]);
    kit.expect_applied(operator.present(&kit, &renewed));
    assert_eq!(status(&kit, observer), (Status::Observing, "grant"));
    let mut operator = operator;
    let deactivate = operator.deactivate(&kit);
    kit.expect_applied(deactivate);
    assert_eq!(status(&kit, observer), (Status::Refused, "did.deactivated"));
}

#[test]
fn a_grant_that_expires_takes_the_node_with_it() {
    let mut kit = Kit::ready(1);
    let company = kit.company(1);
    let mut terms = kit.terms(&company);
    terms.roles = vec!["member".to_owned(), "observer".to_owned()];
    terms.valid_until_s = kit.now_s + 60;
    let credential = kit.issue(&kit.issuer, terms);
    kit.expect_applied(company.create_with(&kit, &credential));
    let observer = kit.register(&company, 1, NodeKind::Observer, PLACE);
    kit.now_s += 59;
    assert_eq!(status(&kit, observer).0, Status::Observing);
    kit.now_s += 1;
    assert_eq!(status(&kit, observer), (Status::Refused, "grant.expired"));
}

#[test]
fn two_votes_that_contradict_each_other_bar_a_node_for_good() {
    let mut kit = Kit::ready(1);
    let (operator, _) = kit.operator(1);
    let (witness, _) = kit.member(2);
    let node = kit.register(&operator, 1, NodeKind::Validator, PLACE);
    let key = kit.node_key(1);
    let vote = |kind, view, block| kit.vote(&key, kind, view, block);
    let (first, second) = (vote(VoteKind::Finalize, 7, 1), vote(VoteKind::Finalize, 7, 2));
    let show = witness.show(&kit, key.public(), first.clone(), second.clone());
    kit.expect_applied(show);
    assert_eq!(status(&kit, node), (Status::Refused, "node.barred"));
    let suspended = record(&kit, node).unwrap().suspended.unwrap();
    let SuspensionCause::Equivocation(id) = suspended.cause else { panic!("{suspended:?}") };
    let kept = aval_machine::state_key::evidence(&id);
    let kept = aval_machine::StateRead::read(kit.state(), kept.as_bytes()).unwrap().unwrap();
    let kept: aval_types::node::EvidenceRecord = serde_json::from_slice(&kept).unwrap();
    assert_eq!(
        (kept.first, kept.second, kept.submitter),
        (first.clone(), second.clone(), witness.did.clone())
    );
    // Once is enough, it does not wear off, and the key cannot be registered anew; its operator waits.
    let again = witness.show(&kit, key.public(), second, first);
    assert_eq!(refusal(&kit, Ok(again)), "node.evidence_known");
    assert_eq!(refusal(&kit, Ok(operator.leave(&kit, key.public()))), "node.barred");
    assert_eq!(register_refusal(&kit, &operator, 2, |_| ()), "node.barred");
    kit.now_s += 3_600;
    assert_eq!(register_refusal(&kit, &operator, 1, |_| ()), "node.exists");
    kit.register(&operator, 2, NodeKind::Validator, PLACE);
    assert_eq!(status(&kit, node), (Status::Refused, "node.barred"));
}

#[test]
fn only_a_real_contradiction_is_evidence() {
    let mut kit = Kit::ready(1);
    let (witness, _) = kit.member(1);
    let key = kit.validator_keys()[1].clone();
    let other = kit.validator_keys()[2].clone();
    let vote = |kind, view, block| kit.vote(&key, kind, view, block);
    let shown = |first, second| refusal(&kit, Ok(witness.show(&kit, key.public(), first, second)));
    use VoteKind::{Finalize, Notarize, Nullify};
    // The same vote twice, different views, and what honest validators do: notarize and finalize, notarize and nullify.
    assert_eq!(shown(vote(Finalize, 7, 1), vote(Finalize, 7, 1)), "node.evidence");
    assert_eq!(shown(vote(Finalize, 7, 1), vote(Finalize, 8, 2)), "node.evidence");
    assert_eq!(shown(vote(Notarize, 7, 1), vote(Finalize, 7, 1)), "node.evidence");
    assert_eq!(shown(vote(Notarize, 7, 1), vote(Nullify, 7, 0)), "node.evidence");
    // A vote of another validator, a signature over something else, a vote without its proposal.
    assert_eq!(shown(vote(Finalize, 7, 1), kit.vote(&other, Finalize, 7, 2)), "node.evidence");
    let mut moved = vote(Finalize, 7, 2);
    moved.view = 9;
    assert_eq!(shown(vote(Finalize, 9, 1), moved), "node.evidence");
    let mut bare = vote(Finalize, 7, 2);
    bare.digest = None;
    assert_eq!(shown(vote(Finalize, 7, 1), bare), "node.evidence");
    let elsewhere = Kit::with(Options { seed: 1, network: "other".to_owned(), ..Options::default() });
    assert_eq!(shown(vote(Finalize, 7, 1), elsewhere.vote(&key, Finalize, 7, 2)), "node.evidence");
    // A key that nobody registered.
    let stranger = kit.key("stranger");
    let (first, second) = (kit.vote(&stranger, Finalize, 7, 1), kit.vote(&stranger, Nullify, 7, 0));
    assert_eq!(refusal(&kit, Ok(witness.show(&kit, stranger.public(), first, second))), "node.not_found");
    // And the three pairs that are.
    for (first, second) in [
        (vote(Notarize, 7, 1), vote(Notarize, 7, 2)),
        (vote(Nullify, 7, 0), vote(Finalize, 7, 1)),
        (vote(Finalize, 7, 1), vote(Nullify, 7, 0)),
    ] {
        kit.verdict(witness.show(&kit, key.public(), first, second)).unwrap();
    }
}

#[test]
fn every_code_of_a_node_is_stable() {
    for code in ["node.denied", "node.suspended", "node.left", "node.barred"] {
        assert_eq!(Reject::from_code(code).unwrap().code(), code);
    }
}
