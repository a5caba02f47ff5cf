//! Accreditations on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ActorArgs;

/// `aval accreditation …`
#[derive(Debug, Subcommand)]
pub enum AccreditationCommand {
    /// Accredit a DID as a body or issuer, or renew or change what was granted
    Grant(GrantArgs),
    /// Take an accreditation back, as its parent or one above it, or give one's own up
    Revoke {
        /// Whose accreditation
        subject: String,
        /// Why, for the public record
        #[arg(long)]
        reason: String,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Whether a DID is or was accredited and by which chain, verified; exits with 3 when it is not
    Show(ShowArgs),
    /// Whether an accreditation credential says what the ledger says; exits with 3 when it does not
    Check {
        /// The credential, as `grant` wrote it; `-` reads stdin
        file: PathBuf,
    },
}

/// What somebody is accredited as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CapacityArg {
    /// Issues credentials
    Issuer,
    /// Accredits others
    Body,
}

/// `aval accreditation grant`
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// Who is accredited
    pub subject: String,
    /// As what
    #[arg(long = "as", value_name = "KIND")]
    pub kind: CapacityArg,
    /// A credential type with the roles that it may give and a level (low, substantial, high):
    /// `TYPE[:ROLE,ROLE][@LEVEL]`; may be repeated [default level: low]
    #[arg(long = "type", value_name = "TYPE", required = true)]
    pub types: Vec<String>,
    /// How many links may stand below a body
    #[arg(long, default_value_t = 1)]
    pub depth: u8,
    /// When it ends: 2031-11-22T00:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "days")]
    pub expires: Option<String>,
    /// End it so many days from now
    #[arg(long, default_value_t = 365)]
    pub days: u32,
    /// Where to write the credential [default: `accreditations` in the wallet's folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Who acts.
    #[command(flatten)]
    pub actor: ActorArgs,
}

/// `aval accreditation show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Who is asked about
    pub did: String,
    /// For which credential type
    #[arg(long = "type", value_name = "TYPE")]
    pub credential_type: Option<String>,
    /// For which role of the type
    #[arg(long, requires = "credential_type")]
    pub role: Option<String>,
    /// In which capacity
    #[arg(long = "as", value_name = "KIND", default_value = "issuer")]
    pub capacity: CapacityArg,
    /// At which time, 2026-11-22T10:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Verify the answer in this file, without a network
    #[arg(long, value_name = "FILE", conflicts_with = "answer_out")]
    pub answer: Option<PathBuf>,
    /// Keep the node's answer with its proofs in this file
    #[arg(long, value_name = "FILE")]
    pub answer_out: Option<PathBuf>,
}
