//! Whole stories with the real program, against a ledger in a box: what a company does, what can go wrong on the way,
//! and that nothing is lost by it.

mod harness;
#[path = "../../ledger/client/tests/support/mod.rs"]
mod support;

use std::fs;

use aval_types::Reject;
use harness::{PASSPHRASE, TX_CODE, Wallet, text, world};
use serde_json::{Value, json};
use support::server::refuse;
use support::{FakeLedger, FakeNode, Reply};

fn is_post(request: &support::server::Request) -> bool {
    request.method == "POST" && request.url.path() == "/v1/transactions"
}

fn list(wallet: &Wallet, what: &str) -> Vec<Value> {
    wallet.run(&[what, "list"]).expect(0).json().as_array().unwrap().clone()
}

#[test]
fn a_company_receives_a_credential_and_makes_maintains_and_ends_a_did() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    let received = wallet.receive(&issuer);
    assert_eq!(received["roles"], json!(["member"]));
    let id = received["id"].as_str().unwrap().to_owned();
    let shown = wallet.run(&["credential", "show", &id[..6]]).expect(0).json();
    assert_eq!(shown["claims"]["legalName"], json!("Contoso Limited"));
    assert_eq!(shown["selectivelyDisclosable"], json!(["legalName"]));

    let service = "hub=LinkedDomains=https://contoso.example/";
    let created = wallet.run(&["did", "create", "--service", service, "--yes"]).expect(0).json();
    let did = created["did"].as_str().unwrap().to_owned();
    assert_eq!((&created["verified"], &created["outcome"]), (&json!(true), &json!("applied")));
    assert!(created["grant"].is_string());
    assert_eq!(list(&wallet, "credential")[0]["did"], json!(did));

    let resolved = wallet.run(&["did", "resolve", &did]).expect(0).json();
    assert_eq!(resolved["didDocument"]["service"][0]["id"], json!(format!("{did}#hub")));
    assert_eq!(resolved["verified"], json!(true));

    let transaction = created["transaction"].as_str().unwrap().to_owned();
    let status = wallet.run(&["tx", "status", &transaction]).expect(0).json();
    assert_eq!((&status["status"], &status["verified"]), (&json!("final"), &json!(true)));
    let file = wallet.path("receipt.json");
    wallet.run(&["tx", "receipt", &transaction, "--out", text(&file)]).expect(0);
    let verdict = wallet.run(&["proof", "verify", text(&file)]).expect(0).json();
    assert_eq!(verdict["proves"]["receipt"]["transaction"], json!(transaction));
    let kept = wallet.run(&["tx", "receipt", &transaction, "--kept"]).expect(0).json();
    assert_eq!(kept, serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap());

    let changes = ["--service", "api=Api=https://contoso.example/api", "--remove-service", "hub", "--yes"];
    wallet.run(&[&["did", "update"][..], &changes].concat()).expect(0);
    wallet.run(&["did", "rotate", "--yes"]).expect(0);
    wallet.run(&["did", "rotate", "--document-keys", "--yes"]).expect(0);
    let now = wallet.run(&["did", "resolve", &did]).expect(0).json();
    assert!(now["didDocumentMetadata"]["versionId"].as_str().unwrap().starts_with("4-"));
    assert_eq!(now["didDocument"]["authentication"], json!([format!("{did}#key-2")]));
    assert_eq!(now["didDocument"]["service"][0]["type"], json!("Api"));

    let first = resolved["didDocumentMetadata"]["versionId"].as_str().unwrap();
    let past = wallet.run(&["did", "resolve", &did, "--version-id", first]).expect(0).json();
    assert_eq!(past["didDocument"], resolved["didDocument"]);
    assert!(past["didDocumentMetadata"]["nextVersionId"].as_str().unwrap().starts_with("2-"));

    wallet.run(&["did", "deactivate", &did, "--yes"]).expect(0);
    let ended = wallet.run(&["did", "resolve", &did]).expect(0).json();
    assert_eq!(
        (&ended["didDocument"], &ended["didDocumentMetadata"]["deactivated"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(list(&wallet, "did")[0]["state"], json!("deactivated"));
    let again = wallet.run(&["did", "rotate", &did, "--yes"]).expect(4);
    assert_eq!(again.error_code(), "did.deactivated");
    assert_eq!(list(&wallet, "tx").len(), 5);
    assert!(list(&wallet, "tx").iter().all(|transaction| transaction["state"] == json!("applied")));
}

#[test]
fn people_get_text_and_no_secret_shows_anywhere() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    let offer = issuer.offer();
    let mut said = String::new();
    let mut tell = |arguments: &[&str]| {
        let ran = wallet.run_as_is(arguments).expect(0);
        said.push_str(&ran.stderr);
        if arguments[0] != "credential" {
            said.push_str(&ran.stdout);
        }
    };
    tell(&["credential", "receive", &offer, "--tx-code", TX_CODE, "--yes"]);
    tell(&["did", "create", "--yes", "--qr"]);
    tell(&["did", "list"]);
    tell(&["did", "rotate", "--yes"]);
    tell(&["tx", "list"]);
    for secret in [PASSPHRASE, TX_CODE, "Contoso Limited", "code-1", "token-"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    assert!(said.contains("public for good") && said.contains("kept back"));
    assert!(!said.contains('\u{1b}'));
}

#[test]
fn without_a_credential_or_an_endorser_there_is_no_did() {
    let (node, _issuer) = world();
    let wallet = Wallet::on(&node);
    assert_eq!(wallet.run(&["did", "create", "--yes"]).expect(4).error_code(), "grant.required");
    assert!(list(&wallet, "did").is_empty());
}

#[test]
fn nothing_leaves_without_consent() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    // No terminal to ask on, and no --yes.
    let offer = issuer.offer();
    wallet.run(&["credential", "receive", &offer, "--tx-code", TX_CODE]).expect(2);
    assert!(!node.paths().iter().any(|path| path.ends_with("/token")));
    wallet.receive(&issuer);
    wallet.run(&["did", "create"]).expect(2);
    assert!(!node.paths().iter().any(|path| path == "/v1/transactions"));
}

#[test]
fn a_crash_between_submission_and_answer_loses_nothing() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    wallet.receive(&issuer);
    // The ledger takes the transaction, and nobody hears of it.
    node.tamper(|request, _, reply| {
        if request.url.path().starts_with("/v1/transactions") {
            *reply = Reply::Nothing;
        }
    });
    wallet.run(&["did", "create", "--yes"]).expect(6);
    assert_eq!(list(&wallet, "did")[0]["state"], json!("pending"));
    assert_eq!(list(&wallet, "tx")[0]["state"], json!("pending"));
    // The credential is not offered for a second DID meanwhile.
    assert_eq!(wallet.run(&["did", "create", "--yes"]).expect(4).error_code(), "grant.required");
    node.be_honest();
    let synced = wallet.run(&["did", "sync"]).expect(0).json();
    assert_eq!(synced["operations"][0]["state"], json!("applied"));
    assert_eq!(list(&wallet, "did")[0]["state"], json!("active"));
    assert_eq!(list(&wallet, "tx")[0]["receiptKept"], json!(true));
    wallet.run(&["did", "rotate", "--yes"]).expect(0);
}

