//! The databases: what happens once happens once. Every test of [`suite`] runs on SQLite and on PostgreSQL.

pub(crate) mod postgres;

use crate::storage::{
    Entry, IssuanceRow, Issued, OfferRow, OperatorRow, Records, RecordsError, Role, Search, Slot, Spending,
    Spent, SubjectRow, TemplateRow,
};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

const LIST: &str = "https://issuer.example/status/membership";
const AT_1: Entry<'static> =
    Entry { time_s: 1, operator: "test", event: "offer.created", subject: "offer", detail: "" };

fn offer(id: &str) -> OfferRow {
    OfferRow {
        id: id.to_owned(),
        configuration: "Membership".to_owned(),
        subject: r#"{"role":["member"]}"#.to_owned(),
        session: "offered".to_owned(),
        expires_s: 1_000,
        ..OfferRow::default()
    }
}

fn issuance(id: &str) -> IssuanceRow {
    IssuanceRow {
        id: id.to_owned(),
        credential_type: "Membership".to_owned(),
        subject: "{}".to_owned(),
        holder: "thumbprint".to_owned(),
        issued_s: 10,
        expires_s: 1_000,
        state: "valid".to_owned(),
        ..IssuanceRow::default()
    }
}

fn spending<'a>(offer: &'a OfferRow, nonce: &'a str) -> Spending<'a> {
    Spending { offer, session: "completed", spent: Spent::Nonce(nonce), notification_id: nonce, now_s: 10 }
}

fn slots(size: u32) -> [Slot; 1] {
    [Slot { purpose: "revocation".to_owned(), list: LIST.to_owned(), size }]
}

/// Issues under an offer and a nonce of its own, always drawing index 0.
async fn issue(records: &Records, id: &str, size: u32) -> Result<Issued<Vec<String>>, RecordsError> {
    let offer = offer(id);
    records.insert_offer(&offer, id, &AT_1).await.unwrap();
    records.insert_nonce(id, 1_000).await.unwrap();
    let make = |row: &IssuanceRow| Ok(row.status[0].list_index.to_string());
    records.issue(&spending(&offer, id), &[issuance(id)], &slots(size), |_| 0, make).await
}

/// Runs each test on a database of its own: on SQLite as a test for itself, on PostgreSQL one after the other.
macro_rules! suite {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let (_folder, records) = super::in_a_file().await;
                super::$name(records).await;
            })*
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn the_same_suite_passes_on_postgresql() {
            let names = [$(stringify!($name)),*];
            let Some(server) = postgres::Server::start(names.len()) else { return };
            $({
                println!("{}", stringify!($name));
                let records = Records::connect(&server.database().await).await.unwrap();
                $name(records.clone()).await;
                records.close().await;
            })*
        }
    };
}

suite! {
    exactly_one_of_two_callers_advances_a_session
    exactly_one_of_two_callers_issues_with_one_nonce
    exactly_one_of_two_callers_issues_under_one_offer_and_the_other_keeps_its_nonce
    concurrent_issuances_take_different_indices
    every_index_is_given_out_before_a_list_is_full
    a_credential_that_cannot_be_made_spends_nothing
    nonces_and_tokens_end
    what_has_expired_is_forgotten_and_what_was_issued_is_not
    a_revocation_is_finished_once_and_stays_finished
    a_suspension_is_lifted_and_a_revocation_is_not
    issuances_are_found_and_come_in_pages
    an_operator_is_known_by_a_token_until_removed
    subjects_and_templates_are_kept_and_end
    a_lease_is_held_by_one_instance_until_it_ends
    a_setting_is_the_same_for_everybody
}

async fn in_a_file() -> (TempDir, Records) {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::open(&folder.path().join("issuer.sqlite")).await.unwrap();
    (folder, records)
}

