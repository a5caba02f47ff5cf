//! A client against an honest node and against every way in which a node can lie.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aval_client::{
    ClientError, ClientOptions, Fault, FileCheckpoints, MemoryCheckpoints, NodeClient, Outcome,
    TransactionStatus, TrustNode, TrustedGenesis, VerifyingClient, VersionSelector,
};
use aval_did::{Control, Create, Deactivate, Did, Document, SigningKey, Update, VerificationMethod};
use aval_types::{Action, KeyId, SubmittedTransaction, TransactionBuilder};
use serde_json::{Value, json};
use support::ledger::LABEL;
use support::server::{Request, proof_json, refuse};
use support::{FakeLedger, FakeNode, Reply};
use uuid::Uuid;

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn control_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn inception() -> Create {
    let key = |seed: u8| SigningKey::from_seed(&[seed; 32]).public();
    let document = Document {
        verification_method: vec![VerificationMethod::multikey("#key-1", &key(3))],
        authentication: vec!["#key-1".to_owned()],
        ..Document::default()
    };
    Create::new(LABEL, Control::single(&key(1), &key(2)), document).unwrap()
}

fn sign(ledger: &FakeLedger, action: Action, did: &Did) -> SubmittedTransaction {
    let key = control_key();
    let endorser = SigningKey::from_seed(&[99; 32]);
    let kid = |did: &Did, key: &SigningKey| KeyId::new(did.clone(), key.public());
    let mut builder = TransactionBuilder::new(ledger.network.clone(), action, Uuid::new_v4(), now_s() - 10)
        .controller(kid(did, &key));
    let mut keys = vec![&key];
    if !matches!(builder_kind(&builder), "did.deactivate") {
        builder = builder.endorser(kid(&ledger.issuer, &endorser));
        keys.push(&endorser);
    }
    SubmittedTransaction::new(builder.sign(&keys).unwrap(), None)
}

fn builder_kind(builder: &TransactionBuilder) -> &'static str {
    if format!("{builder:?}").contains("DidDeactivate(") { "did.deactivate" } else { "other" }
}

fn creation(ledger: &FakeLedger) -> SubmittedTransaction {
    let operation = inception();
    let did = operation.did.clone();
    let action = Action::DidCreate(aval_types::action::DidCreate { operation, grant: None });
    sign(ledger, action, &did)
}

fn update(ledger: &FakeLedger, did: &Did) -> SubmittedTransaction {
    let record = ledger.record(did).unwrap();
    let mut document = record.document.clone();
    document.also_known_as = vec![format!("https://example.com/{}", record.version_id.number)];
    sign(ledger, Action::DidUpdate(Update { did: did.clone(), previous: record.version_id, document }), did)
}

struct World {
    node: FakeNode,
    client: VerifyingClient,
    did: Did,
    creation: SubmittedTransaction,
}

impl World {
    /// A ledger with one DID on it and a client that has seen nothing yet.
    fn new() -> Self {
        let mut ledger = FakeLedger::new();
        let creation = creation(&ledger);
        ledger.submit(&creation).unwrap();
        ledger.heartbeat();
        let client_of = TrustedGenesis::parse(ledger.genesis.clone()).unwrap();
        let node = FakeNode::start(ledger);
        let client = client(&node, &client_of);
        Self { node, client, did: inception().did, creation }
    }

    fn tamper_json(&self, path: &'static str, change: impl Fn(&mut Value) + Send + 'static) {
        self.node.tamper(move |request: &Request, _, reply| {
            if request.url.path().starts_with(path) {
                reply.change(&change);
            }
        });
    }

    fn resolve(&self) -> Result<aval_client::Verified<aval_client::Resolution>, ClientError> {
        self.client.resolve(&self.did, VersionSelector::Latest)
    }
}

fn connect(node: &FakeNode) -> NodeClient {
    NodeClient::new(&node.url(), &ClientOptions::default()).unwrap()
}

fn client(node: &FakeNode, genesis: &TrustedGenesis) -> VerifyingClient {
    VerifyingClient::new(connect(node), genesis, Arc::new(MemoryCheckpoints::default())).unwrap()
}

