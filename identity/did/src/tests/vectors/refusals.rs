//! The vectors that are refused, each with its code.

use aval_codec::{Hash, Json, json};

use super::generate::{multikeys, text};
use crate::document::{Document, VerificationMethod};
use crate::rules;
use crate::tests::{NETWORK, TIME_MS, control, document, key, keys, service};
use crate::{Control, Create, Deactivate, DidRecord, Operation, PublicKey, Rotate, Update, VersionId};

struct Refusals(Vec<Json>);

impl Refusals {
    fn add(
        &mut self,
        name: &str,
        record: Option<&DidRecord>,
        operation: Json,
        signers: &[PublicKey],
        code: &str,
    ) {
        let record = record.map_or(Json::Null, |record| String::from_utf8(record.to_bytes()).unwrap().into());
        self.0.push(Json::from([
            ("name", name.into()),
            ("network", NETWORK.into()),
            ("time", Json::Int(i64::try_from(TIME_MS + 1).unwrap())),
            ("record", record),
            ("operation", operation),
            ("signers", multikeys(signers)),
            ("code", code.into()),
        ]));
    }
}

fn change(mut operation: Json, path: &[&str], value: Option<Json>) -> Json {
    let (last, parents) = path.split_last().unwrap();
    let mut place = &mut operation;
    for name in parents {
        let Json::Object(members) = place else { panic!("{name}") };
        place = members.get_mut(*name).unwrap();
    }
    let Json::Object(members) = place else { panic!("{last}") };
    match value {
        Some(value) => members.insert((*last).to_owned(), value),
        None => members.remove(*last),
    };
    operation
}

pub(super) fn refusals() -> Json {
    let mut out = Refusals(Vec::new());
    let create_with = |control, document| {
        json::to_json(&Operation::Create(Create::new(NETWORK, control, document).unwrap())).unwrap()
    };
    let one = || control(1, &[1], 1, &[2]);
    let create = create_with(one(), document(101));
    let record = rules::genesis_record(NETWORK, &crate::tests::create(), TIME_MS).unwrap();
    creation_refusals(&mut out, &create, &record, create_with);
    malformed_refusals(&mut out, &create);
    change_refusals(&mut out, &record);
    Json::Array(out.0)
}

fn creation_refusals(
    out: &mut Refusals,
    create: &Json,
    record: &DidRecord,
    create_with: impl Fn(Control, Document) -> Json,
) {
    let one = || control(1, &[1], 1, &[2]);
    let key_1 = keys(&[1]);
    out.add("the DID exists", Some(record), create.clone(), &key_1, "did.exists");
    out.add("no signature", None, create.clone(), &[], "did.control");
    out.add("signed by another key", None, create.clone(), &keys(&[9]), "did.control");
    out.add("signed by the next key", None, create.clone(), &keys(&[2]), "did.control");
    let threshold = create_with(control(2, &[1, 3], 1, &[2]), document(101));
    out.add("one signature of two", None, threshold.clone(), &key_1, "did.control");
    out.add("the same key twice for two", None, threshold, &keys(&[1, 1]), "did.control");
    let other =
        change(create.clone(), &["control", "next", "hashes"], Some(Json::Array(vec![text(Hash::ZERO)])));
    out.add("the id is not the hash of the inception", None, other, &key_1, "did.invalid");
    let moved = Create::new("other", one(), document(101)).unwrap();
    let moved = json::to_json(&Operation::Create(moved)).unwrap();
    out.add("a DID of another network", None, moved, &key_1, "did.network");
    out.add(
        "threshold 0",
        None,
        create_with(control(0, &[1], 1, &[2]), document(101)),
        &key_1,
        "did.control",
    );
    let above = create_with(control(2, &[1], 1, &[2]), document(101));
    out.add("a threshold above the number of keys", None, above, &key_1, "did.control");
    let twice = create_with(control(1, &[1, 1], 1, &[2]), document(101));
    out.add("a control key twice", None, twice, &key_1, "did.control");
    let no_next = create_with(control(1, &[1], 1, &[]), document(101));
    out.add("no next key", None, no_next, &key_1, "did.control");
    let same = create_with(control(1, &[1], 1, &[1]), document(101));
    out.add("the current key as next key", None, same, &key_1, "did.control");
    out.add("a control key in the document", None, create_with(one(), document(1)), &key_1, "did.document");
    out.add(
        "a next control key in the document",
        None,
        create_with(one(), document(2)),
        &key_1,
        "did.document",
    );
    let mut documents = vec![
        (
            "a small-order key in the document",
            VerificationMethod::multikey("#weak", &PublicKey::Ed25519([0; 32])),
        ),
        ("a method id twice", VerificationMethod::multikey("#key-1", &key(102))),
        (
            "a method named like another key",
            VerificationMethod::multikey(&format!("#{}", key(103)), &key(102)),
        ),
        ("a method id that is not relative", VerificationMethod::multikey("key-2", &key(102))),
    ]
    .into_iter()
    .map(|(name, method)| {
        let mut bad = document(101);
        bad.verification_method.push(method);
        (name, bad)
    })
    .collect::<Vec<_>>();
    let name = |number: usize| format!("x:{number:0>500}");
    documents.extend([
        ("a document above 8 KiB", Document { also_known_as: (0..16).map(name).collect(), ..document(101) }),
        (
            "a string above 512 bytes",
            Document { also_known_as: vec![format!("x:{:0>511}", 0)], ..document(101) },
        ),
        ("a reference to no method", Document { authentication: vec!["#none".into()], ..document(101) }),
        (
            "a signature key for key agreement",
            Document { key_agreement: vec!["#key-1".into()], ..document(101) },
        ),
        (
            "an other identifier that is no URI",
            Document { also_known_as: vec!["name".into()], ..document(101) },
        ),
    ]);
    for (name, bad) in documents {
        out.add(name, None, create_with(one(), bad), &key_1, "did.document");
    }
}

