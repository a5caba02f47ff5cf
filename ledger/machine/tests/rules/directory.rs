//! Anchors and services: who may write them, and what they hold.

use aval_codec::sha256;
use aval_machine::testkit::{Draft, Kit, Party};
use aval_machine::{StateRead, state_key};
use aval_types::action::{AnchorCreate, ServiceRegister, ServiceRemove};
use aval_types::{Action, AnchorRecord, Commitment, Outcome, ServiceRecord, SubmittedTransaction};

use crate::refusal;

fn anchor(kit: &Kit, by: &Party, commitment: Commitment) -> SubmittedTransaction {
    by.send(kit, Action::AnchorCreate(AnchorCreate { commitment, kind: "contract".to_owned() }))
}

fn service() -> ServiceRegister {
    ServiceRegister {
        name: "register".to_owned(),
        kind: "issuer".to_owned(),
        endpoint: "https://register.example/".to_owned(),
        description: Some("Membership credentials".to_owned()),
    }
}

#[test]
fn an_anchor_says_who_committed_to_what_and_when_and_is_there_once() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let (other, _) = kit.member(2);
    let commitment = Commitment::of(&[7; 32], b"the contract");
    assert_eq!(commitment, Commitment::of_digest(&[7; 32], &sha256(b"the contract")));
    assert_ne!(commitment, Commitment::of(&[8; 32], b"the contract"));
    let receipt = kit.expect_applied(anchor(&kit, &company, commitment));
    let bytes = kit.state().read(state_key::anchor(&commitment).as_bytes()).unwrap().unwrap();
    let record: AnchorRecord = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        (record.owner, record.height, record.time),
        (company.did.clone(), receipt.height, receipt.time_ms)
    );
    for by in [&company, &other] {
        assert_eq!(refusal(&kit, Ok(anchor(&kit, by, commitment))), "anchor.exists");
    }
    let draft = AnchorCreate { commitment, kind: "no name".to_owned() };
    let draft = Draft::new(&kit, Action::AnchorCreate(draft)).sender(&company);
    assert_eq!(refusal(&kit, draft.try_submit()), "anchor.invalid");
}

#[test]
fn anchors_and_services_need_a_live_grant() {
    let mut kit = Kit::ready(1);
    let (endorser, _) = kit.endorser(1);
    let vouched = kit.company(2);
    kit.expect_applied(vouched.create_endorsed(&kit, &endorser));
    let commitment = Commitment::of(&[7; 32], b"x");
    assert_eq!(refusal(&kit, Ok(anchor(&kit, &vouched, commitment))), "grant.required");
    let register = vouched.send(&kit, Action::ServiceRegister(service()));
    assert_eq!(refusal(&kit, Ok(register)), "grant.required");
    let (member, credential) = kit.member(3);
    kit.expect_applied(member.send(&kit, Action::ServiceRegister(service())));
    kit.expect_applied(kit.revoke(&credential));
    assert_eq!(refusal(&kit, Ok(anchor(&kit, &member, commitment))), "grant.revoked");
    let register = member.send(&kit, Action::ServiceRegister(service()));
    assert_eq!(refusal(&kit, Ok(register)), "grant.revoked");
    // Who has lost its grant can still take its entry out.
    let remove = Action::ServiceRemove(ServiceRemove { name: "register".to_owned() });
    kit.expect_applied(member.send(&kit, remove));
}

#[test]
fn a_service_is_its_operators_alone() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let (other, _) = kit.member(2);
    kit.expect_applied(company.send(&kit, Action::ServiceRegister(service())));
    // The same name of another operator is another entry.
    let elsewhere = ServiceRegister { endpoint: "https://other.example/".to_owned(), ..service() };
    kit.expect_applied(other.send(&kit, Action::ServiceRegister(elsewhere)));
    let moved = ServiceRegister { endpoint: "https://new.example/".to_owned(), ..service() };
    let receipt = kit.expect_applied(company.send(&kit, Action::ServiceRegister(moved)));
    let bytes = kit.state().read(state_key::service(&company.did, "register").as_bytes()).unwrap().unwrap();
    let record: ServiceRecord = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((record.endpoint.as_str(), record.height), ("https://new.example/", receipt.height));
    let remove = |name: &str| Action::ServiceRemove(ServiceRemove { name: name.to_owned() });
    assert_eq!(refusal(&kit, Ok(company.send(&kit, remove("other")))), "service.not_found");
    let receipt = kit.expect_applied(company.send(&kit, remove("register")));
    let Outcome::Applied(events) = receipt.outcome else { panic!("it was applied") };
    assert_eq!(events.len(), 1);
    assert_eq!(refusal(&kit, Ok(company.send(&kit, remove("register")))), "service.not_found");
    assert!(kit.state().read(state_key::service(&other.did, "register").as_bytes()).unwrap().is_some());
}

#[test]
fn shapes_that_no_service_has_are_refused() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let wrong = [
        ServiceRegister { name: "Register".to_owned(), ..service() },
        ServiceRegister { name: String::new(), ..service() },
        ServiceRegister { name: "a/b".to_owned(), ..service() },
        ServiceRegister { kind: "9".to_owned(), ..service() },
        ServiceRegister { endpoint: "ftp://register.example/".to_owned(), ..service() },
        ServiceRegister { endpoint: format!("https://{}", "x".repeat(256)), ..service() },
        ServiceRegister { description: Some(String::new()), ..service() },
        ServiceRegister { description: Some("a\u{7}".to_owned()), ..service() },
    ];
    for action in wrong {
        let draft = Draft::new(&kit, Action::ServiceRegister(action)).sender(&company);
        assert_eq!(refusal(&kit, draft.try_submit()), "service.invalid");
    }
    let remove = ServiceRemove { name: "no/name".to_owned() };
    let draft = Draft::new(&kit, Action::ServiceRemove(remove)).sender(&company);
    assert_eq!(refusal(&kit, draft.try_submit()), "service.invalid");
}
