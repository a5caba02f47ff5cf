//! The verifier: what a relying party runs.

pub mod presentations;
