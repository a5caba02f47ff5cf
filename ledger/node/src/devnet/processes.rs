//! The processes of a development network.

use std::fs::OpenOptions;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::layout::{Layout, Node};
use crate::fault::{Fault, file_fault};

/// How long a validator may take to stop in order before it is killed. Below the time after which a stopping program
/// ends itself, so that the killing comes first.
const STOP_PATIENCE: Duration = Duration::from_secs(12);

struct Process {
    name: String,
    log: std::path::PathBuf,
    child: Child,
}

/// The running validators. Dropping them ends them.
pub(super) struct Processes(Vec<Process>);

impl Processes {
    /// Starts every validator of the network.
    pub(super) fn start(layout: &Layout, log: &str, log_json: bool) -> Result<Self, Fault> {
        let program = std::env::current_exe()
            .map_err(|error| Fault::failed(format!("the path of this program is not known: {error}")))?;
        let mut processes = Self(Vec::new());
        for node in layout.nodes() {
            let mut command = Command::new(&program);
            command.arg("--log").arg(log);
            if log_json {
                command.arg("--log-json");
            }
            command.arg("start").arg("--exit-with-parent").arg("--home").arg(&node.home);
            processes.0.push(Process::start(node, command)?);
        }
        Ok(processes)
    }

    /// Fails if a validator has ended, with what it said last.
    pub(super) fn ensure_running(&mut self) -> Result<(), Fault> {
        for process in &mut self.0 {
            if let Ok(Some(status)) = process.child.try_wait() {
                let exit_code = status.code().unwrap_or(1);
                let sentence = format!("{} ended ({status}): {}", process.name, process.last_words());
                return Err(match exit_code {
                    3 => Fault::invalid(sentence),
                    4 => Fault::locked(sentence),
                    _ => Fault::failed(sentence),
                });
            }
        }
        Ok(())
    }

    /// Takes note of validators that have ended, with a sentence for each.
    pub(super) fn ended(&mut self) -> Vec<String> {
        let mut sentences = Vec::new();
        self.0.retain_mut(|process| match process.child.try_wait() {
            Ok(Some(status)) => {
                sentences.push(format!("{} ended ({status}): see {}", process.name, process.log.display()));
                false
            }
            _ => true,
        });
        sentences
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Stops all validators and waits for them.
    pub(super) fn stop(&mut self) {
        // Closing its input is what a validator started like this stops on.
        for process in &mut self.0 {
            drop(process.child.stdin.take());
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        for process in &mut self.0 {
            while matches!(process.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        self.0.clear();
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Process {
    fn start(node: &Node, mut command: Command) -> Result<Self, Fault> {
        let log = node.home.join("node.log");
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| file_fault("the validator's log", &log, &error))?;
        let errors = output.try_clone().map_err(|error| file_fault("the validator's log", &log, &error))?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| Fault::failed(format!("{} cannot be started: {error}", node.name)))?;
        Ok(Self { name: node.name.clone(), log, child })
    }

    /// The last line of the log: the sentence that a fault ends with.
    fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        last.trim_start_matches("avald: ").to_owned()
    }
}