fn is_lie<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> ClientError {
    let error = outcome.expect_err("a lie was believed");
    assert!(error.is_verified_invalid(), "{error:?}");
    assert_eq!(error.fault(), Fault::Node);
    assert!(!error.is_retryable());
    error
}

#[test]
fn what_an_honest_node_says_is_believed_and_dated() {
    let world = World::new();
    let resolved = world.resolve().unwrap();
    assert_eq!(resolved.height, 3);
    assert!(resolved.time_ms > 1_790_000_000_000);
    assert_eq!(resolved.value.record.unwrap().did, world.did);
    assert_eq!(resolved.value.result.did_document.unwrap().id, world.did.as_str());
    let receipt = world.client.receipt(world.creation.transaction.id()).unwrap();
    assert_eq!(receipt.height, 2);
    assert!(receipt.value.is_applied());
    world.client.checkpoint().unwrap();
    assert_eq!(world.client.anchor().checkpoint().unwrap().header.height, 3);
    assert!(world.client.state("no/such/key").unwrap().value.is_none());
    assert_eq!(world.client.node().status().unwrap().height, 3);
    assert_eq!(
        world.client.node().genesis().unwrap(),
        world.node.with_ledger(|ledger| ledger.genesis.clone())
    );
}

#[test]
fn a_did_that_is_not_there_is_proven_to_be_absent() {
    let world = World::new();
    let other: Did =
        format!("did:aval:{LABEL}:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG").parse().unwrap();
    let resolved = world.client.resolve(&other, VersionSelector::Latest).unwrap();
    assert!(resolved.value.record.is_none() && resolved.value.result.did_document.is_none());
}

#[test]
fn a_transaction_is_submitted_waited_for_and_proven() {
    let world = World::new();
    let submitted = world.node.with_ledger(|ledger| update(ledger, &world.did));
    let Outcome::Final(receipt) = world.client.submit_and_wait(&submitted, Duration::from_secs(5)).unwrap()
    else {
        panic!("not final")
    };
    assert_eq!(receipt.value.transaction, submitted.transaction.id());
    // Sent again, it is the same transaction with the same outcome.
    let again = world.client.submit_and_wait(&submitted, Duration::from_secs(5)).unwrap();
    assert_eq!(again, Outcome::Final(receipt));
    let status = world.client.node().transaction(submitted.transaction.id()).unwrap();
    assert!(matches!(status, TransactionStatus::Final { .. }));
}

#[test]
fn a_refusal_is_a_decision_and_carries_its_code() {
    let world = World::new();
    let submitted = world.node.with_ledger(|ledger| {
        let first = update(ledger, &world.did);
        let second = update(ledger, &world.did);
        ledger.submit(&first).unwrap();
        second
    });
    let outcome = world.client.submit_and_wait(&submitted, Duration::from_secs(5)).unwrap();
    let Outcome::Refused(problem) = outcome else { panic!("{outcome:?}") };
    assert_eq!((problem.code.as_str(), problem.http_status), ("did.stale_version", 409));
    // Also where the status alone would mean something else.
    for reject in [aval_types::Reject::DidNotFound, aval_types::Reject::DidAllowance] {
        world.node.tamper(move |_, _, reply| *reply = refuse(&reject));
        let error = world.client.submit(&submitted).unwrap_err();
        assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
        assert_eq!(error.fault(), Fault::Ledger);
        world.node.be_honest();
    }
}

