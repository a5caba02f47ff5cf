//! Fault proofs that this node has seen: pairs of votes with which a validator contradicts itself.
//!
//! Shown by `GET /v1/faults` in the form of the action `node.evidence`, so that anybody with a DID can put one on the
//! ledger (`aval node report`). What a node shows is checked there again; nobody has to believe it. A proof is written
//! down when it is seen: the vote that completes it may never be sent again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aval_codec::Hash;
use aval_types::Action;
use aval_types::action::NodeEvidence;
use aval_types::node::key_bytes;
use aval_types::vote::check_evidence;
use tracing::warn;

/// Bytes of the file that are read: more than the proofs that are kept can have.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Proofs that are kept: as many as a network has validators, since one is enough for each.
const KEPT_MAX: usize = aval_types::limits::VALIDATORS_MAX;

/// The proofs, one for each validator.
#[derive(Debug)]
pub struct Faults {
    genesis: Hash,
    /// One action a line.
    file: Option<PathBuf>,
    seen: Mutex<BTreeMap<[u8; 32], NodeEvidence>>,
}

impl Faults {
    /// Those of the network with this genesis hash that the file has, if there is one to keep them in.
    ///
    /// A line that proves nothing is passed over with a warning: a node works without its memory of others' faults.
    pub fn open(genesis: Hash, file: Option<PathBuf>) -> Self {
        let faults = Self { genesis, file, seen: Mutex::default() };
        if let Some(file) = &faults.file {
            faults.read(file);
        }
        faults
    }

    fn read(&self, path: &Path) {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                warn!(file = %path.display(), %error, "fault proofs that were seen earlier cannot be read");
                return;
            }
        };
        let mut bad: usize = 0;
        for line in BufReader::new(file.take(FILE_BYTES_MAX)).split(b'\n') {
            let evidence = line.ok().and_then(|line| from_line(&line));
            if !evidence.is_some_and(|evidence| self.insert(evidence)) {
                bad = bad.saturating_add(1);
            }
        }
        if bad > 0 {
            warn!(file = %path.display(), lines = bad, "lines are no fault proof of this network, or twice there");
        }
    }

    /// Keeps a proof if it is one and the first of its validator.
    pub fn note(&self, evidence: NodeEvidence) {
        let line = self.file.as_ref().map(|file| (file, Action::NodeEvidence(Box::new(evidence.clone()))));
        let validator = evidence.key;
        if !self.insert(evidence) {
            return;
        }
        warn!(%validator, "a validator contradicts itself; see GET /v1/faults");
        if let Some((file, action)) = line
            && let Err(error) = append(file, &action)
        {
            warn!(file = %file.display(), %error, "the fault proof is kept until the node stops, and no longer");
        }
    }

    /// Whether it is a proof, and the first of its validator.
    fn insert(&self, evidence: NodeEvidence) -> bool {
        let Some(key) = key_bytes(&evidence.key) else { return false };
        if check_evidence(&evidence.key, &evidence.first, &evidence.second, &self.genesis).is_err() {
            return false;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(&key) || seen.len() >= KEPT_MAX {
            return false;
        }
        seen.insert(key, evidence);
        true
    }

    /// All that are kept, by key.
    pub fn all(&self) -> Vec<NodeEvidence> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

fn from_line(line: &[u8]) -> Option<NodeEvidence> {
    let json = aval_codec::json::parse(line, aval_codec::Limits::default()).ok()?;
    match Action::from_json(json).ok()? {
        Action::NodeEvidence(evidence) => Some(*evidence),
        _ => None,
    }
}

fn append(path: &Path, action: &Action) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(action)?;
    line.push(b'\n');
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(&line)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use aval_machine::testkit::Kit;
    use aval_types::VoteKind;

    use super::*;

    fn pair(kit: &Kit, view: u64, other: u8) -> NodeEvidence {
        let key = &kit.validator_keys()[0];
        NodeEvidence {
            key: key.public(),
            first: kit.vote(key, VoteKind::Notarize, view, 1),
            second: kit.vote(key, VoteKind::Notarize, view, other),
        }
    }

    #[test]
    fn only_what_proves_a_fault_is_kept_and_once_for_each_validator() {
        let kit = Kit::new(1);
        let faults = Faults::open(kit.network().genesis(), None);
        faults.note(pair(&kit, 3, 1));
        assert!(faults.all().is_empty(), "the same vote twice is no fault");
        let mut forged = pair(&kit, 3, 2);
        forged.second.signature[0] ^= 1;
        faults.note(forged);
        assert!(faults.all().is_empty(), "a signature that does not verify proves nothing");
        faults.note(pair(&kit, 3, 2));
        faults.note(pair(&kit, 4, 2));
        assert_eq!(faults.all(), vec![pair(&kit, 3, 2)]);
        // What is shown is what the ledger takes.
        let action = Action::NodeEvidence(Box::new(pair(&kit, 3, 2)));
        assert_eq!(from_line(&serde_json::to_vec(&action).unwrap()), Some(pair(&kit, 3, 2)));
    }

    #[test]
    fn a_proof_outlives_the_node_and_a_damaged_file_takes_no_other_proof_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("faults.jsonl");
        let kit = Kit::new(1);
        let open = || Faults::open(kit.network().genesis(), Some(file.clone()));
        open().note(pair(&kit, 3, 2));
        assert_eq!(open().all(), vec![pair(&kit, 3, 2)]);
        open().note(pair(&kit, 4, 2));
        let kept = std::fs::read_to_string(&file).unwrap();
        assert_eq!(kept.lines().count(), 1, "one is enough for each validator");

        std::fs::write(&file, format!("{{\"torn\n{kept}")).unwrap();
        assert_eq!(open().all(), vec![pair(&kit, 3, 2)]);
        let forged = kept.replacen("\"signature\":\"", "\"signature\":\"A", 1);
        assert_ne!(forged, kept);
        std::fs::write(&file, forged).unwrap();
        assert!(open().all().is_empty(), "what is in the file is checked like what comes from the network");
        let other = Faults::open(Kit::new(2).network().genesis(), Some(file));
        assert!(other.all().is_empty());
    }
}
