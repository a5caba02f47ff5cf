//! Validators in force: who leaves when, who is cut off at once, and that nobody stops the chain by it.

use std::collections::BTreeMap;

use aval_machine::membership::{self, Members, Status, faults, spare};
use aval_machine::testkit::{Credential, Kit, Options, Party};
use aval_types::action::StatusChange;
use aval_types::parameters::{Parameters, ValidatorParameters};
use aval_types::{Event, NodeKind, VoteKind, node::key_bytes};

const EPOCH: u64 = 20;

/// A network of `count` founders with short epochs, the issuer's registry made.
fn kit(count: usize, change: impl FnOnce(&mut ValidatorParameters)) -> Kit {
    let mut options = Options { seed: 3, validators: count, ..Options::default() };
    let mut validators = ValidatorParameters { epoch_blocks: EPOCH, ..ValidatorParameters::default() };
    change(&mut validators);
    options.parameters = Parameters { validators, ..options.parameters };
    let mut kit = Kit::with(options);
    let registry = kit.create_registry();
    kit.expect_applied(registry);
    kit
}

/// Every founder's operator presents a credential.
fn accredit(kit: &mut Kit) -> Vec<Credential> {
    let operators: Vec<Party> = kit.operators.clone();
    operators
        .iter()
        .map(|operator| {
            let credential = kit.credential(operator, &["operator"]);
            kit.expect_applied(operator.present(kit, &credential));
            credential
        })
        .collect()
}

fn members(kit: &Kit) -> Members {
    membership::members(kit.state(), kit.now_s * 1000).unwrap()
}

fn in_force(kit: &Kit) -> Vec<[u8; 32]> {
    membership::validators(kit.state()).unwrap()
}

fn founder(kit: &Kit, index: usize) -> [u8; 32] {
    key_bytes(&kit.validator_keys()[index].public()).unwrap()
}

fn status(kit: &Kit, key: [u8; 32]) -> Status {
    members(kit).get(&key).expect("it is registered").status
}

fn quorum(count: usize) -> usize {
    count - faults(count)
}

fn revoke_all(kit: &mut Kit, credentials: &[Credential]) {
    let change = |credential: &Credential| StatusChange {
        list: credential.terms.list.clone(),
        index: credential.terms.index,
        from: 0,
        to: 1,
    };
    let changes = credentials.iter().map(change).collect();
    let registry = kit.registry_id();
    kit.expect_applied(kit.change_registry(registry, changes));
}

#[test]
fn a_founder_stands_on_genesis_until_it_stands_on_a_credential() {
    let mut kit = kit(4, |_| ());
    assert_eq!(members(&kit).get(&founder(&kit, 0)).unwrap().why(), "genesis");
    let operator = kit.operators[0].clone();
    let credential = kit.credential(&operator, &["operator"]);
    let receipt = kit.expect_applied(operator.present(&kit, &credential));
    assert!(receipt.is_applied());
    assert_eq!(members(&kit).get(&founder(&kit, 0)).unwrap().why(), "grant");
    kit.expect_applied(kit.revoke(&credential));
    // From then on on that credential alone: without it, it is out.
    let member = members(&kit).get(&founder(&kit, 0)).unwrap().clone();
    assert_eq!((member.status, member.why()), (Status::CutOff, "grant.revoked"));
    assert_eq!(members(&kit).get(&founder(&kit, 1)).unwrap().why(), "genesis");
}

#[test]
fn a_revoked_validator_is_cut_off_in_the_revoking_block_and_leaves_at_the_end_of_the_epoch() {
    let mut kit = kit(7, |_| ());
    let credentials = accredit(&mut kit);
    let key = founder(&kit, 2);
    kit.expect_applied(kit.revoke(&credentials[2]));
    assert_eq!(status(&kit, key), Status::CutOff);
    assert!(in_force(&kit).contains(&key), "the set changes at the end of the epoch only");
    let executed = kit.finish_epoch();
    assert!(!in_force(&kit).contains(&key));
    assert_eq!(in_force(&kit).len(), 6);
    assert_eq!(status(&kit, key), Status::Refused);
    let events = executed.block_receipt.unwrap().events;
    let expected = Event::ValidatorsChanged {
        epoch: 1,
        joined: Vec::new(),
        left: vec![kit.validator_keys()[2].public()],
    };
    assert!(events.contains(&expected), "{events:?}");
}

