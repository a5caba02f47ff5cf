//! What the issuer counts beside requests.

use crate::metrics::{counter, gauge};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Labels of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    /// `token`, `nonce` or `credential`.
    pub endpoint: &'static str,
    /// The error code of the specification.
    pub error: &'static str,
}

/// The issuer's counters.
#[derive(Debug)]
pub struct Counters {
    /// Offers made.
    pub offers: Counter,
    /// Offers redeemed.
    pub redemptions: Counter,
    /// Credentials issued.
    pub issued: Counter,
    /// Requests of wallets refused.
    pub refused: Family<RefusalLabels, Counter>,
    /// Requests to the back office that were denied.
    pub denied: Counter,
    /// Revocations that are final on the ledger.
    pub revocations: Counter,
    /// Changes of status that were begun and are not known to be final.
    pub revocations_open: Gauge,
}

impl Counters {
    /// Counters in this registry.
    pub fn register(registry: &mut Registry) -> Self {
        let refused = Family::default();
        registry.register("refused", "Requests of wallets refused, by error code", refused.clone());
        Self {
            refused,
            revocations_open: gauge(
                registry,
                "revocations_open",
                "Changes of status begun and not known to be final",
            ),
            denied: counter(registry, "denied", "Requests to the back office that were denied"),
            offers: counter(registry, "offers", "Offers made"),
            redemptions: counter(registry, "redemptions", "Offers redeemed"),
            issued: counter(registry, "issued", "Credentials issued"),
            revocations: counter(registry, "revocations", "Revocations that are final on the ledger"),
        }
    }

    /// Counts a refusal.
    pub fn refuse(&self, endpoint: &'static str, error: &'static str) {
        self.refused.get_or_create(&RefusalLabels { endpoint, error }).inc();
    }
}
