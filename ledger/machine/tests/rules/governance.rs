//! Governance: who may propose and vote, what is counted, what happens at the height, and how nobody takes it over.

use aval_codec::Hash;
use aval_machine::testkit::{Draft, Kit, Options, accredited};
use aval_machine::{Constitution, StateRead, execute_block, governance, state_key};
use aval_types::accreditation::Level;
use aval_types::genesis::Governors;
use aval_types::governance::{
    Change, GovernancePropose, OpenProposal, PolicyChange, ProposalRecord, ProposalResult, RootAdd,
    RootRemove, Upgrade,
};
use aval_types::parameters::ParametersChange;
use aval_types::{Action, Event, Reject, TransactionId};

use crate::refusal;

/// A network of four operators who govern, three of whom have to agree.
pub(crate) fn kit() -> Kit {
    let mut options = Options { seed: 1, governor_threshold: 3, ..Options::default() };
    options.parameters.governance.notice_blocks = 2;
    options.parameters.governance.voting_period_ms = 60_000;
    let mut kit = Kit::with(options);
    let registry = kit.create_registry();
    kit.apply(registry).unwrap();
    kit
}

fn heartbeat(ms: u64) -> Change {
    Change::Parameters(ParametersChange { heartbeat_ms: Some(ms), ..ParametersChange::default() })
}

/// A proposal for the earliest height.
pub(crate) fn propose(kit: &mut Kit, change: Change) -> TransactionId {
    let execute_at = kit.next_context().height + 2;
    let submitted = kit.operators[0].propose(kit, change, execute_at);
    let id = submitted.transaction.id();
    kit.expect_applied(submitted);
    id
}

/// Three of four agree in one block, and the next one executes it.
pub(crate) fn enact(kit: &mut Kit, change: Change) -> Vec<Event> {
    let id = propose(kit, change);
    approve(kit, id, 3);
    pass(kit)
}

fn approve(kit: &mut Kit, id: TransactionId, count: usize) {
    let votes: Vec<_> = (0..count).map(|n| kit.checked(kit.operators[n].vote(kit, id, true))).collect();
    kit.apply_block(&votes).unwrap();
}

/// An empty block; what it did on its own.
fn pass(kit: &mut Kit) -> Vec<Event> {
    let executed = kit.apply_block(&[]).unwrap();
    executed.block_receipt.map(|receipt| receipt.events).unwrap_or_default()
}

fn record(kit: &Kit, id: TransactionId) -> ProposalRecord {
    serde_json::from_slice(&kit.state().read(state_key::proposal(&id).as_bytes()).unwrap().unwrap()).unwrap()
}

fn constitution(kit: &Kit) -> Constitution {
    Constitution::of(kit.state()).unwrap()
}

#[test]
fn a_change_that_enough_governors_approve_is_made_at_its_height_and_not_before() {
    let mut kit = kit();
    let id = propose(&mut kit, heartbeat(2_000));
    approve(&mut kit, id, 3);
    assert_eq!(constitution(&kit).parameters.heartbeat_ms, 1_000);
    let events = pass(&mut kit);
    assert_eq!(constitution(&kit).parameters.heartbeat_ms, 2_000);
    assert_eq!(
        events,
        [Event::GovernanceExecuted {
            proposal: id,
            change: "parameters".to_owned(),
            approvals: 3,
            threshold: 3
        }]
    );
    assert_eq!(record(&kit, id).outcome.unwrap().result, ProposalResult::Executed);
    // Nothing is left on the agenda.
    let height = kit.ledger().height;
    assert_eq!(kit.state().read(state_key::agenda(height).as_bytes()).unwrap(), None);
    assert_eq!(kit.state().read(state_key::PROPOSALS.as_bytes()).unwrap(), None);
    assert!(pass(&mut kit).is_empty());
}

#[test]
fn governors_below_the_threshold_change_nothing() {
    let mut kit = kit();
    let before = kit.state().read(state_key::PARAMETERS.as_bytes()).unwrap();
    let id = propose(&mut kit, heartbeat(2_000));
    approve(&mut kit, id, 2);
    let events = pass(&mut kit);
    assert!(
        matches!(events[..], [Event::GovernanceRejected { approvals: 2, threshold: 3, .. }]),
        "{events:?}"
    );
    assert_eq!(kit.state().read(state_key::PARAMETERS.as_bytes()).unwrap(), before);
    assert_eq!(record(&kit, id).outcome.unwrap().result, ProposalResult::Rejected);
    assert_eq!(refusal(&kit, Ok(kit.operators[3].vote(&kit, id, true))), "governance.closed");
}

