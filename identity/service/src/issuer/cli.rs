//! The commands of the issuer: `init | start | offer | list | revoke | template | operator | key |
//! instance`.

use super::config::{Config, CredentialConfig, Home, KeysConfig, RegistryConfig};
use super::instance::{self, InstanceConfig};
use super::service;
use crate::fault::Fault;
use crate::home::write_new;
use crate::keys::file::{Asked, Sealing, Source};
use crate::keys::module::ModuleConfig;
use crate::operators::{self, Change};
use crate::remote::{self, Call};
use crate::storage::Role;
use aval_codec::b64u;
use aval_did::key::Algorithm;
use clap::{Args, Subcommand};
use rand::RngExt as _;
use std::collections::BTreeMap;
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
        /// A role the credential gives; may be repeated [default: member, and none for a template]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// A claim of the subject, as NAME=VALUE; may be repeated
        #[arg(long = "claim", value_name = "NAME=VALUE")]
        claims: Vec<String>,
        /// The template [default: the configured credential]
        #[arg(long, value_name = "ID")]
        template: Option<String>,
        /// Let the user come with a browser and a login code, instead of a transaction code for the wallet
        #[arg(long)]
        login: bool,
        /// A link that refers to the offer: shorter, and better as a QR code
        #[arg(long)]
        by_reference: bool,
    },
    /// List what was issued, as JSON
    List {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
    },
    /// Templates: further kinds of credentials
    #[command(subcommand)]
    Template(TemplateCommand),
    /// Operators of the back office
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Keys that sign
    #[command(subcommand)]
    Key(KeyCommand),
    /// Further issuers of the VC-API
    #[command(subcommand)]
    Instance(InstanceCommand),
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
    /// The keys are sealed under the passphrase in the first line of this file, which the service then needs to start.
    /// Without it the passphrase is taken from AVAL_ISSUER_PASSPHRASE or asked for, now and at each start
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Keep the keys as plain text, in a file that only its owner may read
    #[arg(long, conflicts_with = "passphrase_file")]
    plain_keys: bool,
    /// Certificates of a key, as NAME=FILE (PEM, the key's own first); may be repeated
    #[arg(long = "certificates", value_name = "NAME=FILE")]
    certificates: Vec<String>,
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

