//! Chains as a function of records alone: what a wallet asks with proofs and the ledger with its state.

use std::collections::BTreeMap;
use std::convert::Infallible;

use aval_codec::{Hash, Json};
use aval_did::Did;

use super::Person;
use crate::accreditation::{
    AccreditationKind, AccreditationRecord, AccreditedType, Broken, Capacity, Chain, Level, Question,
    Statement, Why, chain, excess, validate_scope,
};
use crate::reject::Reject;

const NOW: u64 = 1_000_000;

fn did(number: u8) -> Did {
    Person::new(number).did()
}

fn entry(name: &str, roles: &[&str], level: Level) -> AccreditedType {
    AccreditedType {
        credential_type: name.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        level,
    }
}

fn record(subject: u8, kind: AccreditationKind, parent: Option<u8>, depth: u8) -> AccreditationRecord {
    AccreditationRecord {
        subject: did(subject),
        kind,
        parent: parent.map(did),
        types: vec![
            entry("Diploma", &[], Level::High),
            entry("Member", &["endorser", "member"], Level::High),
        ],
        depth,
        expires: NOW + 1000,
        credential: Some(Hash::new([subject; 32])),
        version: 1,
        height: 0,
        revoked: None,
        revoked_by: None,
    }
}

/// Root 0, bodies 1 and 2, issuer 3: as long as a chain can be.
fn records() -> Vec<AccreditationRecord> {
    vec![
        record(0, AccreditationKind::Root, None, 3),
        record(1, AccreditationKind::Body, Some(0), 2),
        record(2, AccreditationKind::Body, Some(1), 1),
        record(3, AccreditationKind::Issuer, Some(2), 0),
    ]
}

fn ask(records: &[AccreditationRecord], question: &Question<'_>) -> (Result<Chain, Broken>, usize) {
    let state: BTreeMap<Did, AccreditationRecord> =
        records.iter().map(|record| (record.subject.clone(), record.clone())).collect();
    let mut reads = 0;
    let answer = chain::<Infallible>(question, |did| {
        reads += 1;
        Ok(state.get(did).cloned())
    });
    let Ok(answer) = answer;
    (answer, reads)
}

fn issues(
    records: &[AccreditationRecord],
    credential_type: &str,
    roles: &[&str],
) -> Result<Chain, (usize, Why)> {
    let subject = did(3);
    let question = Question {
        subject: &subject,
        capacity: Capacity::Issue,
        credential_type: Some(credential_type),
        roles,
        time_ms: NOW,
    };
    ask(records, &question).0.map_err(|broken| (broken.link, broken.why))
}

#[test]
fn a_chain_leads_from_an_issuer_to_its_root() {
    let chain = issues(&records(), "Member", &["member"]).unwrap();
    let links: Vec<&Did> = chain.links().iter().map(|link| &link.subject).collect();
    assert_eq!(links, [&did(3), &did(2), &did(1), &did(0)]);
    assert_eq!(chain.level("Member"), Some(Level::High));
    assert_eq!(chain.level("Other"), None);
    assert!(issues(&records(), "Diploma", &[]).is_ok());
}

#[test]
fn each_link_can_break_it_and_is_named() {
    let broken = |change: &dyn Fn(&mut Vec<AccreditationRecord>)| {
        let mut records = records();
        change(&mut records);
        issues(&records, "Member", &["endorser", "member"]).unwrap_err()
    };
    for (link, subject) in [(0usize, 3usize), (1, 2), (2, 1), (3, 0)] {
        assert_eq!(broken(&|all| all[subject].revoked = Some(9)), (link, Why::Revoked));
        assert_eq!(broken(&|all| all[subject].expires = NOW), (link, Why::Expired));
        assert_eq!(broken(&|all| drop(all[subject].types.pop())), (link, Why::Type));
        assert_eq!(broken(&|all| all[subject].types[1].roles = vec!["member".to_owned()]), (link, Why::Role));
        assert_eq!(broken(&|all| drop(all.remove(subject))), (link, Why::Absent));
    }
    assert_eq!(broken(&|all| all[3].kind = AccreditationKind::Body), (0, Why::Kind));
    assert_eq!(broken(&|all| all[2].kind = AccreditationKind::Issuer), (1, Why::Kind));
    assert_eq!(broken(&|all| all[2].depth = 0), (1, Why::Depth));
    assert_eq!(broken(&|all| all[1].depth = 1), (2, Why::Depth));
    assert_eq!(broken(&|all| all[1].parent = None), (2, Why::Absent));
}

#[test]
fn the_level_of_a_chain_is_the_lowest_of_its_links() {
    let mut records = records();
    records[1].types[1].level = Level::Substantial;
    assert_eq!(issues(&records, "Member", &[]).unwrap().level("Member"), Some(Level::Substantial));
    records[0].types[1].level = Level::Low;
    assert_eq!(issues(&records, "Member", &[]).unwrap().level("Member"), Some(Level::Low));
}

