//! The command of the sandbox: `start`.

use super::{instances, router};
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::server::{self, Bounds};
use crate::stop;
use clap::Subcommand;
use std::net::SocketAddr;
use std::time::Duration;

/// How long work may go on when everything else has stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What can be told to a sandbox.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGINT or SIGTERM
    Start {
        /// Where it is reached; a loopback address
        #[arg(long, default_value = "127.0.0.1:8400")]
        listen: SocketAddr,
        /// The URL that others use, without a slash at the end [default: http:// and the listen address]
        #[arg(long, value_name = "URL")]
        public_url: Option<String>,
        /// End when standard input closes, so that a parent leaves nothing behind
        #[arg(long)]
        exit_with_parent: bool,
    },
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<(), Fault> {
        let Self::Start { listen, public_url, exit_with_parent } = self;
        if !listen.ip().is_loopback() {
            return Err(Fault::usage(format!(
                "{listen} can be reached from outside: a sandbox signs for everybody, so listen on 127.0.0.1"
            )));
        }
        let url = public_url.unwrap_or_else(|| format!("http://{listen}"));
        if url.ends_with('/') || url::Url::parse(&url).is_err() {
            return Err(Fault::usage("--public-url must be a URL without a slash at the end"));
        }
        start(listen, &url, exit_with_parent)
    }
}

fn start(listen: SocketAddr, url: &str, exit_with_parent: bool) -> Result<(), Fault> {
    let instances = instances(url).map_err(|error| Fault::failed(error.to_string()))?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Fault::failed(format!("the service's threads cannot start: {error}")))?;
    let done = runtime.block_on(async {
        let stopped = stop::listen(exit_with_parent)?;
        let listener = server::bind(listen, "--listen").await?;
        let (metrics, ()) = Metrics::new("aval_sandbox", |_| ());
        let open = metrics.connections.clone();
        tracing::info!(%listen, "a sandbox: it signs for everybody who asks");
        server::serve(listener, router(instances, metrics), Bounds::default(), open, stopped).await;
        tracing::info!("stopping");
        Ok(())
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    done
}