fn malformed_refusals(out: &mut Refusals, create: &Json) {
    let key_1 = keys(&[1]);
    let empty = || Some(Json::Array(Vec::new()));
    let weak = Json::Array(vec![text(PublicKey::Ed25519([0; 32]))]);
    let cases = [
        ("an unknown member", change(create.clone(), &["more"], Some(Json::Int(1)))),
        (
            "an unknown member of the control",
            change(create.clone(), &["control", "more"], Some(Json::Int(1))),
        ),
        ("an id in the document", change(create.clone(), &["document", "id"], Some("did:aval:x".into()))),
        ("an empty array in the document", change(create.clone(), &["document", "service"], empty())),
        ("null for the document", change(create.clone(), &["document"], Some(Json::Null))),
        ("no control", change(create.clone(), &["control"], None)),
        ("a small-order control key", change(create.clone(), &["control", "keys"], Some(weak))),
        ("an unknown type", change(create.clone(), &["type"], Some("did.merge".into()))),
        ("a DID that is none", change(create.clone(), &["did"], Some("did:aval:demo:x".into()))),
    ];
    for (name, operation) in cases {
        out.add(name, None, operation, &key_1, "transaction.malformed");
    }
}

fn change_refusals(out: &mut Refusals, record: &DidRecord) {
    let to_json = |operation: Operation| json::to_json(&operation).unwrap();
    let (did, previous) = (record.did.clone(), record.version_id);
    let update = |document| to_json(Operation::Update(Update { did: did.clone(), previous, document }));
    let rotate = |control, document| {
        to_json(Operation::Rotate(Rotate { did: did.clone(), previous, control, document }))
    };
    let deactivate = to_json(Operation::Deactivate(Deactivate { did: did.clone(), previous }));
    let good = update(document(102));
    out.add("an update of a DID that does not exist", None, good.clone(), &keys(&[1]), "did.not_found");
    let stale = VersionId { number: 1, hash: Hash::ZERO };
    let stale = change(good.clone(), &["previous"], Some(text(stale)));
    out.add("an update of another version", Some(record), stale, &keys(&[1]), "did.stale_version");
    let ahead = VersionId { number: 2, ..previous };
    let ahead = change(good.clone(), &["previous"], Some(text(ahead)));
    out.add("an update of a version to come", Some(record), ahead, &keys(&[1]), "did.stale_version");
    out.add("an update signed by a document key", Some(record), good.clone(), &keys(&[101]), "did.control");
    out.add("an update signed by the next key", Some(record), good.clone(), &keys(&[2]), "did.control");
    out.add("an update to a control key", Some(record), update(document(1)), &keys(&[1]), "did.document");
    let next = || control(1, &[2], 1, &[3]);
    let thief = rotate(control(1, &[9], 1, &[3]), None);
    out.add("a rotation by the current key", Some(record), thief, &keys(&[1]), "did.control");
    let stranger = rotate(control(1, &[9], 1, &[3]), None);
    out.add("a rotation by a key not committed to", Some(record), stranger, &keys(&[9]), "did.control");
    let hidden = rotate(control(1, &[9], 1, &[3]), None);
    out.add(
        "a rotation whose signer does not become current",
        Some(record),
        hidden,
        &keys(&[2]),
        "did.control",
    );
    let back = rotate(control(1, &[2, 1], 1, &[3]), None);
    out.add("a rotation that keeps a replaced key", Some(record), back, &keys(&[2]), "did.control");
    let back = rotate(control(1, &[2], 1, &[1]), None);
    out.add("a rotation that commits to a replaced key", Some(record), back, &keys(&[2]), "did.control");
    let service = rotate(next(), Some(Document { service: vec![service("#hub")], ..document(101) }));
    out.add("a rotation that changes a service", Some(record), service, &keys(&[2]), "did.document");
    let held = rotate(Control { keys: keys(&[2, 101]), ..next() }, None);
    out.add("a rotation to a document key", Some(record), held, &keys(&[2]), "did.document");
    let null = change(rotate(next(), None), &["document"], Some(Json::Null));
    out.add(
        "a rotation with null for the document",
        Some(record),
        null,
        &keys(&[2]),
        "transaction.malformed",
    );
    out.add("a deactivation by the next key", Some(record), deactivate.clone(), &keys(&[2]), "did.control");
    let mut spent = record.clone();
    spent.allowance.used = 8;
    out.add("a ninth rotation in a day", Some(&spent), rotate(next(), None), &keys(&[2]), "did.allowance");
    out.add(
        "a deactivation without allowance",
        Some(&spent),
        deactivate.clone(),
        &keys(&[1]),
        "did.allowance",
    );
    let mut ended = record.clone();
    ended.deactivated = true;
    out.add("an update after deactivation", Some(&ended), good, &keys(&[1]), "did.deactivated");
    out.add(
        "a rotation after deactivation",
        Some(&ended),
        rotate(next(), None),
        &keys(&[2]),
        "did.deactivated",
    );
    out.add("a deactivation after deactivation", Some(&ended), deactivate, &keys(&[1]), "did.deactivated");
}
