//! Being told to stop: Ctrl-C, SIGTERM, the end of the parent process, or the operator through the admin interface.
//!
//! The first request stops the program in order. A second one, or [`PATIENCE`] without an end, ends it at once:
//! whatever hangs, the process goes away, and what is on disk is at a block boundary at every moment.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::fault::Fault;

/// How long a program may take to stop in order.
const PATIENCE: Duration = Duration::from_secs(15);

/// Requests within this time count as one.
const TOGETHER: Duration = Duration::from_secs(1);

/// A request to stop, once it is made.
#[derive(Debug, Clone)]
pub struct Stop {
    sender: watch::Sender<bool>,
    requested: watch::Receiver<bool>,
}

impl Stop {
    /// Listens for signals, and for the end of standard input if `exit_with_parent`.
    pub fn on_signals(exit_with_parent: bool) -> Result<Self, Fault> {
        let failed = |error: std::io::Error| Fault::failed(format!("signals cannot be listened to: {error}"));
        let (sender, requested) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let signals = {
            let _inside = runtime.enter();
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal)
        };
        let [interrupt, terminate, hangup] = signals;
        let (mut interrupt, mut terminate, mut hangup) =
            (interrupt.map_err(failed)?, terminate.map_err(failed)?, hangup.map_err(failed)?);
        let requests = sender.clone();
        if exit_with_parent {
            let sender = sender.clone();
            std::thread::Builder::new()
                .name("parent".into())
                .spawn(move || {
                    await_end_of_input();
                    sender.send_replace(true);
                })
                .map_err(failed)?;
        }
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                runtime.block_on(async move {
                    let mut requested = sender.subscribe();
                    let mut next = async || {
                        tokio::select! {
                            _ = interrupt.recv() => {}
                            _ = terminate.recv() => {}
                            _ = hangup.recv() => {}
                        }
                    };
                    tokio::select! {
                        () = next() => {}
                        _ = requested.wait_for(|requested| *requested) => {}
                    }
                    sender.send_replace(true);
                    // Ctrl-C reaches a parent and its children, and then the parent's end reaches them as well: what
                    // comes together is one request.
                    tokio::time::sleep(TOGETHER).await;
                    while next().now_or_never().is_some() {}
                    tokio::select! {
                        () = next() => {}
                        () = tokio::time::sleep(PATIENCE) => {}
                    }
                    std::process::exit(1);
                });
            })
            .map_err(failed)?;
        Ok(Self { sender: requests, requested })
    }

    /// A stop that nothing but [`Self::request`] requests.
    pub fn by_request() -> Self {
        let (sender, requested) = watch::channel(false);
        Self { sender, requested }
    }

    /// Requests a stop in order, as a signal does.
    pub fn request(&self) {
        self.sender.send_replace(true);
    }

    /// Completes when a stop is requested.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut requested = self.requested.clone();
        async move {
            // The sender lives as long as the process.
            let _ = requested.wait_for(|requested| *requested).await;
        }
    }

    /// Whether a stop is requested.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }
}

/// Reads until the other end of the pipe closes. Whatever arrives is dropped.
fn await_end_of_input() {
    let mut input = std::io::stdin().lock();
    let mut buffer = [0; 256];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            // A signal says nothing about the parent.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
