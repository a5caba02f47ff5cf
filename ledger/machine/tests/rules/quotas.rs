//! Quotas: a grant above its limit is refused, whoever uses it, until the window has slid on.

use aval_machine::testkit::{Kit, Options, Party};
use aval_types::SubmittedTransaction;

use crate::refusal;

/// A network where a grant may be used three times in a minute.
fn kit(per_grant: u32) -> Kit {
    let mut options = Options { seed: 1, ..Options::default() };
    options.time_s -= options.time_s % 60;
    options.parameters.quota.window_ms = 60_000;
    options.parameters.quota.per_grant = per_grant;
    let mut kit = Kit::with(options);
    let registry = kit.create_registry();
    kit.apply(registry).unwrap();
    kit
}

fn update(kit: &Kit, company: &mut Party, revision: u64) -> SubmittedTransaction {
    company.update(kit, kit.document(company, revision))
}

#[test]
fn a_grant_above_its_limit_is_refused_until_the_window_slides_on() {
    let mut kit = kit(3);
    let (mut company, _) = kit.member(1);
    for revision in 2..5 {
        let submitted = update(&kit, &mut company, revision);
        kit.expect_applied(submitted);
    }
    let fourth = update(&kit, &mut company.clone(), 9);
    assert_eq!(refusal(&kit, Ok(fourth)), "quota.exceeded");
    // The next window still sees the three until they have slid out.
    kit.now_s += 60;
    let early = update(&kit, &mut company.clone(), 9);
    assert_eq!(refusal(&kit, Ok(early)), "quota.exceeded");
    kit.now_s += 30;
    let submitted = update(&kit, &mut company, 9);
    kit.expect_applied(submitted);
}

#[test]
fn a_limit_holds_inside_of_a_block() {
    let mut kit = kit(2);
    let (mut company, _) = kit.member(1);
    let block: Vec<_> = (2..5)
        .map(|revision| {
            let submitted = update(&kit, &mut company, revision);
            kit.checked(submitted)
        })
        .collect();
    // Only the first builds on the version before the block; alone the others are not authorized.
    kit.apply_block(&block[..1]).unwrap();
    kit.apply_block(&block[1..2]).unwrap();
    let refused = kit.apply_block(&block[2..]).unwrap_err();
    assert!(refused.to_string().contains("quota.exceeded"), "{refused}");
}

#[test]
fn an_endorsed_action_is_charged_to_the_endorser() {
    let mut kit = kit(2);
    let (mut endorser, _) = kit.endorser(1);
    let customers: Vec<Party> = (2..6).map(|number| kit.company(number)).collect();
    let block: Vec<_> =
        customers[..3].iter().map(|one| kit.checked(one.create_endorsed(&kit, &endorser))).collect();
    let executed = kit.apply_block(&block).unwrap();
    let applied: Vec<bool> = executed.receipts.iter().map(|receipt| receipt.is_applied()).collect();
    assert_eq!(applied, [true, true, false]);
    let another = customers[3].create_endorsed(&kit, &endorser);
    assert_eq!(refusal(&kit, Ok(another)), "quota.exceeded");
    // It is one grant that both roles come from.
    let own = update(&kit, &mut endorser.clone(), 9);
    assert_eq!(refusal(&kit, Ok(own)), "quota.exceeded");
    // What needs control alone does not need a grant.
    let rotation = endorser.rotate(&kit);
    kit.expect_applied(rotation);
}

#[test]
fn a_type_of_credential_may_have_a_limit_of_its_own() {
    let mut options = Options { seed: 1, ..Options::default() };
    options.parameters.quota.by_type.insert("AvalMembershipCredential".to_owned(), 1);
    let mut kit = Kit::with(options);
    let registry = kit.create_registry();
    kit.apply(registry).unwrap();
    let (mut company, _) = kit.member(1);
    let first = update(&kit, &mut company, 2);
    kit.expect_applied(first);
    let second = update(&kit, &mut company.clone(), 3);
    assert_eq!(refusal(&kit, Ok(second)), "quota.exceeded");
    // A second grant has a quota of its own.
    let credential = kit.membership(&company);
    kit.expect_applied(company.present(&kit, &credential));
    let second = update(&kit, &mut company, 3);
    kit.expect_applied(second);
}

#[test]
fn taking_a_credential_back_is_never_over_a_limit() {
    let mut kit = kit(1);
    for number in 1..4 {
        let (_, credential) = kit.member(number);
        kit.expect_applied(kit.revoke(&credential));
    }
}
