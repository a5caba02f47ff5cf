//! `aval supervision …`: what a supervisor does at once, and what stays on the record.

use aval_types::TransactionId;
use serde_json::{Value, json};

use crate::acting::{self, Request, word};
use crate::app::{App, now_s};
use crate::cli::{ActorArgs, SupervisionCommand};
use crate::error::WalletError;
use crate::governance::entry;
use crate::output::date_time;

/// The list of holds in force.
const HOLDS: &str = "holds";

pub(crate) fn run(app: &App, command: SupervisionCommand) -> Result<(), WalletError> {
    match command {
        SupervisionCommand::Hold { target, reason, legal_basis, minutes, actor } => {
            let now_ms = u64::try_from(now_s()).unwrap_or_default().saturating_mul(1000);
            let expires = now_ms.saturating_add(minutes.saturating_mul(60_000));
            let action = json!({
                "type": "supervision.hold", "target": target.to_json(), "reason": reason, "legalBasis": legal_basis,
                "expires": expires,
            });
            act(app, &actor, &action, "Place this hold?", "the hold is in force")
        }
        SupervisionCommand::Release { hold, actor } => {
            let hold: TransactionId = hold.parse().map_err(|_| {
                WalletError::Usage(
                    "a hold is named by the id of its transaction, 64 lowercase hexadecimal digits"
                        .to_owned(),
                )
            })?;
            let action = json!({"type": "supervision.release", "hold": hold});
            act(app, &actor, &action, "End this hold?", "the hold is over")
        }
        SupervisionCommand::Deny { target, reason, actor } => {
            let action = json!({"type": "supervision.deny", "target": target.to_json(), "reason": reason});
            act(app, &actor, &action, "Shut it out?", "it is shut out")
        }
        SupervisionCommand::Allow { target, actor } => {
            let action = json!({"type": "supervision.allow", "target": target.to_json()});
            act(app, &actor, &action, "Take the denial back?", "the denial is taken back")
        }
        SupervisionCommand::List => list(app),
    }
}

fn act(app: &App, actor: &ActorArgs, action: &Value, question: &str, done: &str) -> Result<(), WalletError> {
    acting::send(app, Request { actor, action: acting::action(action)?, question, done })
}

fn list(app: &App) -> Result<(), WalletError> {
    let ledger = app.connection()?.ledger()?;
    let index = entry(&ledger, HOLDS)?;
    let mut holds = Vec::new();
    for listed in index.value.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let id = listed["hold"].as_str().unwrap_or_default();
        holds.extend(entry(&ledger, &format!("hold/{id}"))?.value);
    }
    let value = json!({
        "holds": holds,
        "height": index.height,
        "time": date_time(index.time_ms),
        "verified": index.proof.is_some(),
    });
    app.output.data(&value, |text| {
        if holds.is_empty() {
            text.line("No hold is in force.");
        }
        for hold in &holds {
            text.title(&hold["target"].to_string());
            text.field("hold", &word(&hold["id"]));
            text.field("by", &word(&hold["author"]));
            text.field("reason", &word(&hold["reason"]));
            text.field("legal basis", &word(&hold["legalBasis"]));
            text.field("expires", &hold["expires"].as_u64().map(date_time).unwrap_or_default());
        }
    })
}
