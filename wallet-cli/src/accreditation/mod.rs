//! `aval accreditation …`: accredit others, and find out who is accredited (specs/trust.md).
//!
//! A grant makes the accreditation credential first, keeps it, and anchors its hash: a crash in between leaves a
//! credential that the ledger does not know, which [`check`] tells.

mod check;
mod credential;
mod grant;
mod show;

use aval_types::AccreditationRecord;
use serde_json::json;

use crate::acting::{self, Request};
use crate::app::App;
use crate::cli::AccreditationCommand;
use crate::error::WalletError;
use crate::ledger::Ledger;

pub(crate) fn run(app: &App, command: AccreditationCommand) -> Result<(), WalletError> {
    match command {
        AccreditationCommand::Grant(arguments) => grant::run(app, &arguments),
        AccreditationCommand::Revoke { subject, reason, actor } => {
            let action = json!({"type": "accreditation.revoke", "subject": subject, "reason": reason});
            let request = Request {
                actor: &actor,
                action: acting::action(&action)?,
                question: "Revoke it, and all that stands on it?",
                done: "the accreditation is revoked, from this block on",
            };
            acting::send(app, request)
        }
        AccreditationCommand::Show(arguments) => show::run(app, &arguments),
        AccreditationCommand::Check { file } => check::run(app, &file),
    }
}

/// The accreditation of a DID now.
fn record(ledger: &Ledger, did: &str) -> Result<Option<AccreditationRecord>, WalletError> {
    let Some(bytes) = ledger.state(&format!("accreditation/{did}"))?.value else { return Ok(None) };
    aval_codec::json::from_slice(&bytes, aval_codec::Limits::default())
        .map(Some)
        .map_err(|error| WalletError::Failed(format!("the accreditation of {did} cannot be read: {error}")))
}
