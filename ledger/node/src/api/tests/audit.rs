//! Exports for auditors, and that what is exported holds.

use aval_machine::testkit::Party;
use aval_proof::audit::{AuditError, AuditReport, AuditVerifier};
use aval_types::Genesis;
use aval_types::access::AccessRequest;

use super::lab::{Answer, Lab};

/// A ledger with an auditor on it: 5 blocks, the newest without a certificate of its own, one above it with.
async fn story(seed: u64) -> (Lab, Party) {
    let mut lab = Lab::ready(seed).await;
    let auditor = lab.kit.company(1);
    let credential = lab.kit.credential(&auditor, &["auditor", "member"]);
    let create = auditor.create_with(&lab.kit, &credential);
    lab.finalize(&create).await;
    lab.member(2).await;
    let company = lab.kit.company(3);
    lab.accept(&company.create_with(&lab.kit, &lab.kit.membership(&company))).await;
    lab.make_block(false).await;
    lab.make_block(true).await;
    (lab, auditor)
}

async fn export(lab: &Lab, party: &Party, from: u64, to: u64) -> Answer {
    let path = format!("/v1/audit?from={from}&to={to}");
    let token = lab.token(party, &AccessRequest::new("GET", &path, b""));
    lab.ask(false, ("GET", &path, ""), Some(&token)).await
}

fn verify(lab: &Lab, bundle: &[u8]) -> Result<AuditReport, AuditError> {
    let mut verifier = AuditVerifier::new(Some(Genesis::hash_of(lab.kit.genesis_bytes())));
    for line in bundle.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        verifier.line(line)?;
    }
    verifier.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_exports_a_range_that_verifies_from_the_genesis_hash() {
    let (lab, auditor) = story(1).await;
    for (from, to) in [(0, 0), (0, 5), (0, 4), (2, 3), (4, 4), (5, 5)] {
        let answer = export(&lab, &auditor, from, to).await;
        assert_eq!(answer.media_type(), "application/jsonl");
        let report = verify(&lab, &answer.body).unwrap();
        assert_eq!((report.from, report.to, report.blocks), (from, to, to - from + 1));
        let head = lab.core.ledger.header(to).unwrap();
        assert_eq!((report.digest, report.state_root), (head.digest(), head.state_root));
    }
    let report = verify(&lab, &export(&lab, &auditor, 0, 5).await.body).unwrap();
    assert_eq!((report.transactions, report.applied, report.presentations), (4, 4, 3));
    assert_eq!((report.events["did.created"], report.events["registry.created"]), (3, 1));
    // Two exports that follow upon each other are one bundle; two that do not are none.
    let [first, second] = [export(&lab, &auditor, 0, 2).await.body, export(&lab, &auditor, 3, 5).await.body];
    let report = verify(&lab, &[first.as_slice(), &second].concat()).unwrap();
    assert_eq!((report.from, report.to, report.transactions), (0, 5, 4));
    assert!(verify(&lab, &[second.as_slice(), &first].concat()).is_err());
    assert!(verify(&lab, &[first.as_slice(), &first].concat()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bit_of_a_bundle_can_be_changed_and_no_line_left_out() {
    let (lab, auditor) = story(2).await;
    let bundle = export(&lab, &auditor, 3, 4).await.body;
    verify(&lab, &bundle).unwrap();
    // A line's end is checked by whoever splits the lines.
    for bit in (0..bundle.len() * 8).filter(|bit| bundle[bit / 8] != b'\n').step_by(61) {
        let mut changed = bundle.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if changed[bit / 8] != b'\n' {
            assert!(verify(&lab, &changed).is_err(), "bit {bit}");
        }
    }
    let lines: Vec<&[u8]> = bundle.split_inclusive(|byte| *byte == b'\n').collect();
    for place in 0..lines.len() {
        let without = [&lines[..place], &lines[place + 1..]].concat().concat();
        assert!(verify(&lab, &without).is_err(), "without line {place}");
        let doubled = [&lines[..=place], &lines[place..]].concat().concat();
        assert!(verify(&lab, &doubled).is_err(), "line {place} twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_auditor_exports_and_each_export_is_in_the_log() {
    let (mut lab, auditor) = story(3).await;
    let member = lab.kit.company(2);
    assert_eq!(export(&lab, &member, 0, 1).await.problem(), (403, "grant.role".into()));
    let operator = lab.kit.operators[0].clone();
    assert_eq!(export(&lab, &operator, 0, 1).await.problem(), (403, "grant.required".into()));
    assert_eq!(export(&lab, &lab.kit.company(77), 0, 1).await.problem(), (401, "access.key".into()));
    let path = "/v1/audit?from=0&to=1";
    assert_eq!(lab.get(path).await.problem(), (401, "access.missing".into()));
    let token = lab.token(&auditor, &AccessRequest::new("GET", "/v1/audit?from=0&to=2", b""));
    assert_eq!(
        lab.ask(false, ("GET", path, ""), Some(&token)).await.problem(),
        (401, "access.request".into())
    );
    assert_eq!(export(&lab, &auditor, 0, 1).await.status, 200);
    let (entries, _) = lab.gate.log().recent(10);
    let decisions: Vec<&str> = entries.iter().map(|entry| entry.decision.as_str()).collect();
    assert_eq!(decisions, ["grant.role", "grant.required", "allowed"]);
    assert_eq!(entries[2].request, "GET /v1/audit?from=0&to=1");
    // A credential that is taken back ends it at once.
    let credential = lab.kit.credential(&auditor, &["auditor"]);
    let present = auditor.present(&lab.kit, &credential);
    lab.finalize(&present).await;
    let auditing = lab.kit.revoke(&credential);
    lab.finalize(&auditing).await;
    assert_eq!(export(&lab, &auditor, 0, 1).await.status, 200, "the first credential stands");
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_that_make_no_sense_have_their_codes() {
    let (lab, auditor) = story(4).await;
    assert_eq!(export(&lab, &auditor, 2, 1).await.problem(), (400, "request.malformed".into()));
    assert_eq!(export(&lab, &auditor, 0, 99).await.problem(), (404, "ledger.not_yet".into()));
    assert_eq!(lab.get("/v1/audit").await.problem(), (400, "request.malformed".into()));
    assert_eq!(lab.get("/v1/audit?from=a&to=b").await.problem(), (400, "request.malformed".into()));
}
