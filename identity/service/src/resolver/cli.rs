//! The commands of the resolver: `init | start`.

use super::config::{Config, Home};
use super::service;
use crate::fault::Fault;
use crate::home::write_new;
use crate::hosts::HostConfig;
use crate::keys::IssuerKeys;
use crate::keys::file::Source;
use aval_codec::b64u;
use clap::{Args, Subcommand};
use rand::RngExt as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What can be told to a resolver.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a home folder from a genesis file and addresses
    Init(InitArgs),
    /// Serve until SIGINT or SIGTERM
    Start {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// End when standard input closes, so that a parent leaves nothing behind
        #[arg(long)]
        exit_with_parent: bool,
    },
}

/// Where the home folder is.
#[derive(Debug, Args)]
pub struct HomeArg {
    /// The resolver's home folder
    #[arg(long, value_name = "FOLDER", env = "AVAL_RESOLVER_HOME")]
    home: PathBuf,
}

/// What `init` is told.
#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    home: HomeArg,
    /// The network's genesis file; it is copied and pinned
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// A ledger node
    #[arg(long, value_name = "URL")]
    node: String,
    /// Where the service is reached
    #[arg(long, default_value = "127.0.0.1:8300")]
    listen: SocketAddr,
    /// Register DIDs as well, for those who have the token
    #[arg(long)]
    registrar: bool,
    /// The key file of the registrar's endorser; it is copied. Without it no DID can be created
    #[arg(long, value_name = "FILE", requires = "registrar")]
    endorser_keys: Option<PathBuf>,
    /// A host that is asked wherever its address is, as HOST[:PORT] or HOST[:PORT]=FILE with its authorities; may be
    /// repeated
    #[arg(long = "allow-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<(), Fault> {
        match self {
            Self::Init(args) => init(args),
            Self::Start { home, exit_with_parent } => service::start(&Home(home.home), exit_with_parent),
        }
    }
}

/// Reads and checks everything before it writes anything.
fn init(args: InitArgs) -> Result<(), Fault> {
    let home = Home(args.home.home);
    let config = Config {
        listen: args.listen,
        node: args.node,
        registrar: args.registrar,
        allowed_hosts: args
            .allowed_hosts
            .iter()
            .map(|text| HostConfig::parse(text))
            .collect::<Result<_, _>>()?,
    };
    config.validate().map_err(Fault::usage)?;
    aval_client::NodeClient::new(&config.node, &aval_client::ClientOptions::default())
        .map_err(|error| Fault::usage(error.to_string()))?;
    let keys = args.endorser_keys.as_deref().map(Source::plain);
    // What cannot be used later is refused now.
    let endorser = keys.clone().map(IssuerKeys::open).transpose()?;
    let keys = keys.map(|source| source.text()).transpose()?;
    let genesis = fs::read(&args.genesis).map_err(|error| {
        Fault::of_file(&args.genesis, &error, "give the network's genesis file with --genesis")
    })?;
    let trusted = aval_client::TrustedGenesis::parse(genesis.clone()).map_err(|error| {
        Fault::failed(format!("{} is not a genesis file: {error}", args.genesis.display()))
    })?;
    home.prepare()?;
    if let Some(text) = &keys {
        write_new(&home.keys(), text.as_bytes(), 0o600)?;
    }
    write_new(&home.genesis(), &genesis, 0o644)?;
    let token: [u8; 32] = rand::rng().random();
    write_new(&home.admin_token(), b64u::encode(token).as_bytes(), 0o600)?;
    crate::home::write_config(&home.config(), &config)?;
    let summary = serde_json::json!({
        "genesis": trusted.hash().to_string(),
        "endpoint": format!("http://{}/1.0/identifiers/", config.listen),
        "endorser": endorser.map(|keys| keys.did().to_string()),
    });
    println!("{summary:#}");
    Ok(())
}
