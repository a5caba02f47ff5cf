//! `aval tx …`: where a transaction stands, its receipt, and transactions that others began.

mod endorse;
mod track;

use crate::acting;
use crate::app::App;
use crate::cli::TransactionCommand;
use crate::error::WalletError;

pub(crate) fn run(app: &App, command: TransactionCommand) -> Result<(), WalletError> {
    match command {
        TransactionCommand::Status { id } => track::status(app, &id),
        TransactionCommand::Receipt { id, out, kept } => track::receipt(app, &id, out.as_deref(), kept),
        TransactionCommand::List => track::list(app),
        TransactionCommand::Endorse { file, yes } => endorse::endorse(app, &file, yes),
        TransactionCommand::Send { file, actor } => acting::send_file(app, &file, &actor),
        TransactionCommand::Submit { file, no_wait } => endorse::submit(app, &file, no_wait),
    }
}
