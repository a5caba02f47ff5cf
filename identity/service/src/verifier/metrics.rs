//! What the verifier counts beside requests.

use crate::metrics::counter;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Labels of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// `credential` or `presentation` by the VC-API, `session` over OpenID4VP.
    pub kind: &'static str,
    /// `verified`, `invalid` or `undecided`.
    pub outcome: &'static str,
}

/// The verifier's counters.
#[derive(Debug, Default)]
pub struct Counters {
    verifications: Family<OutcomeLabels, Counter>,
    /// Requests that were denied.
    pub denied: Counter,
}

impl Counters {
    /// Counters in this registry.
    pub fn register(registry: &mut Registry) -> Self {
        let verifications = Family::default();
        registry.register("verifications", "What was verified, by outcome", verifications.clone());
        Self { verifications, denied: counter(registry, "denied", "Requests that were denied") }
    }

    /// Counts a verification.
    pub fn count(&self, kind: &'static str, outcome: &'static str) {
        self.verifications.get_or_create(&OutcomeLabels { kind, outcome }).inc();
    }
}
