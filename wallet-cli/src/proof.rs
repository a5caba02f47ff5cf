//! `aval proof verify`: checks a proof with the pinned genesis alone. No socket is opened and no file is written.
//!
//! The verdict is data: it goes to stdout also when it is "no", and then the exit code is 3. What cannot be read at
//! all is a failure (exit code 1).

use std::path::Path;

use aval_codec::b64u;
use aval_proof::{LedgerProof, Proven, Verified};
use aval_types::Outcome;
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::ProofCommand;
use crate::error::WalletError;
use crate::home;
use crate::output::{Text, date_time};

pub(crate) fn run(app: &App, command: ProofCommand) -> Result<(), WalletError> {
    match command {
        ProofCommand::Verify { file } => verify(app, &file),
    }
}

fn verify(app: &App, file: &Path) -> Result<(), WalletError> {
    let bytes = home::read_input(file)?;
    let connection = app.connection()?;
    let genesis = connection.genesis()?;
    // The checkpoint knows the validators of all times. A kept proof may be of the past: its height and time are part
    // of the verdict.
    let mut anchor = genesis.anchor().clone();
    if let Some(checkpoint) = connection.known_checkpoint()? {
        let unusable =
            |error| WalletError::Failed(format!("the wallet's checkpoint cannot be used: {error}"));
        anchor = anchor.with_checkpoint(checkpoint).map_err(unusable)?;
    }
    let outcome = LedgerProof::from_json(&bytes)
        .and_then(|proof| proof.verify_past(&anchor).map(|verified| (proof, verified)));
    match outcome {
        Ok((proof, verified)) => {
            let value = valid(&proof, &verified);
            app.output.data(&value, |text| describe(text, &proof, &verified))
        }
        Err(error) if error.is_invalid() => {
            let value = json!({
                "valid": false,
                "code": error.code(),
                "reason": error.to_string(),
                "genesis": genesis.hash().to_string(),
            });
            app.output.data(&value, |text| {
                text.failed(&format!("not valid: {error}"));
                text.field("code", error.code());
            })?;
            Err(WalletError::Invalid { code: error.code(), message: "the proof does not hold".to_owned() })
        }
        Err(error) => Err(WalletError::Failed(format!("{} cannot be checked: {error}", file.display()))),
    }
}

fn valid(proof: &LedgerProof, verified: &Verified) -> Value {
    let mut value = json!({
        "valid": true,
        "network": verified.network().to_string(),
        "height": verified.height(),
        "time": date_time(verified.time_ms()),
        "certifiedHeight": verified.certified().height,
        "signatures": proof.certificate.signers.len(),
    });
    value["proves"] = proven(verified.proven());
    value
}

fn proven(proven: &Proven) -> Value {
    match proven {
        Proven::Header => json!({"type": "header"}),
        Proven::State { key, value } => json!({
            "type": "state",
            "key": key,
            "present": value.is_some(),
            "value": value.as_deref().map(readable),
        }),
        Proven::Receipt(receipt) => {
            let receipt: Value = serde_json::from_slice(&receipt.encode()).unwrap_or_default();
            json!({"type": "receipt", "receipt": receipt})
        }
        Proven::BlockReceipt(receipt) => {
            let receipt: Value = serde_json::from_slice(&receipt.encode()).unwrap_or_default();
            json!({"type": "blockReceipt", "receipt": receipt})
        }
    }
}

/// State values are JSON but for status lists, which are bytes.
fn readable(value: &[u8]) -> Value {
    serde_json::from_slice(value).unwrap_or_else(|_| json!({"bytes": b64u::encode(value)}))
}

fn describe(text: &mut Text, proof: &LedgerProof, verified: &Verified) {
    text.done("valid");
    text.field("network", &verified.network().to_string());
    text.field("as of", &format!("block {} of {}", verified.height(), date_time(verified.time_ms())));
    text.field("signed by", &format!("{} validators", proof.certificate.signers.len()));
    match verified.proven() {
        Proven::Header => {
            text.field("proves", "the block's header");
        }
        Proven::State { key, value: None } => {
            text.field("proves", &format!("{key} is not on the ledger"));
        }
        Proven::State { key, value: Some(value) } => {
            text.field("proves", &format!("the value of {key}"));
            text.line(&serde_json::to_string_pretty(&readable(value)).unwrap_or_default());
        }
        Proven::Receipt(receipt) => {
            let outcome = match &receipt.outcome {
                Outcome::Applied(_) => "applied".to_owned(),
                Outcome::Rejected(reject) => format!("rejected, {reject}"),
            };
            text.field("proves", &format!("transaction {} was {outcome}", receipt.transaction));
        }
        Proven::BlockReceipt(receipt) => {
            text.field("proves", &format!("what block {} did on its own", receipt.height));
            let value: Value = serde_json::from_slice(&receipt.encode()).unwrap_or_default();
            text.line(&serde_json::to_string_pretty(&value["events"]).unwrap_or_default());
        }
    }
}
