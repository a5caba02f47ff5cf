//! The state as the rules see it: typed values, each read remembered.
//!
//! What a decision has read is part of its outcome: as long as none of those keys changes, deciding again gives the
//! same answer. Execution leans on this to authorize a whole block in parallel and to decide again only what was
//! overtaken.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use aval_did::{Did, DidRecord, PublicKey};
use aval_types::governance::{OpenProposal, ProposalRecord, Upgrade};
use aval_types::node::{NodeRecord, Participation, key_bytes};
use aval_types::supervision::{DenialRecord, HoldRecord, Target};
use aval_types::{
    AccreditationRecord, AnchorRecord, Commitment, GrantId, GrantRecord, ListRecord, Parameters, RegistryId,
    RegistryRecord, SchemaHash, SchemaRecord, SchemasInForce, TransactionId, ValidatorEntry,
};
use serde::de::DeserializeOwned;

use crate::memo::Memo;
use crate::state::{StateError, StateRead};
use crate::state_key;

/// Typed reads of one state that remember their keys.
pub(crate) struct View<'state, S: ?Sized> {
    state: &'state S,
    /// What others have read of the same state.
    memo: Option<&'state Memo>,
    reads: RefCell<Vec<Vec<u8>>>,
}

impl<'state, S: StateRead + ?Sized> View<'state, S> {
    pub(crate) fn new(state: &'state S) -> Self {
        Self { state, memo: None, reads: RefCell::default() }
    }

    /// A view that shares what it reads with others of the same state.
    pub(crate) fn sharing(state: &'state S, memo: &'state Memo) -> Self {
        Self { state, memo: Some(memo), reads: RefCell::default() }
    }

    /// The keys that were asked for, whether or not they had a value.
    pub(crate) fn into_reads(self) -> Vec<Vec<u8>> {
        self.reads.into_inner()
    }

    pub(crate) fn contains_transaction(&self, id: &TransactionId) -> Result<bool, StateError> {
        self.state.contains_transaction(id)
    }

    pub(crate) fn did(&self, did: &Did) -> Result<Option<DidRecord>, StateError> {
        self.value(&state_key::did(did))
    }

    pub(crate) fn grant(&self, id: &GrantId) -> Result<Option<GrantRecord>, StateError> {
        self.value(&state_key::grant(id))
    }

    pub(crate) fn accreditation(&self, did: &Did) -> Result<Option<AccreditationRecord>, StateError> {
        self.shared(&state_key::accreditation(did))
    }

    pub(crate) fn schema(&self, schema: &SchemaHash) -> Result<Option<SchemaRecord>, StateError> {
        self.value(&state_key::schema(schema))
    }

    /// The schemas that a publisher has in force for a type.
    pub(crate) fn schemas(
        &self,
        credential_type: &str,
        publisher: &Did,
    ) -> Result<SchemasInForce, StateError> {
        Ok(self.value(&state_key::schemas(credential_type, publisher))?.unwrap_or_default())
    }

    pub(crate) fn anchor(&self, commitment: &Commitment) -> Result<Option<AnchorRecord>, StateError> {
        self.value(&state_key::anchor(commitment))
    }

    pub(crate) fn registry(&self, id: &RegistryId) -> Result<Option<RegistryRecord>, StateError> {
        self.shared(&state_key::registry(id))
    }

    pub(crate) fn list(&self, uri: &str) -> Result<Option<ListRecord>, StateError> {
        self.shared(&state_key::list(uri))
    }

    pub(crate) fn node(&self, key: &PublicKey) -> Result<Option<NodeRecord>, StateError> {
        match key_bytes(key) {
            Some(key) => self.value(&state_key::node(&key)),
            None => Ok(None),
        }
    }

    pub(crate) fn proposal(&self, id: &TransactionId) -> Result<Option<ProposalRecord>, StateError> {
        self.value(&state_key::proposal(id))
    }

    pub(crate) fn open_proposals(&self) -> Result<Vec<OpenProposal>, StateError> {
        Ok(self.value(state_key::PROPOSALS)?.unwrap_or_default())
    }

    pub(crate) fn agenda(&self, height: u64) -> Result<Vec<TransactionId>, StateError> {
        Ok(self.value(&state_key::agenda(height))?.unwrap_or_default())
    }

    pub(crate) fn upgrade(&self) -> Result<Option<Upgrade>, StateError> {
        self.value(state_key::UPGRADE)
    }

    pub(crate) fn hold(&self, id: &TransactionId) -> Result<Option<HoldRecord>, StateError> {
        self.value(&state_key::hold(id))
    }

    pub(crate) fn denial(&self, target: &Target) -> Result<Option<DenialRecord>, StateError> {
        match state_key::denial(target) {
            Some(key) => self.value(&key),
            None => Ok(None),
        }
    }

    /// The record of a node that is in the register or in the set: it is there.
    pub(crate) fn node_expected(&self, key: &PublicKey) -> Result<NodeRecord, StateError> {
        self.node(key)?.ok_or_else(|| StateError::damaged(state_key::NODES, "a node has no record"))
    }

    pub(crate) fn nodes(&self) -> Result<Vec<PublicKey>, StateError> {
        Ok(self.value(state_key::NODES)?.unwrap_or_default())
    }

    pub(crate) fn validators(&self) -> Result<Vec<ValidatorEntry>, StateError> {
        Ok(self.value(state_key::VALIDATORS)?.unwrap_or_default())
    }

    pub(crate) fn participation(&self) -> Result<Option<Participation>, StateError> {
        self.value(state_key::PARTICIPATION)
    }

    pub(crate) fn parameters(&self) -> Result<Parameters, StateError> {
        let parameters = self.value(state_key::PARAMETERS)?;
        parameters.ok_or_else(|| StateError::damaged(state_key::PARAMETERS, "it is missing"))
    }

    /// Raw bytes.
    pub(crate) fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let value = self.state.read(key.as_bytes())?;
        self.reads.borrow_mut().push(key.as_bytes().to_vec());
        Ok(value)
    }

    /// Raw bytes that many ask for: chunks of status lists, which are not JSON.
    pub(crate) fn shared_bytes(&self, key: &str) -> Result<Arc<Option<Vec<u8>>>, StateError> {
        self.remembered(key, || self.bytes(key).map(Arc::new))
    }

    /// A value that many ask for.
    fn shared<T>(&self, key: &str) -> Result<Option<T>, StateError>
    where
        T: DeserializeOwned + Any + Clone + Send + Sync,
    {
        self.remembered(key, || self.value(key))
    }

    fn remembered<T>(&self, key: &str, read: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError>
    where
        T: Any + Clone + Send + Sync,
    {
        let Some(memo) = self.memo else { return read() };
        let mut was_read = false;
        let value = memo.get_or_read(key, || {
            was_read = true;
            read()
        })?;
        if !was_read {
            self.reads.borrow_mut().push(key.as_bytes().to_vec());
        }
        Ok(value)
    }

    /// The rules wrote every value themselves, so plain serde reads it back; anything else is damage of this node's
    /// state.
    fn value<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StateError> {
        match self.bytes(key)? {
            None => Ok(None),
            Some(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(StateError::damaged(key, error)),
            },
        }
    }
}