#[test]
fn a_chain_that_is_too_long_or_runs_in_a_circle_ends() {
    let mut long = records();
    long.push(record(4, AccreditationKind::Root, None, 3));
    long[0].kind = AccreditationKind::Body;
    long[0].parent = Some(did(4));
    let subject = did(3);
    let question = Question {
        subject: &subject,
        capacity: Capacity::Issue,
        credential_type: None,
        roles: &[],
        time_ms: NOW,
    };
    let (answer, reads) = ask(&long, &question);
    assert_eq!((answer.unwrap_err().why, reads), (Why::Length, 4));
    let mut circle = records();
    circle[1].parent = Some(did(2));
    assert_eq!(ask(&circle, &question).0.unwrap_err().why, Why::Depth);
}

#[test]
fn nothing_is_read_beyond_the_link_that_breaks() {
    let mut records = records();
    records[2].revoked = Some(9);
    let subject = did(3);
    let question = Question {
        subject: &subject,
        capacity: Capacity::Issue,
        credential_type: Some("Member"),
        roles: &[],
        time_ms: NOW,
    };
    assert_eq!(ask(&records, &question).1, 2);
    let asks_accrediting = Question { capacity: Capacity::Accredit, ..question };
    assert_eq!(ask(&records, &asks_accrediting).0.unwrap_err().why, Why::Kind);
}

#[test]
fn a_scope_beyond_any_link_above_is_named() {
    let above = &records()[..2];
    let with = |roles: &[&str], level| excess(above, &[entry("Member", roles, level)]);
    assert_eq!(with(&["member"], Level::High), None);
    assert_eq!(with(&[], Level::Low), None);
    assert_eq!(with(&["operator"], Level::Low), Some(Reject::AccreditationRole));
    assert_eq!(excess(above, &[entry("Licence", &[], Level::Low)]), Some(Reject::AccreditationType));
    let mut lower = above.to_vec();
    lower[0].types[1].level = Level::Low;
    let asked = [entry("Member", &["member"], Level::Substantial)];
    assert_eq!(excess(&lower, &asked), Some(Reject::AccreditationLevel));
}

#[test]
fn scopes_have_one_spelling_and_bounds() {
    let body = |types: &[AccreditedType]| validate_scope(AccreditationKind::Body, types, 1);
    let good = entry("Member", &["member"], Level::Low);
    assert!(body(std::slice::from_ref(&good)).is_ok());
    assert!(body(&[]).is_err());
    assert!(body(&[good.clone(), good.clone()]).is_err());
    assert!(body(&[good.clone(), entry("Diploma", &[], Level::Low)]).is_err());
    assert!(body(&[entry("Member", &["member", "endorser"], Level::Low)]).is_err());
    assert!(body(&[entry("Member", &["member", "member"], Level::Low)]).is_err());
    assert!(body(&[entry("not a name", &[], Level::Low)]).is_err());
    assert!(body(&[entry("Member", &["a b"], Level::Low)]).is_err());
    let roles: Vec<String> = (0..9).map(|number| format!("r{number}")).collect();
    assert!(body(&[AccreditedType { roles, ..good.clone() }]).is_err());
    let many: Vec<_> = (0..33).map(|number| entry(&format!("T{number:02}"), &[], Level::Low)).collect();
    assert!(body(&many[..32]).is_ok() && body(&many).is_err());
    for (kind, depths) in [
        (AccreditationKind::Root, [false, true, true, true, false]),
        (AccreditationKind::Body, [false, true, true, false, false]),
        (AccreditationKind::Issuer, [true, false, false, false, false]),
    ] {
        for (depth, fits) in (0u8..).zip(depths) {
            assert_eq!(
                validate_scope(kind, std::slice::from_ref(&good), depth).is_ok(),
                fits,
                "{kind:?} {depth}"
            );
        }
    }
}

#[test]
fn a_credential_must_say_what_the_record_says() {
    let record = record(2, AccreditationKind::Body, Some(1), 1);
    let (parent, subject, claim) = (did(1), did(2), record.claim());
    let types = ["VerifiableCredential".to_owned(), "AvalAccreditationCredential".to_owned()];
    let good = Statement {
        hash: Hash::new([2; 32]),
        types: &types,
        issuer: parent.as_str(),
        subject: Some(subject.as_str()),
        claim: Some(&claim),
        valid_until_s: Some(1001),
    };
    assert_eq!(record.differs_from(&good), None);
    let other = Json::Null;
    for (statement, member) in [
        (Statement { hash: Hash::new([3; 32]), ..good }, "credential"),
        (Statement { types: &types[..1], ..good }, "type"),
        (Statement { issuer: subject.as_str(), ..good }, "issuer"),
        (Statement { subject: None, ..good }, "subject"),
        (Statement { claim: Some(&other), ..good }, "claim"),
        (Statement { valid_until_s: Some(1002), ..good }, "expires"),
        (Statement { valid_until_s: None, ..good }, "expires"),
    ] {
        assert_eq!(record.differs_from(&statement), Some(member));
    }
}
