//! `xsd:dateTimeStamp` to unix seconds and back, by integers alone (VCDM 2.0 section 4.9).
//!
//! A date is read the same by every node: four-digit years, a mandatory time zone, no leap second. A fraction of a
//! second is rounded so that the credential's life gets shorter, never longer.

/// Which way a fraction of a second goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the second before: for the end of a validity.
    Down,
    /// To the second after: for the beginning of a validity.
    Up,
}

const SECONDS_PER_DAY: i64 = 86_400;

/// Reads a date; `None` if it is not an `xsd:dateTimeStamp` with a year of 0001 to 9999.
pub fn parse(text: &str, rounding: Rounding) -> Option<i64> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < 20 || bytes.len() > 40 {
        return None;
    }
    let year = number(bytes.get(0..4)?)?;
    let month = number(bytes.get(5..7)?)?;
    let day = number(bytes.get(8..10)?)?;
    let hour = number(bytes.get(11..13)?)?;
    let minute = number(bytes.get(14..16)?)?;
    let second = number(bytes.get(17..19)?)?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| bytes.get(at) != Some(&mark)) {
        return None;
    }
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = fraction_and_zone(bytes.get(19..)?)?;
    let round_up = fraction && rounding == Rounding::Up;
    let seconds = days_since_epoch(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(seconds - zone + i64::from(round_up))
}

/// Writes unix seconds as `YYYY-MM-DDThh:mm:ssZ`; `None` outside the years 0001 to 9999.
pub fn format(seconds: i64) -> Option<String> {
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let rest = seconds.rem_euclid(SECONDS_PER_DAY);
    let (year, month, day) = date_of(days);
    if !(1..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// Splits what follows the seconds: whether there is a fraction that is not zero, and the zone in seconds.
fn fraction_and_zone(rest: &[u8]) -> Option<(bool, i64)> {
    let mut fraction = false;
    let mut zone = rest;
    if let Some(digits) = rest.strip_prefix(b".") {
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        fraction = digits.get(..length)?.iter().any(|digit| *digit != b'0');
        zone = digits.get(length..)?;
    }
    let sign = match zone {
        [b'Z'] => return Some((fraction, 0)),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let hours = number(zone.get(1..3)?)?;
    let minutes = number(zone.get(4..6)?)?;
    if minutes > 59 || hours * 60 + minutes > 14 * 60 {
        return None;
    }
    Some((fraction, sign * (hours * 3600 + minutes * 60)))
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(value)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years begin in March so that the leap day is last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_dates_have_their_known_seconds() {
        assert_eq!(parse("1970-01-01T00:00:00Z", Rounding::Down), Some(0));
        assert_eq!(parse("2026-11-22T09:30:00Z", Rounding::Down), Some(1_795_339_800));
        assert_eq!(parse("2000-02-29T23:59:59Z", Rounding::Down), Some(951_868_799));
        assert_eq!(parse("2010-01-01T19:23:24+02:00", Rounding::Down), Some(1_262_366_604));
        assert_eq!(parse("1969-12-31T23:59:59Z", Rounding::Down), Some(-1));
    }

    #[test]
    fn a_fraction_shortens_the_validity() {
        assert_eq!(parse("1970-01-01T00:00:01.000Z", Rounding::Up), Some(1));
        assert_eq!(parse("1970-01-01T00:00:01.001Z", Rounding::Up), Some(2));
        assert_eq!(parse("1970-01-01T00:00:01.999Z", Rounding::Down), Some(1));
    }

    #[test]
    fn what_is_not_a_date_time_stamp_is_refused() {
        for text in [
            "2026-11-22",
            "2026-11-22T09:30:00",
            "2026-11-22 09:30:00Z",
            "2026-11-22T09:30:00z",
            "2026-13-22T09:30:00Z",
            "2026-02-29T09:30:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T09:30:60Z",
            "2026-11-22T09:30:00.Z",
            "2026-11-22T09:30:00+0100",
            "2026-11-22T09:30:00+14:01",
            "0000-11-22T09:30:00Z",
            "-026-11-22T09:30:00Z",
            "+026-11-22T09:30:00Z",
            "2026-11-22T09:30:00ZZ",
            "",
        ] {
            assert_eq!(parse(text, Rounding::Down), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_is_the_identity(seconds in -62_135_596_800_i64..=253_402_300_799) {
            let text = format(seconds).expect("inside the years that can be written");
            prop_assert_eq!(parse(&text, Rounding::Down), Some(seconds));
            prop_assert_eq!(parse(&text, Rounding::Up), Some(seconds));
        }
    }
}
