//! `avald policy`: what a policy says of a transaction, and whether a policy may be proposed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aval_machine::policy::{Policy, self_lock};
use aval_store::{Ledger, StoreConfig};
use aval_types::{SubmittedTransaction, TransactionId};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output;
use crate::config::Home;
use crate::explain::{self, ExplainError};
use crate::fault::{Fault, file_fault};
use crate::genesis_file::GenesisFile;
use crate::probe;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say which policy allows or denies a transaction, and what it asks about.
    Explain(ExplainArguments),
    /// Check a policy file: whether it is valid and would not lock the network out of its own government.
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// A transaction on the ledger by its id, or a file with a submission (as POST /v1/transactions takes it).
    #[arg(value_name = "TX")]
    transaction: String,
    /// The folder of a node that is not running.
    #[arg(long, value_name = "DIR", required_unless_present = "node", conflicts_with = "node")]
    home: Option<PathBuf>,
    /// For a file: the height of the state to ask, instead of the newest.
    #[arg(long, value_name = "HEIGHT", requires = "home")]
    height: Option<u64>,
    /// Ask a running node at this address (http://IP:PORT) about a transaction on the ledger.
    #[arg(long, value_name = "URL")]
    node: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::Explain(arguments) => {
            let explained = match (&arguments.node, &arguments.home) {
                (Some(url), _) => ask(url, &arguments.transaction)?,
                (None, Some(home)) => look_up(home, &arguments.transaction, arguments.height)?,
                (None, None) => {
                    return Err(Fault::usage("name a node with --node or its folder with --home"));
                }
            };
            if arguments.json {
                output::json(&explained);
            } else {
                lines(&explained).iter().for_each(|line| output::data(line));
            }
            Ok(())
        }
        Command::Check(arguments) => check(arguments),
    }
}

fn check(arguments: &CheckArguments) -> Result<(), Fault> {
    let text = std::fs::read_to_string(&arguments.file)
        .map_err(|error| file_fault("the check", &arguments.file, &error))?;
    let file = arguments.file.display();
    let policy = Policy::parse(&text)
        .map_err(|error| Fault::invalid(format!("{file} is not a policy set: {error}")))?;
    self_lock(&policy)
        .map_err(|reason| Fault::invalid(format!("{file} would lock its network out: {reason}")))?;
    if arguments.json {
        output::json(&json!({ "valid": true, "hash": policy.hash() }));
    } else {
        output::data(&format!("valid, SHA-256 {}", policy.hash()));
    }
    Ok(())
}

fn look_up(home: &Path, transaction: &str, height: Option<u64>) -> Result<Value, Fault> {
    let home = Home::open(home)?;
    let genesis = GenesisFile::read(&home.genesis_file())?;
    let ledger = Ledger::open(&home.ledger_folder(), &genesis.hash, StoreConfig::default())?;
    let explained = match transaction.parse::<TransactionId>() {
        Ok(id) => explain::of_final(&ledger, &genesis.network, &id)
            .map_err(fault)?
            .ok_or_else(|| Fault::not_found(format!("transaction {id} is not on the ledger of this node")))?,
        Err(_) => {
            let path = Path::new(transaction);
            let bytes = std::fs::read(path).map_err(|error| file_fault("the explanation", path, &error))?;
            let submitted = SubmittedTransaction::from_body(bytes.trim_ascii())
                .map_err(|reject| Fault::invalid(format!("{transaction} is not a submission: {reject}")))?;
            explain::of_submission(&ledger, &genesis.network, submitted, height).map_err(fault)?
        }
    };
    serde_json::to_value(explained).map_err(|error| Fault::failed(error.to_string()))
}

fn fault(error: ExplainError) -> Fault {
    match error {
        ExplainError::Reject(reject) => Fault::invalid(format!("whatever the policy, {reject}")),
        ExplainError::Store(error) => error.into(),
        ExplainError::State(error) => Fault::invalid(error.to_string()),
    }
}

fn ask(url: &str, transaction: &str) -> Result<Value, Fault> {
    let id: TransactionId = transaction
        .parse()
        .map_err(|_| Fault::usage("a node is asked by the id of a transaction, 64 hexadecimal digits"))?;
    let address: SocketAddr = url
        .strip_prefix("http://")
        .and_then(|rest| rest.trim_end_matches('/').parse().ok())
        .ok_or_else(|| Fault::usage(format!("{url} is not http://IP:PORT")))?;
    match probe::get(address, &format!("/v1/transactions/{id}/policy"), PATIENCE) {
        Some((200, body)) => serde_json::from_slice(&body)
            .map_err(|_| Fault::failed(format!("what answers at {url} is not a node of Aval"))),
        Some((404, _)) => {
            Err(Fault::not_found(format!("transaction {id} is not on the ledger of this node")))
        }
        Some((status, _)) => Err(Fault::failed(format!("the node at {url} answered {status}"))),
        None => Err(Fault::try_later(format!("no node answers at {url}"))),
    }
}

/// What people read.
fn lines(explained: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let list = |value: &Value| {
        let items: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
        if items.is_empty() { "none".to_owned() } else { items.join(", ") }
    };
    let mut lines = vec![
        format!("transaction  {}", text(&explained["transaction"])),
        format!("action       {}", text(&explained["action"])),
        format!("state        after block {}", explained["stateHeight"]),
    ];
    if let Some(outcome) = explained["outcome"].as_str() {
        let code = explained["code"].as_str().map(|code| format!(", {code}")).unwrap_or_default();
        lines.push(format!("outcome      {outcome}{code}"));
    }
    let policy = &explained["policy"];
    if policy.is_null() {
        lines.push("policy       not asked: the DID that acts is not on the ledger".to_owned());
        return lines;
    }
    let verdict = if policy["allowed"] == Value::Bool(true) { "allowed" } else { "denied" };
    lines.push(format!("policy       {} since block {}", text(&policy["policy"]), policy["since"]));
    lines.push(format!("verdict      {verdict}"));
    lines.push(format!("decided by   {}", list(&policy["policies"])));
    lines.push(format!("asks about   {}", list(&policy["attributes"])));
    if let Some(code) = policy["code"].as_str() {
        lines.push(format!("refused      {code}"));
    }
    lines
}
