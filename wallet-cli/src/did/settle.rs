//! From a signed transaction to its outcome, so that a crash at any point loses nothing.
//!
//! ```text
//! build and sign -> note in the vault (pending) -> submit -> wait -> verify the receipt -> note the outcome
//!                   ^ crash from here on: `aval did sync` asks for the receipt, else looks at the record,
//!                     else sends the same bytes again, until the validity window is over on the ledger's clock
//! ```

use aval_client::{ClientError, Problem};
use aval_did::Did;
use aval_types::{Event, Outcome, Receipt, SubmittedTransaction, TransactionId};
use serde_json::{Value, json};

use super::operation::Signed;
use super::owned;
use crate::app::{App, now_s};
use crate::error::WalletError;
use crate::keys::KeyRing;
use crate::ledger::{Dated, Ledger, Settled, proof_json, receipt_json};
use crate::output::date_time;
use crate::vault::{Contents, PendingOperation, StoredDid, StoredTransaction, TransactionState, Vault};

/// Notes a signed operation on a DID that the vault has already.
pub(crate) fn note(
    contents: &mut Contents,
    did: &str,
    genesis: &str,
    signed: &Signed,
) -> Result<(), WalletError> {
    let entry = contents
        .did_mut(did)
        .ok_or_else(|| WalletError::NotFound(format!("{did} is not a DID of this vault any more")))?;
    if entry.pending.is_some() {
        return Err(WalletError::TryLater(format!(
            "another operation on {did} began in the meantime: `aval did sync` first"
        )));
    }
    entry.pending = Some(signed.pending());
    contents.note(signed.entry(did, genesis, now_s()));
    Ok(())
}

/// Submits what was noted, waits, and notes the outcome. Gives the receipt if the operation was applied.
pub(crate) fn carry_out(
    app: &App,
    vault: &Vault,
    ledger: &Ledger,
    did: &str,
    submitted: &SubmittedTransaction,
) -> Result<Dated<Receipt>, WalletError> {
    let id = submitted.transaction.id();
    app.output.note(&format!("sent transaction {id}, waiting until it is final"));
    match ledger.submit_and_wait(submitted) {
        Ok(settled) => conclude(vault, did, id, settled),
        Err(error) => {
            app.output.warn(&format!(
                "the outcome of transaction {id} is not known yet; the vault keeps it, and `aval did sync` finds out"
            ));
            Err(error)
        }
    }
}

/// Notes an outcome in the vault.
pub(crate) fn conclude(
    vault: &Vault,
    did: &str,
    id: TransactionId,
    settled: Settled,
) -> Result<Dated<Receipt>, WalletError> {
    match settled {
        Settled::Refused(problem) => {
            vault.update(|contents| {
                close(contents, did, id, TransactionState::Refused, Some(problem.code.clone()), None);
                Ok::<_, WalletError>(())
            })?;
            Err(refusal(id, &problem))
        }
        Settled::Final(receipt) => {
            let stored = receipt.proof.as_ref().map_or_else(|| receipt_json(&receipt.value), proof_json);
            let (state, code) = match &receipt.value.outcome {
                Outcome::Applied(_) => (TransactionState::Applied, None),
                Outcome::Rejected(reject) => (TransactionState::Rejected, Some(reject.code().to_owned())),
            };
            vault.update(|contents| {
                close(contents, did, id, state, code, Some(stored));
                Ok::<_, WalletError>(())
            })?;
            match &receipt.value.outcome {
                Outcome::Applied(_) => Ok(*receipt),
                Outcome::Rejected(reject) => Err(WalletError::Refused {
                    transaction: id.to_string(),
                    code: reject.code().to_owned(),
                    reason: format!("{} (it was overtaken in its block)", reject.title()),
                }),
            }
        }
    }
}

/// The error for a refusal.
pub(crate) fn refusal(id: TransactionId, problem: &Problem) -> WalletError {
    // The title is the ledger's sentence for the rule; the detail is mostly what to do, which the help says anyway.
    let known = aval_types::Reject::from_code(&problem.code);
    let reason = known.map_or_else(|| problem.sentence().to_owned(), |reject| reject.title().to_owned());
    WalletError::Refused { transaction: id.to_string(), code: problem.code.clone(), reason }
}

