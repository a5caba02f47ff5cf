//! Writing to stdout and stderr without failing on a closed pipe.

use std::io::{IsTerminal, Write};

use serde::Serialize;

/// One line of data, to stdout.
pub fn data(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// A value as indented JSON, to stdout.
pub fn json(value: &impl Serialize) {
    data(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// One line of talk, to stderr.
pub fn talk(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether stderr is a terminal that wants colour (`NO_COLOR`).
pub fn stderr_is_colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