#[test]
fn a_submission_that_never_arrived_is_sent_again() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    wallet.receive(&issuer);
    let before = node.with_ledger(|ledger| ledger.blocks.len());
    node.serve_also(|request| is_post(request).then_some(Reply::Nothing));
    wallet.run(&["did", "create", "--yes"]).expect(6);
    assert_eq!(node.with_ledger(|ledger| ledger.blocks.len()), before);
    node.serve_also(|_| None);
    assert_eq!(wallet.run(&["did", "sync"]).expect(0).json()["operations"][0]["state"], json!("applied"));
    assert_eq!(list(&wallet, "did").len(), 1);
}

#[test]
fn the_next_operation_first_finds_out_about_the_open_one() {
    let (node, issuer) = world();
    let (wallet, did) = Wallet::member(&node, &issuer);
    node.tamper(|request, _, reply| {
        if request.url.path().starts_with("/v1/transactions") {
            *reply = Reply::Nothing;
        }
    });
    wallet.run(&["did", "rotate", "--yes"]).expect(6);
    node.be_honest();
    wallet.run(&["did", "rotate", "--yes"]).expect(0);
    let now = wallet.run(&["did", "resolve", &did]).expect(0).json();
    assert!(now["didDocumentMetadata"]["versionId"].as_str().unwrap().starts_with("3-"));
}

