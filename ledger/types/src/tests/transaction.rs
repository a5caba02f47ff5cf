//! Transactions: what is read, what is refused with which code, and that bytes survive.

use aval_codec::{Json, b64u, json};
use aval_did::{Algorithm, Deactivate, Did, SigningKey};
use proptest::prelude::*;

use super::{
    Person, TIME_S, bank, company, create, grant, issuer, network, present, registry_create, registry_update,
    sd_hash, transaction, update,
};
use crate::{
    action::{Action, RegistryCreate, RegistryUpdate},
    limits,
    reject::Reject,
    submission::SubmittedTransaction,
    transaction::{KeyId, SignError, SignedTransaction, TransactionBuilder, UnsignedTransaction},
};

fn endorsed() -> SignedTransaction {
    let (company, bank) = (company(), bank());
    transaction(create(&company, None), 1)
        .controller(company.control_kid())
        .endorser(bank.kid())
        .sign(&[&bank.key, &company.control])
        .unwrap()
}

fn single() -> SignedTransaction {
    let company = company();
    transaction(update(&company), 2).controller(company.control_kid()).sign(&[&company.control]).unwrap()
}

/// What a builder is refused for.
fn code(builder: TransactionBuilder) -> &'static str {
    match builder.build() {
        Ok(_) => "accepted",
        Err(reject) => reject.code(),
    }
}

#[test]
fn a_signed_transaction_survives_each_of_its_forms() {
    for signed in [endorsed(), single()] {
        signed.verify_signatures().unwrap();
        let jws = signed.to_jws();
        assert_eq!(SignedTransaction::from_submission(jws.as_bytes()).unwrap(), signed);
        assert_eq!(SignedTransaction::from_jws(jws.as_bytes()).unwrap().to_jws(), jws);
        let envelope = signed.to_envelope();
        let read = SignedTransaction::from_envelope(&envelope).unwrap();
        assert_eq!((read.to_envelope(), read.to_jws(), read.id()), (envelope, jws, signed.id()));
        assert_eq!(read.envelope_hash(), signed.envelope_hash());
    }
    assert!(single().to_jws().starts_with("eyJ"));
    assert!(endorsed().to_jws().starts_with("{\"payload\":"));
}

#[test]
fn one_signer_may_also_come_as_general_json() {
    let compact = single().to_jws();
    let parts: Vec<&str> = compact.split('.').collect();
    let general = format!(
        r#"{{"payload":"{}","signatures":[{{"protected":"{}","signature":"{}"}}]}}"#,
        parts[1], parts[0], parts[2]
    );
    assert_eq!(SignedTransaction::from_submission(general.as_bytes()).unwrap(), single());
}

#[test]
fn the_id_covers_the_payload_and_nothing_else() {
    let company = company();
    let builder = transaction(update(&company), 2).controller(company.control_kid());
    let unsigned = builder.build().unwrap();
    assert_eq!(unsigned.id(), single().id());
    // Another encoding of the same JSON is another payload.
    let spaced =
        String::from_utf8(unsigned.payload_bytes().to_vec()).unwrap().replace(",\"nbf\"", ", \"nbf\"");
    let spaced = UnsignedTransaction::from_payload_bytes(spaced.into_bytes()).unwrap();
    assert_eq!(spaced.payload(), unsigned.payload());
    assert_ne!(spaced.id(), unsigned.id());
    let signed = spaced.sign(&[&company.control]).unwrap();
    assert_eq!(SignedTransaction::from_envelope(&signed.to_envelope()).unwrap(), signed);
}

#[test]
fn signers_may_sign_in_several_places() {
    let (company, bank) = (company(), bank());
    let unsigned = transaction(create(&company, None), 1)
        .endorser(bank.kid())
        .controller(company.control_kid())
        .build()
        .unwrap();
    let elsewhere = UnsignedTransaction::from_payload_bytes(unsigned.payload_bytes().to_vec()).unwrap();
    let theirs = elsewhere.signatures(&bank.key).unwrap();
    assert_eq!(elsewhere.signatures(&issuer().key), Err(SignError::KeyUnexpected));
    let ours = unsigned.signatures(&company.control).unwrap();
    assert!(matches!(unsigned.clone().assemble(ours.clone()), Err(SignError::KeyMissing(_))));
    assert_eq!(unsigned.assemble([theirs, ours].concat()).unwrap(), endorsed());
}

