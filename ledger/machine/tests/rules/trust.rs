//! Accreditations: each rule with its refusal, and attempts to take more than was given.

use aval_machine::testkit::{AccreditationTerms, DIPLOMA, Draft, Kit, MEMBERSHIP, Party, accredited};
use aval_machine::{Checked, Rules, check, execute_block};
use aval_types::accreditation::Level;
use aval_types::action::{AccreditationGrant, AccreditationRevoke};
use aval_types::{AccreditationKind, Action, Outcome, SubmittedTransaction};

use crate::refusal;

const MEMBER: [&str; 2] = ["endorser", "member"];

/// A root, a body of depth 2 below it, a body of depth 1 below that, an issuer below that with a registry, and a
/// member by the word of this issuer: as long as a chain can be.
struct Chain {
    kit: Kit,
    root: Party,
    upper: Party,
    lower: Party,
    issuer: Party,
    member: Party,
}

impl Chain {
    fn new() -> Self {
        let mut kit = Kit::ready(1);
        let root = kit.root.clone();
        let (two, one, none) = (kit.body_terms(2), kit.body_terms(1), kit.issuer_terms());
        let upper = kit.accredited(1, &root, &two);
        let lower = kit.accredited(2, &upper, &one);
        let issuer = kit.accredited(3, &lower, &none);
        let registry = kit.create_registry_for(&issuer);
        kit.expect_applied(registry);
        let member = kit.company(4);
        let credential = kit.membership_by(&issuer, &member);
        let create = member.create_with(&kit, &credential);
        kit.expect_applied(create);
        Self { kit, root, upper, lower, issuer, member }
    }

    /// What the member's next update meets: a code, or nothing.
    fn update(&self) -> Result<(), &'static str> {
        let mut member = self.member.clone();
        let update = member.update(&self.kit, self.kit.document(&member, 99));
        self.kit.verdict(update).map_err(|reject| reject.code())
    }

    /// What a fresh credential of the issuer meets.
    fn fresh_credential(&self) -> Result<(), &'static str> {
        let newcomer = self.kit.company(90);
        let credential = self.kit.membership_by(&self.issuer, &newcomer);
        self.kit.verdict(newcomer.create_with(&self.kit, &credential)).map_err(|reject| reject.code())
    }
}

/// The refusal of a grant by `by` to a fresh company, with the terms changed.
#[track_caller]
fn grant_refusal(kit: &Kit, by: &Party, change: impl FnOnce(&mut AccreditationTerms)) -> &'static str {
    let mut terms = kit.issuer_terms();
    change(&mut terms);
    let subject = kit.operators[0].did.clone();
    let action = AccreditationGrant {
        subject,
        previous: 0,
        kind: terms.kind,
        types: terms.types,
        depth: terms.depth,
        expires: terms.expires_s * 1000,
        credential: terms.credential,
    };
    refusal(kit, Draft::new(kit, Action::AccreditationGrant(action)).sender(by).try_submit())
}

#[test]
fn a_chain_of_four_links_carries_a_member_and_each_link_can_end_it() {
    let chain = Chain::new();
    assert_eq!(chain.update(), Ok(()));
    for (revoker, subject) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
        let mut chain = Chain::new();
        let line = [&chain.root, &chain.upper, &chain.lower, &chain.issuer].map(Party::clone);
        let revoke = line[revoker].revoke_accreditation(&chain.kit, &line[subject].did);
        let receipt = chain.kit.expect_applied(revoke);
        assert_eq!(chain.update(), Err("grant.issuer_unaccredited"));
        assert_eq!(chain.fresh_credential(), Err("credential.issuer_unaccredited"));
        let record = chain.kit.accreditation(&line[subject].did).unwrap();
        assert_eq!((record.revoked, record.version), (Some(receipt.height), 2));
        assert_eq!(record.revoked_by.as_ref(), Some(&line[revoker].did));
    }
}

