//! Networks on the command line.

use std::path::PathBuf;

use clap::Subcommand;

/// `aval network …`
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Trust a network: pin its genesis file and note a node (the global --genesis and --node)
    Add {
        /// Name of the profile [default: the network's label]
        #[arg(long)]
        name: Option<String>,
        /// The SHA-256 that the genesis file must have, got on another way
        #[arg(long, value_name = "HEX")]
        expect: Option<String>,
    },
    /// Profiles, and which is the default
    List,
    /// A profile: node, genesis hash, newest verified block
    Show {
        /// The profile [default: the one in use]
        name: Option<String>,
    },
    /// Make a profile the default
    Use {
        /// The profile
        name: String,
    },
    /// Print the genesis file of a profile
    Genesis {
        /// Write it to a file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}