#[test]
fn past_versions_are_proven_with_the_version_that_followed() {
    let world = World::new();
    let (first, second) = world.node.with_ledger(|ledger| {
        // Whole seconds tell versions apart.
        ledger.ahead_ms = 2_000;
        let submitted = update(ledger, &world.did);
        let first = ledger.record(&world.did).unwrap();
        ledger.submit(&submitted).unwrap();
        ledger.heartbeat();
        (first, ledger.record(&world.did).unwrap())
    });
    let by_id = world.client.resolve(&world.did, VersionSelector::Id(first.version_id)).unwrap();
    assert_eq!(by_id.value.record.as_ref().unwrap().version_id, first.version_id);
    let metadata = &by_id.value.result.did_document_metadata;
    assert_eq!(metadata.next_version_id.as_deref(), Some(second.version_id.to_string().as_str()));
    for (time_s, version) in [
        (first.updated / 1000, &first),
        (second.updated / 1000 - 1, &first),
        (second.updated / 1000, &second),
        (second.updated / 1000 + 3600, &second),
    ] {
        let resolved = world.client.resolve(&world.did, VersionSelector::Time(time_s)).unwrap();
        assert_eq!(resolved.value.record.unwrap().version_id, version.version_id, "{time_s}");
    }
    let before = world.client.resolve(&world.did, VersionSelector::Time(first.created / 1000 - 1)).unwrap();
    assert!(before.value.record.is_none());
}

#[test]
fn an_old_version_passed_off_as_the_one_in_force_is_refused() {
    let world = World::new();
    let (old, time_s) = world.node.with_ledger(|ledger| {
        let old = proof_json(&ledger.state_proof(&format!("did/{}", world.did), 3));
        ledger.ahead_ms = 2_000;
        let submitted = update(ledger, &world.did);
        ledger.submit(&submitted).unwrap();
        let now = ledger.record(&world.did).unwrap().updated / 1000 + 1;
        (old, now)
    });
    let (did, creation) = (world.did.clone(), world.creation.transaction.id());
    let _ = creation;
    world.node.tamper(move |request, ledger, reply| {
        if request.url.path().contains("identifiers") && request.query("versionTime").is_some() {
            let first =
                aval_did::DidRecord::from_bytes(&ledger.blocks[3].state[&format!("did/{did}")]).unwrap();
            let result = aval_did::resolution::ResolutionResult::of_record(&first, None, Vec::new());
            reply.change(|value| {
                *value = serde_json::to_value(&result).unwrap();
                value["proof"] = old.clone();
            });
        }
    });
    is_lie(world.client.resolve(&world.did, VersionSelector::Time(time_s)));
}

#[test]
fn a_deactivated_did_resolves_to_its_metadata() {
    let world = World::new();
    world.node.with_ledger(|ledger| {
        let record = ledger.record(&world.did).unwrap();
        let operation = Deactivate { did: world.did.clone(), previous: record.version_id };
        let submitted = sign(ledger, Action::DidDeactivate(operation), &world.did);
        ledger.submit(&submitted).unwrap();
    });
    let resolved = world.resolve().unwrap();
    assert!(resolved.value.is_deactivated() && resolved.value.result.did_document.is_none());
}

#[test]
fn a_document_that_is_not_the_proven_one_is_refused() {
    let changes: [fn(&mut Value); 12] = [
        |value| value["didDocument"]["verificationMethod"][0]["publicKeyMultibase"] = json!("z6MkOther"),
        |value| {
            value["didDocument"]["service"] =
                json!([{"id": "#x", "type": "X", "serviceEndpoint": "https://x.example"}])
        },
        |value| value["didDocument"]["more"] = json!(true),
        |value| value["didDocument"]["id"] = json!("did:aval:test:other"),
        |value| value["didDocument"] = Value::Null,
        |value| value["didDocumentMetadata"]["created"] = json!("2020-01-01T00:00:00Z"),
        |value| value["didDocumentMetadata"]["versionId"] = json!("2-x"),
        |value| value["didDocumentMetadata"]["deactivated"] = json!(true),
        |value| value["didDocumentMetadata"]["nextVersionId"] = json!("2-x"),
        |value| {
            value["didResolutionMetadata"]["error"] =
                json!({"type": "https://www.w3.org/ns/did#INTERNAL_ERROR"})
        },
        |value| {
            value["didResolutionMetadata"]["error"] = json!({"type": "https://www.w3.org/ns/did#NOT_FOUND"})
        },
        |value| value["proof"] = Value::Null,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let world = World::new();
        world.tamper_json("/1.0/identifiers/", change);
        let error = is_lie(world.resolve());
        assert_eq!(error.code(), "client.contradiction", "change {index}: {error:?}");
    }
}

