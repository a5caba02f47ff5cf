//! What the ledger says about an issuer holds at every step: accreditation, schemas, keys.

use super::formats::template;
use super::world::{World, holder_key};
use crate::clock::now_s;
use crate::keys::Key;
use aval_codec::json::{self, Json};
use aval_credential::{Limits, Presentation};
use aval_did::key::SigningKey;
use aval_machine::testkit::MEMBERSHIP;
use aval_types::Action;
use aval_types::action::SchemaPublish;
use aval_types::schema::SchemaHash;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_accreditation_that_is_withdrawn_after_the_offer_ends_issuing() {
    let world = World::start().await;
    let mut authorized = world.authorize().await;
    {
        let mut kit = world.chain.kit.lock().unwrap();
        let (root, issuer) = (kit.root.clone(), kit.issuer.did.clone());
        let withdrawn = root.revoke_accreditation(&kit, &issuer);
        kit.apply(withdrawn).unwrap();
    }
    world.fetch_nonce(&mut authorized).await;
    let asked = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    world.send(&asked).await.assert_refused(400, "credential_request_denied");
    assert_eq!(world.office("GET", "/issuances", "").await.json(), json!([]));
    let order = r#"{"subject":{"role":["member"]}}"#;
    let refused = world.office("POST", "/offers", order).await;
    assert_eq!(refused.json()["code"], "issuer.not_accredited", "{}", refused.text());
    let credential = json!({"credential": {
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential", MEMBERSHIP],
        "issuer": world.issuer.keys().did().to_string(), "credentialSubject": {"id": "did:example:subject"},
    }});
    let refused = world.office("POST", "/credentials/issue", &credential.to_string()).await;
    assert_eq!(refused.json()["code"], "issuer.not_accredited", "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_have_to_fit_the_schema_on_the_ledger_when_they_are_offered() {
    let world = World::start().await;
    let schema = br#"{"type":"object","required":["credentialSubject"],"properties":{"credentialSubject":{
        "type":"object","required":["legalName"],"properties":{"legalName":{"type":"string","maxLength":11}}}}}"#;
    let schema: Json = json::parse(schema, json::Limits { bytes_max: 4096, depth_max: 16 }).unwrap();
    let urn = SchemaHash::of(&schema).urn();
    {
        let mut kit = world.chain.kit.lock().unwrap();
        let publish = SchemaPublish { credential_type: MEMBERSHIP.to_owned(), schema };
        let root = kit.root.clone();
        let published = root.send(&kit, Action::SchemaPublish(publish));
        kit.apply(published).unwrap();
    }
    let made = template(&world, "checked", json!({"schemaId": urn})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let offer = async |claims: serde_json::Value| {
        let mut subject = json!({"role": ["member"]});
        subject.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        world.office("POST", "/offers", &json!({"template": "checked", "subject": subject}).to_string()).await
    };
    assert_eq!(offer(json!({"legalName": "Example Ltd"})).await.status, 200);
    for claims in [json!({}), json!({"legalName": 7}), json!({"legalName": "A name that is too long"})] {
        let refused = offer(claims.clone()).await;
        assert_eq!(refused.status, 422, "{claims}");
        assert!(refused.text().contains("schema"), "{}", refused.text());
        assert!(!refused.text().contains("too long"), "a problem quotes no claim");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_exchanged_over_http_while_old_credentials_stay_verifiable() {
    let world = World::start().await;
    let (before, id) = world.issued().await;
    let did = world.issuer.keys().did().clone();
    let second = SigningKey::p256_from_seed(&[8; 32]).unwrap();
    let public = second.public();
    world.issuer.keys().add(Key::new(&did, "#key-2", Box::new(second)));
    // The ledger's document does not name it yet.
    let early = world.office("POST", "/keys/key-2/activate", "").await;
    early.assert_problem(500, "issuer.key_not_in_document");
    world.name_key("#key-2", &public);
    // An offer that is under way is not disturbed.
    let mut under_way = world.authorize().await;
    let changed = world.office("POST", "/keys/key-2/activate", "").await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json()["keyId"], format!("{did}#key-2"));
    world.fetch_nonce(&mut under_way).await;
    let asked = under_way.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
    let answer = world.send(&asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.json()["credentials"][0]["credential"].as_str().unwrap().to_owned();

    let record = world.issuer.ledger().did_record(&did).unwrap().unwrap();
    let key_of = |method: &str| {
        record.document.verification_key(method, aval_did::Relationship::AssertionMethod).unwrap()
    };
    let new = Presentation::parse(text.as_bytes(), &Limits::EDGE).unwrap();
    for (presentation, method) in [(&before.presentation, "#key-1"), (&new, "#key-2")] {
        let expected = aval_credential::verify::Expectation {
            now_s: now_s(),
            clock_skew_s: 60,
            key_binding: aval_credential::verify::KeyBindingPolicy::Forbidden,
        };
        let named = format!("{did}{method}");
        let verdict = aval_credential::verify::verify(presentation, &expected, |_, key_id| {
            Ok((key_id == named).then(|| key_of(method)))
        });
        verdict.unwrap().into_result().unwrap();
    }
    // What the first key signed can still be revoked, and the list is signed by the second from now on.
    assert_eq!(world.office("POST", &format!("/issuances/{id}/revoke"), "").await.status, 200);
    let accept = [("accept", "application/statuslist+jwt")];
    let list = crate::tests::request("GET", world.endpoint("/status/membership"), &accept, b"").await;
    let limits = aval_formats::json::Limits::default();
    let types = [aval_formats::status::token::JWT_TYPE];
    let list = aval_formats::jose::Jwt::parse(&list.text(), "list", &types, limits).unwrap();
    list.verify(&public.into()).unwrap();
}
