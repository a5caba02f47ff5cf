//! Each rule of each operation, with the cases that it refuses.

use proptest::prelude::*;

use super::{NETWORK, TIME_MS, control, create, document, key, keys, p256_key, service};
use crate::document::{Document, Relationship, VerificationMethod};
use crate::rules::{
    ALLOWANCE_WINDOW_MS, apply_create, apply_deactivate, apply_rotate, apply_update, genesis_record,
};
use crate::{Control, Create, Deactivate, DidError, DidRecord, Operation, PublicKey, Rotate, Update};

fn record() -> DidRecord {
    apply_create(None, NETWORK, &create(), &keys(&[1]), TIME_MS).unwrap()
}

fn update(record: &DidRecord, document: Document) -> Update {
    Update { did: record.did.clone(), previous: record.version_id, document }
}

fn rotate(record: &DidRecord, control: Control, document: Option<Document>) -> Rotate {
    Rotate { did: record.did.clone(), previous: record.version_id, control, document }
}

fn deactivate(record: &DidRecord) -> Deactivate {
    Deactivate { did: record.did.clone(), previous: record.version_id }
}

fn code(result: Result<DidRecord, DidError>) -> &'static str {
    result.expect_err("must be refused").code()
}

fn created(control: Control, document: Document, signers: &[PublicKey]) -> Result<DidRecord, DidError> {
    let operation = Create::new(NETWORK, control, document).unwrap();
    apply_create(None, NETWORK, &operation, signers, TIME_MS)
}

#[test]
fn a_creation_makes_version_one() {
    let record = record();
    assert_eq!(record.version_id.to_string(), format!("1-{}", record.did.id()));
    assert_eq!((record.created, record.updated, record.deactivated), (TIME_MS, TIME_MS, false));
    assert_eq!(genesis_record(NETWORK, &create(), TIME_MS).unwrap(), record);
    assert_eq!(DidRecord::from_bytes(&record.to_bytes()).unwrap(), record);
    record.require_key(&key(101), Relationship::Authentication).unwrap();
    let url = record.did.url("key-1");
    for id in [url.as_str(), "#key-1", "key-1"] {
        assert_eq!(record.verification_key(id, Relationship::AssertionMethod), Ok(key(101)));
    }
    for id in ["#key-2", "did:aval:demo:x#key-1", &format!("{}x#key-1", record.did), record.did.as_str()] {
        let refused = record.verification_key(id, Relationship::AssertionMethod);
        assert_eq!(refused, Err(DidError::KeyNotInDocument), "{id}");
    }
}

#[test]
fn a_creation_is_refused_when_the_did_exists_or_is_of_another_network() {
    let create = create();
    assert_eq!(code(apply_create(Some(&record()), NETWORK, &create, &keys(&[1]), TIME_MS)), "did.exists");
    assert_eq!(code(apply_create(None, "other", &create, &keys(&[1]), TIME_MS)), "did.network");
    assert_eq!(code(genesis_record("other", &create, TIME_MS)), "did.network");
}

#[test]
fn an_id_that_is_not_the_hash_of_its_inception_is_refused() {
    for change in 0..3 {
        let mut create = create();
        match change {
            0 => {
                create.did = Create::new("else", create.control.clone(), create.document.clone()).unwrap().did
            }
            1 => create.document = document(102),
            _ => create.control = control(1, &[1], 1, &[3]),
        }
        let network = create.did.network().to_owned();
        let result = apply_create(None, &network, &create, &keys(&[1]), TIME_MS);
        match change {
            // The label is part of the inception, so the same content has another id on another network.
            0 => assert!(result.is_ok()),
            _ => assert_eq!(code(result), "did.invalid"),
        }
    }
    let mut moved = create();
    moved.did = moved.did.as_str().replace(":demo:", ":else:").parse().unwrap();
    assert_eq!(code(apply_create(None, "else", &moved, &keys(&[1]), TIME_MS)), "did.invalid");
}

