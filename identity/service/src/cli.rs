//! The command line: `aval-identityd issuer init | start | offer | list | revoke`.
//!
//! Data goes to stdout as JSON, talk to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 4 unauthorized, 5 not found, 6
//! try later.

use crate::config::{Config, CredentialConfig, Home, RegistryConfig, write_new};
use crate::fault::Fault;
use crate::keys::IssuerKeys;
use crate::service;
use aval_codec::b64u;
use clap::{Args, Parser, Subcommand};
use rand::RngExt as _;
use std::fs;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

/// Longer than the service takes to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(100);

/// Identity services for Aval.
#[derive(Debug, Parser)]
#[command(name = "aval-identityd", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    service: Service,
    /// What to log: error, warn, info, debug or trace
    #[arg(long, global = true, env = "AVAL_IDENTITYD_LOG", default_value = "info", value_parser = filter)]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Service {
    /// Issues credentials over OpenID4VCI and revokes them on the ledger
    #[command(subcommand)]
    Issuer(IssuerCommand),
}

#[derive(Debug, Subcommand)]
enum IssuerCommand {
    /// Make a home folder from a key file, a genesis file and addresses
    Init(InitArgs),
    /// Serve until SIGINT or SIGTERM
    Start {
        #[command(flatten)]
        home: HomeArg,
        /// End when standard input closes, so that a parent leaves nothing behind
        #[arg(long)]
        exit_with_parent: bool,
    },
    /// Offer a credential; prints the offer's URI and the transaction code as JSON
    Offer {
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
        #[command(flatten)]
        home: HomeArg,
    },
    /// Revoke a credential by its issuance id; answers when that is final on the ledger
    Revoke {
        #[command(flatten)]
        home: HomeArg,
        /// The issuance id
        id: String,
    },
}

#[derive(Debug, Args)]
struct HomeArg {
    /// The issuer's home folder
    #[arg(long, value_name = "FOLDER", env = "AVAL_ISSUER_HOME")]
    home: PathBuf,
}

#[derive(Debug, Args)]
struct InitArgs {
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

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| "info".into());
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let Service::Issuer(command) = cli.service;
    let done = match command {
        IssuerCommand::Init(args) => init(args),
        IssuerCommand::Start { home, exit_with_parent } => service::start(&Home(home.home), exit_with_parent),
        IssuerCommand::Offer { home, roles, claims } => offer(&Home(home.home), &roles, &claims),
        IssuerCommand::List { home } => call(&Home(home.home), "/issuances", Call::Get),
        IssuerCommand::Revoke { home, id } => revoke(&Home(home.home), &id),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("aval-identityd: {fault}");
            ExitCode::from(fault.exit_code())
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
    call(home, "/offers", Call::Post(serde_json::json!({ "subject": subject })))
}

fn revoke(home: &Home, id: &str) -> Result<(), Fault> {
    let id: Uuid =
        id.parse().map_err(|_| Fault::usage(format!("{id} is no issuance id; `list` shows them")))?;
    call(home, &format!("/issuances/{id}/revoke"), Call::Post(serde_json::Value::Null))
}

enum Call {
    Get,
    Post(serde_json::Value),
}

/// Asks the running service over its back office API and prints the answer.
fn call(home: &Home, path: &str, call: Call) -> Result<(), Fault> {
    let config = Config::read(home)?;
    let address = config.admin_listen;
    let url = format!("http://{address}{path}");
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build(),
    );
    let authorization = format!("Bearer {}", home.read_admin_token()?);
    let answer = match call {
        Call::Get => agent.get(&url).header("authorization", &authorization).call(),
        Call::Post(body) => {
            let request = agent.post(&url).header("authorization", &authorization);
            request.header("content-type", "application/json").send(body.to_string())
        }
    };
    let unreachable = |error: ureq::Error| {
        Fault::try_later(format!("the issuer at {address} cannot be reached ({error}): is it started?"))
    };
    let mut answer = answer.map_err(unreachable)?;
    let text = answer.body_mut().read_to_string().map_err(unreachable)?;
    let status = answer.status().as_u16();
    if answer.status().is_success() {
        println!("{text}");
        return Ok(());
    }
    Err(refusal(status, &text))
}

/// The service's problem document as a fault.
fn refusal(status: u16, text: &str) -> Fault {
    let problem: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| problem.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let sentence = match (field("detail"), field("code")) {
        ("", _) => format!("the issuer answered with status {status}"),
        (detail, "") => detail.to_owned(),
        (detail, code) => format!("{detail} ({code})"),
    };
    match status {
        401 => Fault::locked(sentence),
        404 => Fault::not_found(sentence),
        408 | 429 | 503 => Fault::try_later(sentence),
        _ => Fault::failed(sentence),
    }
}
