//! The set of validators that certifies blocks (specs/wire.md, "Validator set").

pub use aval_types::validators::ValidatorSet;
