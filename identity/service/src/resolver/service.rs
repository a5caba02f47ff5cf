//! The running service.

use super::config::{Config, Home};
use super::endorser::FileEndorser;
use super::public;
use crate::fault::Fault;
use crate::hosts;
use crate::keys::IssuerKeys;
use crate::keys::file::Source;
use crate::server::{self, Bounds};
use crate::stop;
use aval_client::{ClientOptions, FileCheckpoints, NodeClient, TrustedGenesis, VerifyingClient};
use aval_resolver::registrar::{Endorser, Registrar};
use aval_resolver::{CacheBounds, Resolver};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long work on the ledger and the web may go on when everything else has stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What answers.
#[derive(Debug)]
pub struct Parts {
    /// Resolves.
    pub resolver: Resolver,
    /// Registers, if this deployment does.
    pub registrar: Option<Registrar>,
}

impl Parts {
    /// The parts of a configuration, with the ledger that its genesis file pins.
    pub fn open(
        config: &Config,
        genesis: Vec<u8>,
        checkpoint: &Path,
        endorser: Option<Box<dyn Endorser>>,
    ) -> Result<Self, Fault> {
        let genesis = TrustedGenesis::parse(genesis)
            .map_err(|error| Fault::failed(format!("genesis.json is not a genesis file: {error}")))?;
        let node = NodeClient::new(&config.node, &ClientOptions::default())
            .map_err(|error| Fault::failed(format!("`node` in config.json: {error}")))?;
        let ledger = VerifyingClient::new(node, &genesis, Arc::new(FileCheckpoints::new(checkpoint)))
            .map_err(|error| Fault::failed(format!("the ledger: {error}")))?;
        let web = hosts::client(&config.allowed_hosts).map_err(Fault::failed)?;
        let registrar = config.registrar.then(|| Registrar::new(ledger.clone(), endorser));
        Ok(Self { resolver: Resolver::new(Some(ledger), Some(web), CacheBounds::default()), registrar })
    }
}

/// Serves a home folder until told to stop. Whatever is wrong is found before anything is answered.
pub fn start(home: &Home, exit_with_parent: bool) -> Result<(), Fault> {
    let config = Config::read(home)?;
    let token = home.read_admin_token()?;
    let endorser: Option<Box<dyn Endorser>> = match config.registrar && home.keys().exists() {
        true => Some(Box::new(FileEndorser(IssuerKeys::open(Source::plain(&home.keys()))?))),
        false => None,
    };
    let parts = Parts::open(&config, home.read_genesis()?, &home.checkpoint(), endorser)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Fault::failed(format!("the service's threads cannot start: {error}")))?;
    let done = runtime.block_on(async {
        let stopped = stop::listen(exit_with_parent)?;
        let listener = server::bind(config.listen, "listen").await?;
        let side = public::Public::new(parts, &token);
        tracing::info!(listen = %config.listen, registrar = config.registrar, "resolving");
        let open = side.metrics().connections.clone();
        server::serve(listener, public::router(side), Bounds::default(), open, stopped).await;
        tracing::info!("stopping");
        Ok(())
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    done
}
