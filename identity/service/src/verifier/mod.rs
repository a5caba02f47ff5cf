//! The verifier: what a relying party runs.