#[test]
fn votes_against_do_not_count_as_votes_for() {
    let mut kit = kit();
    let id = propose(&mut kit, heartbeat(2_000));
    let votes: Vec<_> = (0..4).map(|n| kit.checked(kit.operators[n].vote(&kit, id, n % 2 == 0))).collect();
    kit.apply_block(&votes).unwrap();
    assert!(matches!(pass(&mut kit)[..], [Event::GovernanceRejected { approvals: 2, .. }]));
}

#[test]
fn a_governor_votes_once() {
    let mut kit = kit();
    let submitted = kit.operators[0].propose(&kit, heartbeat(2_000), kit.next_context().height + 50);
    let id = submitted.transaction.id();
    kit.expect_applied(submitted);
    kit.expect_applied(kit.operators[0].vote(&kit, id, true));
    for approve in [true, false] {
        assert_eq!(refusal(&kit, Ok(kit.operators[0].vote(&kit, id, approve))), "governance.voted");
    }
    // Nor twice in one block.
    let twice = [true, false].map(|approve| kit.checked(kit.operators[1].vote(&kit, id, approve)));
    let executed = execute_block(kit.state(), &kit.next_context(), &twice).unwrap();
    assert!(executed.receipts[0].is_applied() && !executed.receipts[1].is_applied());
}

#[test]
fn nobody_else_proposes_or_votes() {
    let mut kit = kit();
    let (company, _) = kit.member(1);
    let height = kit.next_context().height + 2;
    assert_eq!(refusal(&kit, Ok(company.propose(&kit, heartbeat(2_000), height))), "governance.governor");
    assert_eq!(refusal(&kit, Ok(kit.issuer.propose(&kit, heartbeat(2_000), height))), "governance.governor");
    let id = propose(&mut kit, heartbeat(2_000));
    assert_eq!(refusal(&kit, Ok(company.vote(&kit, id, true))), "governance.governor");
}

#[test]
fn a_vote_on_nothing_or_after_the_voting_period_is_refused() {
    let mut kit = kit();
    let nothing = TransactionId(Hash::new([7; 32]));
    assert_eq!(refusal(&kit, Ok(kit.operators[0].vote(&kit, nothing, true))), "governance.not_found");
    let height = kit.next_context().height + 100;
    let submitted = kit.operators[0].propose(&kit, heartbeat(2_000), height);
    let id = submitted.transaction.id();
    kit.expect_applied(submitted);
    kit.now_s += 59;
    kit.expect_applied(kit.operators[0].vote(&kit, id, true));
    kit.now_s += 1;
    assert_eq!(refusal(&kit, Ok(kit.operators[1].vote(&kit, id, true))), "governance.closed");
}

#[test]
fn a_height_that_leaves_no_notice_or_is_out_of_sight_is_refused() {
    let kit = kit();
    let height = kit.next_context().height;
    for at in [0, height, height + 1, height + 2 + 10_000_001, (1 << 53) - 1] {
        let submitted = kit.operators[0].propose(&kit, heartbeat(2_000), at);
        assert_eq!(refusal(&kit, Ok(submitted)), "governance.execute_at", "{at}");
    }
}

#[test]
fn a_governor_has_so_many_open_proposals_and_a_height_takes_so_many() {
    let mut kit = kit();
    let height = kit.next_context().height + 50;
    for n in 0..8 {
        kit.expect_applied(kit.operators[0].propose(&kit, heartbeat(2_000 + n), height));
    }
    let ninth = kit.operators[0].propose(&kit, heartbeat(3_000), height + 1);
    assert_eq!(refusal(&kit, Ok(ninth)), "governance.too_many");
    for n in 0..8 {
        kit.expect_applied(kit.operators[1].propose(&kit, heartbeat(2_000 + n), height));
    }
    let seventeenth = kit.operators[2].propose(&kit, heartbeat(3_000), height);
    assert_eq!(refusal(&kit, Ok(seventeenth)), "governance.agenda_full");
    kit.expect_applied(kit.operators[2].propose(&kit, heartbeat(3_000), height + 1));
    let open: Vec<OpenProposal> =
        serde_json::from_slice(&kit.state().read(state_key::PROPOSALS.as_bytes()).unwrap().unwrap()).unwrap();
    assert_eq!(open.len(), 17);
}