#[test]
fn a_proof_that_does_not_hold_is_refused() {
    let changes: [(&str, fn(&mut Value)); 8] = [
        ("proof.certificate", |proof| drop(proof["certificate"]["signatures"].as_array_mut().unwrap().pop())),
        ("proof.certificate", |proof| {
            proof["certificate"]["signers"].as_array_mut().unwrap().pop();
            proof["certificate"]["signatures"].as_array_mut().unwrap().pop();
        }),
        ("proof.certificate", |proof| proof["certificate"]["signers"] = json!([0, 1, 2])),
        ("proof.certificate", |proof| {
            let first = proof["certificate"]["signatures"][0].clone();
            proof["certificate"]["signatures"][1] = first;
        }),
        ("proof.state", |proof| proof["state"]["siblings"] = json!([])),
        ("proof.state", |proof| proof["state"]["value"] = Value::Null),
        ("proof.state", |proof| {
            let text = proof["state"]["value"].as_str().unwrap().to_owned();
            let mut record: Value = serde_json::from_slice(&aval_codec::b64u::decode(text).unwrap()).unwrap();
            record["updated"] = json!(1);
            proof["state"]["value"] = json!(aval_codec::b64u::encode(record.to_string()));
        }),
        ("proof.network", |proof| {
            proof["network"] = json!(format!("aval:test:{}", "0".repeat(64)));
            proof["genesis"] = json!("0".repeat(64));
        }),
    ];
    for (code, change) in changes {
        let world = World::new();
        world.tamper_json("/1.0/identifiers/", move |value| change(&mut value["proof"]));
        assert_eq!(is_lie(world.resolve()).code(), code);
        world.tamper_json("/v1/state", change);
        assert_eq!(is_lie(world.client.did_record(&world.did)).code(), code);
    }
}

#[test]
fn a_proof_of_something_else_is_refused() {
    let world = World::new();
    let issuer = world.node.with_ledger(|ledger| ledger.issuer.clone());
    let other = world.node.with_ledger(|ledger| proof_json(&ledger.state_proof(&format!("did/{issuer}"), 3)));
    let shown = other.clone();
    world.tamper_json("/1.0/identifiers/", move |value| value["proof"] = shown.clone());
    assert_eq!(is_lie(world.resolve()).code(), "proof.subject");
    world.tamper_json("/v1/state", move |value| *value = other.clone());
    assert_eq!(is_lie(world.client.state(&format!("did/{}", world.did))).code(), "proof.subject");
    let id = world.node.with_ledger(|ledger| {
        let submitted = update(ledger, &world.did);
        ledger.submit(&submitted).unwrap()
    });
    let receipt = world.node.with_ledger(|ledger| proof_json(&ledger.receipt_proof(&id).unwrap()));
    world.tamper_json("/v1/transactions/", move |value| *value = receipt.clone());
    assert_eq!(is_lie(world.client.receipt(world.creation.transaction.id())).code(), "client.contradiction");
}

#[test]
fn a_denial_of_a_did_that_is_there_is_refused() {
    let world = World::new();
    let world_did = world.did.clone();
    world.node.tamper(move |request, _, reply| {
        if request.url.path().contains(world_did.id()) {
            let error = aval_did::resolution::ResolutionError::NotFound;
            let result = aval_did::resolution::ResolutionResult::of_error(&error);
            *reply = Reply::Json(404, "application/did-resolution", serde_json::to_value(result).unwrap());
        }
    });
    assert_eq!(is_lie(world.resolve()).code(), "client.contradiction");
}

#[test]
fn the_certificate_of_another_network_is_refused() {
    let world = World::new();
    let stranger = FakeLedger::with_seed(20);
    let genesis = TrustedGenesis::parse(stranger.genesis.clone()).unwrap();
    let client = client(&world.node, &genesis);
    assert_eq!(is_lie(client.did_record(&world.did)).code(), "proof.network");
    // Nor do the stranger's validators certify here.
    let header = world.node.with_ledger(|ledger| ledger.head().header.clone());
    let certificate = serde_json::to_value(stranger.certify(&header)).unwrap();
    world.tamper_json("/v1/state", move |value| value["certificate"] = certificate.clone());
    assert_eq!(is_lie(world.client.did_record(&world.did)).code(), "proof.certificate");
}

