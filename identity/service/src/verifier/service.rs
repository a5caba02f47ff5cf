//! The running service.

use super::config::{Config, Home};
use super::presentations::Identity;
use super::public::{self, Public};
use super::sources::Sources;
use crate::clock::now_s;
use crate::fault::Fault;
use crate::hosts;
use crate::server::{self, Bounds};
use crate::stop;
use crate::storage::Records;
use aval_client::{ClientOptions, FileCheckpoints, NodeClient, TrustedGenesis, VerifyingClient};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How often what has expired is forgotten.
const CHORES_EVERY: Duration = Duration::from_secs(60);
/// How long work on the ledger and the web may go on when everything else has stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a configuration looks things up, with the ledger that its genesis file pins.
pub fn sources(config: &Config, genesis: Vec<u8>, checkpoint: &Path) -> Result<Sources, Fault> {
    let genesis = TrustedGenesis::parse(genesis)
        .map_err(|error| Fault::failed(format!("genesis.json is not a genesis file: {error}")))?;
    let node = NodeClient::new(&config.node, &ClientOptions::default())
        .map_err(|error| Fault::failed(format!("`node` in config.json: {error}")))?;
    let ledger = VerifyingClient::new(node, &genesis, Arc::new(FileCheckpoints::new(checkpoint)))
        .map_err(|error| Fault::failed(format!("the ledger: {error}")))?;
    let web = hosts::client(&config.allowed_hosts).map_err(Fault::failed)?;
    Ok(Sources::new(ledger, web, config.roots().map_err(Fault::failed)?))
}

/// Serves a home folder until told to stop. Whatever is wrong is found before anything is answered.
pub fn start(home: &Home, exit_with_parent: bool) -> Result<(), Fault> {
    let config = Config::read(home)?;
    let token = home.read_token()?;
    let identity = config.wallets.as_ref().map(|wallets| wallets.open(home)).transpose()?;
    let sources = Arc::new(sources(&config, home.read_genesis()?, &home.checkpoint())?);
    if let Some((Identity::Did { did, key_id }, _)) = &identity {
        check_key(&sources, did, key_id)?;
    }
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Fault::failed(format!("the service's threads cannot start: {error}")))?;
    let done = runtime.block_on(async {
        let stopped = stop::listen(exit_with_parent)?;
        let listener = server::bind(config.listen, "listen").await?;
        let wallets = match &config.wallets {
            Some(wallets) => Some(server::bind(wallets.listen, "wallets.listen").await?),
            None => None,
        };
        if !config.listen.ip().is_loopback() {
            tracing::warn!(address = %config.listen, "relying parties reach this from other machines, without TLS");
        }
        let records = Records::open_any(config.database.as_deref(), &home.records()).await?;
        let side = Public::new(sources, records, &config, &token, identity);
        run(side, listener, wallets, stopped).await;
        Ok(())
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    done
}

/// Refuses a key that wallets would refuse. A ledger that cannot be asked now is no reason not to start.
fn check_key(sources: &Sources, did: &str, key_id: &str) -> Result<(), Fault> {
    match sources.may_authenticate(did, key_id) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Fault::failed(format!(
            "{key_id} is not an authentication key of {did} on the ledger, so wallets would refuse its requests"
        ))),
        Err(reason) => {
            tracing::warn!(%reason, "whether wallets will take the verifier's key could not be checked");
            Ok(())
        }
    }
}

/// Serves both sides until `stopped`, then closes the records.
pub async fn run(
    side: Public,
    listener: TcpListener,
    wallets: Option<TcpListener>,
    stopped: watch::Receiver<bool>,
) {
    tracing::info!(asks_wallets = side.presentations().is_some(), "verifying");
    let open = side.metrics().connections.clone();
    let records = side.records().clone();
    let chores = tokio::spawn(chores(records.clone()));
    let for_wallets = async {
        if let (Some(listener), Some(router)) = (wallets, public::wallet_router(&side)) {
            server::serve(listener, router, Bounds::default(), open.clone(), stopped.clone()).await;
        }
    };
    let router = public::router(side.clone());
    tokio::join!(
        server::serve(listener, router, Bounds::default(), open.clone(), stopped.clone()),
        for_wallets
    );
    tracing::info!("stopping");
    chores.abort();
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, records.close()).await;
}

/// Forgets questions some time after their end. Every instance does: it is one statement.
async fn chores(records: Records) {
    let mut ticks = tokio::time::interval(CHORES_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = records.forget_presentations(now_s()).await {
            tracing::error!(%error, "presentations that have expired could not be removed");
        }
    }
}
