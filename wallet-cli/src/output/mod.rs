//! What the program says, and where: data goes to stdout, talk goes to stderr.
//!
//! On a terminal people get aligned text, with `--json` programs get one JSON value per command. Colour is used only
//! where a terminal shows it and `NO_COLOR` is not set. Whatever comes from a node, an issuer or a credential is
//! cleaned of control characters before a terminal sees it ([`clean`]).

mod qr;
mod text;

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use crate::error::WalletError;

pub use text::{Text, clean, date_time};

/// How to speak; made once from the global options.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    quiet: bool,
    color_stdout: bool,
    color_stderr: bool,
}

impl Output {
    /// Looks at the terminal and the environment.
    pub fn new(json: bool, quiet: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            json,
            quiet,
            color_stdout: !plain && !json && std::io::stdout().is_terminal(),
            color_stderr: !plain && std::io::stderr().is_terminal(),
        }
    }

    /// Whether programs read this.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the outcome of a command: `value` for programs, `human` for people.
    pub fn data(&self, value: &Value, human: impl FnOnce(&mut Text)) -> Result<(), WalletError> {
        let text = if self.json {
            format!("{value}\n")
        } else {
            let mut text = Text::new(self.color_stdout);
            human(&mut text);
            text.finish()
        };
        self.raw(text.as_bytes())
    }

    /// Writes bytes to stdout as they are.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), WalletError> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            // A reader that has seen enough (`aval … | head`) is not a failure.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|source| WalletError::io("write to", "stdout", source)),
        }
    }

    /// Says something on the way; `--quiet` silences it.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.say(&clean(message));
        }
    }

    /// Several lines of talk; `--quiet` silences them.
    pub fn notes(&self, human: impl FnOnce(&mut Text)) {
        if !self.quiet {
            let mut text = Text::new(self.color_stderr);
            human(&mut text);
            self.say(text.finish().trim_end());
        }
    }

    /// Warns; not even `--quiet` silences this.
    pub fn warn(&self, message: &str) {
        let label = Text::new(self.color_stderr).yellow("warning:");
        self.say(&format!("{label} {}", clean(message)));
    }

    /// Shows what a question is about. Only who wants silence and has agreed beforehand does not see it.
    pub fn ask_about(&self, agreed: bool, human: impl FnOnce(&mut Text)) {
        if self.quiet && agreed {
            return;
        }
        let mut text = Text::new(self.color_stderr);
        human(&mut text);
        self.say(text.finish().trim_end());
    }

    /// Asks for a yes. `yes` is the answer given beforehand by `--yes`.
    pub fn confirm(&self, question: &str, yes: bool) -> Result<(), WalletError> {
        if yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(WalletError::Usage(format!(
                "{question} There is no terminal to answer on: add --yes if this is what you want"
            )));
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question} [y/N] ");
        let _ = stderr.flush();
        drop(stderr);
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .map_err(|source| WalletError::io("read the answer from", "the terminal", source))?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(WalletError::Declined),
        }
    }

    /// A QR code on stderr, beside whatever stdout says.
    pub fn qr(&self, content: &str) {
        match qr::render(content) {
            Some(picture) => self.say(&picture),
            None => self.warn("this is too long for a QR code"),
        }
    }

    /// Reports a failure on stderr.
    pub fn error(&self, error: &WalletError) {
        if self.json {
            let value = json!({"error": {
                "code": error.code(),
                "message": error.to_string(),
                "help": error.help(),
                "retryable": error.is_retryable(),
                "exit": error.exit_code(),
            }});
            self.say(&value.to_string());
            return;
        }
        let text = Text::new(self.color_stderr);
        self.say(&format!("{} {}", text.red("error:"), clean(&error.to_string())));
        if let Some(help) = error.help() {
            self.say(&format!("  {} {}", text.dim("what to do:"), clean(&help)));
        }
        self.say(&format!("  {} {}", text.dim("code:"), clean(error.code())));
    }

    fn say(&self, message: &str) {
        // Nothing is left to tell when stderr is closed.
        let _ = writeln!(std::io::stderr().lock(), "{message}");
    }
}
