//! The way that works.

use super::world::*;
use crate::vp::dcql::Query;
use crate::vp::holder::Identity;
use crate::vp::transaction_data::TransactionData;
use crate::vp::tree::{Node, Place};
use crate::vp::verifier::{Answer, Conclusion, Session, SessionState};
use serde_json::{Value, json};

#[test]
fn a_wallet_presents_to_every_kind_of_verifier_in_both_modes() {
    for kind in [Kind::Did, Kind::Dns, Kind::Hash, Kind::Address] {
        for encrypted in [true, false] {
            let mut world = World::new(kind, &SessionDraftWith { encrypted }.into());
            let verified = world.open().unwrap();
            match (kind, verified.identity()) {
                (Kind::Did, Identity::Did(did)) => assert_eq!(did, VERIFIER_DID),
                (Kind::Dns | Kind::Hash, Identity::Certificate(_)) | (Kind::Address, Identity::Address) => {}
                other => panic!("{other:?}"),
            }
            let request = verified.respond(present(&verified)).unwrap();
            let body = String::from_utf8(request.body.clone()).unwrap();
            assert_eq!(body.contains("vp_token"), !encrypted, "{kind:?}");
            let all = world.answer(&request).unwrap();
            assert_eq!(world.judge(&all), Ok(()), "{kind:?}");
            assert_eq!(world.session.state(), SessionState::Answered);
            assert_eq!(
                verified.on_response(&json_answer(&world.session.reply())).unwrap().redirect_uri,
                None
            );
        }
    }
}

struct SessionDraftWith {
    encrypted: bool,
}

impl From<SessionDraftWith> for crate::vp::SessionDraft {
    fn from(with: SessionDraftWith) -> Self {
        Self { encrypted: with.encrypted, ..draft() }
    }
}

#[test]
fn only_what_was_asked_for_is_shown() {
    let mut world = World::new(Kind::Did, &draft());
    let verified = world.open().unwrap();
    let all = present(&verified);
    let claims = Node::of_sd_jwt(all["diploma"][0].as_str().unwrap()).unwrap().to_value();
    assert_eq!(claims["credentialSubject"], json!({"name": "Ada", "university": "Tirana"}));
}

#[test]
fn the_relying_party_gets_the_result_once_it_is_there() {
    let mut world = World::new(Kind::Did, &draft());
    assert_eq!(world.session.result(None).unwrap(), None);
    let verified = world.open().unwrap();
    assert_eq!(world.session.state(), SessionState::Fetched);
    world.answer(&verified.respond(present(&verified)).unwrap()).unwrap();
    assert_eq!(world.session.result(None).unwrap(), None);
    let conclusion = Conclusion::Verified { result: json!({"name": "Ada"}) };
    world.session.conclude(conclusion.clone());
    assert_eq!(world.session.result(None).unwrap(), Some(&conclusion));
    world.session.conclude(Conclusion::Rejected { result: Value::Null });
    assert_eq!(world.session.result(None).unwrap(), Some(&conclusion), "a conclusion stays");
}

#[test]
fn on_one_device_only_the_browser_of_the_user_gets_the_result() {
    let redirect_uri = Some("https://shop.example/done?order=7".to_owned());
    let mut world = World::new(Kind::Did, &crate::vp::SessionDraft { redirect_uri, ..draft() });
    let verified = world.open().unwrap();
    world.answer(&verified.respond(present(&verified)).unwrap()).unwrap();
    world.session.conclude(Conclusion::Verified { result: Value::Null });
    let answered = verified.on_response(&json_answer(&world.session.reply())).unwrap();
    let expected = format!("https://shop.example/done?order=7&response_code={RESPONSE_CODE}");
    assert_eq!(answered.redirect_uri, Some(expected));
    assert!(world.session.result(Some(RESPONSE_CODE)).unwrap().is_some());
    assert_eq!(world.session.result(None).unwrap_err().status, 403);
    assert_eq!(world.session.result(Some("another")).unwrap_err().status, 403);
}

