//! The ledger node's program.

fn main() {}