fn certificates(texts: &[String]) -> Result<BTreeMap<String, PathBuf>, Fault> {
    let pairs = texts.iter().map(|text| {
        let (name, file) = text.split_once('=').ok_or_else(|| Fault::usage("--certificates is NAME=FILE"))?;
        Ok((name.trim_start_matches('#').to_owned(), PathBuf::from(file)))
    });
    pairs.collect()
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

/// Templates: further kinds of credentials.
#[derive(Debug, Subcommand)]
pub enum TemplateCommand {
    /// Make a template; prints it as JSON
    Add {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// 1 to 32 of a-z, 0-9 and -
        id: String,
        /// The credential type, which the issuer is accredited for
        #[arg(long = "type", value_name = "TYPE")]
        credential_type: String,
        /// The name that a wallet shows [default: the type]
        #[arg(long)]
        display_name: Option<String>,
        /// vc+sd-jwt, dc+sd-jwt, jwt_vc_json or ldp_vc
        #[arg(long, default_value = "vc+sd-jwt")]
        format: String,
        /// Further members of the back office's POST /templates, as JSON
        #[arg(long, value_name = "JSON")]
        more: Option<String>,
    },
    /// List templates, as JSON
    List {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
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

/// Further issuers of the VC-API.
#[derive(Debug, Subcommand)]
pub enum InstanceCommand {
    /// Make an instance; the service has it from its next start on. Prints its DID and path as JSON
    Add {
        /// Whose.
        #[command(flatten)]
        home: HomeArg,
        /// 1 to 32 of a-z, 0-9 and -
        name: String,
        /// eddsa-rdfc-2022, eddsa-jcs-2022, ecdsa-rdfc-2019, ecdsa-jcs-2019, ecdsa-sd-2023 or vc+jwt
        #[arg(long)]
        suite: String,
        /// Issue as a did:key with a new key of EdDSA, ES256 or ES384, which nobody accredits [default: as the issuer]
        #[arg(long, value_name = "ALGORITHM")]
        did_key: Option<String>,
        /// Give credentials status entries
        #[arg(long)]
        status: bool,
    },
}

fn add_template(command: TemplateCommand) -> Result<(), Fault> {
    let TemplateCommand::Add { home, id, credential_type, display_name, format, more } = command else {
        return Ok(());
    };
    let mut template: serde_json::Value = match more {
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| Fault::usage(format!("--more is not JSON: {error}")))?,
        None => serde_json::json!({}),
    };
    let Some(members) = template.as_object_mut() else {
        return Err(Fault::usage("--more is not a JSON object"));
    };
    let display_name = display_name.unwrap_or_else(|| credential_type.clone());
    for (name, value) in
        [("id", id), ("credentialType", credential_type), ("displayName", display_name), ("format", format)]
    {
        members.insert(name.to_owned(), value.into());
    }
    members.entry("validityDays").or_insert(365.into());
    ask(&Home(home.home), "/templates", &Call::Post(template))
}

fn add_instance(command: InstanceCommand) -> Result<(), Fault> {
    let InstanceCommand::Add { home, name, suite, did_key, status } = command;
    let home = Home(home.home);
    let config = Config::read(&home)?;
    let keys = config.key_source(&home);
    let made = InstanceConfig::generate(&suite, did_key.as_deref(), status).map_err(Fault::usage)?;
    let instance = instance::add(&config.instance_source(&home, &keys), &name, made)?;
    print(&serde_json::json!({
        "name": name,
        "did": instance.own.as_ref().map(|own| &own.did),
        "keyId": instance.own.as_ref().map(|own| &own.id),
        "path": format!("/instances/{name}/credentials/issue"),
    }))
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
            Self::Offer { home, roles, claims, template, login, by_reference } => {
                let grant = if login { "authorizationCode" } else { "preAuthorized" };
                let mut roles = roles;
                if roles.is_empty() && template.is_none() {
                    roles.push("member".to_owned());
                }
                let order = serde_json::json!({
                    "subject": subject(&roles, &claims)?,
                    "template": template,
                    "grant": grant,
                    "byReference": by_reference,
                });
                ask(&Home(home.home), "/offers", &Call::Post(order))
            }
            Self::Template(command @ TemplateCommand::Add { .. }) => add_template(command),
            Self::Template(TemplateCommand::List { home }) => ask(&Home(home.home), "/templates", &Call::Get),
            Self::List { home } => ask(&Home(home.home), "/issuances", &Call::Get),
            Self::Revoke { home, id } => revoke(&Home(home.home), &id),
            Self::Operator(command) => operator(command),
            Self::Instance(command) => add_instance(command),
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
        keys: KeysConfig {
            sealed: !args.plain_keys,
            passphrase_file: args.passphrase_file,
            module: module(args.pkcs11)?,
        },
        certificates: certificates(&args.certificates)?,
    };
    config.validate().map_err(Fault::usage)?;
    aval_client::NodeClient::new(&config.node, &aval_client::ClientOptions::default())
        .map_err(|error| Fault::usage(error.to_string()))?;
    let given = Source { module: config.keys.module.clone(), ..Source::plain(&args.keys) };
    let keys = given.read()?;
    let mut source = config.key_source(&home);
    if let Sealing::Asked(asked) = &mut source.sealing {
        *asked = Asked::choose()?;
    }
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

fn subject(roles: &[String], claims: &[String]) -> Result<serde_json::Value, Fault> {
    let mut subject = serde_json::Map::new();
    if !roles.is_empty() {
        subject.insert("role".to_owned(), roles.into());
    }
    for claim in claims {
        let Some((name, value)) = claim.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Fault::usage(format!("--claim {claim} is not NAME=VALUE")));
        };
        if name == "role" || subject.insert(name.to_owned(), value.into()).is_some() {
            return Err(Fault::usage(format!(
                "--claim {name} is given twice, or is `role`, which --role gives"
            )));
        }
    }
    Ok(subject.into())
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