#[test]
fn a_user_may_decline_and_the_session_is_over() {
    for encrypted in [true, false] {
        let mut world = World::new(Kind::Did, &SessionDraftWith { encrypted }.into());
        let verified = world.open().unwrap();
        let request = verified.refuse("access_denied").unwrap();
        assert_eq!(
            world.session.accept(&request.body, NOW_S),
            Ok(Answer::Declined("access_denied".to_owned()))
        );
        let declined = Conclusion::Declined { error: "access_denied".to_owned() };
        assert_eq!(world.session.result(None).unwrap(), Some(&declined));
        let request = verified.respond(present(&verified)).unwrap();
        assert!(world.session.accept(&request.body, NOW_S).is_err());
    }
}

#[test]
fn transaction_data_is_agreed_to_in_the_key_binding() {
    let members = json!({"payee": "Contoso", "amount": "12.50"});
    let data = TransactionData::new("payment", &["diploma"], members.as_object().unwrap()).unwrap();
    let with = crate::vp::SessionDraft { transaction_data: vec![data], ..draft() };
    let mut world = World::new(Kind::Did, &with);
    let verified = world.open().unwrap();
    assert!(verified.check_transaction_types(&["payment"]).is_ok());
    assert!(verified.check_transaction_types(&["contract"]).is_err());
    assert_eq!(verified.request().transaction_data[0].members()["payee"], "Contoso");
    let all = world.answer(&verified.respond(present(&verified)).unwrap()).unwrap();
    assert_eq!(world.judge(&all), Ok(()));
}

#[test]
fn a_session_survives_being_stored_and_shows_no_secret_when_printed() {
    let world = World::new(Kind::Did, &draft());
    let text = serde_json::to_string(&world.session).unwrap();
    assert!(serde_json::from_str::<Session>(&text).unwrap() == world.session);
    let printed = format!("{:?}", world.session);
    for secret in [NONCE, STATE, RESPONSE_CODE] {
        assert!(!printed.contains(secret));
    }
}

#[test]
fn holes_keep_the_places_of_elements_for_the_verifier() {
    let (issued, all) = with_list();
    let claims = Node::of_sd_jwt(&issued).unwrap();
    let query = Query::from_value(json!({"credentials": [{
        "id": "one",
        "format": "dc+sd-jwt",
        "meta": {"vct_values": ["urn:list"]},
        "claims": [{"path": ["list", 2]}],
    }]}))
    .unwrap();
    let place = vec![Place::Name("list".to_owned()), Place::Index(2)];
    let asked = &query.credentials()[0];
    let of = |claims: &Node| {
        let candidate = candidate(&[], claims);
        asked.select(&crate::vp::dcql::Candidate { format: "dc+sd-jwt", vct: Some("urn:list"), ..candidate })
    };
    assert_eq!(of(&claims), Some(vec![place.clone()]));
    let needed = claims.disclosures(std::slice::from_ref(&place));
    let shown = crate::vp::sd_jwt::disclose(&issued, &needed).unwrap();
    let shown = Node::of_sd_jwt(&shown).unwrap();
    assert_eq!(shown.to_value()["list"], json!([all[2]]));
    assert_eq!(of(&shown), Some(vec![place]));
}

/// An SD-JWT, unsigned, with a list of which each element can be hidden.
fn with_list() -> (String, [&'static str; 3]) {
    use aval_codec::{b64u, sha256};
    let elements = ["a", "b", "c"];
    let disclosures: Vec<String> =
        elements.iter().map(|element| b64u::encode(json!(["salt", element]).to_string())).collect();
    let digests: Vec<Value> =
        disclosures.iter().map(|text| json!({"...": b64u::encode(sha256(text.as_bytes()))})).collect();
    let payload = json!({"vct": "urn:list", "list": digests, "_sd_alg": "sha-256"});
    let jwt = format!("e30.{}.AAAA", b64u::encode(payload.to_string()));
    (format!("{jwt}~{}~", disclosures.join("~")), elements)
}