#[test]
fn a_revocation_bites_in_the_block_that_carries_it_and_a_grant_from_the_next_block_on() {
    let mut chain = Chain::new();
    let kit = &chain.kit;
    let codes = |block: &[Checked]| -> Vec<&'static str> {
        let executed = execute_block(kit.state(), &kit.next_context(), block).unwrap();
        let code = |outcome: &Outcome| match outcome {
            Outcome::Applied(_) => "applied",
            Outcome::Rejected(reject) => reject.code(),
        };
        executed.receipts.iter().map(|receipt| code(&receipt.outcome)).collect()
    };
    let update = kit.checked(chain.member.clone().update(kit, kit.document(&chain.member, 9)));
    // The middle of the chain, not the issuer itself.
    let revoke = kit.checked(chain.root.revoke_accreditation(kit, &chain.lower.did));
    assert_eq!(codes(&[revoke.clone(), update.clone()]), ["applied", "grant.issuer_unaccredited"]);
    assert_eq!(codes(&[update, revoke]), ["applied", "applied"]);

    // Accredited in the same block: not accredited yet when the block is judged.
    let (fresh, newcomer) = (kit.company(50), kit.company(51));
    let member = kit.membership(&fresh);
    let create = fresh.create_with(kit, &member);
    chain.kit.expect_applied(create);
    let kit = &chain.kit;
    let accredit = kit.checked(kit.root.accredit(kit, &fresh.did, &kit.issuer_terms()));
    let mut terms = kit.terms(&newcomer);
    terms.registry = aval_types::RegistryId::new(fresh.did.clone(), "members").unwrap();
    let credential = kit.issue(&fresh, terms);
    let present = kit.checked(newcomer.create_with(kit, &credential));
    let error = execute_block(kit.state(), &kit.next_context(), &[accredit, present]).unwrap_err();
    assert_eq!(error.code(), "block.unauthorized");
}

#[test]
fn an_issuer_accredited_after_the_fact_is_an_issuer_from_then_on_only() {
    let mut kit = Kit::ready(1);
    let (late, _) = kit.member(1);
    let newcomer = kit.company(2);
    // Signed, dated and even valid before anybody had accredited the issuer.
    let credential = kit.membership_by(&late, &newcomer);
    assert_eq!(refusal(&kit, Ok(newcomer.create_with(&kit, &credential))), "credential.issuer_unaccredited");
    let before = kit.state().clone();
    let accredit = kit.root.accredit(&kit, &late.did, &kit.issuer_terms());
    kit.expect_applied(accredit);
    kit.expect_applied(kit.create_registry_for(&late));
    kit.expect_applied(newcomer.create_with(&kit, &credential));
    // History does not change: on the state of before, the answer is still no.
    let checked = kit.checked(newcomer.create_with(&kit, &credential));
    let earlier = aval_machine::authorize(&before, &checked, &kit.context(1)).unwrap();
    assert_eq!(earlier.unwrap_err().code(), "credential.issuer_unaccredited");
}

#[test]
fn nobody_gives_more_than_it_has() {
    let mut kit = Kit::ready(1);
    let root = kit.root.clone();
    let mut terms = kit.body_terms(1);
    terms.types = vec![accredited(MEMBERSHIP, &["member"], Level::Substantial)];
    let body = kit.accredited(1, &root, &terms);
    let fitting = |terms: &mut AccreditationTerms| {
        terms.types = vec![accredited(MEMBERSHIP, &["member"], Level::Substantial)];
    };
    let refused = |change: &dyn Fn(&mut AccreditationTerms)| {
        grant_refusal(&kit, &body, |terms| {
            fitting(terms);
            change(terms);
        })
    };
    assert_eq!(
        refused(&|terms| terms.types = vec![accredited(DIPLOMA, &[], Level::Low)]),
        "accreditation.type"
    );
    assert_eq!(
        refused(&|terms| terms.types = vec![accredited(MEMBERSHIP, &["endorser"], Level::Low)]),
        "accreditation.role"
    );
    assert_eq!(
        refused(&|terms| terms.types = vec![accredited(MEMBERSHIP, &["member"], Level::High)]),
        "accreditation.level"
    );
    assert_eq!(
        refused(&|terms| (terms.kind, terms.depth) = (AccreditationKind::Body, 1)),
        "accreditation.depth"
    );
    let parent_ends_s = kit.accreditation(&body.did).unwrap().expires / 1000;
    assert_eq!(refused(&|terms| terms.expires_s = parent_ends_s + 1), "accreditation.expiry");
    assert_eq!(refused(&|terms| terms.expires_s = kit.now_s), "accreditation.expiry");
    let mut good = kit.issuer_terms();
    fitting(&mut good);
    good.expires_s = parent_ends_s;
    kit.verdict(body.accredit(&kit, &kit.operators[0].did, &good)).unwrap();
}

