//! The machine's clock and the spelling of times. For the edges of the node only: rules take the block's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::fault::Fault;
use crate::stop::Stop;

/// How often the two clocks of the machine are compared.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How far they may move apart in between. A clock that is being corrected little by little stays far below.
const JUMP_MAX_MS: i64 = 5_000;

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// A time in UTC without a fraction of a second, as DID Resolution writes it: `2026-11-22T10:00:00Z`.
pub fn rfc3339(time_ms: u64) -> String {
    i64::try_from(time_ms / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Milliseconds since 1970 of an RFC 3339 time; `None` if the text is none or lies before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Looks whether the wall clock goes as fast as time does.
///
/// The engine waits for points of time on the wall clock, and so do its handshakes. When somebody sets the clock, or a
/// virtual machine is frozen for an hour, what it waits for may be an hour away. Then the node stops and is started
/// anew, by whatever supervises it; votes and blocks are on disk.
#[derive(Debug)]
pub struct Watch {
    jump_ms: Arc<AtomicI64>,
}

impl Watch {
    /// Starts a thread that watches, and that stops the node when the clock jumps. The thread ends with the process.
    pub fn start(stop: &Stop) -> Result<Self, Fault> {
        let jump_ms: Arc<AtomicI64> = Arc::default();
        let (found, stop) = (jump_ms.clone(), stop.clone());
        let watch = move || {
            let mut before = (now_ms(), Instant::now());
            while !stop.is_requested() {
                std::thread::sleep(WATCH_INTERVAL);
                let now = (now_ms(), Instant::now());
                if let Some(jump) = jump(now.0, before.0, now.1.duration_since(before.1)) {
                    tracing::error!(milliseconds = jump, "the clock of this machine jumped");
                    found.store(jump, Ordering::Relaxed);
                    stop.request();
                }
                before = now;
            }
        };
        std::thread::Builder::new()
            .name("clock".into())
            .spawn(watch)
            .map_err(|error| Fault::failed(format!("the clock cannot be watched: {error}")))?;
        Ok(Self { jump_ms })
    }

    /// By how many seconds the clock jumped, if it did.
    pub fn jump(&self) -> Option<i64> {
        let jump = self.jump_ms.load(Ordering::Relaxed);
        (jump != 0).then_some(jump / 1000)
    }
}

/// By how much the wall clock moved more than time did, if by too much.
fn jump(now_ms: u64, before_ms: u64, elapsed: Duration) -> Option<i64> {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
    let jump = signed(now_ms).saturating_sub(signed(before_ms)).saturating_sub(elapsed);
    (jump.saturating_abs() > JUMP_MAX_MS).then_some(jump)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelt_in_utc_without_fractions() {
        assert_eq!(rfc3339(1_795_341_600_999), "2026-11-22T10:00:00Z");
        assert_eq!(parse_rfc3339("2026-11-22T11:00:00+01:00"), Some(1_795_341_600_000));
        assert_eq!(parse_rfc3339("2026-11-22"), None);
        assert_eq!(rfc3339(u64::MAX), "");
    }

    #[test]
    fn a_clock_that_jumps_either_way_is_noticed_and_one_that_is_corrected_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(jump(3_601_000, 0, second), Some(3_600_000));
        assert_eq!(jump(100_000, 3_699_000, second), Some(-3_600_000));
        for drift_ms in [0, 500, 5_000] {
            assert_eq!(jump(101_000 + drift_ms, 100_000, second), None);
            assert_eq!(jump(101_000 - drift_ms, 100_000, second), None);
        }
        // The thread itself may have been late.
        assert_eq!(jump(190_000, 100_000, Duration::from_secs(90)), None);
    }
}
