//! Policies in force: what they change, what they cannot, and that what errs denies.

use aval_machine::policy::{DEFAULT_POLICY, Policy, self_lock};
use aval_machine::testkit::{Draft, Kit, Options};
use aval_machine::{explain, genesis_changes};
use aval_types::Action;
use aval_types::governance::{Change, GovernancePropose, PolicyChange};

use crate::refusal;

fn kit(further: &str) -> Kit {
    let policy = Some(format!("{DEFAULT_POLICY}\n{further}"));
    let mut kit = Kit::with(Options { seed: 1, policy, ..Options::default() });
    let registry = kit.create_registry();
    kit.apply(registry).unwrap();
    kit
}

#[test]
fn a_policy_can_forbid_what_another_permits() {
    let mut kit = kit(r#"@id("no-endorsers-after-hours")
        forbid (principal, action == Action::"did.create", resource)
        when { context.endorsed && context.time > 1800000100 };"#);
    let (endorser, _) = kit.endorser(1);
    kit.expect_applied(kit.company(2).create_endorsed(&kit, &endorser));
    kit.now_s += 200;
    let late = kit.company(3).create_endorsed(&kit, &endorser);
    assert_eq!(refusal(&kit, Ok(late)), "policy.denied");
}

#[test]
fn a_policy_can_permit_what_the_default_does_not() {
    let kit = kit(r#"@id("governors-bring-dids-along")
        permit (principal, action == Action::"did.update", resource)
        when { principal.governor && resource.own };"#);
    let mut kit = kit;
    let mut operator = kit.operators[0].clone();
    let document = kit.document(&operator, 2);
    let submitted = operator.update(&kit, document);
    kit.expect_applied(submitted);
}

#[test]
fn a_policy_that_errs_denies_even_where_another_permits() {
    // Integer overflow at evaluation: the validator cannot see it coming.
    let mut kit = kit(r#"@id("overflow")
        forbid (principal, action == Action::"did.update", resource)
        when { context.time * 9223372036854775807 > 0 };"#);
    let (company, _) = kit.member(1);
    let update = company.clone().update(&kit, kit.document(&company, 2));
    let checked = kit.checked(update.clone());
    assert_eq!(refusal(&kit, Ok(update)), "policy.error");
    let explanation = explain(kit.state(), &checked, &kit.next_context()).unwrap().unwrap();
    assert!(!explanation.allowed);
    assert_eq!(explanation.code, Some("policy.error"));
}

#[test]
fn a_policy_that_would_lock_out_the_governors_is_refused_before_it_is_voted_on() {
    let kit = Kit::ready(1);
    let height = kit.next_context().height + 20;
    let locks = [
        "",
        r#"@id("a") permit (principal, action, resource);
           @id("b") forbid (principal, action == Action::"governance.vote", resource);"#,
        r#"@id("a") permit (principal, action, resource) when { principal.roles.contains("member") };"#,
        r#"@id("a") permit (principal, action, resource);
           @id("b") forbid (principal, action, resource) when { context.time > 1900000000 };"#,
        r#"@id("a") permit (principal, action, resource);
           @id("b") forbid (principal == Did::"did:aval:test:Qm", action, resource);"#,
        r#"@id("a") permit (principal, action, resource);
           @id("b") forbid (principal, action == Action::"did.rotate", resource) unless { principal.governor };"#,
    ];
    for text in locks {
        let change = Change::Policy(PolicyChange { text: text.to_owned() });
        let action = GovernancePropose { change, execute_at: height, title: "t".to_owned() };
        let submitted =
            Draft::new(&kit, Action::GovernancePropose(action)).sender(&kit.operators[0]).submit();
        assert_eq!(refusal(&kit, Ok(submitted)), "governance.self_lock", "{text}");
    }
    let open = r#"@id("open") permit (principal, action, resource);"#;
    self_lock(&Policy::parse(open).unwrap()).unwrap();
}

#[test]
fn even_a_policy_that_permits_everything_makes_nobody_governor_or_issuer() {
    let policy = Some(r#"@id("open") permit (principal, action, resource);"#.to_owned());
    let mut kit = Kit::with(Options { seed: 1, policy, ..Options::default() });
    let registry = kit.create_registry();
    kit.apply(registry).unwrap();
    let (company, _) = kit.member(1);
    let change = Change::Policy(PolicyChange { text: DEFAULT_POLICY.to_owned() });
    let height = kit.next_context().height + 20;
    let action = GovernancePropose { change, execute_at: height, title: "t".to_owned() };
    let submitted = Draft::new(&kit, Action::GovernancePropose(action)).sender(&company).submit();
    assert_eq!(refusal(&kit, Ok(submitted)), "governance.governor");
    let other = kit.company(2);
    let credential = kit.issue(&company, kit.terms(&other));
    let created = other.create_with(&kit, &credential);
    assert_eq!(refusal(&kit, Ok(created)), "credential.issuer_unaccredited");
}

#[test]
fn an_explanation_names_policies_and_attributes_and_no_values() {
    let mut kit = Kit::ready(1);
    let (company, credential) = kit.member(1);
    let update = kit.checked(company.clone().update(&kit, kit.document(&company, 2)));
    let context = kit.next_context();
    let allowed = explain(kit.state(), &update, &context).unwrap().unwrap();
    assert!(allowed.allowed);
    assert_eq!(allowed.policies, ["members-keep-their-did"]);
    assert_eq!(allowed.attributes, ["context.endorsed", "principal.roles", "resource.own"]);
    kit.expect_applied(kit.revoke(&credential));
    let denied = explain(kit.state(), &update, &context).unwrap().unwrap();
    assert!(!denied.allowed);
    assert_eq!(denied.code, Some("grant.revoked"));
    assert_eq!(denied.policies, ["endorsers-vouch", "members-keep-their-did"]);
    let text = serde_json::to_string(&denied).unwrap();
    assert!(!text.contains("did:aval") && !text.contains("\"member\""), "{text}");
}

#[test]
fn a_genesis_file_with_a_policy_that_locks_its_network_is_refused() {
    let kit = Kit::new(1);
    let mut genesis = kit.genesis().clone();
    for text in ["permit", r#"@id("a") permit (principal, action == Action::"did.create", resource);"#] {
        genesis.policy = Some(text.to_owned());
        assert!(genesis_changes(&genesis).is_err(), "{text}");
    }
}