#[test]
fn time_never_goes_back_not_even_over_a_restart() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.json");
    let genesis = TrustedGenesis::parse(world.node.with_ledger(|ledger| ledger.genesis.clone())).unwrap();
    let restarted = || {
        VerifyingClient::new(connect(&world.node), &genesis, Arc::new(FileCheckpoints::new(&file))).unwrap()
    };
    restarted().checkpoint().unwrap();
    let old =
        world.node.with_ledger(|ledger| proof_json(&ledger.state_proof(&format!("did/{}", world.did), 2)));
    world.tamper_json("/", move |value| *value = old.clone());
    let error = restarted().did_record(&world.did).unwrap_err();
    assert!(matches!(error, ClientError::Behind { seen: 3, answered: 2 }), "{error:?}");
    assert!(error.is_retryable() && !error.is_verified_invalid());
    // A client that has seen nothing cannot know.
    assert!(world.client.did_record(&world.did).is_ok());
}

#[test]
fn two_histories_are_noticed() {
    let world = World::new();
    world.client.checkpoint().unwrap();
    let forked = world.node.with_ledger(|ledger| {
        let mut header = ledger.head().header.clone();
        header.time_ms += 1;
        proof_json(&ledger.proof(&header, aval_proof::Claim::Header))
    });
    world.tamper_json("/v1/checkpoint", move |value| *value = forked.clone());
    assert_eq!(is_lie(world.client.checkpoint()).code(), "client.two_histories");
}

#[test]
fn a_client_follows_changes_of_the_validator_set_and_remembers_them() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.json");
    let genesis = TrustedGenesis::parse(world.node.with_ledger(|ledger| ledger.genesis.clone())).unwrap();
    let open = || {
        VerifyingClient::new(connect(&world.node), &genesis, Arc::new(FileCheckpoints::new(&file))).unwrap()
    };
    open().checkpoint().unwrap();
    let before = world.node.with_ledger(|ledger| ledger.blocks.len());
    for seed in [140, 150, 160, 170, 180] {
        world.node.with_ledger(|ledger| ledger.change_validators(seed));
        world.node.with_ledger(FakeLedger::heartbeat);
    }
    // Five changes, two an answer: they are asked for once, when an answer does not fit what is known.
    assert!(open().did_record(&world.did).unwrap().value.is_some());
    let client = open();
    assert_eq!(client.anchor().changes().len(), 5);
    world.node.with_ledger(|ledger| ledger.trust_chain.links.clear());
    assert!(client.did_record(&world.did).unwrap().value.is_some());
    // The past is certified by the set of its time.
    let old = world.node.with_ledger(|ledger| {
        let header = ledger.blocks[before].header.clone();
        ledger.proof(&header, aval_proof::Claim::Header)
    });
    assert_eq!(client.verify_past(&old).unwrap().height(), before as u64);
    assert!(matches!(client.verify(&old).unwrap_err(), ClientError::Behind { .. }));
    // Another change that the node does not account for.
    world.node.with_ledger(|ledger| ledger.change_validators(190));
    world.node.with_ledger(FakeLedger::heartbeat);
    world.node.with_ledger(|ledger| ledger.trust_chain.links.clear());
    assert_eq!(is_lie(client.did_record(&world.did)).code(), "proof.validator_set");
}

#[test]
fn programs_that_share_a_checkpoint_file_keep_the_newest() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.json");
    let genesis = TrustedGenesis::parse(world.node.with_ledger(|ledger| ledger.genesis.clone())).unwrap();
    let open = || {
        VerifyingClient::new(connect(&world.node), &genesis, Arc::new(FileCheckpoints::new(&file))).unwrap()
    };
    let (early, late) = (open(), open());
    early.checkpoint().unwrap();
    world.node.with_ledger(FakeLedger::heartbeat);
    late.checkpoint().unwrap();
    world.node.with_ledger(FakeLedger::heartbeat);
    early.checkpoint().unwrap();
    assert_eq!(open().anchor().checkpoint().unwrap().header.height, 5);
    std::fs::write(&file, "damaged").unwrap();
    let store = Arc::new(FileCheckpoints::new(&file));
    let error = VerifyingClient::new(connect(&world.node), &genesis, store).unwrap_err();
    assert_eq!(error.code(), "client.anchor");
}

