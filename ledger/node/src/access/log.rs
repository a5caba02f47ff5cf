//! The log of access: one JSON object a line, each with the hash of the line before it.
//!
//! It is only ever appended to, and each entry is on the disk before its request is answered. The hashes show whether a
//! line was changed or taken out afterwards; that the end was not cut off shows who keeps a later hash elsewhere.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aval_codec::{Hash, sha256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;

/// Entries that can be read through the admin interface without opening the file.
const RECENT_MAX: usize = 1_000;

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, milliseconds since 1970.
    pub time_ms: u64,
    /// Which interface: `admin` or `audit`.
    pub interface: &'static str,
    /// Who.
    pub did: String,
    /// What: method and path.
    pub request: String,
    /// The token's id.
    pub token: Uuid,
    /// `allowed`, or the code of the refusal.
    pub decision: &'static str,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The entry's number, from 1.
    pub number: u64,
    /// When, in UTC.
    pub time: String,
    /// `admin` or `audit`.
    pub interface: String,
    /// Who.
    pub did: String,
    /// What.
    pub request: String,
    /// The token's id.
    pub token: Uuid,
    /// `allowed`, or the code of the refusal.
    pub decision: String,
    /// SHA-256 of the line before it, without its end; zeros in the first.
    pub previous: Hash,
}

/// Why a log does not hold.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read.
    #[error("the access log cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line is not the one that was written.
    #[error("line {0} of the access log was changed, or a line before it is missing")]
    Broken(u64),
}

/// The log of a node.
#[derive(Debug)]
pub struct AccessLog {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: Option<File>,
    number: u64,
    previous: Hash,
    recent: VecDeque<Line>,
}

impl AccessLog {
    /// A log that is kept in memory, for tests.
    pub fn in_memory() -> Self {
        let recent = VecDeque::new();
        Self { inner: Mutex::new(Inner { file: None, number: 0, previous: Hash::ZERO, recent }) }
    }

    /// Opens the log of a file, or makes one, readable by its owner alone. One that does not hold is refused.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let file = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(path)?;
        let (mut number, mut previous, mut recent) = (0, Hash::ZERO, VecDeque::new());
        let mut length = 0;
        let mut reader = BufReader::new(&file);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            if bytes.pop() != Some(b'\n') {
                // The entry that a crash cut off: its request was not answered.
                file.set_len(length)?;
                break;
            }
            let line: Line = serde_json::from_slice(&bytes).map_err(|_| LogError::Broken(number + 1))?;
            if line.number != number + 1 || line.previous != previous {
                return Err(LogError::Broken(number + 1));
            }
            length += bytes.len() as u64 + 1;
            number = line.number;
            previous = sha256(&bytes);
            push(&mut recent, line);
            bytes.clear();
        }
        Ok(Self { inner: Mutex::new(Inner { file: Some(file), number, previous, recent }) })
    }

    /// Writes an entry; when it returns, the entry is on the disk.
    pub fn append(&self, entry: &Entry) -> io::Result<()> {
        let mut inner = self.lock();
        let line = Line {
            number: inner.number + 1,
            time: clock::rfc3339(entry.time_ms),
            interface: entry.interface.to_owned(),
            did: entry.did.clone(),
            request: entry.request.clone(),
            token: entry.token,
            decision: entry.decision.to_owned(),
            previous: inner.previous,
        };
        let mut bytes = serde_json::to_vec(&line)?;
        let previous = sha256(&bytes);
        bytes.push(b'\n');
        if let Some(file) = &mut inner.file {
            file.write_all(&bytes)?;
            file.sync_data()?;
        }
        inner.number = line.number;
        inner.previous = previous;
        push(&mut inner.recent, line);
        Ok(())
    }

    /// The newest entries, oldest first, and the hash of the last line.
    pub fn recent(&self, count: usize) -> (Vec<Line>, Hash) {
        let inner = self.lock();
        let skipped = inner.recent.len().saturating_sub(count);
        (inner.recent.iter().skip(skipped).cloned().collect(), inner.previous)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push(recent: &mut VecDeque<Line>, line: Line) {
    if recent.len() >= RECENT_MAX {
        recent.pop_front();
    }
    recent.push_back(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Entry {
        Entry {
            time_ms: 1_800_000_000_000 + number,
            interface: "audit",
            did: "did:aval:demo:Qm1".to_owned(),
            request: format!("GET /v1/audit?from={number}"),
            token: Uuid::from_u128(u128::from(number)),
            decision: "allowed",
        }
    }

    #[test]
    fn entries_are_kept_over_a_restart_and_chained() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        AccessLog::open(&path).unwrap().append(&entry(1)).unwrap();
        let log = AccessLog::open(&path).unwrap();
        log.append(&entry(2)).unwrap();
        let (lines, last) = log.recent(10);
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2]);
        let text = std::fs::read_to_string(&path).unwrap();
        let hashes: Vec<Hash> = text.lines().map(|line| sha256(line.as_bytes())).collect();
        assert_eq!((lines[0].previous, lines[1].previous, last), (Hash::ZERO, hashes[0], hashes[1]));
    }

    #[test]
    fn a_changed_or_missing_line_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = AccessLog::open(&path).unwrap();
        (1..=4).for_each(|number| log.append(&entry(number)).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = text.replacen("from=2", "from=7", 1);
        std::fs::write(&path, changed).unwrap();
        assert!(matches!(AccessLog::open(&path), Err(LogError::Broken(3))));
        let without: Vec<&str> =
            text.lines().enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| line).collect();
        std::fs::write(&path, without.join("\n") + "\n").unwrap();
        assert!(matches!(AccessLog::open(&path), Err(LogError::Broken(2))));
    }

    #[test]
    fn an_entry_that_a_crash_cut_off_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        AccessLog::open(&path).unwrap().append(&entry(1)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [whole.as_slice(), br#"{"number":2,"ti"#].concat()).unwrap();
        AccessLog::open(&path).unwrap().append(&entry(2)).unwrap();
        assert_eq!(AccessLog::open(&path).unwrap().recent(9).0.len(), 2);
    }
}