#[test]
fn a_window_that_closed_frees_the_credential() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    wallet.receive(&issuer);
    node.serve_also(|request| is_post(request).then_some(Reply::Nothing));
    wallet.run(&["did", "create", "--yes"]).expect(6);
    node.serve_also(|_| None);
    node.with_ledger(|ledger| {
        ledger.ahead_ms = 700_000;
        ledger.heartbeat();
        ledger.ahead_ms = 0;
    });
    assert_eq!(wallet.run(&["did", "sync"]).expect(0).json()["operations"][0]["state"], json!("expired"));
    assert_eq!(list(&wallet, "tx")[0]["state"], json!("expired"));
    assert_eq!(list(&wallet, "did")[0]["state"], json!("not on the ledger"));
}

#[test]
fn a_refusal_shows_its_code_and_what_to_do_and_leaves_nothing_open() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    wallet.receive(&issuer);
    for (reject, exit) in [(Reject::CredentialRevoked, 4), (Reject::DidExists, 1)] {
        let shown = reject.clone();
        node.serve_also(move |request| is_post(request).then(|| refuse(&shown)));
        let refused = wallet.run(&["did", "create", "--yes"]).expect(exit);
        assert_eq!(refused.error_code(), reject.code());
        assert!(refused.stderr.contains(reject.help()));
    }
    node.serve_also(|_| None);
    assert!(list(&wallet, "tx").iter().all(|transaction| transaction["state"] == json!("refused")));
    wallet.run(&["did", "create", "--yes"]).expect(0);
}

#[test]
fn a_refusal_that_was_a_lie_does_not_lose_the_did() {
    let (node, issuer) = world();
    let (wallet, did) = Wallet::member(&node, &issuer);
    // The node executes the rotation and says that it did not.
    node.tamper(|request, _, reply| {
        if is_post(request) {
            *reply = refuse(&Reject::from_code("did.control").unwrap());
        }
    });
    wallet.run(&["did", "rotate", "--yes"]).expect(4);
    node.be_honest();
    wallet.run(&["did", "rotate", "--yes"]).expect(0);
    let now = wallet.run(&["did", "resolve", &did]).expect(0).json();
    assert!(now["didDocumentMetadata"]["versionId"].as_str().unwrap().starts_with("3-"));
}

#[test]
fn a_creation_that_was_called_refused_is_found_again() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    wallet.receive(&issuer);
    node.tamper(|request, _, reply| {
        if is_post(request) {
            *reply = refuse(&Reject::GrantRequired);
        }
    });
    wallet.run(&["did", "create", "--yes"]).expect(4);
    node.be_honest();
    assert_eq!(list(&wallet, "did")[0]["state"], json!("not on the ledger"));
    assert_eq!(wallet.run(&["did", "sync"]).expect(0).json()["operations"][0]["state"], json!("applied"));
    assert_eq!(list(&wallet, "did")[0]["state"], json!("active"));
    wallet.run(&["did", "update", "--also-known-as", "https://a.example", "--yes"]).expect(0);
}