/// Ends a pending operation; when it was applied, the DID becomes what it was meant to become.
fn close(
    contents: &mut Contents,
    did: &str,
    id: TransactionId,
    state: TransactionState,
    code: Option<String>,
    receipt: Option<Value>,
) {
    let id = id.to_string();
    if let Some(entry) = contents.did_mut(did)
        && entry.pending.as_ref().is_some_and(|pending| pending.transaction == id)
        && let Some(pending) = entry.pending.take()
        && state == TransactionState::Applied
    {
        entry.state = Some(pending.after);
    }
    if let Some(transaction) = contents.transactions.iter_mut().find(|transaction| transaction.id == id) {
        transaction.state = state;
        transaction.code = code;
        transaction.receipt = receipt.or(transaction.receipt.take());
    }
}

/// What was found out about a pending operation.
#[derive(Debug)]
pub(crate) enum Found {
    /// Applied, by its receipt or by the record.
    Applied,
    /// Decided against; the error says how.
    Against(WalletError),
    /// Its window is over and it is not on the ledger.
    Expired,
    /// Still open.
    Open,
}

/// Finds out what became of the pending operation of a DID, sending it again if need be.
pub(crate) fn find_out(
    vault: &Vault,
    ledger: &Ledger,
    entry: &StoredDid,
    pending: &PendingOperation,
) -> Result<Found, WalletError> {
    let id: TransactionId = pending.transaction.parse().map_err(|_| {
        WalletError::Failed("the pending transaction has no proper id in the vault".to_owned())
    })?;
    if let Some(receipt) = ledger.receipt(id)? {
        return Ok(match conclude(vault, &entry.did, id, Settled::Final(Box::new(receipt))) {
            Ok(_) => Found::Applied,
            Err(error @ WalletError::Refused { .. }) => Found::Against(error),
            Err(error) => return Err(error),
        });
    }
    let did: Did = owned::did(entry)?;
    let record = ledger.did_record(&did)?;
    let version = record.value.as_ref().map(|record| record.version_id.to_string());
    let before = entry.state.as_ref().map(|state| &state.version_id);
    if version.as_ref() == Some(&pending.after.version_id) && before != Some(&pending.after.version_id) {
        // The node has forgotten the receipt; the record alone is proof enough.
        vault.update(|contents| {
            close(contents, &entry.did, id, TransactionState::Applied, None, None);
            Ok::<_, WalletError>(())
        })?;
        return Ok(Found::Applied);
    }
    let ledger_s = i64::try_from(record.time_ms / 1000).unwrap_or(i64::MAX);
    if ledger_s >= pending.expires_s {
        vault.update(|contents| {
            close(contents, &entry.did, id, TransactionState::Expired, None, None);
            Ok::<_, WalletError>(())
        })?;
        return Ok(Found::Expired);
    }
    let Some(body) = &pending.submission else { return Ok(Found::Open) };
    let submitted = SubmittedTransaction::from_body(body.as_bytes())
        .map_err(|reject| WalletError::Failed(format!("the pending transaction cannot be read: {reject}")))?;
    match ledger.submit_and_wait(&submitted) {
        Ok(settled) => match conclude(vault, &entry.did, id, settled) {
            Ok(_) => Ok(Found::Applied),
            Err(error @ WalletError::Refused { .. }) => Ok(Found::Against(error)),
            Err(error) => Err(error),
        },
        Err(WalletError::Client(ClientError::NotFinal { .. })) => Ok(Found::Open),
        Err(error) => Err(error),
    }
}

/// Makes sure that no operation on a DID is open before the next one begins.
pub(crate) fn require_settled(
    app: &App,
    vault: &Vault,
    ledger: &Ledger,
    entry: &StoredDid,
) -> Result<(), WalletError> {
    let Some(pending) = &entry.pending else { return Ok(()) };
    app.output
        .note(&format!("an earlier operation ({}) on this DID is open; finding out", pending.kind.as_str()));
    match find_out(vault, ledger, entry, pending)? {
        Found::Applied | Found::Expired => Ok(()),
        Found::Against(error) => {
            app.output.warn(&error.to_string());
            Ok(())
        }
        Found::Open => Err(WalletError::TryLater(format!(
            "transaction {} on this DID is not decided yet",
            pending.transaction
        ))),
    }
}

