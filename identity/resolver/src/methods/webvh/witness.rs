//! Witnesses: others who have to approve entries, by proofs over version ids in a file beside the log (did:webvh 1.0,
//! "DID Witnesses").
//!
//! A proof of an entry approves all entries before it. Proofs of versions that the log does not have, by
//! others than the witnesses, or that do not verify, count for nothing.

use std::collections::{BTreeSet, HashMap};

use aval_formats::data_integrity::Proof;
use aval_formats::json::{self, Limits};
use serde_json::{Value, json};

use super::log::{Log, check_proof, did_key};
use super::parameters::WitnessRule;

/// Most proofs that are verified.
const PROOFS_MAX: usize = 1024;

impl Log {
    /// Whether any entry has to be approved.
    pub(super) fn needs_witnesses(&self) -> bool {
        (0..self.entries.len()).any(|number| self.rule(number).is_some())
    }

    /// The rule for an entry: the one in force before it; where there was none, the one that the entry brings.
    fn rule(&self, number: usize) -> Option<&WitnessRule> {
        let of = |number: usize| self.entries.get(number).and_then(|entry| entry.parameters.witness.as_ref());
        number.checked_sub(1).and_then(of).or_else(|| of(number))
    }

    /// Checks the witnesses' proofs; the log ends before the first entry that is not approved.
    pub(super) fn check_witnesses(&mut self, bytes: &[u8], now_s: u64) {
        let approved = self.approvals(bytes, now_s);
        let unapproved = (0..self.entries.len()).find(|number| {
            self.rule(*number).is_some_and(|rule| {
                let approves = |id: &&String| approved.get(id.as_str()).is_some_and(|last| last >= number);
                (rule.witnesses.iter().filter(approves).count() as u64) < rule.threshold
            })
        });
        if let Some(number) = unapproved {
            self.break_at(number, "too few of its witnesses approve it");
        }
    }

    /// The last entry that each witness approves.
    fn approvals(&self, bytes: &[u8], now_s: u64) -> HashMap<String, usize> {
        let mut approved = HashMap::new();
        let limits = Limits { bytes_max: super::WITNESS_BYTES_MAX, depth_max: 8 };
        let Ok(Value::Array(items)) = json::parse(bytes, "witness proofs", limits) else { return approved };
        let witnesses: BTreeSet<&str> = (0..self.entries.len())
            .filter_map(|number| self.rule(number))
            .flat_map(|rule| rule.witnesses.iter().map(String::as_str))
            .collect();
        let mut verified = 0;
        for item in &items {
            let version_id = item.get("versionId").and_then(Value::as_str);
            let number = self.entries.iter().position(|entry| Some(entry.version_id.as_str()) == version_id);
            let (Some(number), Some(proofs)) = (number, item.get("proof").and_then(Value::as_array)) else {
                continue;
            };
            for proof in proofs {
                let Ok(read) = Proof::read(proof) else { continue };
                let Some(multikey) = did_key(read.verification_method) else { continue };
                let witness = format!("did:key:{multikey}");
                let later = approved.get(&witness).is_some_and(|last| *last >= number);
                if later || !witnesses.contains(witness.as_str()) || verified == PROOFS_MAX {
                    continue;
                }
                verified += 1;
                let document = json!({"versionId": version_id, "proof": proof});
                if check_proof(&document, &read, multikey, now_s).is_ok() {
                    approved.insert(witness, number);
                }
            }
        }
        approved
    }
}
