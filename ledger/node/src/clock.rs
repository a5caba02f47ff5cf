//! The machine's clock and the spelling of times. For the edges of the node only: rules take the block's time.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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
}
