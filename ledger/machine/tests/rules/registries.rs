//! Status registries: owners, names, ranges, and which way entries may move.

use aval_machine::bitmap::{CHUNK_BYTES, Place};
use aval_machine::testkit::{Draft, Kit, LIST_SIZE};
use aval_machine::{StateRead, state_key};
use aval_types::action::{RegistryCreate, RegistryUpdate, StatusChange};
use aval_types::{Action, Event, Outcome, Purpose, RegistryId};

use crate::refusal;

fn change(list: &str, index: u64, from: u8, to: u8) -> StatusChange {
    StatusChange { list: list.to_owned(), index, from, to }
}

fn registry(kit: &Kit, name: &str) -> RegistryId {
    RegistryId::new(kit.issuer.did.clone(), name).unwrap()
}

fn entry(kit: &Kit, id: &RegistryId, index: u64, bits: u8) -> u8 {
    let place = Place::of(index, bits).unwrap();
    let key = state_key::status(id, 0, place.chunk);
    place.value(&kit.state().read(key.as_bytes()).unwrap().unwrap_or_default())
}

fn changed(receipt: &aval_types::Receipt) -> u32 {
    match &receipt.outcome {
        Outcome::Applied(events) => match events.as_slice() {
            [Event::RegistryUpdated { changed, .. }] => *changed,
            other => panic!("one event tells of the update, not {other:?}"),
        },
        Outcome::Rejected(reject) => panic!("{reject}"),
    }
}

#[test]
fn only_an_accredited_issuer_makes_and_changes_registries() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let create = kit.create_registry().transaction.action().clone();
    let draft = Draft::new(&kit, create).sender(&company);
    assert_eq!(refusal(&kit, draft.try_submit()), "credential.issuer_unaccredited");
    let update =
        RegistryUpdate { registry: kit.registry_id(), changes: vec![change(&kit.list_uri(), 0, 0, 1)] };
    let draft = Draft::new(&kit, Action::RegistryUpdate(update)).sender(&company);
    assert_eq!(refusal(&kit, draft.try_submit()), "registry.owner");
}

#[test]
fn names_are_unique_for_an_owner_and_uris_in_the_network() {
    let kit = Kit::ready(1);
    let again = kit.create_registry_of(Purpose::Revocation, "members", 1, "https://issuer.example/other");
    assert_eq!(refusal(&kit, Ok(again)), "registry.exists");
    let same_list = kit.create_registry_of(Purpose::Suspension, "other", 1, &kit.list_uri());
    assert_eq!(refusal(&kit, Ok(same_list)), "registry.uri_taken");
}

#[test]
fn a_registry_of_a_shape_that_is_not_allowed_is_refused() {
    let kit = Kit::ready(1);
    let good = RegistryCreate {
        registry: "fine".to_owned(),
        purpose: Purpose::Message,
        bits: 4,
        size: 2048,
        lists: vec!["https://issuer.example/a".to_owned(), "https://issuer.example/b".to_owned()],
    };
    let attempt = |action: RegistryCreate| {
        Draft::new(&kit, Action::RegistryCreate(action)).sender(&kit.issuer).try_submit()
    };
    kit.verdict(attempt(good.clone()).unwrap()).unwrap();
    let wrong = [
        RegistryCreate { registry: "No Name".to_owned(), ..good.clone() },
        RegistryCreate { bits: 3, ..good.clone() },
        RegistryCreate { size: 1000, ..good.clone() },
        RegistryCreate { size: (1 << 24) + 1024, ..good.clone() },
        RegistryCreate { lists: vec![], ..good.clone() },
        RegistryCreate { lists: vec!["not a uri".to_owned()], ..good.clone() },
        RegistryCreate { lists: vec![good.lists[0].clone(); 2], ..good.clone() },
        RegistryCreate { purpose: Purpose::Revocation, bits: 2, ..good },
    ];
    for action in wrong {
        assert_eq!(refusal(&kit, attempt(action)), "registry.invalid");
    }
}

#[test]
fn a_registry_that_does_not_exist_is_refused() {
    let kit = Kit::ready(1);
    let update = kit.change_registry(registry(&kit, "nothing"), vec![change(&kit.list_uri(), 0, 0, 1)]);
    assert_eq!(refusal(&kit, Ok(update)), "registry.not_found");
}

