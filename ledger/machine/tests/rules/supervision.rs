//! Supervision: holds, releases, denials, their scope and their end, and whom they do not reach.

use aval_codec::Hash;
use aval_machine::testkit::{Draft, Kit, Party};
use aval_machine::{StateRead, execute_block, state_key};
use aval_types::governance::{Change, DenyAdd, DenyRemove, HoldLift};
use aval_types::supervision::{
    HoldRecord, SupervisionAllow, SupervisionDeny, SupervisionHold, SupervisionRelease, Target,
};
use aval_types::{Action, Event, SubmittedTransaction, TransactionId};

use crate::governance::{enact, kit, propose};
use crate::refusal;

/// A company with these roles on the ledger.
fn company(kit: &mut Kit, number: u64, roles: &[&str]) -> Party {
    let company = kit.company(number);
    let mut roles = [&["member"], roles].concat();
    roles.sort_unstable();
    let credential = kit.credential(&company, &roles);
    kit.expect_applied(company.create_with(kit, &credential));
    company
}

fn send(kit: &Kit, sender: &Party, action: Action) -> SubmittedTransaction {
    Draft::new(kit, action).sender(sender).submit()
}

fn hold_until(kit: &Kit, sender: &Party, target: Target, expires: u64) -> SubmittedTransaction {
    let action = SupervisionHold {
        target,
        reason: "File 7/2026".to_owned(),
        legal_basis: "Payment Act, section 12".to_owned(),
        expires,
    };
    send(kit, sender, Action::SupervisionHold(action))
}

fn hold(kit: &Kit, sender: &Party, target: Target) -> SubmittedTransaction {
    hold_until(kit, sender, target, (kit.now_s + 3600) * 1000)
}

fn release(kit: &Kit, sender: &Party, hold: TransactionId) -> SubmittedTransaction {
    send(kit, sender, Action::SupervisionRelease(SupervisionRelease { hold }))
}

fn deny(kit: &Kit, sender: &Party, target: Target) -> SubmittedTransaction {
    let action = SupervisionDeny { target, reason: "File 8/2026".to_owned() };
    send(kit, sender, Action::SupervisionDeny(action))
}

fn allow(kit: &Kit, sender: &Party, target: Target) -> SubmittedTransaction {
    send(kit, sender, Action::SupervisionAllow(SupervisionAllow { target }))
}

fn update(kit: &Kit, company: &Party) -> SubmittedTransaction {
    company.clone().update(kit, kit.document(company, 7))
}

#[test]
fn a_hold_stops_a_did_until_it_is_released_and_stays_on_the_record() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let held = company(&mut kit, 2, &[]);
    let placed = hold(&kit, &supervisor, Target::Did(held.did.clone()));
    let id = placed.transaction.id();
    kit.expect_applied(placed);
    assert_eq!(refusal(&kit, Ok(update(&kit, &held))), "supervision.held");
    assert_eq!(refusal(&kit, Ok(held.clone().deactivate(&kit))), "supervision.held");
    kit.expect_applied(release(&kit, &supervisor, id));
    kit.expect_applied(update(&kit, &held));
    let record: HoldRecord =
        serde_json::from_slice(&kit.state().read(state_key::hold(&id).as_bytes()).unwrap().unwrap()).unwrap();
    assert_eq!(
        (record.author, record.released.unwrap().by),
        (supervisor.did.clone(), Some(supervisor.did.clone()))
    );
    assert_eq!(kit.state().read(state_key::HOLDS.as_bytes()).unwrap(), None);
    assert_eq!(refusal(&kit, Ok(release(&kit, &supervisor, id))), "supervision.released");
    let nothing = TransactionId(Hash::new([7; 32]));
    assert_eq!(refusal(&kit, Ok(release(&kit, &supervisor, nothing))), "supervision.not_found");
}

#[test]
fn a_hold_ends_by_itself() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let held = company(&mut kit, 2, &[]);
    let expires = (kit.now_s + 60) * 1000;
    let placed = hold_until(&kit, &supervisor, Target::Did(held.did.clone()), expires);
    let id = placed.transaction.id();
    kit.expect_applied(placed);
    kit.now_s += 59;
    assert_eq!(refusal(&kit, Ok(update(&kit, &held))), "supervision.held");
    kit.now_s += 1;
    kit.expect_applied(update(&kit, &held));
    assert_eq!(refusal(&kit, Ok(release(&kit, &supervisor, id))), "supervision.released");
}

#[test]
fn a_hold_bites_in_the_block_that_carries_it() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let held = company(&mut kit, 2, &[]);
    let block = [hold(&kit, &supervisor, Target::Did(held.did.clone())), update(&kit, &held)]
        .map(|one| kit.checked(one));
    let executed = execute_block(kit.state(), &kit.next_context(), &block).unwrap();
    assert!(executed.receipts[0].is_applied());
    assert_eq!(
        executed.receipts[1].outcome,
        aval_types::Outcome::Rejected(aval_types::Reject::SupervisionHeld)
    );
}