#[test]
fn a_link_that_was_narrowed_narrows_all_below_it() {
    let mut chain = Chain::new();
    let (root, upper, lower) = (chain.root.clone(), chain.upper.clone(), chain.lower.clone());
    // The upper body loses the role `member`; nobody below it is touched.
    let mut narrow = chain.kit.body_terms(2);
    narrow.types = vec![accredited(MEMBERSHIP, &["endorser"], Level::High)];
    let grant = root.accredit(&chain.kit, &upper.did, &narrow);
    chain.kit.expect_applied(grant);
    assert_eq!(chain.update(), Err("grant.issuer_unaccredited"));
    assert_eq!(chain.fresh_credential(), Err("credential.role_unaccredited"));
    // The lower body still has it in its own record, and can no longer give it.
    assert!(chain.kit.accreditation(&lower.did).unwrap().types[0].has_role("member"));
    assert_eq!(grant_refusal(&chain.kit, &lower, |_| {}), "accreditation.role");
    // Without the type at all.
    narrow.types = vec![accredited(DIPLOMA, &[], Level::High)];
    let grant = root.accredit(&chain.kit, &upper.did, &narrow);
    chain.kit.expect_applied(grant);
    assert_eq!(chain.fresh_credential(), Err("credential.type_unaccredited"));
    assert_eq!(grant_refusal(&chain.kit, &lower, |_| {}), "accreditation.type");
    // Less deep: the chain below is too long now.
    let flat = chain.kit.body_terms(1);
    let grant = root.accredit(&chain.kit, &upper.did, &flat);
    chain.kit.expect_applied(grant);
    assert_eq!(chain.fresh_credential(), Err("credential.issuer_unaccredited"));
    assert_eq!(grant_refusal(&chain.kit, &lower, |_| {}), "accreditation.required");
    // And whole again, all of it.
    let whole = chain.kit.body_terms(2);
    let grant = root.accredit(&chain.kit, &upper.did, &whole);
    chain.kit.expect_applied(grant);
    assert_eq!(chain.update(), Ok(()));
}

#[test]
fn an_accreditation_never_outlives_one_above_it() {
    let mut chain = Chain::new();
    let (root, upper) = (chain.root.clone(), chain.upper.clone());
    // Shortened above: what is below keeps its own date and ends with the one above.
    let mut short = chain.kit.body_terms(2);
    short.expires_s = chain.kit.now_s + 100;
    let grant = root.accredit(&chain.kit, &upper.did, &short);
    chain.kit.expect_applied(grant);
    assert_eq!(chain.update(), Ok(()));
    assert_eq!(
        grant_refusal(&chain.kit, &chain.lower, |terms| terms.expires_s = short.expires_s + 1),
        "accreditation.expiry"
    );
    chain.kit.now_s += 99;
    assert_eq!(chain.update(), Ok(()));
    chain.kit.now_s += 1;
    assert!(chain.kit.accreditation(&chain.issuer.did).unwrap().expires > chain.kit.now_s * 1000);
    assert_eq!(chain.update(), Err("grant.issuer_unaccredited"));
    assert_eq!(chain.fresh_credential(), Err("credential.issuer_unaccredited"));
    assert_eq!(grant_refusal(&chain.kit, &chain.lower, |_| {}), "accreditation.required");
}

