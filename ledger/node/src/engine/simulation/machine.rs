//! The machine that a simulated node runs on: a clock that may be wrong, a disk that may be slow, and a plug
//! that may be pulled before or after something is written.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::runtime::{Job, Runtime, SharedRuntime, Task};

/// When the plug is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plug {
    /// Instead of the job with this number, counted from now.
    Before(u64),
    /// When it is done, before anybody learns of it.
    After(u64),
}

/// A machine. The scenario changes it while the node runs.
#[derive(Default)]
pub struct Machine {
    clock_offset_ms: AtomicI64,
    disk_delay_ms: AtomicU64,
    plug: Mutex<Option<Plug>>,
    is_out: AtomicBool,
    /// Jobs that were never done.
    undone: Mutex<Vec<Job>>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Machine").field("is_out", &self.is_out).finish_non_exhaustive()
    }
}

impl Machine {
    /// Sets the node's clock ahead of the world's, or behind it.
    pub fn set_clock(&self, offset_ms: i64) {
        self.clock_offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// Makes every job wait for this long.
    pub fn set_disk_delay(&self, delay_ms: u64) {
        self.disk_delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    /// Pulls the plug at a later job.
    pub fn pull(&self, plug: Plug) {
        *self.plug.lock().unwrap_or_else(PoisonError::into_inner) = Some(plug);
    }

    /// Whether the plug was pulled: the node has to be crashed now, it does nothing more.
    pub fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }

    /// The node is gone, and with it what it never did.
    pub(super) fn bury(&self) {
        self.undone.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A node is about to start on this machine.
    pub(super) fn power_on(&self) {
        self.bury();
        *self.plug.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.is_out.store(false, Ordering::Relaxed);
    }

    /// Counts a job down. The answer says whether it is done at all, and whether it is the last one.
    fn count(&self) -> (bool, bool) {
        if self.is_out() {
            return (false, true);
        }
        let mut plug = self.plug.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_done, is_last) = match &mut *plug {
            Some(Plug::Before(0)) => (false, true),
            Some(Plug::After(0)) => (true, true),
            Some(Plug::Before(left) | Plug::After(left)) => {
                *left -= 1;
                (true, false)
            }
            None => (true, false),
        };
        if is_last {
            *plug = None;
            self.is_out.store(true, Ordering::Relaxed);
        }
        (is_done, is_last)
    }
}

/// A node's runtime on its machine.
pub(super) struct OnMachine {
    pub(super) runtime: SharedRuntime,
    pub(super) machine: Arc<Machine>,
}

impl Runtime for OnMachine {
    fn now_ms(&self) -> u64 {
        self.runtime.now_ms().saturating_add_signed(self.machine.clock_offset_ms.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> Task {
        self.runtime.sleep(duration)
    }

    fn spawn(&self, name: &'static str, task: Task) {
        self.runtime.spawn(name, task);
    }

    fn random(&self) -> u64 {
        self.runtime.random()
    }

    fn offload(&self, job: Job) {
        match self.machine.count() {
            (false, _) => self.machine.undone.lock().unwrap_or_else(PoisonError::into_inner).push(job),
            // Done at once: whoever waits for the answer is crashed before its turn comes, or learns of a last thing.
            (true, true) => job(),
            (true, false) => match self.machine.disk_delay_ms.load(Ordering::Relaxed) {
                0 => self.runtime.offload(job),
                delay_ms => {
                    let delay = self.runtime.sleep(Duration::from_millis(delay_ms));
                    self.runtime.spawn(
                        "disk",
                        Box::pin(async move {
                            delay.await;
                            job();
                        }),
                    );
                }
            },
        }
    }
}