#[test]
fn a_credential_that_comes_back_before_the_end_of_the_epoch_keeps_the_validator() {
    let mut kit = kit(7, |_| ());
    let credentials = accredit(&mut kit);
    let key = founder(&kit, 2);
    kit.expect_applied(kit.revoke(&credentials[2]));
    let operator = kit.operators[2].clone();
    let renewed = kit.credential(&operator, &["operator"]);
    kit.expect_applied(operator.present(&kit, &renewed));
    assert_eq!(status(&kit, key), Status::Validating);
    kit.finish_epoch();
    assert!(in_force(&kit).contains(&key));
}

#[test]
fn an_issuer_that_revokes_every_operator_at_once_cannot_stop_the_chain() {
    for count in [4, 5, 7, 10, 16] {
        let mut kit = kit(count, |_| ());
        let credentials = accredit(&mut kit);
        revoke_all(&mut kit, &credentials);
        for _ in 0..8 {
            let size = in_force(&kit).len();
            let connected = members(&kit).validators.len();
            // Those connected are a quorum, with half of the tolerated faults to spare.
            assert_eq!(connected, size - spare(size), "{count} validators at first");
            assert!(connected >= quorum(size) + (faults(size) - spare(size)), "{count} at first");
            assert!(size >= 4, "never below the smallest size");
            kit.finish_epoch();
            assert!(in_force(&kit).len() + faults(size).max(1) >= size, "at most f leave at once");
        }
        assert_eq!(in_force(&kit).len(), 4);
    }
}

#[test]
fn who_was_cut_off_first_stays_cut_off_when_others_follow() {
    let mut kit = kit(7, |_| ());
    let credentials = accredit(&mut kit);
    for index in [6, 0, 3] {
        kit.expect_applied(kit.revoke(&credentials[index]));
        assert_eq!(status(&kit, founder(&kit, 6)), Status::CutOff);
    }
    assert_eq!(status(&kit, founder(&kit, 0)), Status::Leaving);
    assert_eq!(status(&kit, founder(&kit, 3)), Status::Leaving);
    kit.finish_epoch();
    // Two of seven may leave at once: the ones that lost their standing first.
    let left = in_force(&kit);
    assert!(!left.contains(&founder(&kit, 6)) && !left.contains(&founder(&kit, 0)));
    assert_eq!(status(&kit, founder(&kit, 3)), Status::CutOff);
}

#[test]
fn candidates_join_in_the_order_of_their_registration_as_the_bounds_allow() {
    let mut kit = kit(4, |validators| validators.size_max = 7);
    let (operator, _) = kit.operator(1);
    let keys: Vec<[u8; 32]> =
        (1..=4).map(|number| kit.register(&operator, number, NodeKind::Validator, ("a", "b"))).collect();
    assert_eq!(status(&kit, keys[0]), Status::Candidate);
    kit.finish_epoch();
    // Four can hand the chain to five, five to seven: those who stay are a quorum by themselves.
    assert_eq!(in_force(&kit).len(), 5);
    assert_eq!(status(&kit, keys[0]), Status::Validating);
    kit.finish_epoch();
    assert_eq!(in_force(&kit).len(), 7);
    assert_eq!((status(&kit, keys[2]), status(&kit, keys[3])), (Status::Validating, Status::Candidate));
    kit.finish_epoch();
    assert_eq!(in_force(&kit).len(), 7);
    // One leaves, and the one that waits takes its place.
    let leave = operator.leave(&kit, kit.node_key(2).public());
    kit.expect_applied(leave);
    assert_eq!(status(&kit, keys[1]), Status::Leaving);
    kit.finish_epoch();
    assert!(in_force(&kit).contains(&keys[3]) && !in_force(&kit).contains(&keys[1]));
    assert!(members(&kit).get(&keys[1]).is_none(), "it is off the register");
}

#[test]
fn an_observer_is_never_selected() {
    let mut kit = kit(4, |_| ());
    let (operator, _) = kit.operator(1);
    let observer = kit.register(&operator, 1, NodeKind::Observer, ("a", "b"));
    kit.finish_epoch();
    assert!(!in_force(&kit).contains(&observer));
}

#[test]
fn a_cap_of_a_sector_keeps_candidates_waiting() {
    let mut kit = kit(4, |validators| validators.per_sector_max = 4);
    let (operator, _) = kit.operator(1);
    let same = kit.register(&operator, 1, NodeKind::Validator, ("unspecified", "north"));
    let other = kit.register(&operator, 2, NodeKind::Validator, ("energy", "north"));
    kit.finish_epoch();
    assert_eq!((status(&kit, same), status(&kit, other)), (Status::Candidate, Status::Validating));
}

