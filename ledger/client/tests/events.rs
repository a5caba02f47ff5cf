//! Reading events from a node that breaks off, and from one that lies.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aval_client::{
    ClientError, ClientOptions, EventQuery, EventReader, MemoryCheckpoints, NodeClient, TrustedGenesis,
    VerifyingClient,
};
use aval_did::{Control, Create, Document, SigningKey, VerificationMethod};
use aval_types::{Action, KeyId, Outcome, SubmittedTransaction, TransactionBuilder};
use serde_json::{Value, json};
use support::ledger::LABEL;
use support::server::{Request, proof_json};
use support::{FakeLedger, FakeNode, Reply};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(5);

fn creation(ledger: &FakeLedger, seed: u8) -> SubmittedTransaction {
    let key = |number: u8| SigningKey::from_seed(&[seed + number; 32]);
    let document = Document {
        verification_method: vec![VerificationMethod::multikey("#key-1", &key(2).public())],
        authentication: vec!["#key-1".to_owned()],
        ..Document::default()
    };
    let control = Control::single(&key(0).public(), &key(1).public());
    let operation = Create::new(LABEL, control, document).unwrap();
    let controller = KeyId::new(operation.did.clone(), key(0).public());
    let endorser = SigningKey::from_seed(&[99; 32]);
    let action = Action::DidCreate(aval_types::action::DidCreate { operation, grant: None });
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let builder = TransactionBuilder::new(ledger.network.clone(), action, Uuid::new_v4(), now_s - 10)
        .controller(controller)
        .endorser(KeyId::new(ledger.issuer.clone(), endorser.public()));
    SubmittedTransaction::new(builder.sign(&[&key(0), &endorser]).unwrap(), None)
}

/// A node whose ledger has three DIDs, and their events as a stream would tell them.
fn world() -> (FakeNode, VerifyingClient, Vec<(String, Value)>) {
    let mut ledger = FakeLedger::new();
    let mut told = Vec::new();
    for seed in [10, 20, 30] {
        let creation = creation(&ledger, seed);
        let id = ledger.submit(&creation).unwrap();
        let receipt = ledger.place(&id).unwrap().clone();
        let Outcome::Applied(events) = &receipt.outcome else { panic!("applied") };
        let place = format!("{}-{}-0", receipt.height, receipt.index);
        told.push((
            place.clone(),
            json!({
                "id": place, "height": receipt.height, "time": receipt.time_ms, "transaction": id,
                "receipt": format!("/v1/transactions/{id}/receipt"), "event": events[0],
                "proof": proof_json(&ledger.receipt_proof(&id).unwrap()),
            }),
        ));
    }
    ledger.heartbeat();
    let genesis = TrustedGenesis::parse(ledger.genesis.clone()).unwrap();
    let node = FakeNode::start(ledger);
    let connection = NodeClient::new(&node.url(), &ClientOptions::default()).unwrap();
    let client = VerifyingClient::new(connection, &genesis, Arc::new(MemoryCheckpoints::default())).unwrap();
    (node, client, told)
}

fn stream(text: String) -> Option<Reply> {
    Some(Reply::Raw(200, "text/event-stream", text.into_bytes()))
}

fn message((id, data): &(String, Value)) -> String {
    format!(": a comment\n\nid: {id}\nevent: {}\ndata: {data}\n\n", data["event"]["type"].as_str().unwrap())
}

fn is_events(request: &Request) -> bool {
    request.url.path() == "/v1/events"
}

#[test]
fn events_come_once_each_although_every_connection_breaks_off_somewhere() {
    let (node, client, told) = world();
    let expected: Vec<String> = told.iter().map(|(id, _)| id.clone()).collect();
    let mut connections = 0;
    node.serve_also(move |request| {
        if !is_events(request) {
            return None;
        }
        connections += 1;
        let last = request.header("last-event-id");
        let seen = told.iter().position(|(id, _)| Some(id.as_str()) == last).map_or(0, |place| place + 1);
        // One event and the beginning of the next one; now and then nothing at all, or no answer.
        match connections % 4 {
            0 => Some(Reply::Nothing),
            1 => stream(String::new()),
            _ => {
                let mut text = told.get(seen).map(message).unwrap_or_default();
                let next = told.get(seen + 1).map(message).unwrap_or_default();
                text += &next[..40.min(next.len())];
                stream(text)
            }
        }
    });
    let mut events = client.events(EventQuery { from: Some(0), ..EventQuery::default() });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = events.next_within(PATIENCE).unwrap().unwrap();
        assert_eq!(event.value.kind(), "did.created");
        assert!(event.value.typed().is_some());
        assert_eq!(event.height, event.value.place.height);
        seen.push(event.value.place.id());
    }
    assert_eq!(seen, expected);
    assert_eq!(events.last_id(), expected.last().map(String::as_str));
    assert!(events.next_within(Duration::from_millis(300)).unwrap().is_none());
}

