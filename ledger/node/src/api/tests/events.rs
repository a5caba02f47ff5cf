//! The stream of events: nothing missing, nothing doubled, filtered, provable, and bounded.

use std::time::Duration;

use aval_proof::Proven;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures::StreamExt;
use serde_json::Value;

use super::lab::Lab;
use crate::config::{ApiConfig, EventsConfig};
use crate::core::CoreOptions;

/// A message of the stream.
#[derive(Debug, Clone, Default, PartialEq)]
struct Message {
    id: Option<String>,
    event: Option<String>,
    data: Option<Value>,
    comment: Option<String>,
}

/// A reader of the stream.
struct Reader {
    body: BodyDataStream,
    buffer: String,
}

impl Reader {
    /// The next message; `None` at the end of the stream or if nothing comes for a moment.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((message, rest)) = self.buffer.split_once("\n\n") {
                let message = parse(message);
                self.buffer = rest.to_owned();
                return Some(message);
            }
            let chunk = tokio::time::timeout(Duration::from_millis(700), self.body.next()).await.ok()??;
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    /// The events that come until nothing comes for a moment.
    async fn events(&mut self) -> Vec<Message> {
        let mut events = Vec::new();
        while let Some(message) = self.next().await {
            if message.data.is_some() {
                events.push(message);
            }
        }
        events
    }
}

fn parse(text: &str) -> Message {
    let mut message = Message::default();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap();
        let value = value.trim_start().to_owned();
        match name {
            "id" => message.id = Some(value),
            "event" => message.event = Some(value),
            "data" => message.data = Some(serde_json::from_str(&value).unwrap()),
            "" => message.comment = Some(value),
            other => panic!("an unknown field {other}"),
        }
    }
    message
}

