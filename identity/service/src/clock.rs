//! The wall clock of the programs. Protocol code takes the time as an argument; this is where it comes from.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds.
pub fn now_s() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
