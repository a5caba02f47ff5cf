//! The ledger node's program.

use std::process::ExitCode;

/// Blocks are thousands of small values that one thread makes and another frees: a quarter of the work was the
/// system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// A program with deliberate faults is for the simulation alone, which needs no program.
const _: () = assert!(!aval_machine::sabotage::COMPILED_IN, "avald is not built with the feature `sabotage`");

fn main() -> ExitCode {
    aval_node::cli::run(std::env::args_os())
}
