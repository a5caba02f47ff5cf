//! The running service: both listeners, and what has to be done from time to time.

use super::config::{Config, Home};
use super::decisions::{Issuer, prepare_ledger};
use super::ledger::Ledger;
use super::{admin, instance, public};
use crate::certificates::{CHAIN_MAX, certificates};
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
use uuid::Uuid;

/// How often open changes of status are tried again and what has expired is forgotten, seconds.
const CHORES_EVERY_S: i64 = 60;
/// How often an instance looks at what others changed: templates, the key that signs.
const FOLLOW_EVERY: Duration = Duration::from_secs(5);
/// How long work on the ledger may go on when everything else has stopped; what is cut off goes on at the next start.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves a home folder until told to stop. Whatever is wrong is found before anything in the folder is changed.
pub fn start(home: &Home, exit_with_parent: bool) -> Result<(), Fault> {
    let config = Config::read(home)?;
    let source = config.key_source(home);
    let keys = Arc::new(IssuerKeys::open(source.clone())?);
    let instances = instance::open(&config.instance_source(home, &source))?;
    certify(&config, &keys)?;
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
        let records = open_records(&config, home).await?;
        let issuer = Arc::new(Issuer::new(config, keys, records, ledger).with_instances(instances));
        issuer.follow_templates().await?;
        issuer.follow_active_key().await?;
        run(issuer, public, admin, &token, Bounds::default(), stopped).await;
        Ok(())
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    done
}

/// Gives keys the certificates that a configuration names.
fn certify(config: &Config, keys: &IssuerKeys) -> Result<(), Fault> {
    for (name, path) in &config.certificates {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Fault::of_file(path, &error, "`certificates` in config.json names it"))?;
        let chain = certificates(&text, CHAIN_MAX)
            .map_err(|reason| Fault::failed(format!("{}: {reason}", path.display())))?;
        keys.certify(&format!("#{name}"), chain)?;
    }
    Ok(())
}

/// The records that a configuration names.
pub async fn open_records(config: &Config, home: &Home) -> Result<Records, Fault> {
    Records::open_any(config.database.as_deref(), &home.records()).await
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

/// What has to be done from time to time. Every instance follows what the others changed; what is to be done once,
/// one of them does for all.
async fn chores(issuer: Arc<Issuer>) {
    let instance = Uuid::new_v4().to_string();
    let mut ticks = tokio::time::interval(FOLLOW_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut next_s = 0;
    // What an earlier run of this instance left open does not wait for another instance's lease to end.
    issuer.finish_changes().await;
    loop {
        ticks.tick().await;
        let followed = async {
            issuer.follow_templates().await?;
            issuer.follow_active_key().await
        };
        if let Err(error) = followed.await {
            tracing::error!(%error, "what other instances changed could not be read");
        }
        let now_s = now_s();
        if now_s < next_s {
            continue;
        }
        next_s = now_s.saturating_add(CHORES_EVERY_S);
        match issuer.records().lease("chores", &instance, next_s.saturating_add(CHORES_EVERY_S), now_s).await
        {
            Ok(true) => {
                issuer.finish_changes().await;
                if let Err(error) = issuer.records().forget_expired(now_s).await {
                    tracing::error!(%error, "expired records could not be removed");
                }
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the lease for chores could not be asked for"),
        }
    }
}