async fn read(lab: &Lab, query: &str, last: Option<&str>) -> Reader {
    let mut request = Request::get(format!("/v1/events?{query}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = lab.open(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Reader { body: response.into_body().into_data_stream(), buffer: String::new() }
}

fn ids(events: &[Message]) -> Vec<String> {
    events.iter().map(|event| event.id.clone().unwrap()).collect()
}

/// A registry, two members and a revocation, the members in one block.
async fn story(seed: u64, api: ApiConfig) -> (Lab, [String; 2]) {
    let mut lab = Lab::with(seed, CoreOptions::default(), api);
    let registry = lab.kit.create_registry();
    lab.finalize(&registry).await;
    let companies = [lab.kit.company(1), lab.kit.company(2)];
    let credentials = companies.each_ref().map(|company| lab.kit.membership(company));
    for (company, credential) in companies.iter().zip(&credentials) {
        lab.accept(&company.create_with(&lab.kit, credential)).await;
    }
    lab.make_block(true).await;
    lab.make_block(true).await;
    let revocation = lab.kit.revoke(&credentials[0]);
    lab.finalize(&revocation).await;
    (lab, companies.map(|company| company.did.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_events_come_in_order_and_each_names_its_transaction_and_receipt() {
    let (lab, _) = story(1, ApiConfig::default()).await;
    let events = read(&lab, "from=0", None).await.events().await;
    assert_eq!(ids(&events), ["1-0-0", "2-0-0", "2-0-1", "2-1-0", "2-1-1", "4-0-0"]);
    let kinds: Vec<&str> = events.iter().map(|event| event.event.as_deref().unwrap()).collect();
    assert_eq!(kinds[0], "registry.created");
    assert_eq!(kinds.last(), Some(&"registry.updated"));
    for event in &events {
        let data = event.data.as_ref().unwrap();
        assert_eq!(data["id"], event.id.as_deref().unwrap());
        assert_eq!(data["event"]["type"], event.event.as_deref().unwrap());
        assert!(data.get("proof").is_none());
        let receipt = lab.get(data["receipt"].as_str().unwrap()).await.json();
        let verified = lab.verify(&receipt);
        assert_eq!(
            verified.receipt().unwrap().transaction.to_string(),
            data["transaction"].as_str().unwrap()
        );
        assert_eq!(verified.height(), data["height"].as_u64().unwrap());
        assert_eq!(verified.time_ms(), data["time"].as_u64().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_every_id_on_exactly_the_rest_comes() {
    let (lab, _) = story(2, ApiConfig::default()).await;
    let all = read(&lab, "from=0", None).await.events().await;
    for (place, event) in all.iter().enumerate() {
        let rest = read(&lab, "from=0", event.id.as_deref()).await.events().await;
        assert_eq!(rest, all[place + 1..], "after {:?}", event.id);
    }
    assert_eq!(ids(&read(&lab, "", Some("1")).await.events().await), ids(&all[1..]));
    assert_eq!(ids(&read(&lab, "from=3", None).await.events().await), ["4-0-0"]);
    assert!(read(&lab, "from=latest", None).await.events().await.is_empty());
    assert!(read(&lab, "from=1000", None).await.events().await.is_empty(), "it waits for the height");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_select_by_type_did_issuer_and_registry() {
    let (lab, [first, second]) = story(3, ApiConfig::default()).await;
    let issuer = &lab.kit.issuer.did;
    let registry = lab.kit.registry_id();
    for (query, expected) in [
        ("type=registry.created".to_owned(), vec!["1-0-0"]),
        ("type=registry.*".to_owned(), vec!["1-0-0", "4-0-0"]),
        ("type=did.created,registry.updated".to_owned(), vec!["2-0-0", "2-1-0", "4-0-0"]),
        (format!("did={first}"), vec!["2-0-0", "2-0-1"]),
        (format!("did={second}&type=grant.*"), vec!["2-1-1"]),
        (format!("issuer={issuer}"), vec!["2-0-1", "2-1-1"]),
        (format!("registry={registry}"), vec!["1-0-0", "4-0-0"]),
        (format!("did={issuer}&type=registry.*"), vec!["1-0-0", "4-0-0"]),
        (format!("issuer={first}"), vec![]),
    ] {
        let mut events = read(&lab, &format!("from=0&{query}"), None).await.events().await;
        // Which of the two members came first in the block is the pool's business.
        if query.contains("did=") && !expected.is_empty() {
            assert_eq!(events.len(), expected.len(), "{query}");
            events.clear();
        } else {
            assert_eq!(ids(&events), expected, "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_at_the_newest_block_hears_of_each_further_one_and_where_it_is() {
    let events = EventsConfig { heartbeat_ms: 50, ..EventsConfig::default() };
    let (mut lab, _) = story(4, ApiConfig { events, ..ApiConfig::default() }).await;
    let mut reader = read(&lab, "type=did.created", None).await;
    let (member, _) = lab.member(7).await;
    let mut created = None;
    while created.is_none() {
        created = reader.next().await.unwrap().data;
    }
    assert_eq!(created.unwrap()["event"]["did"], member.did.as_str());
    lab.make_block(true).await;
    // Nothing of interest happened since, and the stream says how far it is all the same.
    let mut progress = reader.next().await.unwrap();
    while progress.id.as_deref() != Some("6") {
        assert!(progress.data.is_none());
        progress = reader.next().await.unwrap();
    }
    let mut later = read(&lab, "type=did.created", Some("6")).await;
    for _ in 0..3 {
        assert_eq!(later.next().await.unwrap().data, None, "what came before is not told again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_proofs_each_event_is_proven_from_genesis_and_told_once_it_can_be() {
    let (mut lab, _) = story(5, ApiConfig::default()).await;
    let mut reader = read(&lab, "from=0&proof=true", None).await;
    let events = reader.events().await;
    assert_eq!(events.len(), 6);
    for event in &events {
        let data = event.data.as_ref().unwrap();
        let Proven::Receipt(receipt) = lab.verify(&data["proof"]).proven().clone() else {
            panic!("a receipt")
        };
        let place: usize = event.id.as_ref().unwrap().rsplit('-').next().unwrap().parse().unwrap();
        let aval_types::Outcome::Applied(told) = &receipt.outcome else { panic!("applied") };
        assert_eq!(serde_json::to_value(&told[place]).unwrap(), data["event"]);
    }
    let company = lab.kit.company(9);
    lab.accept(&company.create_with(&lab.kit, &lab.kit.membership(&company))).await;
    lab.make_block(false).await;
    assert!(reader.events().await.is_empty(), "final, and not provable yet");
    lab.make_block(true).await;
    assert_eq!(ids(&reader.events().await), ["5-0-0", "5-0-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_is_cut_off_and_comes_back_for_the_rest() {
    let events = EventsConfig { stall_ms: 100, readers_max: 1, ..EventsConfig::default() };
    let (mut lab, _) = story(6, ApiConfig { events, ..ApiConfig::default() }).await;
    for number in 0..30 {
        lab.accept(&{
            let company = lab.kit.company(100 + number);
            company.create_with(&lab.kit, &lab.kit.membership(&company))
        })
        .await;
    }
    lab.make_block(true).await;
    let mut reader = read(&lab, "from=0", None).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    // Its place is free, although it still holds its end of the stream.
    let all = read(&lab, "from=0", None).await.events().await;
    assert_eq!(all.len(), 66);
    let (mut seen, mut comment) = (Vec::new(), None);
    while let Some(message) = reader.next().await {
        if message.data.is_some() {
            seen.push(message.clone());
        }
        comment = message.comment;
    }
    assert!(!seen.is_empty() && seen.len() < all.len());
    assert!(comment.unwrap().contains("cut off"), "the last word says why");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let last = seen.last().unwrap().id.clone();
    seen.extend(read(&lab, "from=0", last.as_deref()).await.events().await);
    assert_eq!(seen, all, "nothing is missing and nothing doubled");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_above_the_limit_are_refused_until_one_leaves() {
    let events = EventsConfig { readers_max: 2, heartbeat_ms: 20, ..EventsConfig::default() };
    let (lab, _) = story(7, ApiConfig { events, ..ApiConfig::default() }).await;
    let first = read(&lab, "", None).await;
    let _second = read(&lab, "", None).await;
    assert_eq!(lab.get("/v1/events").await.problem(), (503, "node.overloaded".into()));
    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _third = read(&lab, "", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_malformed() {
    let lab = Lab::ready(8).await;
    for query in [
        "from=-1",
        "from=x",
        "from=",
        "type=",
        "type=did",
        "did=bob",
        "did=did:web:example.com",
        "issuer=x",
        "registry=x",
        "proof=maybe",
        "since=1",
    ] {
        let answer = lab.get(&format!("/v1/events?{query}")).await;
        assert_eq!(answer.problem(), (400, "request.malformed".into()), "{query}");
    }
    let request = Request::get("/v1/events").header("last-event-id", "x").body(Body::empty()).unwrap();
    assert_eq!(lab.send(request).await.problem(), (400, "request.malformed".into()));
}
