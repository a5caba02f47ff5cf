//! The running service.

use super::config::{Config, Home};
use super::public::{self, Public};
use super::sources::Sources;
use crate::fault::Fault;
use crate::hosts;
use crate::server::{self, Bounds};
use crate::stop;
use aval_client::{ClientOptions, FileCheckpoints, NodeClient, TrustedGenesis, VerifyingClient};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
    Ok(Sources::new(ledger, hosts::client(&config.allowed_hosts).map_err(Fault::failed)?))
}

/// Serves a home folder until told to stop. Whatever is wrong is found before anything is answered.
pub fn start(home: &Home, exit_with_parent: bool) -> Result<(), Fault> {
    let config = Config::read(home)?;
    let token = (!config.open).then(|| home.read_token()).transpose()?;
    let sources = sources(&config, home.read_genesis()?, &home.checkpoint())?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Fault::failed(format!("the service's threads cannot start: {error}")))?;
    let done = runtime.block_on(async {
        let stopped = stop::listen(exit_with_parent)?;
        let listener = server::bind(config.listen, "listen").await?;
        let side = Public::new(sources, &config, token.as_deref());
        tracing::info!(listen = %config.listen, open = config.open, "verifying");
        let connections = side.metrics().connections.clone();
        server::serve(listener, public::router(side), Bounds::default(), connections, stopped).await;
        tracing::info!("stopping");
        Ok(())
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    done
}
