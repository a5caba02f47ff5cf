//! `aval tx status`, `receipt` and `list`.

use std::path::Path;

use aval_client::TransactionStatus;
use aval_types::{Outcome, Receipt, TransactionId};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::WalletError;
use crate::home;
use crate::ledger::{Dated, proof_json, receipt_json};
use crate::output::{Text, date_time};

fn parse(id: &str) -> Result<TransactionId, WalletError> {
    id.parse()
        .map_err(|_| WalletError::Usage("a transaction's id is 64 lowercase hexadecimal digits".to_owned()))
}

/// Where a transaction stands. That it is final is verified by its receipt; everything else is the node's word.
pub(super) fn status(app: &App, id: &str) -> Result<(), WalletError> {
    let id = parse(id)?;
    let ledger = app.connection()?.ledger()?;
    let mut value = json!({"id": id.to_string(), "verified": false});
    let mut lines: Vec<(&str, String)> = Vec::new();
    let answer = ledger.node().transaction(id)?;
    let word = match &answer {
        TransactionStatus::Unknown => "unknown",
        TransactionStatus::Pending => "pending",
        TransactionStatus::Refused { code, title } => {
            value["code"] = json!(code);
            value["reason"] = json!(title);
            lines.push(("code", code.clone()));
            lines.push(("reason", title.clone()));
            "refused"
        }
        TransactionStatus::Final { .. } => {
            let receipt = ledger.receipt(id)?.ok_or_else(|| {
                WalletError::TryLater("the node says final and has no receipt yet".to_owned())
            })?;
            value["verified"] = json!(receipt.proof.is_some());
            value["height"] = json!(receipt.height);
            value["time"] = json!(date_time(receipt.time_ms));
            lines.push(("block", format!("{} of {}", receipt.height, date_time(receipt.time_ms))));
            match &receipt.value.outcome {
                Outcome::Applied(_) => {
                    value["outcome"] = json!("applied");
                    lines.push(("outcome", "applied".to_owned()));
                }
                Outcome::Rejected(reject) => {
                    value["outcome"] = json!("rejected");
                    value["code"] = json!(reject.code());
                    lines.push(("outcome", format!("rejected, {reject}")));
                }
            }
            "final"
        }
    };
    value["status"] = json!(word);
    app.output.data(&value, |text| {
        text.title(&id.to_string());
        text.field("status", word);
        for (label, line) in &lines {
            text.field(label, line);
        }
    })?;
    match answer {
        TransactionStatus::Unknown => {
            Err(WalletError::NotFound("the node does not know this transaction".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The receipt with its proof: from the node, or with `--kept` the one in the vault.
pub(super) fn receipt(app: &App, id: &str, out: Option<&Path>, kept: bool) -> Result<(), WalletError> {
    let id = parse(id)?;
    if kept {
        let contents = app.vault()?.read()?;
        let stored = contents.transactions.iter().find(|transaction| transaction.id == id.to_string());
        let receipt = stored.and_then(|transaction| transaction.receipt.clone()).ok_or_else(|| {
            WalletError::NotFound("the vault keeps no receipt of this transaction".to_owned())
        })?;
        write(out, &receipt)?;
        return app.output.data(&receipt, |text| {
            text.done(&format!("the vault keeps the receipt of {id}"));
            written(text, out);
        });
    }
    let ledger = app.connection()?.ledger()?;
    let receipt = ledger.receipt(id)?.ok_or_else(|| {
        WalletError::NotFound("there is no receipt: the transaction is not final, or not known".to_owned())
    })?;
    let proof = receipt.proof.as_ref().map(proof_json);
    if out.is_some() {
        let proof = proof.as_ref().ok_or_else(|| {
            WalletError::Usage("--out wants a verified receipt, and --trust-node asks for none".to_owned())
        })?;
        write(out, proof)?;
    }
    let value = json!({
        "receipt": receipt_json(&receipt.value),
        "verified": receipt.proof.is_some(),
        "height": receipt.height,
        "time": date_time(receipt.time_ms),
        "proof": proof,
    });
    app.output.data(&value, |text| {
        describe(text, id, &receipt);
        written(text, out);
    })
}

fn describe(text: &mut Text, id: TransactionId, receipt: &Dated<Receipt>) {
    match &receipt.value.outcome {
        Outcome::Applied(events) => {
            text.done(&format!("{id} was applied"));
            for event in events {
                let event = serde_json::to_value(event).unwrap_or_default();
                let details: Vec<String> = event
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(name, _)| *name != "type")
                    .map(|(name, value)| {
                        format!("{name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                    })
                    .collect();
                text.field(event["type"].as_str().unwrap_or("event"), &details.join(", "));
            }
        }
        Outcome::Rejected(reject) => {
            text.failed(&format!("{id} was rejected: {reject}"));
        }
    }
    text.field("final in", &format!("block {} of {}", receipt.height, date_time(receipt.time_ms)));
    let how = if receipt.proof.is_some() {
        "receipt and certificate verified"
    } else {
        "not verified (--trust-node)"
    };
    text.field("proof", how);
}

fn write(out: Option<&Path>, proof: &Value) -> Result<(), WalletError> {
    match out {
        Some(path) => home::write_output(path, format!("{proof}\n").as_bytes()),
        None => Ok(()),
    }
}

fn written(text: &mut Text, out: Option<&Path>) {
    if let Some(path) = out {
        text.field("written to", &path.display().to_string());
    }
}

pub(super) fn list(app: &App) -> Result<(), WalletError> {
    let contents = app.vault()?.read()?;
    let state = |transaction: &crate::vault::StoredTransaction| {
        serde_json::to_value(transaction.state).unwrap_or_default().as_str().unwrap_or_default().to_owned()
    };
    let rows: Vec<Value> = contents
        .transactions
        .iter()
        .map(|transaction| {
            json!({
                "id": transaction.id,
                "operation": transaction.kind.as_str(),
                "did": transaction.did,
                "state": state(transaction),
                "code": transaction.code,
                "signed": date_time(u64::try_from(transaction.signed_s).unwrap_or_default().saturating_mul(1000)),
                "receiptKept": transaction.receipt.is_some(),
            })
        })
        .collect();
    app.output.data(&Value::Array(rows), |text| {
        if contents.transactions.is_empty() {
            text.line("No transaction yet.");
        }
        for transaction in &contents.transactions {
            text.title(&transaction.id);
            text.field("operation", transaction.kind.as_str());
            text.field("DID", &transaction.did);
            text.field("state", &state(transaction));
            if let Some(code) = &transaction.code {
                text.field("code", code);
            }
        }
    })
}
