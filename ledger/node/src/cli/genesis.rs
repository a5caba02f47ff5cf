//! `avald genesis`: what an operator does with a genesis file before trusting it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::output;
use crate::fault::Fault;
use crate::genesis_file::GenesisFile;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the hash of a genesis file: the network's trust anchor, and the same as `sha256sum`.
    Hash(FileArguments),
    /// Check a genesis file and print what it sets up, for review.
    Check(FileArguments),
}

#[derive(Debug, Args)]
pub(super) struct FileArguments {
    /// The genesis file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::Hash(arguments) => {
            let bytes = std::fs::read(&arguments.file)
                .map_err(|error| crate::fault::file_fault("the hash", &arguments.file, &error))?;
            let hash = aval_codec::sha256(&bytes);
            if arguments.json {
                output::json(&json!({ "hash": hash }));
            } else {
                output::data(&hash.to_hex());
            }
        }
        Command::Check(arguments) => {
            let file = GenesisFile::read(&arguments.file)?;
            let summary = file.summary();
            if arguments.json {
                output::json(&summary);
            } else {
                summary.lines().iter().for_each(|line| output::data(line));
            }
        }
    }
    Ok(())
}
