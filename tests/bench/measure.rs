//! What the operating system says of the nodes' processes.

use anyhow::{Context, Result};
use aval_tests::network::Network;
use std::fs;
use std::path::Path;

/// Clock ticks per second in `/proc/<pid>/stat`, the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The state of all nodes at one moment.
pub(crate) struct Machine {
    /// CPU time of all nodes since they started, milliseconds.
    pub(crate) cpu_ms: f64,
    /// Resident memory of the largest node.
    pub(crate) rss_mib_max: f64,
    /// Bytes on disk of all nodes.
    pub(crate) disk_bytes: f64,
}

impl Machine {
    /// Reads it.
    pub(crate) fn of(network: &Network) -> Result<Self> {
        let mut machine = Self { cpu_ms: 0.0, rss_mib_max: 0.0, disk_bytes: 0.0 };
        for index in 0..network.size() {
            let Some(id) = network.process(index) else { continue };
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("a node's stat")?;
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let ticks =
                |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
            machine.cpu_ms += (ticks(11) + ticks(12)) * 1000.0 / TICKS_PER_SECOND;
            let status = fs::read_to_string(format!("/proc/{id}/status")).context("a node's status")?;
            let rss = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
            let kib: f64 =
                rss.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or_default();
            machine.rss_mib_max = machine.rss_mib_max.max(kib / 1024.0);
            machine.disk_bytes += folder_bytes(&network.home(index)) as f64;
        }
        Ok(machine)
    }
}

/// Bytes of all files below a folder. Files that vanish meanwhile count nothing.
fn folder_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            // Blocks that are allocated, not the length: journals are extended ahead of what they hold.
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
