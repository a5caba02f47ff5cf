//! A listening socket: HTTP/1.1 with bounds on connections, heads, idle time and the life of a connection.

use crate::fault::Fault;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request.
const HEADERS_MAX: usize = 64;

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Open connections; further ones wait in the system's queue.
    pub connections_max: usize,
    /// Time for a request's head to arrive, and for a connection to be idle.
    pub head_timeout: Duration,
    /// After this a connection ends with its current request, and after twice this at once. It bounds clients that do
    /// not read their answers; it is longer than any request may take.
    pub life: Duration,
    /// Time for requests under way to end when the service stops.
    pub drain_timeout: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            head_timeout: Duration::from_secs(15),
            life: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Takes the address, so that a used port is known before anything else is touched.
pub async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Fault::failed(format!(
            "{address} is used by another program: stop it, or set another {setting} in config.json"
        )),
        ErrorKind::PermissionDenied => Fault::locked(format!(
            "{address} may not be used: set a {setting} with a port above 1023 in config.json"
        )),
        ErrorKind::AddrNotAvailable => Fault::failed(format!(
            "{address} is no address of this machine: set another {setting} in config.json"
        )),
        _ => Fault::failed(format!("{address} cannot be listened on: {error}")),
    })
}

/// Serves until `stopped`, then lets requests under way end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    open: Gauge,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(bounds.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(_) = connections.join_next() => continue,
            accepted = async {
                let place = places.clone().acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        match accepted {
            (Ok(place), Ok((stream, _))) => {
                let connection = connection(stream, router.clone(), bounds, stopped.clone());
                let open = open.clone();
                connections.spawn(async move {
                    open.inc();
                    connection.await;
                    open.dec();
                    drop(place);
                });
            }
            (_, Err(error)) => {
                // Out of file descriptors, most likely: give requests under way a moment to end.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            (Err(_), _) => break,
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(bounds.drain_timeout, drained).await;
}

async fn connection(stream: TcpStream, router: Router, bounds: Bounds, mut stopped: watch::Receiver<bool>) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // An error here is the client's: it went away or spoke something else.
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = tokio::time::sleep(bounds.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(bounds.life, connection).await;
}
