//! What a decision would do: changes of state and the events that tell of them, collected before anything is written.

use aval_did::{DidRecord, PublicKey};
use aval_types::node::{NodeRecord, Participation, ValidatorEntry, key_bytes};
use aval_types::{AccreditationRecord, Event, GrantId, GrantRecord, ListRecord, RegistryId, RegistryRecord};
use serde::Serialize;

use crate::quota::Payment;
use crate::state::{Changes, StateError};
use crate::state_key;

/// Changes and events of one transaction, or of a block on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) changes: Changes,
    pub(crate) events: Vec<Event>,
    /// Records of DIDs, written by [`Self::seal`]: what an action changes and what it costs are one write.
    dids: Vec<DidRecord>,
}

impl Effect {
    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn put_did(&mut self, record: &DidRecord) -> Result<(), StateError> {
        self.dids.retain(|own| own.did != record.did);
        self.dids.push(record.clone());
        Ok(())
    }

    /// Counts the use of a grant.
    pub(crate) fn pay(&mut self, payment: Payment) {
        let Payment { mut payer, used } = payment;
        match self.dids.iter_mut().find(|own| own.did == payer.did) {
            Some(record) => record.used = used,
            None => {
                payer.used = used;
                self.dids.push(payer);
            }
        }
    }

    /// Writes what is still held back: nothing can be added afterwards.
    pub(crate) fn seal(mut self) -> Result<Self, StateError> {
        for record in std::mem::take(&mut self.dids) {
            self.put(state_key::did(&record.did), &record)?;
        }
        Ok(self)
    }

    pub(crate) fn put_grant(&mut self, id: &GrantId, record: &GrantRecord) -> Result<(), StateError> {
        self.put(state_key::grant(id), record)
    }

    pub(crate) fn put_accreditation(&mut self, record: &AccreditationRecord) -> Result<(), StateError> {
        self.put(state_key::accreditation(&record.subject), record)
    }

    pub(crate) fn put_registry(&mut self, record: &RegistryRecord) -> Result<(), StateError> {
        self.put(state_key::registry(&record.id), record)
    }

    pub(crate) fn put_list(&mut self, uri: &str, registry: &RegistryId, list: u32) -> Result<(), StateError> {
        self.put(state_key::list(uri), &ListRecord { registry: registry.clone(), list })
    }

    pub(crate) fn put_node(&mut self, record: &NodeRecord) -> Result<(), StateError> {
        match key_bytes(&record.key) {
            Some(key) => self.put(state_key::node(&key), record),
            None => Err(StateError::damaged(state_key::NODES, "a node's key is not an Ed25519 key")),
        }
    }

    pub(crate) fn remove_node(&mut self, key: &PublicKey) {
        if let Some(key) = key_bytes(key) {
            self.changes.insert(state_key::node(&key).into_bytes(), None);
        }
    }

    pub(crate) fn put_nodes(&mut self, queue: &[PublicKey]) -> Result<(), StateError> {
        self.put(state_key::NODES.to_owned(), &queue)
    }

    pub(crate) fn put_validators(&mut self, entries: &[ValidatorEntry]) -> Result<(), StateError> {
        self.put(state_key::VALIDATORS.to_owned(), &entries)
    }

    pub(crate) fn put_participation(&mut self, counters: &Participation) -> Result<(), StateError> {
        self.put(state_key::PARTICIPATION.to_owned(), counters)
    }

    pub(crate) fn put_bytes(&mut self, key: String, value: Vec<u8>) {
        self.changes.insert(key.into_bytes(), Some(value));
    }

    pub(crate) fn remove(&mut self, key: String) {
        self.changes.insert(key.into_bytes(), None);
    }

    /// Values are structs of strings and integers in the order of their declaration, so equal values are equal bytes.
    pub(crate) fn put<T: Serialize>(&mut self, key: String, value: &T) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(value).map_err(|error| StateError::damaged(&key, error))?;
        self.put_bytes(key, bytes);
        Ok(())
    }
}
