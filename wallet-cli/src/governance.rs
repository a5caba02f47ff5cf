//! `aval governance …`: what governors decide together.
//!
//! Everything read here is a state entry with its proof. The list of open proposals is one entry, so that a node cannot
//! leave one out unnoticed.

use aval_types::TransactionId;
use serde_json::{Value, json};

use crate::acting::{self, Request, word};
use crate::app::App;
use crate::cli::{GovernanceCommand, ProposeArgs};
use crate::error::WalletError;
use crate::home;
use crate::ledger::{Dated, Ledger};
use crate::output::{Text, date_time};

/// Blocks added to the notice, for the time until the proposal itself is in a block.
const NOTICE_SLACK: u64 = 5;
/// The notice where the parameters name none.
const NOTICE_BLOCKS: u64 = 10;
/// The list of proposals that have no outcome yet.
const OPEN: &str = "proposals";

pub(crate) fn run(app: &App, command: GovernanceCommand) -> Result<(), WalletError> {
    match command {
        GovernanceCommand::Propose(arguments) => propose(app, &arguments),
        GovernanceCommand::Vote { proposal, approve, reject: _, actor } => {
            let proposal = parse(&proposal)?;
            let action = acting::action(
                &json!({"type": "governance.vote", "proposal": proposal, "approve": approve}),
            )?;
            let done = if approve { "voted for it" } else { "voted against it" };
            acting::send(app, Request { actor: &actor, action, question: "Vote so?", done })
        }
        GovernanceCommand::List => list(app),
        GovernanceCommand::Show { proposal } => show(app, parse(&proposal)?),
    }
}

fn parse(id: &str) -> Result<TransactionId, WalletError> {
    id.parse().map_err(|_| {
        WalletError::Usage(
            "a proposal is named by the id of its transaction, 64 lowercase hexadecimal digits".to_owned(),
        )
    })
}

/// A state entry that is JSON, or its absence.
pub(crate) fn entry(ledger: &Ledger, key: &str) -> Result<Dated<Option<Value>>, WalletError> {
    let Dated { value, height, time_ms, proof } = ledger.state(key)?;
    let value = value.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    let value =
        value.map_err(|_| WalletError::Failed(format!("the ledger's entry {key} cannot be read here")))?;
    Ok(Dated { value, height, time_ms, proof })
}

fn propose(app: &App, arguments: &ProposeArgs) -> Result<(), WalletError> {
    let change: Value = serde_json::from_slice(&home::read_input(&arguments.change)?)
        .map_err(|error| WalletError::Usage(format!("this is no change: {error}")))?;
    let execute_at = match arguments.execute_at {
        Some(height) => height,
        None => {
            let parameters = entry(&app.connection()?.ledger()?, "parameters")?;
            let notice =
                parameters.value.as_ref().and_then(|value| value["governance"]["noticeBlocks"].as_u64());
            let blocks = arguments.after.unwrap_or(notice.unwrap_or(NOTICE_BLOCKS) + NOTICE_SLACK);
            parameters.height.saturating_add(blocks)
        }
    };
    let action = acting::action(&json!({
        "type": "governance.propose", "change": change, "executeAt": execute_at, "title": arguments.title,
    }))?;
    let done = format!("proposed; it is executed at height {execute_at} if enough governors vote for it");
    acting::send(app, Request { actor: &arguments.actor, action, question: "Propose this?", done: &done })
}

fn list(app: &App) -> Result<(), WalletError> {
    let ledger = app.connection()?.ledger()?;
    let open = entry(&ledger, OPEN)?;
    let ids: Vec<String> = open
        .value
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one["id"].as_str().map(str::to_owned))
        .collect();
    let mut proposals = Vec::new();
    for id in ids {
        proposals.extend(entry(&ledger, &format!("proposal/{id}"))?.value);
    }
    let value = json!({
        "proposals": proposals,
        "height": open.height,
        "time": date_time(open.time_ms),
        "verified": open.proof.is_some(),
    });
    app.output.data(&value, |text| {
        if proposals.is_empty() {
            text.line("No proposal is open.");
        }
        proposals.iter().for_each(|proposal| describe(text, proposal));
    })
}

fn show(app: &App, id: TransactionId) -> Result<(), WalletError> {
    let ledger = app.connection()?.ledger()?;
    let found = entry(&ledger, &format!("proposal/{id}"))?;
    let Some(proposal) = found.value else {
        return Err(WalletError::NotFound(format!("there is no proposal {id} on the ledger")));
    };
    let value = json!({
        "proposal": proposal,
        "height": found.height,
        "time": date_time(found.time_ms),
        "verified": found.proof.is_some(),
    });
    app.output.data(&value, |text| {
        describe(text, &proposal);
        text.field("as of", &format!("block {} of {}", found.height, date_time(found.time_ms)));
    })
}

fn describe(text: &mut Text, proposal: &Value) {
    text.title(&word(&proposal["title"]));
    text.field("proposal", &word(&proposal["id"]));
    text.field("by", &word(&proposal["proposer"]));
    text.field("change", &proposal["change"].to_string());
    text.field("executed at", &format!("height {}", word(&proposal["executeAt"])));
    let closes = proposal["closes"].as_u64().map(date_time);
    text.field("votes until", &closes.unwrap_or_default());
    for vote in proposal["votes"].as_array().into_iter().flatten() {
        let how = if vote["approve"] == true { "for" } else { "against" };
        text.field("vote", &format!("{how}, {}", word(&vote["governor"])));
    }
    let outcome = &proposal["outcome"];
    if !outcome.is_null() {
        let counted = format!("{} of {} needed", word(&outcome["approvals"]), word(&outcome["threshold"]));
        text.field("outcome", &format!("{} ({counted})", word(&outcome["result"])));
        if !outcome["code"].is_null() {
            text.field("code", &word(&outcome["code"]));
        }
    }
}