#[test]
fn a_change_that_is_impossible_never_comes_to_a_vote() {
    let kit = kit();
    let height = kit.next_context().height + 2;
    let stranger = kit.company(9).did;
    let cases = [
        (heartbeat(1), "governance.invalid"),
        (heartbeat(1_000), "governance.invalid"),
        (Change::Policy(PolicyChange { text: "permit everything".to_owned() }), "governance.invalid"),
        (Change::Governors(Governors { threshold: 1, members: vec![stranger] }), "governance.self_lock"),
        (Change::Governors(constitution(&kit).governors), "governance.invalid"),
        (Change::Upgrade(Upgrade { version: 3, height: height + 5 }), "governance.invalid"),
        (Change::Upgrade(Upgrade { version: 2, height }), "governance.invalid"),
    ];
    for (change, code) in cases {
        let submitted = kit.operators[0].propose(&kit, change.clone(), height);
        assert_eq!(refusal(&kit, Ok(submitted)), code, "{change:?}");
    }
}

#[test]
fn only_those_who_govern_at_the_height_are_counted() {
    let mut kit = kit();
    let later = kit.next_context().height + 8;
    let submitted = kit.operators[0].propose(&kit, heartbeat(2_000), later);
    let id = submitted.transaction.id();
    kit.expect_applied(submitted);
    approve(&mut kit, id, 3);
    // Two of the three who approved stop governing before the height.
    let members = [0, 3].map(|n| kit.operators[n].did.clone()).to_vec();
    let events = enact(&mut kit, Change::Governors(Governors { threshold: 2, members }));
    assert!(matches!(events[..], [Event::GovernanceExecuted { .. }]), "{events:?}");
    assert_eq!(refusal(&kit, Ok(kit.operators[1].vote(&kit, id, true))), "governance.governor");
    while kit.next_context().height < later {
        assert!(pass(&mut kit).is_empty());
    }
    assert!(matches!(pass(&mut kit)[..], [Event::GovernanceRejected { approvals: 1, threshold: 2, .. }]));
}

#[test]
fn proposals_of_one_height_are_executed_in_order_and_fail_alone() {
    let mut kit = kit();
    let height = kit.next_context().height + 3;
    let changes = [heartbeat(2_000), heartbeat(2_000), heartbeat(3_000)];
    let proposals: Vec<_> =
        changes.into_iter().map(|change| kit.operators[0].propose(&kit, change, height)).collect();
    let ids: Vec<TransactionId> = proposals.iter().map(|one| one.transaction.id()).collect();
    let block: Vec<_> = proposals.into_iter().map(|one| kit.checked(one)).collect();
    kit.apply_block(&block).unwrap();
    for id in &ids {
        let votes: Vec<_> = (0..3).map(|n| kit.checked(kit.operators[n].vote(&kit, *id, true))).collect();
        let context = kit.next_context();
        let executed = execute_block(kit.state(), &context, &votes).unwrap();
        assert!(executed.receipts.iter().all(|receipt| receipt.is_applied()));
    }
    let votes: Vec<_> = ids
        .iter()
        .flat_map(|id| {
            (0..3).map(|n| kit.checked(kit.operators[n].vote(&kit, *id, true))).collect::<Vec<_>>()
        })
        .collect();
    kit.apply_block(&votes).unwrap();
    assert!(pass(&mut kit).is_empty());
    let events = pass(&mut kit);
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event {
            Event::GovernanceExecuted { .. } => "executed",
            Event::GovernanceFailed { code: Reject::GovernanceInvalid(_), .. } => "failed",
            other => panic!("{other:?}"),
        })
        .collect();
    // The second changes nothing any more once the first is made.
    assert_eq!(kinds, ["executed", "failed", "executed"]);
    assert_eq!(constitution(&kit).parameters.heartbeat_ms, 3_000);
    assert_eq!(record(&kit, ids[1]).outcome.unwrap().result, ProposalResult::Failed);
}

#[test]
fn what_a_block_executes_overtakes_the_transactions_in_it() {
    let mut kit = kit();
    let (company, _) = kit.member(1);
    let forbidding = aval_machine::policy::DEFAULT_POLICY.replace("members-keep-their-did", "nobody-updates")
        + "\n@id(\"closed-season\")\nforbid (principal, action == Action::\"did.update\", resource);\n";
    let id = propose(&mut kit, Change::Policy(PolicyChange { text: forbidding }));
    approve(&mut kit, id, 3);
    let update = kit.checked(company.clone().update(&kit, kit.document(&company, 2)));
    let executed = kit.apply_block(&[update]).unwrap();
    assert_eq!(executed.receipts[0].outcome, aval_types::Outcome::Rejected(Reject::PolicyDenied));
    assert_eq!(executed.block_receipt.unwrap().events.len(), 2);
    assert_eq!(constitution(&kit).policy_since, kit.ledger().height);
    let update = company.clone().update(&kit, kit.document(&company, 2));
    assert_eq!(refusal(&kit, Ok(update)), "policy.denied");
}