#[test]
fn an_expired_root_ends_everything() {
    let mut chain = Chain::new();
    chain.kit.now_s = chain.kit.accreditation(&chain.root.did).unwrap().expires / 1000 - 1;
    assert_eq!(grant_refusal(&chain.kit, &chain.root, |terms| terms.expires_s = 0), "accreditation.invalid");
    chain.kit.now_s += 1;
    assert_eq!(chain.update(), Err("grant.issuer_unaccredited"));
    assert_eq!(grant_refusal(&chain.kit, &chain.root, |_| {}), "accreditation.required");
    let revoke = chain.root.revoke_accreditation(&chain.kit, &chain.upper.did);
    assert_eq!(refusal(&chain.kit, Ok(revoke)), "accreditation.required");
}

#[test]
fn only_a_live_root_or_body_accredits() {
    let mut chain = Chain::new();
    assert_eq!(grant_refusal(&chain.kit, &chain.member, |_| {}), "accreditation.required");
    assert_eq!(grant_refusal(&chain.kit, &chain.issuer, |_| {}), "accreditation.required");
    assert_eq!(grant_refusal(&chain.kit, &chain.kit.company(77), |_| {}), "did.not_found");
    let revoke = chain.root.revoke_accreditation(&chain.kit, &chain.upper.did);
    chain.kit.expect_applied(revoke);
    assert_eq!(grant_refusal(&chain.kit, &chain.upper, |_| {}), "accreditation.required");
    // Its own record is good, the one above it is not.
    assert_eq!(grant_refusal(&chain.kit, &chain.lower, |_| {}), "accreditation.required");
}

#[test]
fn nobody_accredits_itself_and_nobody_but_governance_makes_or_unmakes_a_root() {
    let chain = Chain::new();
    let kit = &chain.kit;
    let (terms, root) = (kit.body_terms(1), &chain.root);
    let upper = &chain.upper;
    assert_eq!(refusal(kit, Ok(upper.accredit(kit, &upper.did, &terms))), "accreditation.self");
    assert_eq!(refusal(kit, Ok(root.accredit(kit, &root.did, &terms))), "accreditation.self");
    assert_eq!(
        grant_refusal(kit, root, |terms| (terms.kind, terms.depth) = (AccreditationKind::Root, 1)),
        "accreditation.root"
    );
    assert_eq!(refusal(kit, Ok(upper.accredit(kit, &root.did, &kit.issuer_terms()))), "accreditation.root");
    for sender in [root, upper, &chain.issuer] {
        let revoke = sender.revoke_accreditation(kit, &root.did);
        assert_eq!(refusal(kit, Ok(revoke)), "accreditation.root");
    }
}

#[test]
fn nobody_revokes_what_stands_above_or_beside_it() {
    let mut chain = Chain::new();
    let terms = chain.kit.body_terms(1);
    let root = chain.root.clone();
    let beside = chain.kit.accredited(20, &root, &terms);
    let kit = &chain.kit;
    // An issuer its own parent, a body its own parent, a body its sibling and its sibling's issuer, a member anybody.
    for (sender, subject) in [
        (&chain.issuer, &chain.lower),
        (&chain.issuer, &chain.upper),
        (&chain.lower, &chain.upper),
        (&beside, &chain.upper),
        (&beside, &chain.issuer),
        (&chain.member, &chain.issuer),
    ] {
        let revoke = sender.revoke_accreditation(kit, &subject.did);
        assert_eq!(refusal(kit, Ok(revoke)), "accreditation.not_above");
    }
    let revoke = chain.root.revoke_accreditation(kit, &chain.member.did);
    assert_eq!(refusal(kit, Ok(revoke)), "accreditation.not_found");
}

#[test]
fn a_revoked_link_cannot_act_against_those_below_it() {
    let mut chain = Chain::new();
    let revoke = chain.root.revoke_accreditation(&chain.kit, &chain.upper.did);
    chain.kit.expect_applied(revoke);
    let revoke = chain.upper.revoke_accreditation(&chain.kit, &chain.lower.did);
    assert_eq!(refusal(&chain.kit, Ok(revoke)), "accreditation.required");
}

