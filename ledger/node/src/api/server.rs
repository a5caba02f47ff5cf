//! The listening socket: HTTP/1.1 with bounds on connections, headers, idle time and slow readers.
//!
//! The interface runs on threads of its own, so that load on it cannot take the processor away from consensus beyond
//! what the operating system shares out, and never blocks one of its threads.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Sleep;

use super::connections::{Admitted, Bounds, Connections, Crowded, Held, Place};
use super::problem::{PROBLEM_MEDIA_TYPE, Problem, WantOfRoom};
use crate::fault::Fault;
use crate::metrics::{Metrics, ReasonLabel};

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Time for a request's head to arrive, and for a connection to be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Time in which a client that is being answered must take something.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for requests under way to end when the node stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Takes the address, so that a used port is known before anything else is touched. `setting` is where it stands in
/// config.json.
pub fn bind(setting: &str, address: SocketAddr) -> Result<StdListener, Fault> {
    let listener = StdListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Fault::failed(format!(
            "{address} is used by another program: stop it, or set another {setting} in config.json"
        )),
        io::ErrorKind::PermissionDenied => Fault::locked(format!(
            "{address} may not be used: set an {setting} with a port above 1023 in config.json"
        )),
        io::ErrorKind::AddrNotAvailable => Fault::failed(format!(
            "{address} is no address of this machine: set another {setting} in config.json"
        )),
        _ => Fault::failed(format!("{address} cannot be listened on: {error}")),
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|error| Fault::failed(format!("{address} cannot be used: {error}")))?;
    Ok(listener)
}

/// How long a refusal for want of room is held back: what `Retry-After` asks for. A client that does not wait by itself
/// waits here, and a connection costs at most so many refusals a second, whatever it sends.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Tells handlers whose answers have no end that the interface stops.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Whether it stops.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when it stops.
    pub async fn requested(&self) {
        // Without its sender the interface is gone already.
        let _ = self.0.clone().wait_for(|stopped| *stopped).await;
    }
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
        bounds: Bounds,
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
                        Ok(listener) => {
                            let router = router().layer(Extension(Stopping(stopped.clone())));
                            accept(listener, router, Connections::new(bounds), metrics, stopped).await;
                        }
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
    places: Connections,
    metrics: Arc<Metrics>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: give requests under way a moment to end.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        match places.admit(address.ip()) {
            Ok(Admitted { place, evicts }) => {
                if evicts {
                    metrics.connections_evicted.inc();
                }
                let connection = serve(stream, router.clone(), Arc::new(place), stopped.clone());
                let open = metrics.connections.clone();
                connections.spawn(async move {
                    open.inc();
                    connection.await;
                    open.dec();
                });
            }
            Err(crowded) => {
                metrics.connections_refused.get_or_create(&ReasonLabel { reason: crowded.name() }).inc();
                turn_away(stream, crowded);
            }
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
}

/// Answers before anything was read, without waiting for anything. A client that is still sending may see no more than
/// that the connection was closed.
fn turn_away(stream: TcpStream, crowded: Crowded) {
    let problem = match crowded {
        Crowded::Address => Problem::connections(),
        Crowded::All => Problem::overloaded("Too many connections are open."),
    };
    let reason = match crowded {
        Crowded::Address => "Too Many Requests",
        Crowded::All => "Service Unavailable",
    };
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: {PROBLEM_MEDIA_TYPE}\r\nretry-after: {}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        problem.status,
        problem.retry_after_s.unwrap_or(1),
        body.len(),
    );
    // The socket does not block: what the system does not take at once is left out.
    let _ = stream.into_std().and_then(|mut stream| stream.write_all(answer.as_bytes()));
}

async fn serve(stream: TcpStream, router: Router, place: Arc<Place>, mut stopped: watch::Receiver<bool>) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(router);
    let of_connection = place.clone();
    let service = service_fn(move |request| {
        let busy = of_connection.begin();
        let (answer, place) = (routes.call(request), of_connection.clone());
        async move {
            let (response, mut busy) = (answer.await?, busy);
            if response.extensions().get::<WantOfRoom>().is_some() {
                // It waits as one that may be closed: those who are refused keep nobody out.
                drop(busy);
                tokio::time::sleep(REFUSED_PAUSE).await;
                busy = place.begin();
            }
            Ok::<_, Infallible>(response.map(|body| Held::new(body, busy)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // An error here is the client's: it went away or spoke something else.
        _ = connection.as_mut() => return,
        () = place.evicted() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// A connection that ends when its other side takes nothing for a while: an answer without an end would otherwise keep
/// it for as long as the client likes.
struct Patient {
    stream: TcpStream,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        Self { stream, deadline: None }
    }

    /// Passes on what writing gave, or gives up.
    fn judge<T>(&mut self, context: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.deadline = None;
            return wrote;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
