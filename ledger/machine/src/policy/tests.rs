//! Policy texts: what is accepted, what is bounded, and what the default says about every action.

use aval_types::Action;

use super::set::Asked;
use super::{DEFAULT_POLICY, Input, Policy, self_lock};

fn refused(text: &str) -> String {
    Policy::parse(text).unwrap_err().to_string()
}

#[test]
fn the_default_policy_is_valid_and_speaks_of_every_action() {
    let policy = Policy::parse(DEFAULT_POLICY).unwrap();
    self_lock(&policy).unwrap();
    for kind in Action::KINDS {
        assert!(!policy.could_permit(kind).is_empty(), "no policy permits {kind}");
    }
    // What needs no grants must not cost their reading.
    for kind in ["did.rotate", "did.deactivate", "governance.vote", "credential.present", "registry.update"] {
        assert!(!policy.asked(kind).has(Asked::GRANTS), "{kind}");
    }
    assert!(policy.asked("did.update").has(Asked::GRANTS));
    assert!(
        !policy.asked("did.update").has(Asked::PRINCIPAL) && !policy.asked("did.update").has(Asked::TIME)
    );
}

#[test]
fn policies_need_names_of_their_own() {
    assert!(refused("permit (principal, action, resource);").contains("@id"));
    assert!(refused(r#"@id("No Name") permit (principal, action, resource);"#).contains("@id"));
    let twice =
        r#"@id("a") permit (principal, action, resource); @id("a") forbid (principal, action, resource);"#;
    assert!(refused(twice).contains("two policies"));
}

#[test]
fn what_the_schema_does_not_know_is_refused() {
    for text in [
        r#"@id("a") permit (principal, action, resource) when { principal.shoeSize > 40 };"#,
        r#"@id("a") permit (principal, action == Action::"did.destroy", resource);"#,
        r#"@id("a") permit (principal, action, resource) when { principal.roles };"#,
        r#"@id("a") permit (principal == ?principal, action, resource);"#,
        r#"@id("a") permit (principal, action, resource) when { principal.governor == "yes" };"#,
        "permit permit",
    ] {
        refused(text);
    }
}

#[test]
fn texts_are_bounded_before_they_are_parsed() {
    let deep = format!(
        r#"@id("a") permit (principal, action, resource) when {{ {}true{} }};"#,
        "(".repeat(40),
        ")".repeat(40)
    );
    assert!(refused(&deep).contains("deep"));
    let long = format!(
        r#"@id("a") permit (principal, action, resource) when {{ true{} }};"#,
        " && true".repeat(400)
    );
    assert!(refused(&long).contains("longer"));
    // Semicolons inside of texts do not begin another policy.
    let hidden = format!(
        r#"@id("a") permit (principal, action, resource) when {{ true{} }};"#,
        r#" && principal.roles.contains(";")"#.repeat(80)
    );
    assert!(refused(&hidden).contains("longer"));
    assert!(refused(&" ".repeat(70_000)).contains("64 KiB"));
    let many: String =
        (0..129).map(|n| format!("@id(\"p{n}\") permit (principal, action, resource);\n")).collect();
    assert!(refused(&many).contains("128"));
}

#[test]
fn the_worst_that_fits_the_bounds_does_not_exhaust_a_stack() {
    let chains = [
        format!("true{}", " && true".repeat(190)),
        format!("{}true", "if true then false else ".repeat(85)),
        format!("principal{}", ".roles".repeat(300)),
        format!("{}true{}", "(".repeat(20), ")".repeat(20)),
        format!("{}true", "!".repeat(500)),
        format!("1{} > 0", " + 1".repeat(400)),
        format!("{}1{} == 1", "[".repeat(20), "]".repeat(20)),
    ];
    for chain in chains {
        let text = format!(r#"@id("a") permit (principal, action, resource) when {{ {chain} }};"#);
        if let Ok(policy) = Policy::parse(&text) {
            policy.decide(&Input { action: "did.update", ..Input::default() });
        }
    }
}

#[test]
fn what_is_asked_about_a_whole_is_not_left_out() {
    let policy = Policy::parse(
        r#"@id("a") permit (principal, action == Action::"did.update", resource)
           when { principal == Did::"x" && [context.time].contains(0) && context has endorserRoles };
           @id("b") permit (principal, action == Action::"did.create", resource == Resource::"did/x");"#,
    )
    .unwrap();
    let update = policy.asked("did.update");
    assert!(update.has(Asked::PRINCIPAL) && update.has(Asked::TIME) && update.has(Asked::ENDORSER));
    assert!(!update.has(Asked::RESOURCE) && !update.has(Asked::GRANTS));
    assert!(policy.asked("did.create").has(Asked::RESOURCE));
    assert!(!policy.asked("did.rotate").has(u8::MAX));
    let input =
        |principal: &str| Input { action: "did.update", principal: principal.to_owned(), ..Input::default() };
    assert!(policy.decide(&input("x")).allowed);
    assert!(!policy.decide(&input("y")).allowed);
}

#[test]
fn an_action_that_no_policy_names_is_denied() {
    let policy = Policy::parse("").unwrap();
    let decision = policy.decide(&Input { action: "did.update", ..Input::default() });
    assert!(!decision.allowed && !decision.failed && decision.policies.is_empty());
}
