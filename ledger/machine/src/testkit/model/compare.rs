//! Whether a state is the one that the model knows: everything that it knows, and nothing beyond.

use std::collections::BTreeMap;

use aval_did::{DidRecord, PublicKey};
use aval_types::genesis::Governors;
use aval_types::governance::{PolicyRecord, ProposalRecord};
use aval_types::node::{NodeRecord, SuspensionCause};
use aval_types::supervision::{DenialRecord, HoldRecord};
use aval_types::{AccreditationRecord, Parameters, RegistryRecord, SchemaRecord, ValidatorEntry};
use serde::de::DeserializeOwned;

use super::Model;
use crate::bitmap::Place;
use crate::state_key;

/// Gives all keys and values of a state that begin with a prefix.
pub type Listing<'a> = &'a dyn Fn(&str) -> Vec<(Vec<u8>, Vec<u8>)>;

/// What the state says under a prefix, by the rest of the key.
fn records<T: DeserializeOwned>(list: Listing<'_>, prefix: &str) -> BTreeMap<String, T> {
    list(prefix)
        .into_iter()
        .map(|(key, value)| {
            let key = String::from_utf8(key).expect("a key is text");
            let record = serde_json::from_slice(&value).expect("a record that the rules wrote");
            (key[prefix.len()..].to_owned(), record)
        })
        .collect()
}

fn one<T: DeserializeOwned>(list: Listing<'_>, key: &str) -> Option<T> {
    let found = list(key).into_iter().find(|(own, _)| own == key.as_bytes());
    found.map(|(_, value)| serde_json::from_slice(&value).expect("a record that the rules wrote"))
}

/// Notes where two accounts of the same things differ.
fn differ<T: PartialEq + std::fmt::Debug>(
    what: &str,
    state: BTreeMap<String, T>,
    model: BTreeMap<String, T>,
    found: &mut Vec<String>,
) {
    for (key, value) in &state {
        if model.get(key) != Some(value) {
            found.push(format!("{what} {key}: the state has {value:?}, the model {:?}", model.get(key)));
        }
    }
    for key in model.keys().filter(|key| !state.contains_key(*key)) {
        found.push(format!("{what} {key}: the state has none, the model {:?}", model[key]));
    }
}

impl Model {
    /// Where a state differs from what the model knows; nothing if it is the same.
    pub fn differences(&self, list: Listing<'_>) -> Vec<String> {
        let mut found = Vec::new();
        self.compare_dids(list, &mut found);
        self.compare_trust(list, &mut found);
        self.compare_nodes(list, &mut found);
        self.compare_government(list, &mut found);
        found
    }

    fn compare_dids(&self, list: Listing<'_>, found: &mut Vec<String>) {
        let state = records::<DidRecord>(list, "did/").into_iter().map(|(key, record)| {
            let grants: Vec<String> = record.grants.iter().map(ToString::to_string).collect();
            let allowance = (record.allowance.since, record.allowance.used);
            let version = record.version_id.to_string();
            (key, (version, record.deactivated, record.control, record.document, grants, allowance))
        });
        let model = self.dids.iter().map(|(did, record)| {
            let grants: Vec<String> = record.grants.iter().map(ToString::to_string).collect();
            let (control, document) = (record.control.clone(), record.document.clone());
            let version = record.version.to_string();
            (did.to_string(), (version, record.deactivated, control, document, grants, record.allowance))
        });
        differ("DID", state.collect(), model.collect(), found);
        let keys = |prefix: &str| -> BTreeMap<String, ()> {
            let rest = |(key, _): (Vec<u8>, Vec<u8>)| {
                (String::from_utf8_lossy(&key[prefix.len()..]).into_owned(), ())
            };
            list(prefix).into_iter().map(rest).collect()
        };
        let grants = self.grants.keys().map(|id| (id.to_string(), ())).collect();
        differ("grant", keys("grant/"), grants, found);
        let anchors = self.anchors.iter().map(|anchor| (anchor.to_string(), ())).collect();
        differ("anchor", keys("anchor/"), anchors, found);
        let services = self.services.iter().map(|(did, name)| (format!("{did}/{name}"), ())).collect();
        differ("service", keys("service/"), services, found);
    }

    fn compare_trust(&self, list: Listing<'_>, found: &mut Vec<String>) {
        let state =
            records::<AccreditationRecord>(list, "accreditation/").into_iter().map(|(key, record)| {
                let AccreditationRecord { kind, parent, types, depth, expires, version, .. } = record;
                (
                    key,
                    (
                        kind,
                        parent,
                        types,
                        depth,
                        expires,
                        version,
                        record.revoked.is_some(),
                        record.revoked_by,
                    ),
                )
            });
        let model = self.accreditations.iter().map(|(did, record)| {
            let record = record.clone();
            let super::ModelAccreditation { kind, parent, types, depth, expires, version, .. } = record;
            let rest = (kind, parent, types, depth, expires, version, record.revoked, record.revoked_by);
            (did.to_string(), rest)
        });
        differ("accreditation", state.collect(), model.collect(), found);
        let registries = records::<RegistryRecord>(list, "registry/");
        let state = registries.iter().map(|(key, record)| {
            (key.clone(), (record.purpose, record.bits, record.size, record.lists.clone()))
        });
        let model = self.registries.iter().map(|(id, record)| {
            (id.to_string(), (record.purpose, record.bits, record.size, record.lists.clone()))
        });
        differ("registry", state.collect(), model.collect(), found);
        self.compare_entries(list, &registries, found);
        let state = records::<SchemaRecord>(list, "schema/").into_iter();
        let state =
            state.map(|(key, one)| (key, (one.publisher, one.credential_type, one.deprecated.is_some())));
        let model = self.schemas.iter().map(|(hash, one)| {
            (hash.to_string(), (one.publisher.clone(), one.credential_type.clone(), one.deprecated))
        });
        differ("schema", state.collect(), model.collect(), found);
    }

