//! `aval node …`: registering nodes, and administering one's own with the operator's keys, which stay here.

use aval_client::{AdminClient, ClientOptions};
use aval_codec::{Hash, Json};
use aval_did::PublicKey;
use aval_types::Action;
use aval_types::access::{AccessRequest, AccessToken};
use aval_types::node::key_bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::acting::{self, Actor, Request, word};
use crate::app::{App, now_s};
use crate::cli::{AdminArgs, NodeCommand, RegisterArgs};
use crate::error::WalletError;
use crate::governance::entry;
use crate::home;
use crate::output::{Text, date_time};

/// The list of registered keys.
const NODES: &str = "nodes";

pub(crate) fn run(app: &App, command: NodeCommand) -> Result<(), WalletError> {
    match command {
        NodeCommand::Register(arguments) => register(app, &arguments),
        NodeCommand::Update { key, addresses, actor } => {
            let action = acting::action(&json!({"type": "node.update", "key": key, "addresses": addresses}))?;
            let request = Request {
                actor: &actor,
                action,
                question: "Change them?",
                done: "the addresses are changed",
            };
            acting::send(app, request)
        }
        NodeCommand::Leave { key, actor } => {
            let action = acting::action(&json!({"type": "node.leave", "key": key}))?;
            let done = "the node leaves, a validator at the end of an epoch";
            acting::send(app, Request { actor: &actor, action, question: "Take it out?", done })
        }
        NodeCommand::List => list(app),
        NodeCommand::Faults => {
            let faults = app.connection()?.ledger()?.node().faults()?;
            app.output.data(&json!({"faults": faults}), |text| {
                if faults.is_empty() {
                    text.line("This node has seen no validator contradict itself.");
                }
                for key in faults.iter().filter_map(accused) {
                    text.line(&format!(
                        "{key} contradicts itself; `aval node report {key}` puts it on record"
                    ));
                }
            })
        }
        NodeCommand::Report { key, actor } => {
            let faults = app.connection()?.ledger()?.node().faults()?;
            let proof = faults.into_iter().find(|fault| accused(fault).as_ref() == Some(&key));
            let none = || WalletError::NotFound(format!("this node has no fault proof of {key}"));
            let question =
                "Put this fault proof on the ledger? The validator is suspended at once, for good.";
            let done = "the validator is suspended, and the proof is on record";
            acting::send(app, Request { actor: &actor, action: proof.ok_or_else(none)?, question, done })
        }
        NodeCommand::Status(admin) => {
            let status = ask(app, &admin, "GET", "status", None, &[])?;
            app.output.data(&status, |text| {
                text.title(&word(&status["name"]));
                fields(text, &status, &["name", "peers"]);
            })
        }
        NodeCommand::Peers(admin) => {
            let peers = ask(app, &admin, "GET", "peers", None, &[])?;
            app.output.data(&peers, |text| {
                for peer in peers.as_array().into_iter().flatten() {
                    text.title(&word(&peer["name"]));
                    fields(text, peer, &["name"]);
                }
            })
        }
        NodeCommand::LogLevel { filter, admin } => {
            let answer = match filter {
                None => ask(app, &admin, "GET", "log-level", None, &[])?,
                Some(filter) => {
                    let body = json!({"filter": filter}).to_string();
                    ask(app, &admin, "PUT", "log-level", None, body.as_bytes())?
                }
            };
            app.output.data(&answer, |text| {
                text.done(&format!("the node logs {}", word(&answer["filter"])));
            })
        }
        NodeCommand::AccessLog { last, admin } => {
            let log = ask(app, &admin, "GET", "access-log", Some(("last", &last.to_string())), &[])?;
            app.output.data(&log, |text| {
                for entry in log["entries"].as_array().into_iter().flatten() {
                    text.title(&format!("{} {}", word(&entry["number"]), word(&entry["time"])));
                    fields(text, entry, &["number", "time", "previous"]);
                }
                text.field("hash", &word(&log["hash"]));
            })
        }
        NodeCommand::Stop(admin) => {
            app.output.confirm("Stop the node?", admin.actor.yes)?;
            ask(app, &admin, "POST", "stop", None, &[])?;
            app.output.data(&json!({"stopping": true}), |text| {
                text.done("the node stops");
            })
        }
    }
}

