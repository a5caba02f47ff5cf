//! Both sides against each other, and each rule with what it refuses.

mod dcql;
mod exchange;
mod properties;
mod refusals_of_verifier;
mod refusals_of_wallet;
mod world;
