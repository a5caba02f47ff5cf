//! The node's own small view of a runtime: clock, sleep, tasks, randomness and a place for blocking work.
//!
//! Everything of the node but sockets and RocksDB reaches these five things through [`Runtime`] alone, never through
//! the standard library, tokio or the consensus engine. The production node and the simulation therefore run the same
//! code: in a simulation time stands still between events, tasks are picked by a seed, randomness comes from the same
//! seed, and blocking work runs inline, so that one seed gives one history.
//!
//! `engine/` implements the trait for both; [`ManualRuntime`] serves unit tests that want to set the clock by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;

/// A future that owns what it needs and may move between threads.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// A piece of work that may hold its thread: signature batches, disk.
pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// What the node takes from its surroundings.
pub trait Runtime: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// Completes after the duration.
    fn sleep(&self, duration: Duration) -> Task;

    /// Starts a task. It ends with the node at the latest.
    fn spawn(&self, name: &'static str, task: Task);

    /// A random number that the simulation reproduces from its seed. Not for keys.
    fn random(&self) -> u64;

    /// Runs a job that may block, away from the threads that drive consensus where there are threads.
    fn offload(&self, job: Job);
}

/// A runtime shared by the parts of a node.
pub type SharedRuntime = Arc<dyn Runtime>;

/// Runs `job` by [`Runtime::offload`] and returns its result, or `None` if the runtime dropped it at shutdown.
pub async fn offload<T: Send + 'static>(
    runtime: &dyn Runtime,
    job: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    runtime.offload(Box::new(move || {
        let _ = sender.send(job());
    }));
    receiver.await.ok()
}

/// A runtime for unit tests: the clock is set by hand, tasks run on the calling thread until they end, and
/// whoever sleeps has to be polled again after the clock was set.
#[cfg(test)]
#[derive(Default)]
pub struct ManualRuntime {
    now_ms: Arc<std::sync::atomic::AtomicU64>,
    random: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl ManualRuntime {
    /// A runtime whose clock shows `now_ms` until it is set.
    pub fn at(now_ms: u64) -> Arc<Self> {
        let runtime = Self::default();
        runtime.set_now_ms(now_ms);
        Arc::new(runtime)
    }

    /// Sets the clock.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.now_ms.store(now_ms, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Runtime for ManualRuntime {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn sleep(&self, duration: Duration) -> Task {
        let deadline_ms = self.now_ms() + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.now_ms.clone();
        Box::pin(std::future::poll_fn(move |_| {
            if now_ms.load(std::sync::atomic::Ordering::Relaxed) >= deadline_ms {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        }))
    }

    fn spawn(&self, _: &'static str, task: Task) {
        futures::executor::block_on(task);
    }

    fn random(&self) -> u64 {
        // A counter is enough where a test needs distinct numbers.
        self.random.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    fn offload(&self, job: Job) {
        job();
    }
}
