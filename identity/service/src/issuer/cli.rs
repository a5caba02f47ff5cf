//! The commands of the issuer: `init | start | offer | list | revoke | operator | key`.

use super::config::{Config, CredentialConfig, Home, KeysConfig, RegistryConfig};
use super::service;
use crate::fault::Fault;
use crate::home::write_new;
use crate::keys::file::Source;
use crate::keys::module::ModuleConfig;
use crate::operators::{self, Change};
use crate::remote::{self, Call};
use crate::storage::Role;
use aval_codec::b64u;
use aval_did::key::Algorithm;
use clap::{Args, Subcommand};
use rand::RngExt as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use uuid::Uuid;

/// What operators of an issuer may be.
const ROLES: [Role; 4] = [Role::Viewer, Role::Issuer, Role::Revoker, Role::Admin];
/// What is left of a registry's name when `-hold` is put behind it.
const REGISTRY_STEM_MAX: usize = 27;

/// What can be told to an issuer.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a home folder from a key file, a genesis file and addresses
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
    /// Operators of the back office
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Keys that sign
    #[command(subcommand)]
    Key(KeyCommand),
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
    /// A PostgreSQL database instead of a SQLite file: postgres://user:password@host/name
    #[arg(long, value_name = "URL", env = "AVAL_ISSUER_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Seal the keys under the passphrase in the first line of this file, which the service then needs to start
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The PKCS#11 module that keys are in, as LIBRARY,TOKEN,PINFILE
    #[arg(long, value_name = "MODULE")]
    pkcs11: Option<String>,
}

/// The registry for revocation, and beside it one for suspension.
fn registries(name: String, size: u32) -> Vec<RegistryConfig> {
    let suspension = format!("{}-hold", name.chars().take(REGISTRY_STEM_MAX).collect::<String>());
    let registry = |name: String, purpose: &str| RegistryConfig { name, purpose: purpose.to_owned(), size };
    vec![registry(name, "revocation"), registry(suspension, "suspension")]
}

fn module(text: Option<String>) -> Result<Option<ModuleConfig>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let parts: Vec<&str> = text.split(',').collect();
    let [library, token, pin_file] = parts.as_slice() else {
        return Err(Fault::usage("--pkcs11 is LIBRARY,TOKEN,PINFILE"));
    };
    let (library, pin_file) = (PathBuf::from(library), PathBuf::from(pin_file));
    Ok(Some(ModuleConfig { library, token: (*token).to_owned(), pin_file }))
}

/// Operators of the back office. Their tokens are shown once; the records keep a hash.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Add an operator; prints the token as JSON
    Add {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// The name, as the audit log shows it
        name: String,
        /// viewer, issuer, revoker or admin
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

/// Keys that sign.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and add it to the key file; prints what the DID document has to say, as JSON
    Add {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// EdDSA or ES256
        #[arg(long, default_value = "EdDSA", value_parser = algorithm)]
        algorithm: Algorithm,
        /// In the PKCS#11 module, which it never leaves
        #[arg(long)]
        in_module: bool,
    },
    /// Sign with another key from now on; the running service and all its other instances follow
    Activate {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// The verification method, for example key-2
        method: String,
    },
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(text).ok_or_else(|| format!("{text} is neither EdDSA nor ES256"))
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<(), Fault> {
        match self {
            Self::Init(args) => init(*args),
            Self::Start { home, exit_with_parent } => service::start(&Home(home.home), exit_with_parent),
            Self::Offer { home, roles, claims } => offer(&Home(home.home), &roles, &claims),
            Self::List { home } => ask(&Home(home.home), "/issuances", &Call::Get),
            Self::Revoke { home, id } => revoke(&Home(home.home), &id),
            Self::Operator(command) => operator(command),
            Self::Key(KeyCommand::Add { home, algorithm, in_module }) => {
                let home = Home(home.home);
                print(&Config::read(&home)?.key_source(&home).add(algorithm, in_module)?)
            }
            Self::Key(KeyCommand::Activate { home, method }) => {
                let method = method.trim_start_matches('#');
                ask(
                    &Home(home.home),
                    &format!("/keys/{method}/activate"),
                    &Call::Post(serde_json::Value::Null),
                )
            }
        }
    }
}

fn print(value: &impl serde::Serialize) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Fault::failed(error.to_string()))?;
    println!("{text}");
    Ok(())
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

/// Reads and checks everything before it writes anything.
fn init(args: InitArgs) -> Result<(), Fault> {
    let home = Home(args.home.home);
    let config = Config {
        listen: args.listen,
        admin_listen: args.admin_listen,
        public_url: args.public_url.unwrap_or_else(|| format!("http://{}", args.listen)),
        node: args.node,
        registries: registries(args.registry, args.registry_size),
        credential: CredentialConfig {
            credential_type: args.credential_type,
            display_name: args.display_name,
            validity_days: args.validity_days,
            offer_minutes: args.offer_minutes,
        },
        database: args.database,
        keys: KeysConfig { passphrase_file: args.passphrase_file, module: module(args.pkcs11)? },
    };
    config.validate().map_err(Fault::usage)?;
    aval_client::NodeClient::new(&config.node, &aval_client::ClientOptions::default())
        .map_err(|error| Fault::usage(error.to_string()))?;
    let given = Source { module: config.keys.module.clone(), ..Source::plain(&args.keys) };
    let keys = given.read()?;
    let source = config.key_source(&home);
    let sealed = source.seal(&given.text()?)?;
    let genesis = fs::read(&args.genesis).map_err(|error| {
        Fault::of_file(&args.genesis, &error, "give the network's genesis file with --genesis")
    })?;
    let trusted = aval_client::TrustedGenesis::parse(genesis.clone()).map_err(|error| {
        Fault::failed(format!("{} is not a genesis file: {error}", args.genesis.display()))
    })?;
    home.prepare()?;
    write_new(&source.path, &sealed, 0o600)?;
    write_new(&home.genesis(), &genesis, 0o644)?;
    let token: [u8; 32] = rand::rng().random();
    write_new(&home.admin_token(), b64u::encode(token).as_bytes(), 0o600)?;
    config.write_new(&home)?;
    let summary = serde_json::json!({
        "did": keys.did().to_string(), "genesis": trusted.hash().to_string(), "publicUrl": config.public_url,
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
