//! What the service counts, for `/metrics` in the Prometheus text format.
//!
//! No label ever holds anything that a client sent: routes are the patterns of the router, refusals are codes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Labels of an answered request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// `public` or `admin`.
    pub side: &'static str,
    /// The router's pattern, or `none`.
    pub route: String,
    /// HTTP status.
    pub status: u16,
}

/// Labels of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    /// `token` or `credential`.
    pub endpoint: &'static str,
    /// The error code of the specification.
    pub error: &'static str,
}

/// The service's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Connections open, on both sides.
    pub connections: Gauge,
    /// Offers made.
    pub offers: Counter,
    /// Offers redeemed.
    pub redemptions: Counter,
    /// Credentials issued.
    pub issued: Counter,
    /// Requests of wallets refused.
    pub refused: Family<RefusalLabels, Counter>,
    /// Revocations that are final on the ledger.
    pub revocations: Counter,
    /// Revocations that were begun and are not known to be final.
    pub revocations_open: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("aval_issuer");
        let requests = Family::default();
        registry.register("requests", "Requests answered", requests.clone());
        let connections = Gauge::default();
        registry.register("connections", "Connections open", connections.clone());
        let refused = Family::default();
        registry.register("refused", "Requests of wallets refused, by error code", refused.clone());
        let revocations_open = Gauge::default();
        let help = "Revocations begun and not known to be final";
        registry.register("revocations_open", help, revocations_open.clone());
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let offers = counter("offers", "Offers made");
        let redemptions = counter("redemptions", "Offers redeemed");
        let issued = counter("issued", "Credentials issued");
        let revocations = counter("revocations", "Revocations that are final on the ledger");
        Self {
            registry,
            requests,
            connections,
            offers,
            redemptions,
            issued,
            refused,
            revocations,
            revocations_open,
        }
    }
}

impl Metrics {
    /// Counts a refusal.
    pub fn refuse(&self, endpoint: &'static str, error: &'static str) {
        self.refused.get_or_create(&RefusalLabels { endpoint, error }).inc();
    }

    /// The text for a scrape.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