#[test]
fn a_creation_needs_the_threshold_of_its_own_control_keys() {
    let two_of_three = || control(2, &[1, 2, 3], 1, &[4]);
    assert!(created(two_of_three(), document(101), &keys(&[1, 3])).is_ok());
    assert!(created(two_of_three(), document(101), &keys(&[3, 2, 1])).is_ok());
    for signers in [&[][..], &[1], &[1, 1], &[1, 4], &[1, 2, 101], &[1, 2, 2]] {
        assert_eq!(
            code(created(two_of_three(), document(101), &keys(signers))),
            "did.control",
            "{signers:?}"
        );
    }
}

#[test]
fn control_is_bounded_and_consistent() {
    let many: Vec<u8> = (1..=17).collect();
    let cases = [
        control(0, &[1], 1, &[2]),
        control(2, &[1], 1, &[2]),
        control(1, &[], 1, &[2]),
        control(1, &[1, 1], 1, &[2]),
        control(1, &[1], 0, &[2]),
        control(1, &[1], 2, &[2]),
        control(1, &[1], 1, &[]),
        control(1, &[1], 1, &[2, 2]),
        control(1, &many, 1, &[18]),
        control(1, &[18], 1, &many),
        // A next key that is current already would make the commitment worthless.
        control(1, &[1], 1, &[1]),
        control(1, &[1, 2], 1, &[3, 2]),
    ];
    for control in cases {
        assert_eq!(control.validate().unwrap_err().code(), "did.control", "{control:?}");
        assert_eq!(code(created(control, document(101), &keys(&[1]))), "did.control");
    }
    let mut weak = control(1, &[1], 1, &[2]);
    weak.keys.push(PublicKey::Ed25519([0; 32]));
    assert_eq!(weak.validate().unwrap_err().code(), "did.control");
    assert!(control(16, &many[..16], 16, &(21..=36).collect::<Vec<_>>()).validate().is_ok());
}

#[test]
fn control_keys_are_apart_from_document_keys() {
    let bad = created(control(1, &[1], 1, &[2]), document(1), &keys(&[1]));
    assert_eq!(code(bad), "did.document");
    let bad = created(control(1, &[1], 1, &[2]), document(2), &keys(&[1]));
    assert_eq!(code(bad), "did.document");
    let record = record();
    for number in [1, 2] {
        let operation = update(&record, document(number));
        assert_eq!(code(apply_update(&record, &operation, &keys(&[1]), TIME_MS)), "did.document");
    }
    // The same key in the form of a JWK is the same key.
    let jwk = Document {
        verification_method: vec![VerificationMethod::json_web_key("#k", &key(1))],
        ..Document::default()
    };
    assert_eq!(code(created(control(1, &[1], 1, &[2]), jwk, &keys(&[1]))), "did.document");
    // A rotation to a key that the current document holds.
    let operation = rotate(&record, Control { keys: keys(&[2, 101]), ..control(1, &[2], 1, &[3]) }, None);
    assert_eq!(code(apply_rotate(&record, &operation, &keys(&[2]), TIME_MS)), "did.document");
}

#[test]
fn a_document_with_a_weak_key_or_a_duplicate_id_is_refused_in_every_operation() {
    let weak = VerificationMethod::multikey("#weak", &PublicKey::Ed25519([0; 32]));
    let twice = VerificationMethod::multikey("#key-1", &key(102));
    let record = record();
    for method in [weak, twice] {
        let mut bad = document(101);
        bad.verification_method.push(method);
        assert_eq!(code(created(control(1, &[1], 1, &[2]), bad.clone(), &keys(&[1]))), "did.document");
        let operation = update(&record, bad.clone());
        assert_eq!(code(apply_update(&record, &operation, &keys(&[1]), TIME_MS)), "did.document");
        let operation = rotate(&record, control(1, &[2], 1, &[3]), Some(bad));
        assert_eq!(code(apply_rotate(&record, &operation, &keys(&[2]), TIME_MS)), "did.document");
    }
}

#[test]
fn an_oversized_document_is_refused() {
    let name = |number: usize| format!("x:{number:0>500}");
    let large = Document { also_known_as: (0..16).map(name).collect(), ..document(101) };
    assert_eq!(code(created(control(1, &[1], 1, &[2]), large.clone(), &keys(&[1]))), "did.document");
    let record = record();
    assert_eq!(code(apply_update(&record, &update(&record, large), &keys(&[1]), TIME_MS)), "did.document");
}

