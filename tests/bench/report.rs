//! The report: each figure with its median and the runs it comes from.

use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// Figures in the making.
pub(crate) struct Report {
    workload: String,
    seed: u64,
    load_average_before: String,
    figures: BTreeMap<String, Vec<f64>>,
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

impl Report {
    /// An empty report.
    pub(crate) fn new(workload: &str, seed: u64) -> Self {
        let load_average_before = load_average();
        Self { workload: workload.to_owned(), seed, load_average_before, figures: BTreeMap::new() }
    }

    /// Adds the figure of one run.
    pub(crate) fn push(&mut self, name: &str, value: f64) {
        self.figures.entry(name.to_owned()).or_default().push(value);
    }

    /// The median of a figure's runs.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        let mut runs = self.figures.get(name)?.clone();
        runs.sort_by(f64::total_cmp);
        runs.get(runs.len() / 2).copied()
    }

    /// The report as JSON.
    pub(crate) fn finish(&self) -> Result<String> {
        let mut report = Map::new();
        report.insert("commit".to_owned(), commit().into());
        report.insert("machine".to_owned(), machine(&self.load_average_before));
        report.insert("workload".to_owned(), self.workload.clone().into());
        report.insert("seed".to_owned(), self.seed.into());
        for (name, runs) in &self.figures {
            let rounded: Vec<f64> = runs.iter().map(|run| (run * 1000.0).round() / 1000.0).collect();
            let median = self.median(name).map(|median| (median * 1000.0).round() / 1000.0);
            report.insert(name.clone(), json!({ "median": median, "runs": rounded }));
        }
        Ok(serde_json::to_string_pretty(&Value::Object(report))? + "\n")
    }
}

fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn machine(load_average_before: &str) -> Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    json!({
        "cpu": model.trim_start_matches([' ', '\t', ':']),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "load_average_before": load_average_before,
        "load_average_after": load_average(),
    })
}
