//! `aval`: the wallet on the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    aval_wallet::run()
}