/// Runs one epoch in which only `leaders` propose.
fn epoch_led_by(kit: &mut Kit, leaders: &[[u8; 32]]) {
    loop {
        kit.apply_block_led(&[], leaders).unwrap();
        if membership::is_boundary(kit.ledger().height, EPOCH) {
            return;
        }
    }
}

#[test]
fn a_validator_that_is_not_seen_is_suspended_and_returns_by_rule() {
    let mut kit = kit(5, |validators| validators.suspension_ms = 100_000);
    kit.finish_epoch();
    let all: Vec<[u8; 32]> = (0..5).map(|index| founder(&kit, index)).collect();
    epoch_led_by(&mut kit, &all);
    assert_eq!(in_force(&kit).len(), 5);
    let absent = founder(&kit, 4);
    epoch_led_by(&mut kit, &all[..4]);
    assert!(!in_force(&kit).contains(&absent));
    let member = members(&kit).get(&absent).unwrap().clone();
    assert_eq!((member.status, member.why()), (Status::Suspended, "node.suspended"));
    // Its operator can see why and until when; it stays connected and follows.
    let suspended = serde_json::to_value(member.record.suspended.unwrap()).unwrap();
    assert_eq!(suspended["cause"]["serviceLevel"]["present"], 0);
    assert_eq!(suspended["cause"]["serviceLevel"]["windows"], 2);
    assert_eq!(suspended["until"], kit.now_s * 1000 + 100_000);
    assert!(member.status.is_connected());
    kit.finish_epoch();
    assert!(!in_force(&kit).contains(&absent));
    kit.now_s += 100;
    kit.finish_epoch();
    assert!(in_force(&kit).contains(&absent), "the suspension is over");
}

#[test]
fn an_epoch_that_measured_nothing_suspends_nobody() {
    let mut kit = kit(5, |_| ());
    for _ in 0..3 {
        kit.finish_epoch();
    }
    assert_eq!(in_force(&kit).len(), 5);
    assert!(members(&kit).validators.iter().all(|member| member.status == Status::Validating));
}

#[test]
fn service_levels_do_not_shrink_the_set_below_its_smallest_size() {
    let mut kit = kit(4, |_| ());
    kit.finish_epoch();
    let first = founder(&kit, 0);
    epoch_led_by(&mut kit, &[first]);
    assert_eq!(in_force(&kit).len(), 4);
    assert_eq!(members(&kit).validators.len(), 4, "a suspended validator is not cut off");
    assert_eq!(status(&kit, founder(&kit, 1)), Status::Leaving);
}

#[test]
fn a_fault_proof_suspends_at_once() {
    let mut kit = kit(7, |_| ());
    let (witness, _) = kit.member(1);
    let key = kit.validator_keys()[3].clone();
    let (first, second) = (kit.vote(&key, VoteKind::Nullify, 9, 0), kit.vote(&key, VoteKind::Finalize, 9, 1));
    let show = witness.show(&kit, key.public(), first, second);
    kit.expect_applied(show);
    assert_eq!(status(&kit, founder(&kit, 3)), Status::CutOff);
    kit.finish_epoch();
    assert!(!in_force(&kit).contains(&founder(&kit, 3)));
    kit.now_s += 1_000_000;
    kit.finish_epoch();
    assert!(!in_force(&kit).contains(&founder(&kit, 3)), "it never returns");
}

#[test]
fn the_set_changes_in_the_last_block_of_an_epoch_only() {
    let mut kit = kit(7, |_| ());
    let credentials = accredit(&mut kit);
    kit.finish_epoch();
    revoke_all(&mut kit, &credentials[..3]);
    let mut sets: BTreeMap<u64, Vec<[u8; 32]>> = BTreeMap::new();
    let first = kit.ledger().height;
    while kit.ledger().height < first + 3 * EPOCH {
        kit.apply_block(&[]).unwrap();
        sets.insert(kit.ledger().height, in_force(&kit));
    }
    for (height, set) in sets.iter().skip(1) {
        let changed = sets.get(&(height - 1)).is_some_and(|before| before != set);
        assert!(!changed || membership::is_boundary(*height, EPOCH), "height {height}");
    }
    assert_eq!(in_force(&kit).len(), 4);
}