async fn exactly_one_of_two_callers_advances_a_session(records: Records) {
    for round in 0..20 {
        let offer = offer(&format!("offer-{round}"));
        records.insert_offer(&offer, &offer.id, &AT_1).await.unwrap();
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

async fn exactly_one_of_two_callers_issues_with_one_nonce(records: Records) {
    for round in 0..20 {
        let offers = [offer(&format!("one-{round}")), offer(&format!("two-{round}"))];
        for offer in &offers {
            records.insert_offer(offer, &offer.id, &AT_1).await.unwrap();
        }
        let nonce = format!("nonce-{round}");
        records.insert_nonce(&nonce, 1_000).await.unwrap();
        let [one, other] = offers.each_ref().map(|offer| {
            let (records, nonce) = (records.clone(), nonce.clone());
            async move {
                let draw = |_| rand::random_range(0..1_000);
                let make = |_: &IssuanceRow| Ok(String::new());
                records
                    .issue(&spending(offer, &nonce), &[issuance(&offer.id)], &slots(1_000), draw, make)
                    .await
                    .unwrap()
            }
        });
        let (one, other) = tokio::join!(one, other);
        assert_ne!(one, other);
        assert!([one, other].contains(&Issued::NonceSpent));
    }
}

async fn exactly_one_of_two_callers_issues_under_one_offer_and_the_other_keeps_its_nonce(records: Records) {
    let offer = offer("offer");
    records.insert_offer(&offer, "code", &AT_1).await.unwrap();
    let attempt = |nonce: &'static str| {
        let (records, offer) = (records.clone(), offer.clone());
        async move {
            records.insert_nonce(nonce, 1_000).await.unwrap();
            let make = |_: &IssuanceRow| Ok(String::new());
            records
                .issue(&spending(&offer, nonce), &[issuance(nonce)], &slots(1_000), |_| 1, make)
                .await
                .unwrap()
        }
    };
    let (one, other) = tokio::join!(attempt("one"), attempt("other"));
    assert_eq!(BTreeSet::from([format!("{one:?}"), format!("{other:?}")]).len(), 2);
    assert!([&one, &other].contains(&&Issued::SessionMoved));
    let left = if one == Issued::SessionMoved { "one" } else { "other" };
    assert_eq!(issue(&records, "next", 1_000).await.unwrap(), Issued::Done(vec!["0".to_owned()]));
    let next = OfferRow { id: "last".to_owned(), ..offer };
    records.insert_offer(&next, "last", &AT_1).await.unwrap();
    let make = |_: &IssuanceRow| Ok(String::new());
    let again =
        records.issue(&spending(&next, left), &[issuance("last")], &slots(1_000), |_| 2, make).await.unwrap();
    assert_eq!(again, Issued::Done(vec![String::new()]));
}

async fn concurrent_issuances_take_different_indices(records: Records) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let records = records.clone();
        tasks.spawn(async move { issue(&records, &format!("offer-{number}"), 16).await.unwrap() });
    }
    let indices: BTreeSet<String> =
        tasks.join_all().await.iter().map(|issued| format!("{issued:?}")).collect();
    assert_eq!(indices.len(), 16);
}

async fn every_index_is_given_out_before_a_list_is_full(records: Records) {
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
        .issue(&spending(&offer, "one-too-many"), &[issuance("one-too-many")], &slots(9), |_| 0, make)
        .await
        .unwrap();
    assert_eq!(again, Issued::Done(vec![String::new()]));
}

async fn a_credential_that_cannot_be_made_spends_nothing(records: Records) {
    let offer = offer("offer");
    records.insert_offer(&offer, "code", &AT_1).await.unwrap();
    records.insert_nonce("nonce", 1_000).await.unwrap();
    let spending = spending(&offer, "nonce");
    let fail = |_: &IssuanceRow| Err::<String, _>("no".to_owned());
    let failed = records.issue(&spending, &[issuance("first")], &slots(8), |_| 3, fail).await;
    assert!(matches!(failed, Err(RecordsError::NotMade(_))));
    assert!(records.issuances(&Search::default(), 10).await.unwrap().is_empty());
    assert_eq!(records.offer_by_code("code").await.unwrap().unwrap(), offer);
    let make = |_: &IssuanceRow| Ok("made".to_owned());
    let made = records.issue(&spending, &[issuance("second")], &slots(1_000), |_| 3, make).await.unwrap();
    assert_eq!(made, Issued::Done(vec!["made".to_owned()]));
}

