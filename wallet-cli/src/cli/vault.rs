//! The vault on the command line.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use crate::vault::Holder;

/// `aval vault …`
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Make a vault with new keys; prints its 24 words, this one time
    Create {
        /// Where to make it [default: --vault, then `vault` in the wallet's folder]
        #[arg(long, value_name = "FILE")]
        path: Option<PathBuf>,
        /// Whom it belongs to; a person is warned before anything public is made
        #[arg(long, value_enum)]
        holder: Option<HolderArg>,
        /// Write the 24 words to a new file, readable by you alone, instead of printing them
        #[arg(long, value_name = "FILE")]
        words_file: Option<PathBuf>,
    },
    /// What the vault holds, in numbers
    Show,
}

/// Whom a vault belongs to.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum HolderArg {
    /// A natural person
    Person,
    /// A company or another organization
    Organization,
}

impl From<HolderArg> for Holder {
    fn from(holder: HolderArg) -> Self {
        match holder {
            HolderArg::Person => Self::Person,
            HolderArg::Organization => Self::Organization,
        }
    }
}