#[test]
fn an_update_replaces_the_document_and_nothing_else() {
    let first = record();
    let operation = update(&first, Document { service: vec![service("#hub")], ..document(102) });
    let second = apply_update(&first, &operation, &keys(&[1]), TIME_MS + 1).unwrap();
    assert_eq!(second.version_id.number, 2);
    assert_eq!(second.version_id, operation.version_id());
    assert_eq!((second.created, second.updated), (TIME_MS, TIME_MS + 1));
    assert_eq!(second.document, operation.document);
    assert_eq!((&second.control, second.allowance), (&first.control, first.allowance));
    assert_eq!(second.require_key(&key(101), Relationship::Authentication), Err(DidError::KeyNotInDocument));
}

#[test]
fn an_update_is_refused_without_the_right_version_or_keys() {
    let first = record();
    let operation = update(&first, document(102));
    // The next key, a document key, a stranger's key, none, the same twice.
    for signers in [&[2][..], &[101], &[9], &[], &[1, 1], &[1, 9]] {
        assert_eq!(
            code(apply_update(&first, &operation, &keys(signers), TIME_MS)),
            "did.control",
            "{signers:?}"
        );
    }
    let second = apply_update(&first, &operation, &keys(&[1]), TIME_MS).unwrap();
    assert_eq!(code(apply_update(&second, &operation, &keys(&[1]), TIME_MS)), "did.stale_version");
    let mut ahead = operation.clone();
    ahead.previous.number = 2;
    assert_eq!(code(apply_update(&first, &ahead, &keys(&[1]), TIME_MS)), "did.stale_version");
    let other = created(control(1, &[1], 1, &[2]), document(103), &keys(&[1])).unwrap();
    assert_eq!(code(apply_update(&other, &operation, &keys(&[1]), TIME_MS)), "did.not_found");
}

#[test]
fn a_rotation_makes_the_committed_keys_current() {
    let first = record();
    let operation = rotate(&first, control(1, &[2], 1, &[3]), Some(document(102)));
    let second = apply_rotate(&first, &operation, &keys(&[2]), TIME_MS + 5).unwrap();
    assert_eq!(second.version_id, operation.version_id());
    assert_eq!((&second.control, &second.document), (&operation.control, &document(102)));
    assert_eq!((second.allowance.since, second.allowance.used), (TIME_MS, 1));
    let without = rotate(&first, control(1, &[2], 1, &[3]), None);
    assert_eq!(apply_rotate(&first, &without, &keys(&[2]), TIME_MS).unwrap().document, first.document);
    // The old key is worthless from here on.
    let late = update(&second, document(103));
    assert_eq!(code(apply_update(&second, &late, &keys(&[1]), TIME_MS)), "did.control");
    assert!(apply_update(&second, &late, &keys(&[2]), TIME_MS).is_ok());
}

#[test]
fn a_rotation_is_refused_when_a_signing_key_was_not_committed_to() {
    let first = record();
    // A thief of the current key cannot rotate; neither can a stranger, nor a committed key together with another.
    for (current, signers) in
        [(&[9][..], &[1][..]), (&[9], &[9]), (&[1], &[1]), (&[2, 9], &[2, 9]), (&[2], &[])]
    {
        let operation = rotate(&first, control(1, current, 1, &[3]), None);
        let refused = apply_rotate(&first, &operation, &keys(signers), TIME_MS);
        assert_eq!(code(refused), "did.control", "{current:?} {signers:?}");
    }
    // A committed key that signs but does not become current.
    let operation = rotate(&first, control(1, &[9], 1, &[3]), None);
    assert_eq!(code(apply_rotate(&first, &operation, &keys(&[2]), TIME_MS)), "did.control");
}

#[test]
fn a_rotation_is_refused_below_the_next_threshold() {
    let first = created(control(1, &[1], 2, &[2, 3, 4]), document(101), &keys(&[1])).unwrap();
    let operation = rotate(&first, control(1, &[2, 3], 1, &[5]), None);
    assert!(apply_rotate(&first, &operation, &keys(&[2, 3]), TIME_MS).is_ok());
    for signers in [&[2][..], &[2, 2]] {
        assert_eq!(code(apply_rotate(&first, &operation, &keys(signers), TIME_MS)), "did.control");
    }
}

