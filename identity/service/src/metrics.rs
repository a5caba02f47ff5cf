//! What a program counts, for `/metrics` in the Prometheus text format.
//!
//! No label ever holds anything that a client sent: routes are the patterns of the router, refusals are codes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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

/// What every program counts, and what it registers beside that.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Connections open, on all sides.
    pub connections: Gauge,
}

impl Metrics {
    /// Metrics under a prefix, with those that `register` adds to the registry.
    pub fn new<T>(prefix: &str, register: impl FnOnce(&mut Registry) -> T) -> (Arc<Self>, T) {
        let mut registry = Registry::with_prefix(prefix);
        let requests = Family::default();
        registry.register("requests", "Requests answered", requests.clone());
        let connections = Gauge::default();
        registry.register("connections", "Connections open", connections.clone());
        let more = register(&mut registry);
        (Arc::new(Self { registry, requests, connections }), more)
    }

    /// The text for a scrape.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// A counter that the registry knows.
pub fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

/// A gauge that the registry knows.
pub fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}
