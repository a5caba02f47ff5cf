//! Status that is read from the ledger's registries, and not from a list that somebody serves.

use super::world::*;
use crate::verifier::{Answer, Evidence, Expectation, Input, Kind, LedgerStatus, Verification, Want};
use serde_json::Value;

fn registry(value: Option<u8>) -> LedgerStatus {
    LedgerStatus { owner: ISSUER.to_owned(), purpose: "revocation".to_owned(), bits: 1, size: 1 << 17, value }
}

/// Verifies with what the ledger says of the entry; nothing else says anything of status. Whether a list was asked for.
fn ask(input: &Input, evidence: &Evidence, of_ledger: bool) -> (Answer, bool) {
    let facts = Facts::new();
    let expectation = Expectation { status_of_ledger: of_ledger, ..Expectation::at(NOW_S) };
    let mut lists = false;
    let answer = Verification::new(Kind::Credential, input, expectation).run(|want| match want {
        Want::LedgerStatus { index: 5, uri } if uri == LIST || uri == TOKENS => evidence.clone(),
        Want::LedgerStatus { .. } => panic!("another entry is asked for: {want:?}"),
        Want::StatusList { .. } => {
            lists = true;
            facts.supply(want)
        }
        other => facts.supply(other),
    });
    (answer, lists)
}

fn inputs() -> [Input; 2] {
    [Input::Json(di(&credential(), ISSUER)), Input::Text(sd_jwt(&claims()))]
}

fn code(answer: &Answer) -> (&str, &str) {
    (answer.outcome(), answer.errors().first().map_or("", |problem| problem.code))
}

#[test]
fn the_ledger_says_whether_a_credential_is_revoked_and_nobody_is_asked_for_a_list() {
    for input in inputs() {
        let (answer, lists) = ask(&input, &Evidence::LedgerStatus(registry(Some(0))), true);
        assert!(answer.is_verified() && !lists, "{:#}", answer.to_json());
        let (answer, lists) = ask(&input, &Evidence::LedgerStatus(registry(Some(1))), true);
        assert_eq!((code(&answer), lists), (("invalid", "status.revoked"), false));
        let (answer, _) = ask(&input, &Evidence::LedgerStatus(registry(None)), true);
        assert_eq!(code(&answer), ("invalid", "status.range"));
    }
}

#[test]
fn a_ledger_out_of_reach_decides_nothing() {
    for input in inputs() {
        let (answer, lists) = ask(&input, &Evidence::Unavailable("nobody answers".to_owned()), true);
        assert_eq!((code(&answer), lists), (("undecided", "status.unavailable"), false));
    }
}

#[test]
fn a_registry_of_somebody_else_or_for_something_else_says_nothing() {
    let others = [
        Evidence::NotOfLedger,
        Evidence::LedgerStatus(LedgerStatus { owner: ROOT.to_owned(), ..registry(Some(0)) }),
        Evidence::LedgerStatus(LedgerStatus { purpose: "suspension".to_owned(), ..registry(Some(0)) }),
        Evidence::LedgerStatus(LedgerStatus { bits: 2, ..registry(Some(0)) }),
    ];
    for input in inputs() {
        for evidence in &others {
            let (answer, lists) = ask(&input, evidence, true);
            assert!(answer.is_verified() && lists, "{evidence:?}: {:#}", answer.to_json());
        }
    }
}

#[test]
fn a_suspension_on_the_ledger_is_one() {
    let suspended = with(credential(), "/credentialStatus", entry("suspension", 5));
    let status = LedgerStatus { purpose: "suspension".to_owned(), ..registry(Some(1)) };
    let (answer, _) = ask(&Input::Json(di(&suspended, ISSUER)), &Evidence::LedgerStatus(status), true);
    assert_eq!(code(&answer), ("invalid", "status.suspended"));
}

#[test]
fn where_the_ledger_is_not_to_be_asked_or_the_issuer_is_not_on_it_the_list_counts() {
    let revoked = Evidence::LedgerStatus(registry(Some(1)));
    for input in inputs() {
        let (answer, lists) = ask(&input, &revoked, false);
        assert!(answer.is_verified() && lists);
    }
    let facts = Facts::new();
    let foreign = with(credential(), "/issuer", Value::from(STRANGER));
    let foreign = Input::Json(di(&with(foreign, "/credentialStatus", entry("revocation", 5)), STRANGER));
    let expectation = Expectation { status_of_ledger: true, ..Expectation::at(NOW_S) };
    Verification::new(Kind::Credential, &foreign, expectation).run(|want| {
        assert!(!matches!(want, Want::LedgerStatus { .. }), "{want:?}");
        facts.supply(want)
    });
}
