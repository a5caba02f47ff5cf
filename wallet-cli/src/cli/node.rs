//! Nodes on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ActorArgs;

/// `aval node …`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Register a node's network key, as its operator
    Register(RegisterArgs),
    /// Change the addresses of a node
    Update {
        /// Its network key, a multikey
        key: String,
        /// Where it listens for other nodes; may be repeated
        #[arg(long = "address", value_name = "IP:PORT", required = true)]
        addresses: Vec<SocketAddr>,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Take a node out of the network
    Leave {
        /// Its network key, a multikey
        key: String,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Registered nodes
    List,
    /// Fault proofs that the node has seen: votes with which a validator contradicts itself
    Faults,
    /// Put the fault proof of a validator on the ledger: it is suspended at once, for good
    Report {
        /// The validator's network key, a multikey
        key: String,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// How a node is, by its interface for the operator
    Status(AdminArgs),
    /// The members of the network as a node sees them, and why each is admitted
    Peers(AdminArgs),
    /// What a node logs; with a filter, change it
    LogLevel {
        /// The new filter, such as `info` or `warn,aval_node=debug`
        filter: Option<String>,
        /// Which node, and as whom.
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Who administered a node and who read as an auditor
    AccessLog {
        /// How many of the newest entries
        #[arg(long, default_value_t = 50)]
        last: usize,
        /// Which node, and as whom.
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Stop a node in order
    Stop(AdminArgs),
}

/// `aval node register`
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// What `avald node-proof --operator DID` printed; `-` reads stdin
    pub proof: PathBuf,
    /// What the node is there for
    #[arg(long, value_enum, default_value = "validator")]
    pub kind: NodeKindArg,
    /// What people call it
    #[arg(long)]
    pub name: String,
    /// Where it listens for other nodes; may be repeated
    #[arg(long = "address", value_name = "IP:PORT", required = true)]
    pub addresses: Vec<SocketAddr>,
    /// The sector of its operator
    #[arg(long, default_value = "unspecified")]
    pub sector: String,
    /// The region that it stands in
    #[arg(long, default_value = "unspecified")]
    pub region: String,
    /// Who acts.
    #[command(flatten)]
    pub actor: ActorArgs,
}

/// What a node is there for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum NodeKindArg {
    /// It makes blocks when it is selected
    Validator,
    /// It follows and serves reads
    Observer,
}

impl NodeKindArg {
    /// As actions have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Observer => "observer",
        }
    }
}

/// Which node to administer, and as whom.
#[derive(Debug, Clone, Args)]
pub struct AdminArgs {
    /// Address of the node's interface for its operator (`admin.listen` in its config.json)
    #[arg(long, value_name = "URL", env = "AVAL_ADMIN", default_value = "http://127.0.0.1:8051")]
    pub admin: String,
    /// The node's network key; a node that says it has another one is not talked to
    #[arg(long, value_name = "KEY")]
    pub node_key: Option<String>,
    /// Who acts.
    #[command(flatten)]
    pub actor: ActorArgs,
}
