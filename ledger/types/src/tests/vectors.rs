//! The vectors under `specs/vectors/`: made here, and read back as somebody else's code would read them.

use aval_codec::{Json, merkle};
use aval_did::{Algorithm, Deactivate, Rotate, SigningKey};

use super::{
    Person, actions, bank, block as block_test, company, create, forged, grant, issuer, network, present,
    receipt, registry_create, registry_update, sd_hash,
    support::{entries, fenced, keep, keep_example, object, pretty, text, to_hex, vectors},
    transaction,
    transaction::high_jws,
    update,
};
use crate::{
    action::Action,
    block::{Block, Header, Mode},
    receipt::Receipt,
    submission::SubmittedTransaction,
    transaction::{SignedTransaction, TransactionBuilder},
};

/// Transactions of every action, with a name each.
fn good_transactions() -> Vec<(&'static str, SignedTransaction, String)> {
    let (company, bank, issuer) = (company(), bank(), issuer());
    let phone = Person::with_keys(6, Algorithm::Es256);
    let sign = |builder: TransactionBuilder, keys: &[&SigningKey]| builder.sign(keys).unwrap();
    let new_control =
        aval_did::Control::single(&company.next.public(), &SigningKey::from_seed(&[98; 32]).public());
    let rotate = Action::DidRotate(Rotate {
        did: company.did(),
        previous: company.version(),
        control: new_control,
        document: None,
    });
    let rotated_kid = crate::transaction::KeyId::new(company.did(), company.next.public());
    let deactivate = Action::DidDeactivate(Deactivate { did: company.did(), previous: company.version() });
    let es256 = sign(transaction(update(&phone), 9).controller(phone.control_kid()), &[&phone.control]);
    let plain = [
        (
            "did.create with an endorser: general JSON with two signatures",
            sign(
                transaction(create(&company, None), 1).controller(company.control_kid()).endorser(bank.kid()),
                &[&company.control, &bank.key],
            ),
        ),
        (
            "did.create with a grant and a presentation",
            sign(
                transaction(create(&company, Some(grant(&company))), 2)
                    .controller(company.control_kid())
                    .presentation(sd_hash()),
                &[&company.control],
            ),
        ),
        (
            "did.update: compact, EdDSA",
            sign(transaction(update(&company), 3).controller(company.control_kid()), &[&company.control]),
        ),
        ("did.rotate", sign(transaction(rotate, 4).controller(rotated_kid), &[&company.next])),
        (
            "did.deactivate",
            sign(transaction(deactivate, 5).controller(company.control_kid()), &[&company.control]),
        ),
        (
            "credential.present",
            sign(transaction(present(&bank), 6).sender(bank.kid()).presentation(sd_hash()), &[&bank.key]),
        ),
        (
            "registry.create",
            sign(
                transaction(Action::RegistryCreate(registry_create()), 7).sender(issuer.kid()),
                &[&issuer.key],
            ),
        ),
        (
            "registry.update",
            sign(
                transaction(Action::RegistryUpdate(registry_update()), 8).sender(issuer.kid()),
                &[&issuer.key],
            ),
        ),
        ("did.update: compact, ES256", es256.clone()),
    ];
    let sent = actions::sent().into_iter().zip(20u128..).map(|((action, sender), number)| {
        (action.kind(), sign(transaction(action, number).sender(sender.kid()), &[&sender.key]))
    });
    let plain = plain.into_iter().chain(sent);
    let mut all: Vec<_> = plain.map(|(name, signed)| (name, signed.clone(), signed.to_jws())).collect();
    let high = high_jws(&es256);
    all.push(("did.update: ES256 submitted with a high S, which the node normalizes", es256, high));
    all
}