/// Whose fault an action proves.
fn accused(action: &Action) -> Option<String> {
    match action {
        Action::NodeEvidence(evidence) => Some(evidence.key.to_multikey()),
        _ => None,
    }
}

fn fields(text: &mut Text, value: &Value, but: &[&str]) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if !but.contains(&name.as_str()) {
            text.field(name, &word(value));
        }
    }
}

/// What `avald node-proof` prints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeProof {
    key: String,
    operator: String,
    proof: String,
}

fn register(app: &App, arguments: &RegisterArgs) -> Result<(), WalletError> {
    let unreadable =
        |_| WalletError::Failed(format!("{} is no proof of a node's key", arguments.proof.display()));
    let proof: NodeProof =
        serde_json::from_slice(&home::read_input(&arguments.proof)?).map_err(unreadable)?;
    let action = acting::action(&json!({
        "type": "node.register", "key": proof.key, "kind": arguments.kind.word(), "name": arguments.name,
        "addresses": arguments.addresses, "sector": arguments.sector, "region": arguments.region, "proof": proof.proof,
    }))?;
    let mut actor = arguments.actor.clone();
    // The key has said whom it belongs to.
    actor.did.get_or_insert(proof.operator);
    let done = "the node is registered; it may connect now";
    acting::send(app, Request { actor: &actor, action, question: "Register this node?", done })
}

fn list(app: &App) -> Result<(), WalletError> {
    let ledger = app.connection()?.ledger()?;
    let index = entry(&ledger, NODES)?;
    let mut nodes = Vec::new();
    let keys = index.value.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for key in keys {
        let bytes = PublicKey::from_multikey(key).ok().as_ref().and_then(key_bytes);
        let bytes =
            bytes.ok_or_else(|| WalletError::Failed(format!("{key} on the ledger is no node's key")))?;
        nodes.extend(entry(&ledger, &format!("node/{}", Hash::new(bytes)))?.value);
    }
    let value = json!({
        "nodes": nodes,
        "height": index.height,
        "time": date_time(index.time_ms),
        "verified": index.proof.is_some(),
    });
    app.output.data(&value, |text| {
        if nodes.is_empty() {
            text.line("No node is registered.");
        }
        for node in &nodes {
            text.title(&word(&node["name"]));
            fields(text, node, &["name"]);
        }
    })
}

/// Asks a node's interface for its operator, with a fresh token.
fn ask(
    app: &App,
    admin: &AdminArgs,
    method: &str,
    resource: &str,
    query: Option<(&str, &str)>,
    body: &[u8],
) -> Result<Value, WalletError> {
    let connection = app.connection()?;
    let (network, ledger) = (connection.network_id()?, connection.ledger()?);
    let options = ClientOptions { allow_http: app.global.allow_http, ..ClientOptions::default() };
    let client = AdminClient::new(&admin.admin, &options)?;
    let identity = client.identity()?;
    if identity.network != network.to_string() {
        return Err(WalletError::Usage(format!("{} is a node of another network", admin.admin)));
    }
    expect_key(&identity.key, admin.node_key.as_deref(), &admin.admin)?;
    let actor = Actor::find(app, &admin.actor, &network, &ledger)?;
    let answer = client.ask(method, resource, query, body, signer(&actor, identity.key)?)?;
    to_value(&answer)
}

/// A node that is not the one that was named gets no token.
pub(crate) fn expect_key(key: &str, named: Option<&str>, address: &str) -> Result<(), WalletError> {
    match named {
        Some(named) if named != key => Err(WalletError::Invalid {
            code: "access.audience",
            message: format!("the node at {address} has the key {key}, not the one that was named"),
        }),
        _ => Ok(()),
    }
}

/// Makes tokens for a node.
pub(crate) fn signer(
    actor: &Actor,
    node_key: String,
) -> Result<impl Fn(&AccessRequest) -> String + use<>, WalletError> {
    let (kid, key) = actor.authentication()?;
    Ok(move |request: &AccessRequest| {
        let now = u64::try_from(now_s()).unwrap_or_default();
        AccessToken::sign(&kid, &key, &node_key, request, Uuid::new_v4(), now)
    })
}

fn to_value(json: &Json) -> Result<Value, WalletError> {
    serde_json::from_slice(&json.to_jcs())
        .map_err(|_| WalletError::Failed("the node's answer cannot be read".to_owned()))
}
