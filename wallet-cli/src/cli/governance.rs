//! Governance on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ActorArgs;

/// `aval governance …`
#[derive(Debug, Subcommand)]
pub enum GovernanceCommand {
    /// Propose a change, as a governor
    Propose(ProposeArgs),
    /// Vote on a proposal, as a governor
    Vote {
        /// The proposal: the id of the transaction that made it
        proposal: String,
        /// Vote for it
        #[arg(long, conflicts_with = "reject", required_unless_present = "reject")]
        approve: bool,
        /// Vote against it
        #[arg(long)]
        reject: bool,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Proposals that have no outcome yet
    List,
    /// A proposal: the change, the votes, what became of it
    Show {
        /// The proposal: the id of the transaction that made it
        proposal: String,
    },
}

/// `aval governance propose`
#[derive(Debug, Args)]
pub struct ProposeArgs {
    /// The change as JSON (specs/wire.md, "Changes"), for example {"type":"parameters","heartbeatMs":2000}; `-` reads
    /// stdin
    pub change: PathBuf,
    /// What it is about, in a line
    #[arg(long)]
    pub title: String,
    /// The height at which it is executed
    #[arg(long, value_name = "HEIGHT", conflicts_with = "after")]
    pub execute_at: Option<u64>,
    /// Execute it so many blocks from now [default: a few more than the notice that the parameters want]
    #[arg(long, value_name = "BLOCKS")]
    pub after: Option<u64>,
    /// Who acts.
    #[command(flatten)]
    pub actor: ActorArgs,
}
