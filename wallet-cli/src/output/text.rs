//! Text for people: aligned fields, a little colour, dates that can be read.

use std::borrow::Cow;
use std::fmt::Write;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Replaces control characters (and the invisible ones that turn text around), so that nothing received can move the
/// cursor, change the title or hide a word of a consent question. Line breaks stay.
pub fn clean(text: &str) -> Cow<'_, str> {
    let bad = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if text.contains(bad) { Cow::Owned(text.replace(bad, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// A point in time for people, in UTC. Milliseconds since 1970.
pub fn date_time(time_ms: u64) -> String {
    let seconds = i64::try_from(time_ms / 1000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{time_ms} ms after 1970"))
}

/// A few lines under construction.
#[derive(Debug)]
pub struct Text {
    color: bool,
    lines: String,
}

impl Text {
    /// Empty, with or without colour.
    pub fn new(color: bool) -> Self {
        Self { color, lines: String::new() }
    }

    /// A line as it is, cleaned.
    pub fn line(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.lines, "{}", clean(text));
        self
    }

    /// A line of our own making that holds colour; nothing received may be in it.
    pub fn line_as_is(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.lines, "{text}");
        self
    }

    /// A line in bold, cleaned.
    pub fn title(&mut self, text: &str) -> &mut Self {
        let painted = self.paint("1", &clean(text));
        let _ = writeln!(self.lines, "{painted}");
        self
    }

    /// A line that reports success.
    pub fn done(&mut self, text: &str) -> &mut Self {
        let tick = self.paint("32", "✓");
        let _ = writeln!(self.lines, "{tick} {}", clean(text));
        self
    }

    /// A line that reports a verified negative.
    pub fn failed(&mut self, text: &str) -> &mut Self {
        let cross = self.paint("31", "✗");
        let _ = writeln!(self.lines, "{cross} {}", clean(text));
        self
    }

    /// A labelled value, aligned with the others.
    pub fn field(&mut self, label: &str, value: &str) -> &mut Self {
        let padding = " ".repeat(16usize.saturating_sub(label.chars().count()).max(1));
        let label = self.paint("2", label);
        let _ = writeln!(self.lines, "  {label}{padding}{}", clean(value).replace('\n', " "));
        self
    }

    /// The text so far.
    pub fn finish(self) -> String {
        self.lines
    }

    /// In red.
    pub fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// In yellow.
    pub fn yellow(&self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// Less bright.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_text_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c\r\nd"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\nd");
        assert!(matches!(clean("Müller & Söhne"), Cow::Borrowed(_)));
        let mut text = Text::new(false);
        text.field("name", "two\nlines\u{7}");
        assert_eq!(text.finish(), "  name            two lines\u{fffd}\n");
    }

    #[test]
    fn dates_are_readable_and_never_fail() {
        assert_eq!(date_time(1_790_000_000_123), "2026-09-21T14:13:20Z");
        assert!(date_time(u64::MAX).ends_with("ms after 1970"));
    }
}
