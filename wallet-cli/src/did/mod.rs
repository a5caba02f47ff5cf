//! DIDs on the ledger (specs/did-method.md).
//!
//! Every operation goes the same way: the proven record is fetched and compared with the keys in the vault
//! ([`owned`]), the transaction is built and signed ([`operation`]), it is noted in the vault *before* it is sent,
//! and its outcome is noted once the receipt is verified ([`settle`]). A crash in between loses nothing: `aval did
//! sync` finishes it.

mod create;
mod list;
mod maintain;
pub(crate) mod operation;
pub(crate) mod owned;
mod resolve;
pub(crate) mod settle;

use aval_did::Did;

pub(crate) use create::{finish, witness};

use crate::app::App;
use crate::cli::DidCommand;
use crate::error::WalletError;

pub(crate) fn run(app: &App, command: DidCommand) -> Result<(), WalletError> {
    match command {
        DidCommand::Create(arguments) => create::run(app, &arguments),
        DidCommand::Resolve(arguments) => resolve::run(app, &arguments),
        DidCommand::Update(arguments) => maintain::update(app, &arguments),
        DidCommand::Rotate(arguments) => maintain::rotate(app, &arguments),
        DidCommand::Deactivate(arguments) => maintain::deactivate(app, &arguments),
        DidCommand::List => list::run(app),
        DidCommand::Sync => settle::sync(app),
    }
}

/// Reads a DID from the command line.
pub(crate) fn parse(text: &str) -> Result<Did, WalletError> {
    text.parse().map_err(|error| WalletError::Usage(format!("{text:?} is not a DID of this ledger: {error}")))
}
