//! Acting on the ledger with any action: as a DID of the vault, or as the one of a key file.
//!
//! An organization's keys need not lie in a wallet's vault: `--keys FILE` takes the form in which a development network
//! and an issuer keep theirs. Whatever signs, the outcome is proven by its receipt before it is reported.

mod actor;

use std::path::Path;

use aval_codec::{Json, Limits, json};
use aval_types::{Action, Outcome, Receipt, SubmittedTransaction, TransactionBuilder, limits};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{App, now_s};
use crate::cli::ActorArgs;
use crate::did::settle;
use crate::error::WalletError;
use crate::home;
use crate::ledger::{Dated, Ledger, Settled, receipt_json};
use crate::output::{Text, date_time};
use crate::vault::{OperationKind, StoredTransaction};

pub(crate) use actor::Actor;

/// How far back the validity window begins: a block's time may be a little behind this machine's clock.
const WINDOW_BACK_S: i64 = 30;

/// An action that is about to be sent.
pub(crate) struct Request<'a> {
    /// Who acts.
    pub(crate) actor: &'a ActorArgs,
    /// The action.
    pub(crate) action: Action,
    /// What is asked before it is signed.
    pub(crate) question: &'a str,
    /// What is said when it took effect.
    pub(crate) done: &'a str,
}

/// Reads an action from JSON, by the rules of the ledger.
pub(crate) fn action(value: &Value) -> Result<Action, WalletError> {
    read_action(value.to_string().as_bytes())
}

fn read_action(bytes: &[u8]) -> Result<Action, WalletError> {
    let limits = Limits { bytes_max: limits::PAYLOAD_BYTES_MAX, depth_max: limits::JSON_DEPTH_MAX };
    let value: Json = json::parse(bytes, limits)
        .map_err(|error| WalletError::Usage(format!("this is no action: {error}")))?;
    let action = Action::from_json(value).and_then(|action| action.validate().map(|()| action));
    action.map_err(|reject| WalletError::Usage(format!("this is no action of the ledger: {reject}")))
}

/// `aval tx send`
pub(crate) fn send_file(app: &App, file: &Path, actor: &ActorArgs) -> Result<(), WalletError> {
    let action = read_action(&home::read_input(file)?)?;
    if action.grant().is_some() {
        return Err(WalletError::Usage(
            "this action presents a credential: use `aval did create` or `aval credential present`"
                .to_owned(),
        ));
    }
    let kind = action.kind();
    let done = format!("{kind} is on the ledger");
    send(app, Request { actor, action, question: "Sign and send this?", done: &done })
}

/// Signs an action, sends it, waits, and reports what became of it.
pub(crate) fn send(app: &App, request: Request<'_>) -> Result<(), WalletError> {
    let kind = request.action.kind();
    let done = request.done;
    let (id, receipt) = carry_out(app, request)?;
    let events: Vec<Value> = match &receipt.value.outcome {
        Outcome::Applied(events) => {
            events.iter().map(|event| serde_json::to_value(event).unwrap_or_default()).collect()
        }
        Outcome::Rejected(_) => Vec::new(),
    };
    let value = json!({
        "transaction": id,
        "action": kind,
        "status": "final",
        "outcome": "applied",
        "height": receipt.height,
        "time": date_time(receipt.time_ms),
        "verified": receipt.proof.is_some(),
        "events": events,
        "receipt": receipt_json(&receipt.value),
    });
    app.output.data(&value, |text| {
        text.done(done);
        for event in &events {
            text.field(event["type"].as_str().unwrap_or("event"), &members(event));
        }
        text.field("transaction", &id);
        text.field("final in", &format!("block {} of {}", receipt.height, date_time(receipt.time_ms)));
        let how = if receipt.proof.is_some() {
            "receipt and certificate verified"
        } else {
            "not verified (--trust-node)"
        };
        text.field("proof", how);
    })
}

