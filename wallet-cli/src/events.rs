//! `aval events`: what the ledger changes, one event a line, each proven before it is shown.

use std::time::Duration;

use aval_client::{EventQuery, EventReader, LedgerEvent, VerifiedEvents};
use aval_did::Did;
use serde_json::{Value, json};

use crate::acting::members;
use crate::app::App;
use crate::cli::EventsArgs;
use crate::error::WalletError;
use crate::ledger::{Ledger, proof_json};
use crate::output::date_time;

/// How long one attempt waits; then the next one goes on where it was.
const TURN: Duration = Duration::from_secs(60);

enum Source {
    Verified(VerifiedEvents),
    Believed(EventReader),
}

/// An event and its proof, if it was proven.
struct Shown {
    event: LedgerEvent,
    proof: Option<Value>,
}

impl Source {
    fn next(&mut self, patience: Duration) -> Result<Option<Shown>, WalletError> {
        Ok(match self {
            Self::Verified(events) => events
                .next_within(patience)?
                .map(|verified| Shown { proof: Some(proof_json(&verified.proof)), event: verified.value }),
            Self::Believed(events) => events.next_within(patience)?.map(|event| Shown { event, proof: None }),
        })
    }
}

pub(crate) fn run(app: &App, arguments: &EventsArgs) -> Result<(), WalletError> {
    let query = query(arguments)?;
    let mut source = match app.connection()?.ledger()? {
        Ledger::Verifying(client) => Source::Verified(client.events(query)),
        Ledger::Trusting(client) => Source::Believed(EventReader::new(client.node().clone(), query, false)),
    };
    let patience = arguments.wait.map_or(TURN, Duration::from_secs);
    let mut left = arguments.count.unwrap_or(usize::MAX);
    while left > 0 {
        match source.next(patience) {
            Ok(Some(shown)) => {
                show(app, &shown)?;
                left -= 1;
            }
            Ok(None) if arguments.wait.is_some() => break,
            Ok(None) => {}
            // Without an end to wait for, a node that is gone may come back.
            Err(error) if arguments.wait.is_none() && error.is_retryable() => {
                app.output.note(&format!("{error}; asking again"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn query(arguments: &EventsArgs) -> Result<EventQuery, WalletError> {
    let did = |text: &Option<String>| -> Result<Option<Did>, WalletError> {
        let parse = |text: &String| {
            text.parse().map_err(|_| WalletError::Usage(format!("{text} is not a DID of the ledger")))
        };
        text.as_ref().map(parse).transpose()
    };
    let registry = arguments.registry.as_ref().map(|id| {
        id.parse().map_err(|_| WalletError::Usage(format!("{id} is not the id of a status registry")))
    });
    Ok(EventQuery {
        from: arguments.from,
        after: arguments.after.clone(),
        kinds: arguments.kinds.clone(),
        did: did(&arguments.did)?,
        issuer: did(&arguments.issuer)?,
        registry: registry.transpose()?,
    })
}

fn show(app: &App, shown: &Shown) -> Result<(), WalletError> {
    let Shown { event, proof } = shown;
    let change: Value = serde_json::from_slice(&event.event.to_jcs()).unwrap_or_default();
    let value = json!({
        "id": event.place.id(),
        "height": event.place.height,
        "time": date_time(event.time_ms),
        "transaction": event.transaction.map(|id| id.to_string()),
        "event": change,
        "verified": proof.is_some(),
        "proof": proof,
    });
    app.output.data(&value, |text| {
        text.title(&format!("{} {}", event.place.id(), event.kind()));
        text.field("what", &members(&change));
        text.field("when", &format!("block {} of {}", event.place.height, date_time(event.time_ms)));
        if let Some(id) = &event.transaction {
            text.field("transaction", &id.to_string());
        }
    })
}