async fn nonces_and_tokens_end(records: Records) {
    let offer = offer("offer");
    records.insert_offer(&offer, "code", &AT_1).await.unwrap();
    records.insert_nonce("nonce", 10).await.unwrap();
    let make = |_: &IssuanceRow| Ok(String::new());
    let late = records
        .issue(&spending(&offer, "nonce"), &[issuance("late")], &slots(1_000), |_| 0, make)
        .await
        .unwrap();
    assert_eq!(late, Issued::NonceSpent);
    records.advance_session(&offer, "redeemed", Some(("token", 10)), 1).await.unwrap();
    assert!(records.offer_by_token("token", 9).await.unwrap().is_some());
    assert!(records.offer_by_token("token", 10).await.unwrap().is_none());
    assert!(records.offer_by_token("other", 9).await.unwrap().is_none());
}

async fn what_has_expired_is_forgotten_and_what_was_issued_is_not(records: Records) {
    issue(&records, "used", 8).await.unwrap();
    let unused = offer("unused");
    records.insert_offer(&unused, "code", &AT_1).await.unwrap();
    records.advance_session(&unused, "redeemed", Some(("token", 500)), 1).await.unwrap();
    records.forget_expired(2_000).await.unwrap();
    assert!(records.offer_by_code("code").await.unwrap().is_some(), "its holder may still ask");
    records.forget_expired(1_000 + 8 * 86_400).await.unwrap();
    assert!(records.offer_by_code("code").await.unwrap().is_none());
    assert!(records.offer_by_code("used").await.unwrap().is_some());
    assert_eq!(records.issuances(&Search::default(), 10).await.unwrap().len(), 1);
}

async fn a_revocation_is_finished_once_and_stays_finished(records: Records) {
    issue(&records, "offer", 8).await.unwrap();
    records.want_status("offer", "revocation", 1, Some("sent")).await.unwrap();
    assert_eq!(records.open_changes().await.unwrap().len(), 1);
    assert_eq!(records.issuance("offer").await.unwrap().unwrap().state, "revoking");
    let entry = Entry::of("test", "credential.revoked", "offer", 20);
    let (one, other) = tokio::join!(
        records.settle_status("offer", "revocation", 1, Some("proven"), &entry),
        records.settle_status("offer", "revocation", 1, None, &entry)
    );
    assert_ne!(one.unwrap(), other.unwrap());
    assert_eq!(records.generation(LIST).await.unwrap(), 1, "the list changed once");
    records.want_status("offer", "revocation", 0, Some("too late")).await.unwrap();
    let row = records.issuance("offer").await.unwrap().unwrap();
    let by = row.entry("revocation").unwrap().changed_by.clone();
    assert_eq!((row.state.as_str(), by.as_deref()), ("revoked", Some("proven")));
    assert!(records.open_changes().await.unwrap().is_empty());
    assert!(!records.settle_status("nothing", "revocation", 1, None, &entry).await.unwrap());
}

