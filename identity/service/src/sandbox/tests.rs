//! What the sandbox signs verifies, what it revokes is revoked, and it refuses what is no credential.

use super::cli::Command;
use super::{Instance, instances, router};
use crate::metrics::Metrics;
use crate::tests::{Answer, request};
use aval_formats::json::Limits;
use aval_formats::status::bitstring::{BitstringEntry, BitstringList};
use aval_formats::vc_api::{DeriveRequest, IssueRequest};
use aval_formats::{VerificationKey, data_integrity, jose, vcdm};
use clap::Parser;
use serde_json::{Value, json};

fn instance(name: &str) -> Instance {
    instances("https://sandbox.example")
        .unwrap()
        .into_iter()
        .find(|instance| instance.name() == name)
        .unwrap()
}

fn credential(issuer: &Value) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", "AlumniCredential"],
        "issuer": issuer,
        "credentialSubject": {"id": "did:example:one", "alumniOf": "The School of Examples"},
    })
}

fn issue(instance: &Instance, options: &Value) -> Value {
    let body = json!({"credential": credential(&instance.summary()["issuer"]), "options": options});
    let request = IssueRequest::read(body.to_string().as_bytes(), 0, Limits::default()).unwrap();
    instance.issue(request).unwrap()
}

fn key_of(instance: &Instance) -> VerificationKey {
    let did = instance.summary()["issuer"].as_str().unwrap().to_owned();
    VerificationKey::from_multikey(did.strip_prefix("did:key:").unwrap()).unwrap()
}

#[test]
fn every_instance_signs_in_its_format_with_its_own_key() {
    for instance in instances("https://sandbox.example").unwrap() {
        let (issued, key) = (issue(&instance, &json!({})), key_of(&instance));
        if vcdm::Envelope::is_one(&issued) {
            let envelope = vcdm::open_envelope(&issued).unwrap();
            let token = jose::read_credential(&envelope.content, Limits::default()).unwrap();
            token.verify(&key).unwrap();
            continue;
        }
        let shown = match instance.summary().get("derive") {
            None => issued,
            Some(_) => {
                let body = json!({
                    "verifiableCredential": issued,
                    "options": {"selectivePointers": ["/credentialSubject/alumniOf"]},
                });
                let request = DeriveRequest::read(body.to_string().as_bytes(), Limits::default()).unwrap();
                instance.derive(&request).unwrap()
            }
        };
        data_integrity::verify_proof(&shown, &shown["proof"], &key).unwrap();
        let mut forged = shown.clone();
        forged["credentialSubject"]["alumniOf"] = json!("Another School");
        assert!(
            data_integrity::verify_proof(&forged, &forged["proof"], &key).is_err(),
            "{}",
            instance.name()
        );
    }
}

#[test]
fn what_an_instance_cannot_do_is_refused() {
    let plain = instance("eddsa-rdfc-2022");
    let read = |body: Value| IssueRequest::read(body.to_string().as_bytes(), 0, Limits::default());
    let issuer = plain.summary()["issuer"].clone();
    let other = read(json!({"credential": credential(&json!("did:example:other"))})).unwrap();
    assert_eq!(plain.issue(other).unwrap_err().code(), "request.member");
    let body = json!({"credential": credential(&issuer), "options": {"mandatoryPointers": ["/issuer"]}});
    assert_eq!(plain.issue(read(body).unwrap()).unwrap_err().code(), "request.unknown_option");
    let mut undefined = credential(&issuer);
    undefined["@context"] = json!(["https://www.w3.org/ns/credentials/v2"]);
    undefined["nobodyDefinesThis"] = json!(1);
    let error = plain.issue(read(json!({"credential": undefined})).unwrap()).unwrap_err();
    assert!(error.reply().status == 400, "{error}");
    let body = json!({"verifiableCredential": issue(&plain, &json!({}))}).to_string();
    let request = DeriveRequest::read(body.as_bytes(), Limits::default()).unwrap();
    assert_eq!(plain.derive(&request).unwrap_err().code(), "request.member");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_set_and_cleared_in_the_published_list() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (metrics, ()) = Metrics::new("aval_sandbox", |_| ());
    let router = router(instances(&url).unwrap(), metrics);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let post = async |path: &str, body: Value| -> Answer {
        let headers = [("content-type", "application/json")];
        request("POST", format!("{url}/status/{path}"), &headers, body.to_string().as_bytes()).await
    };
    let index = request("GET", format!("{url}/"), &[], b"").await.json();
    let mine = index["instances"].as_array().unwrap().iter().find(|one| one["name"] == "status").unwrap();
    let issued = post("credentials/issue", json!({"credential": credential(&mine["issuer"])})).await;
    assert_eq!(issued.status, 201, "{}", issued.text());
    let issued = issued.json()["verifiableCredential"].clone();
    let entries: Vec<_> = issued["credentialStatus"].as_array().unwrap().iter().collect();
    let entries: Vec<_> = entries.into_iter().map(|entry| BitstringEntry::read(entry).unwrap()).collect();
    let value = async |entry: &BitstringEntry| {
        let list = request("GET", entry.list.clone(), &[], b"").await.json();
        let list = BitstringList::read(&list, entry.size).unwrap();
        list.status(entry, aval_formats::status::ENTRIES_MIN).unwrap().value
    };
    let change = |purpose: &str, status: bool| {
        let entry = json!({"type": "BitstringStatusListEntry", "statusPurpose": purpose});
        json!({"credentialId": issued["id"], "credentialStatus": entry, "status": status})
    };
    for entry in &entries {
        assert_eq!(value(entry).await, 0, "{}", entry.purpose);
        assert_eq!(post("credentials/status", change(&entry.purpose, true)).await.status, 200);
        assert_eq!(value(entry).await, 1, "{}", entry.purpose);
        assert_eq!(post("credentials/status", change(&entry.purpose, false)).await.status, 200);
        assert_eq!(value(entry).await, 0, "{}", entry.purpose);
    }
    assert_eq!(entries.len(), 3);
    post("credentials/status", change("elsewhere", true)).await.assert_problem(404, "request.not_found");
    let nobody = request("GET", format!("{url}/nobody/status/revocation"), &[], b"").await;
    nobody.assert_problem(404, "request.not_found");
}

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[test]
fn it_never_listens_where_others_can_reach_it() {
    let cli = Cli::try_parse_from(["sandbox", "start", "--listen", "0.0.0.0:0"]).unwrap();
    assert_eq!(cli.command.run().unwrap_err().exit_code(), 2);
}
