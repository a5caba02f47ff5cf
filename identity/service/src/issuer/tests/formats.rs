//! Each format over OpenID4VCI: what a wallet gets is signed by the issuer, bound to the wallet, and can be revoked.

use super::world::{World, holder_key};
use crate::clock::now_s;
use crate::tests::{Answer, request};
use aval_formats::VerificationKey;
use aval_formats::data_integrity;
use aval_formats::jose::read_credential_1_1;
use aval_formats::jose::sd_jwt::SdJwt;
use aval_formats::json::Limits;
use aval_machine::testkit::MEMBERSHIP;
use aval_openid::vci::Delivery;
use serde_json::{Value, json};

/// A template of the kit's accredited type; `more` is merged in.
pub(super) async fn template(world: &World, id: &str, more: Value) -> Answer {
    let mut template = json!({
        "id": id, "credentialType": MEMBERSHIP, "displayName": "Membership", "validityDays": 7,
    });
    template.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.office("POST", "/templates", &template.to_string()).await
}

/// Offers a template and takes the offer all the way, as one credential.
pub(super) async fn receive(world: &World, id: &str) -> Value {
    let order =
        json!({"template": id, "subject": {"role": ["member"], "legalName": "Example Ltd", "seats": 7}});
    let offer = world.office("POST", "/offers", &order.to_string()).await;
    assert_eq!(offer.status, 200, "{}", offer.text());
    let offer = offer.json();
    let redeemable = world.discover(offer["offerUri"].as_str().unwrap()).await;
    let answer = world.send(&redeemable.token_request(offer["txCode"].as_str()).unwrap()).await;
    let mut authorized = redeemable.on_token(&answer.response()).unwrap();
    world.fetch_nonce(&mut authorized).await;
    let asked = authorized.credential_request(id, &holder_key(), now_s()).unwrap();
    let answer = world.send(&asked).await;
    match authorized.on_delivery(&answer.response(), 1).unwrap() {
        Delivery::Credentials { mut credentials, notification_id } => {
            assert!(notification_id.is_some());
            credentials.pop().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

fn issuer_key(world: &World) -> VerificationKey {
    world.chain.kit.lock().unwrap().issuer.authentication.public().into()
}

fn holder_did() -> String {
    aval_did::holder::HolderDid::did_jwk(&holder_key().public()).as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dc_sd_jwt_shows_its_role_and_hides_every_other_claim() {
    let world = World::start().await;
    assert_eq!(template(&world, "dc", json!({"format": "dc+sd-jwt"})).await.status, 201);
    let credential = receive(&world, "dc").await;
    let text = credential.as_str().unwrap();
    let read = SdJwt::parse(text, &["dc+sd-jwt"], Limits::default()).unwrap();
    read.verify(&issuer_key(&world)).unwrap();
    read.check_dc().unwrap();
    read.check_time(now_s(), 0).unwrap();
    let plain = read.jwt().payload();
    assert_eq!(plain["vct"], MEMBERSHIP);
    assert_eq!(plain["role"], json!(["member"]));
    assert!(plain.get("legalName").is_none() && read.claims()["legalName"] == "Example Ltd");
    assert_eq!(read.claims()["seats"], 7);
    assert_eq!(read.holder_key().unwrap(), VerificationKey::from(holder_key().public()));
    assert_eq!(plain["status"]["status_list"]["uri"], world.endpoint("/status/membership"));
    assert_eq!(read.jwt().key_id(), Some(world.issuer.keys().active().id()));
    let found = world.office("GET", "/issuances?template=dc", "").await.json();
    assert_eq!(found[0]["format"], "dc+sd-jwt");
    // A claim that would say something of the token and not of its subject.
    let order = json!({"template": "dc", "subject": {"exp": 9_999_999_999_i64}}).to_string();
    assert_eq!(world.office("POST", "/offers", &order).await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_vc_says_the_same_in_its_claims_and_in_its_credential() {
    let world = World::start().await;
    assert_eq!(
        template(&world, "jwt", json!({"format": "jwt_vc_json", "suspendable": true})).await.status,
        201
    );
    let credential = receive(&world, "jwt").await;
    let read = read_credential_1_1(credential.as_str().unwrap(), Limits::default()).unwrap();
    read.jwt.verify(&issuer_key(&world)).unwrap();
    assert!(read.jwt.verify(&VerificationKey::from(holder_key().public())).is_err());
    read.jwt.check_time(now_s(), 0).unwrap();
    assert!(read.jwt.check_time(now_s() + 8 * 86_400, 0).is_err(), "it ends");
    assert_eq!(read.document["credentialSubject"]["id"], holder_did());
    assert_eq!(read.document["credentialSubject"]["legalName"], "Example Ltd");
    assert_eq!(read.document["credentialStatus"].as_array().unwrap().len(), 2);
    aval_formats::vcdm::check_credential(&read.document).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_with_data_integrity_has_the_suite_that_its_template_names() {
    let world = World::start().await;
    for (id, options, suite) in [
        ("ldp", json!({}), "eddsa-rdfc-2022"),
        ("ldp-jcs", json!({"suite": "eddsa-jcs-2022"}), "eddsa-jcs-2022"),
    ] {
        let made = template(&world, id, json!({"format": "ldp_vc", "options": options})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let credential = receive(&world, id).await;
        assert_eq!(credential["proof"]["cryptosuite"], suite);
        data_integrity::verify_proof(&credential, &credential["proof"], &issuer_key(&world)).unwrap();
        assert_eq!(credential["credentialSubject"]["id"], holder_did());
        let mut forged = credential.clone();
        forged["credentialSubject"]["legalName"] = json!("Other Ltd");
        let proof = &forged["proof"];
        assert!(data_integrity::verify_proof(&forged, proof, &issuer_key(&world)).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_are_told_of_each_format_and_can_have_it_signed() {
    let world = World::start().await;
    template(&world, "dc", json!({"format": "dc+sd-jwt"})).await;
    template(&world, "ldp", json!({"format": "ldp_vc"})).await;
    let plain = request("GET", world.metadata_url(), &[], b"").await.json();
    let supported = &plain["credential_configurations_supported"];
    assert_eq!(supported["dc"]["vct"], MEMBERSHIP);
    assert_eq!(supported["ldp"]["credential_definition"]["type"][1], MEMBERSHIP);
    assert!(plain["credential_request_encryption"]["jwks"]["keys"][0]["kid"].is_string());
    assert_eq!(plain["batch_credential_issuance"]["batch_size"], 8);

    let issuer = world.issuer.config().public_url.clone();
    let policy = aval_openid::UrlPolicy::LOOPBACK;
    let asked = aval_openid::vci::signed_metadata::SignedMetadata::request(&issuer, policy).unwrap();
    let answer = world.send(&asked).await;
    let read = || {
        let response = answer.response();
        aval_openid::vci::signed_metadata::SignedMetadata::on_response(&response, &issuer, policy, now_s())
    };
    assert_eq!(read().unwrap().key_id(), Some(world.issuer.keys().active().id()));
    let key = world.chain.kit.lock().unwrap().issuer.authentication.public();
    let signed = read().unwrap().verify_with_key(&key).unwrap();
    assert_eq!(serde_json::to_value(&signed).unwrap(), plain);
    assert!(read().unwrap().verify_with_key(&holder_key().public()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_its_format_or_key_cannot_do_is_refused() {
    let world = World::start().await;
    for more in [
        json!({"format": "mso_mdoc"}),
        json!({"format": "dc+sd-jwt", "suspendable": true}),
        json!({"format": "ldp_vc", "options": {"suite": "ecdsa-sd-2023"}}),
        json!({"format": "vc+sd-jwt", "options": {"suite": "eddsa-jcs-2022"}}),
        json!({"format": "ldp_vc", "options": {"certified": true}}),
        json!({"format": "dc+sd-jwt", "options": {"certified": true}}),
        json!({"format": "dc+sd-jwt", "options": {"key": "key-9"}}),
    ] {
        let answer = template(&world, "no", more.clone()).await;
        assert_eq!(answer.status, 422, "{more} {}", answer.text());
    }
    assert_eq!(world.office("GET", "/templates", "").await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_by_reference_is_short_and_is_there_until_it_is_redeemed() {
    let world = World::start().await;
    let order = json!({"subject": {"role": ["member"]}, "byReference": true, "qr": true}).to_string();
    let offer = world.office("POST", "/offers", &order).await.json();
    assert!(offer["qr"].as_str().unwrap().starts_with("<svg"));
    let link = offer["offerUri"].as_str().unwrap();
    assert!(link.len() < 200 && !link.contains("pre-authorized"), "{link}");
    let policy = aval_openid::UrlPolicy::LOOPBACK;
    let aval_openid::vci::OfferLink::Reference(asked) =
        aval_openid::vci::OfferLink::parse(link, policy).unwrap()
    else {
        panic!("it is a reference")
    };
    let answer = world.send(&asked).await;
    let inside = aval_openid::vci::CredentialOffer::on_response(&answer.response(), policy).unwrap();
    let redeemable = world.discover(&inside.to_uri()).await;
    let answer = world.send(&redeemable.token_request(offer["txCode"].as_str()).unwrap()).await;
    let mut authorized = redeemable.on_token(&answer.response()).unwrap();
    world.receive(&mut authorized).await.unwrap();
    assert_eq!(world.send(&asked).await.status, 404, "it was redeemed");
    let other = request("GET", world.endpoint("/offer/another"), &[], b"").await;
    other.assert_refused(404, "invalid_request");
}
