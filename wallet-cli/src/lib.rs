//! `aval`, the wallet: it keeps keys and credentials in an encrypted vault, receives credentials over OpenID4VCI,
//! writes DIDs to the ledger, and believes the ledger only what a proof shows.
//!
//! Keys never leave the vault file but into memory for the time of a command; they come into no argument, log or
//! error. Data goes to stdout and talk to stderr ([`output`]); exit codes are listed in [`error`].
//!
//! | module | what it is |
//! |---|---|
//! | [`vault`] | the encrypted file: format, lock, contents |
//! | [`keys`] | derivation of all keys from the 24 words |
//! | [`profile`] | networks: pinned genesis, node, checkpoint |
//! | [`receive`] | credentials: OpenID4VCI, list, show, present to the ledger |
//! | `present` | credentials shown to verifiers that ask, over OpenID4VP |
//! | [`did`] | DIDs: create, resolve, update, rotate, deactivate, finish what was interrupted |
//! | [`tx`] | transactions: status, receipt, endorsement |
//! | `acting` | any action, as a DID of the vault or of a key file |
//! | `governance`, `supervision`, `node` | what governors, supervisors and operators do |
//! | `accreditation`, `anchor` | who accredits whom, and proofs that files existed |
//! | `events`, `audit` | what the ledger changes, and whole ranges of it |
//! | [`ledger`] | the node, verified or believed |
//! | [`proof`] | offline verification |
//! | [`cli`], [`output`], [`app`] | arguments, voice, context |

mod accreditation;
mod acting;
mod anchor;
pub mod app;
mod audit;
pub mod cli;
pub mod did;
pub mod error;
mod events;
mod governance;
pub mod home;
pub mod keys;
pub mod ledger;
mod node;
pub mod output;
mod present;
pub mod profile;
pub mod proof;
pub mod receive;
mod supervision;
pub mod tx;
pub mod vault;
mod vault_commands;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use app::App;
use cli::{Cli, Command};
use error::WalletError;
use output::Output;

/// Runs the program with the arguments of the process.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with 0, mistakes to stderr with 2: clap does it so by itself.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(2),
            };
        }
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    match App::new(cli.global, output).and_then(|app| dispatch(&app, cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(app: &App, command: Command) -> Result<(), WalletError> {
    match command {
        Command::Vault(command) => vault_commands::run(app, command),
        Command::Network(command) => profile::run(app, command),
        Command::Credential(command) => receive::run(app, command),
        Command::Present(arguments) => present::run(app, &arguments),
        Command::Did(command) => did::run(app, *command),
        Command::Events(arguments) => events::run(app, &arguments),
        Command::Governance(command) => governance::run(app, *command),
        Command::Supervision(command) => supervision::run(app, *command),
        Command::Accreditation(command) => accreditation::run(app, *command),
        Command::Anchor(command) => anchor::run(app, *command),
        Command::Node(command) => node::run(app, *command),
        Command::Audit(command) => audit::run(app, *command),
        Command::Tx(command) => tx::run(app, command),
        Command::Proof(command) => proof::run(app, command),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "aval", &mut script);
            app.output.raw(&script)
        }
    }
}