    /// Every entry that is set, in both directions.
    fn compare_entries(
        &self,
        list: Listing<'_>,
        registries: &BTreeMap<String, RegistryRecord>,
        found: &mut Vec<String>,
    ) {
        let mut state = BTreeMap::new();
        for record in registries.values() {
            for (number, uri) in (0u32..).zip(&record.lists) {
                let prefix = format!("status/{}/{number}/", record.id);
                for (key, bytes) in list(&prefix) {
                    let chunk: u64 =
                        String::from_utf8_lossy(&key[prefix.len()..]).parse().expect("a chunk has a number");
                    let per_chunk = 1024 * 8 / u64::from(record.bits);
                    for index in chunk * per_chunk..(chunk + 1) * per_chunk {
                        let value = Place::of(index, record.bits).map_or(0, |place| place.value(&bytes));
                        if value != 0 {
                            state.insert(format!("{uri} {index}"), value);
                        }
                    }
                }
            }
        }
        let model = self.entries.iter().filter(|(_, value)| **value != 0);
        let model = model.map(|((uri, index), value)| (format!("{uri} {index}"), *value)).collect();
        differ("status entry", state, model, found);
    }

    fn compare_nodes(&self, list: Listing<'_>, found: &mut Vec<String>) {
        let state = records::<NodeRecord>(list, "node/").into_iter().map(|(key, record)| {
            let cause = record.suspended.as_ref().map(|suspended| &suspended.cause);
            let barred = matches!(cause, Some(SuspensionCause::Equivocation(_) | SuspensionCause::Expelled));
            (key, (record.operator, record.kind, record.addresses, record.founding, record.leaving, barred))
        });
        let model = self.nodes.iter().map(|(key, node)| {
            let node = node.clone();
            let barred = node.barred.is_some();
            let rest = (node.operator, node.kind, node.addresses, node.founding, node.leaving, barred);
            (state_key::node(key)["node/".len()..].to_owned(), rest)
        });
        differ("node", state.collect(), model.collect(), found);
        let validators: Vec<ValidatorEntry> = one(list, state_key::VALIDATORS).unwrap_or_default();
        let of_state = validators.into_iter().map(|entry| (format!("{:?}", entry.key), ()));
        let of_model = self.validators.iter().map(|key| (format!("{:?}", PublicKey::Ed25519(*key)), ()));
        differ("validator", of_state.collect(), of_model.collect(), found);
    }

    fn compare_government(&self, list: Listing<'_>, found: &mut Vec<String>) {
        let state = records::<ProposalRecord>(list, "proposal/").into_iter().map(|(key, record)| {
            let outcome = record.outcome.map(|outcome| format!("{:?}", outcome.result).to_lowercase());
            (key, (record.execute_at, record.votes.len(), outcome))
        });
        let model = self.proposals.iter().map(|(id, record)| {
            let outcome = record.outcome.map(str::to_owned);
            (id.to_string(), (record.execute_at, record.votes.len(), outcome))
        });
        differ("proposal", state.collect(), model.collect(), found);
        let state = records::<HoldRecord>(list, "hold/").into_iter();
        let state = state.map(|(key, record)| (key, (record.target, record.released.is_some())));
        let model =
            self.holds.iter().map(|(id, hold)| (id.to_string(), (hold.target.clone(), hold.released)));
        differ("hold", state.collect(), model.collect(), found);
        let state = records::<DenialRecord>(list, "deny/").into_iter();
        let state = state.map(|(key, record)| (key, record.by.is_none()));
        let model = self.denials.iter().map(|(target, governed)| {
            (state_key::denial(target).expect("it can be denied")["deny/".len()..].to_owned(), *governed)
        });
        differ("denial", state.collect(), model.collect(), found);
        let parameters: Option<Parameters> = one(list, state_key::PARAMETERS);
        if parameters.as_ref() != Some(&self.parameters) {
            found.push(format!("parameters: the state has {parameters:?}"));
        }
        let governors: Option<Governors> = one(list, state_key::GOVERNORS);
        if governors.as_ref() != Some(&self.governors) {
            found.push(format!("governors: the state has {governors:?}"));
        }
        let policy: Option<PolicyRecord> = one(list, state_key::POLICY);
        if policy.map(|record| record.hash) != Some(aval_codec::sha256(self.policy.as_bytes())) {
            found.push(format!("policy: the state has {policy:?}"));
        }
    }
}
