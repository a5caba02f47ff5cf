//! The listening socket: HTTP/1.1 with bounds on connections, headers and idle time.
//!
//! The interface runs on threads of its own, so that load on it cannot take the processor away from consensus beyond
//! what the operating system shares out, and never blocks one of its threads.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::fault::Fault;
use crate::metrics::Metrics;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Time for a request's head to arrive, and for a connection to be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Open connections.
const CONNECTIONS_MAX: usize = 8192;
/// Time for requests under way to end when the node stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Takes the address, so that a used port is known before anything else is touched.
pub fn bind(address: SocketAddr) -> Result<StdListener, Fault> {
    let listener = StdListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Fault::failed(format!(
            "{address} is used by another program: stop it, or set another api.listen in config.json"
        )),
        io::ErrorKind::PermissionDenied => Fault::locked(format!(
            "{address} may not be used: set an api.listen with a port above 1023 in config.json"
        )),
        io::ErrorKind::AddrNotAvailable => Fault::failed(format!(
            "{address} is no address of this machine: set another api.listen in config.json"
        )),
        _ => Fault::failed(format!("{address} cannot be listened on: {error}")),
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|error| Fault::failed(format!("{address} cannot be used: {error}")))?;
    Ok(listener)
}

/// A running interface.
pub struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the threads. `router` is called inside of the new runtime, so that it may start tasks of its own.
    pub fn start(
        listener: StdListener,
        threads: usize,
        metrics: Arc<Metrics>,
        router: impl FnOnce() -> Router + Send + 'static,
    ) -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(threads + 2)
            .thread_name("api")
            .enable_all()
            .build()
            .map_err(|error| {
                Fault::failed(format!("the threads of the REST interface cannot start: {error}"))
            })?;
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("api".into())
            .spawn(move || {
                runtime.block_on(async move {
                    match TcpListener::from_std(listener) {
                        Ok(listener) => accept(listener, router(), metrics, stopped).await,
                        Err(error) => tracing::error!(%error, "the REST interface cannot listen"),
                    }
                });
                runtime.shutdown_timeout(DRAIN_TIMEOUT);
            })
            .map_err(|error| {
                Fault::failed(format!("the threads of the REST interface cannot start: {error}"))
            })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops taking connections, lets requests under way end, and waits for the threads.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the REST interface panicked; this is a defect");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    metrics: Arc<Metrics>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = async {
                // At the bound, further connections wait in the system's queue.
                let place = places.clone().acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        match accepted {
            (Ok(place), Ok((stream, _))) => {
                let connection = serve(stream, router.clone(), stopped.clone());
                let open = metrics.connections.clone();
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
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
}

async fn serve(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // An error here is the client's: it went away or spoke something else.
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
