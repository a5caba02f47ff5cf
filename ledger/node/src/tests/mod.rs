//! Whole nodes under the deterministic runtime: messages lost, nodes crashed, networks cut, validators that lie.
//!
//! A scenario prints its seed. `AVAL_SEED=<number> cargo nextest run -p aval-node simulation` replays it;
//! without it each scenario runs with a fixed seed, and `AVAL_SOAK_SECONDS=<n>` adds fresh ones until the
//! time is over.

mod byzantine;
mod membership;
mod network;
mod random;
mod simulation;
mod tampered;
mod upgrade;
