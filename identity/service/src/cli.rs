//! The command line: `aval-identityd <program> <command>`.
//!
//! Data goes to stdout as JSON, talk to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 4 unauthorized, 5 not found, 6
//! try later.

use crate::{issuer, resolver, sandbox, verifier};
use clap::{Parser, Subcommand};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Identity services for Aval.
#[derive(Debug, Parser)]
#[command(name = "aval-identityd", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    service: Service,
    /// What to log: error, warn, info, debug or trace
    #[arg(long, global = true, env = "AVAL_IDENTITYD_LOG", default_value = "info", value_parser = filter)]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Service {
    /// Issues credentials over OpenID4VCI and revokes them on the ledger
    #[command(subcommand)]
    Issuer(issuer::cli::Command),
    /// Resolves DIDs, and registers them on the ledger
    #[command(subcommand)]
    Resolver(resolver::cli::Command),
    /// Issues by did:key whatever it is asked to, for suites and trials on this machine
    #[command(subcommand)]
    Sandbox(sandbox::cli::Command),
    /// Verifies credentials and presentations by the VC-API, and asks wallets over OpenID4VP
    #[command(subcommand)]
    Verifier(verifier::cli::Command),
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| "info".into());
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let done = match cli.service {
        Service::Issuer(command) => command.run(),
        Service::Resolver(command) => command.run(),
        Service::Sandbox(command) => command.run(),
        Service::Verifier(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("aval-identityd: {fault}");
            ExitCode::from(fault.exit_code())
        }
    }
}