#[test]
fn transactions_are_as_the_vectors_say() {
    let good = good_transactions();
    let has_vector = |kind: &&str| good.iter().any(|(_, signed, _)| signed.action().kind() == *kind);
    assert!(Action::KINDS.iter().all(has_vector), "an action has no vector");
    let valid = good
        .iter()
        .map(|(name, signed, submission)| {
            object(&[
                ("name", (*name).into()),
                ("submission", submission.as_str().into()),
                ("payload", std::str::from_utf8(signed.payload_bytes()).unwrap().into()),
                ("id", signed.id().to_string().into()),
                ("envelope", to_hex(&signed.to_envelope()).into()),
                ("envelopeHash", signed.envelope_hash().to_string().into()),
            ])
        })
        .collect::<Vec<_>>();
    let invalid = forged::submissions().into_iter().map(|(name, submission, code)| {
        object(&[("name", name.into()), ("submission", submission.into()), ("code", code.into())])
    });
    let invalid_envelopes = forged::envelopes().into_iter().map(|(name, envelope, code)| {
        object(&[("name", name.into()), ("envelope", to_hex(&envelope).into()), ("code", code.into())])
    });
    let about = "Transactions of section 3 of wire.md. A valid submission decodes, its signatures verify, and the rest of the \
                 entry follows from it. An invalid one is refused with the code, by decoding or by its signatures.";
    let file = object(&[
        ("about", about.into()),
        ("valid", valid.into()),
        ("invalid", invalid.collect::<Vec<_>>().into()),
        ("invalidEnvelopes", invalid_envelopes.collect::<Vec<_>>().into()),
    ]);
    keep("vectors/transaction.json", &pretty(&file));
    let (_, signed, _) = &good[2];
    keep_example("transaction", &transaction_example(signed));
}

fn transaction_example(signed: &SignedTransaction) -> String {
    let seed = to_hex(company().control.to_seed().as_ref());
    let message = String::from_utf8(signed.signature_checks()[0].message.clone()).unwrap();
    fenced(&[
        ("Ed25519 seed of the signer", &seed),
        ("payload", std::str::from_utf8(signed.payload_bytes()).unwrap()),
        ("protected header", std::str::from_utf8(signed.signatures()[0].header()).unwrap()),
        ("signing input", &message),
        ("signature", &to_hex(signed.signatures()[0].bytes())),
        ("id", &signed.id().to_string()),
        ("envelope", &to_hex(&signed.to_envelope())),
        ("envelope hash", &signed.envelope_hash().to_string()),
    ])
}

#[test]
fn the_transaction_vectors_decode_as_they_say() {
    let file = vectors("vectors/transaction.json");
    for entry in entries(&file, "valid") {
        let name = text(entry, "name");
        let signed = SignedTransaction::from_submission(text(entry, "submission").as_bytes()).expect(name);
        signed.verify_signatures().expect(name);
        assert_eq!(signed.payload_bytes(), text(entry, "payload").as_bytes(), "{name}");
        assert_eq!(signed.id().to_string(), text(entry, "id"), "{name}");
        assert_eq!(to_hex(&signed.to_envelope()), text(entry, "envelope"), "{name}");
        assert_eq!(signed.envelope_hash().to_string(), text(entry, "envelopeHash"), "{name}");
        assert_eq!(
            SignedTransaction::from_envelope(&from_hex(text(entry, "envelope"))).unwrap(),
            signed,
            "{name}"
        );
    }
    for entry in entries(&file, "invalid") {
        let outcome = SignedTransaction::from_submission(text(entry, "submission").as_bytes())
            .and_then(|signed| signed.verify_signatures());
        assert_eq!(outcome.unwrap_err().code(), text(entry, "code"), "{}", text(entry, "name"));
    }
    for entry in entries(&file, "invalidEnvelopes") {
        let outcome = SignedTransaction::from_envelope(&from_hex(text(entry, "envelope")));
        assert_eq!(outcome.unwrap_err().code(), text(entry, "code"), "{}", text(entry, "name"));
    }
}

#[test]
fn transactions_made_with_libraries_of_another_language_are_accepted() {
    let file = vectors("vectors/transaction-python.json");
    for entry in entries(&file, "valid") {
        let name = text(entry, "name");
        let submitted = SubmittedTransaction::from_body(text(entry, "body").as_bytes()).expect(name);
        let signed = &submitted.transaction;
        signed.verify_signatures().expect(name);
        assert_eq!(signed.id().to_string(), text(entry, "id"), "{name}");
        // Made for an earlier genesis of this label: what a signature covers does not depend on it.
        assert_eq!(signed.payload().network.label(), network().label(), "{name}");
        if let Action::DidCreate(action) = signed.action() {
            action.operation.validate().expect(name);
        }
        assert_eq!(SignedTransaction::from_envelope(&signed.to_envelope()).as_ref(), Ok(signed), "{name}");
    }
}

