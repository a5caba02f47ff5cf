//! What the handlers of the back office have. Who may do what is decided in [`crate::access`].

use super::decisions::Issuer;
use crate::access::Gate;
pub use crate::access::{Operator, admin, authenticate, deny, issuer, revoker, viewer};
use std::sync::Arc;

/// What the handlers of the back office have.
#[derive(Clone)]
pub struct Office {
    /// The issuer.
    pub issuer: Arc<Issuer>,
    gate: Gate,
}

impl Office {
    /// The back office, with the token of the home folder.
    pub fn new(issuer: Arc<Issuer>, token: &str) -> Self {
        let gate = Gate::new(issuer.records().clone(), token, issuer.counters().denied.clone());
        Self { issuer, gate }
    }

    /// Where tokens are looked up.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}