async fn a_suspension_is_lifted_and_a_revocation_is_not(records: Records) {
    let (offer, make) = (offer("offer"), |_: &IssuanceRow| Ok(()));
    records.insert_offer(&offer, "code", &AT_1).await.unwrap();
    records.insert_nonce("nonce", 1_000).await.unwrap();
    let hold = Slot { purpose: "suspension".to_owned(), list: format!("{LIST}-hold"), size: 8 };
    let slots = [slots(8)[0].clone(), hold];
    records.issue(&spending(&offer, "nonce"), &[issuance("id")], &slots, |_| 5, make).await.unwrap();
    let entry = Entry::of("test", "credential.changed", "id", 20);
    for (purpose, value, before, after) in [
        ("suspension", 1, "suspending", "suspended"),
        ("suspension", 0, "resuming", "valid"),
        ("suspension", 1, "suspending", "suspended"),
        ("revocation", 1, "revoking", "revoked"),
        ("suspension", 0, "revoked", "revoked"),
        ("revocation", 0, "revoked", "revoked"),
    ] {
        records.want_status("id", purpose, value, None).await.unwrap();
        assert_eq!(records.issuance("id").await.unwrap().unwrap().state, before);
        records.settle_status("id", purpose, value, None, &entry).await.unwrap();
        assert_eq!(records.issuance("id").await.unwrap().unwrap().state, after);
    }
    assert_eq!(records.issuance_at(LIST, 5).await.unwrap().as_deref(), Some("id"));
    assert_eq!(records.issuance_at(LIST, 6).await.unwrap(), None);
}