#[test]
fn what_one_above_revoked_nobody_below_it_grants_again() {
    let mut chain = Chain::new();
    let (root, upper, lower, issuer) =
        (chain.root.clone(), chain.upper.clone(), chain.lower.clone(), chain.issuer.clone());
    let beside_terms = chain.kit.body_terms(1);
    let beside = chain.kit.accredited(20, &root, &beside_terms);
    let revoke = upper.revoke_accreditation(&chain.kit, &issuer.did);
    chain.kit.expect_applied(revoke);
    let kit = &chain.kit;
    let terms = kit.issuer_terms();
    let again =
        |by: &Party| kit.verdict(by.accredit(kit, &issuer.did, &terms)).map_err(|reject| reject.code());
    assert_eq!(again(&lower), Err("accreditation.not_above"));
    assert_eq!(again(&beside), Err("accreditation.not_above"));
    assert_eq!(again(&upper), Ok(()));
    assert_eq!(again(&root), Ok(()));
    assert_eq!(refusal(kit, Ok(root.revoke_accreditation(kit, &issuer.did))), "accreditation.revoked");
    let grant = upper.accredit(kit, &issuer.did, &terms);
    chain.kit.expect_applied(grant);
    let record = chain.kit.accreditation(&issuer.did).unwrap();
    assert_eq!((record.version, record.revoked, record.parent), (3, None, Some(upper.did.clone())));
    assert_eq!(chain.update(), Ok(()));
}

#[test]
fn a_delayed_grant_does_not_undo_a_revocation() {
    let mut chain = Chain::new();
    let (lower, issuer) = (chain.lower.clone(), chain.issuer.clone());
    // Signed while the accreditation stood, to renew it; it arrives after the revocation.
    let renewal = lower.accredit(&chain.kit, &issuer.did, &chain.kit.issuer_terms());
    let revoke = lower.revoke_accreditation(&chain.kit, &issuer.did);
    chain.kit.expect_applied(revoke);
    assert_eq!(refusal(&chain.kit, Ok(renewal)), "accreditation.stale");
    let unborn = lower.accredit_after(&chain.kit, &issuer.did, &chain.kit.issuer_terms(), 0);
    assert_eq!(refusal(&chain.kit, Ok(unborn)), "accreditation.stale");
    let fresh = chain.kit.operators[1].did.clone();
    let ahead = lower.accredit_after(&chain.kit, &fresh, &chain.kit.issuer_terms(), 1);
    assert_eq!(refusal(&chain.kit, Ok(ahead)), "accreditation.stale");
}

#[test]
fn a_live_accreditation_is_its_parents_alone_and_a_dead_one_is_free() {
    let mut chain = Chain::new();
    let (root, upper, lower, issuer) =
        (chain.root.clone(), chain.upper.clone(), chain.lower.clone(), chain.issuer.clone());
    let terms = chain.kit.issuer_terms();
    for by in [&root, &upper] {
        assert_eq!(
            refusal(&chain.kit, Ok(by.accredit(&chain.kit, &issuer.did, &terms))),
            "accreditation.exists"
        );
    }
    // The chain breaks above: the issuer's own record is not revoked, and another may take it in.
    let revoke = root.revoke_accreditation(&chain.kit, &lower.did);
    chain.kit.expect_applied(revoke);
    let grant = upper.accredit(&chain.kit, &issuer.did, &terms);
    chain.kit.expect_applied(grant);
    assert_eq!(chain.update(), Ok(()));
}

#[test]
fn who_is_accredited_can_give_it_up_and_be_taken_in_elsewhere() {
    let mut chain = Chain::new();
    let (root, issuer) = (chain.root.clone(), chain.issuer.clone());
    let give_up = issuer.revoke_accreditation(&chain.kit, &issuer.did);
    chain.kit.expect_applied(give_up);
    assert_eq!(chain.update(), Err("grant.issuer_unaccredited"));
    let terms = chain.kit.issuer_terms();
    let grant = root.accredit(&chain.kit, &issuer.did, &terms);
    chain.kit.expect_applied(grant);
    assert_eq!(chain.update(), Ok(()));
}

