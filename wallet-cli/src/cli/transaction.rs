//! Transactions on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `aval tx …`
#[derive(Debug, Subcommand)]
pub enum TransactionCommand {
    /// Where a transaction stands
    Status {
        /// The transaction's id
        id: String,
    },
    /// The receipt of a transaction, with its proof
    Receipt {
        /// The transaction's id
        id: String,
        /// Write the proof to a file that `aval proof verify` reads
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Take the one that the vault keeps, without asking a node
        #[arg(long)]
        kept: bool,
    },
    /// Transactions that this vault signed
    List,
    /// Endorse somebody's transaction with a DID of this vault, and submit it
    Endorse {
        /// The transaction as `aval did create --endorser` wrote it; `-` reads stdin
        file: PathBuf,
        /// Agree beforehand
        #[arg(long, short)]
        yes: bool,
    },
    /// Sign any action and send it
    Send {
        /// The action as JSON (specs/wire.md, "Actions"); `-` reads stdin
        file: PathBuf,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Submit a transaction that is signed already
    Submit {
        /// A compact JWS, a general JSON JWS, or a submission body; `-` reads stdin
        file: PathBuf,
        /// Do not wait until it is final
        #[arg(long)]
        no_wait: bool,
    },
}

/// Who acts, and whether that is agreed to beforehand.
#[derive(Debug, Clone, Args)]
pub struct ActorArgs {
    /// The DID that acts [default: the only one of this vault]
    #[arg(long)]
    pub did: Option<String>,
    /// Take the DID and its keys from this file instead of the vault, as `avald devnet` and issuers keep them
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Agree beforehand
    #[arg(long, short)]
    pub yes: bool,
}
