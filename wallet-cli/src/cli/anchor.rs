//! Anchors on the command line.

use std::path::PathBuf;

use clap::Subcommand;

use super::ActorArgs;

/// `aval anchor …`
#[derive(Debug, Subcommand)]
pub enum AnchorCommand {
    /// Put a salted commitment to a file on the ledger, which proves that the file existed by now
    Create {
        /// The file; it stays here
        file: PathBuf,
        /// What kind of data it is, a name that everybody sees
        #[arg(long, default_value = "document")]
        kind: String,
        /// Where to write salt and proof [default: the file's name with `.anchor.json`]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Verify without a network that a file existed when it was anchored; exits with 3 when that is not proven
    Verify {
        /// The file
        file: PathBuf,
        /// Salt and proof [default: the file's name with `.anchor.json`]
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
    },
}
