//! Parameters: their defaults, their ranges, and changes of them.

use aval_codec::{Limits, json};

use crate::parameters::{Parameters, ParametersChange};

fn change(text: &str) -> ParametersChange {
    json::from_slice(text.as_bytes(), Limits::bytes(1024)).unwrap()
}

#[test]
fn a_file_with_the_first_five_parameters_has_the_defaults_of_the_rest() {
    let text = r#"{"blockBytesMax":4194304,"blockTransactionsMax":4096,"heartbeatMs":1000,
        "witnessRetentionMs":86400000,"leaderTimeoutMs":2000}"#;
    let parameters: Parameters = json::from_slice(text.as_bytes(), Limits::bytes(1024)).unwrap();
    assert_eq!(parameters, Parameters::default());
    parameters.validate().unwrap();
}

#[test]
fn a_change_changes_what_it_names_and_nothing_else() {
    let before = Parameters::default();
    let after =
        change(r#"{"heartbeatMs":500,"governance":{"noticeBlocks":5},"quota":{"byType":{"Permit":3}}}"#)
            .apply(&before)
            .unwrap();
    let mut expected = before.clone();
    expected.heartbeat_ms = 500;
    expected.governance.notice_blocks = 5;
    expected.quota.by_type.insert("Permit".to_owned(), 3);
    assert_eq!(after, expected);
    assert_eq!((after.quota.limit("Permit"), after.quota.limit("Other")), (3, before.quota.per_grant));
}

#[test]
fn a_change_that_leads_to_no_good_parameters_is_refused_with_a_reason() {
    let refused = |text: &str| change(text).apply(&Parameters::default()).unwrap_err();
    assert!(refused("{}").contains("changes nothing"));
    assert!(refused(r#"{"heartbeatMs":1000}"#).contains("changes nothing"));
    assert!(refused(r#"{"heartbeatMs":1}"#).contains("heartbeatMs"));
    assert!(refused(r#"{"blockBytesMax":1024}"#).contains("blockBytesMax"));
    assert!(refused(r#"{"validators":{"epochBlocks":10}}"#).contains("fixed at genesis"));
    assert!(refused(r#"{"validators":{"sizeMin":10,"sizeMax":9}}"#).contains("sizeMin"));
    assert!(refused(r#"{"quota":{"perGrant":0}}"#).contains("perGrant"));
    assert!(refused(r#"{"quota":{"byType":{"no name":3}}}"#).contains("byType"));
}

#[test]
fn a_change_names_known_members_only() {
    for text in [
        r#"{"version":2}"#,
        r#"{"heartbeat":1}"#,
        r#"{"governance":{"quorum":1}}"#,
        r#"{"heartbeatMs":null}"#,
    ] {
        assert!(
            json::from_slice::<ParametersChange>(text.as_bytes(), Limits::bytes(1024)).is_err(),
            "{text}"
        );
    }
}