#[test]
fn revocation_only_rises_and_repeating_it_changes_nothing() {
    let mut kit = Kit::ready(1);
    let (id, uri) = (kit.registry_id(), kit.list_uri());
    let revoke = kit.change_registry(id.clone(), vec![change(&uri, 9, 0, 1), change(&uri, 70_000, 0, 1)]);
    assert_eq!(changed(&kit.expect_applied(revoke)), 2);
    assert_eq!((entry(&kit, &id, 9, 1), entry(&kit, &id, 70_000, 1), entry(&kit, &id, 10, 1)), (1, 1, 0));
    let back = kit.change_registry(id.clone(), vec![change(&uri, 9, 1, 0)]);
    assert_eq!(refusal(&kit, Ok(back)), "registry.monotonic");
    let before = kit.state().clone();
    let again = kit.change_registry(id.clone(), vec![change(&uri, 9, 0, 1)]);
    assert_eq!(changed(&kit.expect_applied(again)), 0);
    assert!(kit.state().entries().eq(before.entries()));
}

#[test]
fn one_refused_change_undoes_all_of_its_transaction() {
    let mut kit = Kit::ready(1);
    let (id, uri) = (kit.registry_id(), kit.list_uri());
    let revoke = kit.change_registry(id.clone(), vec![change(&uri, 1, 0, 1)]);
    kit.expect_applied(revoke);
    let mixed = kit.change_registry(id.clone(), vec![change(&uri, 2, 0, 1), change(&uri, 1, 1, 0)]);
    assert_eq!(refusal(&kit, Ok(mixed)), "registry.monotonic");
    assert_eq!(entry(&kit, &id, 2, 1), 0);
}

#[test]
fn suspension_and_message_changes_name_the_value_that_they_replace() {
    let mut kit = Kit::ready(1);
    for (purpose, name, bits) in [(Purpose::Suspension, "suspended", 1), (Purpose::Message, "messages", 4)] {
        let uri = format!("https://issuer.example/{name}");
        kit.expect_applied(kit.create_registry_of(purpose, name, bits, &uri));
        let id = registry(&kit, name);
        let set = kit.change_registry(id.clone(), vec![change(&uri, 3, 0, 1)]);
        kit.expect_applied(set);
        let stale = kit.change_registry(id.clone(), vec![change(&uri, 3, 0, 1)]);
        assert_eq!(refusal(&kit, Ok(stale)), "registry.stale");
        let clear = kit.change_registry(id.clone(), vec![change(&uri, 3, 1, 0)]);
        kit.expect_applied(clear);
        assert_eq!(entry(&kit, &id, 3, bits), 0);
    }
    let id = registry(&kit, "messages");
    let uri = "https://issuer.example/messages";
    let high = kit.change_registry(id.clone(), vec![change(uri, u64::from(LIST_SIZE) - 1, 0, 15)]);
    kit.expect_applied(high);
    assert_eq!(entry(&kit, &id, u64::from(LIST_SIZE) - 1, 4), 15);
}

#[test]
fn an_entry_or_value_outside_of_the_registry_is_refused() {
    let kit = Kit::ready(1);
    let (id, uri) = (kit.registry_id(), kit.list_uri());
    let outside = [
        change(&uri, u64::from(LIST_SIZE), 0, 1),
        change(&uri, 0, 0, 2),
        change(&uri, 0, 2, 1),
        change("https://issuer.example/status/unknown", 0, 0, 1),
    ];
    for change in outside {
        let update = kit.change_registry(id.clone(), vec![change]);
        assert_eq!(refusal(&kit, Ok(update)), "registry.out_of_range");
    }
}

#[test]
fn a_change_writes_the_chunk_that_it_touches_and_no_other() {
    let mut kit = Kit::ready(1);
    let (id, uri) = (kit.registry_id(), kit.list_uri());
    let submitted = kit.change_registry(id.clone(), vec![change(&uri, 8192, 0, 1), change(&uri, 8193, 0, 1)]);
    let executed = kit.apply_block(&[kit.checked(submitted)]).unwrap();
    let keys: Vec<&Vec<u8>> = executed.changes.keys().collect();
    assert_eq!(keys, [state_key::status(&id, 0, 1).as_bytes()]);
    assert_eq!(executed.changes.values().next().unwrap().as_ref().unwrap().len(), CHUNK_BYTES);
}
