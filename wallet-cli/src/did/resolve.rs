//! `aval did resolve`: the W3C resolution result, rebuilt from the ledger's proof.

use aval_client::{ClientError, Verified};
use aval_did::resolution::{VersionSelector, parse_time};
use serde_json::{Value, json};

use crate::app::{App, now_s};
use crate::cli::ResolveArgs;
use crate::error::WalletError;
use crate::home;
use crate::ledger::Resolved;
use crate::output::date_time;

/// An answer about the present that is older than this is worth a word.
const OLD_MS: u64 = 5 * 60 * 1000;

pub(super) fn run(app: &App, arguments: &ResolveArgs) -> Result<(), WalletError> {
    // A DID of another method is a usage error here; services for those are other programs.
    let did = super::parse(&arguments.did)?;
    let version = version(arguments)?;
    let connection = app.connection()?;
    if connection.trusts_node() {
        app.output.warn("the node is believed without proof (--trust-node)");
    }
    let resolved = connection.ledger()?.resolve(&did, version)?;
    if arguments.qr {
        app.output.qr(did.as_str());
    }
    match resolved {
        Resolved::Proven(verified) => proven(app, arguments, version, &verified),
        Resolved::Believed(answer) => {
            if arguments.proof_out.is_some() {
                return Err(WalletError::Usage("--proof-out and --trust-node exclude each other".to_owned()));
            }
            let value = json!({
                "didDocument": to_value(&answer.did_document)?,
                "didResolutionMetadata": to_value(&answer.did_resolution_metadata)?,
                "didDocumentMetadata": to_value(&answer.did_document_metadata)?,
                "verified": false,
            });
            app.output.data(&value, |text| {
                text.title(did.as_str());
                text.field("proof", "none asked for (--trust-node)");
                if !value["didDocument"].is_null() {
                    text.line(&serde_json::to_string_pretty(&value["didDocument"]).unwrap_or_default());
                }
            })?;
            match answer.error() {
                Some("NOT_FOUND") => {
                    Err(WalletError::NotFound(format!("{did} is not on the ledger, says the node")))
                }
                Some(error) => {
                    Err(ClientError::Request(format!("the node does not resolve this: {error}")).into())
                }
                None => Ok(()),
            }
        }
    }
}

fn version(arguments: &ResolveArgs) -> Result<VersionSelector, WalletError> {
    match (&arguments.version_id, &arguments.version_time) {
        (Some(id), _) => id
            .parse()
            .map(VersionSelector::Id)
            .map_err(|error| WalletError::Usage(format!("--version-id {id:?}: {error}"))),
        (None, Some(time)) => parse_time(time).map(VersionSelector::Time).ok_or_else(|| {
            WalletError::Usage("--version-time is written as 2026-11-22T09:00:00Z".to_owned())
        }),
        (None, None) => Ok(VersionSelector::Latest),
    }
}

fn proven(
    app: &App,
    arguments: &ResolveArgs,
    version: VersionSelector,
    verified: &Verified<aval_client::Resolution>,
) -> Result<(), WalletError> {
    if let Some(path) = &arguments.proof_out {
        home::write_output(path, &verified.proof.to_json())?;
    }
    let age_ms = (u64::try_from(now_s()).unwrap_or_default() * 1000).saturating_sub(verified.time_ms);
    if version == VersionSelector::Latest && age_ms > OLD_MS {
        app.output.warn(&format!(
            "the newest block that the node has is {} minutes old; it may be cut off",
            age_ms / 60_000
        ));
    }
    let mut value = serde_json::to_value(&verified.value.result)
        .map_err(|error| WalletError::Failed(error.to_string()))?;
    value["verified"] = json!(true);
    value["height"] = json!(verified.height);
    value["time"] = json!(date_time(verified.time_ms));
    let as_of = format!("block {} of {}", verified.height, date_time(verified.time_ms));
    let Some(record) = &verified.value.record else {
        let (shown, missing) = match &arguments.version_time {
            Some(time) => {
                (format!("{} was not on the ledger at {time}", arguments.did), "was none at that time")
            }
            None => (format!("{} is not on the ledger", arguments.did), "is no such DID"),
        };
        app.output.data(&value, |text| {
            text.failed(&shown);
            text.field("proven as of", &as_of);
        })?;
        return Err(WalletError::NotFound(format!("the ledger proves that there {missing}")));
    };
    app.output.data(&value, |text| {
        text.done(record.did.as_str());
        text.field("proven as of", &as_of);
        text.field("version", &record.version_id.to_string());
        if record.deactivated {
            text.field("state", "deactivated");
        }
        // From the typed document, whose members come in the usual order.
        if let Some(document) = &verified.value.result.did_document {
            text.line(&serde_json::to_string_pretty(document).unwrap_or_default());
        }
    })
}

fn to_value(json: &aval_codec::Json) -> Result<Value, WalletError> {
    serde_json::to_value(json).map_err(|error| WalletError::Failed(error.to_string()))
}
