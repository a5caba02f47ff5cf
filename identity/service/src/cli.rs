//! The command line: `aval-identityd issuer init | start | offer | list | revoke`.
//!
//! Data goes to stdout, talk to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 4 unauthorized, 5 not found, 6 try later.

use crate::config::{Config, CredentialConfig, Home, RegistryConfig, write_private};
use crate::issuer::Issuer;
use crate::keys::IssuerKeys;
use crate::ledger::Ledger;
use crate::records::Records;
use crate::{admin, public};
use anyhow::{Context, Result, bail};
use aval_codec::b64u;
use clap::{Args, Parser, Subcommand};
use rand::RngExt as _;
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Identity services for Aval.
#[derive(Debug, Parser)]
#[command(name = "aval-identityd", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    service: Service,
    /// What to log: error, warn, info, debug or trace
    #[arg(long, global = true, env = "AVAL_IDENTITYD_LOG", default_value = "info")]
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
    registry_size: u64,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&cli.log).unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Service::Issuer(command) = cli.service;
    let done = match command {
        IssuerCommand::Init(args) => init(args).map(|()| 0),
        IssuerCommand::Start { home, exit_with_parent } => start(Home(home.home), exit_with_parent).map(|()| 0),
        IssuerCommand::Offer { home, roles, claims } => offer(&Home(home.home), &roles, &claims),
        IssuerCommand::List { home } => call(&Home(home.home), "GET", "/issuances", None),
        IssuerCommand::Revoke { home, id } => {
            call(&Home(home.home), "POST", &format!("/issuances/{id}/revoke"), None)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("aval-identityd: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn init(args: InitArgs) -> Result<()> {
    let home = Home(args.home.home.clone());
    fs::create_dir_all(&home.0).with_context(|| format!("creating {}", home.0.display()))?;
    let keys = IssuerKeys::read(&args.keys)?;
    let genesis = fs::read(&args.genesis).with_context(|| format!("reading {}", args.genesis.display()))?;
    let trusted = aval_client::TrustedGenesis::parse(genesis.clone())
        .with_context(|| format!("{} is not a genesis file", args.genesis.display()))?;
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
    config.write_new(&home.0)?;
    write_private(&home.keys(), &fs::read_to_string(&args.keys)?)?;
    fs::write(home.genesis(), genesis)?;
    let token: [u8; 32] = rand::rng().random();
    write_private(&home.admin_token(), &b64u::encode(&token))?;
    let summary = serde_json::json!({
        "did": keys.did.to_string(), "genesis": trusted.hash().to_string(), "publicUrl": config.public_url,
    });
    println!("{summary:#}");
    Ok(())
}

fn start(home: Home, exit_with_parent: bool) -> Result<()> {
    let config = Config::read(&home.0)?;
    let keys = Arc::new(IssuerKeys::read(&home.keys())?);
    let genesis = fs::read(home.genesis()).with_context(|| format!("reading {}", home.genesis().display()))?;
    let token = read_token(&home)?;
    let ledger = Ledger::open(&config, &genesis, &home.0.join("checkpoint.json"), keys.clone())?;
    tokio::runtime::Runtime::new()?.block_on(async move {
        let records = Records::open(&home.records()).await?;
        let listener = listen(config.listen).await?;
        let admin_listener = listen(config.admin_listen).await?;
        let public_url = config.public_url.clone();
        let issuer = Arc::new(Issuer::start(config, keys, records, ledger).await?);
        issuer.finish_revocations().await;
        tracing::info!(public_url, admin = %admin_listener.local_addr()?, "issuing");
        let stopped = tokio::sync::watch::Sender::new(false);
        let until = |mut stop: tokio::sync::watch::Receiver<bool>| async move {
            let _ = stop.wait_for(|stopped| *stopped).await;
        };
        let public = axum::serve(listener, public::router(issuer.clone()))
            .with_graceful_shutdown(until(stopped.subscribe()));
        let admin = axum::serve(admin_listener, admin::router(issuer, &token))
            .with_graceful_shutdown(until(stopped.subscribe()));
        let servers = async { tokio::try_join!(public.into_future(), admin.into_future()) };
        tokio::pin!(servers);
        tokio::select! {
            served = &mut servers => { served?; return Ok(()); }
            () = told_to_stop(exit_with_parent) => { stopped.send_replace(true); }
        }
        tracing::info!("stopping");
        let _ = tokio::time::timeout(Duration::from_secs(5), servers).await;
        Ok(())
    })
}

async fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on; another program may use it"))
}

async fn told_to_stop(exit_with_parent: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let parent_gone = async {
        if exit_with_parent {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            // A thread of its own: a blocked read must not keep the runtime from shutting down.
            std::thread::spawn(move || {
                let mut buffer = [0; 64];
                while matches!(std::io::stdin().read(&mut buffer), Ok(count) if count > 0) {}
                let _ = sender.send(());
            });
            let _ = receiver.await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
        () = parent_gone => {}
    }
}

fn read_token(home: &Home) -> Result<String> {
    let path = home.admin_token();
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn offer(home: &Home, roles: &[String], claims: &[String]) -> Result<u8> {
    let mut subject = serde_json::Map::new();
    for claim in claims {
        let Some((name, value)) = claim.split_once('=') else { bail!("{claim} is not NAME=VALUE") };
        subject.insert(name.to_owned(), value.into());
    }
    subject.insert("role".to_owned(), roles.into());
    call(home, "POST", "/offers", Some(serde_json::json!({ "subject": subject })))
}

/// Asks the running service over its back office API and prints the answer.
fn call(home: &Home, method: &str, path: &str, body: Option<serde_json::Value>) -> Result<u8> {
    let config = Config::read(&home.0)?;
    let url = format!("http://{}{path}", config.admin_listen);
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build(),
    );
    let authorization = format!("Bearer {}", read_token(home)?);
    let answer = if method == "GET" {
        agent.get(&url).header("Authorization", &authorization).call()
    } else {
        agent
            .post(&url)
            .header("Authorization", &authorization)
            .header("Content-Type", "application/json")
            .send(body.unwrap_or_default().to_string())
    };
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("aval-identityd: the issuer at {} cannot be reached ({error}); is it started?", config.admin_listen);
            return Ok(6);
        }
    };
    let text = answer.body_mut().read_to_string()?;
    let status = answer.status().as_u16();
    if answer.status().is_success() {
        println!("{text}");
        return Ok(0);
    }
    eprintln!("aval-identityd: {text}");
    Ok(match status {
        401 => 4,
        404 => 5,
        429 | 502 | 503 => 6,
        _ => 1,
    })
}
