//! The commands of the issuer: `init | start | offer | list | revoke`.

use super::config::{Config, CredentialConfig, Home, RegistryConfig};
use super::service;
use crate::fault::Fault;
use crate::home::write_new;
use crate::keys::IssuerKeys;
use crate::remote::{self, Call};
use aval_codec::b64u;
use clap::{Args, Subcommand};
use rand::RngExt as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use uuid::Uuid;

/// What can be told to an issuer.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a home folder from a key file, a genesis file and addresses
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
    /// Offer a credential; prints the offer's URI and the transaction code as JSON
    Offer {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// A role the credential gives; may be repeated
        #[arg(long = "role", value_name = "ROLE", default_value = "member")]
        roles: Vec<String>,
        /// A claim of the subject, as NAME=VALUE; may be repeated
        #[arg(long = "claim", value_name = "NAME=VALUE")]
        claims: Vec<String>,
    },
    /// List what was issued, as JSON
    List {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
    },
    /// Revoke a credential by its issuance id; answers when that is final on the ledger
    Revoke {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// The issuance id
        id: String,
    },
}

/// Where the home folder is.
#[derive(Debug, Args)]
pub struct HomeArg {
    /// The issuer's home folder
    #[arg(long, value_name = "FOLDER", env = "AVAL_ISSUER_HOME")]
    home: PathBuf,
}

/// What `init` is told.
#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    home: HomeArg,
    /// The issuer's key file; it is copied
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// The network's genesis file; it is copied and pinned
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// A ledger node
    #[arg(long, value_name = "URL")]
    node: String,
    /// Where wallets reach the service
    #[arg(long, default_value = "127.0.0.1:8100")]
    listen: SocketAddr,
    /// Where the back office reaches it
    #[arg(long, default_value = "127.0.0.1:8101")]
    admin_listen: SocketAddr,
    /// The URL that wallets use [default: http:// and the listen address]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The credential type
    #[arg(long, default_value = "AvalMembershipCredential")]
    credential_type: String,
    /// The name that a wallet shows
    #[arg(long, default_value = "Membership")]
    display_name: String,
    /// How long a credential is valid
    #[arg(long, default_value_t = 365)]
    validity_days: u32,
    /// How long an offer can be redeemed
    #[arg(long, default_value_t = 60)]
    offer_minutes: u32,
    /// The name of the status registry on the ledger
    #[arg(long, default_value = "membership")]
    registry: String,
    /// Entries of the status registry: a multiple of 1,024
    #[arg(long, default_value_t = 131_072)]
    registry_size: u32,
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<(), Fault> {
        match self {
            Self::Init(args) => init(args),
            Self::Start { home, exit_with_parent } => service::start(&Home(home.home), exit_with_parent),
            Self::Offer { home, roles, claims } => offer(&Home(home.home), &roles, &claims),
            Self::List { home } => ask(&Home(home.home), "/issuances", &Call::Get),
            Self::Revoke { home, id } => revoke(&Home(home.home), &id),
        }
    }
}

/// Reads and checks everything before it writes anything.
fn init(args: InitArgs) -> Result<(), Fault> {
    let home = Home(args.home.home);
    let config = Config {
        listen: args.listen,
        admin_listen: args.admin_listen,
        public_url: args.public_url.unwrap_or_else(|| format!("http://{}", args.listen)),
        node: args.node,
        registry: RegistryConfig { name: args.registry, size: args.registry_size },
        credential: CredentialConfig {
            credential_type: args.credential_type,
            display_name: args.display_name,
            validity_days: args.validity_days,
            offer_minutes: args.offer_minutes,
        },
    };
    config.validate().map_err(Fault::usage)?;
    aval_client::NodeClient::new(&config.node, &aval_client::ClientOptions::default())
        .map_err(|error| Fault::usage(error.to_string()))?;
    let (keys, key_text) = IssuerKeys::read(&args.keys)?;
    let genesis = fs::read(&args.genesis).map_err(|error| {
        Fault::of_file(&args.genesis, &error, "give the network's genesis file with --genesis")
    })?;
    let trusted = aval_client::TrustedGenesis::parse(genesis.clone()).map_err(|error| {
        Fault::failed(format!("{} is not a genesis file: {error}", args.genesis.display()))
    })?;
    home.prepare()?;
    write_new(&home.keys(), key_text.as_bytes(), 0o600)?;
    write_new(&home.genesis(), &genesis, 0o644)?;
    let token: [u8; 32] = rand::rng().random();
    write_new(&home.admin_token(), b64u::encode(token).as_bytes(), 0o600)?;
    config.write_new(&home)?;
    let summary = serde_json::json!({
        "did": keys.did.to_string(), "genesis": trusted.hash().to_string(), "publicUrl": config.public_url,
    });
    println!("{summary:#}");
    Ok(())
}

fn offer(home: &Home, roles: &[String], claims: &[String]) -> Result<(), Fault> {
    let mut subject = serde_json::Map::from_iter([("role".to_owned(), roles.into())]);
    for claim in claims {
        let Some((name, value)) = claim.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Fault::usage(format!("--claim {claim} is not NAME=VALUE")));
        };
        if subject.insert(name.to_owned(), value.into()).is_some() {
            return Err(Fault::usage(format!(
                "--claim {name} is given twice, or is `role`, which --role gives"
            )));
        }
    }
    ask(home, "/offers", &Call::Post(serde_json::json!({ "subject": subject })))
}

fn revoke(home: &Home, id: &str) -> Result<(), Fault> {
    let id: Uuid =
        id.parse().map_err(|_| Fault::usage(format!("{id} is no issuance id; `list` shows them")))?;
    ask(home, &format!("/issuances/{id}/revoke"), &Call::Post(serde_json::Value::Null))
}

/// Asks the running service over its back office API and prints the answer.
fn ask(home: &Home, path: &str, call: &Call) -> Result<(), Fault> {
    let config = Config::read(home)?;
    println!("{}", remote::ask(config.admin_listen, path, call, &home.read_admin_token()?)?);
    Ok(())
}