#[test]
fn what_a_lying_node_says_exits_with_3() {
    let (node, issuer) = world();
    let (wallet, did) = Wallet::member(&node, &issuer);
    node.tamper(|request, _, reply| {
        if request.url.path().starts_with("/1.0/identifiers/") {
            reply.change(|value| value["didDocument"]["service"] = json!([]));
        }
    });
    let refused = wallet.run(&["did", "resolve", &did]).expect(3);
    assert_eq!((refused.error_code().as_str(), refused.stdout.as_str()), ("client.contradiction", ""));
    // Whoever says so may believe it.
    let believed = wallet.run(&["did", "resolve", &did, "--trust-node"]).expect(0);
    assert_eq!(believed.json()["verified"], json!(false));
    assert!(believed.stderr.contains("without proof"));

    let id = list(&wallet, "tx")[0]["id"].as_str().unwrap().to_owned();
    node.tamper(|request, _, reply| {
        if request.url.path().ends_with("/receipt") {
            reply.change(|value| value["certificate"]["signers"] = json!([0, 1, 2]));
        }
    });
    for command in ["status", "receipt"] {
        assert_eq!(wallet.run(&["tx", command, &id]).expect(3).error_code(), "proof.certificate");
    }
    node.tamper(|_, ledger, reply| {
        let header = ledger.blocks[1].header.clone();
        let old = ledger.proof(&header, aval_proof::Claim::Header);
        reply.change(|value| *value = support::server::proof_json(&old));
    });
    let behind = wallet.run(&["did", "rotate", "--yes"]).expect(6);
    assert_eq!(behind.error_code(), "client.behind");
}

#[test]
fn a_did_that_is_not_there_exits_with_5_and_the_proof_of_it() {
    let (node, _issuer) = world();
    let wallet = Wallet::on(&node);
    let none = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    let absent = wallet.run(&["did", "resolve", none]).expect(5);
    assert_eq!(absent.json()["verified"], json!(true));
    let unknown = "0".repeat(64);
    assert_eq!(wallet.run(&["tx", "status", &unknown]).expect(5).json()["status"], json!("unknown"));
    wallet.run(&["tx", "receipt", &unknown]).expect(5);
}

#[test]
fn a_node_that_cannot_be_reached_exits_with_6() {
    let (node, _issuer) = world();
    let wallet = Wallet::on(&node);
    let none = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    wallet.run(&["did", "resolve", none, "--node", "http://127.0.0.1:1"]).expect(6);
}

#[test]
fn a_credential_that_its_issuer_did_not_sign_is_refused() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    issuer.lose_key();
    let offer = issuer.offer();
    let refused = wallet.run(&["credential", "receive", &offer, "--tx-code", TX_CODE, "--yes"]).expect(3);
    assert_eq!(refused.error_code(), "credential.signature");
    assert!(list(&wallet, "credential").is_empty());
}

#[test]
fn a_wrong_transaction_code_is_refused_by_the_issuer_and_shown_to_nobody() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    let offer = issuer.offer();
    let refused = wallet.run(&["credential", "receive", &offer, "--tx-code", "000000", "--yes"]).expect(1);
    assert_eq!(refused.error_code(), "openid.refused");
    assert!(!refused.stderr.contains("000000"));
    wallet.run(&["credential", "receive", &offer, "--tx-code", "12", "--yes"]).expect(2);
    wallet.run(&["credential", "receive", &offer, "--yes"]).expect(2);
    fs::write(wallet.path("code"), format!("{TX_CODE}\n")).unwrap();
    let code = wallet.path("code");
    wallet.run(&["credential", "receive", &offer, "--tx-code-file", text(&code), "--yes"]).expect(0);
    wallet.run(&["credential", "receive", "https://issuer.example/", "--yes"]).expect(2);
}

