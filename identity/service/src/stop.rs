//! Being told to stop: Ctrl-C, SIGTERM, SIGHUP, or the end of the parent process.
//!
//! The first request stops the program in order. A second one ends it at once; what is on disk is whole at every
//! moment.

use crate::fault::Fault;
use std::io::Read as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Listens for signals, and for the end of standard input if `exit_with_parent`. The value becomes true once.
pub fn listen(exit_with_parent: bool) -> Result<watch::Receiver<bool>, Fault> {
    let (sender, receiver) = watch::channel(false);
    let failed = |error: std::io::Error| Fault::failed(format!("signals cannot be listened to: {error}"));
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        terminate: signal(SignalKind::terminate()).map_err(failed)?,
        hangup: signal(SignalKind::hangup()).map_err(failed)?,
    };
    if exit_with_parent {
        let sender = sender.clone();
        // A thread of its own: a blocked read must not keep the runtime from shutting down.
        let reader = move || {
            let mut buffer = [0; 64];
            while matches!(std::io::stdin().read(&mut buffer), Ok(count) if count > 0) {}
            sender.send_replace(true);
        };
        std::thread::Builder::new().name("parent".into()).spawn(reader).map_err(failed)?;
    }
    tokio::spawn(async move {
        signals.next().await;
        sender.send_replace(true);
        signals.next().await;
        std::process::exit(1);
    });
    Ok(receiver)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
