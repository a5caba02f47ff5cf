//! `aval tx endorse`: vouching for somebody's operation on their own DID; and `aval tx submit` for what is signed
//! already.
//!
//! An endorser puts its own quota and name behind one action that it sees in full (design D6). It lends no role.

use std::path::Path;

use aval_client::ClientError;
use aval_did::Did;
use aval_types::{Action, Outcome, SubmittedTransaction};
use serde_json::json;

use crate::app::{App, now_s};
use crate::did::operation::PartialTransaction;
use crate::did::{owned, settle};
use crate::error::WalletError;
use crate::home;
use crate::keys::KeyRing;
use crate::ledger::Settled;
use crate::output::{Text, date_time};
use crate::vault::{OperationKind, StoredTransaction};

/// A larger file is no transaction.
const FILE_BYTES_MAX: usize = 256 * 1024;

pub(super) fn endorse(app: &App, file: &Path, yes: bool) -> Result<(), WalletError> {
    let bytes = home::read_input(file)?;
    let partial: PartialTransaction = serde_json::from_slice(&bytes).map_err(|_| {
        WalletError::Failed(format!("{} holds no transaction that waits for an endorser", file.display()))
    })?;
    let unsigned = partial.unsigned()?;
    let connection = app.connection()?;
    let network = connection.network_id()?;
    let payload = unsigned.payload();
    if payload.network != network {
        return Err(WalletError::Usage(
            "the transaction is for another network: choose it with --network".to_owned(),
        ));
    }
    let endorser = payload
        .endorser()
        .ok_or_else(|| WalletError::Usage("the transaction asks for no endorser".to_owned()))?
        .clone();
    let vault = app.vault()?;
    let ledger = connection.ledger()?;
    let contents = vault.read()?;
    let entry = owned::entry(&contents, Some(endorser.did().as_str()), &network.genesis().to_string())?;
    let record = ledger
        .did_record(endorser.did())?
        .value
        .ok_or_else(|| WalletError::NotFound(format!("{} is not on the ledger", endorser.did())))?;
    let ring = KeyRing::new(&contents.entropy)?;
    let state = owned::align(&ring, &contents, entry, &record)?;
    let asked = endorser.key().to_multikey();
    let key = state.document_keys.iter().find(|key| key.public == asked).ok_or_else(|| {
        WalletError::unauthorized(
            "did.key_not_in_document",
            "the transaction asks for another key than this vault has",
        )
    })?;
    app.output.ask_about(yes, |text| {
        text.title("Somebody asks for your endorsement");
        describe(text, &payload.action);
        text.field("endorsed by", endorser.did().as_str());
        text.field("valid until", &date_time(payload.exp.saturating_mul(1000)));
        text.line("You vouch for this action in your own name, and it counts on your quota.");
    });
    app.output.confirm("Endorse it?", yes)?;
    let submitted = partial.complete(&ring.private(key)?)?;
    let id = submitted.transaction.id();
    let did = endorser.did().to_string();
    let genesis = network.genesis().to_string();
    let note = StoredTransaction::pending(id.to_string(), OperationKind::Endorse, &did, &genesis, now_s());
    vault.update(|contents| {
        contents.note(note.clone());
        Ok::<_, WalletError>(())
    })?;
    let receipt = settle::carry_out(app, &vault, &ledger, &did, &submitted)?;
    let subject = subject_of(&submitted).unwrap_or(&did);
    settle::report(app, "endorsed, and on the ledger", subject, &note, &receipt)
}

/// The DID that an endorsed action is about.
fn subject_of(submitted: &SubmittedTransaction) -> Option<&str> {
    submitted.transaction.action().dids().next().map(Did::as_str)
}

/// What an endorser puts its name to.
fn describe(text: &mut Text, action: &Action) {
    let (did, document) = match action {
        Action::DidCreate(create) => {
            text.field("action", "a new DID");
            (&create.operation.did, &create.operation.document)
        }
        Action::DidUpdate(update) => {
            text.field("action", "an update of a DID document");
            (&update.did, &update.document)
        }
        other => {
            text.field("action", other.kind());
            return;
        }
    };
    text.field("DID", did.as_str());
    for key in document.public_keys() {
        text.field("key", &key.to_multikey());
    }
    for service in &document.service {
        text.field(
            "service",
            &format!("{} {} {}", service.id, service.service_type, service.service_endpoint),
        );
    }
    for uri in &document.also_known_as {
        text.field("also known as", uri);
    }
}

pub(super) fn submit(app: &App, file: &Path, no_wait: bool) -> Result<(), WalletError> {
    let bytes = home::read_input(file)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(WalletError::Failed(format!("{} is too large for a transaction", file.display())));
    }
    let submitted = SubmittedTransaction::from_body(&bytes).map_err(|reject| {
        WalletError::Failed(format!("{} holds no transaction: {reject}", file.display()))
    })?;
    let id = submitted.transaction.id();
    let ledger = app.connection()?.ledger()?;
    if no_wait {
        match ledger.node().submit(&submitted) {
            Ok(_) => {}
            Err(ClientError::Refused(problem)) => return Err(settle::refusal(id, &problem)),
            Err(error) => return Err(error.into()),
        }
        return app.output.data(&json!({"transaction": id.to_string(), "status": "pending"}), |text| {
            text.done(&format!("the node took transaction {id}"));
        });
    }
    match ledger.submit_and_wait(&submitted)? {
        Settled::Refused(problem) => Err(settle::refusal(id, &problem)),
        Settled::Final(receipt) => match &receipt.value.outcome {
            Outcome::Rejected(reject) => Err(WalletError::Refused {
                transaction: id.to_string(),
                code: reject.code().to_owned(),
                reason: reject.title().to_owned(),
            }),
            Outcome::Applied(_) => {
                let value = json!({
                    "transaction": id.to_string(),
                    "status": "final",
                    "outcome": "applied",
                    "height": receipt.height,
                    "time": date_time(receipt.time_ms),
                    "verified": receipt.proof.is_some(),
                });
                app.output.data(&value, |text| {
                    text.done(&format!("transaction {id} was applied"));
                    text.field(
                        "final in",
                        &format!("block {} of {}", receipt.height, date_time(receipt.time_ms)),
                    );
                })
            }
        },
    }
}
