//! The program's log, whose filter can be changed while the program runs.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

use super::output;
use crate::fault::Fault;

/// Characters of a filter.
const FILTER_LENGTH_MAX: usize = 1024;

/// Exchanges the filter of the running log.
type Exchange = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// The log's filter.
pub struct LogControl {
    current: Mutex<String>,
    exchange: Exchange,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogControl").field("current", &self.current()).finish_non_exhaustive()
    }
}

/// The log of this process.
static STARTED: OnceLock<Arc<LogControl>> = OnceLock::new();

impl LogControl {
    /// A filter without a log behind it, for tests.
    pub fn detached(filter: &str) -> Self {
        Self { current: Mutex::new(filter.to_owned()), exchange: Box::new(|_| Ok(())) }
    }

    /// The log of this process, once it is started.
    pub fn started() -> Option<Arc<Self>> {
        STARTED.get().cloned()
    }

    /// The filter in force.
    pub fn current(&self) -> String {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another filter in force; says what is wrong with one that cannot be.
    pub fn change(&self, filter: &str) -> Result<(), String> {
        if filter.is_empty() || filter.len() > FILTER_LENGTH_MAX {
            return Err(format!("a filter has 1 to {FILTER_LENGTH_MAX} characters"));
        }
        let parsed = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.exchange)(parsed)?;
        *current = filter.to_owned();
        Ok(())
    }
}

/// Starts the log of this process.
pub(super) fn start(filter: &str, json: bool) -> Result<(), Fault> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|error| Fault::usage(format!("--log {filter} is not a log filter: {error}")))?;
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Fault::failed(format!("the log cannot be started: {error}"))
    };
    let exchange: Exchange = if json {
        let log = log.json().with_env_filter(parsed).with_filter_reloading();
        let handle = log.reload_handle();
        log.try_init().map_err(failed)?;
        Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
    } else {
        let log = log.with_ansi(output::stderr_is_colored()).with_env_filter(parsed).with_filter_reloading();
        let handle = log.reload_handle();
        log.try_init().map_err(failed)?;
        Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
    };
    let control = LogControl { current: Mutex::new(filter.to_owned()), exchange };
    // A second start fails above.
    let _ = STARTED.set(Arc::new(control));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_changes_nothing() {
        let log = LogControl::detached("warn");
        assert_eq!(log.change("info,aval_node::ingress=debug"), Ok(()));
        for bad in ["", "aval_node=loud", "=", &"x".repeat(2000)] {
            assert!(log.change(bad).is_err(), "{bad}");
        }
        assert_eq!(log.current(), "info,aval_node::ingress=debug");
    }
}