/// `aval did sync`
pub(crate) fn sync(app: &App) -> Result<(), WalletError> {
    let vault = app.vault()?;
    let connection = app.connection()?;
    let ledger = connection.ledger()?;
    let genesis = connection.network_id()?.genesis().to_string();
    let contents = vault.read()?;
    let mut rows = Vec::new();
    let mut open = 0;
    for entry in contents.dids.iter().filter(|entry| entry.genesis == genesis) {
        let Some(pending) = &entry.pending else {
            rows.extend(adopt(&vault, &ledger, &contents, entry)?);
            continue;
        };
        let (state, code) = match find_out(&vault, &ledger, entry, pending)? {
            Found::Applied => ("applied", None),
            Found::Expired => ("expired", None),
            Found::Against(error) => ("refused", Some(error.code().to_owned())),
            Found::Open => {
                open += 1;
                ("pending", None)
            }
        };
        rows.push(json!({
            "did": entry.did,
            "operation": pending.kind.as_str(),
            "transaction": pending.transaction,
            "state": state,
            "code": code,
        }));
    }
    app.output.data(&json!({"operations": rows}), |text| {
        if rows.is_empty() {
            text.done("nothing was open");
        }
        for row in &rows {
            let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            text.title(&word("did"));
            text.field(&word("operation"), &word("state"));
            if !word("transaction").is_empty() {
                text.field("transaction", &word("transaction"));
            }
            if !word("code").is_empty() {
                text.field("code", &word("code"));
            }
        }
    })?;
    match open {
        0 => Ok(()),
        count => Err(WalletError::TryLater(format!("{count} operation(s) are not decided yet"))),
    }
}

/// Takes up a DID that is on the ledger although its creation was called refused, or its window seemed over.
fn adopt(
    vault: &Vault,
    ledger: &Ledger,
    contents: &Contents,
    entry: &StoredDid,
) -> Result<Option<Value>, WalletError> {
    if entry.state.is_some() {
        return Ok(None);
    }
    let Some(record) = ledger.did_record(&owned::did(entry)?)?.value else { return Ok(None) };
    let state = owned::align(&KeyRing::new(&contents.entropy)?, contents, entry, &record)?;
    vault.update(|contents| {
        if let Some(entry) = contents.did_mut(&entry.did) {
            entry.state = Some(state);
        }
        Ok::<_, WalletError>(())
    })?;
    Ok(Some(
        json!({"did": entry.did, "operation": "create", "transaction": null, "state": "applied", "code": null}),
    ))
}

/// The outcome of an operation, for people and programs.
pub(crate) fn report(
    app: &App,
    done: &str,
    did: &str,
    transaction: &StoredTransaction,
    receipt: &Dated<Receipt>,
) -> Result<(), WalletError> {
    let mut value = json!({
        "did": did,
        "transaction": transaction.id,
        "operation": transaction.kind.as_str(),
        "status": "final",
        "outcome": "applied",
        "height": receipt.height,
        "time": date_time(receipt.time_ms),
        "verified": receipt.proof.is_some(),
    });
    let mut version = None;
    let mut grant = None;
    if let Outcome::Applied(events) = &receipt.value.outcome {
        for event in events {
            match event {
                Event::DidCreated { version_id, .. }
                | Event::DidUpdated { version_id, .. }
                | Event::DidRotated { version_id, .. }
                | Event::DidDeactivated { version_id, .. } => version = Some(version_id.to_string()),
                Event::GrantCreated { grant: id, .. } => grant = Some(id.to_string()),
                _ => {}
            }
        }
    }
    value["versionId"] = json!(version);
    value["grant"] = json!(grant);
    app.output.data(&value, |text| {
        text.done(done);
        text.field("DID", did);
        if let Some(version) = &version {
            text.field("version", version);
        }
        if let Some(grant) = &grant {
            text.field("grant", grant);
        }
        text.field("transaction", &transaction.id);
        text.field("final in", &format!("block {} of {}", receipt.height, date_time(receipt.time_ms)));
        let how = if receipt.proof.is_some() {
            "receipt and certificate verified, kept in the vault"
        } else {
            "not verified (--trust-node)"
        };
        text.field("proof", how);
    })
}
