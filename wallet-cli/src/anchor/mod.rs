//! `aval anchor …`: prove later that a file existed now, and show nobody the file (specs/trust.md, section 6).
//!
//! Beside the file lies another with the salt: without it nothing can be proven, and who erases it has cut the link
//! between the ledger and the file. It is written before anything is sent.

mod file;

use std::path::{Path, PathBuf};

use aval_codec::{Hash, b64u};
use aval_types::action::AnchorCreate;
use aval_types::{Action, Commitment, Event, Outcome};
use serde_json::json;

use crate::acting::{self, Request};
use crate::app::{App, random};
use crate::cli::AnchorCommand;
use crate::error::WalletError;
use crate::ledger::proof_json;
use crate::output::date_time;

use file::AnchorFile;

pub(crate) fn run(app: &App, command: AnchorCommand) -> Result<(), WalletError> {
    match command {
        AnchorCommand::Create { file, kind, out, actor } => {
            let digest = file::digest(&file)?;
            let path = out.unwrap_or_else(|| beside(&file));
            let network = app.connection()?.network_id()?.to_string();
            let salt = random::<32>()?;
            let commitment = Commitment::of_digest(&salt, &digest);
            let mut anchor = AnchorFile {
                network,
                kind: kind.clone(),
                salt: b64u::encode(salt),
                digest,
                commitment,
                receipt: None,
            };
            anchor.write_new(&path)?;
            let action = Action::AnchorCreate(AnchorCreate { commitment, kind });
            let request =
                Request { actor: &actor, action, question: "Anchor it?", done: "the file is anchored" };
            let (id, receipt) = acting::carry_out(app, request)?;
            anchor.receipt = receipt.proof.as_ref().map(proof_json);
            anchor.replace(&path)?;
            let value = json!({
                "transaction": id,
                "commitment": commitment.to_string(),
                "file": path,
                "height": receipt.height,
                "time": date_time(receipt.time_ms),
                "verified": receipt.proof.is_some(),
            });
            app.output.data(&value, |text| {
                text.done(&format!("{} is anchored", file.display()));
                text.field("existed by", &date_time(receipt.time_ms));
                text.field("commitment", &commitment.to_string());
                text.field("keep", &path.display().to_string());
                text.field("transaction", &id);
            })
        }
        AnchorCommand::Verify { file, anchor } => {
            let path = anchor.unwrap_or_else(|| beside(&file));
            verify(app, &file, &path)
        }
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".anchor.json");
    name.into()
}

/// What the file is proven to be, or why not.
struct Proven {
    height: u64,
    time_ms: u64,
    owner: String,
}

fn verify(app: &App, file: &Path, path: &Path) -> Result<(), WalletError> {
    let anchor = AnchorFile::read(path)?;
    let digest = file::digest(file)?;
    match prove(app, &anchor, &digest)? {
        Ok(proven) => {
            let value = json!({
                "valid": true,
                "existedBy": date_time(proven.time_ms),
                "height": proven.height,
                "owner": proven.owner,
                "kind": anchor.kind,
                "commitment": anchor.commitment.to_string(),
            });
            app.output.data(&value, |text| {
                text.done(&format!("{} existed by {}", file.display(), date_time(proven.time_ms)));
                text.field("anchored by", &proven.owner);
                text.field("in", &format!("block {}", proven.height));
            })
        }
        Err((code, reason)) => {
            app.output.data(&json!({"valid": false, "code": code, "reason": reason}), |text| {
                text.failed(&format!("not proven: {reason}"));
            })?;
            Err(WalletError::Invalid { code, message: "the file is not proven to have existed".to_owned() })
        }
    }
}

/// From the file's digest to the receipt, by the pinned genesis alone.
fn prove(
    app: &App,
    anchor: &AnchorFile,
    digest: &Hash,
) -> Result<Result<Proven, (&'static str, String)>, WalletError> {
    let salt = anchor.salt()?;
    if Commitment::of_digest(&salt, digest) != anchor.commitment {
        return Ok(Err((
            "anchor.commitment",
            "the file is another than the one that was anchored".to_owned(),
        )));
    }
    let proof = anchor.proof()?;
    let connection = app.connection()?;
    let mut trust = connection.genesis()?.anchor().clone();
    if let Some(checkpoint) = connection.known_checkpoint()? {
        let unusable =
            |error| WalletError::Failed(format!("the wallet's checkpoint cannot be used: {error}"));
        trust = trust.with_checkpoint(checkpoint).map_err(unusable)?;
    }
    let verified = match proof.verify_past(&trust) {
        Ok(verified) => verified,
        Err(error) => return Ok(Err((error.code(), error.to_string()))),
    };
    let receipt = match verified.receipt() {
        Ok(receipt) => receipt,
        Err(error) => return Ok(Err((error.code(), error.to_string()))),
    };
    let Outcome::Applied(events) = &receipt.outcome else {
        return Ok(Err((
            "anchor.receipt",
            "the receipt is of a transaction that changed nothing".to_owned(),
        )));
    };
    let owner = events.iter().find_map(|event| match event {
        Event::AnchorCreated { commitment, owner, .. } if *commitment == anchor.commitment => Some(owner),
        _ => None,
    });
    Ok(match owner {
        Some(owner) => {
            Ok(Proven { height: receipt.height, time_ms: receipt.time_ms, owner: owner.to_string() })
        }
        None => Err(("anchor.receipt", "the receipt is of another commitment".to_owned())),
    })
}