#[test]
fn deactivating_a_did_ends_its_accreditation_and_what_stands_on_it() {
    let mut chain = Chain::new();
    let mut upper = chain.upper.clone();
    let deactivate = upper.deactivate(&chain.kit);
    let receipt = chain.kit.expect_applied(deactivate);
    let Outcome::Applied(events) = &receipt.outcome else { panic!("{receipt:?}") };
    assert_eq!(events.len(), 2);
    assert_eq!(chain.update(), Err("grant.issuer_unaccredited"));
    let grant = chain.root.accredit(&chain.kit, &upper.did, &chain.kit.body_terms(2));
    assert_eq!(refusal(&chain.kit, Ok(grant)), "did.deactivated");
    let nobody = chain.kit.company(99);
    let grant = chain.root.accredit(&chain.kit, &nobody.did, &chain.kit.body_terms(2));
    assert_eq!(refusal(&chain.kit, Ok(grant)), "did.not_found");
}

#[test]
fn a_body_issues_nothing_and_an_issuer_without_a_live_chain_makes_no_registry() {
    let mut chain = Chain::new();
    let kit = &chain.kit;
    let body = &chain.lower;
    assert_eq!(refusal(kit, Ok(kit.create_registry_for(body))), "credential.issuer_unaccredited");
    let newcomer = kit.company(30);
    let credential = kit.membership_by(body, &newcomer);
    assert_eq!(refusal(kit, Ok(newcomer.create_with(kit, &credential))), "credential.issuer_unaccredited");
    let revoke = chain.root.revoke_accreditation(kit, &chain.upper.did);
    chain.kit.expect_applied(revoke);
    let registry = chain.kit.create_registry_for(&chain.issuer);
    assert_eq!(refusal(&chain.kit, Ok(registry)), "credential.issuer_unaccredited");
}

#[test]
fn shapes_that_no_accreditation_has_are_refused() {
    let kit = Kit::ready(1);
    let root = &kit.root;
    let invalid: [&dyn Fn(&mut AccreditationTerms); 6] = [
        &|terms| terms.types.clear(),
        &|terms| terms.types.push(terms.types[0].clone()),
        &|terms| terms.types[0].roles = MEMBER.iter().rev().map(|role| (*role).to_owned()).collect(),
        &|terms| terms.types[0].credential_type = "no name".to_owned(),
        &|terms| terms.depth = 1,
        &|terms| (terms.kind, terms.depth) = (AccreditationKind::Body, 0),
    ];
    for change in invalid {
        assert_eq!(grant_refusal(&kit, root, |terms| change(terms)), "accreditation.invalid");
    }
    for reason in [String::new(), "a\nb".to_owned(), "x".repeat(257)] {
        let action = AccreditationRevoke { subject: kit.issuer.did.clone(), reason };
        let draft = Draft::new(&kit, Action::AccreditationRevoke(action)).sender(root);
        assert_eq!(refusal(&kit, draft.try_submit()), "accreditation.invalid");
    }
}

/// An issuer's keys change in the block in which its credential is presented. Who was there when the block was made
/// and who replays it without its witnesses come to the same receipts.
#[test]
fn a_block_without_its_witnesses_gives_the_receipts_that_it_gave_with_them() {
    let kit = Kit::ready(1);
    let newcomer = kit.company(1);
    let credential = kit.membership(&newcomer);
    let mut issuer = kit.issuer.clone();
    let mut rotation = issuer.rotation();
    let mut document = issuer.document.clone();
    document.assertion_method.clear();
    rotation.document = Some(document);
    let rotate = Draft::new(&kit, Action::DidRotate(rotation)).controllers(&issuer).submit();
    let submitted = [rotate, newcomer.create_with(&kit, &credential)];
    let live: Vec<Checked> = submitted.iter().map(|one| kit.checked(one.clone())).collect();
    let certified = Rules::certified(kit.network().clone());
    let strip =
        |one: &SubmittedTransaction| SubmittedTransaction { witness: one.witness.strip(), ..one.clone() };
    let stripped: Vec<Checked> = submitted.iter().map(|one| check(strip(one), &certified).unwrap()).collect();
    let context = kit.next_context();
    let with = execute_block(kit.state(), &context, &live).unwrap();
    let without = execute_block(kit.state(), &context, &stripped).unwrap();
    assert_eq!(with, without);
}
