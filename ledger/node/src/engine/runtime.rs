//! The node's [`Runtime`] on a context of the engine's runtime, be it the one of production or the deterministic one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use commonware_runtime::{Clock, Spawner};
use rand::Rng as _;

use crate::runtime::{Job, Runtime, Task};

/// A context that hands out children of itself.
pub(super) struct EngineRuntime<E> {
    // The lock is for the random numbers alone, which need exclusive access to the context.
    random: Mutex<E>,
    context: E,
}

impl<E: Spawner> EngineRuntime<E> {
    pub(super) fn new(context: &E) -> Self {
        Self { random: Mutex::new(context.child("random")), context: context.child("node") }
    }
}

impl<E: Clock + Spawner + rand::CryptoRng> Runtime for EngineRuntime<E> {
    fn now_ms(&self) -> u64 {
        let elapsed = self.context.current().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, duration: Duration) -> Task {
        Box::pin(self.context.sleep(duration))
    }

    fn spawn(&self, name: &'static str, task: Task) {
        // Dropping the handle detaches the task; it ends with the context.
        let _ = self.context.child(name).spawn(|_| task);
    }

    fn random(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    fn offload(&self, job: Job) {
        // Where there are threads this runs on one that may block; the deterministic runtime runs it as any other task.
        let _ = self.context.child("job").shared(true).spawn(|_| async move { job() });
    }
}
