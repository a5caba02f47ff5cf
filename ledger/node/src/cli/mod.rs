//! The command line of `avald`.
//!
//! Data goes to stdout, talk and logs to stderr. A command ends with the exit codes of [`crate::fault`], and a fault is
//! one sentence that says what to do. No secret is ever an argument, an environment variable or a line of a log.

mod backup;
mod genesis;
mod init;
pub mod log;
mod node_proof;
pub mod output;
mod policy;
mod start;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// In the engine's folder: the genesis hash of the network that its journals belong to.
pub const ENGINE_NETWORK_FILE: &str = "NETWORK";

/// The arguments of `avald`.
#[derive(Debug, Parser)]
#[command(
    name = "avald",
    version,
    about = "A node of an Aval ledger",
    long_about = "A node of an Aval ledger.\n\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 verified and invalid, \
                  4 locked or not authorized, 5 not found, 6 try again later."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What to log: error, warn, info, debug, trace, or directives such as `info,aval_node::ingress=debug`.
    #[arg(
        long,
        global = true,
        env = "AVALD_LOG",
        default_value = "warn,aval_node=info",
        value_name = "FILTER"
    )]
    log: String,
    /// Log one JSON object per line.
    #[arg(long, global = true, env = "AVALD_LOG_JSON")]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a node's folder: its key and its configuration.
    Init(init::Arguments),
    /// Run the node in a folder until it is told to stop (Ctrl-C, SIGTERM).
    Start(start::Arguments),
    /// Run a whole network on this machine, for development.
    Devnet(crate::devnet::Arguments),
    /// Copy a node's ledger into a new folder, while the node runs or not.
    Backup(backup::BackupArguments),
    /// Make a node's ledger from a backup.
    Restore(backup::RestoreArguments),
    /// Check a node's ledger end to end: every hash, link, certificate, root and index.
    VerifyData(backup::VerifyArguments),
    /// Sign, with a node's key, who operates it: what `aval node register` needs.
    NodeProof(node_proof::Arguments),
    /// Check a node's folder, ports, disk and clock.
    Doctor(crate::doctor::Arguments),
    /// Work with genesis files.
    #[command(subcommand)]
    Genesis(genesis::Command),
    /// Explain and check policies.
    #[command(subcommand)]
    Policy(policy::Command),
}

/// Runs the program with these arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Prints help and version to stdout, and wrong usage to stderr with exit code 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = log::start(&arguments.log, arguments.log_json).and_then(|()| match arguments.command {
        Command::Init(arguments) => init::run(&arguments),
        Command::Start(arguments) => start::run(&arguments),
        Command::Devnet(devnet) => crate::devnet::run(&devnet, &arguments.log, arguments.log_json),
        Command::Backup(arguments) => backup::backup(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::VerifyData(arguments) => backup::verify_data(&arguments),
        Command::NodeProof(arguments) => node_proof::run(&arguments),
        Command::Doctor(arguments) => crate::doctor::run(&arguments),
        Command::Genesis(command) => genesis::run(&command),
        Command::Policy(command) => policy::run(&command),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            output::talk(&format!("avald: {fault}"));
            ExitCode::from(fault.exit_code())
        }
    }
}
