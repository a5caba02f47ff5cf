//! Datetimes of DID Resolution: XML datetime, UTC, whole seconds.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// `2026-11-22T10:00:00Z` for milliseconds since 1970; the part of a second is cut off. Times beyond the year 9999
/// show as its end.
pub fn format_time_ms(time_ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let seconds = i64::try_from(time_ms / 1000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
}

/// Seconds since 1970 of a datetime `YYYY-MM-DDThh:mm:ssZ`, which is how DID Resolution 1.0 writes them: UTC, no part
/// of a second.
pub fn parse_time(text: &str) -> Option<u64> {
    let whole_seconds = text.len() == 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
    if !whole_seconds {
        return None;
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}
