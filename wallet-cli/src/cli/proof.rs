//! Proofs on the command line.

use std::path::PathBuf;

use clap::Subcommand;

/// `aval proof …`
#[derive(Debug, Subcommand)]
pub enum ProofCommand {
    /// Verify a proof against the pinned genesis, without any network; exits with 3 when it does not hold
    Verify {
        /// The proof as `aval tx receipt --out` or `aval did resolve --proof-out` wrote it; `-` reads stdin
        file: PathBuf,
    },
}