#[test]
fn filters_and_the_last_id_are_sent_and_progress_without_events_is_kept() {
    let (node, _, _) = world();
    let (sender, requests) = std::sync::mpsc::channel();
    node.serve_also(move |request| {
        if !is_events(request) {
            return None;
        }
        sender
            .send((
                request.query("type"),
                request.query("from"),
                request.query("proof"),
                request.header("last-event-id").map(str::to_owned),
            ))
            .unwrap();
        stream("id: 41\n: so far\n\n".to_owned())
    });
    let connection = NodeClient::new(&node.url(), &ClientOptions::default()).unwrap();
    let query = EventQuery {
        from: Some(7),
        kinds: vec!["did.*".to_owned(), "grant.created".to_owned()],
        ..EventQuery::default()
    };
    let mut reader = EventReader::new(connection, query, false);
    assert!(reader.next_within(Duration::from_millis(300)).unwrap().is_none());
    assert_eq!(reader.last_id(), Some("41"));
    let kinds = Some("did.*,grant.created".to_owned());
    let first = requests.recv().unwrap();
    assert_eq!(first, (kinds.clone(), Some("7".to_owned()), None, None));
    let second = requests.recv().unwrap();
    assert_eq!(second.3, Some("41".to_owned()), "it goes on where it was told to be");
}

#[test]
fn an_event_that_is_not_the_one_of_its_proof_is_not_believed() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 6] = [
        ("another event", |data| {
            data["event"]["versionId"] = json!("1-QmWQMGJDGtkcQf8sRCPTxq1qNYCqzkTDuQMUmyJfFcCZpN")
        }),
        ("another time", |data| data["time"] = json!(7)),
        ("another transaction", |data| data["transaction"] = json!("00".repeat(32))),
        ("another place", |data| {
            data["id"] = json!(data["id"].as_str().unwrap().replace("-0-0", "-0-1"));
        }),
        ("no proof", |data| {
            data.as_object_mut().unwrap().remove("proof");
        }),
        ("another receipt's proof", |data| data["proof"]["receipt"]["bytes"] = json!("e30")),
    ];
    for (name, change) in changes {
        let (node, client, told) = world();
        let mut data = told[1].1.clone();
        change(&mut data);
        let text = message(&(data["id"].as_str().unwrap().to_owned(), data));
        node.serve_also(move |request| if is_events(request) { stream(text.clone()) } else { None });
        let error = client.events(EventQuery::default()).next_within(PATIENCE).expect_err(name);
        assert!(error.is_verified_invalid(), "{name}: {error:?}");
    }
}

#[test]
fn an_event_that_comes_twice_or_out_of_order_is_an_error_and_a_refusal_is_told() {
    let (node, _, told) = world();
    let text = [message(&told[1]), message(&told[0])].concat();
    node.serve_also(move |request| if is_events(request) { stream(text.clone()) } else { None });
    let connection = NodeClient::new(&node.url(), &ClientOptions::default()).unwrap();
    let mut reader = EventReader::new(connection.clone(), EventQuery::default(), false);
    reader.next_within(PATIENCE).unwrap().unwrap();
    assert!(matches!(reader.next_within(PATIENCE), Err(ClientError::Contradiction(_))));
    let problem = json!({"code": "request.malformed", "title": "The request cannot be read"});
    node.serve_also(move |request| is_events(request).then(|| Reply::json(400, problem.clone())));
    let error = EventReader::new(connection, EventQuery::default(), false).next_within(PATIENCE).unwrap_err();
    assert_eq!(error.code(), "request.malformed");
}
