//! Credentials: received over OpenID4VCI 1.0, listed, shown, and presented to the ledger.

mod browser;
pub(crate) mod grant;
pub(crate) mod http;
mod offer;
mod present;
pub(crate) mod select;
mod show;

use crate::app::App;
use crate::cli::CredentialCommand;
use crate::error::WalletError;

pub(crate) fn run(app: &App, command: CredentialCommand) -> Result<(), WalletError> {
    match command {
        CredentialCommand::Receive { offer, tx_code, tx_code_file, did, configuration, yes } => {
            let choice = offer::Choice { tx_code, tx_code_file, did, configuration, yes };
            offer::receive(app, &offer, &choice)
        }
        CredentialCommand::List => show::list(app),
        CredentialCommand::Show { id, raw } => show::show(app, &id, raw),
        CredentialCommand::Present { id, did, yes } => present::run(app, &id, did.as_deref(), yes),
    }
}
