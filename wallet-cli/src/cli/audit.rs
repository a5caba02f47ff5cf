//! Audits on the command line.

use std::path::PathBuf;

use clap::Subcommand;

use super::ActorArgs;

/// `aval audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Export a range of the ledger as a bundle, as an auditor
    Export {
        /// The first height
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// The last height [default: the newest that is certified]
        #[arg(long)]
        to: Option<u64>,
        /// Where to write the bundle
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The node's network key; a node that says it has another one is not talked to
        #[arg(long, value_name = "KEY")]
        node_key: Option<String>,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Verify a bundle from the genesis hash on, without any network; exits with 3 when it does not hold
    Verify {
        /// The bundle
        file: PathBuf,
        /// The genesis hash to trust [default: that of the profile or of --genesis]
        #[arg(long, value_name = "HEX")]
        expect: Option<String>,
    },
}
