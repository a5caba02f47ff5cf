//! The commands of the verifier: `init | start`.

use super::config::{Accredited, Config, Home};
use super::service;
use crate::fault::Fault;
use crate::home::write_new;
use crate::hosts::HostConfig;
use aval_codec::b64u;
use clap::{Args, Subcommand};
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What can be told to a verifier.
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
    /// The verifier's home folder
    #[arg(long, value_name = "FOLDER", env = "AVAL_VERIFIER_HOME")]
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
    #[arg(long, default_value = "127.0.0.1:8200")]
    listen: SocketAddr,
    /// Let anybody ask, without the token of the home folder
    #[arg(long)]
    open: bool,
    /// The verifier's own name: presentations must be for it
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Whose issuers must be accredited on the ledger
    #[arg(long, value_enum, default_value_t)]
    accreditation: Accredited,
    /// A key that is an issuer's though no document of the issuer says so, as ISSUER=METHOD, where METHOD is the URL of
    /// a verification method; may be repeated
    #[arg(long = "issuer-key", value_name = "ISSUER=METHOD", value_parser = issuer_key)]
    issuer_keys: Vec<(String, String)>,
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

fn issuer_key(text: &str) -> Result<(String, String), String> {
    // A DID with a fragment has no sign of equality; the URL of an issuer may have one.
    let (issuer, method) = text.rsplit_once('=').ok_or("it is ISSUER=METHOD")?;
    if issuer.is_empty() || !method.contains('#') {
        return Err("METHOD is the URL of a verification method, with a fragment".to_owned());
    }
    Ok((issuer.to_owned(), method.to_owned()))
}

fn by_issuer(keys: Vec<(String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut by_issuer = BTreeMap::<String, Vec<String>>::new();
    for (issuer, method) in keys {
        by_issuer.entry(issuer).or_default().push(method);
    }
    by_issuer
}

/// Reads and checks everything before it writes anything.
fn init(args: InitArgs) -> Result<(), Fault> {
    let home = Home(args.home.home);
    let config = Config {
        listen: args.listen,
        node: args.node,
        open: args.open,
        domain: args.domain,
        accreditation: args.accreditation,
        issuer_keys: by_issuer(args.issuer_keys),
        allowed_hosts: args
            .allowed_hosts
            .iter()
            .map(|text| HostConfig::parse(text))
            .collect::<Result<_, _>>()?,
    };
    config.validate().map_err(Fault::usage)?;
    aval_client::NodeClient::new(&config.node, &aval_client::ClientOptions::default())
        .map_err(|error| Fault::usage(error.to_string()))?;
    let genesis = fs::read(&args.genesis).map_err(|error| {
        Fault::of_file(&args.genesis, &error, "give the network's genesis file with --genesis")
    })?;
    let trusted = aval_client::TrustedGenesis::parse(genesis.clone()).map_err(|error| {
        Fault::failed(format!("{} is not a genesis file: {error}", args.genesis.display()))
    })?;
    home.prepare()?;
    write_new(&home.genesis(), &genesis, 0o644)?;
    let token: [u8; 32] = rand::rng().random();
    write_new(&home.token(), b64u::encode(token).as_bytes(), 0o600)?;
    crate::home::write_config(&home.config(), &config)?;
    let summary = serde_json::json!({
        "genesis": trusted.hash().to_string(),
        "credentials": format!("http://{}/credentials/verify", config.listen),
        "presentations": format!("http://{}/presentations/verify", config.listen),
        "token": home.token(),
    });
    println!("{summary:#}");
    Ok(())
}