#[test]
fn a_key_that_was_current_does_not_come_back() {
    let first = record();
    for bad in [control(1, &[2, 1], 1, &[3]), control(1, &[2], 1, &[1]), control(1, &[2], 1, &[2])] {
        let operation = rotate(&first, bad, None);
        assert_eq!(code(apply_rotate(&first, &operation, &keys(&[2]), TIME_MS)), "did.control");
    }
}

#[test]
fn a_rotation_changes_keys_only() {
    let content = Document {
        service: vec![service("#hub")],
        also_known_as: vec!["https://a.example/".into()],
        ..document(101)
    };
    let first = created(control(1, &[1], 1, &[2]), content.clone(), &keys(&[1])).unwrap();
    let next = control(1, &[2], 1, &[3]);
    let keep = Document { verification_method: document(102).verification_method, ..content.clone() };
    assert!(apply_rotate(&first, &rotate(&first, next.clone(), Some(keep)), &keys(&[2]), TIME_MS).is_ok());
    for bad in [
        Document { service: vec![], ..content.clone() },
        Document { service: vec![service("#other")], ..content.clone() },
        Document { also_known_as: vec![], ..content.clone() },
    ] {
        let operation = rotate(&first, next.clone(), Some(bad));
        assert_eq!(code(apply_rotate(&first, &operation, &keys(&[2]), TIME_MS)), "did.document");
    }
    let stale = apply_update(&first, &update(&first, document(102)), &keys(&[1]), TIME_MS).unwrap();
    let operation = rotate(&first, next, None);
    assert_eq!(code(apply_rotate(&stale, &operation, &keys(&[2]), TIME_MS)), "did.stale_version");
}

#[test]
fn the_allowance_ends_after_eight_and_begins_again_after_a_day() {
    let mut current = record();
    let step = |current: &DidRecord, number: u8, time_ms: u64| {
        let operation = rotate(current, control(1, &[number + 1], 1, &[number + 2]), None);
        apply_rotate(current, &operation, &keys(&[number + 1]), time_ms)
    };
    for number in 1..=8 {
        current = step(&current, number, TIME_MS + u64::from(number)).unwrap();
    }
    assert_eq!(current.allowance.used, 8);
    let end = TIME_MS + ALLOWANCE_WINDOW_MS;
    assert_eq!(code(step(&current, 9, end - 1)), "did.allowance");
    assert_eq!(
        code(apply_deactivate(&current, &deactivate(&current), &keys(&[9]), end - 1)),
        "did.allowance"
    );
    // Updates are not paid from the allowance.
    assert!(apply_update(&current, &update(&current, document(102)), &keys(&[9]), end - 1).is_ok());
    let next = step(&current, 9, end).unwrap();
    assert_eq!((next.allowance.since, next.allowance.used), (end, 1));
}

#[test]
fn deactivation_is_final() {
    let first = record();
    for signers in [&[2][..], &[101], &[]] {
        assert_eq!(
            code(apply_deactivate(&first, &deactivate(&first), &keys(signers), TIME_MS)),
            "did.control"
        );
    }
    let ended = apply_deactivate(&first, &deactivate(&first), &keys(&[1]), TIME_MS).unwrap();
    assert!(ended.deactivated && ended.document.is_empty());
    assert_eq!(ended.version_id.number, 2);
    assert_eq!(ended.require_key(&key(101), Relationship::Authentication), Err(DidError::Deactivated));
    assert_eq!(ended.verification_key("#key-1", Relationship::Authentication), Err(DidError::Deactivated));
    let time = TIME_MS + ALLOWANCE_WINDOW_MS;
    assert_eq!(
        code(apply_update(&ended, &update(&ended, document(102)), &keys(&[1]), time)),
        "did.deactivated"
    );
    assert_eq!(code(apply_deactivate(&ended, &deactivate(&ended), &keys(&[1]), time)), "did.deactivated");
    let operation = rotate(&ended, control(1, &[2], 1, &[3]), None);
    assert_eq!(code(apply_rotate(&ended, &operation, &keys(&[2]), time)), "did.deactivated");
    assert_eq!(code(apply_create(Some(&ended), NETWORK, &create(), &keys(&[1]), time)), "did.exists");
}