async fn issuances_are_found_and_come_in_pages(records: Records) {
    for number in 0..7 {
        let row = IssuanceRow {
            issued_s: 100 + number / 2,
            credential_type: if number % 2 == 0 { "Even" } else { "Odd" }.to_owned(),
            ..issuance(&format!("id-{number}"))
        };
        let entry = Entry::of("test", "credential.issued", &row.id, 10);
        let make = |_: &IssuanceRow| Ok(());
        records
            .issue_directly(&row, &slots(64), |size| rand::random_range(0..size), make, &entry)
            .await
            .unwrap();
    }
    let mut search = Search::default();
    let mut seen = Vec::new();
    loop {
        let page = records.issuances(&search, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        search.after = Some((last.issued_s, last.id.clone()));
        seen.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(seen, ["id-6", "id-4", "id-5", "id-2", "id-3", "id-0", "id-1"]);
    let count = async |search: Search| records.issuances(&search, 100).await.unwrap().len();
    assert_eq!(count(Search { credential_type: "Even".to_owned(), ..Search::default() }).await, 4);
    assert_eq!(count(Search { state: "revoked".to_owned(), ..Search::default() }).await, 0);
    assert_eq!(count(Search { from_s: 101, until_s: 103, ..Search::default() }).await, 4);
    assert_eq!(count(Search { holder: "thumbprint".to_owned(), ..Search::default() }).await, 7);
    assert_eq!(count(Search { holder: "' OR 1 = 1 --".to_owned(), ..Search::default() }).await, 0);
}

async fn an_operator_is_known_by_a_token_until_removed(records: Records) {
    let operator = |name: &str| OperatorRow {
        id: format!("id-{name}"),
        name: name.to_owned(),
        role: Role::Revoker,
        created_s: 10,
    };
    let entry = Entry::of("command", "operator.created", "clerk", 10);
    assert!(records.add_operator(&operator("clerk"), "token-one", &entry).await.unwrap());
    assert!(
        !records.add_operator(&operator("clerk"), "token-two", &entry).await.unwrap(),
        "a name is taken once"
    );
    assert_eq!(records.operator_by_token("token-one").await.unwrap(), Some(operator("clerk")));
    assert_eq!(records.operator_by_token("token-two").await.unwrap(), None);
    assert!(records.remove_operator("clerk", &entry).await.unwrap());
    assert!(!records.remove_operator("clerk", &entry).await.unwrap());
    assert_eq!(records.operator_by_token("token-one").await.unwrap(), None);
    assert_eq!(records.audit("clerk", i64::MAX, 10).await.unwrap().len(), 2);
}

async fn subjects_and_templates_are_kept_and_end(records: Records) {
    let subject = |id: &str, reference: &str| SubjectRow {
        id: id.to_owned(),
        reference: reference.to_owned(),
        claims: "{}".to_owned(),
        created_s: 10,
        changed_s: 10,
    };
    let entry = Entry::of("test", "subject.created", "s", 10);
    assert!(records.add_subject(&subject("a", "HRB 1"), &entry).await.unwrap());
    assert!(records.add_subject(&subject("b", "HRB 2"), &entry).await.unwrap());
    assert!(!records.add_subject(&subject("c", "HRB 2"), &entry).await.unwrap());
    assert_eq!(records.subjects("HRB", "", 1).await.unwrap()[0].id, "a");
    assert_eq!(records.subjects("HRB", "HRB 1", 9).await.unwrap()[0].id, "b");
    assert!(records.subjects("%", "", 9).await.unwrap().is_empty(), "a prefix is no pattern");
    assert!(records.change_subject("a", r#"{"x":1}"#, &Entry { time_s: 20, ..entry }).await.unwrap());
    let changed = records.subject("a").await.unwrap().unwrap();
    assert_eq!((changed.claims.as_str(), changed.changed_s), (r#"{"x":1}"#, 20));
    let row = IssuanceRow { subject_id: Some("a".to_owned()), ..issuance("kept") };
    let make = |_: &IssuanceRow| Ok(());
    records.issue_directly(&row, &slots(8), |_| 0, make, &entry).await.unwrap();
    assert!(records.remove_subject("a", &entry).await.unwrap());
    assert!(records.subject("a").await.unwrap().is_none());
    assert_eq!(records.issuance("kept").await.unwrap().unwrap().subject_id, None, "the record stays");

    let template = TemplateRow {
        id: "diploma".to_owned(),
        credential_type: "Diploma".to_owned(),
        display_name: "Diploma".to_owned(),
        format: "vc+sd-jwt".to_owned(),
        validity_days: 30,
        schema_id: None,
        suspendable: true,
        options: "{}".to_owned(),
        claims: "{}".to_owned(),
        created_s: 10,
        retired_s: None,
    };
    assert!(records.add_template(&template, &entry).await.unwrap());
    assert!(!records.add_template(&template, &entry).await.unwrap());
    assert!(records.retire_template("diploma", &entry).await.unwrap());
    assert!(!records.retire_template("diploma", &entry).await.unwrap());
    assert_eq!(records.template("diploma").await.unwrap().unwrap().retired_s, Some(10));
    assert_eq!(records.templates(10).await.unwrap().len(), 1);
}

async fn a_lease_is_held_by_one_instance_until_it_ends(records: Records) {
    let (one, other) =
        tokio::join!(records.lease("chores", "one", 100, 10), records.lease("chores", "other", 100, 10));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one, other);
    let (holder, rival) = if one { ("one", "other") } else { ("other", "one") };
    assert!(records.lease("chores", holder, 200, 50).await.unwrap(), "it is kept by asking again");
    assert!(!records.lease("chores", rival, 300, 150).await.unwrap());
    assert!(records.lease("chores", rival, 300, 200).await.unwrap());
}

async fn a_setting_is_the_same_for_everybody(records: Records) {
    assert_eq!(records.setting("active-key").await.unwrap(), None);
    let entry = Entry::of("test", "key.activated", "#key-2", 10);
    records.set("active-key", "#key-1", &entry).await.unwrap();
    records.set("active-key", "#key-2", &entry).await.unwrap();
    assert_eq!(records.setting("active-key").await.unwrap().as_deref(), Some("#key-2"));
    let lines = records.audit("", i64::MAX, 1).await.unwrap();
    assert_eq!((lines[0].event.as_str(), lines[0].subject.as_str()), ("key.activated", "#key-2"));
    assert_eq!(records.audit("", lines[0].sequence, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_closed_file_is_opened_again_with_everything_in_it() {
    let (folder, records) = in_a_file().await;
    issue(&records, "offer", 8).await.unwrap();
    records.close().await;
    let path = folder.path().join("issuer.sqlite");
    let records = Records::open(&path).await.unwrap();
    assert_eq!(records.issuances(&Search::default(), 10).await.unwrap()[0].id, "offer");
    assert!(records.offer_by_code("offer").await.unwrap().is_some());
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone_and_holds_no_secret() {
    let (folder, records) = in_a_file().await;
    let offer = offer("offer");
    records.insert_offer(&offer, "the-code-itself", &AT_1).await.unwrap();
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