#[test]
fn an_endorser_in_another_wallet_puts_a_citizens_did_on_the_ledger() {
    let (node, issuer) = world();
    let (bank, bank_did) = Wallet::member(&node, &issuer);
    let citizen = Wallet::on(&node);
    let file = citizen.path("to-endorse.json");
    let wish = ["did", "create", "--endorser", &bank_did, "--yes"];
    citizen.run(&wish).expect(2);
    let made = citizen.run(&[&wish[..], &["--out", text(&file)]].concat()).expect(0).json();
    assert_eq!(made["status"], json!("unendorsed"));
    assert_eq!(citizen.run(&["did", "sync"]).expect(6).json()["operations"][0]["state"], json!("pending"));

    // Changed on the way, it is not endorsed.
    let mut changed: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let signature = changed["signatures"][0]["signature"].as_str().unwrap().to_owned();
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    changed["signatures"][0]["signature"] = json!(format!("{flipped}{}", &signature[1..]));
    let other = bank.path("changed.json");
    fs::write(&other, changed.to_string()).unwrap();
    assert_eq!(
        bank.run(&["tx", "endorse", text(&other), "--yes"]).expect(3).error_code(),
        "transaction.signature"
    );
    // Nobody else can endorse it.
    citizen.run(&["tx", "endorse", text(&file), "--yes"]).expect(5);

    let endorsed = bank.run(&["tx", "endorse", text(&file), "--yes"]).expect(0).json();
    assert_eq!((&endorsed["transaction"], &endorsed["outcome"]), (&made["transaction"], &json!("applied")));
    assert_eq!(endorsed["did"], made["did"]);
    assert_eq!(citizen.run(&["did", "sync"]).expect(0).json()["operations"][0]["state"], json!("applied"));
    citizen.run(&["did", "rotate", "--yes"]).expect(0);
    // Without a grant of its own an update needs the endorser again.
    let alone = citizen.run(&["did", "update", "--also-known-as", "https://a.example", "--yes"]).expect(4);
    assert_eq!(alone.error_code(), "grant.required");
}

#[test]
fn a_second_credential_for_the_same_did_makes_a_second_grant() {
    let (node, issuer) = world();
    let (wallet, did) = Wallet::member(&node, &issuer);
    let offer = issuer.offer();
    let receive = ["credential", "receive", &offer, "--tx-code", TX_CODE, "--did", &did, "--yes"];
    let id = wallet.run(&receive).expect(0).json()["id"].as_str().unwrap().to_owned();
    let presented = wallet.run(&["credential", "present", &id, "--yes"]).expect(0).json();
    assert!(presented["grant"].is_string());
    let again = wallet.run(&["credential", "present", &id, "--yes"]).expect(1);
    assert_eq!(again.error_code(), "grant.exists");
}

#[test]
fn a_signed_transaction_is_submitted_from_a_file() {
    let (node, issuer) = world();
    let wallet = Wallet::on(&node);
    wallet.receive(&issuer);
    let caught = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let catching = caught.clone();
    node.serve_also(move |request| {
        is_post(request).then(|| {
            *catching.lock().unwrap() = request.body.clone();
            Reply::Nothing
        })
    });
    wallet.run(&["did", "create", "--yes"]).expect(6);
    node.serve_also(|_| None);
    let file = wallet.path("transaction.json");
    fs::write(&file, caught.lock().unwrap().as_slice()).unwrap();
    let other = Wallet::on(&node);
    assert_eq!(
        other.run(&["tx", "submit", text(&file), "--no-wait"]).expect(0).json()["status"],
        json!("pending")
    );
    assert_eq!(other.run(&["tx", "submit", text(&file)]).expect(0).json()["outcome"], json!("applied"));
    fs::write(&file, "not a transaction").unwrap();
    other.run(&["tx", "submit", text(&file)]).expect(1);
}

#[test]
fn a_wallet_that_has_seen_more_does_not_go_back() {
    let (node, issuer) = world();
    let (wallet, did) = Wallet::member(&node, &issuer);
    wallet.run(&["did", "resolve", &did]).expect(0);
    // Another node of the same network, far behind.
    let behind = FakeNode::start(FakeLedger::new());
    let url = behind.url();
    let refused = wallet.run(&["did", "resolve", &did, "--node", &url]);
    assert!(matches!(refused.code, 3 | 6), "{refused:?}");
    let shown = wallet.run(&["network", "show"]).expect(0).json();
    assert!(shown["checkpoint"]["height"].as_u64().unwrap() >= 2);
}
