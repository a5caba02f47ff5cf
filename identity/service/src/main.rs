//! The program `aval-identityd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    aval_identity::cli::run()
}