#[test]
fn blocks_are_as_the_vectors_say() {
    let block = block_test::block();
    let good = block.encode();
    let with = |change: &dyn Fn(&mut Block)| {
        let mut block = block.clone();
        change(&mut block);
        block.encode()
    };
    let mut version = good.clone();
    version[0] = 2;
    let mismatch = "block.body_mismatch";
    let invalid = [
        ("a stripped block sent live", "full", block.strip().encode(), "block.stripped"),
        ("a transaction left out", "any", with(&|block| drop(block.transactions.pop())), mismatch),
        ("transactions exchanged", "any", with(&|block| block.transactions.swap(0, 1)), mismatch),
        (
            "a bit of an envelope changed",
            "any",
            with(&|block| block.transactions[0].envelope[99] ^= 1),
            mismatch,
        ),
        (
            "another witness",
            "any",
            with(&|block| block.transactions[1].witness = crate::block::Witness::Full(b"other".to_vec())),
            mismatch,
        ),
        (
            "another transactions root",
            "any",
            with(&|block| block.header.transactions_root = block.header.state_root),
            mismatch,
        ),
        ("a byte too many", "any", [good.as_slice(), &[0]].concat(), "block.malformed"),
        ("a byte too few", "any", good[..good.len() - 1].to_vec(), "block.malformed"),
        ("another version", "any", version, "block.malformed"),
    ];
    let invalid = invalid.into_iter().map(|(name, mode, bytes, code)| {
        object(&[
            ("name", name.into()),
            ("mode", mode.into()),
            ("block", to_hex(&bytes).into()),
            ("code", code.into()),
        ])
    });
    let header = &block.header;
    let valid = object(&[
        ("name", "two transactions, the second with a witness".into()),
        ("block", to_hex(&good).into()),
        ("stripped", to_hex(&block.strip().encode()).into()),
        ("header", to_hex(&header.encode()).into()),
        ("digest", block.digest().to_string().into()),
        ("transactionsRoot", header.transactions_root.to_string().into()),
        ("witnessesRoot", header.witnesses_root.to_string().into()),
        ("receiptsRoot", header.receipts_root.to_string().into()),
        ("stateRoot", header.state_root.to_string().into()),
    ]);
    let about = "Blocks of section 6 of wire.md, in hexadecimal. Mode full is that of live blocks; any accepts stripped ones.";
    let file = object(&[
        ("about", about.into()),
        ("valid", vec![valid].into()),
        ("invalid", invalid.collect::<Vec<_>>().into()),
    ]);
    keep("vectors/block.json", &pretty(&file));
    let hashes: Vec<String> = block.transactions.iter().map(|one| one.witness.hash().to_string()).collect();
    keep_example(
        "block",
        &fenced(&[
            ("header", &to_hex(&header.encode())),
            ("digest", &block.digest().to_string()),
            (
                "transactions root, over the envelopes of two transactions",
                &header.transactions_root.to_string(),
            ),
            ("witness hash of the first, which has none", &hashes[0]),
            (
                "witness hash of the second, whose witness is <issuer-signed jwt>~<disclosure>~<kb-jwt>",
                &hashes[1],
            ),
            ("witnesses root", &header.witnesses_root.to_string()),
        ]),
    );
}

#[test]
fn the_block_vectors_decode_as_they_say() {
    let file = vectors("vectors/block.json");
    for entry in entries(&file, "valid") {
        let block = Block::decode(&from_hex(text(entry, "block")), Mode::Full).unwrap();
        let stripped = Block::decode(&from_hex(text(entry, "stripped")), Mode::Any).unwrap();
        assert_eq!(block.strip(), stripped);
        assert_eq!(Header::decode(&from_hex(text(entry, "header"))).unwrap(), block.header);
        for digest in [block.digest(), stripped.digest()] {
            assert_eq!(digest.to_string(), text(entry, "digest"));
        }
        assert_eq!(block.header.transactions_root.to_string(), text(entry, "transactionsRoot"));
        assert_eq!(block.header.witnesses_root.to_string(), text(entry, "witnessesRoot"));
    }
    for entry in entries(&file, "invalid") {
        let mode = if text(entry, "mode") == "full" { Mode::Full } else { Mode::Any };
        let outcome = Block::decode(&from_hex(text(entry, "block")), mode);
        assert_eq!(outcome.unwrap_err().code(), text(entry, "code"), "{}", text(entry, "name"));
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|index| u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).unwrap())
        .collect()
}

