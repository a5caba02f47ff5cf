//! No input panics, and what is random is refused.

use super::world::*;
use crate::url_rules::UrlPolicy;
use crate::vp::dcql::{Candidate, ClaimsPath, ClaimsQuery, Query, Step};
use crate::vp::holder::Invitation;
use crate::vp::request::Request;
use crate::vp::transaction_data::TransactionData;
use crate::vp::tree::Node;
use proptest::prelude::*;
use serde_json::{Value, json};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let member = "[a-c]|_sd|\\.\\.\\.|credentials|claims|path|values|id|format|meta";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(member, inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_path() -> impl Strategy<Value = ClaimsPath> {
    let step =
        prop_oneof!["[a-c]".prop_map(Step::Name), (0u32..4).prop_map(Step::Index), Just(Step::All(())),];
    prop::collection::vec(step, 1..5).prop_map(ClaimsPath)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_query_panics(value in any_json()) {
        let _ = Query::from_value(value);
    }

    #[test]
    fn a_query_that_was_read_is_written_as_it_was_read(paths in prop::collection::vec(any_path(), 1..4)) {
        let claims: Vec<_> = paths.into_iter().map(|path| ClaimsQuery { id: None, path, values: None }).collect();
        let value = json!({"credentials": [
            {"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["v"]}, "claims": claims},
        ]});
        let query = Query::from_value(value).unwrap();
        prop_assert_eq!(Query::from_value(query.to_value()).unwrap(), query);
    }

    #[test]
    fn what_a_path_selects_is_where_it_says(claims in any_json(), path in any_path()) {
        let root = Node::plain(&claims);
        prop_assert_eq!(root.to_value(), claims);
        for (place, node) in path.select(&root).into_iter().flatten() {
            prop_assert_eq!(root.at(&place), Some(node));
            prop_assert_eq!(place.len(), path.0.len());
        }
    }

    #[test]
    fn no_claims_panic_in_an_evaluation(claims in any_json(), path in any_path()) {
        let root = Node::plain(&claims);
        let value = json!({"credentials": [
            {"id": "a", "format": "f", "meta": {}, "claims": [{"path": path, "values": ["a", 1, true]}]},
        ]});
        let query = Query::from_value(value).unwrap();
        let candidate =
            Candidate { format: "f", vct: None, types: &[], claims: &root, authorities: &[], holder_bound: true };
        let _ = query.evaluate(&[candidate]);
    }

    #[test]
    fn no_sd_jwt_panics(payload in any_json(), disclosures in prop::collection::vec(any_json(), 0..4)) {
        use aval_codec::b64u;
        let mut text = format!("e30.{}.AAAA~", b64u::encode(payload.to_string()));
        for one in disclosures {
            text.push_str(&b64u::encode(one.to_string()));
            text.push('~');
        }
        let _ = Node::of_sd_jwt(&text);
        let _ = Node::of_sd_jwt(&text[..text.len() / 2]);
    }

    #[test]
    fn no_link_form_or_object_panics(text in "\\PC{0,200}", form in "[a-z_=&%0-9A-F{}\":\\[\\]]{0,200}") {
        let _ = Invitation::parse(&text, UrlPolicy::LOOPBACK);
        let _ = Invitation::parse(&format!("openid4vp://?client_id=redirect_uri%3Ahttps://a.example&{form}"), UrlPolicy::HTTPS);
        let _ = Request::of_object(&text, UrlPolicy::HTTPS, NOW_S, 0);
        let _ = TransactionData::parse(&text);
        let mut world = World::new(Kind::Did, &crate::vp::SessionDraft { encrypted: false, ..draft() });
        prop_assert!(world.session.accept(form.as_bytes(), NOW_S).is_err());
        prop_assert!(world.session.accept(text.as_bytes(), NOW_S).is_err());
        let stateful = format!("state={STATE}&{form}");
        let _ = world.session.accept(stateful.as_bytes(), NOW_S);
    }
}
