//! What a node counts, for `/metrics` in the Prometheus text format.
//!
//! No label ever holds anything that a client sent: routes are the patterns of the router, refusals are their codes.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// A gauge that is never negative.
pub type Level = Gauge<u64, AtomicU64>;

/// Labels of an answered request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The router's pattern, or `none`.
    pub route: String,
    /// HTTP status.
    pub status: u16,
}

/// Label of a duration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabel {
    /// The router's pattern, or `none`.
    pub route: String,
}

/// Label of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabel {
    /// A stable code.
    pub code: &'static str,
}

/// Label of a reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// A word from a fixed list.
    pub reason: &'static str,
}

/// The node's metrics. Counting is lock-free but for the first use of a label.
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Seconds from a request's head to its answer's head.
    pub request_seconds: Family<RouteLabel, Histogram>,
    /// Requests under way.
    pub requests_active: Level,
    /// Connections open.
    pub connections: Level,
    /// Connections turned away, by the bound they met.
    pub connections_refused: Family<ReasonLabel, Counter>,
    /// Idle connections that were closed to make room.
    pub connections_evicted: Counter,
    /// Readers of the stream of events.
    pub event_readers: Level,
    /// Transactions taken into the pool.
    pub admitted: Counter,
    /// Transactions refused, by code.
    pub refused: Family<CodeLabel, Counter>,
    /// Transactions per batch of signature checks.
    pub batch_transactions: Histogram,
    /// Transactions waiting in the pool.
    pub pool_entries: Level,
    /// Their bytes.
    pub pool_bytes: Level,
    /// Height of the newest final block.
    pub height: Level,
    /// Time of the newest final block, seconds since 1970.
    pub block_time_s: Level,
    /// Other nodes connected.
    pub peers: Level,
    /// Other nodes that may be connected.
    pub peers_admitted: Level,
    /// The epoch that the node takes part in.
    pub epoch: Level,
    /// Validators of that epoch.
    pub validators: Level,
    /// 1 if the node votes in it.
    pub votes: Level,
    resident_memory: Level,
    cpu_ms: Level,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn seconds() -> Histogram {
    // 0.25 ms to 16 s.
    Histogram::new(exponential_buckets(0.000_25, 4.0, 9))
}

impl Metrics {
    /// Metrics at zero.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("aval")),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            requests_active: Level::default(),
            connections: Level::default(),
            connections_refused: Family::default(),
            connections_evicted: Counter::default(),
            event_readers: Level::default(),
            admitted: Counter::default(),
            refused: Family::default(),
            batch_transactions: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            pool_entries: Level::default(),
            pool_bytes: Level::default(),
            height: Level::default(),
            block_time_s: Level::default(),
            peers: Level::default(),
            peers_admitted: Level::default(),
            epoch: Level::default(),
            validators: Level::default(),
            votes: Level::default(),
            resident_memory: Level::default(),
            cpu_ms: Level::default(),
        };
        metrics.with_registry(|registry| metrics.register(registry));
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The program", Info::new(version));
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer's head",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register("http_requests_active", "Requests under way", self.requests_active.clone());
        registry.register("http_connections", "Connections open", self.connections.clone());
        registry.register(
            "http_connections_refused",
            "Connections turned away, by the bound they met",
            self.connections_refused.clone(),
        );
        registry.register(
            "http_connections_evicted",
            "Idle connections closed to make room",
            self.connections_evicted.clone(),
        );
        registry.register("event_readers", "Readers of the stream of events", self.event_readers.clone());
        registry.register("transactions_admitted", "Transactions taken into the pool", self.admitted.clone());
        registry.register("transactions_refused", "Transactions refused, by code", self.refused.clone());
        registry.register(
            "ingress_batch_transactions",
            "Transactions checked together",
            self.batch_transactions.clone(),
        );
        registry.register("mempool_transactions", "Transactions waiting", self.pool_entries.clone());
        registry.register_with_unit(
            "mempool",
            "Size of the waiting transactions",
            Unit::Bytes,
            self.pool_bytes.clone(),
        );
        registry.register("ledger_height", "Height of the newest final block", self.height.clone());
        registry.register_with_unit(
            "ledger_block_time",
            "Time of the newest final block since 1970",
            Unit::Seconds,
            self.block_time_s.clone(),
        );
        registry.register("peers", "Other nodes connected", self.peers.clone());
        registry.register("peers_admitted", "Other nodes that may be connected", self.peers_admitted.clone());
        registry.register("epoch", "Epoch that the node takes part in", self.epoch.clone());
        registry.register("validators", "Validators of the epoch", self.validators.clone());
        registry.register("votes", "Whether the node votes in the epoch", self.votes.clone());
        registry.register_with_unit(
            "process_resident_memory",
            "Resident memory of the process",
            Unit::Bytes,
            self.resident_memory.clone(),
        );
        registry.register("process_cpu_milliseconds", "Processor time of the process", self.cpu_ms.clone());
    }

    /// Registers further metrics, of other parts of the node.
    pub fn with_registry(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a refusal.
    pub fn count_refusal(&self, code: &'static str) {
        self.refused.get_or_create(&CodeLabel { code }).inc();
    }

    /// The text for a scrape; `further` is text in the same format, from the consensus engine.
    pub fn encode(&self, further: &str) -> String {
        if let Some(usage) = process_usage() {
            self.resident_memory.set(usage.resident_memory_bytes);
            self.cpu_ms.set(usage.cpu_ms);
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string cannot fail.
        if encode_registry(&mut text, &registry).is_err() {
            return String::new();
        }
        for line in further.lines().filter(|line| !line.trim().is_empty() && *line != "# EOF") {
            let _ = writeln!(text, "{line}");
        }
        let _ = encode_eof(&mut text);
        text
    }
}

/// What the operating system counts for this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Resident memory.
    pub resident_memory_bytes: u64,
    /// Processor time, user and system.
    pub cpu_ms: u64,
}

/// Reads the process's usage where `/proc` exists.
pub fn process_usage() -> Option<ProcessUsage> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses that may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    // Linux counts these in ticks of 10 ms on every architecture that we support.
    Some(ProcessUsage { resident_memory_bytes: kib * 1024, cpu_ms: (user + system) * 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_holds_our_metrics_the_engines_and_one_end() {
        let metrics = Metrics::new();
        metrics.count_refusal("grant.revoked");
        metrics.height.set(7);
        let text = metrics.encode("# HELP engine_views Views\nengine_views 9\n# EOF\n");
        assert!(text.contains("aval_transactions_refused_total{code=\"grant.revoked\"} 1"));
        assert!(text.contains("aval_ledger_height 7"));
        assert!(text.contains("engine_views 9"));
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_process_uses_memory() {
        assert!(process_usage().unwrap().resident_memory_bytes > 0);
    }
}
