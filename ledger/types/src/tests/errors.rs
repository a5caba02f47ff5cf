//! The codes and the file that lists them.

use std::collections::BTreeSet;

use super::support::keep;
use crate::reject::{Reject, errors_markdown};

#[test]
fn the_specification_lists_every_code() {
    keep("errors.md", &errors_markdown());
}

#[test]
fn a_code_names_one_reject_and_reads_back() {
    let codes: BTreeSet<&str> = Reject::ALL.iter().map(Reject::code).collect();
    assert_eq!(codes.len(), Reject::ALL.len());
    for reject in Reject::ALL {
        assert_eq!(Reject::from_code(reject.code()).as_ref(), Some(reject));
        assert!((400..500).contains(&reject.http_status()));
        assert!(!reject.title().is_empty() && reject.help().ends_with('.'));
    }
    assert_eq!(Reject::from_code("transaction.unheard_of"), None);
}

#[test]
fn a_detail_is_shown_and_is_not_part_of_the_value() {
    let reject = Reject::TransactionMalformed("jti is not a lowercase UUID".into());
    assert_eq!(reject, Reject::TransactionMalformed("".into()));
    assert!(reject.to_string().contains("transaction.malformed"));
    assert!(reject.to_string().contains("jti"));
    assert_ne!(reject, Reject::TransactionOversized);
    assert_eq!(serde_json::to_string(&reject).unwrap(), "\"transaction.malformed\"");
    assert_eq!(serde_json::from_str::<Reject>("\"did.exists\"").unwrap(), Reject::DidExists);
    assert!(serde_json::from_str::<Reject>("\"did.nonsense\"").is_err());
}
