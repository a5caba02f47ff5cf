//! Receipts have one encoding.

use aval_codec::Hash;

use super::{company, issuer, registry, root};
use crate::{
    accreditation::AccreditationKind,
    anchor::Commitment,
    event::Event,
    grant::GrantId,
    receipt::{BlockReceipt, Outcome, Receipt, receipts_root},
    reject::Reject,
    schema::SchemaHash,
    transaction::TransactionId,
};

pub(crate) fn all() -> Vec<Receipt> {
    let company = company();
    let (did, version_id) = (company.did(), company.version());
    let events = [
        vec![
            Event::DidCreated { did: did.clone(), version_id },
            Event::GrantCreated {
                grant: GrantId(Hash::new([7; 32])),
                subject: did.clone(),
                issuer: issuer().did(),
                credential_type: "AvalMembershipCredential".to_owned(),
            },
        ],
        vec![Event::DidUpdated { did: did.clone(), version_id }],
        vec![Event::DidRotated { did: did.clone(), version_id }],
        vec![Event::DidDeactivated { did, version_id }],
        vec![Event::RegistryCreated { registry: registry() }],
        vec![Event::RegistryUpdated { registry: registry(), changed: 3 }],
        vec![
            Event::AccreditationGranted {
                subject: issuer().did(),
                kind: AccreditationKind::Issuer,
                parent: Some(root().did()),
                version: 2,
            },
            Event::AccreditationGranted {
                subject: root().did(),
                kind: AccreditationKind::Root,
                parent: None,
                version: 1,
            },
        ],
        vec![
            Event::AccreditationRevoked { subject: issuer().did(), by: Some(root().did()), version: 3 },
            Event::AccreditationRevoked { subject: root().did(), by: None, version: 2 },
        ],
        vec![Event::SchemaPublished {
            schema: SchemaHash(Hash::new([8; 32])),
            credential_type: "AvalMembershipCredential".to_owned(),
            publisher: root().did(),
        }],
        vec![Event::SchemaDeprecated { schema: SchemaHash(Hash::new([8; 32])) }],
        vec![Event::AnchorCreated {
            commitment: Commitment(Hash::new([9; 32])),
            owner: issuer().did(),
            kind: "contract".to_owned(),
        }],
        vec![Event::ServiceRegistered {
            operator: issuer().did(),
            name: "register".to_owned(),
            kind: "issuer".to_owned(),
        }],
        vec![Event::ServiceRemoved { operator: issuer().did(), name: "register".to_owned() }],
    ];
    let outcomes =
        events.map(Outcome::Applied).into_iter().chain([Outcome::Rejected(Reject::DidStaleVersion)]);
    (0u32..)
        .zip(outcomes)
        .map(|(index, outcome)| Receipt {
            transaction: TransactionId::of_payload(&index.to_be_bytes()),
            index,
            height: 7,
            time_ms: super::TIME_S * 1000 + 1500,
            outcome,
        })
        .collect()
}

#[test]
fn receipts_read_back() {
    for receipt in all() {
        let bytes = receipt.encode();
        assert_eq!(Receipt::decode(&bytes).unwrap(), receipt);
        assert_eq!(Receipt::decode(&bytes).unwrap().is_applied(), receipt.is_applied());
    }
    let first = String::from_utf8(all()[0].encode()).unwrap();
    assert!(first.starts_with(r#"{"transaction":""#), "{first}");
    assert!(
        first.contains(r#""outcome":"applied","events":[{"type":"did.created","did":"did:aval:demo:Qm"#),
        "{first}"
    );
    let last = String::from_utf8(all().pop().unwrap().encode()).unwrap();
    assert!(
        last.ends_with(r#""time":1795305601500,"outcome":"rejected","code":"did.stale_version"}"#),
        "{last}"
    );
}

#[test]
fn another_spelling_of_a_receipt_is_not_a_receipt() {
    let text = String::from_utf8(all().pop().unwrap().encode()).unwrap();
    let good = |text: &str| Receipt::decode(text.as_bytes()).is_ok();
    assert!(good(&text));
    assert!(!good(&format!(" {text}")));
    assert!(!good(&text.replace(":7,", ": 7,")));
    assert!(!good(&text.replace("did.stale_version", "did.stale")));
    assert!(!good(&text.replace("rejected", "applied")));
    assert!(!good(&text.replace(r#","code""#, r#","events":[],"code""#)));
    assert!(!good(""));
}

#[test]
fn the_root_depends_on_every_receipt_and_their_order() {
    let mut receipts = all();
    let root = receipts_root(&receipts);
    receipts.swap(0, 1);
    assert_ne!(receipts_root(&receipts), root);
    receipts.swap(0, 1);
    receipts.pop();
    assert_ne!(receipts_root(&receipts), root);
}

#[test]
fn a_block_receipt_has_one_encoding_and_at_least_one_event() {
    let receipt = BlockReceipt {
        height: 7,
        time_ms: super::TIME_S * 1000,
        events: vec![Event::RegistryCreated { registry: registry() }],
    };
    let text = String::from_utf8(receipt.encode()).unwrap();
    assert!(
        text.starts_with(r#"{"height":7,"time":1795305600000,"events":[{"type":"registry.created""#),
        "{text}"
    );
    assert_eq!(BlockReceipt::decode(text.as_bytes()).unwrap(), receipt);
    assert!(BlockReceipt::decode(format!("{text} ").as_bytes()).is_err());
    assert!(BlockReceipt::decode(br#"{"height":7,"time":1795305600000,"events":[]}"#).is_err());
    // Neither reads as the other.
    assert!(Receipt::decode(text.as_bytes()).is_err());
    assert!(all().iter().all(|receipt| BlockReceipt::decode(&receipt.encode()).is_err()));
}