#[test]
fn failures_of_the_node_and_the_network_are_told_apart() {
    let world = World::new();
    let cases: [(&str, bool, fn() -> Reply); 6] = [
        ("node.overloaded", true, || Reply::json(503, json!({"code": "node.overloaded", "title": "Busy"}))),
        ("client.failed", true, || Reply::Raw(500, "text/plain", b"oops".to_vec())),
        ("client.malformed", false, || Reply::Raw(200, "application/json", b"{\"a\":1,\"a\":2}".to_vec())),
        ("client.redirected", false, || Reply::Redirect("http://127.0.0.1:1/".to_owned())),
        ("client.too_large", false, || Reply::Raw(200, "application/json", vec![b' '; 5 * 1024 * 1024])),
        ("client.unreachable", true, || Reply::Nothing),
    ];
    for (code, is_retryable, reply) in cases {
        world.node.tamper(move |_, _, answer| *answer = reply());
        let error = world.client.node().status().unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (code, is_retryable), "{error:?}");
        assert!(!error.is_verified_invalid());
    }
}

#[test]
fn a_redirect_is_never_followed() {
    let world = World::new();
    let other = FakeNode::start(FakeLedger::new());
    let to = other.url();
    world.node.tamper(move |_, _, reply| *reply = Reply::Redirect(to.clone()));
    world.client.node().status().unwrap_err();
    world.client.submit(&world.creation).unwrap_err();
    assert!(other.paths().is_empty());
}

#[test]
fn nobody_listening_is_a_failure_of_the_network() {
    let client = NodeClient::new("http://127.0.0.1:1", &ClientOptions::default()).unwrap();
    let error = client.status().unwrap_err();
    assert_eq!(
        (error.code(), error.fault(), error.is_retryable()),
        ("client.unreachable", Fault::Network, true)
    );
}

#[test]
fn waiting_ends_with_the_patience() {
    let world = World::new();
    let unknown = world.node.with_ledger(|ledger| update(ledger, &world.did)).transaction.id();
    let error = world.client.wait(unknown, Duration::from_millis(250)).unwrap_err();
    assert!(matches!(error, ClientError::NotFinal { .. }) && error.is_retryable());
}

#[test]
fn addresses_that_would_show_what_is_sent_are_refused() {
    let options = ClientOptions::default();
    for good in ["http://127.0.0.1:8080", "http://localhost/", "http://[::1]:80", "https://node.example/base"]
    {
        assert!(NodeClient::new(good, &options).is_ok(), "{good}");
    }
    for bad in [
        "http://node.example",
        "ftp://node.example",
        "node.example",
        "https://me:secret@node.example",
        "https://n.example/?a",
    ] {
        let error = NodeClient::new(bad, &options).unwrap_err();
        assert_eq!((error.code(), error.fault()), ("client.address", Fault::Caller), "{bad}");
        assert!(!error.to_string().contains("secret"));
    }
    assert!(NodeClient::new("http://node.example", &ClientOptions { allow_http: true, ..options }).is_ok());
}

#[test]
fn a_did_of_another_network_is_not_even_asked_for() {
    let world = World::new();
    let other: Did = "did:aval:other:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG".parse().unwrap();
    assert_eq!(world.client.resolve(&other, VersionSelector::Latest).unwrap_err().code(), "client.request");
    assert!(world.node.paths().is_empty());
}

#[test]
fn a_trusted_node_is_believed_whatever_its_proof() {
    let world = World::new();
    world.tamper_json("/v1/state", |proof| proof["certificate"]["signers"] = json!([0, 1, 2]));
    let trusting = TrustNode::new(connect(&world.node));
    assert_eq!(trusting.did_record(&world.did).unwrap().value.unwrap().did, world.did);
}