/// Siblings of the leaf at `index`, from the leaf up, each with its side.
fn siblings(leaves: &[Vec<u8>], index: usize) -> Vec<Json> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let mut split = 1;
    while split * 2 < leaves.len() {
        split *= 2;
    }
    let (left, right) = leaves.split_at(split);
    let (mut below, side, other) = if index < split {
        (siblings(left, index), "right", merkle::root(right))
    } else {
        (siblings(right, index - split), "left", merkle::root(left))
    };
    below.push(object(&[(side, other.to_string().into())]));
    below
}

#[test]
fn receipts_are_as_the_vectors_say() {
    let leaves: Vec<Vec<u8>> = receipt::all().iter().map(Receipt::encode).collect();
    let end = leaves.len() - 1;
    let as_text = |bytes: &[u8]| Json::from(std::str::from_utf8(bytes).unwrap());
    let receipts = receipt::all().into_iter().map(|receipt| {
        object(&[("bytes", as_text(&receipt.encode())), ("hash", receipt.hash().to_string().into())])
    });
    let root = merkle::root(&leaves);
    let proof = |index: usize, siblings: Vec<Json>| {
        [("bytes", as_text(&leaves[index])), ("siblings", siblings.into()), ("root", root.to_string().into())]
    };
    let proofs = (0..leaves.len()).map(|index| object(&proof(index, siblings(&leaves, index))));
    let with_name = |name: &str, index: usize, siblings: Vec<Json>| {
        object(
            &[&[("name", name.into()), ("code", "proof.receipt".into())], proof(index, siblings).as_slice()]
                .concat(),
        )
    };
    let mut swapped = siblings(&leaves, 0);
    swapped.swap(0, 1);
    let shorter = siblings(&leaves, 0)[1..].to_vec();
    let longer = [siblings(&leaves, end), siblings(&leaves, 0)].concat();
    let invalid_proofs = vec![
        with_name("the siblings of another receipt", 0, siblings(&leaves, 1)),
        with_name("a sibling too few", 0, shorter),
        with_name("siblings too many", end, longer),
        with_name("siblings exchanged", 0, swapped),
    ];
    let last = String::from_utf8(leaves[end].clone()).unwrap();
    let invalid = [
        ("white space", last.replace(",\"index\"", ", \"index\"")),
        (
            "another order",
            last.replacen(
                &format!(r#""index":{end},"height":7"#),
                &format!(r#""height":7,"index":{end}"#),
                1,
            ),
        ),
        ("an unknown code", last.replace("did.stale_version", "did.unlucky")),
        ("applied with a code", last.replace("rejected", "applied")),
        ("a member too many", last.replace(r#","code""#, r#","note":1,"code""#)),
    ];
    let invalid =
        invalid.into_iter().map(|(name, bytes)| object(&[("name", name.into()), ("bytes", bytes.into())]));
    let about = "Receipts of section 7 of wire.md: all of one block with their root and proofs; bytes that are no receipts; \
                 proofs that do not hold.";
    let file = object(&[
        ("about", about.into()),
        ("receipts", receipts.collect::<Vec<_>>().into()),
        ("root", root.to_string().into()),
        ("proofs", proofs.collect::<Vec<_>>().into()),
        ("invalidReceipts", invalid.collect::<Vec<_>>().into()),
        ("invalidProofs", invalid_proofs.into()),
    ]);
    keep("vectors/receipt.json", &pretty(&file));
    let way = serde_json::to_string(&siblings(&leaves, end)).unwrap();
    keep_example(
        "receipt",
        &fenced(&[
            (&format!("receipt, the last of {}", leaves.len()), &last),
            ("its leaf hash", &merkle::leaf_hash(&leaves[end]).to_string()),
            ("siblings", &way),
            ("receipts root", &root.to_string()),
        ]),
    );
}

#[test]
fn the_receipt_vectors_decode_as_they_say() {
    let file = vectors("vectors/receipt.json");
    for entry in entries(&file, "receipts") {
        let receipt = Receipt::decode(text(entry, "bytes").as_bytes()).unwrap();
        assert_eq!(receipt.hash().to_string(), text(entry, "hash"));
    }
    for entry in entries(&file, "invalidReceipts") {
        assert!(Receipt::decode(text(entry, "bytes").as_bytes()).is_err(), "{}", text(entry, "name"));
    }
    assert_eq!(crate::receipt::receipts_root(&receipt::all()).to_string(), text(&file, "root"));
}