#[test]
fn a_kind_of_action_can_be_held_for_everybody() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let other = company(&mut kit, 2, &[]);
    kit.expect_applied(hold(&kit, &supervisor, Target::Action("did.update".to_owned())));
    assert_eq!(refusal(&kit, Ok(update(&kit, &other))), "supervision.held");
    // Other kinds go on.
    let newcomer = kit.company(3);
    let credential = kit.membership(&newcomer);
    kit.expect_applied(newcomer.create_with(&kit, &credential));
}

#[test]
fn what_governs_supervises_or_only_controls_cannot_be_held_as_a_kind() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    for kind in [
        "governance.propose",
        "governance.vote",
        "supervision.release",
        "did.rotate",
        "did.deactivate",
        "no.such",
    ] {
        let action = SupervisionHold {
            target: Target::Action(kind.to_owned()),
            reason: "r".to_owned(),
            legal_basis: "l".to_owned(),
            expires: (kit.now_s + 60) * 1000,
        };
        let draft = Draft::new(&kit, Action::SupervisionHold(action)).sender(&supervisor);
        assert_eq!(refusal(&kit, draft.try_submit()), "supervision.invalid", "{kind}");
    }
}

#[test]
fn a_supervisor_outside_of_its_scope_is_refused() {
    let mut kit = kit();
    let scoped = company(&mut kit, 1, &["supervisor-did"]);
    let full = company(&mut kit, 2, &["supervisor"]);
    let member = company(&mut kit, 3, &[]);
    let registry = Target::Action("registry.create".to_owned());
    assert_eq!(refusal(&kit, Ok(hold(&kit, &scoped, registry.clone()))), "supervision.scope");
    let node = Target::Node(kit.validator_keys()[0].public());
    assert_eq!(refusal(&kit, Ok(deny(&kit, &scoped, node))), "supervision.scope");
    assert_eq!(refusal(&kit, Ok(hold(&kit, &member, registry.clone()))), "grant.role");
    assert_eq!(refusal(&kit, Ok(hold(&kit, &kit.operators[0], registry.clone()))), "grant.required");
    let placed = hold(&kit, &full, registry);
    let id = placed.transaction.id();
    kit.expect_applied(placed);
    assert_eq!(refusal(&kit, Ok(release(&kit, &scoped, id))), "supervision.scope");
    kit.expect_applied(hold(&kit, &scoped, Target::Did(member.did.clone())));
    kit.expect_applied(hold(&kit, &scoped, Target::Action("did.create".to_owned())));
}

#[test]
fn a_revoked_supervisor_supervises_nothing() {
    let mut kit = kit();
    let supervisor = kit.company(1);
    let credential = kit.credential(&supervisor, &["member", "supervisor"]);
    kit.expect_applied(supervisor.create_with(&kit, &credential));
    kit.expect_applied(kit.revoke(&credential));
    let target = Target::Did(kit.operators[0].did.clone());
    assert_eq!(refusal(&kit, Ok(hold(&kit, &supervisor, target))), "grant.revoked");
}

#[test]
fn a_supervisor_cannot_lock_out_the_governors() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    for operator in kit.operators.clone() {
        kit.expect_applied(hold(&kit, &supervisor, Target::Did(operator.did.clone())));
        kit.expect_applied(deny(&kit, &supervisor, Target::Did(operator.did.clone())));
    }
    let lifted = Change::DenyAdd(DenyAdd {
        target: Target::Did(supervisor.did.clone()),
        reason: "abuse of office".to_owned(),
    });
    let events = enact(&mut kit, lifted);
    assert!(matches!(events[0], Event::GovernanceExecuted { .. }), "{events:?}");
    let target = Target::Did(kit.operators[0].did.clone());
    assert_eq!(refusal(&kit, Ok(allow(&kit, &supervisor, target))), "deny.did");
    // Everything else of theirs is stopped, as anybody's.
    let operator = kit.operators[0].clone();
    assert_eq!(refusal(&kit, Ok(operator.clone().deactivate(&kit))), "deny.did");
    let mut operator = operator;
    kit.expect_applied(operator.rotate(&kit));
}

#[test]
fn a_held_did_can_take_a_stolen_key_out_and_nothing_more() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let mut held = company(&mut kit, 2, &[]);
    kit.expect_applied(hold(&kit, &supervisor, Target::Did(held.did.clone())));
    let mut rotation = held.clone().rotation();
    rotation.document = Some(kit.document(&held, 9));
    let mut with_document = held.clone();
    with_document.rotation();
    let draft = Draft::new(&kit, Action::DidRotate(rotation)).controllers(&with_document);
    assert_eq!(refusal(&kit, draft.try_submit()), "supervision.held");
    kit.expect_applied(held.rotate(&kit));
}