#[test]
fn a_signature_of_bytes_that_were_handed_out_is_taken_if_it_verifies() {
    let (company, bank) = (company(), bank());
    let unsigned = transaction(create(&company, None), 1)
        .controller(company.control_kid())
        .endorser(bank.kid())
        .build()
        .unwrap();
    let inputs = unsigned.signing_inputs();
    assert_eq!(
        inputs.iter().map(|(kid, _)| kid.clone()).collect::<Vec<_>>(),
        [company.control_kid(), bank.kid()]
    );
    let made: Vec<_> = inputs
        .iter()
        .zip([&company.control, &bank.key])
        .map(|((kid, input), key)| unsigned.signature(kid, key.sign(input)).unwrap())
        .collect();
    assert_eq!(unsigned.clone().assemble(made).unwrap(), endorsed());
    // By another key, over the other's bytes, for somebody who does not sign.
    let wrong = SignError::Refused(Reject::TransactionSignature);
    let ours = company.control.sign(&inputs[0].1);
    assert_eq!(unsigned.signature(&bank.kid(), ours), Err(wrong.clone()));
    assert_eq!(unsigned.signature(&company.control_kid(), company.control.sign(&inputs[1].1)), Err(wrong));
    let stranger = issuer();
    let by_stranger = unsigned.signature(&stranger.kid(), stranger.key.sign(&inputs[0].1));
    assert_eq!(by_stranger, Err(SignError::KeyUnexpected));
}

#[test]
fn a_high_s_is_normalized_at_the_door_and_refused_in_a_block() {
    let person = Person::with_keys(6, Algorithm::Es256);
    let signed =
        transaction(update(&person), 3).controller(person.control_kid()).sign(&[&person.control]).unwrap();
    let high = with_signature(&signed, high_s(signed.signatures()[0].bytes()));
    let jws = high_jws(&signed);
    assert_eq!(SignedTransaction::from_submission(jws.as_bytes()).unwrap(), signed);
    assert_eq!(SignedTransaction::from_jws(jws.as_bytes()), Err(Reject::TransactionSignature));
    assert_eq!(SignedTransaction::from_envelope(&high), Err(Reject::TransactionSignature));
    signed.verify_signatures().unwrap();
}

/// The envelope of a transaction with one signature, with another signature in its place.
fn with_signature(signed: &SignedTransaction, signature: [u8; 64]) -> Vec<u8> {
    let mut envelope = signed.to_envelope();
    let at = envelope.len() - 64;
    envelope[at..].copy_from_slice(&signature);
    envelope
}

pub(crate) fn high_jws(signed: &SignedTransaction) -> String {
    let jws = signed.to_jws();
    let (head, _) = jws.rsplit_once('.').unwrap();
    format!("{head}.{}", b64u::encode(high_s(signed.signatures()[0].bytes())))
}

