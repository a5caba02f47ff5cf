//! The database: what happens once happens once.

use crate::storage::{IssuanceRow, Issued, OfferRow, Records, RecordsError, Spending};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

const LIST: &str = "https://issuer.example/status/membership";

async fn records() -> (TempDir, Records) {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::open(&folder.path().join("issuer.sqlite")).await.unwrap();
    (folder, records)
}

fn offer(id: &str) -> OfferRow {
    OfferRow {
        id: id.to_owned(),
        configuration: "Membership".to_owned(),
        subject: r#"{"role":["member"]}"#.to_owned(),
        session: "offered".to_owned(),
        expires_s: 1_000,
    }
}

fn issuance(id: &str) -> IssuanceRow {
    IssuanceRow {
        id: id.to_owned(),
        credential_type: "Membership".to_owned(),
        subject: "{}".to_owned(),
        holder: "thumbprint".to_owned(),
        list: LIST.to_owned(),
        list_index: 0,
        issued_s: 10,
        expires_s: 1_000,
        state: "valid".to_owned(),
        revocation: None,
    }
}

fn spending<'a>(offer: &'a OfferRow, nonce: &'a str, size: u32) -> Spending<'a> {
    Spending { offer, session: "completed", nonce, size, now_s: 10 }
}

/// Issues under an offer and a nonce of its own, always drawing index 0.
async fn issue(records: &Records, id: &str, size: u32) -> Result<Issued, RecordsError> {
    let offer = offer(id);
    records.insert_offer(&offer, id, 1).await.unwrap();
    records.insert_nonce(id, 1_000).await.unwrap();
    let make = |row: &IssuanceRow| Ok(row.list_index.to_string());
    records.issue(&spending(&offer, id, size), &issuance(id), |_| 0, make).await
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_two_callers_advances_a_session() {
    let (_folder, records) = records().await;
    for round in 0..20 {
        let offer = offer(&format!("offer-{round}"));
        records.insert_offer(&offer, &offer.id, 1).await.unwrap();
        let (first, second) = (format!("first-{round}"), format!("second-{round}"));
        let (one, other) = tokio::join!(
            records.advance_session(&offer, "redeemed", Some((&first, 1_000)), 10),
            records.advance_session(&offer, "redeemed", Some((&second, 1_000)), 10),
        );
        assert_ne!(one.unwrap(), other.unwrap());
        let tokens = tokio::join!(records.offer_by_token(&first, 10), records.offer_by_token(&second, 10));
        assert_ne!(tokens.0.unwrap().is_some(), tokens.1.unwrap().is_some(), "the loser has no token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_two_callers_issues_with_one_nonce() {
    let (_folder, records) = records().await;
    for round in 0..20 {
        let offers = [offer(&format!("one-{round}")), offer(&format!("two-{round}"))];
        for offer in &offers {
            records.insert_offer(offer, &offer.id, 1).await.unwrap();
        }
        let nonce = format!("nonce-{round}");
        records.insert_nonce(&nonce, 1_000).await.unwrap();
        let [one, other] = offers.each_ref().map(|offer| {
            let (records, nonce) = (records.clone(), nonce.clone());
            async move {
                let draw = |_| rand::random_range(0..1_000);
                let make = |_: &IssuanceRow| Ok(String::new());
                records
                    .issue(&spending(offer, &nonce, 1_000), &issuance(&offer.id), draw, make)
                    .await
                    .unwrap()
            }
        });
        let (one, other) = tokio::join!(one, other);
        assert_ne!(one, other);
        assert!([one, other].contains(&Issued::NonceSpent));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_two_callers_issues_under_one_offer_and_the_other_keeps_its_nonce() {
    let (_folder, records) = records().await;
    let offer = offer("offer");
    records.insert_offer(&offer, "code", 1).await.unwrap();
    let attempt = |nonce: &'static str| {
        let (records, offer) = (records.clone(), offer.clone());
        async move {
            records.insert_nonce(nonce, 1_000).await.unwrap();
            let make = |_: &IssuanceRow| Ok(String::new());
            records.issue(&spending(&offer, nonce, 1_000), &issuance(nonce), |_| 1, make).await.unwrap()
        }
    };
    let (one, other) = tokio::join!(attempt("one"), attempt("other"));
    assert_eq!(BTreeSet::from([format!("{one:?}"), format!("{other:?}")]).len(), 2);
    assert!([&one, &other].contains(&&Issued::SessionMoved));
    let left = if one == Issued::SessionMoved { "one" } else { "other" };
    assert_eq!(issue(&records, "next", 1_000).await.unwrap(), Issued::Done("0".to_owned()));
    let next = OfferRow { id: "last".to_owned(), ..offer };
    records.insert_offer(&next, "last", 1).await.unwrap();
    let make = |_: &IssuanceRow| Ok(String::new());
    let again = records.issue(&spending(&next, left, 1_000), &issuance("last"), |_| 2, make).await.unwrap();
    assert_eq!(again, Issued::Done(String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_issuances_take_different_indices() {
    let (_folder, records) = records().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let records = records.clone();
        tasks.spawn(async move { issue(&records, &format!("offer-{number}"), 16).await.unwrap() });
    }
    let indices: BTreeSet<String> =
        tasks.join_all().await.iter().map(|issued| format!("{issued:?}")).collect();
    assert_eq!(indices.len(), 16);
}

#[tokio::test]
async fn every_index_is_given_out_before_a_list_is_full() {
    let (_folder, records) = records().await;
    let mut seen = BTreeSet::new();
    for number in 0..8 {
        let Issued::Done(index) = issue(&records, &format!("offer-{number}"), 8).await.unwrap() else {
            panic!("there is an index left")
        };
        assert!(seen.insert(index));
    }
    let full = issue(&records, "one-too-many", 8).await;
    assert!(matches!(full, Err(RecordsError::ListFull(list)) if list == LIST));
    // The offer was not spent on it.
    let (offer, make) = (offer("one-too-many"), |_: &IssuanceRow| Ok(String::new()));
    let again = records
        .issue(&spending(&offer, "one-too-many", 9), &issuance("one-too-many"), |_| 0, make)
        .await
        .unwrap();
    assert_eq!(again, Issued::Done(String::new()));
}

#[tokio::test]
async fn a_credential_that_cannot_be_made_spends_nothing() {
    let (_folder, records) = records().await;
    let offer = offer("offer");
    records.insert_offer(&offer, "code", 1).await.unwrap();
    records.insert_nonce("nonce", 1_000).await.unwrap();
    let spending = spending(&offer, "nonce", 8);
    let fail = |_: &IssuanceRow| Err("no".to_owned());
    let failed = records.issue(&spending, &issuance("first"), |_| 3, fail).await;
    assert!(matches!(failed, Err(RecordsError::NotMade(_))));
    assert!(records.issuances(10).await.unwrap().is_empty());
    assert_eq!(records.offer_by_code("code").await.unwrap().unwrap(), offer);
    let make = |_: &IssuanceRow| Ok("made".to_owned());
    let made = records.issue(&spending, &issuance("second"), |_| 3, make).await.unwrap();
    assert_eq!(made, Issued::Done("made".to_owned()));
}

#[tokio::test]
async fn nonces_and_tokens_end() {
    let (_folder, records) = records().await;
    let offer = offer("offer");
    records.insert_offer(&offer, "code", 1).await.unwrap();
    records.insert_nonce("nonce", 10).await.unwrap();
    let make = |_: &IssuanceRow| Ok(String::new());
    let late = records.issue(&spending(&offer, "nonce", 8), &issuance("late"), |_| 0, make).await.unwrap();
    assert_eq!(late, Issued::NonceSpent);
    records.advance_session(&offer, "redeemed", Some(("token", 10)), 1).await.unwrap();
    assert!(records.offer_by_token("token", 9).await.unwrap().is_some());
    assert!(records.offer_by_token("token", 10).await.unwrap().is_none());
    assert!(records.offer_by_token("other", 9).await.unwrap().is_none());
}

#[tokio::test]
async fn what_has_expired_is_forgotten_and_what_was_issued_is_not() {
    let (_folder, records) = records().await;
    issue(&records, "used", 8).await.unwrap();
    let unused = offer("unused");
    records.insert_offer(&unused, "code", 1).await.unwrap();
    records.advance_session(&unused, "redeemed", Some(("token", 500)), 1).await.unwrap();
    records.forget_expired(2_000).await.unwrap();
    assert!(records.offer_by_code("code").await.unwrap().is_some(), "its holder may still ask");
    records.forget_expired(1_000 + 8 * 86_400).await.unwrap();
    assert!(records.offer_by_code("code").await.unwrap().is_none());
    assert!(records.offer_by_code("used").await.unwrap().is_some());
    assert_eq!(records.issuances(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_revocation_is_finished_once_and_stays_finished() {
    let (_folder, records) = records().await;
    issue(&records, "offer", 8).await.unwrap();
    records.begin_revocation("offer", Some("sent")).await.unwrap();
    assert_eq!(records.revoking().await.unwrap().len(), 1);
    let (one, other) = tokio::join!(
        records.finish_revocation("offer", Some("proven"), 20),
        records.finish_revocation("offer", None, 20)
    );
    assert_ne!(one.unwrap(), other.unwrap());
    records.begin_revocation("offer", Some("too late")).await.unwrap();
    let row = records.issuance("offer").await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.revocation.as_deref()), ("revoked", Some("proven")));
    assert!(records.revoking().await.unwrap().is_empty());
    assert!(!records.finish_revocation("nothing", None, 20).await.unwrap());
}

#[tokio::test]
async fn a_closed_file_is_opened_again_with_everything_in_it() {
    let (folder, records) = records().await;
    issue(&records, "offer", 8).await.unwrap();
    records.close().await;
    let path = folder.path().join("issuer.sqlite");
    let records = Records::open(&path).await.unwrap();
    assert_eq!(records.issuances(10).await.unwrap()[0].id, "offer");
    assert!(records.offer_by_code("offer").await.unwrap().is_some());
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone_and_holds_no_secret() {
    let (folder, records) = records().await;
    let offer = offer("offer");
    records.insert_offer(&offer, "the-code-itself", 1).await.unwrap();
    records.insert_nonce("the-nonce-itself", 1_000).await.unwrap();
    records.advance_session(&offer, "redeemed", Some(("the-token-itself", 1_000)), 1).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
        let bytes = std::fs::read(&path).unwrap();
        for secret in ["the-code-itself", "the-nonce-itself", "the-token-itself"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
}

async fn sentence_of(path: &Path) -> String {
    let fault = Records::open(path).await.unwrap_err();
    assert_eq!(fault.exit_code(), 1);
    fault.to_string()
}

#[tokio::test]
async fn a_file_of_something_else_or_of_a_newer_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sqlite");
    std::fs::write(&path, "this is a diary and no database, and long enough to show it".repeat(50)).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(sentence_of(&path).await.contains("not a database"));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let path = folder.path().join("newer.sqlite");
    Records::open(&path).await.unwrap().close().await;
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of the future', 1, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    assert!(sentence_of(&path).await.contains("another version"));
    assert!(Records::open(&folder.path().join("no/such/folder/x")).await.is_err());
}
