//! Presenting to verifiers on the command line.

use std::path::PathBuf;

use clap::Args;

/// `aval present …`
#[derive(Debug, Clone, Args)]
pub struct PresentArgs {
    /// What the verifier shows as a link or QR code, `openid4vp://…`
    #[arg(value_name = "LINK")]
    pub link: String,
    /// Which credential to show, by its id or the beginning of it; may be repeated
    #[arg(long = "credential", value_name = "ID")]
    pub credentials: Vec<String>,
    /// File with the authorities whose certificates verifiers may have, as PEM
    #[arg(long, value_name = "FILE")]
    pub trusted_roots: Option<PathBuf>,
    /// Agree beforehand
    #[arg(long, short)]
    pub yes: bool,
}
