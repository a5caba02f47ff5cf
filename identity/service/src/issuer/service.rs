//! The running service: both listeners, and what has to be done from time to time.

use super::config::{Config, Home};
use super::decisions::{Issuer, prepare_ledger};
use super::ledger::Ledger;
use super::{admin, public};
use crate::clock::now_s;
use crate::fault::Fault;
use crate::keys::IssuerKeys;
use crate::server::{self, Bounds};
use crate::stop;
use crate::storage::Records;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How often open revocations are tried again and what has expired is forgotten.
const CHORES_EVERY: Duration = Duration::from_secs(60);
/// How long work on the ledger may go on when everything else has stopped; what is cut off goes on at the next start.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves a home folder until told to stop. Whatever is wrong is found before anything in the folder is changed.
pub fn start(home: &Home, exit_with_parent: bool) -> Result<(), Fault> {
    let config = Config::read(home)?;
    let (keys, _) = IssuerKeys::read(&home.keys())?;
    let keys = Arc::new(keys);
    let token = home.read_admin_token()?;
    let ledger = Ledger::open(&config, &home.read_genesis()?, &home.checkpoint(), keys.clone())?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Fault::failed(format!("the service's threads cannot start: {error}")))?;
    let done = runtime.block_on(async {
        let mut stopped = stop::listen(exit_with_parent)?;
        let public = server::bind(config.listen, "listen").await?;
        let admin = server::bind(config.admin_listen, "adminListen").await?;
        if !config.admin_listen.ip().is_loopback() {
            tracing::warn!(address = %config.admin_listen, "the back office is open to other machines, without TLS");
        }
        tokio::select! {
            prepared = prepare_ledger(&config, &ledger) => prepared?,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        }
        let records = Records::open(&home.records()).await?;
        let issuer = Arc::new(Issuer::new(config, keys, records, ledger));
        run(issuer, public, admin, &token, Bounds::default(), stopped).await;
        Ok(())
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    done
}

/// Serves both sides until `stopped`, then closes the records.
pub async fn run(
    issuer: Arc<Issuer>,
    public: TcpListener,
    admin: TcpListener,
    token: &str,
    bounds: Bounds,
    stopped: watch::Receiver<bool>,
) {
    tracing::info!(public_url = issuer.config().public_url, "issuing");
    let open = issuer.metrics().connections.clone();
    let chores = tokio::spawn(chores(issuer.clone()));
    tokio::join!(
        server::serve(public, public::router(issuer.clone()), bounds, open.clone(), stopped.clone()),
        server::serve(admin, admin::router(issuer.clone(), token), bounds, open, stopped),
    );
    tracing::info!("stopping");
    chores.abort();
    // A revocation that waits for the ledger may hold a connection for longer than anybody wants to wait here.
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, issuer.records().close()).await;
}

async fn chores(issuer: Arc<Issuer>) {
    let mut ticks = tokio::time::interval(CHORES_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        issuer.finish_revocations().await;
        if let Err(error) = issuer.records().forget_expired(now_s()).await {
            tracing::error!(%error, "expired records could not be removed");
        }
    }
}
