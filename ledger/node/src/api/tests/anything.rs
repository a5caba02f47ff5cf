//! Whatever is asked, the node answers, and is never the one at fault.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::lab::Lab;

/// Requests in all.
const REQUESTS: u32 = 4_000;
/// How long the head of an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A parameter as it stands in the description: its name and where it goes.
type Parameter = (String, String);

/// Each operation of the description: method, path, parameters.
fn operations() -> Vec<(String, String, Vec<Parameter>)> {
    let description: Value = serde_json::from_str(&crate::api::openapi_json()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let parameters = parameters.iter().map(|one| (text(&one["name"]), text(&one["in"]))).collect();
            operations.push((method.to_uppercase(), path.clone(), parameters));
        }
    }
    operations
}

/// What a parameter may hold: right, nearly right, at a border, or anything.
fn value(known: Vec<String>) -> impl Strategy<Value = String> {
    let borders =
        ["", "0", "1", "-1", "18446744073709551615", "18446744073709551616", "1e9", "true", "null", ".."];
    prop_oneof![
        3 => prop::sample::select(known.clone()),
        2 => (prop::sample::select(known), any::<prop::sample::Index>(), any::<char>()).prop_map(|(text, at, new)| {
            let mut letters: Vec<char> = text.chars().collect();
            if !letters.is_empty() {
                let at = at.index(letters.len());
                letters[at] = new;
            }
            letters.into_iter().collect()
        }),
        2 => prop::sample::select(borders.map(str::to_owned).to_vec()),
        2 => "\\PC{0,40}",
        1 => "[0-9a-f]{64}",
        1 => (1_usize..3_000).prop_map(|length| "9".repeat(length)),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ]
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A request of an operation with these values; `None` if a header cannot hold one.
fn request(
    (method, path, parameters): &(String, String, Vec<Parameter>),
    values: &[Option<String>],
    body: Vec<u8>,
) -> Option<Request<Body>> {
    let (mut path, mut query, mut headers) = (path.clone(), String::new(), Vec::new());
    for ((name, place), value) in parameters.iter().zip(values) {
        match (place.as_str(), value) {
            ("path", value) => {
                let value = value.as_deref().filter(|value| !value.is_empty()).unwrap_or("x");
                path = path.replace(&format!("{{{name}}}"), &escaped(value));
            }
            // A node waits for a transaction as long as it is asked to, which is not the matter here.
            ("query", Some(value))
                if name == "wait_ms" && value.parse().is_ok_and(|wait_ms: u64| wait_ms > 20) => {}
            ("query", Some(value)) => query += &format!("&{name}={}", escaped(value)),
            (_, Some(value)) => headers.push((name.clone(), value.clone())),
            (_, None) => {}
        }
    }
    let mut request =
        Request::builder().method(method.as_str()).uri(format!("{path}?{}", query.trim_start_matches('&')));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.header("content-type", "application/json").body(Body::from(body)).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_answered_with_a_fault_of_the_node() {
    let mut lab = Lab::ready(77).await;
    let (company, _) = lab.member(1).await;
    let update = company.clone().update(&lab.kit, lab.kit.document(&company, 2));
    let id = lab.finalize(&update).await;
    let known = vec![
        company.did.to_string(),
        id.to_string(),
        lab.kit.validator_keys()[0].public().to_multikey(),
        "did".to_owned(),
        "json".to_owned(),
        "2".to_owned(),
    ];
    let operations = operations();
    let count = operations.iter().map(|(_, _, parameters)| parameters.len()).max().unwrap();
    let body = update.to_body();
    let one = (
        prop::sample::select(operations),
        prop::collection::vec(prop::option::weighted(0.8, value(known)), count),
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (any::<prop::sample::Index>(), any::<u8>()).prop_map(move |(at, byte)| {
                let mut body: Vec<u8> = body.clone();
                let at = at.index(body.len());
                body[at] = byte;
                body
            }),
        ],
    );
    let mut runner = TestRunner::deterministic();
    for _ in 0..REQUESTS {
        let (operation, values, body) = one.new_tree(&mut runner).unwrap().current();
        let Some(request) = request(&operation, &values, body) else { continue };
        let told = format!("{} {} {values:?}", request.method(), request.uri());
        // The stream of events has no end, so only the head of an answer is waited for.
        let answer = tokio::time::timeout(PATIENCE, lab.open(request)).await;
        let status = answer.unwrap_or_else(|_| panic!("no answer: {told}")).status();
        let is_fine = status.as_u16() < 500 || status == StatusCode::SERVICE_UNAVAILABLE;
        assert!(is_fine, "{status}: {told}");
    }
}