/// Signs an action, sends it and waits. Gives its id and the receipt of what was applied.
pub(crate) fn carry_out(app: &App, request: Request<'_>) -> Result<(String, Dated<Receipt>), WalletError> {
    let Request { actor: arguments, action, question, .. } = request;
    let connection = app.connection()?;
    let actor = Actor::find(app, arguments, &connection.network_id()?, &connection.ledger()?)?;
    carry_out_as(app, &actor, arguments, action, question)
}

/// As [`carry_out`], for who has found already who acts.
pub(crate) fn carry_out_as(
    app: &App,
    actor: &Actor,
    arguments: &ActorArgs,
    action: Action,
    question: &str,
) -> Result<(String, Dated<Receipt>), WalletError> {
    let connection = app.connection()?;
    let (network, ledger) = (connection.network_id()?, connection.ledger()?);
    if let Some(did) = action.controlled()
        && did != actor.did()
    {
        return Err(WalletError::Usage(format!("the action is on {did}, and {} would sign it", actor.did())));
    }
    if actor.is_of_vault() && matches!(action, Action::DidCreate(_) | Action::DidRotate(_)) {
        return Err(WalletError::Usage(
            "keys of this vault are made and exchanged by `aval did create` and `aval did rotate`".to_owned(),
        ));
    }
    app.output.ask_about(arguments.yes, |text| describe(text, &action, actor));
    app.output.confirm(question, arguments.yes)?;
    let nbf = u64::try_from(now_s().saturating_sub(WINDOW_BACK_S)).unwrap_or_default();
    let is_controlled = action.controlled().is_some();
    let signers = if is_controlled { actor.controllers(&action)? } else { vec![actor.authentication()?] };
    let mut builder = TransactionBuilder::new(network.clone(), action, Uuid::new_v4(), nbf);
    for (kid, _) in &signers {
        builder = if is_controlled { builder.controller(kid.clone()) } else { builder.sender(kid.clone()) };
    }
    let keys: Vec<_> = signers.iter().map(|(_, key)| key).collect();
    let signed = builder.sign(&keys).map_err(|error| WalletError::Usage(error.to_string()))?;
    let submitted = SubmittedTransaction::new(signed, None);
    let id = submitted.transaction.id().to_string();
    let receipt = match actor.vault() {
        Some(vault) => {
            let did = actor.did().to_string();
            let genesis = network.genesis().to_string();
            let note = StoredTransaction::pending(id.clone(), OperationKind::Send, &did, &genesis, now_s());
            vault.update(|contents| {
                contents.note(note);
                Ok::<_, WalletError>(())
            })?;
            settle::carry_out(app, vault, &ledger, &did, &submitted)?
        }
        None => settle_unkept(app, &ledger, &submitted)?,
    };
    Ok((id, receipt))
}

/// Sends and waits for who keeps no transactions.
fn settle_unkept(
    app: &App,
    ledger: &Ledger,
    submitted: &SubmittedTransaction,
) -> Result<Dated<Receipt>, WalletError> {
    let id = submitted.transaction.id();
    app.output.note(&format!("sent transaction {id}, waiting until it is final"));
    match ledger.submit_and_wait(submitted)? {
        Settled::Refused(problem) => Err(settle::refusal(id, &problem)),
        Settled::Final(receipt) => match &receipt.value.outcome {
            Outcome::Applied(_) => Ok(*receipt),
            Outcome::Rejected(reject) => Err(WalletError::Refused {
                transaction: id.to_string(),
                code: reject.code().to_owned(),
                reason: format!("{} (it was overtaken in its block)", reject.title()),
            }),
        },
    }
}

fn describe(text: &mut Text, action: &Action, actor: &Actor) {
    text.title(&format!("{} as {}", action.kind(), actor.did()));
    let written = serde_json::to_value(action).unwrap_or_default();
    for (name, value) in written.as_object().into_iter().flatten().filter(|(name, _)| *name != "type") {
        text.field(name, &word(value));
    }
}

/// The members of an event in a line.
pub(crate) fn members(event: &Value) -> String {
    let named = event.as_object().into_iter().flatten().filter(|(name, _)| *name != "type");
    named.map(|(name, value)| format!("{name} {}", word(value))).collect::<Vec<_>>().join(", ")
}

/// A value for people: text without quotes.
pub(crate) fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
