//! The commands of the verifier: `init | start | operator`.

use super::config::{Accredited, Config, Home};
use super::identity::{ClientIdKind, WalletsConfig};
use super::service;
use crate::fault::Fault;
use crate::home::write_new;
use crate::hosts::HostConfig;
use crate::issuer::config::KeysConfig;
use crate::keys::file::Source;
use crate::operators::{self, Change};
use crate::storage::Role;
use aval_codec::b64u;
use clap::{Args, Subcommand};
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What operators of a verifier may be.
const ROLES: [Role; 3] = [Role::Viewer, Role::Verifier, Role::Admin];

/// What can be told to a verifier.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a home folder from a genesis file and addresses
    Init(Box<InitArgs>),
    /// Serve until SIGINT or SIGTERM
    Start {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// End when standard input closes, so that a parent leaves nothing behind
        #[arg(long)]
        exit_with_parent: bool,
    },
    /// Operators: who may verify and ask
    #[command(subcommand)]
    Operator(OperatorCommand),
}

/// Operators of the verifier. Their tokens are shown once; the records keep a hash.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Add an operator; prints the token as JSON
    Add {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// The name, as the audit log shows it
        name: String,
        /// viewer, verifier or admin
        #[arg(long)]
        role: Role,
    },
    /// List operators, as JSON
    List {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
    },
    /// Remove an operator: the token opens nothing any more
    Remove {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// The name
        name: String,
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
    /// Where relying parties reach the service
    #[arg(long, default_value = "127.0.0.1:8200")]
    listen: SocketAddr,
    /// Let anybody have credentials and presentations verified, without a token
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
    /// A PostgreSQL database instead of a SQLite file: postgres://user:password@host/name
    #[arg(long, value_name = "URL", env = "AVAL_VERIFIER_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// The authorities whose certificates issuers may have in place of a DID, as PEM
    #[arg(long, value_name = "FILE")]
    trusted_roots: Option<PathBuf>,
    #[command(flatten)]
    wallets: WalletArgs,
}

/// How wallets are asked.
#[derive(Debug, Args)]
pub struct WalletArgs {
    /// Ask wallets over OpenID4VP, with the key in this file, which is copied
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Where wallets reach the service
    #[arg(long, default_value = "127.0.0.1:8201", requires = "keys")]
    wallet_listen: SocketAddr,
    /// The URL that wallets use [default: http:// and the address for wallets]
    #[arg(long, value_name = "URL", requires = "keys")]
    public_url: Option<String>,
    /// By what wallets know the verifier
    #[arg(long, value_enum, default_value_t, requires = "keys")]
    client_id: ClientIdKind,
    /// The verifier's certificates as PEM, its own first, without the root
    #[arg(long, value_name = "FILE", requires = "keys")]
    certificates: Option<PathBuf>,
    /// Seal the key under the passphrase in the first line of this file, which the service then needs to start
    #[arg(long, value_name = "FILE", requires = "keys")]
    passphrase_file: Option<PathBuf>,
}

/// Reads a file of certificates.
fn pem(path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path)
        .map_err(|error| Fault::of_file(path, &error, "give a file with certificates as PEM"))
}

impl WalletArgs {
    fn config(&self) -> Result<Option<WalletsConfig>, Fault> {
        if self.keys.is_none() {
            return Ok(None);
        }
        Ok(Some(WalletsConfig {
            listen: self.wallet_listen,
            public_url: self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.wallet_listen)),
            client_id: self.client_id,
            certificates: self.certificates.as_deref().map(pem).transpose()?,
            keys: KeysConfig { passphrase_file: self.passphrase_file.clone(), ..KeysConfig::default() },
        }))
    }
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<(), Fault> {
        match self {
            Self::Init(args) => init(*args),
            Self::Start { home, exit_with_parent } => service::start(&Home(home.home), exit_with_parent),
            Self::Operator(command) => operator(command),
        }
    }
}

fn operator(command: OperatorCommand) -> Result<(), Fault> {
    let (home, change) = match command {
        OperatorCommand::Add { home, name, role } => (home, Change::Add { name, role }),
        OperatorCommand::List { home } => (home, Change::List),
        OperatorCommand::Remove { home, name } => (home, Change::Remove { name }),
    };
    let home = Home(home.home);
    let config = Config::read(&home)?;
    operators::run(config.database.as_deref(), &home.records(), &ROLES, change)
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
        database: args.database,
        trusted_roots: args.trusted_roots.as_deref().map(pem).transpose()?,
        wallets: args.wallets.config()?,
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
    // What cannot be used later is refused now.
    let given = args.wallets.keys.as_deref().map(Source::plain);
    let keys = match (&config.wallets, given) {
        (Some(wallets), Some(given)) => {
            match wallets.client_id {
                ClientIdKind::Did => given.read().map(drop)?,
                _ => given.read_signer().map(drop)?,
            }
            let source = home.keys(wallets);
            Some((source.path.clone(), source.seal(&given.text()?)?))
        }
        _ => None,
    };
    home.prepare()?;
    if let Some((path, sealed)) = keys {
        write_new(&path, &sealed, 0o600)?;
    }
    write_new(&home.genesis(), &genesis, 0o644)?;
    let token: [u8; 32] = rand::rng().random();
    write_new(&home.token(), b64u::encode(token).as_bytes(), 0o600)?;
    crate::home::write_config(&home.config(), &config)?;
    let summary = serde_json::json!({
        "genesis": trusted.hash().to_string(),
        "credentials": format!("http://{}/credentials/verify", config.listen),
        "presentations": format!("http://{}/presentations/verify", config.listen),
        "wallets": config.wallets.as_ref().map(|wallets| wallets.public_url.clone()),
        "token": home.token(),
    });
    println!("{summary:#}");
    Ok(())
}
