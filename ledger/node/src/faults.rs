//! Fault proofs that this node has seen: pairs of votes with which a validator contradicts itself.
//!
//! Kept in memory and shown by `GET /v1/faults` in the form of the action `node.evidence`, so that anybody
//! with a DID can put one on the ledger. What a node shows is checked there again; nobody has to believe it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aval_codec::Hash;
use aval_types::action::NodeEvidence;
use aval_types::node::key_bytes;
use aval_types::vote::{check_evidence, evidence_id};
use tracing::warn;

/// Proofs that are kept: as many as a network has validators, since one is enough for each.
const KEPT_MAX: usize = aval_types::limits::VALIDATORS_MAX;

/// The proofs, one for each validator.
#[derive(Debug)]
pub struct Faults {
    genesis: Hash,
    seen: Mutex<BTreeMap<[u8; 32], NodeEvidence>>,
}

impl Faults {
    /// None yet, in the network with this genesis hash.
    pub fn new(genesis: Hash) -> Self {
        Self { genesis, seen: Mutex::default() }
    }

    /// Keeps a proof if it is one and the first of its validator.
    pub fn note(&self, evidence: NodeEvidence) {
        let Some(key) = key_bytes(&evidence.key) else { return };
        if check_evidence(&evidence.key, &evidence.first, &evidence.second, &self.genesis).is_err() {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(&key) || seen.len() >= KEPT_MAX {
            return;
        }
        let id = evidence_id(&key, &evidence.first);
        warn!(validator = %evidence.key, %id, "a validator contradicts itself; see GET /v1/faults");
        seen.insert(key, evidence);
    }

    /// All that are kept, by key.
    pub fn all(&self) -> Vec<NodeEvidence> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use aval_machine::testkit::Kit;
    use aval_types::VoteKind;

    use super::*;

    #[test]
    fn only_what_proves_a_fault_is_kept_and_once_for_each_validator() {
        let kit = Kit::new(1);
        let faults = Faults::new(kit.network().genesis());
        let key = &kit.validator_keys()[0];
        let pair = |view: u64, other: u8| NodeEvidence {
            key: key.public(),
            first: kit.vote(key, VoteKind::Notarize, view, 1),
            second: kit.vote(key, VoteKind::Notarize, view, other),
        };
        faults.note(pair(3, 1));
        assert!(faults.all().is_empty(), "the same vote twice is no fault");
        let mut forged = pair(3, 2);
        forged.second.signature[0] ^= 1;
        faults.note(forged);
        assert!(faults.all().is_empty(), "a signature that does not verify proves nothing");
        faults.note(pair(3, 2));
        faults.note(pair(4, 2));
        assert_eq!(faults.all(), vec![pair(3, 2)]);
        // What is shown is what the ledger takes.
        let action = aval_types::Action::NodeEvidence(Box::new(pair(3, 2)));
        let json = serde_json::to_vec(&action).unwrap();
        let json = aval_codec::json::parse(&json, aval_codec::Limits::default()).unwrap();
        assert_eq!(aval_types::Action::from_json(json).unwrap(), action);
    }
}
