//! The program `aval-identityd`.

use std::process::ExitCode;

/// Credentials are read into many small values that live for one request: the system's allocator took a fifth of the
/// time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    aval_identity::cli::run()
}