/// The other form of an ES256 signature: n - s.
pub(crate) fn high_s(signature: &[u8; 64]) -> [u8; 64] {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut result = *signature;
    let mut borrow = 0i16;
    for index in (0..32).rev() {
        let difference = i16::from(ORDER[index]) - i16::from(signature[32 + index]) - borrow;
        borrow = i16::from(difference < 0);
        result[32 + index] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    result
}

#[test]
fn each_action_wants_its_signers() {
    let (company, bank, issuer) = (company(), bank(), issuer());
    let deactivate = || Action::DidDeactivate(Deactivate { did: company.did(), previous: company.version() });
    let registry = || Action::RegistryCreate(registry_create());
    let change = || Action::RegistryUpdate(registry_update());
    let (control, key, endorser) = (company.control_kid(), company.kid(), bank.kid());
    let create_endorsed = || transaction(create(&company, None), 1).controller(control.clone());
    let create_granted =
        || transaction(create(&company, Some(grant(&company))), 1).controller(control.clone());

    let accepted = [
        create_endorsed().endorser(endorser.clone()),
        create_granted().presentation(sd_hash()),
        transaction(update(&company), 1).controller(control.clone()),
        transaction(update(&company), 1).controller(control.clone()).endorser(endorser.clone()),
        transaction(deactivate(), 1).controller(control.clone()),
        transaction(present(&company), 1).sender(key.clone()).presentation(sd_hash()),
        transaction(registry(), 1).sender(issuer.kid()),
        transaction(change(), 1).sender(issuer.kid()),
    ];
    for builder in accepted {
        assert_eq!(code(builder.clone()), "accepted", "{builder:?}");
    }

    let refused = [
        (create_endorsed(), "grant.required"),
        (create_granted().presentation(sd_hash()).endorser(endorser.clone()), "transaction.signers"),
        (create_granted(), "presentation.missing"),
        (create_endorsed().endorser(endorser.clone()).presentation(sd_hash()), "presentation.unexpected"),
        (create_endorsed().endorser(company.kid()), "endorser.self"),
        (create_endorsed().sender(key.clone()).endorser(endorser.clone()), "transaction.signers"),
        (transaction(create(&company, None), 1).endorser(endorser.clone()), "transaction.signers"),
        (transaction(update(&company), 1), "transaction.signers"),
        (transaction(update(&company), 1).controller(bank.control_kid()), "transaction.signers"),
        (
            transaction(update(&company), 1).controller(control.clone()).controller(control.clone()),
            "transaction.signers",
        ),
        (
            transaction(deactivate(), 1).controller(control.clone()).endorser(endorser.clone()),
            "endorser.scope",
        ),
        (transaction(deactivate(), 1).sender(key.clone()), "transaction.signers"),
        (transaction(present(&company), 1).sender(key.clone()), "presentation.missing"),
        (
            transaction(present(&company), 1).controller(control.clone()).presentation(sd_hash()),
            "transaction.signers",
        ),
        (
            transaction(present(&company), 1).sender(bank.kid()).presentation(sd_hash()),
            "presentation.mismatch",
        ),
        (transaction(registry(), 1).sender(key.clone()).endorser(endorser.clone()), "endorser.scope"),
        (transaction(registry(), 1).sender(key.clone()).presentation(sd_hash()), "presentation.unexpected"),
        (transaction(change(), 1).sender(key.clone()), "registry.owner"),
    ];
    for (builder, expected) in refused {
        assert_eq!(code(builder.clone()), expected, "{builder:?}");
    }
}

#[test]
fn every_did_is_of_the_transactions_network() {
    let company = company();
    let foreign: Did = company.did().to_string().replace(":demo:", ":other:").parse().unwrap();
    let kid = KeyId::new(foreign, company.key.public());
    assert_eq!(code(transaction(Action::RegistryCreate(registry_create()), 1).sender(kid)), "did.network");
    let mut grant = grant(&company);
    grant.issuer = issuer().did().to_string().replace(":demo:", ":other:").parse().unwrap();
    let builder = transaction(create(&company, Some(grant)), 1).controller(company.control_kid());
    assert_eq!(code(builder.presentation(sd_hash())), "did.network");
}

#[test]
fn a_window_has_1_to_600_seconds() {
    let company = company();
    let builder = || transaction(update(&company), 1).controller(company.control_kid());
    for (exp, expected) in [
        (TIME_S, "transaction.window"),
        (TIME_S - 1, "transaction.window"),
        (TIME_S + 1, "accepted"),
        (TIME_S + 600, "accepted"),
        (TIME_S + 601, "transaction.window"),
    ] {
        assert_eq!(code(builder().exp(exp)), expected);
    }
}

#[test]
fn registries_keep_to_their_shapes() {
    let check = |change: &dyn Fn(&mut RegistryCreate)| {
        let mut action = registry_create();
        change(&mut action);
        code(transaction(Action::RegistryCreate(action), 1).sender(issuer().kid()))
    };
    assert_eq!(check(&|_| ()), "accepted");
    assert_eq!(check(&|action| action.registry = "Members".to_owned()), "registry.invalid");
    assert_eq!(check(&|action| action.registry = String::new()), "registry.invalid");
    assert_eq!(check(&|action| action.bits = 3), "registry.invalid");
    assert_eq!(check(&|action| action.bits = 2), "registry.invalid");
    assert_eq!(check(&|action| action.size = 1000), "registry.invalid");
    assert_eq!(check(&|action| action.size = 0), "registry.invalid");
    assert_eq!(check(&|action| action.size = (1 << 24) + 1024), "registry.invalid");
    assert_eq!(check(&|action| action.lists.clear()), "registry.invalid");
    assert_eq!(check(&|action| action.lists.push(action.lists[0].clone())), "registry.invalid");
    for uri in
        ["", "ftp://example", "https://", "https:///x", "https://a b", "https://x#y", "https://é.example"]
    {
        assert_eq!(check(&|action| action.lists = vec![uri.to_owned()]), "registry.invalid", "{uri}");
    }

    let check = |change: &dyn Fn(&mut RegistryUpdate)| {
        let mut action = registry_update();
        change(&mut action);
        code(transaction(Action::RegistryUpdate(action), 1).sender(issuer().kid()))
    };
    assert_eq!(check(&|_| ()), "accepted");
    assert_eq!(check(&|action| action.changes.clear()), "registry.invalid");
    assert_eq!(check(&|action| action.changes[0].to = 0), "registry.invalid");
    assert_eq!(check(&|action| action.changes.push(action.changes[0].clone())), "registry.invalid");
    assert_eq!(check(&|action| action.changes[0].index = 1 << 24), "registry.out_of_range");
    let mut many = Vec::new();
    for index in 0..=256 {
        // A short URI, or the payload would be too large before there are too many changes.
        many.push(crate::action::StatusChange { list: "http://a".to_owned(), index, from: 0, to: 1 });
    }
    assert_eq!(check(&|action| action.changes = many.clone()), "registry.invalid");
}

#[test]
fn a_submission_carries_the_presentation_that_the_payload_names() {
    let company = company();
    let presented = transaction(present(&company), 4)
        .sender(company.kid())
        .presentation(sd_hash())
        .sign(&[&company.key])
        .unwrap();
    let submitted = SubmittedTransaction::new(presented.clone(), Some(b"a.b.c~d~e.f.g".to_vec()));
    assert_eq!(SubmittedTransaction::from_body(&submitted.to_body()).unwrap(), submitted);

    let code = |submission: SubmittedTransaction| {
        SubmittedTransaction::from_body(&submission.to_body())
            .map_or_else(|reject| reject.code(), |_| "accepted")
    };
    assert_eq!(code(SubmittedTransaction::new(presented.clone(), None)), "presentation.missing");
    assert_eq!(code(SubmittedTransaction::new(single(), Some(b"a".to_vec()))), "presentation.unexpected");
    let large = vec![b'a'; limits::WITNESS_BYTES_MAX + 1];
    assert_eq!(code(SubmittedTransaction::new(presented.clone(), Some(large))), "presentation.oversized");
    assert_eq!(code(SubmittedTransaction::new(presented, Some(b"a b".to_vec()))), "presentation.malformed");

    for signed in [single(), endorsed()] {
        let alone = SubmittedTransaction::new(signed.clone(), None);
        assert_eq!(SubmittedTransaction::from_body(signed.to_jws().as_bytes()).unwrap(), alone);
        assert_eq!(SubmittedTransaction::from_body(&alone.to_body()).unwrap(), alone);
    }
    for bad in ["", "{}", "[]", "null", r#"{"transaction":1}"#, r#"{"transaction":null,"presentation":null}"#]
    {
        let reject = SubmittedTransaction::from_body(bad.as_bytes()).unwrap_err();
        assert_eq!(reject.code(), "transaction.malformed", "{bad}");
    }
    let oversized = vec![b' '; limits::SUBMISSION_BYTES_MAX + 1];
    assert_eq!(SubmittedTransaction::from_body(&oversized), Err(Reject::TransactionOversized));
}

#[test]
fn an_action_reads_back_whatever_it_is() {
    let company = company();
    let actions = [
        create(&company, None),
        create(&company, Some(grant(&company))),
        update(&company),
        Action::DidDeactivate(Deactivate { did: company.did(), previous: company.version() }),
        present(&company),
        Action::RegistryCreate(registry_create()),
        Action::RegistryUpdate(registry_update()),
    ];
    for action in actions {
        let json = json::to_json(&action).unwrap();
        assert_eq!(json.get("type").and_then(Json::as_str), Some(action.kind()));
        assert_eq!(Action::from_json(json).unwrap(), action);
    }
}

#[test]
fn a_key_id_has_one_spelling() {
    let kid = company().kid();
    assert_eq!(kid.to_string().parse::<KeyId>().unwrap(), kid);
    for bad in [
        company().did().to_string(),
        format!("{}#key-1", company().did()),
        format!("{kid}x"),
        format!("{kid}#"),
        kid.to_string().replace("did:aval", "did:key"),
    ] {
        assert!(bad.parse::<KeyId>().is_err(), "{bad}");
    }
    assert!(network().to_string().starts_with("aval:demo:"));
}

#[test]
fn no_bit_of_a_signed_transaction_can_be_changed_unnoticed() {
    let envelope = single().to_envelope();
    let id = single().id();
    for bit in 0..envelope.len() * 8 {
        let mut changed = envelope.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = SignedTransaction::from_envelope(&changed) {
            assert_eq!(other.verify_signatures(), Err(Reject::TransactionSignature), "bit {bit}");
            assert_eq!(other.id() == id, other.payload_bytes() == single().payload_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = SignedTransaction::from_envelope(&bytes);
        let _ = SignedTransaction::from_submission(&bytes);
        let _ = SubmittedTransaction::from_body(&bytes);
    }

    #[test]
    fn nearly_good_text_is_read_the_same_or_refused(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut jws = endorsed().to_jws().into_bytes();
        let at = at.index(jws.len());
        jws[at] = value;
        if let Ok(read) = SignedTransaction::from_jws(&jws) {
            let again = SignedTransaction::from_envelope(&read.to_envelope()).unwrap();
            prop_assert_eq!(again, read);
        }
    }

    #[test]
    fn signing_with_any_key_gives_a_transaction_that_verifies(seed in any::<[u8; 32]>(), number in any::<u64>()) {
        let key = SigningKey::from_seed(&seed);
        let kid = KeyId::new(company().did(), key.public());
        let builder = transaction(update(&company()), number.into()).controller(kid);
        let signed = builder.sign(&[&key]).unwrap();
        prop_assert!(signed.verify_signatures().is_ok());
        prop_assert_eq!(SignedTransaction::from_jws(signed.to_jws().as_bytes()).unwrap(), signed);
    }
}
