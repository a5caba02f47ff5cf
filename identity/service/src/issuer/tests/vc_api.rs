//! Issuing by VC-API.

use super::world::World;
use aval_formats::VerificationKey;
use aval_formats::data_integrity;
use aval_machine::testkit::MEMBERSHIP;
use serde_json::{Value, json};

fn credential(world: &World) -> Value {
    let did = world.chain.kit.lock().unwrap().issuer.did.to_string();
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/undefined-terms/v2"],
        "type": ["VerifiableCredential", MEMBERSHIP],
        "issuer": did,
        "credentialSubject": {"id": "did:example:subject", "role": ["member"]},
    })
}

async fn issue(world: &World, credential: &Value) -> crate::tests::Answer {
    world.office("POST", "/credentials/issue", &json!({"credential": credential}).to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accredited_credential_is_issued_with_status_and_proof_and_can_be_revoked() {
    let world = World::start().await;
    let answer = issue(&world, &credential(&world)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let issued = answer.json()["verifiableCredential"].clone();
    let key = world.chain.kit.lock().unwrap().issuer.authentication.public();
    let key = VerificationKey::from(key);
    data_integrity::verify_proof(&issued, &issued["proof"], &key).unwrap();
    let mut forged = issued.clone();
    forged["credentialSubject"]["role"] = json!(["governor"]);
    assert!(data_integrity::verify_proof(&forged, &forged["proof"], &key).is_err());
    let entries = issued["credentialStatus"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert!(issued["validUntil"].is_string());

    let change = json!({
        "credentialId": issued["id"],
        "credentialStatus": {"type": "BitstringStatusListEntry", "statusPurpose": "revocation"},
        "status": true,
    });
    let changed = world.office("POST", "/credentials/status", &change.to_string()).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let rows = world.office("GET", "/issuances?state=revoked", "").await.json();
    assert_eq!(rows[0]["format"], "ldp_vc");
    let mut undo = change.clone();
    undo["status"] = json!(false);
    world
        .office("POST", "/credentials/status", &undo.to_string())
        .await
        .assert_problem(409, "issuance.no_status");
    let mut other = change;
    other["credentialId"] = json!("urn:uuid:00000000-0000-4000-8000-000000000000");
    world
        .office("POST", "/credentials/status", &other.to_string())
        .await
        .assert_problem(404, "request.not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_issuer_may_not_say_is_refused() {
    let world = World::start().await;
    let good = credential(&world);
    let refused = async |change: fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        issue(&world, &bad).await
    };
    let status = async |change: fn(&mut Value)| refused(change).await.status;
    assert_eq!(status(|bad| bad["issuer"] = json!("did:example:other")).await, 400);
    assert_eq!(status(|bad| bad["type"] = json!(["VerifiableCredential"])).await, 400);
    assert_eq!(status(|bad| drop(bad.as_object_mut().unwrap().remove("credentialSubject"))).await, 400);
    assert_eq!(status(|bad| bad["credentialSubject"]["role"] = json!(["governor"])).await, 422);
    let foreign = refused(|bad| bad["type"] = json!(["VerifiableCredential", "TreasureCredential"])).await;
    foreign.assert_problem(403, "issuer.not_accredited");
    let mut chosen = good.clone();
    chosen["credentialStatus"] = json!({
        "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "1",
        "statusListCredential": world.endpoint("/status/membership"),
    });
    assert_eq!(issue(&world, &chosen).await.status, 400, "the issuer draws the index");
    assert_eq!(world.office("POST", "/credentials/issue", "{}").await.status, 400);
    assert_eq!(world.office("POST", "/credentials/issue", "[").await.status, 400);
    let rows = world.office("GET", "/issuances", "").await.json();
    assert_eq!(rows.as_array().unwrap().len(), 0, "nothing of it is on record");
}

/// An issuer with these instances.
async fn with_instances(named: &[(&str, &str, Option<&str>, bool)]) -> World {
    use crate::issuer::instance::{InstanceConfig, Instances};
    let instances = named.iter().map(|(name, suite, algorithm, status)| {
        let config = InstanceConfig::generate(suite, *algorithm, *status).unwrap();
        ((*name).to_owned(), config.instance(name).unwrap())
    });
    World::start_with(instances.collect::<Instances>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_issues_as_its_did_key_with_its_own_suite() {
    let named = [
        ("rdfc", "eddsa-rdfc-2022", Some("EdDSA"), true),
        ("p384", "ecdsa-rdfc-2019", Some("ES384"), false),
        ("sd", "ecdsa-sd-2023", Some("ES256"), false),
    ];
    let world = with_instances(&named).await;
    for (name, suite, _, has_status) in named {
        let own = world.issuer.instances()[name].own.as_ref().unwrap();
        let credential = json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiableCredential"],
            "issuer": own.did,
            "credentialSubject": {"id": "did:example:subject"},
        });
        let path = format!("/instances/{name}/credentials/issue");
        let mut body = json!({"credential": credential});
        if name == "sd" {
            body["options"] = json!({"mandatoryPointers": ["/issuer"]});
        }
        let answer = world.office("POST", &path, &body.to_string()).await;
        assert_eq!(answer.status, 201, "{name} {}", answer.text());
        let issued = answer.json()["verifiableCredential"].clone();
        assert_eq!(issued["proof"]["cryptosuite"], suite);
        assert_eq!(issued["proof"]["verificationMethod"], own.id);
        assert_eq!(issued.get("credentialStatus").is_some(), has_status);
        let key = own.key.public();
        if name == "sd" {
            // A base proof is for the holder, who derives from it what is shown.
            let contexts = aval_formats::Contexts::shipped();
            let shown = data_integrity::derive(contexts, &issued, &["/credentialSubject"]).unwrap();
            data_integrity::verify_proof(&shown, &shown["proof"], &key).unwrap();
        } else {
            data_integrity::verify_proof(&issued, &issued["proof"], &key).unwrap();
            body["options"] = json!({"mandatoryPointers": ["/issuer"]});
            assert_eq!(world.office("POST", &path, &body.to_string()).await.status, 400);
        }
        body["options"] = json!({});
        body["credential"]["issuer"] = json!("did:example:other");
        assert_eq!(world.office("POST", &path, &body.to_string()).await.status, 400);
    }
    let nobody = world.office("POST", "/instances/nobody/credentials/issue", "{}").await;
    nobody.assert_problem(404, "request.not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_signs_the_list_that_its_credentials_name() {
    let world = with_instances(&[("rdfc", "eddsa-rdfc-2022", Some("EdDSA"), true)]).await;
    let own = world.issuer.instances()["rdfc"].own.as_ref().unwrap();
    let credential = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential"],
        "issuer": own.did, "credentialSubject": {"id": "did:example:subject"},
    });
    let body = json!({"credential": credential}).to_string();
    let answer = world.office("POST", "/instances/rdfc/credentials/issue", &body).await;
    let issued = answer.json()["verifiableCredential"].clone();
    let entry = issued["credentialStatus"][0].clone();
    let list = entry["statusListCredential"].as_str().unwrap().to_owned();
    assert_eq!(list, world.endpoint("/instances/rdfc/status/membership"));
    let index: u64 = entry["statusListIndex"].as_str().unwrap().parse().unwrap();
    let value = async || {
        let list = crate::tests::request("GET", list.clone(), &[], b"").await.json();
        assert_eq!((&list["id"], &list["issuer"]), (&json!(entry["statusListCredential"]), &json!(own.did)));
        data_integrity::verify_proof(&list, &list["proof"], &own.key.public()).unwrap();
        aval_formats::status::BitstringList::read(&list, 1).unwrap().value(index, 1).unwrap()
    };
    assert_eq!(value().await, 0);
    let change = json!({"credentialId": issued["id"], "credentialStatus": entry, "status": true});
    let changed = world.office("POST", "/credentials/status", &change.to_string()).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(value().await, 1);
}
