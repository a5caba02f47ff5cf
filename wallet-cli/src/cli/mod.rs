//! The command line: what can be asked for, in clap's terms. What the commands do lives in the modules they are named
//! after.

mod accreditation;
mod anchor;
mod audit;
mod credential;
mod did;
mod events;
mod governance;
mod network;
mod node;
mod present;
mod proof;
mod supervision;
mod transaction;
mod vault;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use accreditation::{AccreditationCommand, CapacityArg, GrantArgs, ShowArgs};
pub use anchor::AnchorCommand;
pub use audit::AuditCommand;
pub use credential::CredentialCommand;
pub use did::{CreateArgs, DeactivateArgs, DidCommand, ResolveArgs, RotateArgs, ServiceArg, UpdateArgs};
pub use events::EventsArgs;
pub use governance::{GovernanceCommand, ProposeArgs};
pub use network::NetworkCommand;
pub use node::{AdminArgs, NodeCommand, RegisterArgs};
pub use present::PresentArgs;
pub use proof::ProofCommand;
pub use supervision::{SupervisionCommand, TargetArg};
pub use transaction::{ActorArgs, TransactionCommand};
pub use vault::{HolderArg, VaultCommand};

/// Aval: a wallet for credentials and DIDs, and a verifier of what the ledger says.
#[derive(Debug, Parser)]
#[command(
    name = "aval",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 ok · 1 failed · 2 usage · 3 verified and invalid · 4 locked or unauthorized \
        (also when the ledger refuses for want of authorization) · 5 not found · 6 try later.\n\
        Data goes to stdout, talk to stderr; NO_COLOR is respected."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Print one JSON value on stdout instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing on stderr but warnings and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Folder of the wallet [default: the user's data folder]
    #[arg(long, global = true, value_name = "FOLDER", env = "AVAL_HOME")]
    pub home: Option<PathBuf>,
    /// The vault file [default: `vault` in the wallet's folder]
    #[arg(long, global = true, value_name = "FILE", env = "AVAL_VAULT")]
    pub vault: Option<PathBuf>,
    /// File whose first line is the passphrase of the vault; without it the terminal is asked
    #[arg(long, global = true, value_name = "FILE", env = "AVAL_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Profile of the network to use, see `aval network`
    #[arg(long, global = true, value_name = "NAME", env = "AVAL_NETWORK")]
    pub network: Option<String>,
    /// Address of the node to ask, instead of the profile's
    #[arg(long, global = true, value_name = "URL", env = "AVAL_NODE")]
    pub node: Option<String>,
    /// Genesis file to trust, instead of the profile's
    #[arg(long, global = true, value_name = "FILE", env = "AVAL_GENESIS")]
    pub genesis: Option<PathBuf>,
    /// Believe the node without proof
    #[arg(long, global = true)]
    pub trust_node: bool,
    /// Speak plain HTTP to other machines, too
    #[arg(long, global = true)]
    pub allow_http: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The encrypted file that holds keys and credentials
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Networks: which node to ask, and which genesis to trust
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Credentials: receive, list, show, present
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Show credentials to a verifier that asks for them
    Present(PresentArgs),
    /// DIDs on the ledger: create, resolve, update, rotate, deactivate
    #[command(subcommand)]
    Did(Box<DidCommand>),
    /// What the ledger changes, as it changes it
    Events(EventsArgs),
    /// Governance: propose, vote, see
    #[command(subcommand)]
    Governance(Box<GovernanceCommand>),
    /// Supervision: hold and release, deny and allow
    #[command(subcommand)]
    Supervision(Box<SupervisionCommand>),
    /// Accreditations: grant, revoke, show by which chain, check a credential
    #[command(subcommand)]
    Accreditation(Box<AccreditationCommand>),
    /// Anchors: prove later that a file existed now
    #[command(subcommand)]
    Anchor(Box<AnchorCommand>),
    /// Nodes: register one, and administer one's own
    #[command(subcommand)]
    Node(Box<NodeCommand>),
    /// Audits: export a range of the ledger, and verify an export without a network
    #[command(subcommand)]
    Audit(Box<AuditCommand>),
    /// Transactions: status, receipt, endorse, send
    #[command(subcommand)]
    Tx(TransactionCommand),
    /// Proofs: verify without a network
    #[command(subcommand)]
    Proof(ProofCommand),
    /// Print a script that completes commands in a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}