#[test]
fn an_upgrade_is_scheduled_and_in_force_from_its_height_on() {
    let mut kit = kit();
    let height = kit.next_context().height + 6;
    enact(&mut kit, Change::Upgrade(Upgrade { version: 2, height }));
    assert_eq!(governance::version_at(kit.state(), height - 1).unwrap(), 1);
    assert_eq!(governance::version_at(kit.state(), height).unwrap(), 2);
    // One at a time.
    let another = Change::Upgrade(Upgrade { version: 2, height: height + 10 });
    let at = kit.next_context().height + 2;
    assert_eq!(refusal(&kit, Ok(kit.operators[0].propose(&kit, another, at))), "governance.invalid");
    while kit.next_context().height < height {
        assert!(pass(&mut kit).is_empty());
        assert_eq!(constitution(&kit).parameters.version, 1);
    }
    assert_eq!(pass(&mut kit), [Event::UpgradeActivated { version: 2 }]);
    assert_eq!(constitution(&kit).parameters.version, 2);
    assert_eq!(kit.state().read(state_key::UPGRADE.as_bytes()).unwrap(), None);
}

#[test]
fn governors_cannot_leave_fewer_than_have_to_agree() {
    let mut kit = kit();
    let mut governors = kit.operators.clone();
    kit.expect_applied(governors[3].deactivate(&kit));
    let second = governors[2].deactivate(&kit);
    assert_eq!(refusal(&kit, Ok(second)), "governance.self_lock");
    // A stolen key is taken out by rotation, always.
    let mut second = kit.operators[2].clone();
    kit.expect_applied(second.rotate(&kit));
}

#[test]
fn proposals_that_cannot_be_read_are_refused() {
    let kit = kit();
    let long = "x".repeat(121);
    for title in ["", "two\nlines", long.as_str()] {
        let action = GovernancePropose { change: heartbeat(2_000), execute_at: 9, title: title.to_owned() };
        let draft = Draft::new(&kit, Action::GovernancePropose(action)).sender(&kit.operators[0]);
        assert_eq!(refusal(&kit, draft.try_submit()), "governance.invalid");
    }
    let members = vec![kit.operators[0].did.clone(); 2];
    for governors in [
        Governors { threshold: 1, members },
        Governors { threshold: 0, members: vec![kit.operators[0].did.clone()] },
        Governors { threshold: 2, members: vec![kit.operators[0].did.clone()] },
        Governors { threshold: 0, members: Vec::new() },
    ] {
        let action =
            GovernancePropose { change: Change::Governors(governors), execute_at: 9, title: "t".to_owned() };
        let draft = Draft::new(&kit, Action::GovernancePropose(action)).sender(&kit.operators[0]);
        assert_eq!(refusal(&kit, draft.try_submit()), "governance.invalid");
    }
}

#[test]
fn roots_come_and_go_by_vote_alone_and_take_what_stands_on_them_along() {
    let mut kit = kit();
    let (mut company, _) = kit.member(1);
    let added = Change::RootAdd(RootAdd {
        did: company.did.clone(),
        types: vec![accredited("Diploma", &[], Level::Low)],
        depth: 1,
        expires: (kit.now_s + 86_400) * 1000,
    });
    let events = enact(&mut kit, added);
    assert!(
        matches!(&events[1], Event::AccreditationGranted { subject, parent: None, .. } if *subject == company.did)
    );
    let nobody = Change::RootRemove(RootRemove { did: kit.operators[0].did.clone() });
    let at = kit.next_context().height + 2;
    let submitted = kit.operators[0].propose(&kit, nobody, at);
    assert_eq!(refusal(&kit, Ok(submitted)), "accreditation.not_found");
    // The issuer stands on the root of genesis, and the company's membership on the issuer.
    let root = kit.root.did.clone();
    enact(&mut kit, Change::RootRemove(RootRemove { did: root }));
    let update = company.clone().update(&kit, kit.document(&company, 2));
    assert_eq!(refusal(&kit, Ok(update)), "grant.issuer_unaccredited");
    let rotation = company.rotate(&kit);
    kit.expect_applied(rotation);
}