#[test]
fn control_may_mix_both_kinds_of_keys() {
    let mixed = Control { keys: vec![key(1), p256_key(7)], threshold: 2, ..control(1, &[1], 1, &[2]) };
    assert!(created(mixed.clone(), document(101), &[p256_key(7), key(1)]).is_ok());
    assert_eq!(code(created(mixed, document(101), &[p256_key(7), p256_key(8)])), "did.control");
}

#[test]
fn operations_read_back_from_their_json() {
    let first = record();
    let operations = [
        Operation::Create(create()),
        Operation::Update(update(&first, document(102))),
        Operation::Rotate(rotate(&first, control(1, &[2], 1, &[3]), Some(document(102)))),
        Operation::Rotate(rotate(&first, control(1, &[2], 1, &[3]), None)),
        Operation::Deactivate(deactivate(&first)),
    ];
    for operation in operations {
        let json = aval_codec::json::to_json(&operation).unwrap();
        let kind = json.get("type").unwrap().as_str().unwrap().to_owned();
        assert!(kind.starts_with("did."));
        assert_eq!(Operation::from_json(json.clone()).unwrap(), operation);
        let mut unknown = json.clone().into_object().unwrap();
        unknown.insert("more".into(), "x".into());
        assert!(Operation::from_json(aval_codec::Json::Object(unknown)).is_err());
        let mut null = json.into_object().unwrap();
        null.insert("document".into(), aval_codec::Json::Null);
        assert!(Operation::from_json(aval_codec::Json::Object(null)).is_err());
    }
}

proptest! {
    /// Whatever happens to a DID, its versions form one chain: each id follows from the operation and its predecessor
    /// alone, nothing older than the newest can be replaced, and no earlier operation can be used again.
    #[test]
    fn versions_form_one_chain(steps in proptest::collection::vec((any::<bool>(), 102u8..200), 1..12)) {
        let mut current = record();
        let mut control_number = 1u8;
        let mut past: Vec<(Operation, Vec<PublicKey>)> = vec![(Operation::Create(create()), keys(&[1]))];
        let mut time_ms = TIME_MS;
        for (rotates, number) in steps {
            time_ms += ALLOWANCE_WINDOW_MS / 4;
            let (operation, signers) = if rotates {
                control_number += 1;
                let next = control(1, &[control_number], 1, &[control_number + 1]);
                (Operation::Rotate(rotate(&current, next, Some(document(number)))), keys(&[control_number]))
            } else {
                (Operation::Update(update(&current, document(number))), keys(&[control_number]))
            };
            let next = crate::rules::apply(Some(&current), NETWORK, &operation, &signers, time_ms).unwrap();
            prop_assert_eq!(next.version_id, operation.version_id());
            prop_assert_eq!(next.version_id.number, current.version_id.number + 1);
            prop_assert_ne!(next.version_id.hash, current.version_id.hash);
            prop_assert_eq!(DidRecord::from_bytes(&next.to_bytes()).unwrap(), next.clone());
            past.push((operation, signers));
            current = next;
            for (operation, signers) in &past {
                let again = crate::rules::apply(Some(&current), NETWORK, operation, signers, time_ms);
                let code = again.unwrap_err().code();
                prop_assert!(code == "did.stale_version" || code == "did.exists", "{}", code);
            }
        }
    }

    #[test]
    fn every_member_of_an_operation_is_in_its_version(number in 102u8..150, other in 150u8..200) {
        let first = record();
        let one = Operation::Update(update(&first, document(number))).version_id();
        prop_assert_ne!(one, Operation::Update(update(&first, document(other))).version_id());
        let mut moved = update(&first, document(number));
        moved.previous.hash = aval_codec::sha256(&[number]);
        prop_assert_ne!(one, Operation::Update(moved).version_id());
        prop_assert_ne!(one, Operation::Deactivate(deactivate(&first)).version_id());
    }
}