#[test]
fn governance_lifts_a_hold() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let held = company(&mut kit, 2, &[]);
    let placed = hold(&kit, &supervisor, Target::Did(held.did.clone()));
    let id = placed.transaction.id();
    kit.expect_applied(placed);
    let events = enact(&mut kit, Change::HoldLift(HoldLift { hold: id }));
    assert!(matches!(
        &events[..],
        [Event::GovernanceExecuted { .. }, Event::SupervisionReleased { by: None, .. }]
    ));
    kit.expect_applied(update(&kit, &held));
    assert_eq!(refusal(&kit, Ok(release(&kit, &supervisor, id))), "supervision.released");
}

#[test]
fn a_denied_did_is_refused_until_it_is_allowed() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let denied = company(&mut kit, 2, &["endorser"]);
    let target = Target::Did(denied.did.clone());
    assert_eq!(refusal(&kit, Ok(allow(&kit, &supervisor, target.clone()))), "supervision.not_found");
    kit.expect_applied(deny(&kit, &supervisor, target.clone()));
    assert_eq!(refusal(&kit, Ok(deny(&kit, &supervisor, target.clone()))), "supervision.exists");
    assert_eq!(refusal(&kit, Ok(update(&kit, &denied))), "deny.did");
    // Nor does it vouch for others.
    assert_eq!(refusal(&kit, Ok(kit.company(3).create_endorsed(&kit, &denied))), "deny.did");
    kit.expect_applied(allow(&kit, &supervisor, target));
    kit.expect_applied(update(&kit, &denied));
}

#[test]
fn credentials_of_a_denied_or_held_issuer_make_no_new_grants() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let member = company(&mut kit, 2, &[]);
    let newcomer = kit.company(3);
    let credential = kit.membership(&newcomer);
    kit.expect_applied(hold(&kit, &supervisor, Target::Did(kit.issuer.did.clone())));
    assert_eq!(refusal(&kit, Ok(newcomer.create_with(&kit, &credential))), "supervision.held");
    assert_eq!(refusal(&kit, Ok(kit.revoke(&credential))), "supervision.held");
    // Those it has made stand.
    kit.expect_applied(update(&kit, &member));
    kit.expect_applied(deny(&kit, &supervisor, Target::Did(kit.issuer.did.clone())));
    assert_eq!(refusal(&kit, Ok(newcomer.create_with(&kit, &credential))), "deny.did");
}

#[test]
fn what_governance_denies_only_governance_allows() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let denied = company(&mut kit, 2, &[]);
    let target = Target::Did(denied.did.clone());
    kit.expect_applied(deny(&kit, &supervisor, target.clone()));
    enact(&mut kit, Change::DenyAdd(DenyAdd { target: target.clone(), reason: "File 9".to_owned() }));
    assert_eq!(refusal(&kit, Ok(allow(&kit, &supervisor, target.clone()))), "supervision.governed");
    enact(&mut kit, Change::DenyRemove(DenyRemove { target: target.clone() }));
    kit.expect_applied(update(&kit, &denied));
    // Nothing to remove: refused before it is voted on.
    let execute_at = kit.next_context().height + 2;
    let action = aval_types::governance::GovernancePropose {
        change: Change::DenyRemove(DenyRemove { target }),
        execute_at,
        title: "again".to_owned(),
    };
    let again = send(&kit, &kit.operators[0], Action::GovernancePropose(action));
    assert_eq!(refusal(&kit, Ok(again)), "supervision.not_found");
    propose(&mut kit, Change::DenyAdd(DenyAdd { target: Target::Did(denied.did), reason: "r".to_owned() }));
}

#[test]
fn a_hold_without_a_sensible_end_or_words_is_refused() {
    let mut kit = kit();
    let supervisor = company(&mut kit, 1, &["supervisor"]);
    let target = Target::Did(kit.issuer.did.clone());
    let now_ms = kit.now_s * 1000;
    for expires in [0, now_ms, now_ms + 366 * 86_400_000 + 1] {
        let submitted = hold_until(&kit, &supervisor, target.clone(), expires);
        assert_eq!(refusal(&kit, Ok(submitted)), "supervision.expiry");
    }
    for (reason, legal_basis) in [("", "law"), ("reason", ""), ("two\nlines", "law")] {
        let action = SupervisionHold {
            target: target.clone(),
            reason: reason.to_owned(),
            legal_basis: legal_basis.to_owned(),
            expires: now_ms + 60_000,
        };
        let draft = Draft::new(&kit, Action::SupervisionHold(action)).sender(&supervisor);
        assert_eq!(refusal(&kit, draft.try_submit()), "supervision.invalid");
    }
    let action = SupervisionDeny { target: Target::Action("did.update".to_owned()), reason: "r".to_owned() };
    let draft = Draft::new(&kit, Action::SupervisionDeny(action)).sender(&supervisor);
    assert_eq!(refusal(&kit, draft.try_submit()), "supervision.invalid");
}
