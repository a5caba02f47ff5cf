//! `did:aval` over a ledger node, believed by its proofs alone.

use aval_proof::LedgerProof;
use serde_json::{Value, json};

use crate::ledger_box::Reply;
use crate::world::{DEREFERENCING, RESULT, World, body, error, refused, verifying};

fn registrable(world: &World) -> String {
    crate::registrar::create(world, 1)
}

#[test]
fn a_did_resolves_with_metadata_and_a_proof_that_verifies() {
    let world = World::new();
    let did = world.issuer();
    let answer = world.get(&did);
    assert_eq!((answer.status, answer.media_type), (200, Some(RESULT)));
    let result = body(&answer);
    assert_eq!(result["didDocument"]["id"], did);
    assert_eq!(result["didResolutionMetadata"], json!({"contentType": "application/did"}));
    assert!(result["didDocumentMetadata"]["versionId"].as_str().unwrap().starts_with("1-"));
    let proof = LedgerProof::from_json(result["proof"].to_string().as_bytes()).unwrap();
    let did = did.parse().unwrap();
    let record = verifying(&world.node).verify(&proof).unwrap().did_record(&did).unwrap().unwrap();
    assert_eq!(json!(record.did_document()), result["didDocument"]);
}

#[test]
fn what_a_node_makes_up_is_not_answered() {
    let world = World::new();
    let did = world.issuer();
    world.node.tamper(|_, _, reply| {
        reply.change(|value| value["didDocument"]["alsoKnownAs"] = json!(["https://evil.example/"]));
    });
    let answer = world.get(&did);
    assert_eq!(error(&answer), refused(500, "INTERNAL_ERROR"));
    assert_eq!(answer.error.as_deref(), Some("client.contradiction"));
    world.node.tamper(|_, _, reply| *reply = Reply::json(404, json!({})));
    assert_eq!(error(&world.get(&did)).1, "INTERNAL_ERROR", "a denial without a proof decides nothing");
    world.node.tamper(|_, _, reply| *reply = Reply::Nothing);
    let answer = world.get(&did);
    assert_eq!(
        (error(&answer).1.as_str(), answer.error.as_deref()),
        ("INTERNAL_ERROR", Some("client.unreachable"))
    );
    world.node.be_honest();
    assert_eq!(world.get(&did).status, 200, "a failure is not remembered");
}

#[test]
fn absence_is_answered_with_its_proof() {
    let world = World::new();
    let nobody = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    let answer = world.get(nobody);
    assert_eq!(error(&answer), refused(404, "NOT_FOUND"));
    let proof = LedgerProof::from_json(body(&answer)["proof"].to_string().as_bytes()).unwrap();
    let verified = verifying(&world.node).verify(&proof).unwrap();
    assert_eq!(verified.did_record(&nobody.parse().unwrap()).unwrap(), None);
    let other_network = nobody.replace(":test:", ":other:");
    assert_eq!(error(&world.get(&other_network)), refused(501, "METHOD_NOT_SUPPORTED"));
    assert_eq!(error(&world.get("did:aval:test:short")), refused(400, "INVALID_DID"));
}

#[test]
fn versions_resolve_by_id_and_time_and_a_deactivated_did_is_gone() {
    let world = World::new();
    let did = registrable(&world);
    let first = body(&world.get(&did))["didDocumentMetadata"]["versionId"].clone();
    crate::registrar::deactivate(&world, &did, 1);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for accept in [RESULT, "application/did", "*/*"] {
        let answer = world.get_as(&did, accept);
        assert_eq!((answer.status, answer.media_type), (410, Some(RESULT)), "{accept}");
        assert_eq!(body(&answer)["didDocumentMetadata"]["deactivated"], true);
        assert_eq!(body(&answer)["didDocument"], Value::Null);
    }
    let past = world.get(&format!("{did}?versionId={}", first.as_str().unwrap()));
    assert_eq!(past.status, 200);
    assert!(body(&past)["didDocumentMetadata"]["nextVersionId"].as_str().unwrap().starts_with("2-"));
    assert_eq!(world.get(&format!("{did}?versionTime=2099-01-01T00:00:00Z")).status, 410);
    for query in ["versionId=7-Qm", "versionId=x", "versionTime=2000-01-01T00:00:00Z"] {
        assert_eq!(error(&world.get(&format!("{did}?{query}"))), refused(404, "NOT_FOUND"), "{query}");
    }
    let method = world.get_as(&format!("{did}%23key-1"), DEREFERENCING);
    assert_eq!((method.status, &body(&method)["contentStream"]), (410, &Value::Null));
}

#[test]
fn entries_of_the_ledger_are_named_by_a_path_and_proven() {
    let world = World::new();
    let did = world.issuer();
    let answer = world.get(&format!("{did}/accreditation"));
    assert_eq!((answer.status, answer.media_type), (200, Some(DEREFERENCING)));
    let result = body(&answer);
    assert_eq!(result["contentStream"]["subject"], did);
    assert_eq!(result["contentStream"]["kind"], "issuer");
    assert_eq!(result["dereferencingMetadata"]["contentType"], "application/json");
    let proof = LedgerProof::from_json(result["proof"].to_string().as_bytes()).unwrap();
    let verified = verifying(&world.node).verify(&proof).unwrap();
    let bytes = verified.value(&format!("accreditation/{did}")).unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap(), result["contentStream"]);
    let plain = world.get_as(&format!("{did}/accreditation"), "application/json");
    assert_eq!(body(&plain), result["contentStream"]);
    for path in
        ["registry/none", "service/none", "schema/Diploma", "whois", "registry/A/b", "accreditation/x"]
    {
        assert_eq!(error(&world.get(&format!("{did}/{path}"))), refused(404, "NOT_FOUND"), "{path}");
    }
    let document = world.get_as(&format!("{did}/accreditation"), "application/did");
    assert_eq!(error(&document), refused(406, "REPRESENTATION_NOT_SUPPORTED"));
    let past = world.get(&format!("{did}/accreditation?versionTime=2020-01-01T00:00:00Z"));
    assert_eq!(error(&past), refused(501, "FEATURE_NOT_SUPPORTED"));
}

#[test]
fn an_entry_of_another_publisher_is_not_shown_under_this_did() {
    let world = World::new();
    let did = world.issuer();
    let hash = "0".repeat(64);
    for (publisher, status) in [(did.as_str(), 200), ("did:aval:test:other", 404)] {
        let schema =
            json!({"type": "Diploma", "publisher": publisher, "height": 1, "deprecated": null, "schema": {}});
        let key = format!("schema/{hash}");
        world.node.with_ledger(|ledger| ledger.insert(&key, schema.to_string().into_bytes()));
        assert_eq!(world.get(&format!("{did}/schema/Diploma/{hash}")).status, status);
        assert_eq!(world.get(&format!("{did}/schema/Other/{hash}")).status, 404);
    }
}
