//! What the resolver counts beside requests.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Most names of errors; some come from the node, which may make them up.
const NAMES_MAX: usize = 128;
const NAME_LENGTH_MAX: usize = 64;
const OTHER: &str = "other";

/// Labels of an answer without a document, or of an operation that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ErrorLabels {
    /// `resolve` or `register`.
    pub endpoint: &'static str,
    /// A word of the vocabulary, or a code.
    pub error: String,
}

/// The resolver's counters.
#[derive(Debug)]
pub struct Counters {
    /// Answers that are errors.
    errors: Family<ErrorLabels, Counter>,
    names: Mutex<BTreeSet<String>>,
}

impl Counters {
    /// Counters in this registry.
    pub fn register(registry: &mut Registry) -> Self {
        let errors = Family::default();
        registry.register("errors", "Answers that are errors, by code", errors.clone());
        Self { errors, names: Mutex::default() }
    }

    /// Counts an error.
    pub fn error(&self, endpoint: &'static str, error: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let room = names.len() < NAMES_MAX && error.len() <= NAME_LENGTH_MAX;
        let name = if names.contains(error) || room { error } else { OTHER };
        if name != OTHER {
            names.insert(name.to_owned());
        }
        self.errors.get_or_create(&ErrorLabels { endpoint, error: name.to_owned() }).inc();
    }
}
