//! The ledger node's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    aval_node::cli::run(std::env::args_os())
}
